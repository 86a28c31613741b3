//! What first bytes tell, one case per line.

use std::time::Duration;

use proptest::prelude::*;

use self::hello::{Hello, record, vec16};
use super::*;
use crate::fuzz_checks::check_sniff;

pub(crate) mod banner;
pub(crate) mod datagrams;
pub(crate) mod hello;
pub(crate) mod quic;
pub(crate) mod streams;

/// The verdict in one line: `protocol name key=value ...`.
fn told(verdict: Parse<Glance>) -> String {
    match verdict {
        Parse::Done(glance, _) => described(glance),
        Parse::NeedMore => "more".into(),
        Parse::Not(why) => format!("not: {why}"),
    }
}

fn described(glance: Glance) -> String {
    let mut words = vec![glance.protocol.as_str().to_owned()];
    words.push(glance.name.unwrap_or_else(|| "-".into()));
    words.extend(glance.method.map(|method| format!("method={method}")));
    words.extend(glance.user_agent.map(|agent| format!("agent={agent}")));
    words.extend(
        glance
            .tls_version
            .map(|version| format!("version={version:04x}")),
    );
    if !glance.alpn.is_empty() {
        words.push(format!("alpn={}", glance.alpn.join(",")));
    }
    if glance.ech {
        words.push("ech".into());
    }
    words.extend(
        glance
            .ssh_software
            .map(|software| format!("software={software}")),
    );
    words.extend(
        glance
            .quic_version
            .map(|version| format!("quic={version:x}")),
    );
    words.join(" ")
}

fn check(bytes: impl AsRef<[u8]>, expected: &str) {
    let bytes = bytes.as_ref();
    assert_eq!(
        told(look(bytes)),
        expected,
        "{:?}",
        String::from_utf8_lossy(bytes)
    );
    check_sniff(bytes);
}

