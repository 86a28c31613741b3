//! Ways out, in sorts: what refuses, what chooses, what goes through others, what carries.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::model::udp::{NOT_SAID, Udp};
use pointsman_policy::{Action, OutboundId};

use crate::address::{Server, Uplink};
use crate::login::Credentials;
use crate::target::Target;

/// A way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// As the configuration spells it.
    pub name: Arc<str>,
    /// What it is.
    pub kind: Kind,
}

/// What a way out is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It carries flows.
    Carry(Carrier),
    /// A group: one of its members.
    Choose(Group),
    /// A type that is not built yet: refuses every flow.
    NotYet {
        /// Its type's name.
        kind: Arc<str>,
        /// Whether it will carry UDP.
        carries_udp: bool,
    },
    /// It refuses flows.
    Refuse(Refusal),
    /// A chain: through each hop in turn, nearest first; at least one.
    Through(Vec<OutboundId>),
}

/// How flows are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Silence.
    Blackhole,
    /// The inbound protocol's own refusal.
    Reject,
    /// RST.
    Reset,
}

/// A group: one of its members at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// At least one.
    pub members: Vec<OutboundId>,
    /// Which of them.
    pub how: How,
}

/// How a group chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Members are tried until one is reached; all of them are targets.
    Balanced(Balancing),
    /// The member that somebody selected; the first until somebody does.
    Selected {
        /// How members that are reached directly leave, where the group says so.
        uplink: Uplink,
    },
}

/// How a group tries its members. What of it outlives a reload is known by the group's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balancing {
    /// Which members a flow tries, and in which order.
    pub balance: Balance,
    /// How a flow goes on to the next member.
    pub retry: Retry,
    /// The most flows at once; 0: any number. Those above are refused at once.
    pub connection_limit: usize,
    /// Members are sent datagrams and are heard by nobody: what they answer goes nowhere, and that they do not says
    /// nothing of them.
    pub one_way: bool,
    /// Every flow is refused, for this reason.
    pub not_yet: Option<Arc<str>>,
}

/// Which members a flow tries, and in which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// The next one where the one before cannot be reached.
    Failover,
    /// The first.
    #[default]
    None,
    /// Each in turn; the next one where it cannot be reached.
    RoundRobin,
    /// Each client's address has its own; the next one where it cannot be reached.
    Source,
}

/// How a flow goes on to the next member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The most members that are tried, each with its own attempts; `None`: all.
    pub targets: Option<NonZeroUsize>,
    /// Pause before the second one, doubled before each further one.
    pub pause: Duration,
    /// What that pause grows to at most.
    pub most: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            targets: None,
            // Another target is not the one that is down: there is nothing to wait for.
            pause: Duration::ZERO,
            // A client waits meanwhile.
            most: Duration::from_secs(1),
        }
    }
}

/// What carries flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// From this host.
    Direct(Uplink),
    /// To a place of its own, whatever the flow asks for; for groups that try their members.
    Target(Target),
    /// By a server that is asked to connect.
    Upstream(Upstream),
}

/// A server that is asked to connect to where a flow goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Where it is.
    pub server: Server,
    /// How it is reached.
    pub uplink: Uplink,
    /// What is spoken to it.
    pub protocol: Protocol,
    /// Whether it carries UDP, as far as the configuration says.
    pub carries_udp: bool,
    /// The program of this host that is the server, as far as the configuration says.
    pub served_by: Option<ServedBy>,
}

impl Upstream {
    /// One that is reached by the host's own routes and carries TCP alone; nobody said which program it is.
    #[must_use]
    pub fn new(server: Server, protocol: Protocol) -> Self {
        Self {
            server,
            uplink: Uplink::default(),
            protocol,
            carries_udp: false,
            served_by: None,
        }
    }
}

/// By what the program is told that serves an outbound, and whose own flows are therefore not sent to proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServedBy {
    /// It runs this executable; absolute.
    Program(PathBuf),
    /// It is this user's.
    User(Arc<str>),
}

/// How a server is asked to connect, with what we say there of ourselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP, by CONNECT.
    HttpConnect(Option<Credentials>),
    /// SOCKS5.
    Socks5(Option<Credentials>),
}

