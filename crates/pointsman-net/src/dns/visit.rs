//! A connection that brings queries, once it has its place among the others.

use std::net::IpAddr;
use std::sync::{Arc, Weak};

use pointsman_spec::dns::DnsLimits;

use super::answering::{Asker, Service};
use super::streams::StreamPlace;
use crate::generation::Generation;
use crate::shared::Shared;
use crate::spec::listening::ListenerId;
use crate::tasks::Tasks;

/// A connection that has its place.
pub(super) struct Visit {
    pub(super) shared: Arc<Shared>,
    /// The last one that knew the listener; a connection that waits for its client keeps none.
    pub(super) generation: Weak<Generation>,
    pub(super) listener: ListenerId,
    pub(super) asker: Asker,
    pub(super) place: Arc<StreamPlace>,
    /// By what it is counted.
    pub(super) client: IpAddr,
    /// As that one said.
    pub(super) limits: DnsLimits,
    pub(super) tasks: Tasks,
}

impl Visit {
    /// How queries are answered now: as the generation in force says, as long as it knows the listener.
    pub(super) fn service(&mut self) -> Option<Service> {
        let service = Service::now(&self.shared, &mut self.generation, self.listener)?;
        self.limits = service.server().limits;
        Some(service)
    }
}
