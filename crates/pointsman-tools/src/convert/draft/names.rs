//! The DNS server of a draft, and names that are asked of others than they were.

use super::Draft;
use crate::convert::summary::named;

/// A DNS server for others.
pub(in crate::convert) struct Served {
    /// `udp://ADDRESS:PORT`
    pub(in crate::convert) listen: String,
    /// The upstream for names that `domains` does not have.
    pub(in crate::convert) usual: String,
    pub(in crate::convert) place: String,
}

impl Draft {
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
