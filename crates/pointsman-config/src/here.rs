//! What a configuration says of this host's programs, users, interfaces and addresses, and is not so here.
//!
//! Invariant: warnings and notes alone. A configuration may be checked on another host than it is for, and what is missing may come.

use pointsman_policy::condition::{Condition, TextField, TextTest};
use pointsman_policy::model::each_node;
use pointsman_policy::set::RuleSet;
use pointsman_spec::outbound::{ServedBy, Upstream};
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::files::Files;
use crate::places::Places;
use crate::problem::Problems;
use crate::setup::{Carrier, Kind, Outbound, Setup};

/// Tells of who serves outbounds and is not here, and of paths by which the kernel calls no program.
pub(crate) fn check(setup: &Setup, files: &dyn Files, problems: &mut Problems) {
    for outbound in &setup.outbounds {
        serving(outbound, files, problems);
        leaving(outbound, files, problems);
    }
    let mut linked = Vec::new();
    for policy in &setup.policies {
        each_node(&policy.body, &mut |node| {
            let (Some(condition), Some(origin)) = (node.condition(), node.origin()) else {
                return;
            };
            linked_paths(condition, files, &mut |path, real| {
                linked.push((&origin.file, origin.line, path, real));
            });
        });
    }
    in_sets(setup, files, &mut linked);
    if linked.is_empty() {
        return;
    }
    let mut places = Places::new(setup, files, problems);
    let mut told = Vec::new();
    for (file, line, path, real) in linked {
        // Policies share rules and sets.
        if told.contains(&(file, line, path)) {
            continue;
        }
        told.push((file, line, path));
        let place = places.line(file, line);
        let message =
            format!("`{path}` leads to `{real}` by a link, and so no program runs as `{path}`");
        problems.warning("linked-path", &place, message).hint = Some(format!("write `{real}`"));
    }
}

/// File, line, path, and where it leads.
type Linked<'s> = (&'s Arc<str>, u32, &'s str, String);

/// Entries of rule sets that are asked about, of all sets together: each question is one to the disk.
const MOST_ENTRIES: usize = 1_000;

/// Entries of rule sets that are told of.
const MOST_TOLD: usize = 20;

fn in_sets<'s>(setup: &'s Setup, files: &dyn Files, linked: &mut Vec<Linked<'s>>) {
    let mut seen: Vec<&RuleSet> = Vec::new();
    let (mut left, most) = (MOST_ENTRIES, linked.len() + MOST_TOLD);
    for set in setup.policies.iter().flat_map(|policy| policy.sets.iter()) {
        // Policies share sets.
        if seen.iter().any(|known| known.shares_with(set)) {
            continue;
        }
        seen.push(set);
        for other in set.others() {
            if left == 0 || linked.len() >= most {
                return;
            }
            left -= usize::from(asks_for_a_path(&other.condition));
            linked_paths(&other.condition, files, &mut |path, real| {
                linked.push((&set.file, other.line, path, real));
            });
        }
    }
}

fn asks_for_a_path(condition: &Condition) -> bool {
    let mut asks = false;
    condition.each_test(&mut |test| {
        asks |= matches!(test, Condition::Text(TextField::ProcessPath, _));
    });
    asks
}

/// The paths that a condition asks for and that lead elsewhere, and where.
fn linked_paths<'c>(
    condition: &'c Condition,
    files: &dyn Files,
    tell: &mut dyn FnMut(&'c str, String),
) {
    condition.each_test(&mut |test| {
        if let Condition::Text(TextField::ProcessPath, TextTest::Exact(path)) = test
            && let Some(real) = elsewhere(path, files)
        {
            tell(path, real);
        }
    });
}

fn serving(outbound: &Outbound, files: &dyn Files, problems: &mut Problems) {
    let Some(Upstream { served_by, .. }) = outbound.kind.upstream() else {
        return;
    };
    let (code, what, hint) = match served_by {
        Some(ServedBy::Program(path)) if is_missing(path, files) => (
            "no-such-program",
            format!("there is no program `{}` on this host", path.display()),
            "correct `served_by`",
        ),
        // The daemon finds users where this does.
        Some(ServedBy::User(name)) if files.has_user(name) == Some(false) => (
            "no-such-user",
            format!("`/etc/passwd` of this host has no user `{name}`"),
            "correct `served_by`, or write the user's number where another directory (LDAP) has the user",
        ),
        Some(ServedBy::Program(_) | ServedBy::User(_)) | None => return,
    };
    let Some(span) = &outbound.span else { return };
    let message = format!(
        "{what}: until it is there, any program that listens at its address is taken for the one \
         behind `{}`",
        outbound.name
    );
    problems.warning(code, span, message).hint = Some(format!(
        "{hint}; on another host than the one that it is for, this is to be expected"
    ));
}

/// Tells of an interface, and of an address to leave from, that is not here.
fn leaving(outbound: &Outbound, files: &dyn Files, problems: &mut Problems) {
    let uplink = match &outbound.kind {
        Kind::Carry(Carrier::Direct(uplink)) => uplink,
        Kind::Carry(Carrier::Upstream(upstream)) => &upstream.uplink,
        _ => return,
    };
    let Some(span) = &outbound.span else { return };
    if let Some(source) = uplink.source
        && files.has_address(source) == Some(false)
    {
        let message = format!(
            "no interface of this host has the address `{source}` now: until one has it, what leaves by `{}` fails",
            outbound.name
        );
        problems.note("no-such-address", span, message).hint = Some(
            "correct the address; on another host than the one that it is for, this is to be expected"
                .into(),
        );
    }
    let Some(name) = &uplink.interface else {
        return;
    };
    // Where the kernel shows them; elsewhere nobody knows.
    let all = Path::new("/sys/class/net");
    if files.real_path(all).is_err() || !is_missing(&all.join(name), files) {
        return;
    }
    let message = format!(
        "this host has no interface `{name}` now: until it is there, what leaves by `{}` fails",
        outbound.name
    );
    problems.note("no-such-interface", span, message).hint = Some(
        "correct `interface`; on another host than the one that it is for, this is to be expected"
            .into(),
    );
}

