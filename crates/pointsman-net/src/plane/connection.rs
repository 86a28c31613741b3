//! One connection of a client, from accept to close: one flow, or one after another.
//!
//! Invariant: while a flow relays, nothing of what came before it is kept: the conversation lives in
//! a room that is another one's by then.

use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::fact::{Fact, Facts, Network, Provenance};
use pointsman_spec::door::Speaks;
use tokio::time::timeout;

use crate::case::Case;
use crate::datagram::{self, Relay};
use crate::dns;
use crate::door::Door;
use crate::ends::{ClientAddr, LocalAddr};
use crate::flow::{self, Next, Relaying};
use crate::generation::Generation;
use crate::listen::Accepted;
use crate::outbound::Ways;
use crate::shared::Shared;
use crate::spec::listening::ListenerId;
use crate::stream::Stream;
use crate::tasks::Tasks;

/// What the handler of a listener knows of a new connection.
pub(super) struct Arriving {
    pub(super) shared: Arc<Shared>,
    /// For those that wait between two requests.
    pub(super) tasks: Tasks,
    /// One that knows the listener.
    pub(super) generation: Arc<Generation>,
    pub(super) listener: ListenerId,
    pub(super) accepted: Accepted,
}

/// What is left of a connection after its conversation.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all connections come to relay bytes"
)]
pub(super) enum AfterHandshake {
    /// Bytes, until both sides have ended.
    Bytes(Relaying),
    /// Datagrams, until the client ends the connection.
    Datagrams(Box<Relay>),
}

/// All that comes before the relay; `None`: there is none.
pub(super) async fn converse(arriving: Arriving) -> Option<AfterHandshake> {
    let Arriving {
        shared,
        tasks,
        mut generation,
        mut listener,
        accepted,
    } = arriving;
    let Accepted {
        socket,
        ends,
        worker: _,
    } = accepted;
    let mut client = Stream::new(socket);
    if generation.door(listener)?.spec.speaks == Speaks::Dns {
        let arrived = dns::Arrived {
            shared,
            generation,
            listener,
            ends,
            tasks,
        };
        // On the heap: the room is that of flows.
        Box::pin(dns::serve_connection(arrived, client)).await;
        return None;
    }
    let mut bound = None;
    loop {
        let door = Arc::clone(generation.door(listener)?);
        let speaks = door.spec.speaks;
        let ways = Ways::new(Arc::clone(&shared), Arc::clone(&generation));
        let ways = ways.of(&ends);
        let source = ends.client.map(ClientAddr::get);
        let facts = Facts {
            network: Network::Tcp,
            source: Fact::from_option(source, Provenance::Inbound),
            ..Facts::default()
        };
        let ticket = door.ticket(&shared.flows, generation.number(), facts);
        let live = Arc::clone(ticket.live());
        let run = flow::run(flow::Begin {
            case: Case::new(ways, door, ends, ticket),
            client,
            bound,
        });
        let next = tokio::select! {
            next = run => next,
            () = live.stopped() => return None,
        };
        match next {
            Next::Relay(relaying) => return Some(AfterHandshake::Bytes(relaying)),
            Next::Associate(association) => {
                let begin = datagram::begin(*association, listener, &tasks);
                // On the heap: the room is not every flow's.
                return Box::pin(begin).await.map(AfterHandshake::Datagrams);
            }
            Next::Over => return None,
            Next::Again(again, kept) => (client, bound) = (again, kept),
        }
        let limit = generation.spec().timeouts.keep_alive;
        if !speaks_again(&mut client, &tasks, limit).await {
            return None;
        }
        generation = shared.generation()?;
        // What it brings now, a login among it, is meant for a proxy: no forward's target gets it.
        let is_same = |door: &Arc<Door>| door.spec.speaks == speaks;
        listener = generation.heir(listener, ends.local.map(LocalAddr::get))?;
        if !generation.door(listener).is_some_and(is_same) {
            return None;
        }
    }
}

/// Whether the client brings another request before it goes, before `limit`, and before the end.
async fn speaks_again(client: &mut Stream, tasks: &Tasks, limit: Duration) -> bool {
    let mut first = [0];
    tokio::select! {
        spoken = timeout(limit, client.peek(&mut first)) => matches!(spoken, Ok(Ok(1..))),
        () = tasks.stopping() => false,
    }
}
