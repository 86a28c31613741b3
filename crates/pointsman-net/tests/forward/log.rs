//! The log of a forward.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use pointsman_net::plane::ApplyError;
use pointsman_spec::address::Endpoint;
use pointsman_spec::outbound::Balance;
use serde_json::{Value, json};

use crate::stage::*;

const KEYS: [&str; 13] = [
    "name",
    "timestamp",
    "duration",
    "source_ip",
    "source_port",
    "source_protocol",
    "source_transport",
    "destination_ip",
    "destination_port",
    "destination_protocol",
    "destination_transport",
    "source_sent_bytes",
    "destination_receive_bytes",
];

/// The lines of a log, once there are so many.
async fn lines(path: &Path, count: usize) -> Vec<Value> {
    let read = async {
        loop {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if text.ends_with('\n') && text.lines().count() >= count {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let text = tokio::time::timeout(PATIENCE, read).await.unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The same by the names that records have.
const RECORD: [&str; 11] = [
    "id",
    "generation",
    "time",
    "duration_ms",
    "source",
    "member",
    "action",
    "bytes_sent",
    "bytes_received",
    "ended",
    "ended_by",
];

/// Without what differs from run to run, and what is there twice.
fn fixed(line: &Value) -> Value {
    let mut line = line.clone();
    let object = line.as_object_mut().unwrap();
    let keys: Vec<&str> = object.keys().map(String::as_str).collect();
    assert_eq!(keys[..13], KEYS);
    assert!(object["duration"].is_f64(), "{object:?}");
    assert!(object["source_port"].is_u64());
    assert!(object["destination_port"].is_u64());
    assert_eq!(object["timestamp"], "2023-11-14T22:13:20.000Z");
    assert_eq!(object["time"], object["timestamp"]);
    assert_eq!(object["bytes_sent"], object["source_sent_bytes"]);
    assert_eq!(
        object["bytes_received"],
        object["destination_receive_bytes"]
    );
    assert!(object["duration_ms"].is_u64() && object["ended"].is_string());
    for key in ["timestamp", "duration", "source_port", "destination_port"] {
        object.remove(key);
    }
    for key in RECORD {
        object.remove(key);
    }
    line
}

#[tokio::test]
async fn a_line_says_who_was_served_and_how_much() {
    let (_kept, directory) = directory();
    let path = directory.join("log");
    let mut forward = to([tcp("t", hearer(Ipv4Addr::LOCALHOST).await)]);
    forward.access_log = Some(path.clone());
    forward.proxy_header = true;
    forward.listen = vec![listen(Ipv6Addr::LOCALHOST)];
    let stage = Stage::of(forward).await;
    let mut client = stage.connect().await;
    let own = client.0.local_addr().unwrap().port();
    client.send("seven b").await;
    client.finish().await;
    let heard = client.rest().await.unwrap();
    let line = lines(&path, 1).await.remove(0);
    assert_eq!(line["source_port"], own);
    let expected = json!({
        "name": "f", "source_ip": "::1", "source_protocol": "tcp6", "source_transport": "plaintext",
        "destination_ip": "127.0.0.1", "destination_protocol": "tcp4", "destination_transport": "plaintext",
        "source_sent_bytes": 7, "destination_receive_bytes": heard.len(),
    });
    assert_eq!(fixed(&line), expected);
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
    // Whatever the mask takes away besides.
    assert_eq!(mode & 0o7777 & !0o027, 0o640 & !0o027);
    assert_eq!(mode & 0o007, 0, "others read no destinations");
}

/// A log that is a pipe: it has no reader when it is opened, its reader stands still, and comes late.
#[tokio::test]
async fn a_pipe_that_nobody_reads_makes_nothing_wait() {
    let (_kept, directory) = directory();
    let path = directory.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let server = greeter("hello").await;
    let mut forward = to([tcp("t", server)]);
    forward.access_log = Some(path.clone());
    let begun = std::time::Instant::now();
    let stage = Stage::of(forward.clone()).await;
    // More than a pipe and the queue before it hold.
    const LINES: usize = 600;
    for _ in 0..LINES {
        stage.hears("hello").await;
    }
    let dropped = async {
        while stage.plane().access_log_dropped() == 0 {
            stage.hears("hello").await;
        }
    };
    tokio::time::timeout(PATIENCE, dropped).await.unwrap();
    // The reader hears whole lines.
    let reading = tokio::task::spawn_blocking({
        let path = path.clone();
        move || {
            use std::io::BufRead;
            let file = std::fs::File::open(path).unwrap();
            let lines = std::io::BufReader::new(file).lines().take(150);
            lines.map(|line| line.unwrap()).collect::<Vec<String>>()
        }
    });
    let lines = tokio::time::timeout(PATIENCE, reading)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(lines.len(), 150);
    for line in lines {
        serde_json::from_str::<Value>(&line).expect("a whole line");
    }
    // Neither a reload that gives the log up, nor the end, waits for it; what it lost stays counted.
    let lost = stage.plane().access_log_dropped();
    forward.access_log = None;
    stage
        .plane()
        .apply(spec(2, &[], vec![forward]))
        .await
        .unwrap();
    stage.hears("hello").await;
    assert!(stage.plane().access_log_dropped() >= lost);
    drop(stage);
    assert!(begun.elapsed() < PATIENCE * 2);
}

#[tokio::test]
async fn local_streams_have_paths() {
    let (_kept, directory) = directory();
    let (log, path, server) = (
        directory.join("log"),
        directory.join("f"),
        directory.join("server"),
    );
    unix_echo(&server);
    let mut forward = to([target("t", Endpoint::Unix(server.clone()))]);
    forward.access_log = Some(log.clone());
    forward.listen = vec![Endpoint::Unix(path.clone()).into()];
    let _stage = Stage::of(forward).await;
    let mut client = unix_client(&path).await;
    client.send("abc").await;
    client.expect("abc").await;
    drop(client);
    let expected = json!({
        "name": "f", "source_ip": "", "source_protocol": "unix", "source_transport": "plaintext",
        "destination_ip": server.to_str().unwrap(), "destination_protocol": "unix", "destination_transport": "plaintext",
        "source_sent_bytes": 3, "destination_receive_bytes": 3,
    });
    assert_eq!(fixed(&lines(&log, 1).await[0]), expected);
}

#[tokio::test]
async fn errors_have_lines_with_their_bytes() {
    let (_kept, directory) = directory();
    let path = directory.join("log");
    let mut dead = to([tcp("a", nobody()), tcp("b", nobody())]);
    dead.balance = Balance::Failover;
    dead.access_log = Some(path.clone());
    let mut short = to([tcp("t", echo().await)]);
    short.name = "short".into();
    short.access_log = Some(path.clone());
    short.lifetime = Some(Duration::from_millis(200));
    let stage = Stage::play(spec(1, &[], vec![dead, short])).await;
    assert!(stage.closes().await);
    let mut client = client(stage.at[1].at.tcp().unwrap()).await;
    client.send("abc").await;
    client.expect("abc").await;
    assert!(client.is_closed().await);
    let both = lines(&path, 2).await;
    let (failed, cut) = (fixed(&both[0]), fixed(&both[1]));
    assert_eq!(failed["destination_ip"], "127.98.7.1");
    assert_eq!(failed["source_sent_bytes"], 0);
    assert!(failed["error"].as_str().unwrap().contains("b: "));
    assert_eq!(cut["name"], "short");
    assert_eq!(cut["source_sent_bytes"], 3);
    assert_eq!(cut["destination_receive_bytes"], 3);
    assert_eq!(cut["error"], "it lasted as long as its `lifetime`");
}

#[tokio::test]
async fn those_refused_have_lines_too() {
    let (_kept, directory) = directory();
    let path = directory.join("log");
    let mut forward = to([tcp("t", echo().await)]);
    forward.access_log = Some(path.clone());
    let stage = Stage::play(spec(1, &["10.0.0.0/8"], vec![forward])).await;
    assert!(stage.closes().await);
    let line = fixed(&lines(&path, 1).await[0]);
    assert_eq!(line["error"], "refused by the policy");
    assert_eq!(line["destination_protocol"], "");
}

#[tokio::test]
async fn a_log_that_was_moved_away_is_opened_anew() {
    let (_kept, directory) = directory();
    let path = directory.join("log");
    let mut forward = to([tcp("t", greeter("hello").await)]);
    forward.access_log = Some(path.clone());
    let stage = Stage::of(forward).await;
    stage.hears("hello").await;
    lines(&path, 1).await;
    let moved = directory.join("log.1");
    std::fs::rename(&path, &moved).unwrap();
    stage.plane().reopen_access_log();
    stage.hears("hello").await;
    assert_eq!(lines(&path, 1).await.len(), 1);
    assert_eq!(lines(&moved, 1).await.len(), 1);
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_changes_nothing() {
    let (_kept, directory) = directory();
    let server = greeter("hello").await;
    let stage = Stage::of(to([tcp("t", server)])).await;
    let mut forward = to([tcp("t", nobody())]);
    std::fs::write(directory.join("file"), "").unwrap();
    forward.access_log = Some(directory.join("file").join("log"));
    let refused = stage.plane().apply(spec(2, &[], vec![forward])).await;
    let Err(ApplyError::Lacks { what, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(what.contains("file/log"), "{what}");
    stage.hears("hello").await;
    assert_eq!(stage.records(1).await[0].generation.to_string(), "1");
}

#[tokio::test]
async fn the_directory_of_a_log_is_made() {
    let (_kept, directory) = directory();
    let server = greeter("hello").await;
    let mut forward = to([tcp("t", server)]);
    let log = directory.join("a").join("b").join("log");
    forward.access_log = Some(log.clone());
    let stage = Stage::of(forward).await;
    stage.hears("hello").await;
    assert_eq!(lines(&log, 1).await.len(), 1);
}

/// Whether some descriptor of ours is that file.
fn is_open(path: &Path) -> bool {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let mut files = descriptors.map(|entry| std::fs::read_link(entry.unwrap().path()));
    files.any(|file| file.is_ok_and(|file| file == path))
}

#[tokio::test]
async fn a_generation_that_is_refused_leaves_no_log_open() {
    let (_kept, directory) = directory();
    let path = directory.join("log");
    let server = greeter("hello").await;
    let stage = Stage::of(to([tcp("t", server)])).await;
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = busy.local_addr().map(|at| (busy, at)).unwrap();
    let mut forward = to([tcp("t", server)]);
    forward.access_log = Some(path.clone());
    let mut second = forward.clone();
    second.name = "second".into();
    second.listen = vec![busy.1.into()];
    let refused = stage.plane().apply(spec(2, &[], vec![forward, second]));
    let refused = refused.await;
    assert!(
        matches!(refused, Err(ApplyError::Bind { .. })),
        "{refused:?}"
    );
    assert!(path.exists(), "it was opened");
    // Its thread closes it.
    let closed = async {
        while is_open(&path) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closed)
        .await
        .expect("nothing is left open");
}
