//! Where a name is asked is where its flows leave.
//!
//! Invariant: an upstream is chosen only where the rules refuse every flow to the name, whatever its port and its program, or
//! have it leave by an outbound that asks there; else the one for undecided names, and nobody where there is none. (What
//! stands above the rules, such as the guard of a proxy's own program, is not looked at.)

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use pointsman_policy::model::Origin;
use pointsman_policy::{Action, Agreement, Domain, End, OutboundId, Policy, Possible};
use pointsman_spec::dns::FollowSpec;
use quick_cache::sync::Cache;

use crate::spec::Number;

/// Names whose ends are remembered: to find them, every rule is looked at.
const REMEMBERED: usize = 16_384;

/// The way to follow, and what is known of it.
#[derive(Debug)]
pub(super) struct Follow {
    spec: FollowSpec,
    /// Whether the policy looks at clients' addresses, which takes a look at every rule.
    looks: ArcSwapOption<(Number, bool)>,
    /// By generation: a rule set may change in between.
    known: Cache<(Number, Domain, Option<IpAddr>), Followed>,
}

/// Who is asked for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    /// That upstream, by its number.
    Ask(usize),
    /// All flows to it are refused, and how, and by which rule first.
    Refused(Action, Option<Origin>),
    /// Nobody, and why.
    Nobody(Arc<str>),
}

impl Follow {
    pub(super) fn new(spec: FollowSpec) -> Self {
        Self {
            spec,
            looks: ArcSwapOption::empty(),
            known: Cache::new(REMEMBERED),
        }
    }

    /// Who is asked for that name by that client, where these are the policies of flows.
    pub(super) fn ask(
        &self,
        name: &Domain,
        client: Option<IpAddr>,
        policies: &[Arc<Policy>],
        number: Number,
    ) -> Followed {
        let Some(policy) = policies.get(self.spec.policy.0) else {
            return Followed::Nobody("there is no policy to follow".into());
        };
        let client = client.filter(|_| self.looks_at_clients(policy, number));
        let key = (number, name.clone(), client);
        if let Some(known) = self.known.get(&key) {
            return known;
        }
        let ends = policy.possible_for(name, client);
        let followed = follow(&self.spec, policy, &ends);
        self.known.insert(key, followed.clone());
        followed
    }

    fn looks_at_clients(&self, policy: &Policy, number: Number) -> bool {
        if let Some(known) = &*self.looks.load()
            && known.0 == number
        {
            return known.1;
        }
        let looks = policy.looks_at_clients();
        self.looks.store(Some(Arc::new((number, looks))));
        looks
    }
}

/// What the ends of flows come to.
fn follow(spec: &FollowSpec, policy: &Policy, ends: &[Possible]) -> Followed {
    let ask = |outbound: OutboundId| {
        let at = usize::try_from(outbound.0).ok()?;
        spec.ask.get(at).copied().flatten()
    };
    match policy.agree(ends, ask) {
        Agreement::All(at) => Followed::Ask(at),
        Agreement::Differ(one, other) => match spec.undecided {
            Some(undecided) => Followed::Ask(undecided),
            None => {
                let (one, other) = (told(policy, one), told(policy, other));
                let why = format!(
                    "its flows may leave {one} or {other}, and `dns.undecided` names nobody"
                );
                Followed::Nobody(why.into())
            }
        },
        Agreement::Nobody(end) => {
            let why = format!(
                "`dns.ask` names nobody for flows that leave {}",
                told(policy, end)
            );
            Followed::Nobody(why.into())
        }
        Agreement::Refused(action) => {
            let first = ends.first().and_then(|end| end.rule.clone());
            Followed::Refused(action, first)
        }
    }
}

/// An end for people: `by privacy (AND, [DST-PORT,443], ...)`.
fn told(policy: &Policy, possible: &Possible) -> String {
    let name = match possible.end {
        End::To(outbound) => policy
            .outbounds
            .get(usize::try_from(outbound.0).unwrap_or(usize::MAX))
            .map_or("?", |it| &it.name),
        End::NoRoute | End::Refused => "nowhere",
    };
    match &possible.rule {
        Some(rule) => format!("by {name} ({}:{} {})", rule.file, rule.line, rule.text),
        None => format!("by {name}"),
    }
}
