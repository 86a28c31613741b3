//! The control socket: mode, takeover, strangers.

#![allow(
    clippy::disallowed_methods,
    reason = "the other side of these tests is not ours"
)]

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use super::*;

#[tokio::test]
async fn a_client_meets_the_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/control.sock");
    let control = bind_control(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(
        fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1,
        "nothing but the socket is left"
    );
    let (client, served) = tokio::join!(connect_control(&path), control.accept());
    assert!(peer_allowed(&client.unwrap()) && peer_allowed(&served.unwrap()));
    drop(control);
    assert!(!path.exists());
    assert_eq!(
        connect_control(&path).await.unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
}

#[tokio::test]
async fn the_living_are_respected_and_the_dead_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let dead = UnixListener::bind(&path).unwrap();
    drop(dead);
    assert_eq!(
        connect_control(&path).await.unwrap_err().kind(),
        io::ErrorKind::ConnectionRefused
    );
    let first = bind_control(&path).unwrap();
    assert_eq!(
        bind_control(&path).unwrap_err().kind(),
        io::ErrorKind::AddrInUse
    );
    // The first one is still there, and still works.
    let (client, served) = tokio::join!(connect_control(&path), first.accept());
    client.unwrap();
    served.unwrap();
}

#[tokio::test]
async fn of_many_at_once_one_wins() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    drop(UnixListener::bind(&path).unwrap());
    let binding: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || bind_unix(&path, 0o600))
        })
        .collect();
    let bound: Vec<_> = binding
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(bound.iter().filter(|bound| bound.is_ok()).count(), 1);
}

#[tokio::test]
async fn a_successor_keeps_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let (listener, endpoint) = bind_unix(&path, 0o600).unwrap();
    drop(listener);
    let _successor = bind_unix(&path, 0o600).unwrap();
    drop(endpoint);
    assert!(path.exists());
}

#[test]
fn what_is_no_socket_is_never_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious");
    fs::write(&path, "text").unwrap();
    assert_eq!(
        bind_unix(&path, 0o600).unwrap_err().kind(),
        io::ErrorKind::AlreadyExists
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "text");
}

#[test]
fn a_directory_that_others_may_enter_is_not_private() {
    let directory = tempfile::tempdir().unwrap();
    let fresh = directory.path().join("fresh");
    private_directory(&fresh).unwrap();
    assert_eq!(fs::metadata(&fresh).unwrap().mode() & 0o777, 0o700);
    private_directory(&fresh).unwrap();
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        private_directory(&fresh).unwrap_err().kind(),
        io::ErrorKind::PermissionDenied
    );
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(directory.path(), &link).unwrap();
    assert_eq!(
        private_directory(&link).unwrap_err().kind(),
        io::ErrorKind::PermissionDenied
    );
}

#[test]
fn what_is_kept_is_for_this_user_alone() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("state/kept");
    let kept = PrivateDirectory::open(&place).unwrap();
    kept.store("a", b"one").unwrap();
    kept.store("a", b"two").unwrap();
    kept.store("b", b"").unwrap();
    assert_eq!(kept.load("a", 3).unwrap(), b"two");
    assert_eq!(
        kept.load("a", 2).unwrap_err().kind(),
        io::ErrorKind::FileTooLarge
    );
    let mut names = kept.names();
    names.sort();
    assert_eq!(names, ["a", "b"], "and nothing aside");
    assert_eq!(fs::metadata(place.join("a")).unwrap().mode() & 0o777, 0o600);
    kept.remove("a");
    kept.remove("none");
    assert_eq!(kept.names(), ["b"]);
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        PrivateDirectory::open(&place).unwrap_err().kind(),
        io::ErrorKind::PermissionDenied
    );
}

#[test]
fn a_file_is_replaced_wholly_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    replace_private(&at("a"), &at("a.new"), b"one").unwrap();
    replace_private(&at("a"), &at("a.new"), b"two").unwrap();
    assert_eq!(fs::read(at("a")).unwrap(), b"two");
    fs::create_dir(at("in the way")).unwrap();
    fs::write(at("in the way/of all"), "").unwrap();
    assert!(replace_private(&at("in the way"), &at("b.new"), b"three").is_err());
    assert!(!at("a.new").exists() && !at("b.new").exists());
}

#[test]
fn a_file_that_was_open_to_others_is_private_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    drop(create_private(&path).unwrap());
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.mode() & 0o777, found.len()), (0o600, 0));
}

#[test]
fn root_trusts_whom_it_gave_the_directory_to() {
    if !is_root() {
        eprintln!("skipped: the tests do not run as root");
        return;
    }
    let place = tempfile::tempdir_in("/run").unwrap();
    let directory = place.path().join("daemon");
    fs::create_dir(&directory).unwrap();
    let given = || control::given_to(&directory.join("control.sock"));
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(&directory, Some(12_345), None).unwrap();
    assert_eq!(given(), Some(12_345));
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o775)).unwrap();
    assert_eq!(given(), None, "others may write there");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(place.path(), Some(12_345), None).unwrap();
    assert_eq!(given(), None, "not root's to give");
    let open = tempfile::tempdir().unwrap();
    let path = open.path().join("control.sock");
    assert_eq!(control::given_to(&path), None, "below a directory for all");
}

#[test]
fn a_strangers_lock_of_the_directory_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let held = fs::File::open(directory.path()).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let path = directory.path().join("s");
    let bound = std::thread::spawn(move || bind_unix(&path, 0o600));
    let begun = std::time::Instant::now();
    while !bound.is_finished() {
        assert!(begun.elapsed().as_secs() < 10, "waits for the lock");
        std::thread::yield_now();
    }
    bound.join().unwrap().unwrap();
}

#[test]
fn a_listener_whose_queue_is_full_lives() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let address = SocketAddrUnix::new(&path).unwrap();
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket =
        || rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
    let listener = socket();
    rustix::net::bind(&listener, &address).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let mut waiting = Vec::new();
    for _ in 0..100 {
        let client = socket();
        let connected = rustix::net::connect(&client, &address);
        waiting.push(client);
        if connected.is_err() {
            break;
        }
    }
    assert!(waiting.len() < 100);
    let (told, answer) = std::sync::mpsc::channel();
    std::thread::spawn(move || told.send(bind_unix(&path, 0o600).map(|_| ())));
    let answer = answer.recv_timeout(std::time::Duration::from_secs(10));
    let refused = answer.expect("an answer in time").unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn threads_that_keep_one_name_are_in_nobodys_way() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kept");
    let store = |byte: u8| {
        let path = path.clone();
        std::thread::spawn(move || {
            let kept = PrivateDirectory::open(&path).unwrap();
            for _ in 0..100 {
                kept.store("one", &[byte; 4096]).unwrap();
            }
        })
    };
    for thread in [store(1), store(2)] {
        thread.join().unwrap();
    }
    let left = fs::read(path.join("one")).unwrap();
    assert!(left.len() == 4096 && left.iter().all(|byte| *byte == left[0]));
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
}
