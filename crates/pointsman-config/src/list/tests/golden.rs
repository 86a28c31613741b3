//! What is read of a few lists, in one number: it changes where lists are read otherwise than before.

use super::formats::written;
use super::*;
use crate::list::shelf::VERSION;

/// The shelf's version, and the digest of what it stands for.
const KNOWN: (u32, u64) = (11, 0x8f8b_f6bd_33a8_e0b8);

/// Lists in every format of text, with what is easily read in two ways.
const LISTS: &[(&str, Option<Format>, Option<Behavior>)] = &[
    (
        "a.test\n+.b.test\n.c.test\n*.d.test\ne.*.test\n",
        None,
        None,
    ),
    ("+.a.test\n+.b.test\n.c.test\n*.d.test\ne.test", None, None),
    (".a.test\n*.b.test\n.c.test\nads.*", None, None),
    (
        "a.test\nads.*\n*sex*\n=b.test\nad[0-9].c.test\nad*.d.test",
        None,
        None,
    ),
    (
        "ads.*\nad*.a.test\n*x*",
        Some(Format::Text),
        Some(Behavior::Names),
    ),
    (
        "a.test\n+.b.test\n*.c.test\n.d.test\nads.*",
        Some(Format::Text),
        Some(Behavior::Domain),
    ),
    (
        "payload:\n  - a.test\n  - '*.b.test'\n  - .c.test\n  - +.d.test",
        None,
        None,
    ),
    (
        "full:a.test @x\nkeyword:b\nregexp:^C\ninclude:d\ndomain:e.test",
        None,
        None,
    ),
    (
        "DOMAIN,a.test\nDOMAIN-SUFFIX,b.test\nIP-CIDR,10.1.2.3/8,no-resolve\nAND,((DOMAIN,c.test),(DST-PORT,443))",
        None,
        None,
    ),
    (
        "PROCESS-NAME,Curl\nGEOIP,CN\nUSER-AGENT,curl*",
        None,
        Some(Behavior::Clash),
    ),
    (
        "10.1.2.3/8\n9.9.9.1 255.255.255.0\n9.9.8.0 9.9.8.255\n1.2.3.4 5.6.7.8\n127.0.0.1 203.0.113.7\n10.0.0.1-10.0.0.9\n94.46.118.*\n1.2.3.4 US",
        None,
        None,
    ),
    (
        "10.0.0.5 10.0.0.7\n10.0.0.9 10.0.0.11\n10.0.0.17 10.0.0.18",
        None,
        None,
    ),
    (
        "Some:10.0.0.1-10.0.0.9\n001.002.003.004 - 001.002.003.007 , 000 , x\nadd x 10.0.0.0/8",
        None,
        None,
    ),
    (
        "0.0.0.0 a.test b.test # x\n127.0.0.1 localhost\n::1 c.test\n||d.test^",
        None,
        None,
    ),
    (
        "server=/a.test/b.test/1.1.1.1\nserver=/c.test/#\nipset=/d.test/x\nno-resolv\naddress /e.test/#\nnameserver /f.test/-",
        None,
        None,
    ),
    (
        "||a.test^\n|b.test^\nc.test\n@@||d.test^\n||*.e.test^\n||*.f.test^$important\n||g.test^$important\n@@||*.h.test^\n/^i/\n||j*.test^\n||k.test^$third-party\n@@||l.test^$3p\n||m.test^$popup\n||n.test/x\no.test##.ad\n-ads.\n||p.test^$badfilter\n||p.test^\n||q.test^$dnstype=A\n.r.test\n@@.s.test",
        None,
        None,
    ),
    (
        "{\"version\":2,\"rules\":[{\"domain\":\"a.test\",\"domain_suffix\":[\".b.test\",\"c.test\"],\"ip_cidr\":\"10.1.2.3/8\"},{\"port\":443,\"domain_regex\":\"^D\"}]}",
        None,
        None,
    ),
    ("[AutoProxy 0.2.9]\n||a.test\n|http://b.test", None, None),
    (
        "a.test 192.0.2.1\nb.test,\n192.0.2.0/24,\nDEST-PORT,5223\nSRC-IP,192.0.2.7\nPROTOCOL,UDP",
        None,
        None,
    ),
    (
        "W0F1dG9Qcm94eSAwLjIuOV0KISBUaXRsZTogeAp8fGEudGVz\ndAouYi50ZXN0CkBAfHxjLnRlc3QK",
        None,
        None,
    ),
    ("\u{feff}a.test;x\r\n! y\r\n1.2.3.4\n*\n\u{1a}", None, None),
];

/// FNV-1a of 64 bits: the same on every machine and with every compiler.
fn digest(text: &str, so_far: u64) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(so_far, step)
}

#[test]
fn what_is_read_otherwise_has_another_version() {
    let mut all = 0xcbf2_9ce4_8422_2325;
    for (text, format, behavior) in LISTS {
        let recipe = Recipe {
            format: *format,
            behavior: *behavior,
            ..Recipe::default()
        };
        let read = written(text.as_bytes(), "", &recipe);
        all = digest(&format!("{read}\n"), all);
    }
    assert!(
        (VERSION, all) == KNOWN,
        "lists are read otherwise than before, or another message is told: raise VERSION in shelf.rs unless it was \
         since the last release, else kept sets stay as they are; then KNOWN is ({VERSION}, {all:#018x})"
    );
}
