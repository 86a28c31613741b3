//! What all flows of a plane share.
//!
//! Invariant: what is taken per flow is behind short locks that nobody holds over a wait; nothing
//! here is touched per packet.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use pointsman_policy::OutboundId;
use tokio::sync::Semaphore;

use super::flows::Flows;
use super::{ListenerId, Setup};
use crate::dial::Dialer;
use crate::facts::Memory;
use crate::forward;
use crate::generation::Generation;
use crate::guard::Own;
use crate::record::log::AccessLog;
use crate::relay::PipePool;
use crate::requests::Requests;

/// What all flows of a plane share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) flows: Flows,
    pub(crate) own: Own,
    pub(crate) memory: Arc<Memory>,
    pub(crate) pipes: PipePool,
    /// Flows that wait for somebody's word.
    pub(crate) requests: Arc<Requests>,
    /// Flows that may be kept in silence at once: each holds a descriptor for nothing.
    pub(crate) silences: Semaphore,
    dialer: Dialer,
    generation: ArcSwapOption<Generation>,
    listening: ArcSwap<Vec<(ListenerId, SocketAddr)>>,
    /// Group's name to member's name.
    selections: Mutex<HashMap<Arc<str>, Arc<str>>>,
    pub(super) forwards: forward::Kept,
}

const SILENCES: usize = 1024;

impl Shared {
    pub(super) fn new(setup: &Setup) -> io::Result<Self> {
        let log = setup.access_log.as_deref();
        let log = log.map(AccessLog::open).transpose()?.map(Arc::new);
        Ok(Self {
            flows: Flows::new(setup.clock, log),
            own: Own::default(),
            memory: Arc::default(),
            pipes: PipePool::default(),
            requests: Arc::default(),
            silences: Semaphore::new(SILENCES),
            dialer: setup.dialer.clone(),
            generation: ArcSwapOption::empty(),
            listening: ArcSwap::default(),
            selections: Mutex::default(),
            forwards: forward::Kept::default(),
        })
    }

    pub(crate) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    pub(crate) fn generation(&self) -> Option<Arc<Generation>> {
        self.generation.load_full()
    }

    pub(super) fn swap(&self, generation: Generation) {
        self.generation.store(Some(Arc::new(generation)));
    }

    pub(super) fn listens_at(&self, listening: Vec<(ListenerId, SocketAddr)>) {
        self.listening.store(Arc::new(listening));
    }

    /// The listener of ours that a connection to `address` would arrive at.
    pub(crate) fn arrives_at(&self, address: SocketAddr) -> Option<ListenerId> {
        let ip = address.ip();
        let hit = |bound: &SocketAddr| {
            bound.port() == address.port()
                && (bound.ip() == ip
                    || (bound.ip().is_unspecified()
                        && bound.is_ipv4() == address.is_ipv4()
                        && (ip.is_unspecified() || pointsman_os::socket::is_own_address(ip))))
        };
        self.listening
            .load()
            .iter()
            .find(|(_, bound)| hit(bound))
            .map(|(id, _)| *id)
    }

    pub(super) fn select(&self, group: Arc<str>, member: Arc<str>) {
        self.selections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(group, member);
    }

    /// The member that a group gives its flows: the one selected, else the first.
    pub(crate) fn selected(
        &self,
        generation: &Generation,
        group: &str,
        members: &[OutboundId],
    ) -> Option<OutboundId> {
        let selections = self
            .selections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let selected = selections.get(group).and_then(|name| {
            let is_it =
                |id: &&OutboundId| generation.outbound(**id).is_some_and(|o| o.name == *name);
            members.iter().find(is_it)
        });
        selected.or_else(|| members.first()).copied()
    }
}
