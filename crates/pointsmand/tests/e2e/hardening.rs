//! What clients do to listeners, and what reloads under load do to flows and memory.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::client::{connect, echoes, socks};
use crate::curl;
use crate::daemon::{Daemon, eventually};
use crate::origin::{Http, echo};

/// Beginnings that lead nowhere.
fn openings() -> Vec<Vec<u8>> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = |length: usize| -> Vec<u8> {
        let mut byte = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        };
        (0..length).map(|_| byte()).collect()
    };
    let mut openings: Vec<Vec<u8>> = vec![noise(1), noise(100), noise(100_000)];
    for text in [
        &b""[..],
        b"\x05",
        b"\x05\xff",
        b"\x05\x00",
        b"\x05\x01\x00",
        b"\x05\x01\x00\x05\x01\x00\x03\xff",
        b"\x05\x01\x00\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50",
        b"\x05\x01\x00\x05\x01\x00\x03\x00\x00\x50",
        b"\x05\x01\x02\x01\x01a\x01b",
        b"\x04\x01\x00\x50\x7f\x00\x00\x01user-without-end",
        b"\x04\x01\x00\x50\x00\x00\x00\x01u\x00no-end",
        b"G",
        b"GET http://a.test/",
        b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n",
        b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        b"GET http:// HTTP/1.1\r\n\r\n",
        b"CONNECT a.test HTTP/1.1\r\n\r\n",
        b"CONNECT :::99999 HTTP/1.1\r\n\r\n",
        b"POST http://127.0.0.1:9/ HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
        b"POST /v1/explain HTTP/1.1\r\nHost: d\r\nContent-Length: 100\r\n\r\n{",
        b"GET /v1/events HTTP/1.1\r\nHost: d\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ] {
        openings.push(text.to_vec());
    }
    openings.push([&b"GET http://a.test/ HTTP/1.1\r\nX: "[..], &[b'x'; 200_000]].concat());
    openings.push(b"GET http://a.test/ HTTP/1.1\r\n".repeat(5000));
    openings
}

#[test]
fn bad_clients_leave_nothing_behind() {
    let origin = Http::start("origin");
    let daemon = Daemon::native(
        "version: 1\ninbounds:\n  mixed: { type: mixed, listen: \"127.0.0.1:0\" }\n\
         \x20 socks: { type: socks5, listen: \"127.0.0.1:0\" }\n\
         \x20 http: { type: http, listen: \"127.0.0.1:0\" }\n\
         \x20 users: { type: mixed, listen: \"127.0.0.1:0\", users: { alice: secret } }\n\
         rules:\n  - DOMAIN-SUFFIX, closed.test, REJECT\n  - FALLBACK, DIRECT\n",
    );
    let serves = || {
        let by = |scheme: &str, name: &str| {
            let user = if name == "users" { "alice:secret@" } else { "" };
            let proxy = format!("{scheme}://{user}{}", daemon.address(name));
            curl(&["--proxy", &proxy, &origin.url()]).1
        };
        let codes = [
            by("socks5", "mixed"),
            by("http", "mixed"),
            by("socks5", "socks"),
            by("http", "http"),
            by("http", "users"),
        ];
        assert_eq!(codes, [0; 5]);
        assert_eq!(daemon.json(&["status"])["state"], "running");
    };
    serves();
    let before = daemon.descriptors_at_rest();
    let listeners = ["mixed", "socks", "http", "users"].map(|name| daemon.address(name));
    let control = daemon.control();
    let mut held: Vec<Box<dyn Send>> = Vec::new();
    for opening in openings() {
        for address in listeners {
            // Gone at once; half-closed; held open.
            let say = |stream: &mut TcpStream| {
                let _refused_already = stream.write_all(&opening);
            };
            say(&mut connect(address));
            let mut half = connect(address);
            say(&mut half);
            let _reset_already = half.shutdown(Shutdown::Write);
            let mut open = connect(address);
            say(&mut open);
            held.push(Box::new((half, open)));
        }
        // Its clients are its owner's, and 64 at once: gone at once, or read until it hangs up.
        let mut owner = UnixStream::connect(&control).unwrap();
        let _refused_already = owner.write_all(&opening);
        let mut owner = UnixStream::connect(&control).unwrap();
        let _refused_already = owner.write_all(&opening);
        let _reset_already = owner.shutdown(Shutdown::Write);
        held.push(Box::new(owner));
        if held.len() > 80 {
            serves();
            held.clear();
        }
    }
    serves();
    let at_worst = daemon.descriptors();
    drop(held);
    let begun = Instant::now();
    eventually("the descriptors are those of the start", || {
        daemon.descriptors() <= before
    });
    eprintln!(
        "descriptors: {before} at the start, {at_worst} with the clients, {before} again after {:?}",
        begun.elapsed()
    );
    assert!(at_worst > before);
    serves();
}

