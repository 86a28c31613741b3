//! Servers of lists that send what nobody asked for: bombs, bodies without an end, lies about lengths, redirects.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::daemon::{Daemon, eventually};

/// Answers each path in its own way, each client in a thread.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let asked = Arc::clone(&asked);
            // A daemon that hangs up ends it.
            std::thread::spawn(move || answer(client, &asked));
        }
    });
    address
}

fn answer(mut client: TcpStream, asked: &AtomicUsize) -> std::io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let ok = "HTTP/1.1 200 OK\r\n";
    let mut whole = |body: &[u8]| {
        let head = format!("{ok}content-length: {}\r\n\r\n", body.len());
        client.write_all(&[head.as_bytes(), body].concat())
    };
    match first.split(' ').nth(1).unwrap_or_default() {
        "/bomb" => whole(&bomb()),
        "/changes" => match asked.fetch_add(1, Ordering::SeqCst) {
            0 => whole(b"good.test\n"),
            1 => whole(b"<html>captive portal</html>\n"),
            2 => whole(b""),
            _ => whole(&[0; 500]),
        },
        "/short" => client.write_all(format!("{ok}content-length: 100\r\n\r\na.test\n").as_bytes()),
        "/zipped" => client.write_all(
            format!("{ok}content-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x01").as_bytes(),
        ),
        "/file" => client.write_all(b"HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\n\r\n"),
        "/round" => client.write_all(b"HTTP/1.1 302 Found\r\nlocation: /round\r\n\r\n"),
        "/endless" => {
            client.write_all(format!("{ok}\r\n").as_bytes())?;
            loop {
                client.write_all(&b"a.test\n".repeat(1000))?;
            }
        }
        // A byte now and then, for ever.
        _ => {
            client.write_all(format!("{ok}\r\n").as_bytes())?;
            loop {
                client.write_all(b"a")?;
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// A rule set of sing-box's: 20 million keywords without a letter in some 100 kB.
fn bomb() -> Vec<u8> {
    let mut packed = ZlibEncoder::new(b"SRS\x03".to_vec(), Compression::fast());
    packed
        .write_all(&[1, 0, 3, 0x80, 0xda, 0xc4, 0x09])
        .unwrap();
    for _ in 0..20 {
        packed.write_all(&vec![0; 1_000_000]).unwrap();
    }
    packed.finish().unwrap()
}

/// The most memory that it ever had, in KiB.
fn peak(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words = line.unwrap().split_whitespace().next();
    words.unwrap().parse().unwrap()
}

fn error_of(daemon: &Daemon, name: &str) -> String {
    let diagnostics = daemon.json(&["diagnostics"]);
    let lists = diagnostics["lists"].as_array().unwrap().clone();
    let list = lists.iter().find(|list| list["name"] == name).unwrap();
    list["error"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_bad_server_costs_its_list_and_nothing_else() {
    let at = serve();
    let expected = [
        (
            "bomb",
            "srs",
            "the list unfolds to more than 67108864 bytes",
        ),
        ("short", "domains", "connection"),
        ("zipped", "domains", "gzip"),
        ("file", "domains", "this is no URL"),
        ("round", "domains", "redirects"),
        ("endless", "domains", "larger than 67108864 bytes"),
        ("drip", "domains", ""),
    ];
    let mut config = String::from(
        "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\nrule_sets:\n",
    );
    for (name, format, _) in expected {
        config.push_str(&format!(
            "  {name}: {{ url: \"http://{at}/{name}\", format: {format} }}\n"
        ));
    }
    config.push_str("rules:\n");
    for (name, ..) in expected {
        config.push_str(&format!("  - RULE-SET, {name}, REJECT\n"));
    }
    config.push_str("  - FALLBACK, DIRECT\n");
    let mut daemon = Daemon::native(&config);
    for (name, _, why) in expected {
        eventually(name, || {
            let error = error_of(&daemon, name);
            assert!(error.is_empty() || error.contains(why), "{name}: {error}");
            why.is_empty() || !error.is_empty()
        });
    }
    let peak = peak(&daemon);
    assert!(peak < 300 << 10, "{peak} KiB");
    // One of them still drips.
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(30)).success());
}

#[test]
fn a_list_that_turns_into_something_else_stays_as_it_was() {
    let at = serve();
    let daemon = Daemon::native(&format!(
        "version: 1\ninbounds:\n  desk: {{ type: mixed, listen: \"127.0.0.1:0\" }}\nrule_sets:\n  \
         changes: {{ url: \"http://{at}/changes\", format: domains, interval: 1s }}\nrules:\n  \
         - RULE-SET, changes, REJECT\n  - FALLBACK, DIRECT\n"
    ));
    for why in ["web page", "no entry", "binary"] {
        eventually(why, || error_of(&daemon, "changes").contains(why));
        let explained = daemon.json(&["explain", "--dst", "good.test:1"]);
        assert_eq!(
            explained["decision"]["outbound"], "REJECT",
            "{why}: {explained}"
        );
    }
}
