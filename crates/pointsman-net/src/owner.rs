//! Whose flow it is: the process behind the client's socket, and (`serves`) whether it serves one of our ways out.
//!
//! Invariant: only flows of this host are asked about, others honestly have no owner here; the search
//! runs beside the worker and within the budget of [`Owners`].

mod serves;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pointsman_os::owner::{self, Network, Owners, ProcessInfo, SocketOwner};
use pointsman_os::socket::peer_is_local;
use pointsman_policy::fact::{Fact, Network as Transport, Parent, Process, Provenance};
use tokio::time::timeout;

use self::serves::OwnerCache;
pub(crate) use self::serves::{Serves, serves};
use crate::ends::Ends;

/// What is remembered of searches, over flows.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    owners: Owners,
    /// The last command lines that were long, newest last.
    lines: Mutex<VecDeque<Arc<str>>>,
    /// Of those who serve outbounds.
    known: OwnerCache,
}

/// Ancestors that conditions can see: a shell, a terminal, a session and what started it.
const MAX_PARENTS: usize = 16;
/// The longest search, with the wait for others: a few budgets of [`Owners`].
const LONGEST_SEARCH: Duration = Duration::from_secs(1);
/// Command lines that flows share: those of a server's many flows are one.
const SHARED: usize = 64;
/// The variable by which `pointsmand --run` marks what it starts.
const TAG: &str = "POINTSMAN_TAG";

/// The process that owns the client's socket.
pub(crate) async fn process(
    memory: &Arc<Memory>,
    network: Transport,
    ends: &Ends,
) -> Fact<Process> {
    let (Some(network), Some((client, far))) = (of_sockets(network), of_this_host(ends)) else {
        return Fact::Absent;
    };
    let memory = Arc::clone(memory);
    let search = move || -> io::Result<Option<Process>> {
        let Some(socket) = owner::lookup(network, client, far)? else {
            return Ok(None);
        };
        Ok(match memory.owners.process_of(&socket) {
            Ok(found) => found.map(|found| memory.process(&found)),
            // Whose socket it is the kernel tells without a look at the process.
            Err(error) => Some(of_user(&socket, &error.to_string().into())),
        })
    };
    match beside(LONGEST_SEARCH, search).await {
        Ok(Ok(found)) => Fact::from_option(found, Provenance::System),
        Ok(Err(error)) => Fact::Failed(error.to_string().into()),
        Err(why) => Fact::Failed(why),
    }
}

/// Searches beside the worker, for no longer than `most` with the wait for its turn; one whose flow left before is not
/// begun.
async fn beside<T: Send + 'static>(
    most: Duration,
    search: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Arc<str>> {
    let asks = Arc::new(());
    let asked = Arc::downgrade(&asks);
    let search = move || (asked.strong_count() > 0).then(search);
    let found = timeout(most, tokio::task::spawn_blocking(search)).await;
    drop(asks);
    match found {
        Ok(Ok(Some(found))) => Ok(found),
        Ok(Err(stopped)) => Err(stopped.to_string().into()),
        Ok(Ok(None)) | Err(_) => {
            Err(format!("the search for the program took longer than {most:?}").into())
        }
    }
}

/// The kind of socket that flows of that transport have.
fn of_sockets(network: Transport) -> Option<Network> {
    match network {
        // Echo requests are the kernel's, or of raw sockets that it cannot be asked for.
        Transport::Icmp => None,
        Transport::Tcp => Some(Network::Tcp),
        Transport::Udp => Some(Network::Udp),
    }
}

/// Both ends of the client's connection as its owner sees them, where the client is on this host.
fn of_this_host(ends: &Ends) -> Option<(SocketAddr, SocketAddr)> {
    let (client, far) = ends.of_client()?;
    let local = ends.local?.get();
    peer_is_local(client.ip(), local.ip()).then_some((client, far))
}

impl Memory {
    /// One text for all flows that have an equal one: it may be a hundred kilobytes.
    fn shared(&self, line: String) -> Arc<str> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lines.iter().rev().find(|known| ***known == *line) {
            return Arc::clone(known);
        }
        let line: Arc<str> = line.into();
        if line.len() >= LONG {
            if lines.len() >= SHARED {
                lines.pop_front();
            }
            lines.push_back(Arc::clone(&line));
        }
        line
    }

    fn process(&self, found: &ProcessInfo) -> Process {
        let line = found.command_line().map(|line| self.shared(line));
        let line = match line {
            Ok(line) => Fact::Known(line, Provenance::System),
            Err(error) => Fact::Failed(error.to_string().into()),
        };
        described(found, line)
    }
}

