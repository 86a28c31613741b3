//! Where connections come in.
//!
//! Invariants: an accept that fails never spins and never kills its listener; a listener that is kept over a reload keeps
//! its sockets and their queues; a listener that closes first takes what already waits in its
//! queues, for the kernel resets it otherwise.
//! Absent: protocols, allow lists: a handler gets the bare socket.

mod bound;

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener, UdpSocket as StdUdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use pointsman_os::descriptors::{self, Reserve};
use pointsman_os::local::{
    LocalListener, LocalStream, OwnLocalListener, OwnLocalStream, UnixEndpoint,
};
use pointsman_os::socket as os;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

use self::bound::Listening;
pub use self::bound::{Beside, Bound, Endpoint};
use crate::ends::{ClientAddr, Ends, LocalAddr};
use crate::stream::Socket;
use crate::tasks::Tasks;
use crate::workers::Workers;

/// A connection that came in; its handler runs on the worker that it belongs to.
#[derive(Debug)]
pub struct Accepted {
    /// Small writes are not delayed; silent peers are probed.
    pub socket: Socket,
    /// The addresses that it has.
    pub ends: Ends,
    /// The worker on which the handler runs, on which the flow is to stay.
    pub worker: usize,
}

/// What is done with a connection: it spawns a task on the current runtime and returns at once.
pub type Handler = Arc<dyn Fn(Accepted) + Send + Sync>;

/// What is done where a client was refused, for whom no descriptor was left: it returns at once.
pub type Refused = Arc<dyn Fn() + Send + Sync>;

/// A listener in force; dropping it closes it.
#[derive(Debug)]
pub struct Listener {
    address: Option<SocketAddr>,
    tasks: Tasks,
    _path: Option<UnixEndpoint>,
}

struct Shared {
    handler: Handler,
    next_worker: AtomicUsize,
    refused: Refused,
    workers: Vec<Handle>,
    /// Connections on their way between two workers.
    tasks: Tasks,
    /// What each connection's own address is, where the listener has but one.
    local: Option<SocketAddr>,
}

impl Listener {
    /// Listens, and accepts on all workers: each has its own socket where the kernel can balance, else one worker accepts
    /// and hands out in turn.
    ///
    /// # Errors
    /// Those of [`Bound::new`].
    pub fn bind(endpoint: Endpoint, workers: &Workers, handler: Handler) -> io::Result<Self> {
        let bound = Bound::new(endpoint, workers.len(), Beside::Nobody)?;
        Ok(Self::serve(bound, workers, handler, Arc::new(|| {})))
    }

    /// Accepts what waits and what comes at what listens.
    pub fn serve(bound: Bound, workers: &Workers, handler: Handler, refused: Refused) -> Self {
        let tasks = workers.tasks().child();
        let Bound {
            address,
            each,
            listening,
            path,
            ..
        } = bound;
        let shared = Arc::new(Shared {
            handler,
            next_worker: AtomicUsize::new(0),
            refused,
            workers: (0..workers.len())
                .map(|index| workers.handle(index).clone())
                .collect(),
            local: address.filter(|address| !address.ip().is_unspecified()),
            tasks: tasks.clone(),
        });
        match listening {
            Listening::Tcp(sockets) => {
                for (index, socket) in sockets.into_iter().enumerate() {
                    if os::ACCEPTED_INHERIT_OPTIONS {
                        keep_lively(&socket);
                    }
                    let place = if each {
                        WorkerChoice::Here(index)
                    } else {
                        WorkerChoice::InTurn
                    };
                    let accepting = accept_tcp(socket, place, Arc::clone(&shared), tasks.clone());
                    tasks.spawn_on(workers.handle(index), accepting);
                }
            }
            // They accept nothing: [`Self::serve_datagrams`].
            Listening::Udp(_) => {}
            Listening::Unix(socket) => {
                let accepting = accept_local(socket, Arc::clone(&shared), tasks.clone());
                tasks.spawn_on(workers.handle(0), accepting);
            }
        }
        Self {
            address,
            tasks,
            _path: path,
        }
    }

    /// Serves what listens for datagrams: `begin` makes of each socket what serves it on its worker, until the tasks that it
    /// is told are asked to stop.
    pub(crate) fn serve_datagrams<F>(
        bound: Bound,
        workers: &Workers,
        begin: impl Fn(StdUdpSocket, Tasks) -> F,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let tasks = workers.tasks().child();
        if let Listening::Udp(sockets) = bound.listening {
            for (index, socket) in sockets.into_iter().enumerate() {
                let serving = begin(socket, tasks.clone());
                tasks.spawn_on(workers.handle(index), serving);
            }
        }
        Self {
            address: bound.address,
            tasks,
            _path: None,
        }
    }

