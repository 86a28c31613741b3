//! What is wrong with a DNS server that reads well: rules that no query meets, and upstreams that are the server itself.

use std::net::IpAddr;

use pointsman_policy::condition::{AddressOf, Side, ZoneOf};
use pointsman_policy::model::each_node;
use pointsman_policy::{Condition, Need, Node as PolicyNode};

use super::dns::Dns;
use super::policies::line;
use crate::name_server::{listens, reached};
use crate::problem::{Problems, Span};
use crate::setup::{DnsSpec, DoorSpec, NameServer, Written};

/// Warns of rules that ask for what no query has.
pub(super) fn unmet(steps: &[PolicyNode], place: &Span, problems: &mut Problems) {
    each_node(steps, &mut |step| {
        let Some((condition, origin)) = step.condition().zip(step.origin()) else {
            return;
        };
        if let Some(what) = lacking(condition) {
            let span = line(place, origin).of_rule(&origin.text);
            let message = format!("a query has no {what}: this rule never holds");
            problems.warning("never-given", &span, message).hint =
                Some("rules for names see the name, the client's address and the listener".into());
        }
    });
}

/// What a condition wants that no query has, so that it never holds.
fn lacking(condition: &Condition) -> Option<&'static str> {
    match condition {
        Condition::And(all) => all.iter().find_map(lacking),
        Condition::Or(any) => {
            let first = any.first().and_then(lacking);
            first.filter(|_| any.iter().all(|it| lacking(it).is_some()))
        }
        Condition::Address {
            of: AddressOf::Destination,
            ..
        }
        | Condition::Asn(..)
        | Condition::Country(..)
        | Condition::Zone(ZoneOf::Address, ..) => Some("address where it goes"),
        Condition::Port {
            side: Side::Destination,
            ..
        } => Some("port"),
        Condition::Protocol(_) => Some("first bytes"),
        Condition::Text(field, _) => match field.need() {
            Some(Need::Sniff) => Some("first bytes"),
            Some(_) => Some("program that is known"),
            None => None,
        },
        _ => None,
    }
}

/// Tells upstreams of queries whose server is this DNS server: each question would be the next one. Resolvers of inbounds
/// may ask it.
pub(super) fn circles(
    dns: &Dns<'_>,
    what: &DnsSpec,
    doors: &[Written<DoorSpec>],
    problems: &mut Problems,
) {
    let own = |server: &NameServer| {
        let (NameServer::Tcp(at) | NameServer::Udp(at)) = server else {
            return None;
        };
        let loopback = |address: IpAddr| address.is_loopback();
        let mut doors = doors.iter().filter(|_| at.via.is_none());
        let door = doors.find(|door| listens(&door.what, at.address, loopback))?;
        Some(format!(
            "`{}` listens on {}: it would ask itself",
            door.what.name, at.address
        ))
    };
    let asked = reached(what);
    let resolvers = (0..).zip(&dns.resolvers);
    for (_, resolver) in resolvers.filter(|(at, _)| asked.contains(at)) {
        for message in resolver.servers.iter().filter_map(own) {
            if let Some(span) = &resolver.span {
                problems.error("dns-loop", span, message).hint = Some(
                    "as an upstream of its own it fails every query; `resolver` of an inbound may name it"
                        .into(),
                );
            }
        }
    }
    let mut bootstrap = dns.bootstrap.what.servers.iter();
    if let (Some(message), Some(place)) = (bootstrap.find_map(own), dns.bootstrap_place) {
        problems.error("dns-loop", &place.span, message).hint =
            Some("name a server that is asked first by its address".into());
    }
}
