//! The name servers of a resolver that are asked in turn, and what the station knows of them.
//!
//! Invariant: it holds on to what is known of its servers from the moment that it is made, so that the generation before
//! can go; and to no more than a few states of the groups on the way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pointsman_spec::outbound::Outbound;
use pointsman_spec::resolver::{NameServer, Servers, Turns};

use super::station::{Station, Upstreams};
use super::system::SystemFiles;
use super::tally::UpstreamCounts;
use super::way::Reached;
use crate::lookup::Transport;

/// As many selections as somebody tries one after the other.
const MAX_HELD: usize = 8;

#[derive(Debug)]
pub(super) struct List {
    /// `None` stands for those of the system.
    servers: Vec<Option<(NameServer, Reached)>>,
    turns: Turns,
    reuse: Duration,
    station: Arc<Station>,
    held: Mutex<Vec<Arc<Upstreams>>>,
    /// Those that are asked whatever is selected and whatever the system says.
    fixed: Option<Asked>,
}

/// Who is asked, by their ways of this moment.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) servers: Arc<[NameServer]>,
    pub(super) turns: Turns,
    pub(super) upstreams: Arc<Upstreams>,
}

impl List {
    pub(super) fn new(servers: &Servers, outbounds: &[Outbound], station: &Arc<Station>) -> Self {
        let defined = |server: &NameServer| match server {
            NameServer::System => None,
            other => Some((other.clone(), Reached::defined(other, outbounds))),
        };
        let list = Self {
            servers: servers.iter().map(defined).collect(),
            turns: servers.turns,
            reuse: servers.reuse,
            station: Arc::clone(station),
            held: Mutex::default(),
            fixed: None,
        };
        let is_fixed = |server: &Option<(_, Reached)>| {
            server
                .as_ref()
                .is_some_and(|(_, reached)| !reached.is_by_choice())
        };
        if list.servers.iter().all(is_fixed) {
            let (servers, defined): (Vec<_>, Vec<_>) = list.with(None).into_iter().unzip();
            let fixed = Asked {
                servers: servers.into(),
                turns: list.turns,
                upstreams: station.upstreams(&defined, list.reuse),
            };
            return Self {
                fixed: Some(fixed),
                ..list
            };
        }
        let known = station.system.last_known();
        let (_, defined): (Vec<_>, Vec<_>) = list.with(known.as_deref()).into_iter().unzip();
        let mut held = station.known_as(&defined);
        held.truncate(MAX_HELD);
        Self {
            held: Mutex::new(held),
            ..list
        }
    }

    pub(super) fn has_system(&self) -> bool {
        self.servers.iter().any(Option::is_none)
    }

    /// The servers with the system's own in their place, each with the way to it.
    pub(super) fn asked(&self, known: Option<&SystemFiles>, transport: &dyn Transport) -> Asked {
        if let Some(fixed) = &self.fixed {
            return fixed.clone();
        }
        let servers = self.with(known).into_iter();
        let now = servers.map(|(server, defined)| {
            let now = defined.now(&server, transport);
            (server, now)
        });
        let (servers, now): (Vec<NameServer>, Vec<Reached>) = now.unzip();
        Asked {
            servers: servers.into(),
            turns: self.turns,
            upstreams: self.hold(&now),
        }
    }

    /// What became of questions to them, by all ways that are known.
    pub(super) fn counts(&self) -> UpstreamCounts {
        let fixed = self.fixed.iter().map(|asked| asked.upstreams.tally.now());
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        fixed.chain(held.iter().map(|it| it.tally.now())).sum()
    }

    fn with(&self, known: Option<&SystemFiles>) -> Vec<(NameServer, Reached)> {
        let mut all = Vec::new();
        for server in &self.servers {
            match server {
                Some(server) => all.push(server.clone()),
                None => all.extend(
                    known
                        .iter()
                        .flat_map(|known| known.servers())
                        .map(|server| {
                            let reached = Reached::defined(server, &[]);
                            (server.clone(), reached)
                        }),
                ),
            }
        }
        all
    }

    fn hold(&self, now: &[Reached]) -> Arc<Upstreams> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = held.iter().find(|known| *known.all == *now) {
            return Arc::clone(known);
        }
        if held.len() >= MAX_HELD {
            held.remove(0);
        }
        let upstreams = self.station.upstreams(now, self.reuse);
        held.push(Arc::clone(&upstreams));
        upstreams
    }
}