impl Protocol {
    /// What we say of ourselves.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        match self {
            Self::HttpConnect(credentials) | Self::Socks5(credentials) => credentials.as_ref(),
        }
    }
}

/// Why no flow over UDP leaves by what belongs to a forward.
const NOT_THERE: &str = "its address is none of UDP";

impl Kind {
    /// From this host, by its own routes.
    #[must_use]
    pub fn direct() -> Self {
        Self::Carry(Carrier::Direct(Uplink::default()))
    }

    /// The group that it is.
    fn group(&self) -> Option<&Group> {
        match self {
            Self::Choose(group) => Some(group),
            Self::Carry(_) | Self::NotYet { .. } | Self::Refuse(_) | Self::Through(_) => None,
        }
    }

    /// The members of a group of which somebody selects one.
    #[must_use]
    pub fn selectable(&self) -> Option<&[OutboundId]> {
        let Group { members, how } = self.group()?;
        matches!(how, How::Selected { .. }).then_some(members)
    }

    /// The members of a group.
    #[must_use]
    pub fn members(&self) -> &[OutboundId] {
        self.group().map_or(&[], |group| &group.members)
    }

    /// How a group tries its members, where it does.
    #[must_use]
    pub fn balancing(&self) -> Option<&Balancing> {
        match &self.group()?.how {
            How::Balanced(balancing) => Some(balancing),
            How::Selected { .. } => None,
        }
    }

    /// The server that is asked to connect, where there is one.
    #[must_use]
    pub fn upstream(&self) -> Option<&Upstream> {
        match self {
            Self::Carry(Carrier::Upstream(upstream)) => Some(upstream),
            Self::Carry(Carrier::Direct(_) | Carrier::Target(_))
            | Self::Choose(_)
            | Self::NotYet { .. }
            | Self::Refuse(_)
            | Self::Through(_) => None,
        }
    }

    /// How it leaves this host, as far as it says so itself.
    #[must_use]
    pub fn uplink(&self) -> Option<&Uplink> {
        match self {
            Self::Carry(Carrier::Direct(uplink))
            | Self::Choose(Group {
                members: _,
                how: How::Selected { uplink },
            }) => Some(uplink),
            Self::Carry(Carrier::Upstream(upstream)) => Some(&upstream.uplink),
            Self::Carry(Carrier::Target(_))
            | Self::Choose(_)
            | Self::NotYet { .. }
            | Self::Refuse(_)
            | Self::Through(_) => None,
        }
    }

    /// What it does to a flow; `None` for a group, whose member decides.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        match self {
            Self::Carry(Carrier::Direct(_) | Carrier::Target(_)) => Some(Action::Direct),
            Self::Carry(Carrier::Upstream(_)) | Self::NotYet { .. } | Self::Through(_) => {
                Some(Action::Proxy)
            }
            Self::Choose(_) => None,
            Self::Refuse(refusal) => Some(refusal.action()),
        }
    }

    /// Whether it carries UDP, as far as the configuration says.
    #[must_use]
    pub fn udp(&self) -> Udp {
        match self {
            Self::Carry(Carrier::Direct(_)) | Self::Refuse(_) => Udp::Carried,
            Self::Carry(Carrier::Target(target)) => match (target.address.is_udp(), target.via) {
                (true, None) => Udp::Carried,
                (true, Some(via)) => Udp::Each([via].into()),
                (false, _) => Udp::Not(NOT_THERE),
            },
            Self::Carry(Carrier::Upstream(upstream)) => match &upstream.protocol {
                Protocol::HttpConnect(_) => Udp::Not("`http` proxies carry no UDP"),
                Protocol::Socks5(_) if !upstream.carries_udp => Udp::Not(NOT_SAID),
                Protocol::Socks5(_) => Udp::Carried,
            },
            Self::Choose(_) => Udp::Carried,
            Self::NotYet { carries_udp, .. } => match carries_udp {
                true => Udp::Carried,
                false => Udp::Not("neither its type nor its settings say that it does"),
            },
            Self::Through(hops) => Udp::Each(hops.as_slice().into()),
        }
    }
}

