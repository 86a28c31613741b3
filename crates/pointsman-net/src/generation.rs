//! A generation: everything of one configuration that a flow needs, immutable.
//!
//! Invariant: a flow holds one `Arc<Generation>` from accept to end; a reload makes another.
//! Absent: what outlives generations (listeners, live flows, selections): see [`crate::plane`].

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pointsman_os::socket::is_own_address;
use pointsman_policy::model::OutboundKind;
use pointsman_policy::{Action, Node, OutboundId, Policy};
use pointsman_spec::ids::{PolicyId, ResolverId};
use pointsman_spec::limits::Timeouts;
use pointsman_spec::outbound::{Kind, Outbound};
use pointsman_spec::overlap::covers;

use crate::door::Door;
use crate::group::Groups;
use crate::ledger::Rules;
use crate::lookup::Resolve;
use crate::spec::dns::QueryPolicies;
use crate::spec::listening::{ListenerId, Listening};
use crate::spec::{Guard, Number, ServedBy, Spec};

/// Everything of one configuration that a flow needs.
#[derive(Debug)]
pub struct Generation {
    spec: Spec,
    doors: HashMap<ListenerId, Arc<Door>>,
    groups: Arc<Groups>,
    /// Which policies have messages to say.
    speaking: Vec<bool>,
    /// Which policies look at the code point of packets.
    marked: Vec<bool>,
    /// Which policies ask for more of a program than whose it is.
    programs: Vec<bool>,
    /// Those of the guards that concern this host now.
    guards: ArcSwap<Vec<Guard>>,
    rules: Rules,
    listening: Arc<[Listening]>,
}

impl Generation {
    /// `doors` are those of `spec`, each by any number of listeners, and `groups` its groups that try their members.
    pub(crate) fn new(
        spec: Spec,
        doors: HashMap<ListenerId, Arc<Door>>,
        groups: Groups,
        rules: Rules,
        listening: Vec<Listening>,
    ) -> Self {
        let speaking = spec
            .policies
            .iter()
            .map(|policy| policy.body.iter().any(speaks))
            .collect();
        let marked = marked(&spec.policies);
        let programs = programs(&spec.policies);
        Self {
            guards: ArcSwap::from_pointee(of_this_host(&spec.guards)),
            spec,
            doors,
            groups: Arc::new(groups),
            speaking,
            marked,
            programs,
            rules,
            listening: listening.into(),
        }
    }

    /// The same generation with other policies, one for each: what a refreshed rule set needs. Listeners, outbounds
    /// and resolvers stay.
    pub(crate) fn refreshed(
        &self,
        number: Number,
        policies: Vec<Arc<Policy>>,
        of_queries: Option<QueryPolicies>,
        rules: Rules,
    ) -> Self {
        let dns = self.spec.dns.as_ref().zip(of_queries);
        Self {
            marked: marked(&policies),
            programs: programs(&policies),
            guards: ArcSwap::new(self.guards.load_full()),
            spec: Spec {
                number,
                policies,
                dns: dns.map(|(dns, policies)| Arc::new(dns.with_policies(policies))),
                ..self.spec.clone()
            },
            doors: self.doors.clone(),
            groups: Arc::clone(&self.groups),
            speaking: self.speaking.clone(),
            rules,
            listening: Arc::clone(&self.listening),
        }
    }

    /// What an outbound does to a flow; `None` for a group. Of hops that follow each other the policies know whether they
    /// leave this host.
    pub(crate) fn action(&self, id: OutboundId) -> Option<Action> {
        let outbound = self.outbound(id)?;
        let seen = self.spec.policies.first();
        let seen = seen.and_then(|policy| policy.outbounds.get(usize::try_from(id.0).ok()?));
        match (&outbound.kind, seen.map(|seen| &seen.kind)) {
            (Kind::Through(_), Some(OutboundKind::Plain(action))) => Some(*action),
            (kind, _) => kind.action(),
        }
    }

    /// Who of this host serves outbounds.
    pub(crate) fn guards(&self) -> arc_swap::Guard<Arc<Vec<Guard>>> {
        self.guards.load()
    }

    /// Looks anew which guards concern this host: its addresses come and go.
    pub(crate) fn look_at_guards(&self) {
        if !self.spec.guards.is_empty() {
            self.guards.store(Arc::new(of_this_host(&self.spec.guards)));
        }
    }

