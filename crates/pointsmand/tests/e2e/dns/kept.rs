//! What is kept of answers: how long it is told, what is told when nobody else can tell, and what is asked for early.

use std::process::Command;
use std::time::{Duration, Instant};

use super::{World, dig, native, told};

fn signal(names: &super::Names, signal: &str) {
    let pid = names._running.0.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status();
    assert!(sent.unwrap().success());
}

/// The time to live of the first record of an answer.
fn ttl(reply: &str) -> u32 {
    let line = reply.lines().find(|line| line.contains("\tIN\tA\t"));
    let line = line.unwrap_or_else(|| panic!("{reply}"));
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn sleep_until(begun: Instant, millis: u64) {
    std::thread::sleep(Duration::from_millis(millis).saturating_sub(begun.elapsed()));
}

/// Asks, and says how many milliseconds it took.
fn timed(world: &World, words: &str) -> (String, u128) {
    let begun = Instant::now();
    let reply = dig(&world.host, words);
    (reply, begun.elapsed().as_millis())
}

fn is_stale(reply: &str) -> bool {
    reply.contains("EDE: 3 (Stale Answer)") && ttl(reply) <= 30 && told(reply).0 == "NOERROR"
}

/// D21: an upstream that is silent, and one that is gone.
#[test]
fn what_nobody_can_tell_anew_is_told_for_a_while() {
    let mut world = native(
        "  rules: [\"DOMAIN-SUFFIX, far.test, far\", \"FALLBACK, near\"]\n  cache: { stale: 12s }\n",
    );
    let begun = Instant::now();
    for words in ["ttl2.a.test A", "ttl2.b.test A", "ttl2.far.test A"] {
        assert_eq!(told(&dig(&world.host, words)).0, "NOERROR");
    }
    signal(&world.near, "-STOP");
    sleep_until(begun, 3100);
    let (reply, took) = timed(&world, "ttl2.a.test A");
    assert!(is_stale(&reply), "{reply}");
    assert!((1750..2600).contains(&took), "{took}");
    // The question went on and came to nothing: for 30 s nobody waits.
    sleep_until(begun, 3100 + 4600);
    let (reply, took) = timed(&world, "ttl2.a.test A");
    assert!(is_stale(&reply) && took < 1000, "{took} ms: {reply}");
    // There was no connection to be had: that is known at once.
    drop(world.proxy.take());
    let (reply, took) = timed(&world, "ttl2.far.test A");
    assert!(is_stale(&reply) && took < 1000, "{took} ms: {reply}");
    // It is over.
    sleep_until(begun, 14_500);
    let (reply, _) = timed(&world, "ttl2.a.test A");
    assert_eq!(told(&reply).0, "SERVFAIL", "{reply}");
    signal(&world.near, "-CONT");
    std::thread::sleep(Duration::from_secs(6));
    let (reply, _) = timed(&world, "ttl2.b.test A");
    assert!(ttl(&reply) <= 2 && !reply.contains("EDE"), "{reply}");
    let counts = world
        .daemon
        .client(&["diagnostics", "--format", "json"])
        .stdout;
    let counts = String::from_utf8_lossy(&counts).into_owned();
    assert!(counts.contains("\"stale\":3"), "{counts}");
}

#[test]
fn what_is_asked_for_again_is_renewed_before_it_ends_and_times_have_limits() {
    let world = native(
        "  cache: { max_ttl: 20s, min_ttl: 10s, negative_ttl: 3s }\n  rules: [\"FALLBACK, near\"]\n",
    );
    let begun = Instant::now();
    let ask = |words: &str| ttl(&dig(&world.host, words));
    // 60 s and 2 s of the server's.
    assert_eq!((ask("a.test A"), ask("ttl2.b.test A")), (20, 10));
    assert!(ask("ttl2.b.test A") >= 8);
    assert!(dig(&world.host, "nx.test A").contains("\t3\tIN\tSOA"));
    assert_eq!(world.near.asked("b.test 1"), 1);
    sleep_until(begun, 9300);
    assert!(ask("ttl2.b.test A") <= 1);
    crate::daemon::eventually("it is renewed", || world.near.asked("b.test 1") == 2);
    sleep_until(begun, 10_800);
    assert!(ask("ttl2.b.test A") >= 7);
    assert_eq!(world.near.asked("b.test 1"), 2);
    // Nobody asked for the other one again.
    assert_eq!(world.near.asked("a.test 1"), 1);
    // Another time to live counts at once.
    let path = world.daemon.directory.path().join("conf");
    let text = std::fs::read_to_string(&path).unwrap();
    world
        .daemon
        .write("conf", &text.replace("max_ttl: 20s", "max_ttl: 15s"));
    assert!(world.daemon.client(&["reload"]).status.success());
    assert_eq!(ask("a.test A"), 15);
}
