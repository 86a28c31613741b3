//! What a way to a name server is, whatever generation it is of and whatever number its outbound has there.
//!
//! Invariant: two ways are equal only where they were defined by equal words: by other hops, servers, accounts or links it
//! is another way. Passwords are not part of it: another password is the same account.

use std::sync::Arc;

use pointsman_policy::{Host, OutboundId};
use pointsman_spec::address::{Server, Uplink};
use pointsman_spec::outbound::{Carrier, Group, How, Kind, Outbound, Protocol, Upstream};
use pointsman_spec::resolver::NameServer;

use crate::lookup::{Picks, Transport};

/// A way as it is defined; from here where it has no parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Way(Arc<[Part]>);

/// An outbound of a way, in front of those that stand within it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Chain(usize),
    Direct(Uplink),
    /// Its name is what it is selected by.
    Group(Arc<str>, usize, Uplink),
    /// The place of the part that defines it: groups may share members.
    Known(usize),
    Other(String),
    Server(Spoken, Host, u16, Option<Arc<str>>, Uplink),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Spoken {
    HttpConnect,
    Socks5,
}

impl Way {
    /// The way by `via`, one of `outbounds`.
    pub(super) fn new(via: Option<OutboundId>, outbounds: &[Outbound]) -> Self {
        let (mut parts, mut seen) = (Vec::new(), Vec::new());
        // Those that are still to be described, the next one last.
        let mut left: Vec<OutboundId> = via.into_iter().collect();
        while let Some(id) = left.pop() {
            let known = seen.iter().position(|before| *before == id);
            seen.push(id);
            let outbound = usize::try_from(id.0).ok().and_then(|at| outbounds.get(at));
            parts.push(match (known, outbound) {
                (Some(at), _) => Part::Known(at),
                (None, None) => Part::Other(format!("no outbound {}", id.0)),
                (None, Some(outbound)) => part(outbound),
            });
            if let (None, Some(outbound)) = (known, outbound)
                && let Kind::Through(within)
                | Kind::Choose(Group {
                    members: within,
                    how: How::Selected { .. },
                }) = &outbound.kind
            {
                left.extend(within.iter().rev());
            }
        }
        Self(parts.into())
    }
}

fn part(outbound: &Outbound) -> Part {
    match &outbound.kind {
        Kind::Through(hops) => Part::Chain(hops.len()),
        Kind::Carry(Carrier::Direct(uplink)) => Part::Direct(uplink.clone()),
        Kind::Carry(Carrier::Upstream(upstream)) => server(upstream),
        Kind::Choose(Group {
            members,
            how: How::Selected { uplink },
        }) => Part::Group(Arc::clone(&outbound.name), members.len(), uplink.clone()),
        Kind::NotYet { kind, .. } => Part::Other(kind.to_string()),
        // Ways to no name server.
        other @ (Kind::Carry(Carrier::Target(_))
        | Kind::Choose(Group {
            how: How::Balanced(_),
            ..
        })
        | Kind::Refuse(_)) => Part::Other(format!("{other:?}")),
    }
}

fn server(upstream: &Upstream) -> Part {
    let Upstream {
        server: Server { host, port },
        uplink,
        protocol,
        // Neither changes where a stream gets to.
        carries_udp: _,
        served_by: _,
    } = upstream;
    let spoken = match protocol {
        Protocol::HttpConnect(_) => Spoken::HttpConnect,
        Protocol::Socks5(_) => Spoken::Socks5,
    };
    let user = protocol.credentials().map(|login| Arc::clone(&login.user));
    Part::Server(spoken, host.clone(), *port, user, uplink.clone())
}

/// A name server, and the way to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reached {
    server: NameServer,
    way: Way,
    /// What groups on the way had selected.
    picks: Picks,
}

impl Reached {
    /// As the configuration says, whatever is selected.
    pub(super) fn defined(server: &NameServer, outbounds: &[Outbound]) -> Self {
        Self {
            way: Way::new(server.via(), outbounds),
            server: server.without_way(),
            picks: Picks::new(),
        }
    }

    /// As it is reached now; `server` is the one that this was defined by.
    pub(super) fn now(&self, server: &NameServer, transport: &dyn Transport) -> Self {
        let picks = server.via().map(|via| transport.picks(via));
        Self {
            picks: picks.unwrap_or_default(),
            ..self.clone()
        }
    }

    /// Whether somebody may select another way to it.
    pub(super) fn is_by_choice(&self) -> bool {
        let is_group = |part: &Part| matches!(part, Part::Group(..));
        self.way.0.iter().any(is_group)
    }

    pub(super) fn is_defined_as(&self, other: &Self) -> bool {
        self.server == other.server && self.way == other.way
    }
}

#[cfg(test)]
mod tests {
    use pointsman_spec::login::{Credentials, Secret};
    use pointsman_spec::outbound::Refusal;

    use super::*;

    fn outbound(name: &str, kind: Kind) -> Outbound {
        Outbound {
            name: name.into(),
            kind,
        }
    }

    fn proxy(host: &str, user: &str, password: &str) -> Kind {
        let login = Credentials {
            user: user.into(),
            password: Secret::new(password),
        };
        Kind::Carry(Carrier::Upstream(Upstream::new(
            Server {
                host: Host::parse(host).unwrap(),
                port: 1080,
            },
            Protocol::Socks5(Some(login)),
        )))
    }

    fn direct(source: u8) -> Kind {
        Kind::Carry(Carrier::Direct(Uplink {
            source: Some([127, 0, 0, source].into()),
            ..Uplink::default()
        }))
    }

    #[test]
    fn a_way_is_what_its_outbounds_are_and_not_their_numbers() {
        let way = |at: u32, outbounds: &[Outbound]| Way::new(Some(OutboundId(at)), outbounds);
        let chain = |hops: [u32; 2]| Kind::Through(hops.map(OutboundId).into());
        let first = [
            outbound("a", proxy("a.test", "u", "p")),
            outbound("b", direct(1)),
            outbound("c", chain([1, 0])),
        ];
        let moved = [
            outbound("c", chain([2, 1])),
            outbound("other name", proxy("a.test", "u", "another")),
            outbound("b", direct(1)),
        ];
        assert_eq!(way(2, &first), way(0, &moved));
        assert_eq!(way(1, &first), way(2, &moved));
        for other in [
            way(1, &[outbound("", chain([0, 0])), first[0].clone()]),
            way(1, &first),
            Way::new(None, &first),
            way(9, &first),
        ] {
            assert_ne!(way(2, &first), other);
        }
        let one = |kind| way(0, &[outbound("a", kind)]);
        let a = one(proxy("a.test", "u", "p"));
        assert_ne!(a, one(proxy("b.test", "u", "p")));
        assert_ne!(a, one(proxy("a.test", "v", "p")));
        assert_ne!(one(direct(1)), one(direct(2)));
        let refuses = |how| one(Kind::Refuse(how));
        assert_ne!(refuses(Refusal::Reject), refuses(Refusal::Reset));
    }

    #[test]
    fn groups_that_share_members_are_described_once() {
        // Sixteen groups of the next one twice: 65,536 ways.
        let mut outbounds: Vec<Outbound> = (0..16)
            .map(|n| {
                let members = vec![OutboundId(n + 1), OutboundId(n + 1)];
                let group = Group {
                    members,
                    how: How::Selected {
                        uplink: Uplink::default(),
                    },
                };
                outbound(&n.to_string(), Kind::Choose(group))
            })
            .collect();
        outbounds.push(outbound("end", direct(1)));
        assert_eq!(Way::new(Some(OutboundId(0)), &outbounds).0.len(), 33);
    }
}