impl Refusal {
    /// Its word: `reset`, `reject`, `blackhole`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blackhole => "blackhole",
            Self::Reject => "reject",
            Self::Reset => "reset",
        }
    }

    /// The same, as what becomes of flows.
    #[must_use]
    pub fn action(self) -> Action {
        match self {
            Self::Blackhole => Action::Blackhole,
            Self::Reject => Action::Reject,
            Self::Reset => Action::Reset,
        }
    }
}

#[cfg(test)]
mod tests {
    use pointsman_policy::Host;

    use super::*;
    use crate::address::Endpoint;
    use crate::target::Keepalive;

    fn target() -> Target {
        Target {
            address: Endpoint::Fd(3),
            via: None,
            attempts: 1,
            backoff: Duration::ZERO,
            connect_timeout: None,
            resolve_timeout: None,
            read_timeout: None,
            write_timeout: None,
            keepalive: Keepalive::Default,
            families: crate::address::Families::default(),
            proxy_header: false,
        }
    }

    /// What follows from a kind, in words.
    fn told(kind: &Kind) -> String {
        let action = kind.action();
        let action = action.map(|it| format!("{it:?}"));
        let mut words = vec![action.unwrap_or_else(|| "a member's".to_owned())];
        let mut add = |is: bool, word: &str| words.extend(is.then(|| word.to_owned()));
        match kind.udp() {
            Udp::Carried => add(true, "udp"),
            Udp::Each(hops) => add(true, &format!("udp by {} hops", hops.len())),
            Udp::Not(why) => assert!(!why.is_empty()),
        }
        add(kind.selectable().is_some(), "selectable");
        add(kind.balancing().is_some(), "balanced");
        add(kind.upstream().is_some(), "by a server");
        let link = kind.uplink().and_then(|uplink| uplink.mark);
        add(link == Some(7), "with mark");
        let members = kind.members().len();
        add(members > 0, &format!("{members} members"));
        words.join(", ")
    }

    #[test]
    fn each_sort_says_what_follows_from_it() {
        let check = |kind: Kind, expected: &str| assert_eq!(told(&kind), expected, "{kind:?}");
        let uplink = || Uplink {
            mark: Some(7),
            ..Uplink::default()
        };
        let group = |how| {
            let members = vec![OutboundId(0), OutboundId(1)];
            Kind::Choose(Group { members, how })
        };
        let server = || Server {
            host: Host::parse("proxy.test").unwrap(),
            port: 1080,
        };
        let upstream = |upstream| Kind::Carry(Carrier::Upstream(upstream));
        let http = Upstream::new(server(), Protocol::HttpConnect(None));
        let socks = Upstream {
            uplink: uplink(),
            carries_udp: true,
            ..Upstream::new(server(), Protocol::Socks5(None))
        };
        let not_yet = |carries_udp| Kind::NotYet {
            kind: "wireguard".into(),
            carries_udp,
        };
        check(Kind::direct(), "Direct, udp");
        let direct = Kind::Carry(Carrier::Direct(uplink()));
        check(direct, "Direct, udp, with mark");
        check(Kind::Carry(Carrier::Target(target())), "Direct");
        let of_udp = |via| Target {
            address: Endpoint::Udp(server()),
            via,
            ..target()
        };
        let of_udp = |via| Kind::Carry(Carrier::Target(of_udp(via)));
        check(of_udp(None), "Direct, udp");
        check(of_udp(Some(OutboundId(0))), "Direct, udp by 1 hops");
        check(upstream(http), "Proxy, by a server");
        check(upstream(socks), "Proxy, udp, by a server, with mark");
        check(
            group(How::Selected { uplink: uplink() }),
            "a member's, udp, selectable, with mark, 2 members",
        );
        check(
            group(How::Balanced(Balancing::default())),
            "a member's, udp, balanced, 2 members",
        );
        check(not_yet(true), "Proxy, udp");
        check(not_yet(false), "Proxy");
        check(Kind::Through(vec![OutboundId(0)]), "Proxy, udp by 1 hops");
        check(Kind::Refuse(Refusal::Blackhole), "Blackhole, udp");
        check(Kind::Refuse(Refusal::Reject), "Reject, udp");
        check(Kind::Refuse(Refusal::Reset), "Reset, udp");
    }
}
