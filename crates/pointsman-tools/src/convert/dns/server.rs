//! The DNS server in the native language: where it listens, whom it may ask, and its rules.
//!
//! Invariant: a name is asked of the same servers by the same way as before, or the report says which are not.

use std::collections::HashSet;

use super::servers;
use crate::convert::Report;
use crate::convert::emit::{Map, Page, list, quoted, ranges};
use crate::convert::policies::ZoneSets;
use pointsman_config::list_print::as_list;
use pointsman_config::setup::{
    DnsEnd, DnsServer, DnsSpec, DoorSpec, NameServer, UpstreamSpec, Written,
};
use pointsman_config::tree::print::as_tree;

/// What is written of a DNS server.
pub(in crate::convert) struct Served {
    listen: String,
    /// Names and values.
    pub(super) upstreams: Vec<(String, String)>,
    /// The key of its rules, and these.
    rules: (&'static str, String),
}

impl Served {
    /// `names` are those of the outbounds, by number; `zones` are the sets that stand for the original's zones.
    pub(in crate::convert) fn new(
        server: &DnsServer,
        names: &[String],
        zones: &ZoneSets,
        report: &mut Report,
    ) -> Self {
        // Only the native language has fixed addresses, limits, times and a policy of flows for it, and stays as it is written.
        let DnsSpec {
            policy,
            answers: _,
            ends,
            upstreams,
            asks_for_local_names,
            follow: _,
            hosts: _,
            fake: _,
            limits: _,
        } = &server.what;
        let own = called(upstreams, names);
        let words: Vec<String> = ends.iter().map(|end| word(*end, &own)).collect();
        let policy = zones.rewritten(policy, &words, report);
        let rules = match as_list(&policy) {
            Ok(rules) => ("rules:", rules),
            Err(_unsayable) => ("policy: |", as_tree(&policy)),
        };
        if *asks_for_local_names {
            let place = format!("{}:{}", server.span.file(), server.span.line());
            report.lost(place, LOCAL_NAMES);
        }
        let values = upstreams.iter().zip(&own);
        let values = values.map(|(upstream, own)| servers(&upstream.servers, names, own, report));
        let values: Vec<String> = values.collect();
        Self {
            listen: doors(&server.doors),
            upstreams: own.into_iter().zip(values).collect(),
            rules,
        }
    }

    pub(super) fn listen(&self, section: &mut Map) {
        section.raw("listen", &*self.listen);
    }

    /// Writes the rules, which stand at the end of the section.
    pub(in crate::convert) fn rules(&self, page: &mut Page) {
        let (key, rules) = &self.rules;
        page.line(1, key);
        page.block(2, rules);
    }
}

/// What the server does with names that mean nothing to the world.
pub(in crate::convert) const LOCAL_NAMES: &str = "the DNS server itself answers names that mean nothing to the world (`printer.local`, `router`, reverse names of private \
     addresses), unless a rule of `dns.rules` sends them: the original asked its name servers for them";

/// Upstreams by the way to them: `by-privacy`, `directly`.
fn called(upstreams: &[UpstreamSpec], names: &[String]) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut called = Vec::new();
    for upstream in upstreams {
        let via = upstream.servers.iter().find_map(NameServer::via);
        let via = via.and_then(|id| names.get(id.0 as usize));
        let wanted = via.map_or_else(|| "directly".to_owned(), |via| format!("by-{via}"));
        let mut name = wanted.clone();
        let mut number = 2;
        while !taken.insert(name.to_lowercase()) {
            name = format!("{wanted}-{number}");
            number += 1;
        }
        called.push(name);
    }
    called
}

/// How rules name an end.
fn word(end: DnsEnd, upstreams: &[String]) -> String {
    let word = match end {
        DnsEnd::Ask(at) => upstreams.get(at).map_or("refused", String::as_str),
        DnsEnd::Drop => "drop",
        DnsEnd::Fake => "fake",
        DnsEnd::Follow => "follow",
        DnsEnd::NoData => "nodata",
        DnsEnd::NoName => "nxdomain",
        DnsEnd::Pass => "pass",
        DnsEnd::Refused => "refused",
        DnsEnd::Zero => "zero",
    };
    word.to_owned()
}

/// One listener, or a list of them.
fn doors(doors: &[Written<DoorSpec>]) -> String {
    let items = doors.iter().filter_map(|door| listener(&door.what));
    let items: Vec<String> = items.collect();
    match items.as_slice() {
        [one] => one.clone(),
        _ => list(items),
    }
}

fn listener(door: &DoorSpec) -> Option<String> {
    // TCP is opened with it.
    let at = door.listen.iter().find(|listen| listen.at.is_udp())?;
    let address = quoted(&at.at.to_string());
    Some(match &door.admits.allow {
        None => address,
        Some(allowed) => {
            let mut map = Map::default();
            map.raw("address", address).raw("allow", ranges(allowed));
            map.flow()
        }
    })
}
