//! Sockets and processes of this very host are found.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};

use super::*;

/// A real program, with its own name and arguments, that connects and stays.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a socket of the test's own")]
fn udp(address: &str) -> UdpSocket {
    UdpSocket::bind(address).unwrap()
}

#[test]
fn all_that_hold_a_socket_are_found() {
    let ours = TcpListener::bind("127.0.0.1:0").unwrap();
    let heir = || {
        let inherited = std::os::fd::OwnedFd::from(ours.try_clone().unwrap());
        let sleeping = Command::new("sleep").arg("60").stdin(inherited).spawn();
        Program(sleeping.unwrap())
    };
    let heirs = [heir(), heir()];
    let socket = listener(ours.local_addr().unwrap()).unwrap().unwrap();
    // The budget of a machine that is busy with other tests.
    let owners = Owners::new(Duration::from_secs(10));
    let holders = || {
        let found = owners.holders_of(&socket).unwrap();
        let mut pids: Vec<u32> = found.iter().map(|process| process.pid).collect();
        pids.sort_unstable();
        pids
    };
    let mut pids = heirs.each_ref().map(|heir| heir.0.id());
    pids.sort_unstable();
    assert_eq!(holders(), pids);
    drop(heirs);
    assert_eq!(holders(), [std::process::id()]);
    drop(ours);
    // It may be one that we may not look at, also for root.
    let nobody = owners.holders_of(&socket);
    assert!(nobody.map_or(true, |found| found.is_empty()));
}

#[test]
fn the_program_behind_a_connection_is_found() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(address) else {
            eprintln!("skipped: no address {address} here");
            continue;
        };
        let ours = listener.local_addr().unwrap();
        let script = format!(
            "exec 3<>/dev/tcp/{}/{}; echo up; read",
            ours.ip(),
            ours.port()
        );
        let child = Command::new("bash")
            .args(["-c", &script, "marked"])
            .env("PM_TEST", "a=b")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(child) = child else {
            eprintln!("skipped: no bash here");
            return;
        };
        let mut program = Program(child);
        let mut line = String::new();
        BufReader::new(program.0.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let (_, client) = listener.accept().unwrap();

        let socket = lookup(Network::Tcp, client, ours).unwrap().unwrap();
        assert!(pid_owns_inode(program.0.id(), socket.inode).unwrap());
        assert!(!pid_owns_inode(std::process::id(), socket.inode).unwrap());
        let owners = Owners::default();
        // The second time from memory.
        for _ in 0..2 {
            let process = owners.process_of(&socket).unwrap().unwrap();
            assert_eq!(
                (process.pid, process.name.as_str()),
                (program.0.id(), "bash")
            );
            assert!(process.path.as_ref().unwrap().ends_with("bash"));
            assert_eq!(
                process.command_line().unwrap(),
                format!("bash -c {script} marked")
            );
            assert_eq!(process.variable("PM_TEST").unwrap().as_deref(), Some("a=b"));
            assert_eq!(process.uid, socket.uid);
            assert_eq!(process.parents(9)[0].pid, std::process::id());
            assert_eq!(process.parents(1).len(), 1);
        }
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = listener.local_addr().unwrap();
    // Not the listener in place of a connection that does not exist.
    assert_eq!(
        lookup(Network::Tcp, ours, "127.0.0.1:1".parse().unwrap()).unwrap(),
        None
    );
    assert!(super::listener(ours).unwrap().is_some());
    drop(listener);
    assert_eq!(super::listener(ours).unwrap(), None);
    let nobody = SocketOwner {
        inode: u64::from(u32::MAX),
        uid: u32::MAX - 7,
        cgroup_id: None,
    };
    let found = Owners::new(Duration::from_secs(10)).process_of(&nobody);
    // Without privilege the processes of others cannot be looked at, and that is said.
    assert!(
        matches!(&found, Ok(None))
            || found
                .as_ref()
                .is_err_and(|e| e.kind() == io::ErrorKind::PermissionDenied),
        "{found:?}"
    );
    let in_no_time = Owners::new(Duration::ZERO).process_of(&nobody);
    assert_eq!(in_no_time.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[test]
fn udp_sockets_are_found_connected_and_not() {
    let (ours, connected, loose) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"), udp("0.0.0.0:0"));
    let there = ours.local_addr().unwrap();
    connected.connect(there).unwrap();
    let loose_at = SocketAddr::new(
        "127.0.0.1".parse().unwrap(),
        loose.local_addr().unwrap().port(),
    );
    for client in [connected.local_addr().unwrap(), loose_at] {
        let socket = lookup(Network::Udp, client, there).unwrap().unwrap();
        assert!(pid_owns_inode(std::process::id(), socket.inode).unwrap());
        let of_ours = lookup(Network::Udp, there, client).unwrap().unwrap();
        assert_ne!(of_ours.inode, socket.inode);
    }
}

#[test]
fn mapped_addresses_are_the_same_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a socket of the test's own")]
    let client = std::net::TcpStream::connect(ours).unwrap();
    let mapped =
        |a: SocketAddr| SocketAddr::new(format!("::ffff:{}", a.ip()).parse().unwrap(), a.port());
    let plain = lookup(Network::Tcp, client.local_addr().unwrap(), ours).unwrap();
    assert!(plain.is_some());
    assert_eq!(
        lookup(
            Network::Tcp,
            mapped(client.local_addr().unwrap()),
            mapped(ours)
        )
        .unwrap(),
        plain
    );
}
