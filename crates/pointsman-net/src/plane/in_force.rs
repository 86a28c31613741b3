//! What is in force, at one moment: whoever asks several things of it gets answers of one generation.
//!
//! Invariant: it never changes; what is selected, and which targets fail, is asked of what lives on.

use std::net::SocketAddr;
use std::sync::Arc;

use pointsman_policy::Domain;

use crate::dns::{NameReply, ask_by_hand};
use crate::generation::Generation;
use crate::ledger::RuleTally;
use crate::outbound::Ways;
use crate::record::Rest;
use crate::shared::Shared;
use crate::spec::Number;
use crate::spec::listening::Listening;

/// What is in force, with what whoever put it in force says of it.
#[derive(Debug)]
pub struct InForce<S> {
    about: S,
    generation: Arc<Generation>,
    shared: Arc<Shared>,
}

impl<S> InForce<S> {
    pub(super) fn new(about: S, generation: Arc<Generation>, shared: Arc<Shared>) -> Self {
        Self {
            about,
            generation,
            shared,
        }
    }

    /// What was said of it when it was committed.
    #[must_use]
    pub fn about(&self) -> &S {
        &self.about
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> Number {
        self.generation.number()
    }

    /// What new flows get.
    #[must_use]
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// All that is listened on: the addresses of inbounds, in order.
    #[must_use]
    pub fn listening(&self) -> &[Listening] {
        self.generation.listening()
    }

    /// Its rules, in order, policy by policy, with what they decided.
    #[must_use]
    pub fn rules(&self) -> &[RuleTally] {
        self.generation.rules().all()
    }

    /// The targets of a forward that could not be reached, in the order of their names, and what keeps flows from each.
    #[must_use]
    pub fn failing(&self, forward: &str) -> Vec<(Arc<str>, Rest)> {
        let found = self.generation.outbound_named(forward);
        let group = found.and_then(|(id, _)| self.generation.groups().get(id));
        group.map_or_else(Vec::new, |group| group.failing(tokio::time::Instant::now()))
    }

    /// The member that a group gives its flows now.
    #[must_use]
    pub fn selected(&self, group: &str) -> Option<Arc<str>> {
        let (_, outbound) = self.generation.outbound_named(group)?;
        let members = outbound.kind.selectable()?;
        let selected = self
            .shared
            .selected(&self.generation, &outbound.name, members);
        let member = self.generation.outbound(selected?)?;
        Some(Arc::clone(&member.name))
    }

    /// Asks the DNS server for a name and a type (RFC 1035 §3.2.2), as that client would. `None` where there is no server, or
    /// nobody may ask for such a type. Dropping it gives the question up.
    pub async fn ask_name(
        &self,
        name: &Domain,
        kind: u16,
        client: Option<SocketAddr>,
    ) -> Option<NameReply> {
        ask_by_hand(&self.shared, &self.generation, (name, kind), client).await
    }

    /// Its outbounds, for others than flows (look-ups, refreshes).
    #[must_use]
    pub fn ways(&self) -> Ways {
        Ways::new(Arc::clone(&self.shared), Arc::clone(&self.generation))
    }
}
