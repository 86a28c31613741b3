//! What a service manager does: sockets that it opened before the daemon ran, and the news that it is told.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use crate::curl;
use crate::daemon::{Daemon, Start, eventually};
use crate::origin::Http;

/// Opens a port, writes its address into a file, and becomes the daemon with the socket as descriptor 3.
const OPENER: &str = "
import os, socket, sys
opened = socket.create_server(('127.0.0.1', 0))
os.dup2(opened.fileno(), 3)
os.set_inheritable(3, True)
open(sys.argv[1], 'w').write('%s:%d' % opened.getsockname())
os.environ['LISTEN_FDS'] = '1'
os.environ['LISTEN_PID'] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
";

fn forward(origin: &Http) -> String {
    format!(
        "version: 1\nforwards:\n  web: {{ listen: [\"fd://3\"], targets: [{{ name: o, address: \"tcp://{}\" }}] }}\n",
        origin.address
    )
}

#[test]
fn a_socket_that_was_handed_over_is_served() {
    let origin = Http::start("origin");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("address");
    let words = ["python3", "-c", OPENER, file.to_str().unwrap()];
    let daemon = Daemon::start(&Start {
        files: vec![("pointsman.yaml", forward(&origin))],
        config: "pointsman.yaml",
        starter: words.map(str::to_owned).to_vec(),
        ..Start::default()
    });
    assert_eq!(daemon.ready["web"], ("forward".into(), "fd:3".into()));
    let url = format!("http://{}/", std::fs::read_to_string(&file).unwrap());
    assert!(curl(&[&url]).0.starts_with("origin GET / "));
    assert_eq!(daemon.last_flow()["inbound"]["name"], "web");
    // A reload keeps it: nobody can hand it over again.
    assert!(daemon.client(&["reload"]).status.success());
    assert!(curl(&[&url]).0.starts_with("origin GET / "));
}

/// The roll-back needs the socket that the configuration on trial does not.
#[test]
fn a_socket_that_was_handed_over_outlives_a_trial_without_it() {
    let origin = Http::start("origin");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("address");
    let words = ["python3", "-c", OPENER, file.to_str().unwrap()];
    let daemon = Daemon::start(&Start {
        files: vec![("pointsman.yaml", forward(&origin))],
        config: "pointsman.yaml",
        starter: words.map(str::to_owned).to_vec(),
        ..Start::default()
    });
    let other = forward(&origin).replace("fd://3", "tcp://127.0.0.1:0");
    daemon.write("pointsman.yaml", &other);
    let tried = daemon.client(&["reload", "--confirm-within", "1s"]);
    assert!(tried.status.success(), "{tried:?}");
    eventually("nobody confirms", || daemon.log().contains("not confirmed"));
    let url = format!("http://{}/", std::fs::read_to_string(&file).unwrap());
    assert!(curl(&[&url]).0.starts_with("origin GET / "));
    assert!(daemon.log().contains("is back"));
}

#[test]
fn systemd_starts_it_at_the_first_connection() {
    let program = "systemd-socket-activate";
    if Command::new(program).arg("--version").output().is_err() {
        eprintln!("skipped: {program} is not installed");
        return;
    }
    let origin = Http::start("origin");
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("web.sock");
    let path = socket.to_str().unwrap().to_owned();
    // It waits for whoever comes first; that request is answered by the daemon.
    let first = std::thread::spawn({
        let path = path.clone();
        move || {
            eventually("the socket is there", || {
                std::path::Path::new(&path).exists()
            });
            // The path is there a moment before anybody listens on it.
            let patient = [
                "--retry",
                "5",
                "--retry-connrefused",
                "--unix-socket",
                &path,
            ];
            curl(&[&patient[..], &["http://a.test/first"]].concat()).0
        }
    });
    let daemon = Daemon::start(&Start {
        files: vec![("pointsman.yaml", forward(&origin))],
        config: "pointsman.yaml",
        starter: vec![program.to_owned(), "--listen".to_owned(), path],
        ..Start::default()
    });
    assert_eq!(
        first.join().unwrap(),
        "origin GET /first host=a.test body=0\n"
    );
    assert_eq!(daemon.last_flow()["inbound"]["name"], "web");
}

#[test]
fn a_socket_that_was_not_handed_over_is_an_error() {
    let origin = Http::start("origin");
    let started = Daemon::try_start(&Start {
        files: vec![("pointsman.yaml", forward(&origin))],
        config: "pointsman.yaml",
        ..Start::default()
    });
    let Err((status, log)) = started else {
        panic!("it started")
    };
    assert!(!status.success());
    assert!(log.contains("descriptor 3"), "{log}");
}

#[test]
fn the_service_manager_hears_how_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let told = || {
        let mut words = [0; 256];
        let count = manager.recv(&mut words).unwrap();
        String::from_utf8_lossy(&words[..count]).into_owned()
    };
    let text = "version: 1\nrules:\n  - FALLBACK, DIRECT\n";
    let mut daemon = Daemon::start(&Start {
        environment: vec![("NOTIFY_SOCKET", path.to_str().unwrap().to_owned())],
        files: vec![("pointsman.yaml", text.to_owned())],
        config: "pointsman.yaml",
        ..Start::default()
    });
    assert_eq!(told(), "READY=1");
    daemon.signal("HUP");
    // With its time (CLOCK_MONOTONIC), or `Type=notify-reload` waits for ever.
    let reloading = told();
    let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
    assert!(time.unwrap().parse::<u64>().unwrap() > 0, "{reloading}");
    assert_eq!(told(), "READY=1");
    daemon.signal("TERM");
    assert_eq!(told(), "STOPPING=1");
    assert!(daemon.wait(Duration::from_secs(15)).success());
}
