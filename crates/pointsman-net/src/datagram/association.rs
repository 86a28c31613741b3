//! The beginning of an association: a client asked over TCP that its datagrams be relayed (RFC 1928, section 7).
//!
//! Invariant: datagrams are taken at the address of this host that the client connected to, at a port that is the
//! association's alone.

use std::io;
use std::net::SocketAddr;

use pointsman_os::datagram::{self, Options};
use pointsman_os::descriptors::for_a_flow;
use pointsman_policy::Action;
use pointsman_wire::socks::{self, ReplyCode};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::client_side::{Associated, ClientSide};
use super::quota::{Owner, counted};
use super::relay::{Relay, Stand, ended};
use crate::case::Case;
use crate::dial::DATAGRAM_BUFFER;
use crate::ends::{Ends, LocalAddr};
use crate::record::{End, Fault, Note};
use crate::spec::listening::ListenerId;
use crate::stream::Stream;
use crate::tasks::Tasks;

/// A client that asked for an association.
#[derive(Debug)]
pub(crate) struct Association {
    /// Its connection's.
    pub(crate) case: Case,
    pub(crate) client: Stream,
    /// The port from which it says that it will send; 0: it did not say.
    pub(crate) announced: u16,
}

/// Answers the client; `None`: nothing came about, and the record says why.
pub(crate) async fn begin(
    association: Association,
    listener: ListenerId,
    tasks: &Tasks,
) -> Option<Box<Relay>> {
    let Association {
        case,
        mut client,
        announced,
    } = association;
    let Ends {
        client: Some(from),
        local: Some(local),
        ..
    } = case.ends
    else {
        case.end(End::Denied(
            "a client without an address has no datagrams".into(),
        ));
        return None;
    };
    let limit = case.ways.generation().spec().timeouts.handshake;
    let limits = &case.ways.generation().spec().datagrams;
    let owner = Owner::Client(counted(from.get().ip(), local.get().ip()));
    let (wakers, seat) = match Stand::sit(case.ways.shared(), owner, limits) {
        Ok(sitting) => sitting,
        Err(full) => {
            let why = full.why(limits);
            let answer = socks::write_unbound_reply(ReplyCode::GeneralFailure);
            let _ = timeout(limit, client.write_all(&answer)).await;
            case.note(|record| {
                record.note = why.into();
                record.action = Some(Action::Reject);
            });
            case.end(End::Refused);
            return None;
        }
    };
    let (socket, local) = match listen(local, client.local_addr()) {
        Ok(bound) => bound,
        Err(error) => {
            let answer = socks::write_unbound_reply(ReplyCode::GeneralFailure);
            let _ = timeout(limit, client.write_all(&answer)).await;
            let why = format!("no socket for its datagrams: {error}");
            case.end(End::Failed(Fault::Exhausted, why.into()));
            return None;
        }
    };
    // Before anybody knows of it: no other client's flow is taken there.
    let taken = case.ways.shared().relays.take(local.get());
    let answer = socks::write_reply(ReplyCode::Succeeded, local.get());
    if !matches!(timeout(limit, client.write_all(&answer)).await, Ok(Ok(()))) {
        case.end(End::ClientGone);
        return None;
    }
    let known = case.known();
    let inbound = known.facts.inbound.known().cloned()?;
    drop(known);
    case.note(|record| record.note = Note::Association);
    case.ticket.relays();
    let Case { ways, ticket, .. } = case;
    Some(Box::new(Relay::new(Stand {
        shared: ways.shared().clone(),
        tasks: tasks.clone(),
        generation: ways.generation().clone(),
        listener,
        client_side: ClientSide::Association(Associated::new(from.get().ip(), announced), inbound),
        control: Box::pin(ended(client)),
        ticket: Some(ticket),
        socket,
        local,
        _taken: Some(taken),
        wakers,
        seat,
    })))
}

/// A socket at the address of this host that the client connected to; `with_link`: the same, with the link that it is on.
fn listen(local: LocalAddr, with_link: Option<SocketAddr>) -> io::Result<(UdpSocket, LocalAddr)> {
    let options = Options {
        coalesce: true,
        tell_class: true,
        receive_buffer: DATAGRAM_BUFFER,
        send_buffer: DATAGRAM_BUFFER,
        ..Options::default()
    };
    let mut at = SocketAddr::new(local.get().ip(), 0);
    if let (SocketAddr::V6(at), Some(SocketAddr::V6(with_link))) = (&mut at, with_link) {
        at.set_scope_id(with_link.scope_id());
    }
    let socket = for_a_flow(datagram::listener(at, false, &options)?)?;
    let socket = UdpSocket::from_std(socket)?;
    let at = socket.local_addr()?;
    Ok((socket, LocalAddr::new(at)))
}
