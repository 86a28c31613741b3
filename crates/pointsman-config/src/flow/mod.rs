//! FLOW: a flow as people and scripts describe it, in words, flags or a JSON object.
//!
//! Invariant: what is not said is *absent*, never guessed and never asked of the host; what is said
//! and cannot be read is an error that names the key. [`Situation`] puts a [`Query`] into a
//! configuration: which policy it meets, and its facts.

mod asked;
mod door;
mod impossible;
mod json;
pub(crate) mod names;
mod pasted;
mod situation;
mod words;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use pointsman_policy::condition::NumberField;
use pointsman_policy::fact::{InboundKind, Look, Network, Process, Protocol, Provenance};
use pointsman_policy::request::Answer;
use pointsman_policy::{Domain, Fact, Host};

pub use self::asked::{GivenAnswer, NAME_KEYS, NameQuery, answer_of, kind_of};
use self::door::Door;
use self::pasted::Pasted;
pub use self::situation::Situation;
pub use self::words::{KEYS, key_and_value};
use crate::setup::Setup;

/// What is said of one flow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Given back with the answer.
    pub id: Option<serde_json::Value>,
    /// TCP unless said otherwise.
    pub network: Option<Network>,
    /// The client; port 0 where only its address is said.
    pub source: Option<SocketAddr>,
    /// Where it wants to go.
    pub destination: Option<Host>,
    /// To which port.
    pub port: Option<u16>,
    /// The code point of its packets.
    pub dscp: Option<u8>,
    /// What the resolver would answer; empty: that there is no address.
    pub resolved: Option<Vec<IpAddr>>,
    /// The names for which the DNS server gave the client the address; several: which one is meant is not known.
    pub dns_names: Option<Vec<Domain>>,
    /// What the first bytes would show; `None`: nobody could look.
    pub look: Option<Look>,
    /// What the scheme of a pasted URL says of the first bytes: it counts where nothing else is said of them.
    pub speaks: Option<Protocol>,
    /// Whose flow it is; `None`: nobody's on this host.
    pub process: Option<Process>,
    /// The outbound whose endpoint the process serves: the loop guard.
    pub serves: Option<Arc<str>>,
    /// How it came in.
    pub inbound: Option<Via>,
    /// The address that it would leave by.
    pub local: Option<IpAddr>,
    /// What is answered to requests: to those of a subscriber, or to all others.
    pub verdicts: Vec<(Option<u32>, Answer)>,
}

/// What is said of the inbound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Via {
    /// The protocol that the client spoke.
    pub kind: Option<InboundKind>,
    /// Its name or alias.
    pub name: Option<Arc<str>>,
    /// The port that it listens on.
    pub port: Option<u16>,
    /// Who authenticated.
    pub user: Option<Arc<str>>,
}

/// Why a text describes no flow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFlow {
    /// The value of a key cannot be read.
    #[error("`{key}`: {why}")]
    BadValue {
        /// Which.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// Where the dialect needs one.
    #[error("`dst` is missing: where does the flow go?")]
    NoDestination,
    /// Neither words nor an object.
    #[error("{0}")]
    NotJson(String),
    /// A key without `=`.
    #[error("`{0}` has no value: write `{0}=...`")]
    NoValue(String),
    /// Words beside a JSON object.
    #[error("say a flow as a JSON object or in words, not both")]
    Both,
    /// A quote that nobody closes.
    #[error("a quote is not closed")]
    OpenQuote,
    /// A key given twice.
    #[error("`{0}` is given twice")]
    Twice(String),
    /// A port that stands apart from its host.
    #[error("`dst` is given twice: write `{host}:{port}`")]
    Apart {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// No inbound or forward of the configuration is as was said; the sentence names those there are.
    #[error("`inbound`: {0}")]
    NoDoor(String),
    /// No rule of the configuration asks such a subscriber; the sentence names those that are asked.
    #[error("`verdict`: {0}")]
    NoSubscriber(String),
    /// A key that does not exist.
    #[error("there is no key `{key}`{}", near.as_ref().map_or_else(String::new, |near| format!("; did you mean `{near}`?")))]
    UnknownKey {
        /// Which.
        key: String,
        /// What may have been meant.
        near: Option<String>,
    },
    /// `process.serves` names an outbound that the configuration does not have; the sentence names those there are.
    #[error("`process.serves`: {0}")]
    UnknownOutbound(String),
}

impl Query {
    /// Reads a JSON object, or words where the text does not begin with `{`.
    ///
    /// # Errors
    /// [`BadFlow`] names the key.
    pub fn parse(text: &str) -> Result<Self, BadFlow> {
        if text.trim_start().starts_with('{') {
            Self::from_json_text(text)
        } else {
            Self::from_words(text)
        }
    }

    /// What the first bytes would show, as was said or as the scheme of a pasted URL has it: then with the name that
    /// clients put there.
    #[must_use]
    pub fn first_bytes(&self) -> Option<Look> {
        if self.look.is_some() {
            return self.look.clone();
        }
        let protocol = self.speaks?;
        let name = self.destination.as_ref().and_then(Host::name).cloned();
        Some(Look {
            protocol,
            domain: name.filter(|_| protocol != Protocol::Ssh),
            ..Look::default()
        })
    }

    /// That an inbound or forward which it names is one of the configuration's, for who chooses among flows by it.
    ///
    /// # Errors
    /// [`BadFlow::NoDoor`] names those there are.
    pub fn names_a_door(&self, setup: &Setup) -> Result<(), BadFlow> {
        let via = self.inbound.as_ref();
        via.map_or(Ok(()), |via| Door::named(setup, via))
    }

    /// Takes a destination as it was pasted; what is said in words of its own is stronger.
    fn aim(&mut self, key: &str, text: &str) -> Result<(), BadFlow> {
        let Pasted {
            host,
            port,
            network,
            speaks,
        } = pasted::read(key, text)?;
        (self.destination, self.port) = (Some(host), port);
        self.network = self.network.or(network);
        self.speaks = speaks;
        Ok(())
    }
}

fn bad(key: &str, why: impl Into<String>) -> BadFlow {
    BadFlow::BadValue {
        key: key.to_owned(),
        why: why.into(),
    }
}

fn source(key: &str, text: &str) -> Result<SocketAddr, BadFlow> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(SocketAddr::new(address.ip().to_canonical(), address.port()));
    }
    Ok(SocketAddr::new(address(key, text)?, 0))
}

