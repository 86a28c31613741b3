//! How connections of a line are made, and when they end.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use pointsman_policy::Host;
use pointsman_spec::resolver::{Encrypted, NameServer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::client::TlsStream;

use super::connection::{Connection, Speaks, Usage};
use super::framed::{self, Framed};
use super::https::{self, Driver, Https};
use super::{Errand, Line, TROUBLE_FOR};
use crate::lookup::Transport;
use crate::resolver::scope::scoped;
use crate::stream::Stream;
use crate::tls::client::Client;

/// How long a connection may take to say that it ends.
const FAREWELL: Duration = Duration::from_millis(500);

/// A dial under way: with it, it is over.
struct Dialing {
    line: Arc<Line>,
    /// None: it was given up.
    done: Option<Result<Connection, String>>,
}

impl Line {
    /// Makes a connection for all who wait; the place for it was taken.
    pub(super) fn dial(self: &Arc<Self>, errand: &Errand<'_>) {
        let mut dialing = Dialing {
            line: Arc::clone(self),
            done: None,
        };
        let (server, transport) = (errand.server.clone(), errand.transport.share());
        let (limit, tasks) = (errand.limit(), transport.questions().clone());
        tasks.spawn(async move {
            let line = Arc::clone(&dialing.line);
            let made = line.make(&server, &*transport, limit).await;
            // Somebody may have selected another way meanwhile.
            let is_same = line.reached.now(&server, &*transport) == line.reached;
            let (done, driver) = match made {
                Ok((connection, driver)) if is_same => (Ok(connection), Some(driver)),
                Ok(_) => return,
                Err(why) => (Err(why), None),
            };
            if let (Ok(connection), Some(driver)) = (&done, driver) {
                let served = Served {
                    line: Arc::downgrade(&line),
                    usage: Arc::clone(connection.usage()),
                    reuse: line.state().reuse,
                };
                let tasks = transport.connections();
                let stopping = tasks.stopping();
                tasks.spawn(async move { served.run(driver, stopping).await });
            }
            drop(dialing.done.replace(done));
        });
    }

    /// A connection to the server, within `limit`.
    pub(super) async fn make(
        &self,
        server: &NameServer,
        transport: &dyn Transport,
        limit: Duration,
    ) -> Result<(Connection, Driver), String> {
        let making = async {
            match server {
                NameServer::NotYet(why) => Err(why.clone()),
                NameServer::System => Err("the system's servers are not known".into()),
                NameServer::Tcp(place) | NameServer::Udp(place) => {
                    let leads_away = |via| transport.datagrams(via).is_none();
                    let address = match place.via {
                        Some(via) if leads_away(via) => place.address,
                        Some(_) | None => scoped(place).map_err(|error| error.to_string())?,
                    };
                    let stream = transport.stream(place.via, &[address], limit).await?;
                    Ok(framed(stream))
                }
                NameServer::Tls(at) => {
                    let stream = connect(at, transport, limit).await?;
                    Ok(framed(self.within_tls(stream, at, &[]).await?))
                }
                NameServer::Https(at) => {
                    let stream = connect(at, transport, limit).await?;
                    let stream = self.within_tls(stream, at, https::PROTOCOLS).await?;
                    let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
                    let tasks = transport.connections();
                    let made = Https::new(stream, at, protocol.as_deref(), tasks).await;
                    let (https, width, driver) = made?;
                    Ok((Connection::new(Speaks::Https(https), width), driver))
                }
            }
        };
        match timeout(limit, making).await {
            Ok(made) => made,
            Err(_elapsed) => Err(format!("no connection within {limit:.1?}")),
        }
    }

    /// The stream, once the server has proved who it is.
    async fn within_tls(
        &self,
        stream: Stream,
        at: &Encrypted,
        protocols: &'static [&'static [u8]],
    ) -> Result<TlsStream<Stream>, String> {
        let known = self.state().tls.clone();
        let client = match known {
            Some(known) => known,
            None => Client::new(at.authorities.clone(), protocols).await?,
        };
        let connected = client.connect(stream, &at.name).await;
        // Where it is not believed the system's authorities may be others by now: they are read again.
        self.state().tls = connected.is_ok().then_some(client);
        connected
    }
}

fn framed(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> (Connection, Driver) {
    let (framed, driver) = Framed::new(stream);
    let connection = Connection::new(Speaks::Framed(framed), framed::MOST);
    (connection, Box::pin(driver))
}

/// A stream to where the server is.
async fn connect(
    at: &Encrypted,
    transport: &dyn Transport,
    limit: Duration,
) -> Result<Stream, String> {
    let addresses = match (&*at.addresses, &at.server.host) {
        ([], Host::Address(address)) => vec![*address],
        ([], Host::Name(name)) => {
            let found = transport.bootstrap(name).await;
            found.map_err(|why| format!("bootstrap: {why}"))?.list
        }
        (addresses, _) => addresses.to_vec(),
    };
    let with_port = |address| SocketAddr::new(address, at.server.port);
    let addresses: Vec<SocketAddr> = addresses.into_iter().map(with_port).collect();
    transport.stream(at.via, &addresses, limit).await
}

impl Drop for Dialing {
    fn drop(&mut self) {
        let mut state = self.line.state();
        state.dialing -= 1;
        match self.done.take() {
            Some(Ok(connection)) => {
                state.trouble = None;
                state.width = Some(connection.width());
                state.open.push(Arc::new(connection));
            }
            Some(Err(why)) => state.trouble = Some((Instant::now() + TROUBLE_FOR, why.into())),
            // Given up: nobody is left who would own it, or somebody selected another way.
            None => {
                let why = "the dial was given up".into();
                state.trouble = Some((Instant::now() + TROUBLE_FOR, why));
            }
        }
        drop(state);
        self.line.changed.notify_waiters();
    }
}

/// A connection of a line, from when it is made to its end.
struct Served {
    line: Weak<Line>,
    usage: Arc<Usage>,
    reuse: Duration,
}

impl Served {
    async fn run(self, mut driver: Driver, stopping: impl Future<Output = ()>) {
        let mut stopping = pin!(stopping);
        loop {
            tokio::select! {
                () = &mut driver => return self.leave(),
                () = &mut stopping => break,
                () = sleep_until(self.usage.rests_until(self.reuse)) => {
                    if self.is_over(Instant::now()) {
                        break;
                    }
                }
            }
        }
        self.leave();
        // Without anybody who may ask, it says that it ends.
        let _ended = timeout(FAREWELL, driver).await;
    }

    /// Under the lock of the line, so that nobody takes a place meanwhile.
    fn is_over(&self, now: Instant) -> bool {
        let Some(line) = self.line.upgrade() else {
            return true;
        };
        let mut state = line.state();
        let is_over = self.usage.is_at_rest(self.reuse, now);
        if is_over {
            let gone = state.open.extract_if(.., |it| it.is_of(&self.usage));
            let gone: Vec<Arc<Connection>> = gone.collect();
            drop(state);
            drop(gone);
        }
        is_over
    }

    fn leave(&self) {
        if let Some(line) = self.line.upgrade() {
            line.leave(&self.usage);
        }
    }
}
