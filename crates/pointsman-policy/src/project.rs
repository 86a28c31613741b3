//! What the kernel could know of a condition by itself, before any program is asked: for a later projection of policies
//! to a packet filter (nftables).
//!
//! Invariant: what is called visible depends on nothing but the first packet of a flow, the socket that sent it, and
//! tables that were handed over before. Where there is doubt it is hidden: then user space decides, which is right
//! though slower. Flows are those that are captured: their destination is an address. Where fake addresses stand for
//! names, what is said of destinations does not hold.

use crate::condition::{AddressOf, Condition, NumberField, TextField, TextTest, ZoneOf};

/// What the kernel would have to look at, in order: of logic it is the last that any part needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Visible {
    /// Nothing: it is the same for all flows.
    Always,
    /// The headers of the first packet.
    Header,
    /// The socket that the packet comes from, too: there is one for flows of this host alone.
    Socket,
    /// A table in which an address of the header is looked up, too: the ranges of a database, a zone or a rule set. Of a
    /// rule set only where that holds nothing but ranges.
    Table,
    /// What the kernel does not know.
    Hidden,
}

impl Condition {
    /// What the kernel would have to look at to know whether it holds.
    #[must_use]
    pub fn visible(&self) -> Visible {
        match self {
            Self::Always | Self::Never => Visible::Always,
            Self::Address { of, .. } => match of {
                AddressOf::Destination | AddressOf::Either | AddressOf::Source => Visible::Header,
                // No way out is chosen yet.
                AddressOf::Outgoing => Visible::Hidden,
            },
            Self::AddressKind(_) | Self::Network(_) | Self::Port { .. } => Visible::Header,
            Self::And(parts) | Self::Or(parts) => {
                let parts = parts.iter().map(Self::visible);
                parts.max().unwrap_or(Visible::Always)
            }
            Self::Not(inner) => inner.visible(),
            Self::Asn(..) | Self::Country(..) | Self::Set(..) => Visible::Table,
            Self::Zone(of, ..) => match of {
                ZoneOf::Address => Visible::Table,
                ZoneOf::Domain => Visible::Hidden,
            },
            Self::Number(field, _) => match field {
                NumberField::Dscp => Visible::Header,
                NumberField::DnsType
                | NumberField::Ech
                | NumberField::Pid
                | NumberField::QuicVersion
                | NumberField::TlsVersion => Visible::Hidden,
            },
            Self::Text(field, test) => text(*field, test),
            // Listeners are ours: a packet that is captured came to none.
            Self::Answer(_) | Self::Inbound { .. } => Visible::Hidden,
            Self::Domain(_) | Self::Protocol(_) => Visible::Hidden,
        }
    }
}

fn text(field: TextField, test: &TextTest) -> Visible {
    let exact = match test {
        TextTest::Exact(_) => true,
        TextTest::AppName(_)
        | TextTest::ExactIgnoreCase(_)
        | TextTest::Keyword(_)
        | TextTest::KeywordIgnoreCase(_)
        | TextTest::Regex(_) => false,
    };
    match field {
        // A socket has its owner's number and its cgroup: one name is one of them.
        TextField::Cgroup | TextField::User if exact => Visible::Socket,
        TextField::Alpn
        | TextField::Cgroup
        | TextField::CommandLine
        | TextField::HttpHost
        | TextField::InboundName
        | TextField::Method
        | TextField::ParentName
        | TextField::ProcessName
        | TextField::ProcessPath
        | TextField::ServerName
        | TextField::SshSoftware
        | TextField::Tag
        | TextField::Unit
        | TextField::User
        | TextField::UserAgent => Visible::Hidden,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::Asks;
    use crate::ids::{SetId, ZoneId};
    use crate::line::{Scope, parse_condition};

    struct All;

    impl Scope for All {
        fn rule_set(&self, _name: &str) -> Option<SetId> {
            Some(SetId(0))
        }
        fn has_country_db(&self) -> bool {
            true
        }
        fn has_asn_db(&self) -> bool {
            true
        }
        fn ip_rules_resolve(&self) -> bool {
            false
        }
    }

    #[test]
    fn what_the_kernel_must_look_at() {
        let check = |line: &str, expected| {
            let condition = parse_condition(line, &All).unwrap();
            assert_eq!(condition.visible(), expected, "{line}");
        };
        for line in ["ALWAYS", "NEVER", "NOT, [ALWAYS]"] {
            check(line, Visible::Always);
        }
        for line in [
            "IP-CIDR, 10.0.0.0/8",
            "SRC-IP-CIDR, 10.0.0.0/8",
            "LOCAL-IP-CIDR, 10.0.0.0/8",
            "DST-ADDR-TYPE, IPV4",
            "NETWORK, udp",
            "DST-PORT, 443/tcp",
            "SRC-PORT, 1000-2000",
            "DSCP, 46",
            "NOT, [DST-PORT, 80]",
            "OR, [DST-PORT, 80], [IP-CIDR, 10.0.0.0/8]",
            "AND, [ALWAYS], [NETWORK, tcp]",
        ] {
            check(line, Visible::Header);
        }
        for line in [
            "PROCESS-USER, backup",
            "PROCESS-CGROUP, /user.slice/x",
            "AND, [DST-PORT, 22], [NOT, [PROCESS-USER, backup]]",
        ] {
            check(line, Visible::Socket);
        }
        for line in [
            "GEOIP, JP",
            "ASN, 13335",
            "RULE-SET, ads",
            "OR, [PROCESS-USER, backup], [GEOIP, JP]",
        ] {
            check(line, Visible::Table);
        }
        for line in [
            "DOMAIN, a.test",
            "OUT-IP-CIDR, 10.0.0.0/8",
            "INBOUND, any",
            "INBOUND-ALIAS, desk",
            "PROTOCOL, tls",
            "TLS-SNI, a.test",
            "TLS-ECH, yes",
            "PROCESS-PID, 7",
            "PROCESS-NAME, curl",
            "PROCESS-UNIT, backup.service",
            // A socket knows a number, of which many names are one each.
            "PROCESS-USER-REGEX, ^svc-",
            "PROCESS-CGROUP-KEYWORD, user",
            "AND, [DST-PORT, 443], [OR, [DOMAIN, a.test], [GEOIP, JP]]",
        ] {
            check(line, Visible::Hidden);
        }
        let zone = |of| Condition::Zone(of, ZoneId(0), Asks::Never).visible();
        assert_eq!(zone(ZoneOf::Address), Visible::Table);
        assert_eq!(zone(ZoneOf::Domain), Visible::Hidden);
    }
}
