//! Messages with variables: `.INSTRUMENT` and `log`.
//!
//! Invariant: a [`Template`] made by [`Template::parse`] names only variables that exist, so a
//! typing mistake is found when the configuration is loaded. `{{` and `}}` stand for braces.

use std::fmt;
use std::sync::Arc;

use crate::model::{Template, TemplatePart};
use crate::near::nearest;
use crate::number::NumberField;

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// A brace that opens and never closes.
    #[error("`{{` at character {0} is never closed (write `{{{{` for a brace)")]
    Unclosed(usize),
    /// There is no such variable.
    #[error("there is no variable `{0}`")]
    UnknownVariable(String),
}

impl BadTemplate {
    /// The variable that was probably meant.
    #[must_use]
    pub fn near(&self) -> Option<&'static str> {
        match self {
            Self::UnknownVariable(name) => nearest(name, VARIABLES.iter().map(|(known, _)| *known)),
            Self::Unclosed(_) => None,
        }
    }
}

/// A variable of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// ALPN protocols offered.
    Alpn,
    /// ASN of the destination's address.
    Asn,
    /// Country of the destination's address.
    Country,
    /// What the client asked for: host and port.
    Destination,
    /// What the client asked for: host.
    DestinationHost,
    /// The domain.
    Domain,
    /// Encrypted ClientHello: `true` or `false`.
    Ech,
    /// The name of the fake address.
    FakeIp,
    /// The inbound, as rules write it.
    Inbound(InboundPart),
    /// The destination's address, where this walk may see it.
    Ip,
    /// The address that the flow would leave by.
    Local,
    /// HTTP method.
    Method,
    /// The transport.
    Network,
    /// A fact that is a number.
    Number(NumberField),
    /// The destination's port.
    Port,
    /// The process.
    Process(ProcessPart),
    /// What the first bytes are.
    Protocol,
    /// The destination's address and port.
    ResolvedDestination,
    /// The outbound that the flow's process serves.
    Serves,
    /// The name in the first bytes, outer names of encrypted hellos too.
    Sniffed,
    /// The client's address and port.
    Source,
    /// The client's address.
    SourceIp,
    /// The client's port.
    SourcePort,
    /// SSH software.
    SshSoftware,
    /// A part of the time.
    Time(TimePart),
    /// HTTP User-Agent.
    UserAgent,
}

/// A part of an inbound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboundPart {
    /// Its kind.
    Kind,
    /// Its name.
    Name,
    /// Its port.
    Port,
    /// Its user.
    User,
}

/// A part of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessPart {
    /// The cgroup's path.
    Cgroup,
    /// The command line.
    CommandLine,
    /// An ancestor's; 0 is the parent.
    Parent(usize, ParentPart),
    /// All ancestors' names: `[sh, sshd]`.
    Parents,
    /// The name.
    Name,
    /// The path.
    Path,
    /// The number.
    Pid,
    /// The tag.
    Tag,
    /// The systemd unit.
    Unit,
    /// The user.
    User,
}

/// A part of a process's ancestor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentPart {
    /// The name.
    Name,
    /// The path.
    Path,
    /// The number.
    Pid,
}

/// A part of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimePart {
    /// `2026-01-31`.
    Date,
    /// `23:59:59`.
    Hms,
    /// `23:59:59.999`.
    HmsMillis,
    /// All of it, RFC 3339.
    Whole,
}

