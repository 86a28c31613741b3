//! What a summary says of who looks up names, and of the DNS server.

use std::collections::BTreeSet;

use super::{Converted, End, Summary, named};
use crate::convert::dns::LOCAL_NAMES;
use pointsman_config::setup::{DnsEnd, DnsSpec, NameServer, ResolverId};
use pointsman_policy::fact::{Fact, Facts};
use pointsman_policy::{OutboundId, Step};

impl Converted<'_> {
    /// Who looks up the names of what goes direct, and of what rules on addresses ask.
    pub(super) fn names(&self, summary: &mut Summary) {
        let inbounds = self.setup.inbounds.iter();
        let resolvers: BTreeSet<Option<usize>> = inbounds
            .map(|inbound| inbound.resolver.or(self.setup.server_resolver))
            .map(|id| id.map(|ResolverId(number)| number))
            .collect();
        for number in resolvers {
            let servers = match number {
                None => &[NameServer::System][..],
                Some(number) => self
                    .setup
                    .resolvers
                    .get(number)
                    .map_or(&[][..], |resolver| &resolver.servers),
            };
            let answering: Vec<String> = servers.iter().filter_map(|s| self.answers(s)).collect();
            if answering.is_empty() {
                summary.changed.push(
                    "names get no address, because no name server of the result is built and can be reached: what goes direct \
                     by name fails, and no rule on addresses holds for a name"
                        .to_owned(),
                );
                summary.next.push(
                    "write a name server that answers under `dns.upstreams`: `udp://ADDRESS`, `tls://NAME`, or `system` for \
                     those of this host"
                        .to_owned(),
                );
                continue;
            }
            if self.known.in_clear.is_empty() {
                let by = named(answering);
                let what = format!("names of what goes direct are looked up by {by}");
                summary.works.push(what);
            }
        }
        if !self.known.silent.is_empty() {
            let silent = self.known.silent.iter().map(|name| format!("`{name}`"));
            summary.changed.push(format!(
                "names that are asked of these name servers get no answer: {}",
                named(silent)
            ));
        }
        if !self.known.in_clear.is_empty() {
            let all = self.known.in_clear.keys().map(|who| format!("{who} asked"));
            summary.changed.push(format!(
                "names that were looked up over encrypted DNS are looked up without encryption: {}",
                named(all)
            ));
        }
        if self.known.in_clear.values().any(|proxied| !proxied) {
            summary.next.push(
                "to hide which names are looked up, write a name server that is reached by a proxy under \
                 `dns.upstreams`: `{ address: \"tcp://ADDRESS\", via: PROXY }`"
                    .to_owned(),
            );
        }
    }

    /// Who answers queries.
    pub(super) fn served(&self, summary: &mut Summary) {
        let Some(dns) = &self.setup.dns else { return };
        let doors = dns.doors.iter().flat_map(|door| &door.listen);
        let doors = doors.filter(|listen| listen.at.is_udp());
        let doors = named(doors.map(|listen| format!("`{}`", listen.at)));
        match self.answers_usually(&dns.what) {
            true => summary.works.push(format!("the DNS server at {doors}")),
            false => summary.changed.push(format!(
                "the DNS server at {doors} has no answer for names that are not sent elsewhere, because no name server that it asks \
                 for them is built and can be reached"
            )),
        }
        if dns.what.asks_for_local_names {
            summary.changed.push(LOCAL_NAMES.to_owned());
            summary.next.push(
                "where a name server knows such names, send them to it at the head of `dns.rules`: `DOMAIN-SUFFIX, home.arpa, UPSTREAM`"
                    .to_owned(),
            );
        }
    }

    /// Whether anybody answers names that no rule speaks of.
    fn answers_usually(&self, what: &DnsSpec) -> bool {
        let facts = Facts {
            destination: Fact::Absent,
            ..Facts::default()
        };
        let Step::Decided(decision) = what.policy.decide(&facts) else {
            return true;
        };
        let end = decision.outbound.map(|OutboundId(end)| end as usize);
        match end.and_then(|end| what.ends.get(end)) {
            Some(DnsEnd::Ask(at)) => what.upstreams.get(*at).is_some_and(|upstream| {
                let mut servers = upstream.servers.iter();
                servers.any(|server| self.answers(server).is_some())
            }),
            _ => true,
        }
    }

    /// A name server in words, where it can answer.
    fn answers(&self, server: &NameServer) -> Option<String> {
        let url = match server {
            NameServer::Https(at) => format!("https://{}{}", at.server, at.path),
            NameServer::NotYet(_) => return None,
            NameServer::System => return Some("the system's resolver".to_owned()),
            NameServer::Tcp(place) => format!("tcp://{place}"),
            NameServer::Tls(at) => format!("tls://{}", at.server),
            NameServer::Udp(place) => format!("udp://{place}"),
        };
        match server.via() {
            Some(via) if self.end(via).1 != End::Goes => None,
            Some(via) => Some(format!("`{url}` by way of `{}`", self.name(via))),
            None => Some(format!("`{url}`")),
        }
    }
}
