//! Where datagrams come in for a forward: each socket that listens has a relay of its own, on its worker.
//!
//! Invariant: a listener that is kept over a reload keeps its flows; one that is gone ends them at once, for what they
//! came in by, and are answered by, is gone.

use std::io;
use std::net::UdpSocket as StdUdpSocket;
use std::sync::Arc;

use tokio::net::UdpSocket;

use super::client_side::ClientSide;
use super::quota::Owner;
use super::relay::{Relay, Stand};
use crate::ends::LocalAddr;
use crate::generation::Generation;
use crate::shared::Shared;
use crate::spec::listening::ListenerId;
use crate::tasks::Tasks;

/// A socket that listens for datagrams.
pub(crate) struct Entrance {
    pub(crate) shared: Arc<Shared>,
    /// For what is done for its flows.
    pub(crate) tasks: Tasks,
    /// One that knows the listener.
    pub(crate) generation: Arc<Generation>,
    pub(crate) listener: ListenerId,
    pub(crate) socket: StdUdpSocket,
    /// Asked to stop where it is gone.
    pub(crate) listening: Tasks,
}

/// Carries what comes there, until it is gone.
pub(crate) async fn serve(entrance: Entrance) {
    match relay(entrance) {
        Ok(relay) => relay.await,
        Err(error) => tracing::error!(%error, "a listener could not be started"),
    }
}

fn relay(entrance: Entrance) -> io::Result<Relay> {
    let Entrance {
        shared,
        tasks,
        generation,
        listener,
        socket,
        listening,
    } = entrance;
    let socket = UdpSocket::from_std(socket)?;
    let local = LocalAddr::new(socket.local_addr()?);
    let door = generation.door(listener);
    let door = door.ok_or_else(|| io::Error::other("no forward has that listener"))?;
    let owner = Owner::Forward(Arc::clone(&door.spec.name));
    let limits = &generation.spec().datagrams;
    let sitting = Stand::sit(&shared, owner, limits);
    let (wakers, seat) = sitting.map_err(|full| io::Error::other(full.why(limits).to_string()))?;
    Ok(Relay::new(Stand {
        shared,
        tasks,
        generation,
        listener,
        client_side: ClientSide::Forward,
        control: Box::pin(listening.stopping()),
        ticket: None,
        socket,
        local,
        _taken: None,
        wakers,
        seat,
    }))
}