/// Every variable by name; `process.parents.N.name`, `.path` and `.pid` besides. Aliases follow
/// the name that they stand for.
pub const VARIABLES: &[(&str, Variable)] = &[
    ("addr.dst", Variable::Destination),
    ("addr.src", Variable::Source),
    ("addr.resolved_dst", Variable::ResolvedDestination),
    ("network", Variable::Network),
    ("inbound.type", Variable::Inbound(InboundPart::Kind)),
    ("inbound.name", Variable::Inbound(InboundPart::Name)),
    ("inbound.port", Variable::Inbound(InboundPart::Port)),
    ("inbound.user", Variable::Inbound(InboundPart::User)),
    ("source", Variable::SourceIp),
    ("source.port", Variable::SourcePort),
    ("destination", Variable::DestinationHost),
    ("port", Variable::Port),
    ("domain", Variable::Domain),
    ("fake_ip", Variable::FakeIp),
    ("ip", Variable::Ip),
    ("country", Variable::Country),
    ("asn", Variable::Asn),
    ("local", Variable::Local),
    ("protocol", Variable::Protocol),
    ("alpn", Variable::Alpn),
    ("tls.alpn", Variable::Alpn),
    ("tls.sni", Variable::Sniffed),
    ("http.host", Variable::Sniffed),
    ("tls.ech", Variable::Ech),
    ("tls.version", Variable::Number(NumberField::TlsVersion)),
    ("quic.version", Variable::Number(NumberField::QuicVersion)),
    ("dns.type", Variable::Number(NumberField::DnsType)),
    ("dscp", Variable::Number(NumberField::Dscp)),
    ("user_agent", Variable::UserAgent),
    ("http.user_agent", Variable::UserAgent),
    ("method", Variable::Method),
    ("http.method", Variable::Method),
    ("ssh.software", Variable::SshSoftware),
    ("process.name", Variable::Process(ProcessPart::Name)),
    ("process.path", Variable::Process(ProcessPart::Path)),
    (
        "process.cmdline",
        Variable::Process(ProcessPart::CommandLine),
    ),
    ("process.pid", Variable::Process(ProcessPart::Pid)),
    ("process.user", Variable::Process(ProcessPart::User)),
    ("process.cgroup", Variable::Process(ProcessPart::Cgroup)),
    ("process.unit", Variable::Process(ProcessPart::Unit)),
    ("process.tag", Variable::Process(ProcessPart::Tag)),
    ("process.serves", Variable::Serves),
    ("process.parents", Variable::Process(ProcessPart::Parents)),
    (
        "process.parent.name",
        Variable::Process(ProcessPart::Parent(0, ParentPart::Name)),
    ),
    (
        "process.parent_name",
        Variable::Process(ProcessPart::Parent(0, ParentPart::Name)),
    ),
    (
        "process.parent.path",
        Variable::Process(ProcessPart::Parent(0, ParentPart::Path)),
    ),
    (
        "process.parent.pid",
        Variable::Process(ProcessPart::Parent(0, ParentPart::Pid)),
    ),
    ("time.hms_ms", Variable::Time(TimePart::HmsMillis)),
    ("time.hms", Variable::Time(TimePart::Hms)),
    ("time.date", Variable::Time(TimePart::Date)),
    ("time.rfc3339", Variable::Time(TimePart::Whole)),
];

impl Variable {
    /// The variable of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if let Some((_, variable)) = VARIABLES.iter().find(|(known, _)| *known == name) {
            return Some(*variable);
        }
        let (number, part) = name.strip_prefix("process.parents.")?.split_once('.')?;
        if !number.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let part = match part {
            "name" => ParentPart::Name,
            "path" => ParentPart::Path,
            "pid" => ParentPart::Pid,
            _ => return None,
        };
        let number = number.parse().ok()?;
        Some(Self::Process(ProcessPart::Parent(number, part)))
    }
}

impl TimePart {
    /// The part of an RFC 3339 time with milliseconds; `None` where it is none.
    pub(crate) fn of(self, time: &str) -> Option<&str> {
        match self {
            Self::Date => time.get(0..10),
            Self::Hms => time.get(11..19),
            Self::HmsMillis => time.get(11..23),
            Self::Whole => (!time.is_empty()).then_some(time),
        }
    }
}

