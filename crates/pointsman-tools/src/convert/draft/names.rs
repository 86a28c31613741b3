//! The DNS server of a draft, and names that are asked of others than they were.

use std::collections::BTreeMap;

use pointsman_policy::line::word;

use super::{Draft, Part};
use crate::convert::summary::named;

/// A DNS server for others.
pub(in crate::convert) struct Served {
    /// `udp://ADDRESS:PORT`
    pub(in crate::convert) listen: String,
    /// The upstream for names that `domains` does not have.
    pub(in crate::convert) usual: String,
    pub(in crate::convert) place: String,
    /// Before the last.
    pub(super) rules: Vec<NameRule>,
}

/// A rule that sends names to an upstream.
pub(super) struct NameRule {
    pub(super) text: String,
    place: String,
    /// As it was written.
    written: String,
}

impl Served {
    /// One that asks `usual` for all names.
    pub(in crate::convert) fn new(listen: String, usual: &str, place: &str) -> Self {
        Self {
            listen,
            usual: usual.to_owned(),
            place: place.to_owned(),
            rules: Vec::new(),
        }
    }

    /// Whether the names of any rule set have an upstream of their own.
    pub(in crate::convert) fn sends(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Sends the names of a rule set to an upstream, or has them answered here.
    pub(in crate::convert) fn send(
        &mut self,
        set: &str,
        upstream: &str,
        written: &str,
        place: &str,
    ) {
        self.rules.push(NameRule {
            text: format!("RULE-SET, {}, {}", word(set), word(upstream)),
            place: place.to_owned(),
            written: written.to_owned(),
        });
    }
}

impl Draft {
    /// Takes rules for names out, each with the reason why.
    pub(super) fn take_out_names(&mut self, parts: &BTreeMap<Part, String>) {
        let why = parts.get(&Part::Listener);
        if let Some((served, why)) = self.served.take_if(|_| why.is_some()).zip(why) {
            return self.not_served(&served.place, why);
        }
        let Some(served) = &mut self.served else {
            return;
        };
        let usual = served.usual.clone();
        let mut gone = Vec::new();
        let rules = std::mem::take(&mut served.rules);
        for (at, rule) in rules.into_iter().enumerate() {
            let Some(why) = parts.get(&Part::NameRule(at)) else {
                served.rules.push(rule);
                continue;
            };
            let NameRule { place, written, .. } = rule;
            let what = format!("`{written}` is left out ({why}): its names are asked of `{usual}`");
            self.report.lost(place, what);
            gone.push(written);
        }
        self.astray(&gone, &usual);
    }

    /// Says that there is no DNS server though there was one, and why.
    pub(in crate::convert) fn not_served(&mut self, place: &str, why: &str) {
        let what = format!(
            "the DNS server is not carried over ({why}): clients that ask it get no answer"
        );
        self.report.lost(place, what);
        let what = "no DNS server listens: clients that ask it get no answer";
        self.known.changed.push(what.to_owned());
        let what = "write where the DNS server is to listen, for the clients that ask it: `dns: { listen: \"udp://ADDRESS\" }`";
        self.known.next.push(what.to_owned());
    }

    /// Says once what answers questions that programs sent anywhere, and that are refused here.
    pub(in crate::convert) fn may_listen(&mut self, usual: &str) {
        let what = format!(
            "where programs had their DNS questions answered on the way, let Pointsman be their DNS server: `dns: {{ listen: \
             \"udp://127.0.0.1:53\", rules: [\"FALLBACK, {usual}\"] }}`"
        );
        if !self.known.next.contains(&what) {
            self.known.next.push(what);
        }
    }

    /// Says of names which rules sent to name servers of their own that they are asked of another one.
    pub(in crate::convert) fn astray(&mut self, rules: &[String], usual: &str) {
        if rules.is_empty() {
            return;
        }
        let rules = named(rules.iter().map(|rule| format!("`{rule}`")));
        self.known.changed.push(format!(
            "`{usual}` is asked for names that went to other name servers, and learns of them: {rules}"
        ));
        let rules = format!("rules: [\"RULE-SET, NAME, UPSTREAM\", \"FALLBACK, {usual}\"]");
        self.known.next.push(match self.served {
            Some(_) => format!("to send such names elsewhere, write rules on rule sets: `dns: {{ {rules} }}`"),
            None => format!(
                "to send such names elsewhere, let Pointsman be the DNS server of your programs, with rules on rule sets: \
                 `dns: {{ listen: \"udp://127.0.0.1:53\", {rules} }}`"
            ),
        });
    }
}
