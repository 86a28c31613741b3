//! The DNS server, asked by `dig`: who hears of which name, and what comes back.

mod asks;
mod kept;
mod odd;
mod secured;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Running, Start, eventually};
use crate::namespace::Namespace;
use crate::reflow::shared;

/// A name server of `names.py`, and what it was asked: `udp m.twitter.com 1`.
pub(crate) struct Names {
    _running: Running,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Names {
    /// Answers A queries at that address with that answer.
    fn start(namespace: &Namespace, address: &str, answer: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/dns/names.py");
        let mut command = namespace.command("python3");
        command.arg(script).args([address, "53", answer]);
        let mut running = Running(command.stdout(Stdio::piped()).spawn().unwrap());
        let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                heard.lock().unwrap().push(line);
            }
        });
        Self {
            _running: running,
            asked,
        }
    }

    /// How often it was asked something that begins so; what it wrote is waited for.
    pub(crate) fn asked(&self, words: &str) -> usize {
        std::thread::sleep(Duration::from_millis(100));
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|line| line.contains(words)).count()
    }

    pub(crate) fn all(&self) -> Vec<String> {
        std::thread::sleep(Duration::from_millis(100));
        self.asked.lock().unwrap().clone()
    }
}

/// What dig prints for these words, comments included.
pub(crate) fn dig(namespace: &Namespace, words: &str) -> String {
    let mut command = namespace.command("dig");
    command.args(["+tries=1", "+time=6", "@127.0.0.1", "-p", "53535"]);
    let output = command.args(words.split(' ')).output();
    let output = output.expect("dig is installed (./test installs what the tests need)");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The status of a reply, and the records of its answer as one line each, their names and times left out.
pub(crate) fn told(reply: &str) -> (String, Vec<String>) {
    let status = reply.split("status: ").nth(1).unwrap_or("none,");
    let status = status.split(',').next().unwrap().to_owned();
    let records = reply.lines().filter_map(|line| line.split_once("\tIN\t"));
    // The authority's record says how long nothing is there.
    let records = records.filter(|(name, data)| !name.starts_with(';') && !data.starts_with("SOA"));
    (
        status,
        records.map(|(_, data)| data.replace('\t', " ")).collect(),
    )
}

fn check(namespace: &Namespace, words: &str, status: &str, records: &[&str]) {
    let reply = dig(namespace, words);
    let (got, of) = told(&reply);
    assert_eq!(
        (got.as_str(), of),
        (status, records.iter().map(|it| (*it).to_owned()).collect()),
        "{words}: {reply}"
    );
}

/// A host with reflow's directory: what is secret is asked by the SOCKS proxy, all else of the provider.
pub(crate) struct World {
    pub(crate) host: Namespace,
    pub(crate) near: Names,
    pub(crate) far: Names,
    pub(crate) proxy: Option<Daemon>,
    pub(crate) daemon: Daemon,
}

const DNS: &str = "egress privacy = socks5 127.0.0.1:2123\n\
    dns {\n listen=udp 127.0.0.1:53535\n forward={\n  secret => privacy|udp 10.9.9.1:53\n  else => udp 10.9.9.2:53\n }\n}\n\
    relay {\n rule=all\n listen=socks5 127.0.0.1:1080\n resolver=udp 127.0.0.1:53535\n}\nrule all = direct\n";

impl World {
    fn new() -> Self {
        Self::with(vec![
            ("conf/config", DNS.to_owned()),
            (
                "conf/namezone/secret",
                "test.secret\ntest.other.www\n".to_owned(),
            ),
        ])
    }

    pub(crate) fn with(files: Vec<(&str, String)>) -> Self {
        let host = Namespace::new("dns");
        // So that no client's own port is the server's.
        let range = "echo 32768 50000 > /proc/sys/net/ipv4/ip_local_port_range";
        let ranged = host.command("sh").args(["-c", range]).status().unwrap();
        assert!(ranged.success());
        for address in [
            "10.9.9.1/32",
            "10.9.9.2/32",
            "1.1.1.1/32",
            "192.168.1.1/32",
            "192.168.33.83/32",
            "10.1.2.3/32",
        ] {
            host.ip(&["address", "add", address, "dev", "lo"]);
        }
        let (near, far) = match files.iter().any(|(_, text)| text.contains("10.9.9.1")) {
            true => ("10.9.9.2", "10.9.9.1"),
            false => ("192.168.1.1", "1.1.1.1"),
        };
        let near = Names::start(&host, near, "10.0.0.1");
        let far = Names::start(&host, far, "10.0.0.2");
        let proxy = Daemon::start(&Start {
            files: vec![(
                "proxy.yaml",
                "version: 1\ninbounds: { desk: { type: socks5, listen: \"127.0.0.1:2123\" } }\npolicy: direct\n".to_owned(),
            )],
            config: "proxy.yaml",
            namespace: Some(&host.name),
            ..Start::default()
        });
        let daemon = Daemon::start(&Start {
            files,
            config: "conf",
            namespace: Some(&host.name),
            ..Start::default()
        });
        Self {
            host,
            near,
            far,
            proxy: Some(proxy),
            daemon,
        }
    }

    pub(crate) fn check(&self, words: &str, status: &str, records: &[&str]) {
        check(&self.host, words, status, records);
    }
}

/// A host with a native file: two upstreams at 10.9.9.1 (`far`) and 10.9.9.2 (`near`), and this `dns` beside them.
pub(crate) fn native(dns: &str) -> World {
    let text = format!(
        "version: 1\noutbounds: {{ privacy: {{ type: socks5, server: \"127.0.0.1:2123\" }} }}\n\
         rule_sets: {{ ads: {{ path: ads.txt }} }}\npolicy: direct\n\
         dns:\n  listen: \"udp://127.0.0.1:53535\"\n  upstreams:\n    near: \"udp://10.9.9.2\"\n    \
         far: {{ address: \"udp://10.9.9.1\", via: privacy, timeout: 2s }}\n{dns}"
    );
    let list = "ads.test\ntracker.test\n".to_owned();
    World::with(vec![("conf", text), ("ads.txt", list)])
}

/// D13: each answer of rules, for types that have addresses and for one that has none.
#[test]
fn rules_answer_by_themselves() {
    let rules = "  rules:\n  - DOMAIN, zero.test, zero\n  - DOMAIN, nodata.block, nodata\n  - DOMAIN, refused.block, refused\n  \
                 - DOMAIN, drop.block, drop\n  - RULE-SET, ads, nxdomain\n  - DOMAIN-SUFFIX, secret.test, far\n  - FALLBACK, near\n";
    let world = native(rules);
    world.check("zero.test A", "NOERROR", &["A 0.0.0.0"]);
    world.check("zero.test AAAA", "NOERROR", &["AAAA ::"]);
    for (words, status) in [
        ("zero.test MX", "NOERROR"),
        ("nodata.block A", "NOERROR"),
        ("refused.block A", "REFUSED"),
        ("+time=2 drop.block A", "none"),
        ("+time=1 drop.block ANY", "none"),
        ("+notcp refused.block ANY", "REFUSED"),
        ("+notcp x.ads.test ANY", "NXDOMAIN"),
        ("x.ads.test A", "NXDOMAIN"),
        ("tracker.test HTTPS", "NXDOMAIN"),
    ] {
        world.check(words, status, &[]);
    }
    let reply = dig(&world.host, "x.ads.test A");
    assert!(reply.contains("EDE: 15 (Blocked)"), "{reply}");
    assert!(reply.contains("\tSOA\t"), "{reply}");
    assert_eq!((world.near.all().len(), world.far.all().len()), (0, 0));
    world.check("a.secret.test A", "NOERROR", &["A 10.0.0.2"]);
    world.check("a.test A", "NOERROR", &["A 10.0.0.1"]);
    // A name that is no host's is decided on by what it ends in.
    world.check(
        "_sip._tcp.secret.test SRV",
        "NOERROR",
        &["SRV 1 2 443 srv.test."],
    );
    world.check("x\\.y.secret.test A", "NOERROR", &["A 10.0.0.2"]);
    assert_eq!((world.near.all().len(), world.far.all().len()), (1, 3));
}

/// A rule on types holds for what is asked, whatever name has it.
#[test]
fn rules_look_at_the_type_that_is_asked_for() {
    let world = native(
        "  rules:\n  - AND, [DNS-TYPE, HTTPS|64], [DOMAIN-SUFFIX, secret.test], nodata\n  - DNS-TYPE, TXT, far\n  - FALLBACK, near\n",
    );
    world.check("a.secret.test HTTPS", "NOERROR", &[]);
    world.check("a.secret.test TYPE64", "NOERROR", &[]);
    assert_eq!((world.near.all().len(), world.far.all().len()), (0, 0));
    world.check("a.secret.test A", "NOERROR", &["A 10.0.0.1"]);
    assert_eq!(told(&dig(&world.host, "a.test HTTPS")).1.len(), 1);
    assert_eq!(told(&dig(&world.host, "a.test TXT")).1.len(), 1);
    assert_eq!((world.near.all().len(), world.far.all().len()), (2, 1));
}

/// D15, and fixed addresses.
#[test]
fn names_of_this_place_are_nobodys_elses() {
    let world = native(
        "  hosts: { nas.lan: [192.168.1.5, \"fd00::5\"], .box: 127.0.0.1 }\n  domains: { fritz.box.local: far }\n",
    );
    for (words, status, records) in [
        ("x.onion A", "NXDOMAIN", &[][..]),
        ("a.invalid A", "NXDOMAIN", &[]),
        ("localhost A", "NOERROR", &["A 127.0.0.1"]),
        ("localhost AAAA", "NOERROR", &["AAAA ::1"]),
        ("localhost MX", "NOERROR", &[]),
        ("printer.local A", "NXDOMAIN", &[]),
        ("9.1.168.192.in-addr.arpa PTR", "NXDOMAIN", &[]),
        ("_dns.resolver.arpa SVCB", "NOERROR", &[]),
        ("use-application-dns.net A", "NXDOMAIN", &[]),
        ("router A", "NXDOMAIN", &[]),
        ("nas.lan A", "NOERROR", &["A 192.168.1.5"]),
        ("nas.lan AAAA", "NOERROR", &["AAAA fd00::5"]),
        ("nas.lan TXT", "NOERROR", &[]),
        ("a.b.box A", "NOERROR", &["A 127.0.0.1"]),
    ] {
        world.check(words, status, records);
    }
    assert_eq!((world.near.all().len(), world.far.all().len()), (0, 0));
    // A rule that names one is obeyed; the top level's own records are asked for.
    world.check("a.fritz.box.local A", "NOERROR", &["A 10.0.0.2"]);
    // It has dots, though what could be a host's has none.
    world.check("x!y.test A", "NOERROR", &["A 10.0.0.1"]);
    world.check(
        "test DS",
        "NOERROR",
        &["DS 1 8 2 000102030405060708090A0B0C0D0E0F101112131415161718191A1B 1C1D1E1F"],
    );
}

/// Who may not ask is told so, and nobody is asked for it; what cannot be got in 2 s is told after 2 s.
#[test]
fn strangers_are_refused_and_patience_is_the_upstreams_own() {
    let world = native("  rules: [\"DOMAIN-SUFFIX, stall.test, far\", \"FALLBACK, near\"]\n");
    let begun = Instant::now();
    world.check("a.stall.test A", "SERVFAIL", &[]);
    let took = begun.elapsed();
    assert!((1900..3900).contains(&took.as_millis()), "{took:?}");
    let text = std::fs::read_to_string(world.daemon.directory.path().join("conf")).unwrap();
    let text = text.replace(
        "listen: \"udp://127.0.0.1:53535\"",
        "listen: { address: \"udp://127.0.0.1:53535\", name: inner, allow: [10.0.0.0/8] }",
    );
    world.daemon.write("conf", &text);
    assert!(world.daemon.client(&["reload"]).status.success());
    let before = world.near.all().len();
    let reply = dig(&world.host, "b.test A");
    assert_eq!(told(&reply).0, "REFUSED", "{reply}");
    assert!(reply.contains("EDE: 18 (Prohibited)"), "{reply}");
    world.check("-b 10.9.9.1 b.test A", "NOERROR", &["A 10.0.0.1"]);
    assert_eq!(world.near.all().len(), before + 1);
}

/// Who asks too often is refused; programs of this host are not.
#[test]
fn who_asks_too_often_is_refused_while_others_are_not() {
    let world = native("  limits: { client_rate: 1 }\n");
    for n in 0..5 {
        world.check(
            &format!("-b 10.9.9.1 n{n}.test A"),
            "NOERROR",
            &["A 10.0.0.1"],
        );
    }
    let (mut refused, mut last) = (0, String::new());
    for n in 0..3 {
        last = dig(&world.host, &format!("-b 10.9.9.1 +time=1 m{n}.test A"));
        refused += usize::from(told(&last).0 == "REFUSED");
    }
    // A slow machine may have earned one more.
    assert!(refused >= 2, "{last}");
    assert!(dig(&world.host, "-b 10.9.9.1 +tcp m3.test A").contains("too many of your queries"));
    for n in 0..8 {
        world.check(&format!("n{n}.test A"), "NOERROR", &["A 10.0.0.1"]);
    }
    world.check("-b 10.9.9.2 n0.test A", "NOERROR", &["A 10.0.0.1"]);
}

/// D1: the sample's own names and zones, unchanged.
#[test]
fn reflows_sample_answers_dig() {
    let Some(shared) = shared() else { return };
    let sample = shared.join("samples/reflow");
    let mut files = Vec::new();
    let names = ["config", "namezone/secret-sites", "namezone/https-only"];
    for (name, to) in names.iter().zip([
        "conf/config",
        "conf/namezone/secret-sites",
        "conf/namezone/https-only",
    ]) {
        files.push((to, std::fs::read_to_string(sample.join(name)).unwrap()));
    }
    files.push(("conf/namezone/adservers", "test.ads\n".to_owned()));
    for zone in ["homelan", "mars"] {
        let to: &str = if zone == "mars" {
            "conf/addrzone/mars"
        } else {
            "conf/addrzone/homelan"
        };
        files.push((
            to,
            std::fs::read_to_string(sample.join("addrzone").join(zone)).unwrap(),
        ));
    }
    files.push(("conf/addrzone/worknet", "172.16.0.0/12\n".to_owned()));
    let mut world = World::with(files);
    world.check("m.twitter.com A", "NOERROR", &["A 10.0.0.2"]);
    assert_eq!((world.far.all().len(), world.near.all().len()), (1, 0));
    // The zone holds `com.reddit.www` alone.
    world.check("i.reddit.com A", "NOERROR", &["A 10.0.0.1"]);
    assert_eq!((world.far.all().len(), world.near.all().len()), (1, 1));
    // While the proxy is gone, nobody else hears of it.
    drop(world.proxy.take());
    let reply = dig(&world.host, "www.reddit.com A");
    assert_eq!(told(&reply).0, "SERVFAIL", "{reply}");
    assert!(
        reply.contains("EDE: 22 (No Reachable Authority)"),
        "{reply}"
    );
    assert_eq!(world.near.asked("www.reddit.com"), 0);
}

/// D3 and D5: data of any type as the upstream gave it, asked for once, in the client's spelling.
#[test]
fn any_type_passes_and_is_asked_for_once() {
    let world = World::new();
    let all = [
        ("A", "A 10.0.0.1".to_owned()),
        (
            "HTTPS",
            "HTTPS 1 . alpn=\"h2\" ipv4hint=192.0.2.1".to_owned(),
        ),
        ("MX", "MX 10 mail.test.".to_owned()),
        (
            "TXT",
            format!(
                "TXT \"{}\" \"{}\" \"{}\"",
                "A".repeat(255),
                "B".repeat(255),
                "C".repeat(255)
            ),
        ),
        ("SRV", "SRV 1 2 443 srv.test.".to_owned()),
        ("CAA", "CAA 0 issue \"ca.test\"".to_owned()),
        (
            "NAPTR",
            "NAPTR 100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:!\" .".to_owned(),
        ),
        ("TYPE65280", "TYPE65280 \\# 4 0001FEFF".to_owned()),
    ];
    for _ in 0..2 {
        for (kind, record) in &all {
            world.check(&format!("x.test {kind}"), "NOERROR", &[record]);
        }
    }
    world.check("+tcp x.test A", "NOERROR", &["A 10.0.0.1"]);
    assert_eq!(world.near.all().len(), all.len());
    // 3.9 kB: cut by datagram, whole by stream, which dig takes next.
    let reply = dig(&world.host, "big.test TXT");
    assert!(reply.contains("Truncated, retrying in TCP mode"), "{reply}");
    assert_eq!(told(&reply).1.len(), 5);
    let reply = dig(&world.host, "X.tEsT A");
    assert!(reply.contains(";X.tEsT.\t"), "{reply}");
    assert_eq!(world.near.all().len(), all.len() + 2);
}

/// D7, and what cannot be told.
#[test]
fn what_is_not_there_holds_as_the_zone_says_and_failures_say_why() {
    let world = World::new();
    let begun = Instant::now();
    for _ in 0..2 {
        world.check("a.nx.test A", "NXDOMAIN", &[]);
        world.check("a.nodata.test A", "NOERROR", &[]);
    }
    let reply = dig(&world.host, "a.nx.test A");
    let soa = reply
        .lines()
        .find(|line| line.contains("\tSOA\t"))
        .unwrap_or_else(|| panic!("{reply}"));
    let ttl: u32 = soa.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(ttl <= 5, "{soa}");
    assert_eq!(world.near.all().len(), 2);
    std::thread::sleep(Duration::from_secs(6).saturating_sub(begun.elapsed()));
    world.check("a.nx.test A", "NXDOMAIN", &[]);
    assert_eq!(world.near.asked("a.nx.test"), 2);
    for (name, status, why) in [
        (
            "servfail.test",
            "SERVFAIL",
            "EDE: 23 (Network Error): (udp 10.9.9.2:53: the server says SERVFAIL)",
        ),
        (
            "refused.test",
            "REFUSED",
            "EDE: 23 (Network Error): (udp 10.9.9.2:53: the server says REFUSED)",
        ),
        (
            "stall.test",
            "SERVFAIL",
            "EDE: 22 (No Reachable Authority): (udp 10.9.9.2:53: no answer within 4.0s)",
        ),
        (
            "lie.test",
            "SERVFAIL",
            "EDE: 22 (No Reachable Authority): (udp 10.9.9.2:53: no answer within 4.0s)",
        ),
    ] {
        let reply = dig(&world.host, &format!("{name} A"));
        assert_eq!(told(&reply).0, status, "{reply}");
        assert!(reply.contains(why), "{reply}");
    }
    let log = world.daemon.log();
    assert!(log.contains("a query got no answer"), "{log}");
    assert!(!log.contains("servfail.test"), "{log}");
    // A server that does not know EDNS is asked without.
    world.check("noedns.test A", "NOERROR", &["A 10.0.0.1"]);
    assert_eq!(world.far.all().len(), 0);
}

/// Exact codes for what is no question for us.
#[test]
fn what_is_not_answered_has_its_code() {
    let world = World::new();
    world.check("+qr x.test ANY", "NOERROR", &["HINFO \"RFC8482\" \"\""]);
    for (words, status) in [
        ("+opcode=4 x.test A", "NOTIMP"),
        ("+opcode=5 x.test SOA", "NOTIMP"),
        ("x.test CH TXT", "REFUSED"),
        ("+edns=1 +noednsneg x.test A", "BADVERS"),
        ("+tcp +noall +comments x.test AXFR", "REFUSED"),
    ] {
        let reply = dig(&world.host, words);
        assert_eq!(told(&reply).0, status, "{words}: {reply}");
    }
    assert_eq!((world.near.all().len(), world.far.all().len()), (0, 0));
}

/// The relay's own resolver may be the DNS server: a name that is dialled is asked where its zone says.
#[test]
fn a_relay_may_ask_the_server_beside_it() {
    let world = World::new();
    let proxy = "socks5h://127.0.0.1:1080";
    for (name, far) in [("a.secret.test", 1), ("b.test", 1)] {
        let mut curl = world.host.command("curl");
        let url = format!("http://{name}:9/");
        let _refused = curl
            .args(["--silent", "--max-time", "3", "--proxy", proxy, &url])
            .output();
        eventually("it was asked for", || world.far.asked(" 1") == far);
    }
    assert_eq!(world.near.asked("secret"), 0);
    assert!(world.near.asked("b.test 1") > 0);
}

/// The cache and the sockets live over reloads; a rule that changed counts at once.
#[test]
fn a_reload_keeps_what_is_known_and_asks_as_it_says() {
    let world = World::new();
    world.check("a.test A", "NOERROR", &["A 10.0.0.1"]);
    world
        .daemon
        .write("conf/namezone/secret", "test.secret\ntest.a\n");
    assert!(world.daemon.client(&["reload"]).status.success());
    world.check("a.test A", "NOERROR", &["A 10.0.0.2"]);
    world.daemon.write("conf/namezone/secret", "test.secret\n");
    assert!(world.daemon.client(&["reload"]).status.success());
    world.check("a.test A", "NOERROR", &["A 10.0.0.1"]);
    assert_eq!((world.near.all().len(), world.far.all().len()), (1, 1));
}

/// D16: one policy decides where flows go and where their names are asked.
#[test]
fn names_are_asked_where_their_flows_leave() {
    let world = native("");
    let text = std::fs::read_to_string(world.daemon.directory.path().join("conf")).unwrap();
    let rules = "rules:\n- DOMAIN-SUFFIX, corp.test, privacy\n- AND, [DST-PORT, 443], [DOMAIN-SUFFIX, x.test], privacy\n\
                 - RULE-SET, ads, REJECT\n- DOMAIN, gone.test, BLACKHOLE\n- FALLBACK, DIRECT\n";
    let follow = |more: &str| text.replace("policy: direct\n", rules) + more;
    let reload = |text: &str| {
        world.daemon.write("conf", text);
        world.daemon.client(&["reload"])
    };
    // Refused: whose names depend on a port is nobody's to guess.
    let refused = reload(&follow(""));
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("error[dns-undecided]"), "{said}");
    assert!(reload(&follow("  undecided: far\n")).status.success());
    world.check("a.corp.test A", "NOERROR", &["A 10.0.0.2"]);
    world.check("y.test A", "NOERROR", &["A 10.0.0.1"]);
    // The root, which no flow goes to, and a name that ends in no host's, where names go that no rule speaks of.
    let signer = "DS 1 8 2 000102030405060708090A0B0C0D0E0F101112131415161718191A1B 1C1D1E1F";
    world.check(". DS", "NOERROR", &[signer]);
    world.check("y.te!st A", "NOERROR", &["A 10.0.0.1"]);
    world.check("b.x.test A", "NOERROR", &["A 10.0.0.2"]);
    world.check("x.ads.test A", "NXDOMAIN", &[]);
    world.check("+time=2 gone.test A", "none", &[]);
    assert_eq!((world.near.all().len(), world.far.all().len()), (3, 2));
    let why = world.daemon.json(&["explain", "--dns", "b.x.test"]);
    assert_eq!(
        (&why["end"], &why["upstream"]),
        (&"asked".into(), &"far".into()),
        "{why}"
    );
    assert_eq!(why["servers"][0], "udp 10.9.9.1:53 by privacy");
    let ways: Vec<_> = why["ways"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["outbound"].as_str().unwrap())
        .collect();
    assert_eq!(ways, ["privacy", "DIRECT"]);
    for (name, end) in [
        ("y.test", "asked"),
        ("x.ads.test", "nxdomain"),
        ("gone.test", "drop"),
        ("a.onion", "local"),
    ] {
        let why = world.daemon.json(&["explain", "--dns", name]);
        assert_eq!(why["end"], end, "{why}");
    }
    let counted = world.daemon.json(&["diagnostics"])["queries"].clone();
    assert_eq!(
        (&counted["asked"], &counted["here"], &counted["dropped"]),
        (&5.into(), &1.into(), &1.into()),
        "{counted}"
    );
    // What is selected decides nothing here: an outbound asks whom it asks.
    let asked = follow("  undecided: far\n  ask: { DIRECT: far }\n");
    assert!(reload(&asked).status.success());
    world.check("z.test A", "NOERROR", &["A 10.0.0.2"]);
}