fn address(key: &str, text: &str) -> Result<IpAddr, BadFlow> {
    let parsed = text.parse::<IpAddr>();
    parsed
        .map(|ip| ip.to_canonical())
        .map_err(|why| bad(key, format!("`{text}`: {why}")))
}

fn port(key: &str, text: &str) -> Result<u16, BadFlow> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let port = text.parse::<u16>().ok().filter(|_| digits);
    port.ok_or_else(|| bad(key, format!("`{text}` is no port")))
}

fn domain(key: &str, text: &str) -> Result<Domain, BadFlow> {
    Domain::parse(text).map_err(|why| bad(key, format!("`{text}`: {why}")))
}

fn network(key: &str, text: &str) -> Result<Network, BadFlow> {
    let known = [Network::Icmp, Network::Tcp, Network::Udp];
    word(key, text, known.map(|kind| (kind.as_str(), kind)))
}

fn protocol(key: &str, text: &str) -> Result<Protocol, BadFlow> {
    word(key, text, Protocol::ALL.map(|kind| (kind.as_str(), kind)))
}

/// `CONTINUE`, or `200:CONTINUE,201:REJECT`.
fn verdicts(key: &str, text: &str) -> Result<Vec<(Option<u32>, Answer)>, BadFlow> {
    let one = |part: &str| {
        let (who, word) = match part.split_once(':') {
            Some((who, word)) => (Some(who.trim()), word),
            None => (None, part),
        };
        let word = word.trim();
        let answer = Answer::of(word).ok_or_else(|| {
            let words = Answer::ALL.map(Answer::as_str).join(", ");
            bad(key, format!("`{word}` is none of {words}"))
        })?;
        let who = who.map(|who| {
            let number = who.parse();
            number.map_err(|why| bad(key, format!("`{who}`: {why}")))
        });
        Ok((who.transpose()?, answer))
    };
    text.split(',').map(one).collect()
}

fn inbound_kind(key: &str, text: &str) -> Result<InboundKind, BadFlow> {
    word(
        key,
        text,
        InboundKind::ALL.map(|kind| (kind.as_str(), kind)),
    )
}

/// A value of a fact that is a number.
fn number(key: &str, text: &str, field: NumberField) -> Result<u32, BadFlow> {
    let read = field.read(text);
    read.ok_or_else(|| bad(key, format!("`{text}` is none: {}", field.hint())))
}

fn dscp(key: &str, text: &str) -> Result<u8, BadFlow> {
    // The field has six bits.
    number(key, text, NumberField::Dscp).map(|value| value as u8)
}

fn tls_version(key: &str, text: &str) -> Result<u16, BadFlow> {
    // The field has sixteen bits.
    number(key, text, NumberField::TlsVersion).map(|value| value as u16)
}

fn word<T: Copy, const N: usize>(
    key: &str,
    text: &str,
    known: [(&str, T); N],
) -> Result<T, BadFlow> {
    if let Some((_, value)) = known.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let words = known.map(|(word, _)| word).join(", ");
    Err(bad(key, format!("`{text}` is none of {words}")))
}

/// Gives a process its name or path: what has a separator is a path, whose last part is the name.
fn set_process_name(process: &mut Process, text: &str) {
    if let Some(name) = last_part(text) {
        process.path = known(text);
        process.name = known(name);
    } else {
        process.name = known(text);
    }
}

/// The last part of a path; `None` where it is none.
fn last_part(text: &str) -> Option<&str> {
    text.rsplit_once(['/', '\\']).map(|(_, name)| name)
}

fn known(text: &str) -> Fact<Arc<str>> {
    Fact::Known(text.into(), Provenance::Given)
}

#[cfg(test)]
mod tests;
