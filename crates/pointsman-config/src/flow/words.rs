//! A flow in words: `dst=twitter.com:443 network=udp process=curl`, or `twitter.com:443 process=curl`.
//!
//! A word without a key is the destination, as people paste it. The keys are the flags of `pointsman explain`. Values with spaces stand in quotes: in double ones
//! `\"` and `\\` are escapes, single ones are verbatim.

use std::net::IpAddr;
use std::sync::Arc;

use pointsman_policy::condition::NumberField;
use pointsman_policy::fact::{InboundKind, Parent, Process, Provenance};
use pointsman_policy::{Fact, Host};

use crate::problem::nearest;

use super::{
    BadFlow, Query, Via, address, bad, domain, inbound_kind, known, last_part, network, port,
    protocol, set_process_name, source, verdicts,
};

/// Every key, and what it takes.
pub const KEYS: [(&str, &str); 28] = [
    (
        "dst",
        "where it goes: host:port, or a URL; the word `dst=` may be left out",
    ),
    ("network", "tcp, udp or icmp"),
    ("src", "the client: address:port"),
    ("dscp", "the code point of its packets, 0 to 63"),
    ("process", "the process's name, or its path"),
    ("cmdline", "its command line"),
    ("pid", "its number"),
    ("process-user", "its user"),
    ("cgroup", "its cgroup"),
    ("unit", "its systemd unit"),
    ("tag", "the tag it was run with"),
    (
        "parent",
        "its parent's name or path; again for each further ancestor",
    ),
    ("serves", "the outbound whose endpoint it serves"),
    (
        "protocol",
        "what the first bytes are: tls, http, ssh, quic, dns, dtls, ntp, stun, bittorrent, rdp, postgresql, other",
    ),
    ("domain", "the name in the first bytes"),
    ("sni", "the same, as TLS calls it"),
    ("alpn", "the protocols that TLS offers, comma-separated"),
    ("tls-version", "the highest that TLS offers: 1.3, 1.2"),
    ("ech", "whether there is an encrypted hello: yes, no"),
    ("quic-version", "the version of QUIC: 1, 2"),
    ("user-agent", "HTTP User-Agent"),
    ("method", "HTTP method"),
    ("inbound", "[user@]type[:port], forward:name, or a name"),
    ("user", "who authenticated at the inbound"),
    ("resolved", "the addresses of the name, comma-separated"),
    (
        "dns-name",
        "the name that the DNS server gave the client the address for; several, comma-separated, are ambiguous",
    ),
    ("local", "the address it would leave by"),
    (
        "verdict",
        "what is answered to requests: CONTINUE, REJECT, BLACKHOLE or FALLBACK, or 200:REJECT,201:... by subscriber",
    ),
];

impl Query {
    /// Reads words.
    ///
    /// # Errors
    /// [`BadFlow`] names the key.
    pub fn from_words(text: &str) -> Result<Self, BadFlow> {
        let words = split(text)?;
        let pairs = words.iter().map(|word| key_and_value(word));
        Self::from_pairs(pairs.collect::<Result<Vec<_>, _>>()?)
    }