    /// The bound address, with its port; none for a local socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// As [`Self::close`], without waiting for it.
    pub fn begin_to_close(&self) {
        self.tasks.ask_to_stop();
    }

    /// Stops accepting, after what already waits has been handed to the handler.
    pub async fn close(self) {
        self.tasks.stop(Duration::from_secs(1)).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.tasks.ask_to_stop();
    }
}

/// Small writes are not delayed, silent peers are probed. On a listening socket, where that is inherited, it is said
/// once for all connections.
fn keep_lively(socket: &impl os::AsSocket) {
    // A client that is already gone makes these fail; its flow will find out.
    let _ = os::set_nodelay(socket);
    let _ = os::set_keepalive(socket, &os::Keepalive::default());
}

#[derive(Clone, Copy)]
enum WorkerChoice {
    Here(usize),
    InTurn,
}

/// A connection, and its client's address.
type Arrived = (Socket, Option<SocketAddr>);

/// A listening socket of either kind.
enum Queue {
    Tcp(TcpListener),
    Local(LocalListener),
}

impl Queue {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Arrived>> {
        match self {
            Self::Tcp(listener) => listener
                .poll_accept(cx)
                .map_ok(|(socket, peer)| (Socket::Tcp(socket), Some(peer))),
            Self::Local(listener) => listener
                .poll_accept(cx)
                .map_ok(|(socket, _)| (Socket::Local(socket), None)),
        }
    }

    /// Takes what already waits, asking the kernel and not the runtime, which may not have heard of it yet.
    fn drain(self, place: impl Fn(Arrived) -> io::Result<()>) -> io::Result<()> {
        let next: Box<dyn Fn() -> io::Result<Arrived>> = match self {
            Self::Tcp(listener) => {
                let listener = listener.into_std()?;
                Box::new(move || {
                    let (socket, peer) = listener.accept()?;
                    socket.set_nonblocking(true)?;
                    Ok((Socket::Tcp(TcpStream::from_std(socket)?), Some(peer)))
                })
            }
            Self::Local(listener) => {
                let listener = listener.into_std()?;
                Box::new(move || {
                    let (socket, _) = listener.accept()?;
                    socket.set_nonblocking(true)?;
                    Ok((Socket::Local(LocalStream::from_std(socket)?), None))
                })
            }
        };
        loop {
            match next().and_then(&place) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_the_clients(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A connection between two workers, known to the runtime of neither.
enum Moving {
    Tcp(std::net::TcpStream),
    Local(OwnLocalStream),
}

async fn accept_tcp(
    socket: StdTcpListener,
    place: WorkerChoice,
    shared: Arc<Shared>,
    tasks: Tasks,
) {
    match TcpListener::from_std(socket) {
        Ok(listener) => accept_all(Queue::Tcp(listener), place, shared, tasks).await,
        Err(error) => tracing::error!(%error, "a listener could not be started"),
    }
}

async fn accept_local(socket: OwnLocalListener, shared: Arc<Shared>, tasks: Tasks) {
    match LocalListener::from_std(socket) {
        Ok(listener) => {
            accept_all(Queue::Local(listener), WorkerChoice::InTurn, shared, tasks).await;
        }
        Err(error) => tracing::error!(%error, "a listener could not be started"),
    }
}

async fn accept_all(queue: Queue, place: WorkerChoice, shared: Arc<Shared>, tasks: Tasks) {
    let mut reserve = Reserve::take();
    let mut pause = FIRST_PAUSE;
    // Once, until one is served again.
    let mut told = false;
    let mut stopping = std::pin::pin!(tasks.stopping());
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopping => break,
            accepted = poll_fn(|cx| queue.poll_accept(cx)) => accepted,
        };
        let placed = accepted.and_then(|arrived| shared.admit(arrived, place));
        match placed {
            Ok(Admitted::Placed) => (pause, told) = (FIRST_PAUSE, false),
            Ok(Admitted::Refused) if told => {}
            Ok(Admitted::Refused) => {
                tracing::warn!("too few descriptors are left: clients are refused");
                told = true;
            }
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                if pause == FIRST_PAUSE {
                    tracing::warn!(%error, "cannot accept; trying again");
                }
                if descriptors::exhausted(&error) {
                    poll_fn(|cx| {
                        shared.refuse_one(&mut reserve, &queue, cx);
                        Poll::Ready(())
                    })
                    .await;
                }
                tokio::select! {
                    biased;
                    () = &mut stopping => break,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(LAST_PAUSE),
                }
            }
        }
    }
    // What waits in the queue would be reset by the close.
    if let Err(error) = queue.drain(|arrived| shared.admit(arrived, place).map(drop)) {
        tracing::warn!(%error, "a closing listener could not be emptied");
    }
}

/// What became of a connection that came in.
enum Admitted {
    Placed,
    /// Too few descriptors are left.
    Refused,
}

/// The client went away while it waited: nothing is wrong with us.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// So many tasks more than another make a worker hand a connection over, which costs a few system calls.
const UNEVEN: usize = 4;

impl Shared {
    /// Tells one waiting client "no" with the reserve, instead of letting it wait for a time-out.
    fn refuse_one(&self, reserve: &mut Reserve, queue: &Queue, cx: &mut Context<'_>) {
        // Dropped inside: the reserve is to take this very descriptor again.
        if reserve.lend(|| matches!(queue.poll_accept(cx), Poll::Ready(Ok(_)))) {
            (self.refused)();
        }
    }

