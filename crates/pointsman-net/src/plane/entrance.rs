//! What a listener's handler knows: where its connections belong.
//!
//! Invariant: a connection belongs to the generation in force where that knows its listener, else to the last one that
//! did.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwapOption;
use pointsman_os::descriptors;

use super::connection::Arriving;
use super::rooms;
use super::wanted::covers;
use crate::ends::LocalAddr;
use crate::generation::Generation;
use crate::listen::{Accepted, Handler};
use crate::shared::Shared;
use crate::spec::listening::ListenerId;
use crate::tasks::Tasks;

/// What a listener's handler knows: where its connections belong.
#[derive(Debug)]
pub(super) struct Entrance {
    pub(super) id: ListenerId,
    /// Told before a generation without this listener comes into force.
    pub(super) farewell: ArcSwapOption<Farewell>,
}

/// What becomes of the connections of a listener that is gone.
#[derive(Debug)]
pub(super) struct Farewell {
    /// The last one that knew the listener.
    pub(super) generation: Arc<Generation>,
    /// The parts of its address that are still listened on: the others get no more. `None`: it closes at once.
    pub(super) heirs: Option<Vec<SocketAddr>>,
}

impl Entrance {
    fn generation(&self, shared: &Shared, local: Option<LocalAddr>) -> Option<Arc<Generation>> {
        let now = shared.generation();
        if now.as_ref().is_some_and(|now| now.door(self.id).is_some()) {
            return now;
        }
        let farewell = self.farewell.load();
        let Farewell { generation, heirs } = &**farewell.as_ref()?;
        let inherited = |heirs: &Vec<SocketAddr>| {
            local.is_some_and(|local| heirs.iter().any(|heir| covers(*heir, local.get())))
        };
        // One that lingers is not known to who ends all that listen: it serves none after that.
        let lingers = |heirs| !shared.stopped.load(Ordering::Relaxed) && inherited(heirs);
        let serves = heirs.as_ref().is_none_or(lingers);
        serves.then(|| Arc::clone(generation))
    }

    pub(super) fn handler(self: &Arc<Self>, shared: &Arc<Shared>, tasks: &Tasks) -> Handler {
        let (entrance, shared, tasks) = (Arc::clone(self), Arc::clone(shared), tasks.clone());
        Arc::new(move |accepted: Accepted| {
            // Taken here, and not in the task: a listener that closes hands its queue to the generation that it
            // belonged to.
            let Some(generation) = entrance.generation(&shared, accepted.ends.local) else {
                return;
            };
            let is_scarce = descriptors::is_scarce(&accepted.socket);
            let arriving = Arriving {
                shared: Arc::clone(&shared),
                tasks: tasks.clone(),
                generation,
                listener: entrance.id,
                accepted,
            };
            tasks.spawn_small(rooms::serve(arriving));
            if is_scarce {
                shared.scarcity.relieve(&shared.flows);
            }
        })
    }
}