#[test]
fn slow_clients_are_given_up() {
    let daemon = Daemon::native(
        "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\nrules:\n  - FALLBACK, DIRECT\n",
    );
    let mut tcp: Vec<TcpStream> = Vec::new();
    for opening in [
        &b""[..],
        b"\x05",
        b"\x05\x01\x00\x05",
        b"\x04\x01",
        b"GET http://a",
    ] {
        let mut stream = connect(daemon.address("desk"));
        stream.write_all(opening).unwrap();
        tcp.push(stream);
    }
    let mut owner = UnixStream::connect(daemon.control()).unwrap();
    owner.write_all(b"GET /v1/sta").unwrap();
    let limit = Some(Duration::from_secs(15));
    owner.set_read_timeout(limit).unwrap();
    let begun = Instant::now();
    // 10 s for a request; whoever has read no word by then has been hung up on.
    for stream in &mut tcp {
        stream.set_read_timeout(limit).unwrap();
        let ended = stream.read_to_end(&mut Vec::new());
        assert!(
            !matches!(&ended, Err(e) if e.kind() == std::io::ErrorKind::WouldBlock),
            "{ended:?}"
        );
    }
    let ended = owner.read_to_end(&mut Vec::new());
    assert!(ended.is_ok(), "{ended:?}");
    let took = begun.elapsed();
    assert!(
        took > Duration::from_secs(8) && took < Duration::from_secs(14),
        "{took:?}"
    );
}

/// Two configurations that have the inbound `desk` in common and little else.
fn configuration(odd: bool) -> String {
    let mut text =
        "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\n".to_owned();
    if odd {
        text += "  other: { type: socks5, listen: \"127.0.0.1:0\" }\n";
    }
    text += "outbounds:\n  pick: { type: select, members: [DIRECT, REJECT] }\nrules:\n";
    for number in 0..if odd { 200 } else { 20 } {
        text += &format!("  - DOMAIN-SUFFIX, n{number}.test, REJECT\n");
    }
    text + if odd {
        "  - FALLBACK, pick\n"
    } else {
        "  - FALLBACK, DIRECT\n"
    }
}

/// One request over the control socket; its status line.
fn post(control: &std::path::Path, path: &str) -> String {
    let mut stream = UnixStream::connect(control).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

/// One request through the proxy; what went wrong.
fn request(inbound: SocketAddr, origin: SocketAddr, by_socks: bool) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    let mut stream = if by_socks {
        let (code, stream) =
            socks(inbound, &origin.ip().to_string(), origin.port()).map_err(told)?;
        if code != 0 {
            return Err(format!("SOCKS code {code}"));
        }
        stream
    } else {
        TcpStream::connect(inbound).map_err(told)?
    };
    let target = if by_socks {
        "/".to_owned()
    } else {
        format!("http://{origin}/")
    };
    let text = format!("GET {target} HTTP/1.1\r\nHost: {origin}\r\n\r\n");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .map_err(told)?;
    stream.write_all(text.as_bytes()).map_err(told)?;
    let mut answer = [0; 1024];
    let mut length = 0;
    while !answer[..length].ends_with(b"body=0\n") {
        match stream.read(&mut answer[length..]).map_err(told)? {
            0 => {
                return Err(format!(
                    "cut off: {:?}",
                    String::from_utf8_lossy(&answer[..length])
                ));
            }
            count => length += count,
        }
    }
    Ok(())
}

/// Ends the load also where the test fails in its midst.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_thousand_reloads_under_load_cost_no_connection() {
    const RELOADS: usize = 1000;
    const WARM_UP: usize = 100;
    let daemon = Daemon::native(&configuration(false));
    let (inbound, origin) = (daemon.address("desk"), Http::start("origin"));
    let echo = echo();
    let (code, mut lasting) = socks(inbound, &echo.ip().to_string(), echo.port()).unwrap();
    assert_eq!((code, echoes(&mut lasting, "first")), (0, true));
    // Whatever is kept of recent flows is kept before memory is measured.
    for _ in 0..1100 {
        request(inbound, origin.address, false).unwrap();
    }
    eventually("no flow but the lasting one lives", || {
        daemon.json(&["diagnostics"])["flows_live"] == 1
    });
    let descriptors = daemon.descriptors_at_rest();
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut memory = 0;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let load: Vec<_> = (0..4)
            .map(|number| {
                let (stop, done) = (&stop, &done);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        request(inbound, origin.address, number % 2 == 0)?;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok::<(), String>(())
                })
            })
            .collect();
        let stopping = Stop(&stop);
        for number in 1..=RELOADS {
            daemon.write("pointsman.yaml", &configuration(number % 2 == 1));
            let answer = post(&daemon.control(), "/v1/reload");
            assert_eq!(answer, "HTTP/1.1 200 OK", "reload {number}");
            if number % 50 == 0 {
                assert!(echoes(&mut lasting, "still here"), "after {number} reloads");
            }
            if number == WARM_UP {
                memory = daemon.resident();
            }
        }
        drop(stopping);
        for one in load {
            assert_eq!(one.join().unwrap(), Ok(()));
        }
    });
    let (took, requests) = (begun.elapsed(), done.load(Ordering::Relaxed));
    let after = daemon.resident();
    eprintln!(
        "{RELOADS} reloads in {took:?} beside {requests} requests; memory {memory} kB after {WARM_UP}, {after} kB at the end"
    );
    assert!(requests > RELOADS, "{requests}");
    assert!(after < memory + 8 * 1024, "{memory} kB, then {after} kB");
    eventually("the descriptors are those of the start", || {
        daemon.descriptors() == descriptors
    });
    assert!(echoes(&mut lasting, "and last"));
    let status = daemon.json(&["status"]);
    assert_eq!(status["generation"], (RELOADS + 1).to_string());
    assert_eq!(status["inbounds"][0]["address"], inbound.to_string());
}
