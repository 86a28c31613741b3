//! Flows that bring an address alone, of clients that asked the DNS server before: which name they are told to have.

use serde_json::{Value, json};

use crate::dns::World;

const CONFIG: &str = "version: 1
inbounds: { desk: { type: socks5, listen: \"0.0.0.0:1080\" } }
outbounds: { privacy: { type: socks5, server: \"127.0.0.1:2123\" } }
rules:
- DOMAIN-SUFFIX, secret.test, REJECT
- DOMAIN-SUFFIX, far.test, privacy
- FALLBACK, DIRECT
dns:
  listen: { address: \"udp://0.0.0.0:53535\", allow: [10.0.0.0/8, 127.0.0.0/8] }
  upstreams: { near: \"udp://10.9.9.2\", far: { address: \"udp://10.9.9.1\", via: privacy } }
  hosts: { nas.secret.test: 10.0.0.9 }
  rules:
  - DOMAIN, blocked.secret.test, zero
  - FALLBACK, near
";

fn world() -> World {
    World::with(vec![("conf", CONFIG.to_owned())])
}

/// A connection to an address by SOCKS, from one of this host's; its record.
fn go(world: &World, from: &str, address: &str) -> Value {
    let proxy = match from {
        "127.0.0.1" => "127.0.0.1:1080",
        _ => "10.9.9.2:1080",
    };
    let words = [
        "--silent",
        "--max-time",
        "5",
        "--interface",
        from,
        "--socks5",
        proxy,
    ];
    let mut curl = world.host.command("curl");
    let _ended = curl
        .args(words)
        .arg(format!("http://{address}:81/"))
        .status();
    let mut record = world.daemon.last_flow();
    record["rule"] = record["rule"]["line"].take();
    record
}

fn is(record: &Value, rule: u32, expected: Value) {
    let mut seen = json!({"rule": record["rule"], "host": record["destination"]["host"]});
    for key in ["domain", "dns_name_from", "dns_name_error"] {
        if let Some(value) = record.get(key).filter(|value| !value.is_null()) {
            seen[key] = value.clone();
        }
    }
    let mut wanted = expected;
    wanted["rule"] = rule.into();
    assert_eq!(seen, wanted, "{record}");
}

#[test]
fn an_address_has_the_name_that_its_client_asked_for() {
    let world = world();
    let address = "10.0.0.1";
    // Nobody asked.
    is(
        &go(&world, "127.0.0.1", address),
        7,
        json!({"host": address}),
    );
    world.check("a.secret.test A", "NOERROR", &["A 10.0.0.1"]);
    world.check("blocked.secret.test A", "NOERROR", &["A 0.0.0.0"]);
    let named = json!({"host": address, "domain": "a.secret.test", "dns_name_from": "answer"});
    is(&go(&world, "127.0.0.1", address), 5, named);
    // Another client did not.
    is(
        &go(&world, "10.9.9.1", address),
        7,
        json!({"host": address}),
    );
    world.check("-b 10.9.9.1 b.far.test A", "NOERROR", &["A 10.0.0.1"]);
    let record = go(&world, "10.9.9.1", address);
    let named = json!({"host": address, "domain": "b.far.test", "dns_name_from": "answer"});
    is(&record, 6, named);
    // The proxy was told the address that the client asked for.
    let proxy = world.proxy.as_ref().unwrap().last_flow();
    assert_eq!(proxy["destination"]["host"], address, "{proxy}");
    // Fixed addresses are told, too.
    world.check("nas.secret.test A", "NOERROR", &["A 10.0.0.9"]);
    let named = json!({"host": "10.0.0.9", "domain": "nas.secret.test", "dns_name_from": "answer"});
    is(&go(&world, "127.0.0.1", "10.0.0.9"), 5, named);

    // Two names: neither is told.
    world.check("other.test A", "NOERROR", &["A 10.0.0.1"]);
    let why = "ambiguous: a.secret.test, other.test";
    let record = go(&world, "127.0.0.1", address);
    is(&record, 7, json!({"host": address, "dns_name_error": why}));
    let id = record["id"].to_string();
    let told = world.daemon.client(&["explain", "--id", &id]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains(why), "{told}");
    let told = world
        .daemon
        .json(&["explain", "dst=10.0.0.1:443", "src=127.0.0.1"]);
    assert!(told["trace"].to_string().contains(why), "{told}");
    let told = world
        .daemon
        .json(&["explain", "dst=10.0.0.1:443", "src=10.9.9.1"]);
    assert_eq!(told["decision"]["outbound"], "privacy", "{told}");
    let words = ["explain", "dst=10.0.0.1:443", "dns-name=x.secret.test"];
    let told = world.daemon.json(&words);
    assert_eq!(told["decision"]["action"], "reject", "{told}");

    let mut names = world.daemon.json(&["dns", "names", address]);
    for name in names["names"].as_array_mut().unwrap() {
        assert!((1..=120).contains(&name["left_s"].take().as_u64().unwrap()));
    }
    let expected = json!({"address": address, "names": [
        {"name": "a.secret.test", "ambiguous": true, "left_s": null},
        {"name": "other.test", "ambiguous": true, "left_s": null},
        {"client": "10.9.9.1", "name": "b.far.test", "ambiguous": false, "left_s": null},
    ]});
    assert_eq!(names, expected);
    let told = world
        .daemon
        .client(&["dns", "names", address, "--client", "10.9.9.7"]);
    assert_eq!(told.status.code(), Some(1), "{told:?}");
}

/// What clients send to an address over UDP has a name, too, and a reload forgets none.
#[test]
fn datagrams_have_a_name_and_reloads_forget_none() {
    let world = world();
    world.check("a.secret.test A", "NOERROR", &["A 10.0.0.1"]);
    assert!(world.daemon.client(&["reload"]).status.success());
    let script = "import socket, struct, time
t = socket.create_connection(('127.0.0.1', 1080)); t.sendall(b'\\x05\\x01\\x00'); t.recv(2)
t.sendall(b'\\x05\\x03\\x00\\x01' + bytes(6)); r = t.recv(64)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.sendto(b'\\x00\\x00\\x00\\x01' + bytes([10, 0, 0, 1]) + struct.pack('!H', 9) + b'hello', ('127.0.0.1', struct.unpack('!H', r[8:10])[0]))
time.sleep(0.5)
";
    let mut python = world.host.command("python3");
    assert!(python.args(["-c", script]).status().unwrap().success());
    let flows = world
        .daemon
        .json(&["flows", "list", "network=udp", "--recent"]);
    let record = &flows["flows"][0];
    assert_eq!(record["domain"], "a.secret.test", "{flows}");
    assert_eq!(record["action"], "reject", "{flows}");
}