    /// Its rules, with what they decided.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> Number {
        self.spec.number
    }

    /// All that is listened on: the addresses of inbounds, in order.
    #[must_use]
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// What it was made of.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Where a listener leads in this generation; `None` where it was closed.
    pub(crate) fn door(&self, listener: ListenerId) -> Option<&Arc<Door>> {
        self.doors.get(&listener)
    }

    /// The listener by which clients of that one come in now, who connected to the TCP address `local` of this host: the
    /// same, else the one that listens there in its stead, as where an address was narrowed. `None`: nobody does.
    pub(crate) fn heir(
        &self,
        listener: ListenerId,
        local: Option<SocketAddr>,
    ) -> Option<ListenerId> {
        if self.doors.contains_key(&listener) {
            return Some(listener);
        }
        let local = local?;
        let there = |it: &&Listening| it.reached.is_some_and(|reached| covers(reached, local));
        // As the system does: the one of that very address before one of all.
        let is_wide = |it: &&Listening| it.reached.is_none_or(|at| at.ip().is_unspecified());
        let found = self.listening.iter().filter(there).min_by_key(is_wide);
        found.map(|found| found.id)
    }

    /// Its groups that try their members.
    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The shortest time after which a quiet flow is ended.
    pub(crate) fn shortest_quiet(&self) -> Option<Duration> {
        let Timeouts {
            idle, half_closed, ..
        } = self.spec.timeouts;
        let doors = self.spec.inbounds.iter();
        let own = doors.flat_map(|door| [door.limits.half_closed, door.limits.idle]);
        own.chain([idle, half_closed]).flatten().min()
    }

    /// Whether a policy has messages to say.
    pub(crate) fn speaks(&self, policy: PolicyId) -> bool {
        self.speaking.get(policy.0).copied().unwrap_or(false)
    }

    /// Whether a policy looks at the code point of packets.
    pub(crate) fn reads_dscp(&self, policy: PolicyId) -> bool {
        self.marked.get(policy.0).copied().unwrap_or(false)
    }

    /// Whether a policy asks for more of a program than whose it is.
    pub(crate) fn asks_for_programs(&self, policy: PolicyId) -> bool {
        self.programs.get(policy.0).copied().unwrap_or(false)
    }

    /// The way out of that number.
    pub(crate) fn outbound(&self, id: OutboundId) -> Option<&Outbound> {
        self.spec.outbounds.get(usize::try_from(id.0).ok()?)
    }

    /// The outbound of that name.
    #[must_use]
    pub fn outbound_named(&self, name: &str) -> Option<(OutboundId, &Outbound)> {
        let found = self
            .spec
            .outbounds
            .iter()
            .position(|outbound| *outbound.name == *name)?;
        let id = OutboundId(u32::try_from(found).ok()?);
        Some((id, &self.spec.outbounds[found]))
    }

    /// The resolver of that number, else the one for servers.
    pub(crate) fn resolver(&self, id: Option<ResolverId>) -> &Arc<dyn Resolve> {
        id.and_then(|id| self.spec.resolvers.get(id.0))
            .unwrap_or(&self.spec.server_resolver)
    }

    /// The one for names of outbounds' servers.
    pub(crate) fn resolver_of_servers(&self) -> &Arc<dyn Resolve> {
        match &self.spec.bootstrap {
            bootstrap if bootstrap.for_outbounds => &bootstrap.resolver,
            _ => &self.spec.server_resolver,
        }
    }
}

fn of_this_host(guards: &[Guard]) -> Vec<Guard> {
    let here = |guard: &&Guard| match &guard.by {
        ServedBy::Endpoint(endpoint) => is_own_address(endpoint.ip()),
        ServedBy::Program(_) | ServedBy::User(_) => true,
    };
    guards.iter().filter(here).cloned().collect()
}

fn marked(policies: &[Arc<Policy>]) -> Vec<bool> {
    policies.iter().map(|policy| policy.reads_dscp()).collect()
}

fn programs(policies: &[Arc<Policy>]) -> Vec<bool> {
    let ask = |policy: &Arc<Policy>| policy.first_asking_for_a_program().is_some();
    policies.iter().map(ask).collect()
}

fn speaks(node: &Node) -> bool {
    node.any(&mut |node| matches!(node, Node::Instrument { .. }))
}