impl Template {
    /// Parses a message: text, and variables in braces (`{addr.dst}`).
    ///
    /// # Errors
    /// [`BadTemplate`] for an unknown variable or a brace that is not closed.
    pub fn parse(raw: &str) -> Result<Self, BadTemplate> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = raw;
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            let tail = &rest[at + 1..];
            let closes = rest[at..].starts_with('}');
            if closes || tail.starts_with('{') {
                let brace = if closes { '}' } else { '{' };
                text.push(brace);
                rest = tail.strip_prefix(brace).unwrap_or(tail);
                continue;
            }
            let Some((name, after)) = tail.split_once('}') else {
                let before = raw.len() - rest.len() + at;
                return Err(BadTemplate::Unclosed(raw[..before].chars().count() + 1));
            };
            let name = name.trim();
            if Variable::parse(name).is_none() {
                return Err(BadTemplate::UnknownVariable(name.to_owned()));
            }
            if !text.is_empty() {
                parts.push(TemplatePart::Text(std::mem::take(&mut text).into()));
            }
            parts.push(TemplatePart::Variable(name.into()));
            rest = after;
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(TemplatePart::Text(text.into()));
        }
        Ok(Self(parts))
    }

    /// The variables, in order, as often as they are used.
    pub fn variables(&self) -> impl Iterator<Item = Variable> {
        self.0.iter().filter_map(|part| match part {
            TemplatePart::Text(_) => None,
            TemplatePart::Variable(name) => Variable::parse(name),
        })
    }

    /// The message, with `value` for each variable and `N/A` where it has none.
    pub fn render(&self, mut value: impl FnMut(Variable) -> Option<Arc<str>>) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                TemplatePart::Text(text) => out.push_str(text),
                TemplatePart::Variable(name) => match Variable::parse(name).and_then(&mut value) {
                    Some(text) => out.push_str(&text),
                    None => out.push_str("N/A"),
                },
            }
        }
        out
    }
}

/// As written: what [`Template::parse`] takes.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                TemplatePart::Text(text) => {
                    f.write_str(&text.replace('{', "{{").replace('}', "}}"))?;
                }
                TemplatePart::Variable(name) => write!(f, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_print_back_and_render() {
        let check = |raw: &str, rendered: &str| {
            let template = Template::parse(raw).unwrap();
            assert_eq!(Template::parse(&template.to_string()).unwrap(), template);
            let value = |v| (v != Variable::Port).then(|| "x".into());
            assert_eq!(template.render(value), rendered, "{raw}");
        };
        check("", "");
        check("plain", "plain");
        check("[{time.hms_ms}] to {addr.dst}", "[x] to x");
        check("{port}", "N/A");
        check("{{port}} {port}}", "{port} N/A}");
        check("}", "}");
        check("{ process.parents.12.name }", "x");
    }

    #[test]
    fn mistakes_are_found_at_load() {
        let check = |raw: &str, expected: BadTemplate| {
            assert_eq!(Template::parse(raw).unwrap_err(), expected, "{raw}");
        };
        let unknown = |name: &str| BadTemplate::UnknownVariable(name.to_owned());
        check("{proces.name}", unknown("proces.name"));
        check("{}", unknown(""));
        check(
            "{process.parents.x.name}",
            unknown("process.parents.x.name"),
        );
        check(
            "{process.parents.+1.name}",
            unknown("process.parents.+1.name"),
        );
        check(
            "{process.parents.1.user}",
            unknown("process.parents.1.user"),
        );
        check("é {port", BadTemplate::Unclosed(3));
        check("{{ {", BadTemplate::Unclosed(4));
    }

    #[test]
    fn every_name_is_told_once() {
        for (at, (name, _)) in VARIABLES.iter().enumerate() {
            assert!(
                VARIABLES[..at].iter().all(|(other, _)| other != name),
                "{name}"
            );
        }
    }

    proptest::proptest! {
        /// Any text is a template or a clear mistake, and a template prints back as itself.
        #[test]
        fn any_text_is_read(raw in "([{}a. ]|\\{port\\}|process\\.parents\\.[0-9]{0,30}\\.name){0,12}") {
            if let Ok(template) = Template::parse(&raw) {
                let printed = template.to_string();
                proptest::prop_assert_eq!(Template::parse(&printed).unwrap(), template);
            }
        }
    }
}