#[test]
fn http_requests() {
    check(
        "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
        "http example.com method=GET",
    );
    check(
        "GET / HTTP/1.1\r\nHost: Example.COM:8080\r\n\r\n",
        "http example.com method=GET",
    );
    check(
        "GET / HTTP/1.1\r\nHOST:example.com\r\n\r\n",
        "http example.com method=GET",
    );
    check(
        "GET / HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n",
        "http 2001:db8::1 method=GET",
    );
    check(
        "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n",
        "http ::1 method=GET",
    );
    check(
        "GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n",
        "http 192.0.2.1 method=GET",
    );
    check("GET / HTTP/1.0\r\n\r\n", "http - method=GET");
    check("GET / HTTP/1.0\n\n", "http - method=GET");
    check("GET / HTTP/1.1\nHost: a.test\n\n", "http a.test method=GET");
    check("GET / HTTP/1.1\r\nHost:\r\n\r\n", "http - method=GET");
    check(
        "GET / HTTP/1.1\r\nHost: b\u{fc}cher.test\r\n\r\n",
        "http - method=GET",
    );
    check("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "http - method=GET");
    check(
        "M-SEARCH * HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "http a.test method=M-SEARCH",
    );
    check(
        "POST /x HTTP/1.1\r\nUser-Agent: curl/8.5.0\r\nHost: a.test\r\n\r\nbody",
        "http a.test method=POST agent=curl/8.5.0",
    );
    // The authority of the target outweighs Host; user information is not the host.
    check(
        "GET http://b.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "http b.test method=GET",
    );
    check(
        "GET HTTP://u:p@B.test:81?q HTTP/1.1\r\n\r\n",
        "http b.test method=GET",
    );
    check(
        "CONNECT c.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "http c.test method=CONNECT",
    );
    // Servers pass over empty lines before a request.
    check(
        "\r\n\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "http a.test method=GET",
    );
    // The first Host is the one; a bad line hides no good one.
    check(
        "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
        "http a.test method=GET",
    );
    check(
        "GET / HTTP/1.1\r\nbad line\r\n\x01: x\r\nHost: a.test\r\n\r\n",
        "http a.test method=GET",
    );
}

#[test]
fn http_is_told_as_early_as_can_be() {
    check("", "more");
    check("G", "more");
    check("GET", "more");
    check("GET / HTTP/1.1\r\nHost: a.test\r\n", "more");
    check("GET / HTTP/1.1\r\nHost: a.test\r\n\r", "more");
    check("A".repeat(32), "more");
    check("A".repeat(33), "not: not the expected protocol");
    check("GET  / HTTP/1.1\r\n\r\n", "not: not the expected protocol");
    check("GET / HTTP/2.0\r\n\r\n", "not: not the expected protocol");
    check("GET / HTTP/1.x", "not: not the expected protocol");
    check("GET / HTTP/1.1 \r\n", "not: not the expected protocol");
    check("GET /\r\n", "not: not the expected protocol");
    check("EHLO mail.test\r\n", "not: not the expected protocol");
    check("USER joe\r\n", "not: not the expected protocol");
    check("\r\n", "more");
    check("\r\nEHLO mail.test\r\n", "not: not the expected protocol");
    check("\r\n\x16\x03\x01", "not: not the expected protocol");
    check("\r\n".repeat(MAX_LOOK / 2), "not: too long");
    check([0xff; 40], "not: not the expected protocol");
}

#[test]
fn http_2_by_prior_knowledge() {
    check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http -");
    check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04", "http -");
    check("PRI * HTTP/2.0\r\n\r\nSM", "more");
    check(
        "PRI * HTTP/2.0\r\n\r\nGET",
        "not: not the expected protocol",
    );
    check("PRI * HTTP/1.1\r\n\r\n", "not: not the expected protocol");
}

#[test]
fn stuffing_hides_no_early_name() {
    let fat = format!(
        "GET / HTTP/1.1\r\nHost: a.test\r\nCookie: {}\r\n\r\n",
        "x".repeat(MAX_LOOK)
    );
    check(&fat, "http a.test method=GET");
    check(&fat[..MAX_LOOK - 1], "more");
    check(
        format!("GET /{}", "x".repeat(MAX_LOOK)),
        "http - method=GET",
    );
    check(
        format!("GET http://a.test/{}", "x".repeat(MAX_LOOK)),
        "http a.test method=GET",
    );
    let fat = Hello {
        key_share: 16_000,
        ..Hello::named("late.test")
    };
    check(fat.bytes(), "tls late.test version=0303");
    let mut fat = Hello {
        alpn: vec![vec![b'a'; 250]; 80],
        ..Hello::named("early.test")
    }
    .bytes();
    check(&fat, "tls early.test version=0303");
    fat.truncate(MAX_LOOK - 1);
    check(&fat, "more");
}

#[test]
fn client_hellos() {
    check(
        Hello::named("Example.com").bytes(),
        "tls example.com version=0303",
    );
    check(Hello::default().bytes(), "tls - version=0303");
    check(
        Hello {
            without_extensions: true,
            ..Hello::default()
        }
        .bytes(),
        "tls - version=0303",
    );
    check(
        Hello::named("192.0.2.1").bytes(),
        "tls 192.0.2.1 version=0303",
    );
    check(
        Hello::named("b\u{fc}cher.test").bytes(),
        "tls - version=0303",
    );
    check(Hello::named("").bytes(), "tls - version=0303");
    check(
        Hello::browser("a.test").bytes(),
        "tls a.test version=0304 alpn=h2,http/1.1",
    );
    let ech = Hello {
        ech: true,
        ..Hello::browser("outer.test")
    };
    check(
        ech.bytes(),
        "tls outer.test version=0304 alpn=h2,http/1.1 ech",
    );
    let old = Hello {
        versions: vec![0x0301, 0x0302],
        ..Hello::named("old.test")
    };
    check(old.bytes(), "tls old.test version=0302");
    let strange = Hello {
        alpn: vec![vec![0xff, 0], b"h3".into()],
        ..Hello::default()
    };
    check(strange.bytes(), "tls - version=0303 alpn=h3");
}

#[test]
fn a_hello_in_any_records_is_the_same_hello() {
    for hello in [Hello::named("a.test"), Hello::browser("a.test")] {
        let whole = told(look(&hello.bytes()));
        for size in [1, 2, 3, 4, 5, 7, 100, 1_000] {
            assert_eq!(
                told(look(&hello.in_records_of(size))),
                whole,
                "records of {size}"
            );
        }
    }
    check_sniff(&Hello::named("a.test").in_records_of(1));
    // What follows the hello, in its record or after it, is not looked at.
    let mut more = Hello::named("a.test").message();
    more.extend_from_slice(b"\x0b\0\0\x01x");
    check(record(&more), "tls a.test version=0303");
    check(
        [Hello::named("a.test").bytes(), b"junk".into()].concat(),
        "tls a.test version=0303",
    );
}

#[test]
fn what_is_no_client_hello() {
    let message = Hello::named("a.test").message();
    check([22], "more");
    check([22, 3], "more");
    check([22, 2], "not: not the expected protocol");
    check([22, 3, 5], "not: not the expected protocol");
    check([22, 3, 1, 0x41], "not: not the expected protocol");
    check([22, 3, 1, 0x40, 1], "not: not the expected protocol");
    check([22, 3, 1, 0, 0], "not: malformed: empty handshake record");
    check([22, 3, 1, 1, 0, 2], "not: not the expected protocol");
    check([23, 3, 3, 0, 10], "not: not the expected protocol");
    // An alert between two halves of the hello.
    let (front, back) = message.split_at(20);
    let alert = [21, 3, 1, 0, 2, 1, 0];
    let parts = [record(front), alert.into(), record(back)].concat();
    check(
        parts,
        "not: malformed: another record within the ClientHello",
    );
    let short = [&[1, 0, 0, 39, 3, 3], [0; 37].as_slice()].concat();
    check(
        record(&short),
        "not: malformed: ClientHello shorter than its fields",
    );
    let version = [&[1, 0, 0, 40, 9, 9], [0; 38].as_slice()].concat();
    check(record(&version), "not: malformed: ClientHello version");
    // A server_name whose list is longer than the extension.
    let mut lying = message;
    let at = lying.len() - b"a.test".len() - 5;
    lying[at..at + 2].copy_from_slice(&[0xff, 0xff]);
    check(
        record(&lying),
        "not: malformed: ClientHello shorter than its fields",
    );
}

#[test]
fn ssh_banners() {
    check(
        "SSH-2.0-OpenSSH_9.6p1 Ubuntu-3\r\n",
        "ssh - software=OpenSSH_9.6p1",
    );
    check("SSH-2.0-dropbear\n", "ssh - software=dropbear");
    check("SSH-1.99-x\r\nmore", "ssh - software=x");
    check("SSH-", "more");
    check("SSH-2.0-OpenSSH", "more");
    check("SSH-1.5-x\r\n", "not: not supported: SSH 1");
    check("SSH-3.0-x\r\n", "not: malformed: SSH version");
    check("SSH-2.0-\r\n", "not: malformed: SSH software version");
    check("SSH-2.0-a\x01\r\n", "not: malformed: SSH software version");
    check(format!("SSH-2.0-{}", "a".repeat(246)), "more");
    check(format!("SSH-2.0-{}", "a".repeat(247)), "not: too long");
}

#[test]
fn ports_whose_server_speaks_first() {
    assert!(
        [21, 25, 110, 143, 587, 3306]
            .into_iter()
            .all(server_speaks_first)
    );
    assert!(
        ![22, 80, 443, 465, 993, 995, 5432, 8080]
            .into_iter()
            .any(server_speaks_first)
    );
}

/// What this thread has spent on a CPU, where the system says it: the machine may be busy.
fn spent() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// A hello that comes byte by byte must not cost what a slow client likes it to.
#[test]
fn a_dripped_hello_is_cheap() {
    if spent().is_none() {
        eprintln!("skipped: this system does not say what a thread has spent");
        return;
    }
    // Of ten runs, for the system counts in milliseconds.
    let drip = |bytes: &[u8]| {
        let before = spent().unwrap();
        for end in (0..bytes.len()).cycle().take(10 * bytes.len()) {
            assert_eq!(look(&bytes[..end]), Parse::NeedMore);
        }
        spent().unwrap() - before
    };
    let hello = Hello::browser("a.test").bytes();
    assert!(hello.len() > 1_300);
    // Unoptimised, it takes about 2 ms.
    let took = drip(&hello);
    assert!(took < Duration::from_millis(30), "{took:?}");
    // A byte in each record, where every look walks over all of them.
    let split = Hello::named("a.test").in_records_of(1);
    let took = drip(&split);
    assert!(took < Duration::from_millis(500), "{took:?}");
}

proptest! {
    #[test]
    fn names_come_through_any_records(
        name in "[a-z0-9]{1,20}(\\.[a-z0-9]{1,20}){0,3}",
        key_share in 0_usize..1_300,
        size in 1_usize..2_000,
        grease: bool,
        ech: bool,
    ) {
        let hello = Hello { key_share, grease, ech, ..Hello::named(&name) };
        let Parse::Done(glance, used) = look(&hello.in_records_of(size)) else {
            return Err(TestCaseError::fail("no verdict"));
        };
        prop_assert_eq!(glance.name, Some(name));
        prop_assert_eq!(glance.ech, ech);
        prop_assert_eq!(used, hello.in_records_of(size).len());
    }

    #[test]
    fn extensions_of_garbage_break_no_promise(body in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut message = Hello { without_extensions: true, ..Hello::default() }.message();
        message.extend(vec16(&body));
        let length = u32::try_from(message.len() - 4).unwrap().to_be_bytes();
        message[1..4].copy_from_slice(&length[1..]);
        check_sniff(&record(&message));
    }
}