/// No flow is served, so no policy is needed; and a port is another's to serve from one reload to the next.
#[test]
fn a_server_of_names_needs_no_policy_and_gives_its_port_to_a_forward() {
    let world = native("");
    let names = "version: 1\ndns: { listen: \"udp://127.0.0.1:53535\", upstreams: { near: \"udp://10.9.9.2\" } }\n";
    let forward = "version: 1\nforwards: { names: { listen: \"udp://127.0.0.1:53535\", targets: [{ name: far, address: \"udp://10.9.9.1:53\" }] } }\n";
    for (text, address) in [
        (names, "A 10.0.0.1"),
        (forward, "A 10.0.0.2"),
        (names, "A 10.0.0.1"),
    ] {
        world.daemon.write("conf", text);
        let reloaded = world.daemon.client(&["reload"]);
        assert!(reloaded.status.success(), "{reloaded:?}");
        world.check("a.test A", "NOERROR", &[address]);
    }
}

/// What was asked before the daemon was told to end is answered.
#[test]
fn a_query_under_way_is_answered_while_the_daemon_ends() {
    let mut world = native("");
    let mut command = world.host.command("dig");
    command.args([
        "+tries=1",
        "+time=6",
        "@127.0.0.1",
        "-p",
        "53535",
        "a.slow.test",
        "A",
    ]);
    let asking = command.stdout(Stdio::piped()).spawn().unwrap();
    eventually("the upstream is asked", || world.near.asked("slow") > 0);
    world.daemon.signal("TERM");
    let output = asking.wait_with_output().unwrap();
    let reply = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        told(&reply),
        ("NOERROR".to_owned(), vec!["A 10.0.0.1".to_owned()]),
        "{reply}"
    );
    assert!(world.daemon.wait(Duration::from_secs(10)).success());
}
