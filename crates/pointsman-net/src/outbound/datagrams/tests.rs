//! What carries UDP is the same for the data plane and for explanations.

use std::num::NonZeroUsize;

use pointsman_policy::guard;
use pointsman_policy::model::udp::no_udp;
use pointsman_spec::outbound::{Balancing, Outbound, Protocol, Refusal, Upstream};

use super::*;
use crate::case::stage::{Slow, Stage};

fn upstream(protocol: Protocol, carries_udp: bool) -> Kind {
    let server = pointsman_spec::address::Server {
        host: Host::parse("192.0.2.1").unwrap(),
        port: 1080,
    };
    Kind::Carry(Carrier::Upstream(Upstream {
        carries_udp,
        ..Upstream::new(server, protocol)
    }))
}

fn group(members: &[u32]) -> Kind {
    Kind::Choose(Group {
        members: members.iter().copied().map(OutboundId).collect(),
        how: How::Selected {
            uplink: Uplink::default(),
        },
    })
}

fn chain(hops: &[u32]) -> Kind {
    Kind::Through(hops.iter().copied().map(OutboundId).collect())
}

fn not_yet(carries_udp: bool) -> Kind {
    Kind::NotYet {
        kind: "wireguard".into(),
        carries_udp,
    }
}

/// One of each kind, and what they are put together to.
fn kinds() -> Vec<Kind> {
    let balanced = Kind::Choose(Group {
        members: vec![OutboundId(0)],
        how: How::Balanced(Balancing::default()),
    });
    vec![
        Kind::direct(),
        upstream(Protocol::Socks5(None), true),
        upstream(Protocol::Socks5(None), false),
        // What a dialect may say of it changes nothing.
        upstream(Protocol::HttpConnect(None), true),
        balanced,
        not_yet(true),
        not_yet(false),
        Kind::Refuse(Refusal::Reject),
        group(&[1, 3]),
        group(&[3, 1]),
        group(&[2, 9]),
        chain(&[1, 1]),
        chain(&[0, 1]),
        chain(&[1, 3]),
        chain(&[1, 8, 1]),
        chain(&[1, 9]),
        chain(&[11, 15]),
        group(&[13]),
    ]
}

#[test]
fn explanations_refuse_for_udp_what_the_data_plane_refuses() {
    let outbounds = (0..).zip(kinds()).map(|(at, kind)| Outbound {
        name: format!("{at}").into(),
        kind,
    });
    let outbounds: Vec<_> = outbounds.collect();
    let count = outbounds.len();
    let names = Slow {
        waits: 0,
        address: IpAddr::from([192, 0, 2, 7]),
    };
    let stage = Stage::with(outbounds, Vec::new(), names);
    let ways = Ways::new(stage.shared.clone(), stage.generation.clone());
    let infos = stage.generation.spec().policies[0].outbounds.clone();
    for selected in [None, NonZeroUsize::new(1)] {
        for group in infos.iter() {
            let member = |members: &[OutboundId]| members.get(selected?.get()).copied();
            if let pointsman_policy::model::OutboundKind::Group(members) = &group.kind
                && let Some(member) = member(members)
            {
                let name = infos[member.0 as usize].name.clone();
                stage.shared.select(group.name.clone(), name);
            }
        }
        let member = |id: OutboundId| ways.pick(id).groups.first().map(|(_, member)| *member);
        let mut refused = 0;
        for id in (0..).take(count).map(OutboundId) {
            let pick = ways.pick(id);
            let told = no_udp(&infos, id, &member);
            let told = told.map(|it| guard::no_udp(&infos[it.outbound.0 as usize].name, it.why));
            let done = match ways.datagram_way(&pick) {
                Err(error @ DialError::NoDatagrams { .. }) => error.refused(),
                // Those refuse flows over TCP as well, and are told so.
                Err(DialError::NotYet { .. } | DialError::Refuses { .. }) | Ok(_) => None,
                Err(error) => panic!("{id:?}: {error}"),
            };
            assert_eq!(told, done, "{id:?}");
            refused += usize::from(told.is_some());
        }
        assert!((6..count).contains(&refused), "{refused} of {count}");
    }
}

/// As over TCP: servers behind the nearest hop are reached by that one, whatever they say of an uplink.
#[test]
fn the_nearest_hop_alone_says_by_which_uplink_it_is_left() {
    let by = |interface: &str| Uplink {
        interface: Some(interface.into()),
        ..Uplink::default()
    };
    let mut far = upstream(Protocol::Socks5(None), true);
    if let Kind::Carry(Carrier::Upstream(upstream)) = &mut far {
        upstream.uplink = by("far0");
    }
    let kinds = [
        Kind::direct(),
        far,
        Kind::Carry(Carrier::Direct(by("near0"))),
        chain(&[0, 1]),
        chain(&[2, 1]),
        chain(&[1, 1]),
    ];
    let outbounds = (0..).zip(kinds).map(|(at, kind)| Outbound {
        name: format!("{at}").into(),
        kind,
    });
    let names = Slow {
        waits: 0,
        address: IpAddr::from([192, 0, 2, 7]),
    };
    let stage = Stage::with(outbounds.collect(), Vec::new(), names);
    let ways = Ways::new(stage.shared.clone(), stage.generation.clone());
    let uplink = |id| {
        let way = ways.datagram_way(&ways.pick(OutboundId(id))).unwrap();
        way.uplink().clone()
    };
    assert_eq!(uplink(1), by("far0"));
    assert_eq!(uplink(3), Uplink::default(), "by the routes of this host");
    assert_eq!(uplink(4), by("near0"));
    assert_eq!(uplink(5), by("far0"));
}
