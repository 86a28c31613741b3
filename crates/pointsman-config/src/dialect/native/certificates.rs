//! `tls:` of what listens: the certificate that is shown, and its key.
//!
//! Invariant: a pair that is wrong is an error where it is read, and not each client's later; one that has expired is
//! taken, for whoever put it there knows, or reads the warning.

use std::path::PathBuf;
use std::sync::Arc;

use pointsman_spec::tls::{Certificate, TlsServer};

use crate::certificate::{Holds, MAX_CHAIN, Pair, Wrong, judge};
use crate::input::Input;
use crate::problem::Problems;
use crate::setup::Secret;
use crate::value::{self, MAX_SECRET};
use crate::yaml::{KeyStyle, Node, Value};

/// How one is written.
pub(super) const EXAMPLE: &str =
    "`tls: { certificates: [{ certificate: dns.pem, key: dns.key }] }`";

/// Keys of `tls` that are understood and not built.
const LATER: [&str; 4] = ["alpn", "client", "minimum", "resume"];

/// Reads the mapping; the files that it names are added to `read`.
pub(super) fn read(
    node: &Node,
    input: &Input<'_>,
    read: &mut Vec<PathBuf>,
    problems: &mut Problems,
) -> Option<Arc<TlsServer>> {
    let mut keys = node.keys("`tls`", KeyStyle::Exact, problems);
    let list = keys.require("certificates", problems);
    keys.not_yet(&LATER, problems);
    keys.finish(problems);
    let list = list?;
    let items = match &list.value {
        Value::List(items) => items.as_slice(),
        Value::Map(_) | Value::Scalar(..) => std::slice::from_ref(list),
    };
    let Some((first, others)) = items.split_first() else {
        let message = "`certificates` is empty: there is nothing to show to clients";
        problems.error("empty-list", &list.span, message).hint = Some(format!("write {EXAMPLE}"));
        return None;
    };
    if let Some(second) = others.first() {
        let message = "choosing among certificates by name: the first is shown to all";
        problems.not_yet(&second.span, message);
    }
    let certificates = vec![pair(first, input, read, problems)?];
    Some(Arc::new(TlsServer { certificates }))
}

fn pair(
    node: &Node,
    input: &Input<'_>,
    read: &mut Vec<PathBuf>,
    problems: &mut Problems,
) -> Option<Certificate> {
    let mut keys = node.keys("a certificate", KeyStyle::Exact, problems);
    if let Some(directory) = keys.take("directory") {
        problems.not_yet(&directory.span, "`directory` of a certificate");
    }
    keys.not_yet(&["ocsp"], problems);
    let chain = keys.require("certificate", problems);
    let key = keys.require("key", problems);
    keys.finish(problems);
    let (chain_node, key_node) = (chain?, key?);
    let open = |node: &Node, what, limit, problems: &mut Problems| {
        let path = value::path(node, what, &input.directory, problems)?;
        match input.handed(&path, limit) {
            Ok(bytes) => Some((path, bytes)),
            Err(error) => {
                let shown = node.scalar().unwrap_or_default();
                let message = format!("{what}: `{shown}` cannot be read: {error}");
                problems.error("missing-file", &node.span, message);
                None
            }
        }
    };
    let chain = open(chain_node, "`certificate`", MAX_CHAIN, problems);
    let key = open(key_node, "`key`", MAX_SECRET, problems);
    let ((chain_path, chain), (key_path, key)) = (chain?, key?);
    let is_open = input.files.is_open_to_others(&key_path) == Some(true);
    read.extend([chain_path, key_path]);
    let Pair { chain, holds } = match judge(&chain, &key, input.files.time()) {
        Ok(pair) => pair,
        Err(wrong) => {
            tell(wrong, chain_node, key_node, problems);
            return None;
        }
    };
    let shown = |node: &Node| node.scalar().unwrap_or_default().to_owned();
    let untimely = match holds {
        Holds::Now => None,
        Holds::Expired => Some("has expired"),
        Holds::NotYet => Some("does not hold yet"),
    };
    if let Some(untimely) = untimely {
        let message = format!("`{}` {untimely}: clients refuse it", shown(chain_node));
        problems.warning("certificate-expired", &chain_node.span, message);
    }
    if is_open {
        let message = "everybody on this host can read this key";
        problems
            .warning("key-readable", &key_node.span, message)
            .hint = Some("`chmod o= FILE` leaves it to its owner and group".into());
    }
    // What was understood is PEM, which is ASCII; what stands around it may be any bytes.
    let key = String::from_utf8_lossy(&key).into_owned();
    Some(Certificate {
        chain,
        key: Secret::new(key),
    })
}

fn tell(wrong: Wrong, chain: &Node, key: &Node, problems: &mut Problems) {
    let shown = |node: &Node| node.scalar().unwrap_or_default().to_owned();
    let chain_shown = shown(chain);
    match wrong {
        Wrong::Certificate(why) => {
            let message = format!("`certificate`: `{chain_shown}` {why}");
            problems.error("bad-certificate", &chain.span, message);
        }
        Wrong::Swapped => {
            let message = format!("`certificate`: `{chain_shown}` holds a key and no certificate");
            problems.error("bad-certificate", &chain.span, message).hint =
                Some("are `certificate` and `key` the other way round?".into());
        }
        Wrong::Key(why) => {
            let message = format!("`key`: the file {why}");
            problems.error("bad-certificate", &key.span, message);
        }
        Wrong::Locked => {
            let message = "`key`: the file is protected by a password, which nobody enters here";
            problems.error("bad-certificate", &key.span, message).hint =
                Some("`openssl pkey -in KEY -out NEW` writes it without".into());
        }
        Wrong::Mismatch => {
            let message = format!("this is not the key of `{chain_shown}`");
            let problem = problems.error("bad-certificate", &key.span, message);
            problem.related = Some((chain.span.clone(), "the certificate is here".into()));
            problem.hint = Some(
                "the server's own certificate stands first in the file, those of authorities behind it"
                    .into(),
            );
        }
    }
}