    /// Reads keys and values, as words or flags gave them.
    ///
    /// # Errors
    /// [`BadFlow`] names the key.
    pub fn from_pairs<'p>(
        pairs: impl IntoIterator<Item = (&'p str, &'p str)>,
    ) -> Result<Self, BadFlow> {
        let mut query = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for (key, value) in pairs {
            let Some((name, _)) = KEYS.iter().find(|(name, _)| *name == key) else {
                let near = nearest(key, KEYS.iter().map(|(name, _)| *name)).map(str::to_owned);
                return Err(BadFlow::UnknownKey {
                    key: key.to_owned(),
                    near,
                });
            };
            // One name in the first bytes, however it is called.
            let name = if *name == "sni" { "domain" } else { *name };
            let port = value.parse::<u16>();
            if let (true, "dst", Ok(port), Some(host), None) = (
                seen.contains(&name),
                name,
                port,
                &query.destination,
                query.port,
            ) {
                let host = match host {
                    Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
                    host => host.to_string(),
                };
                return Err(BadFlow::Apart { host, port });
            }
            if seen.contains(&name) && name != "parent" {
                return Err(BadFlow::Twice(key.to_owned()));
            }
            seen.push(name);
            query.set(key, value)?;
        }
        Ok(query)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), BadFlow> {
        let text = || -> Result<Arc<str>, BadFlow> {
            if value.is_empty() {
                Err(bad(key, "is empty"))
            } else {
                Ok(value.into())
            }
        };
        match key {
            "dst" => {
                self.aim(key, value)?;
            }
            "network" => self.network = Some(network(key, value)?),
            "src" => self.source = Some(source(key, value)?),
            "process" => set_process_name(self.process(), &text()?),
            "cmdline" => self.process().command_line = known(&text()?),
            "pid" => {
                let pid = super::number(key, value, NumberField::Pid)?;
                self.process().pid = Fact::Known(pid, Provenance::Given);
            }
            "process-user" => self.process().user = known(&text()?),
            "cgroup" => self.process().cgroup = known(&text()?),
            "unit" => self.process().unit = known(&text()?),
            "tag" => self.process().tag = known(&text()?),
            "parent" => {
                let path = text()?;
                let name = last_part(&path).map(Arc::from);
                let parent = Parent {
                    path: name.is_some().then(|| Arc::clone(&path)),
                    name: Some(name.unwrap_or(path)),
                    pid: None,
                };
                self.process().parents.push(parent);
            }
            "serves" => self.serves = Some(text()?),
            "protocol" => self.look().protocol = protocol(key, value)?,
            "domain" | "sni" => self.look().domain = Some(domain(key, value)?),
            "alpn" => self.look().alpn = text()?.split(',').map(|p| p.trim().into()).collect(),
            "dscp" => self.dscp = Some(super::dscp(key, value)?),
            "tls-version" => self.look().tls_version = Some(super::tls_version(key, value)?),
            "ech" => self.look().ech = super::number(key, value, NumberField::Ech)? == 1,
            "quic-version" => {
                let version = super::number(key, value, NumberField::QuicVersion)?;
                self.look().quic_version = Some(version);
            }
            "user-agent" => self.look().user_agent = Some(text()?),
            "method" => self.look().method = Some(text()?),
            "inbound" => self.set_inbound(key, &text()?)?,
            "user" => self.via().user = Some(text()?),
            "resolved" => {
                let addresses = value.split(',').map(str::trim).filter(|a| !a.is_empty());
                let addresses = addresses
                    .map(|a| address(key, a))
                    .collect::<Result<_, _>>()?;
                self.resolved = Some(addresses);
            }
            "dns-name" => {
                let names = value.split(',').map(str::trim);
                let names = names.map(|name| domain(key, name));
                self.dns_names = Some(names.collect::<Result<_, _>>()?);
            }
            "local" => self.local = Some(address(key, value)?),
            "verdict" => self.verdicts = verdicts(key, value)?,
            _ => {
                return Err(BadFlow::UnknownKey {
                    key: key.to_owned(),
                    near: None,
                });
            }
        }
        Ok(())
    }

    /// `[user@]type[:port]`, `forward:NAME`, or the name of an inbound.
    fn set_inbound(&mut self, key: &str, text: &str) -> Result<(), BadFlow> {
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        let (kind, tail) = match rest.split_once(':') {
            Some((kind, tail)) => (kind, Some(tail)),
            None => (rest, None),
        };
        let via = self.via();
        if let Some(user) = user {
            via.user = Some(user.into());
        }
        match (
            InboundKind::ALL.iter().any(|known| known.as_str() == kind),
            tail,
        ) {
            (true, Some(name)) if kind == "forward" && name.parse::<u16>().is_err() => {
                via.kind = Some(inbound_kind(key, kind)?);
                via.name = Some(name.into());
            }
            (true, tail) => {
                via.kind = Some(inbound_kind(key, kind)?);
                via.port = tail.map(|tail| port(key, tail)).transpose()?;
            }
            (false, None) => via.name = Some(rest.into()),
            // A port belongs to a type: this one was mistyped.
            (false, Some(_)) => via.kind = Some(inbound_kind(key, kind)?),
        }
        Ok(())
    }

    fn process(&mut self) -> &mut Process {
        self.process.get_or_insert_default()
    }

    fn look(&mut self) -> &mut pointsman_policy::fact::Look {
        self.look.get_or_insert_default()
    }

    fn via(&mut self) -> &mut Via {
        self.inbound.get_or_insert_default()
    }
}

/// What a word says: `key=value`, a transport, or a destination without its key, which may itself have a `=` in it.
///
/// # Errors
/// [`BadFlow::NoValue`] where it is a key alone.
pub fn key_and_value(word: &str) -> Result<(&str, &str), BadFlow> {
    let of_a_key = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    match word.split_once('=') {
        Some((key, value)) if key.bytes().all(of_a_key) => Ok((key, value)),
        None if KEYS.iter().any(|(key, _)| *key == word) => Err(BadFlow::NoValue(word.to_owned())),
        // As rules have it: `udp 192.0.2.1:53`.
        None if ["icmp", "tcp", "udp"].contains(&word) => Ok(("network", word)),
        _ => Ok(("dst", word)),
    }
}

/// Splits at white space outside quotes, and removes the quotes.
pub(super) fn split(text: &str) -> Result<Vec<String>, BadFlow> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or(BadFlow::OpenQuote)? {
                        '"' => break,
                        '\\' => match chars.next().ok_or(BadFlow::OpenQuote)? {
                            c @ ('"' | '\\') => word.push(c),
                            // Paths of Windows stay what they are.
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or(BadFlow::OpenQuote)? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}
