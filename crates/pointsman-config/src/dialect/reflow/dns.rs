//! `dns { ... }`: which zones' names are asked where.
//!
//! Invariant: a name is of one zone, the most specific one that lists it; where `forward` does not name that zone, it is
//! asked as `else` says, whatever wider zone lists it, too.

use std::collections::HashMap;

use pointsman_policy::condition::{Asks, ZoneOf};
use pointsman_policy::model::{Arm, ArmKey, Origin, Select, SelectOn};
use pointsman_policy::zone::Zones;
use pointsman_policy::{Node, Policy};

use super::items::{Dns, Upstream};
use super::server;
use crate::forward::origin;
use crate::name_server::{Ends, door};
use crate::outbounds::Outbounds;
use crate::problem::{Problems, nearest};
use crate::setup::{DnsLimits, DnsServer, Written};
use crate::tree::Name;

/// The server; `None` after an error. `like` has what all policies of the configuration share.
pub(super) fn read(
    dns: &Dns,
    outbounds: &Outbounds,
    zones: &Zones,
    like: &Policy,
    problems: &mut Problems,
) -> Option<DnsServer> {
    let mut ends = Ends::default();
    let mut seen: HashMap<&str, &Name> = HashMap::new();
    let (mut arms, mut otherwise, mut good) = (Vec::new(), None, true);
    for (zone, upstream) in &dns.forward {
        if let Some(first) = seen.get(zone.text.as_str()) {
            let message = format!("the key `{}` is given twice", zone.text);
            let problem = problems.error("duplicate-key", &zone.span, message);
            problem.related = Some((first.span.clone(), "first here".into()));
            good = false;
            continue;
        }
        seen.insert(&zone.text, zone);
        let asked = server(upstream, outbounds, problems);
        let id = match &zone.text {
            text if text == "else" => None,
            text => match zones.domain_zone(text) {
                Some(id) => Some(id),
                None => {
                    unknown(zone, zones, problems);
                    good = false;
                    continue;
                }
            },
        };
        let Some(asked) = asked else {
            good = false;
            continue;
        };
        let place = line(zone, upstream);
        let outbound = ends.ask(&spelled(upstream), vec![asked], DnsLimits::TIMEOUT);
        let leaf = Node::Leaf {
            outbound,
            origin: place.clone(),
        };
        match id {
            None => otherwise = Some(leaf),
            Some(id) => arms.push(Arm {
                key: ArmKey::Zone(id),
                then: leaf,
                origin: place,
            }),
        }
    }
    let (listen, otherwise) = dns.listen.zip(otherwise)?;
    let place = origin(&dns.span, "forward".to_owned());
    let select = Node::Select(Select {
        on: SelectOn::Zone(ZoneOf::Domain, Asks::Never),
        arms,
        origin: place,
    });
    if !listen.ip().is_loopback() {
        let message = format!("anybody who reaches {listen} can ask this DNS server");
        let problem = problems.warning("open-resolver", &dns.span, message);
        problem.hint = Some("listen on 127.0.0.1, or keep others away by a firewall".into());
    }
    let mut what = ends.server(vec![select, otherwise], like);
    // As the original: its `else` is the network's own.
    what.asks_for_local_names = true;
    good.then(|| DnsServer {
        what,
        doors: vec![Written {
            what: door("dns", listen, None),
            span: Some(dns.span.clone()),
        }],
        span: dns.span.clone(),
    })
}

fn unknown(zone: &Name, zones: &Zones, problems: &mut Problems) {
    let message = format!("there is no name zone `{}`", zone.text);
    let names = zones.domain_names().iter().map(|n| &**n);
    let hint = match nearest(&zone.text, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add the file `namezone/{}`", zone.text),
    };
    problems.error("unknown-zone", &zone.span, message).hint = Some(hint);
}

fn line(zone: &Name, upstream: &Upstream) -> Origin {
    let text = format!("{} => {}", zone.text, spelled(upstream));
    origin(&zone.span, text)
}

/// As it is written: `privacy|udp 192.0.2.1:53`.
fn spelled(upstream: &Upstream) -> String {
    let via = upstream.via.as_ref().map(|name| format!("{}|", name.text));
    let kind = if upstream.tcp { "tcp" } else { "udp" };
    format!("{}{kind} {}", via.unwrap_or_default(), upstream.address)
}
