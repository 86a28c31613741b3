//! Fake addresses: what `dig` is told, and where flows to them go, over SOCKS by TCP and UDP, and over restarts.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::{Daemon, Start};
use crate::dns::{World, dig};

const CONFIG: &str = "version: 1
inbounds: { desk: { type: socks5, listen: \"127.0.0.1:1080\" } }
outbounds: { privacy: { type: socks5, server: \"127.0.0.1:2123\" } }
rule_sets: { localnames: { domains: [lan.secret.test] } }
rules:
- DOMAIN-SUFFIX, far.secret.test, privacy
- FALLBACK, DIRECT
dns:
  listen: \"udp://127.0.0.1:53535\"
  upstreams: { near: \"udp://10.9.9.2\", far: { address: \"udp://10.9.9.1\", via: privacy } }
  fake_ip: { except: [localnames] }
  rules:
  - DOMAIN-SUFFIX, secret.test, fake
  - FALLBACK, near
";

/// The daemon of a world that keeps its state in that directory, in place of the one there.
fn restarted(mut world: World, state: &Path, config: &str) -> World {
    world.daemon.signal("KILL");
    world.daemon.wait(Duration::from_secs(10));
    world.daemon = Daemon::start(&Start {
        files: vec![("conf", config.to_owned())],
        config: "conf",
        namespace: Some(&world.host.name),
        args: vec!["--state", state.to_str().unwrap()],
        ..Start::default()
    });
    world
}

fn world(state: &Path) -> World {
    restarted(
        World::with(vec![("conf", CONFIG.to_owned())]),
        state,
        CONFIG,
    )
}

/// The data of the only record of a reply.
fn told(world: &World, words: &str) -> String {
    let reply = dig(&world.host, words);
    let records = reply.lines().filter(|line| !line.starts_with(';'));
    let mut data = records.filter_map(|line| line.split_once("IN\t"));
    let one = data.next().map(|(_, data)| data.to_owned());
    assert!(data.next().is_none() && one.is_some(), "{words}: {reply}");
    one.unwrap()
        .split_once(char::is_whitespace)
        .unwrap()
        .1
        .to_owned()
}

/// A connection to a host by SOCKS; its record.
fn go(world: &World, host: &str) -> Value {
    let words = ["--silent", "--max-time", "8", "--socks5", "127.0.0.1:1080"];
    let mut curl = world.host.command("curl");
    let _ended = curl.args(words).arg(format!("http://{host}:81/")).status();
    world.daemon.last_flow()
}

/// D17.
#[test]
fn a_fake_address_stands_for_its_name_over_restarts() {
    let state = tempfile::tempdir().unwrap();
    let world = world(state.path());
    let v4 = told(&world, "a.far.secret.test A");
    let v6 = told(&world, "a.far.secret.test AAAA");
    assert!(
        v4.starts_with("198.18.") || v4.starts_with("198.19."),
        "{v4}"
    );
    assert!(v6.starts_with("fdfe:706f:696e:7400:"), "{v6}");
    assert_eq!(world.near.all().len() + world.far.all().len(), 0);
    // Other types are asked for as flows leave; what leads past the address is left out.
    assert_eq!(told(&world, "a.far.secret.test HTTPS"), "1 . alpn=\"h2\"");
    assert_eq!(told(&world, "a.far.secret.test HTTPS"), "1 . alpn=\"h2\"");
    assert_eq!(told(&world, "a.far.secret.test MX"), "10 mail.test.");
    assert_eq!((world.near.all().len(), world.far.all().len()), (0, 2));
    assert_eq!(told(&world, &format!("-x {v4}")), "a.far.secret.test.");
    assert_eq!(told(&world, &format!("-x {v6}")), "a.far.secret.test.");
    world.check("-x 198.18.0.1", "NXDOMAIN", &[]);
    // Names of `except` fall to the next rule.
    assert_eq!(told(&world, "nas.lan.secret.test A"), "10.0.0.1");
    let named = world.daemon.json(&["dns", "fake", &v4]);
    assert_eq!(
        named,
        serde_json::json!({"name": "a.far.secret.test", "v4": v4, "v6": v6})
    );
    assert_eq!(
        world.daemon.json(&["dns", "fake", "a.far.secret.test"]),
        named
    );
    let others: Vec<String> = (0..20)
        .map(|n| told(&world, &format!("n{n}.secret.test A")))
        .collect();

    let world = restarted(world, state.path(), CONFIG);
    for address in [v4.as_str(), &format!("[{v6}]")] {
        let record = go(&world, address);
        assert_eq!(record["domain"], "a.far.secret.test", "{record}");
        assert_eq!(record["dns_name_from"], "fake", "{record}");
        assert_eq!(record["outbound"], "privacy", "{record}");
        let proxy = world.proxy.as_ref().unwrap().last_flow();
        assert_eq!(proxy["destination"]["host"], "a.far.secret.test", "{proxy}");
    }
    // In another order than before.
    for n in (0..20).rev() {
        assert_eq!(told(&world, &format!("n{n}.secret.test A")), others[n]);
    }
    assert_eq!(told(&world, "a.far.secret.test A"), v4);
    let explained = world.daemon.json(&["explain", &format!("dst={v4}:443")]);
    assert_eq!(explained["decision"]["outbound"], "privacy", "{explained}");

    // Directly: by the address that the name has.
    let record = go(&world, &others[3]);
    assert_eq!(record["domain"], "n3.secret.test", "{record}");
    assert!(
        world.near.asked("n3.secret.test 1") >= 1,
        "{:?}",
        world.near.all()
    );
    assert!(record["error"].to_string().contains("10.0.0.1"), "{record}");

    // One that was never given.
    let begun = Instant::now();
    let mut never = (1..).map(|n| format!("198.18.0.{n}"));
    let never = never.find(|it| *it != v4 && !others.contains(it)).unwrap();
    let record = go(&world, &never);
    assert_eq!(record["ended"], "refused", "{record}");
    assert!(
        record["reason"].to_string().contains("stale fake address"),
        "{record}"
    );
    assert!(record["duration_ms"].as_u64().unwrap() < 100, "{record}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

/// A torn journal, one that cannot be written, other ranges: told, and served all the same.
#[test]
fn what_cannot_be_written_down_is_served_from_memory_and_told_once() {
    let state = tempfile::tempdir().unwrap();
    let mut world = world(state.path());
    let first = told(&world, "a.secret.test A");
    let journal = state.path().join("fake-addresses.journal");
    let mut bytes = std::fs::read(&journal).unwrap();
    bytes.extend_from_slice(b"\x0dtorn");
    std::fs::write(&journal, bytes).unwrap();
    world = restarted(world, state.path(), CONFIG);
    assert!(
        world.daemon.log().contains("the last 5 bytes"),
        "{}",
        world.daemon.log()
    );
    assert_eq!(go(&world, &first)["domain"], "a.secret.test");

    // A directory in the place of the file that is written anew: a full or read-only disk is told alike.
    std::fs::create_dir(state.path().join("fake-addresses.journal.new")).unwrap();
    let second = told(&world, "b.secret.test A");
    let third = told(&world, "c.secret.test A");
    assert_eq!(go(&world, &second)["domain"], "b.secret.test");
    assert_eq!(go(&world, &third)["domain"], "c.secret.test");
    let log = world.daemon.log();
    assert_eq!(log.matches("do not outlive the daemon").count(), 1, "{log}");

    let other = CONFIG.replace("fake_ip: {", "fake_ip: { v4: 10.77.0.0/16, v6: off,");
    world.daemon.write("conf", &other);
    assert!(world.daemon.client(&["reload"]).status.success());
    assert!(told(&world, "a.secret.test A").starts_with("10.77."));
    world.check("a.secret.test AAAA", "NOERROR", &[]);
    // Of the range before nothing leaves either.
    let record = go(&world, &first);
    assert!(
        record["reason"].to_string().contains("stale fake address"),
        "{record}"
    );
}

/// Datagrams to a fake address: the name is asked for, and answers come from the address that was sent to.
#[test]
fn datagrams_to_a_fake_address_go_to_the_name() {
    let state = tempfile::tempdir().unwrap();
    let world = world(state.path());
    let fake = told(&world, "here.secret.test A");
    world
        .host
        .ip(&["address", "add", "10.0.0.1/32", "dev", "lo"]);
    let script = format!("import socket, struct, threading
e = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); e.bind(('10.0.0.1', 9999))
def echo():
    d, a = e.recvfrom(2000); e.sendto(b'echo ' + d, a)
threading.Thread(target=echo, daemon=True).start()
t = socket.create_connection(('127.0.0.1', 1080)); t.sendall(b'\\x05\\x01\\x00'); t.recv(2)
t.sendall(b'\\x05\\x03\\x00\\x01' + bytes(6)); r = t.recv(64)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(5)
u.sendto(b'\\x00\\x00\\x00\\x01' + socket.inet_aton('{fake}') + struct.pack('!H', 9999) + b'hello', ('127.0.0.1', struct.unpack('!H', r[8:10])[0]))
d = u.recv(2000)
print(socket.inet_ntoa(d[4:8]), struct.unpack('!H', d[8:10])[0], d[10:].decode())
");
    let mut python = world.host.command("python3");
    let output = python.args(["-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said.trim(), format!("{fake} 9999 echo hello"), "{output:?}");
    let flows = world
        .daemon
        .json(&["flows", "list", "network=udp", "--recent"]);
    assert_eq!(flows["flows"][0]["domain"], "here.secret.test", "{flows}");
}
