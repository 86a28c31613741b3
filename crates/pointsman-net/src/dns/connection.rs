//! A connection that brings queries: its place among the others, the handshake where it is one of TLS, and then what is
//! spoken there.
//!
//! Invariant: who may not ask costs no handshake, and who asks too often gets none.

use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::fact::Network;
use tokio::time::Instant;

use super::answering::{Asker, LOCAL_STREAMS, Service};
use super::carrier::Carrier;
use super::rates::Allowed;
use super::stream::Line;
use super::visit::Visit;
use super::web;
use crate::door::Door;
use crate::ends::{ClientAddr, Ends, LocalAddr};
use crate::generation::Generation;
use crate::shared::Shared;
use crate::spec::listening::ListenerId;
use crate::stream::Stream;
use crate::tasks::Tasks;
use crate::tls::server::NoHandshake;

/// A connection that came in.
pub(crate) struct Arrived {
    pub(crate) shared: Arc<Shared>,
    /// One that knows the listener.
    pub(crate) generation: Arc<Generation>,
    pub(crate) listener: ListenerId,
    pub(crate) ends: Ends,
    pub(crate) tasks: Tasks,
}

/// Answers the queries of a connection, until the client has no more.
pub(crate) async fn serve(arrived: Arrived, stream: Stream) {
    let Arrived {
        shared,
        generation,
        listener,
        ends,
        tasks,
    } = arrived;
    let Some(service) = Service::new(&shared, &generation, listener) else {
        return;
    };
    let (limits, door) = (service.server().limits, Arc::clone(service.door()));
    drop(service);
    let client = ends.counted().unwrap_or(LOCAL_STREAMS);
    let Some(place) = shared.dns_streams.place(client, &limits) else {
        return;
    };
    let asker = Asker {
        client: ends.client.map(ClientAddr::get),
        here: ends.local.map(LocalAddr::get),
        network: Network::Tcp,
        is_private: door.tls.is_some(),
    };
    let visit = Visit {
        shared,
        generation: Arc::downgrade(&generation),
        listener,
        asker,
        place: Arc::clone(&place),
        client,
        limits,
        tasks,
    };
    let within = generation.spec().timeouts.handshake;
    drop(generation);
    tokio::select! {
        () = converse(visit, &door, stream, within) => {}
        () = place.given_to_another() => {}
    }
}

/// A handshake may take so long.
async fn converse(visit: Visit, door: &Door, stream: Stream, within: Duration) {
    let Some(acceptor) = &door.tls else {
        return Line::new(visit, Carrier::Plain(stream)).serve().await;
    };
    let shared = &visit.shared;
    let allowed = shared
        .dns_rates
        .allows(visit.client, &visit.limits, Instant::now());
    if !door.spec.admits.allows(visit.asker.client) || allowed != Allowed::Yes {
        shared.dns.count_connection();
        return stream.reset();
    }
    let stream = match acceptor.accept(stream, within).await {
        Ok(stream) => stream,
        Err(NoHandshake::Gone) => return,
        Err(why) => {
            shared.dns.count_connection();
            if shared.dns_handshakes.is_due(Instant::now()) {
                let name = &door.spec.name;
                tracing::warn!(
                    "no TLS with a client of `{name}`: {why} (told once a minute; `diagnostics` counts them)"
                );
            }
            return;
        }
    };
    match &door.spec.web_path {
        Some(path) => web::serve(visit, Arc::clone(path), stream).await,
        None => {
            Line::new(visit, Carrier::Tls(Box::new(stream)))
                .serve()
                .await;
        }
    }
}