/// A process of which no more is known than its user, and why.
fn of_user(socket: &SocketOwner, why: &Arc<str>) -> Process {
    let failed = || Fact::Failed(Arc::clone(why));
    let user = owner::user_name(socket.uid).map(Into::into);
    Process {
        name: failed(),
        path: failed(),
        command_line: failed(),
        pid: Fact::Failed(Arc::clone(why)),
        user: Fact::from_option(user, Provenance::System),
        cgroup: failed(),
        unit: failed(),
        tag: failed(),
        parents: Vec::new(),
    }
}

/// Shorter command lines are not worth the search for an equal one.
const LONG: usize = 256;

fn described(found: &ProcessInfo, command_line: Fact<Arc<str>>) -> Process {
    let text = |value: Option<&str>| Fact::from_option(value.map(Into::into), Provenance::System);
    let asked = |value: io::Result<Option<String>>| match value {
        Ok(value) => Fact::from_option(value.map(Into::into), Provenance::System),
        Err(error) => Fact::Failed(error.to_string().into()),
    };
    let path = |path: &std::path::Path| -> Arc<str> { path.to_string_lossy().into() };
    let parents = found.parents(MAX_PARENTS);
    Process {
        name: text(Some(&found.name)),
        path: Fact::from_option(found.path.as_deref().map(path), Provenance::System),
        command_line,
        pid: Fact::Known(found.pid, Provenance::System),
        user: text(found.user.as_deref()),
        cgroup: text(found.cgroup.as_deref()),
        unit: text(found.unit.as_deref()),
        tag: asked(found.variable(TAG)),
        parents: parents
            .into_iter()
            .map(|parent| Parent {
                name: Some(parent.name.into()),
                path: parent.path.as_deref().map(path),
                pid: Some(parent.pid),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_that_waits_for_others_ends_in_time_and_is_not_begun_later() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let short = Duration::from_millis(50);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (began, begun) = std::sync::mpsc::channel();
        runtime.block_on(async {
            let _holds_the_thread = tokio::task::spawn_blocking(move || held.recv());
            let why = beside(short, move || began.send(())).await.unwrap_err();
            assert!(why.contains("longer than 50ms"), "{why}");
            release.send(()).unwrap();
            assert_eq!(beside(Duration::from_secs(30), || 7).await, Ok(7));
        });
        assert!(begun.recv().is_err());
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "the clients are not ours")]
    async fn whose_socket_it_is_depends_on_the_transport() {
        use std::net::{Ipv4Addr, UdpSocket};

        use crate::ends::{ClientAddr, LocalAddr};

        let memory = Arc::default();
        let here = (Ipv4Addr::LOCALHOST, 0);
        let relay = UdpSocket::bind(here).unwrap();
        let connected = UdpSocket::bind(here).unwrap();
        connected.connect(relay.local_addr().unwrap()).unwrap();
        let unconnected = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = unconnected.local_addr().unwrap().port();
        let ends = |client: SocketAddr| Ends {
            client: Some(ClientAddr::new(client)),
            local: Some(LocalAddr::new(relay.local_addr().unwrap())),
            original: None,
        };
        let of_connected = ends(connected.local_addr().unwrap());
        let of_unconnected = ends((Ipv4Addr::LOCALHOST, port).into());
        let pid = async |network, ends: &Ends| match process(&memory, network, ends).await {
            Fact::Known(process, _) => process.pid.known().copied(),
            Fact::Absent => None,
            other => panic!("{other:?}"),
        };
        for ends in [&of_connected, &of_unconnected] {
            assert_eq!(pid(Transport::Udp, ends).await, Some(std::process::id()));
            // Another transport has another socket of that port, or none.
            assert_eq!(pid(Transport::Tcp, ends).await, None);
            assert_eq!(pid(Transport::Icmp, ends).await, None);
        }
        drop(unconnected);
        assert_eq!(pid(Transport::Udp, &of_unconnected).await, None);
        // Of another host.
        let stranger = ends((Ipv4Addr::new(192, 0, 2, 7), port).into());
        assert_eq!(pid(Transport::Udp, &stranger).await, None);
    }

    #[test]
    fn equal_command_lines_are_one() {
        let memory = Memory::default();
        let long = "java -cp ".to_owned() + &"x".repeat(50_000);
        let (one, other) = (memory.shared(long.clone()), memory.shared(long));
        assert!(Arc::ptr_eq(&one, &other));
        for number in 0..1000 {
            memory.shared(format!("{number} {}", "y".repeat(LONG)));
        }
        assert_eq!(memory.lines.lock().unwrap().len(), SHARED);
    }
}
