//! Forwards of UDP, by `dig`, `iperf3` and sockets of our own: targets that are there and that are not, reloads, one way.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Start, eventually};
use crate::nameserver::{Mood, NameServer};
use crate::origin;

/// A daemon with that forward, named `games`.
fn games(keys: &str) -> Daemon {
    Daemon::native(&text(keys))
}

fn text(keys: &str) -> String {
    format!("version: 1\nforwards:\n  games: {{ {keys} }}\n")
}

/// Answers each datagram with `name`, the word and whence it came; counts them. Ends with the test.
struct Target {
    at: SocketAddr,
    heard: Arc<AtomicUsize>,
    /// It answers no more.
    mute: Arc<AtomicBool>,
}

impl Target {
    fn new(name: &'static str) -> Self {
        Self::at(name, "127.0.0.1:0".parse().unwrap())
    }

    fn at(name: &'static str, at: SocketAddr) -> Self {
        let socket = UdpSocket::bind(at).unwrap();
        let at = socket.local_addr().unwrap();
        let heard = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&heard);
        let mute = Arc::<AtomicBool>::default();
        let says_nothing = Arc::clone(&mute);
        std::thread::spawn(move || {
            let mut bytes = vec![0; 65_535];
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                counted.fetch_add(1, Ordering::SeqCst);
                if says_nothing.load(Ordering::SeqCst) {
                    continue;
                }
                let said = String::from_utf8_lossy(&bytes[..length]).into_owned();
                let _ = socket.send_to(format!("{name} {said} {from}").as_bytes(), from);
            }
        });
        Self { at, heard, mute }
    }

    fn heard(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A socket that hears its peer alone, as clients do.
fn client(from: &str, to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.connect(to).unwrap();
    socket
}

/// What is answered to a word; empty: nothing for a while.
fn ask(client: &UdpSocket, word: &str) -> String {
    // What nobody listened to before is told now.
    for _ in 0..3 {
        if client.send(word.as_bytes()).is_ok() {
            break;
        }
    }
    client
        .set_read_timeout(Some(Duration::from_millis(1500)))
        .unwrap();
    let mut bytes = [0; 2048];
    let length = client.recv(&mut bytes).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// Who answers.
fn who(client: &UdpSocket) -> String {
    let said = ask(client, "who");
    said.split(' ').next().unwrap_or_default().to_owned()
}

fn live(daemon: &Daemon) -> Vec<serde_json::Value> {
    daemon.json(&["flows", "list"])["flows"]
        .as_array()
        .unwrap()
        .clone()
}

fn recent(daemon: &Daemon) -> Vec<serde_json::Value> {
    let flows = daemon.json(&["flows", "list", "--recent"]);
    flows["flows"].as_array().unwrap().clone()
}

fn dig(server: SocketAddr, name: &str) -> String {
    let output = Command::new("dig")
        .args([
            "+short",
            "+tries=3",
            "+timeout=2",
            "-p",
            &server.port().to_string(),
        ])
        .arg(format!("@{}", server.ip()))
        .args([name, "A"])
        .output()
        .expect("dig is installed (./test installs what the tests need)");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn dig_is_answered_through_a_forward() {
    let server = NameServer::start(Mood::Plain, &[("nas.test", [192, 0, 2, 7])]);
    let log = tempfile::tempdir().unwrap();
    let log = log.path().join("access.log");
    let daemon = games(&format!(
        "listen: \"udp://127.0.0.1:0\", idle: 1s, access_log: \"{}\", targets: [{{ name: g, address: \"udp://{}\" }}]",
        log.display(),
        server.address
    ));
    let (kind, address) = &daemon.ready["games"];
    assert_eq!(kind, "forward");
    let at: SocketAddr = address.strip_prefix("udp://").unwrap().parse().unwrap();
    assert_eq!(dig(at, "nas.test"), "192.0.2.7");
    assert_eq!(server.asked().0, 1);
    eventually("the flow is over", || {
        recent(&daemon).iter().any(|it| it["ended"].is_string())
    });
    let record = &recent(&daemon)[0];
    assert_eq!(record["network"], "udp");
    assert_eq!(record["outbound"], "games");
    assert_eq!(record["member"], "g");
    assert_eq!(record["ended"], "timeout");
    assert_eq!(record["ended_by"], "idle");
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    eventually("a line is written", || read().ends_with('\n'));
    let line: serde_json::Value = serde_json::from_str(read().trim()).unwrap();
    assert_eq!(line["source_protocol"], "udp4");
    assert_eq!(line["destination_protocol"], "udp4");
    assert_eq!(line["destination_port"], server.address.port());
    let said = daemon.client(&["explain", "inbound=games", "src=127.0.0.1"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("games › g (direct)"), "{said}");
    let said = daemon.client(&["explain", "inbound=games", "network=tcp"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        said.contains("`games` takes flows over udp alone"),
        "{said}"
    );
}

/// The address of the forward `games`.
fn at(daemon: &Daemon) -> SocketAddr {
    let (_, address) = &daemon.ready["games"];
    address.strip_prefix("udp://").unwrap().parse().unwrap()
}

#[test]
fn each_client_is_answered_from_the_address_that_it_asked() {
    let target = Target::new("t");
    let daemon = games(&format!(
        "listen: \"udp://0.0.0.0:0\", targets: [{{ name: t, address: \"udp://{}\" }}]",
        target.at
    ));
    let port = at(&daemon).port();
    let mut seen = Vec::new();
    for asked in ["127.0.0.1", "127.0.0.2", "127.9.8.7"] {
        // Connected: what comes from another address is not heard.
        let client = client("127.0.0.1", format!("{asked}:{port}").parse().unwrap());
        let said = ask(&client, "hello");
        assert!(said.starts_with("t hello 127.0.0.1:"), "{asked}: {said}");
        seen.push(said);
    }
    seen.dedup();
    assert_eq!(seen.len(), 3, "each flow has a socket of its own: {seen:?}");
    assert_eq!(live(&daemon).len(), 3);
}

/// An iperf3 server for one test; killed by its id.
struct Iperf(Child, SocketAddr);

impl Iperf {
    fn start() -> Self {
        // A port that is free now may be another's a moment later: whoever then listens there is no iperf3.
        let started = (0..5).find_map(|_| Self::start_at(origin::nobody()));
        started.expect("a port that iperf3 can have")
    }

    fn start_at(at: SocketAddr) -> Option<Self> {
        let child = Command::new("iperf3")
            .args(["--server", "--forceflush", "--bind", "127.0.0.1"])
            .args(["--port", &at.port().to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("iperf3 is installed (./test installs what the tests need)");
        let mut iperf = Self(child, at);
        let output = iperf.0.stdout.take().unwrap();
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let listens = lines.any(|line| line.contains("Server listening"));
        // What it prints later is read, or it would wait for that.
        std::thread::spawn(move || lines.count());
        listens.then_some(iperf)
    }

    /// What a client measures that goes by `port`, as iperf3 tells it. It is not waited for for ever: iperf3 itself waits
    /// for whoever does not answer.
    fn measured(port: u16, words: &[&str]) -> serde_json::Value {
        let output = Command::new("timeout")
            .args(["60", "iperf3", "--client", "127.0.0.1", "--udp", "--json"])
            .args(["--port", &port.to_string()])
            .args(words)
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

impl Drop for Iperf {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A daemon with forwards to that server on one port: of UDP, and of the connection by which iperf3 steers.
fn before(iperf: &Iperf, keys: &str) -> (u16, Daemon) {
    let begin = |port: u16| {
        let text = format!(
            "version: 1\n{keys}forwards:\n\
             \x20 games: {{ listen: \"udp://127.0.0.1:{port}\", targets: [{{ name: g, address: \"udp://{0}\" }}] }}\n\
             \x20 steers: {{ listen: \"tcp://127.0.0.1:{port}\", targets: [{{ name: g, address: \"tcp://{0}\" }}] }}\n",
            iperf.1
        );
        let daemon = Daemon::try_start(&Start {
            files: vec![("pointsman.yaml", text)],
            config: "pointsman.yaml",
            ..Start::default()
        });
        daemon.ok().map(|daemon| (port, daemon))
    };
    // A port that is free by datagram may be some client's own over TCP.
    let mut ports = (0..5).map(|_| nobody().port());
    ports.find_map(begin).expect("a port that is free for both")
}

#[test]
fn iperf_measures_both_directions() {
    let iperf = Iperf::start();
    let (port, daemon) = before(&iperf, "");
    for direction in [None, Some("--reverse")] {
        let mut words = vec!["--bitrate", "5M", "--length", "1200", "--time", "2"];
        words.extend(direction);
        let told = Iperf::measured(port, &words);
        let sum = &told["end"]["sum"];
        let (packets, lost) = (sum["packets"].as_f64(), sum["lost_packets"].as_f64());
        assert!(packets.unwrap_or(0.0) > 500.0, "{direction:?}: {told}");
        // A machine under load loses some in the sockets' queues.
        assert!(
            lost.unwrap() < packets.unwrap() / 2.0,
            "{direction:?}: {sum}"
        );
    }
    assert!(live(&daemon).iter().any(|it| it["network"] == "udp"));
}

#[test]
fn a_server_that_alone_speaks_keeps_its_flow_and_silence_closes_the_socket() {
    let iperf = Iperf::start();
    let (port, daemon) = before(&iperf, "udp: { idle: 2s }\n");
    let descriptors = daemon.descriptors_at_rest();
    // For three times as long as silence may last.
    let told = Iperf::measured(
        port,
        &[
            "--reverse",
            "--bitrate",
            "2M",
            "--length",
            "1000",
            "--time",
            "6",
            "--interval",
            "1",
        ],
    );
    let intervals = told["intervals"].as_array().unwrap();
    let full = intervals.iter().filter(|it| {
        let sum = &it["sum"];
        // The rest of a second behind the last whole one is short.
        sum["seconds"].as_f64() > Some(0.9)
    });
    let heard: Vec<_> = full.map(|it| it["sum"]["packets"].as_u64()).collect();
    assert!(heard.len() >= 5, "{told}");
    assert!(heard.iter().all(|it| *it > Some(0)), "no gap: {heard:?}");
    let ended = Instant::now();
    let udp = |daemon: &Daemon| {
        let mut all = recent(daemon);
        all.retain(|it| it["network"] == "udp");
        all
    };
    eventually("no flow is live", || live(&daemon).is_empty());
    assert!(ended.elapsed() < Duration::from_secs(5), "2 s of silence");
    let all = udp(&daemon);
    assert_eq!(all.len(), 1, "one flow all the time: {all:?}");
    assert_eq!(all[0]["ended"], "timeout");
    assert_eq!(all[0]["ended_by"], "udp.idle");
    eventually("its socket is closed", || {
        daemon.descriptors_at_rest() <= descriptors
    });
}

#[test]
fn a_target_whose_port_is_closed_gives_way_and_comes_back() {
    let (first, second) = (nobody(), Target::new("second"));
    let daemon = games(&format!(
        "listen: \"udp://127.0.0.1:0\", targets: [{{ name: first, address: \"udp://{first}\" }}, {{ name: second, address: \"udp://{}\" }}]",
        second.at
    ));
    let at = at(&daemon);
    let one = client("127.0.0.1", at);
    assert_eq!(who(&one), "", "lost where nobody listens");
    assert_eq!(who(&one), "second", "the client's next datagram");
    let failed = recent(&daemon);
    let why = failed[0]["error"].as_str().unwrap();
    assert!(why.contains("nobody listens there (ICMP)"), "{why}");
    assert_eq!(failed[0]["member"], "first");
    let _first = Target::at("first", first);
    eventually("the first is asked again", || {
        who(&client("127.0.0.1", at)) == "first"
    });
    assert_eq!(who(&one), "second", "a flow stays where it is");
}

#[test]
fn a_target_that_says_nothing_gives_way() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let second = Target::new("second");
    let daemon = games(&format!(
        "listen: \"udp://127.0.0.1:0\", targets: [{{ name: first, address: \"udp://{}\" }}, {{ name: second, address: \"udp://{}\" }}]",
        silent.local_addr().unwrap(),
        second.at
    ));
    let one = client("127.0.0.1", at(&daemon));
    let begun = Instant::now();
    eventually("another is given", || who(&one) == "second");
    assert!(begun.elapsed() > Duration::from_secs(2));
    let failed = recent(&daemon);
    let why = failed[0]["error"].as_str().unwrap();
    assert!(why.contains("did not answer within 3 s"), "{why}");
}

/// Asks twice a second for so long; who answered each time.
fn talk(client: &UdpSocket, times: usize) -> Vec<String> {
    client
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let mut answers = Vec::new();
    for _ in 0..times {
        let begun = Instant::now();
        client.send(b"who").unwrap();
        let mut bytes = [0; 2048];
        let length = client.recv(&mut bytes).unwrap_or(0);
        let said = String::from_utf8_lossy(&bytes[..length]).into_owned();
        answers.push(said.split(' ').next().unwrap_or_default().to_owned());
        std::thread::sleep(Duration::from_millis(500).saturating_sub(begun.elapsed()));
    }
    answers
}

#[test]
fn a_target_that_stops_answering_gives_way_to_the_same_client() {
    let (first, second) = (Target::new("first"), Target::new("second"));
    let daemon = games(&format!(
        "listen: \"udp://127.0.0.1:0\", targets: [{{ name: first, address: \"udp://{}\" }}, {{ name: second, address: \"udp://{}\" }}]",
        first.at, second.at
    ));
    let one = client("127.0.0.1", at(&daemon));
    let answers = talk(&one, 8);
    assert!(answers.iter().all(|who| who == "first"), "{answers:?}");
    first.mute.store(true, Ordering::SeqCst);
    let answers = talk(&one, 20);
    let lost = answers.iter().filter(|who| who.is_empty()).count();
    assert_eq!(answers.last().unwrap(), "second", "{answers:?}");
    assert!((6..14).contains(&lost), "{answers:?}");
    let ended = recent(&daemon);
    let why = ended
        .iter()
        .filter_map(|record| record["error"].as_str())
        .next();
    assert!(
        why.unwrap().contains("the target answers no more"),
        "{why:?}"
    );
}

#[test]
fn each_source_keeps_its_target() {
    let targets = [Target::new("a"), Target::new("b"), Target::new("c")];
    let [a, b, c] = &targets;
    let daemon = games(&format!(
        "listen: \"udp://127.0.0.1:0\", balance: source, targets: [{{ name: a, address: \"udp://{}\" }}, {{ name: b, address: \"udp://{}\" }}, {{ name: c, address: \"udp://{}\" }}]",
        a.at, b.at, c.at
    ));
    let at = at(&daemon);
    for last in 1..30 {
        let from = format!("127.0.0.{last}");
        let mine = who(&client(&from, at));
        for _ in 0..3 {
            assert_eq!(who(&client(&from, at)), mine, "{from}");
        }
    }
    assert!(targets.iter().all(|target| target.heard() > 0));
}

#[test]
fn answers_off_is_one_way() {
    let target = Target::new("t");
    let daemon = games(&format!(
        "listen: \"udp://127.0.0.1:0\", answers: off, targets: [{{ name: t, address: \"udp://{}\" }}]",
        target.at
    ));
    let one = client("127.0.0.1", at(&daemon));
    for _ in 0..3 {
        assert_eq!(ask(&one, "hello"), "");
    }
    eventually("all were heard", || target.heard() == 3);
    let flows = live(&daemon);
    assert_eq!(
        flows.len(),
        1,
        "one flow, which no silence ended: {flows:?}"
    );
    assert_eq!(flows[0]["bytes_sent"], 15);
    assert_eq!(flows[0]["bytes_received"], 0);
}

#[test]
fn forged_sources_do_not_keep_others_out() {
    let target = Target::new("t");
    // What nobody answers, and what is answered.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "version: 1\nudp: {{ flows: 200, flows_by_client: 20 }}\nforwards:\n\
         \x20 games: {{ listen: \"udp://127.0.0.1:0\", targets: [{{ name: t, address: \"udp://{}\" }}] }}\n\
         \x20 void: {{ listen: \"udp://127.0.0.1:0\", targets: [{{ name: s, address: \"udp://{}\" }}] }}\n",
        target.at,
        silent.local_addr().unwrap()
    );
    let daemon = Daemon::native(&text);
    let one = client("127.0.0.1", at(&daemon));
    assert_eq!(who(&one), "t");
    let (_, void) = &daemon.ready["void"];
    let void: SocketAddr = void.strip_prefix("udp://").unwrap().parse().unwrap();
    for number in 0..3000_u32 {
        let [_, _, high, low] = number.to_be_bytes();
        let socket = UdpSocket::bind((std::net::Ipv4Addr::new(127, 7, high, low), 0)).unwrap();
        let _full = socket.send_to(b"forged", void);
        if number % 500 == 0 {
            assert_eq!(who(&one), "t", "who was answered stays");
        }
    }
    assert!(live(&daemon).len() <= 200);
    eventually("one more gets a place at the flooded forward", || {
        let late = client("127.0.0.9", void);
        let _full = late.send(b"late");
        let from = late.local_addr().unwrap().to_string();
        std::thread::sleep(Duration::from_millis(50));
        live(&daemon).iter().any(|it| it["source"] == from)
    });
}

#[test]
fn a_reload_keeps_flows_and_a_listener_that_is_gone_ends_them() {
    let (old, new) = (Target::new("old"), Target::new("new"));
    let (port, other) = (nobody().port(), nobody().port());
    let to = |port: u16, at: SocketAddr| {
        text(&format!(
            "listen: \"udp://127.0.0.1:{port}\", targets: [{{ name: t, address: \"udp://{at}\" }}]"
        ))
    };
    let daemon = Daemon::native(&to(port, old.at));
    let one = client("127.0.0.1", at(&daemon));
    let before = ask(&one, "hello");
    assert!(before.starts_with("old hello"), "{before}");
    let reload = |text: &str| {
        daemon.write("pointsman.yaml", text);
        assert!(daemon.client(&["reload"]).status.success());
    };
    reload(&to(port, new.at));
    assert_eq!(
        ask(&one, "hello"),
        before,
        "the same flow, by the same socket"
    );
    assert_eq!(who(&client("127.0.0.1", at(&daemon))), "new");
    // Refused: the target is the listener itself.
    daemon.write(
        "pointsman.yaml",
        &to(port, format!("127.0.0.1:{port}").parse().unwrap()),
    );
    let refused = daemon.client(&["reload"]);
    assert!(!refused.status.success());
    assert_eq!(ask(&one, "hello"), before);
    reload(&to(other, new.at));
    eventually("the port is free", || {
        UdpSocket::bind(("127.0.0.1", port)).is_ok()
    });
    eventually("all flows of it have ended", || live(&daemon).is_empty());
    let ended = recent(&daemon);
    assert_eq!(ended.len(), 2);
    assert!(
        ended.iter().all(|it| it["ended_by"] == "reload"),
        "{ended:?}"
    );
    let moved = format!("127.0.0.1:{other}").parse().unwrap();
    assert_eq!(who(&client("127.0.0.1", moved)), "new");
    let status = daemon.client(&["status"]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(
        status.contains(&format!("udp://127.0.0.1:{other}")),
        "{status}"
    );
}