    /// Hands it to its worker, unless the descriptor that it took is none for flows: then it is closed, and the
    /// client sees that at once.
    fn admit(
        self: &Arc<Self>,
        (socket, peer): Arrived,
        place: WorkerChoice,
    ) -> io::Result<Admitted> {
        let Ok(socket) = descriptors::for_a_flow(socket) else {
            (self.refused)();
            return Ok(Admitted::Refused);
        };
        self.place((socket, peer), place)?;
        Ok(Admitted::Placed)
    }

    fn place(self: &Arc<Self>, (socket, peer): Arrived, place: WorkerChoice) -> io::Result<()> {
        if matches!(socket, Socket::Tcp(_)) && !os::ACCEPTED_INHERIT_OPTIONS {
            keep_lively(&socket);
        }
        let worker = match self.worker_for(place) {
            Ok(worker) => {
                self.handle((socket, peer), worker);
                return Ok(());
            }
            Err(worker) => worker,
        };
        let moving = match socket {
            Socket::Tcp(socket) => Moving::Tcp(socket.into_std()?),
            Socket::Local(socket) => Moving::Local(socket.into_std()?),
        };
        let shared = Arc::clone(self);
        self.tasks.spawn_on(&self.workers[worker], async move {
            let arrived = match moving {
                Moving::Tcp(socket) => TcpStream::from_std(socket).map(Socket::Tcp),
                Moving::Local(socket) => LocalStream::from_std(socket).map(Socket::Local),
            };
            match arrived {
                Ok(socket) => shared.handle((socket, peer), worker),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be handed to its worker");
                }
            }
        });
        Ok(())
    }

    /// `Ok` when the worker is the one we run on, `Err` when the socket has to move.
    fn worker_for(&self, place: WorkerChoice) -> Result<usize, usize> {
        match place {
            WorkerChoice::Here(worker) => match self.idler_than(worker) {
                Some(other) => Err(other),
                None => Ok(worker),
            },
            // A listener that hands out in turn accepts on the first worker.
            WorkerChoice::InTurn => {
                match self.next_worker.fetch_add(1, Ordering::Relaxed) % self.workers.len() {
                    0 => Ok(0),
                    worker => Err(worker),
                }
            }
        }
    }

    /// A worker that has clearly less to do. The kernel chooses by a hash, and of few clients it gives one worker now and
    /// then much more than its share: those wait, and the other worker has nothing to do.
    fn idler_than(&self, worker: usize) -> Option<usize> {
        let tasks = |handle: &Handle| handle.metrics().num_alive_tasks();
        let own = tasks(self.workers.get(worker)?);
        if own < UNEVEN {
            return None;
        }
        let all = self.workers.iter().map(tasks).enumerate();
        let (other, least) = all.min_by_key(|(_, tasks)| *tasks)?;
        // Of many connections most rest: there a few more are none.
        (own >= least + UNEVEN.max(least / 4)).then_some(other)
    }

    fn handle(&self, (socket, peer): Arrived, worker: usize) {
        let local = self.local.or_else(|| socket.local_addr());
        let ends = Ends {
            client: peer.map(ClientAddr::new),
            local: local.map(LocalAddr::new),
            original: None,
        };
        (self.handler)(Accepted {
            socket,
            ends,
            worker,
        });
    }
}

#[cfg(test)]
mod tests;