fn is_missing(path: &Path, files: &dyn Files) -> bool {
    let real = files.real_path(path);
    real.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Where a path leads, where that is another one.
fn elsewhere(path: &str, files: &dyn Files) -> Option<String> {
    let path = Path::new(path);
    if !path.is_absolute() {
        return None;
    }
    let real = files.real_path(path).ok()?;
    (real != path).then(|| real.display().to_string())
}

#[cfg(test)]
mod tests {
    use crate::files::Disk;
    use crate::load;

    #[test]
    fn an_interface_or_address_that_is_not_here_is_a_note() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c.yaml");
        let told = |outbound: &str| {
            let text = format!(
                "version: 1\ninbounds: {{ a: {{ type: mixed, listen: \"127.0.0.1:1080\" }} }}\n\
                 outbounds: {{ up: {outbound} }}\nrules: [\"FALLBACK, up\"]\n"
            );
            std::fs::write(&path, text).unwrap();
            let told = load(&path, None, None, &Disk).problems.0;
            let told = told
                .iter()
                .map(|it| format!("{} {} {}", it.severity.as_str(), it.code, it.span.line()));
            told.collect::<Vec<_>>()
        };
        let missing = ["note no-such-interface 3"];
        assert_eq!(told("{ type: direct, interface: nosuch0 }"), missing);
        let proxy = "{ type: http, server: '192.0.2.1:1', interface: nosuch0 }";
        assert_eq!(told(proxy), missing);
        assert!(told("{ type: direct, interface: lo }").is_empty());
        let missing = ["note no-such-address 3"];
        assert_eq!(told("{ type: direct, source: 203.0.113.9 }"), missing);
        let proxy = "{ type: http, server: '192.0.2.1:1', source: 203.0.113.9 }";
        assert_eq!(told(proxy), missing);
        assert_eq!(told("{ type: direct, source: '2001:db8::9' }"), missing);
        assert!(told("{ type: direct, source: 127.0.0.7 }").is_empty());
        assert!(told("{ type: direct, source: '::1' }").is_empty());
    }

    #[test]
    fn what_is_not_here_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().canonicalize().unwrap().join(name);
        std::fs::create_dir(at("usr")).unwrap();
        std::fs::write(at("usr/curl"), "").unwrap();
        std::os::unix::fs::symlink("usr", at("bin")).unwrap();
        let check = |served_by: &str, rule: &str, expected: &[&str]| {
            let text = format!(
                "version: 1\ninbounds: {{ a: {{ type: mixed, listen: \"127.0.0.1:1080\" }} }}\n\
                 outbounds: {{ up: {{ type: http, server: \"192.0.2.1:1\", served_by: {{ {served_by} }} }} }}\n\
                 rules:\n  - {rule}, up\n  - FALLBACK, DIRECT\n"
            );
            let path = at("c.yaml");
            std::fs::write(&path, text).unwrap();
            let told = load(&path, None, None, &Disk).problems;
            let told: Vec<String> = told
                .0
                .iter()
                .map(|it| format!("{}: {}", it.span.line(), it.sentence()))
                .collect();
            assert_eq!(told.len(), expected.len(), "{told:?}");
            for (told, expected) in told.iter().zip(expected) {
                assert!(told.starts_with(expected), "{told} {expected}");
            }
        };
        let (real, link) = (at("usr/curl"), at("bin/curl"));
        let (real, link) = (real.display(), link.display());
        let rule = "DST-PORT, 1";
        check(&format!("program: {real}"), rule, &[]);
        check(&format!("program: {link}"), rule, &[]);
        check(
            "program: /no/such",
            rule,
            &["3: there is no program `/no/such` on this host"],
        );
        check("user: root", rule, &[]);
        check("user: 4321", rule, &[]);
        check(
            "user: no-such",
            rule,
            &["3: `/etc/passwd` of this host has no user `no-such`: until it is there"],
        );
        check("user: root", &format!("PROCESS-PATH, {real}"), &[]);
        check("user: root", "PROCESS-PATH, /not/here", &[]);
        let linked = format!("5: `{link}` leads to `{real}` by a link");
        check("user: root", &format!("PROCESS-PATH, {link}"), &[&linked]);
        check(
            "user: root",
            &format!("AND, [DST-PORT, 1], [NOT, [PROCESS-PATH, {link}]]"),
            &[&linked],
        );
        // So in a rule set, which says it in its own file.
        let list = at("l.list");
        std::fs::write(&list, format!("DOMAIN,a.test\nPROCESS-PATH,{link}\n")).unwrap();
        let text = "version: 1\ninbounds: { a: { type: mixed, listen: \"127.0.0.1:1080\" } }\n\
                    rule_sets: { s: { path: l.list } }\n\
                    rules:\n  - RULE-SET, s, DIRECT\n  - FALLBACK, DIRECT\n";
        let path = at("c.yaml");
        std::fs::write(&path, text).unwrap();
        let told = load(&path, None, None, &Disk).problems.0;
        let told: Vec<String> = told
            .iter()
            .map(|it| format!("{}:{}: {}", it.span.file(), it.span.line(), it.code))
            .collect();
        assert_eq!(told, ["l.list:2: linked-path"]);
    }
}
