//! Name servers that are not built: who is asked instead, and what is told.

use super::foreign::converted;
use crate::convert::Conversion;
use pointsman_config::dialect::foreign::Foreign;

/// Each of these words stands in the text, the warnings, and the part of the summary that tells what does not
/// work; with `!` before it, it does not.
fn check(conversion: &Conversion, text: &[&str], warned: &[&str], changed: &[&str]) {
    let lost = conversion.report.iter().filter(|remark| !remark.equal);
    let lost: String = lost.map(|remark| format!("{remark}\n")).collect();
    let changes = conversion.summary.changed.join("\n");
    for (all, words) in [
        (&conversion.text, text),
        (&lost, warned),
        (&changes, changed),
    ] {
        for word in words {
            match word.strip_prefix('!') {
                Some(word) => assert!(!all.contains(word), "{word}\n{all}"),
                None => assert!(all.contains(word), "{word}\n{all}"),
            }
        }
    }
}

fn clash(dns: &str, text: &[&str], warned: &[&str], changed: &[&str]) {
    let whole = format!(
        "mixed-port: 1\nproxies: [{{ name: far, type: socks5, server: 10.0.0.9, port: 1 }}]\ndns:\n  enable: true\n{dns}rules: []\n"
    );
    check(&converted(Foreign::Clash, &whole), text, warned, changed);
}

#[test]
fn plain_servers_of_the_file_are_asked_where_no_usual_one_is_built() {
    let doh = "  nameserver: ['quic://doh.test', 'h3://1.1.1.1']\n";
    let instead = "not built yet: `udp://10.0.0.1`, `tcp://10.0.0.2` of `default-nameserver` are asked instead, without encryption";
    clash(
        &format!("{doh}  default-nameserver: [10.0.0.1, 'tls://10.0.0.3', 'tcp://10.0.0.2']\n"),
        &["    nameserver: [\"udp://10.0.0.1\", \"tcp://10.0.0.2\"]\n"],
        &[
            &format!("c:5: warning: DNS over `quic://` is {instead}"),
            &format!("c:5: warning: DNS over `h3://` is {instead}"),
        ],
        &[
            "looked up without encryption: `udp://10.0.0.1`, `tcp://10.0.0.2` of `default-nameserver` are asked",
            "!no address",
        ],
    );
    // What Clash asks for what goes direct is nearer.
    clash(
        &format!("{doh}  default-nameserver: [10.0.0.1]\n  direct-nameserver: [10.0.0.4]\n"),
        &["nameserver: \"udp://10.0.0.4\"\n"],
        &["`udp://10.0.0.4` of `direct-nameserver` is asked instead"],
        &[],
    );
    clash(
        &format!("{doh}  proxy-server-nameserver: ['quic://dns.test']\n"),
        &[
            "    nameserver: system\n",
            "proxy-server-nameserver: system\n",
        ],
        &[
            "c:5: warning: DNS over `quic://` is not built yet: the system's resolver is asked instead",
        ],
        &["the system's resolver is asked"],
    );
    // One that is built answers for the others.
    clash(
        "  nameserver: ['quic://doh.test', 10.0.0.5]\n  default-nameserver: [10.0.0.1]\n",
        &[
            "nameserver: [\"quic://doh.test\", \"udp://10.0.0.5\"]",
            "!10.0.0.1",
        ],
        &[
            "c:5: warning: DNS over `quic://` is not built yet: the other servers of `nameserver` are asked",
        ],
        &["!encryption", "!no a"],
    );
}

/// Who asks by way of a proxy, or names a server for some names, would not have them asked elsewhere.
#[test]
fn nobody_is_asked_for_names_that_were_kept_from_the_usual_servers() {
    let none = "names get no address";
    let by = "`tcp://1.1.1.1:53` by way of `far` is asked";
    clash(
        "  nameserver: ['quic://1.1.1.1#far', 'h3://dns.test#far']\n  default-nameserver: [10.0.0.1]\n",
        &[
            "nameserver: [{ address: \"tcp://1.1.1.1:53\", via: far }, \"h3://dns.test\"]",
            "!10.0.0.1",
        ],
        &[
            &format!("{by} instead, without encryption"),
            "DNS over `h3://` is not built yet: the other servers of `nameserver` are asked",
        ],
        &[by, "!no address"],
    );
    clash(
        "  nameserver: ['quic://1.1.1.1#REJECT']\n",
        &["nameserver: \"quic://1.1.1.1\""],
        &["gets no answer"],
        &[none],
    );
    clash(
        "  nameserver: ['quic://doh.test#far']\n  default-nameserver: [10.0.0.1]\n",
        &["nameserver: \"quic://doh.test\"", "!10.0.0.1"],
        &[
            "not built yet, and no other server is asked by way of `far`: what is asked of `nameserver` gets no answer",
        ],
        &[none],
    );
    clash(
        "  respect-rules: true\n  nameserver: ['quic://doh.test']\n  default-nameserver: [10.0.0.1]\n",
        &["!10.0.0.1"],
        &["gets no answer"],
        &[none],
    );
    clash(
        "  nameserver: [10.0.0.1]\n  default-nameserver: [10.0.0.2]\n  nameserver-policy: { corp.test: 'quic://doh.corp.test' }\n  \
         fallback: ['h3://8.8.8.8']\n  fallback-filter: { domain: [x.test] }\n",
        &[
            "policy-1: \"quic://doh.corp.test\"",
            "fallback: \"h3://8.8.8.8\"",
            "!10.0.0.2",
        ],
        &[
            "c:7: warning: DNS over `quic://` is not built yet: what is asked of `policy-1` gets no answer",
        ],
        &["get no answer: `fallback`, `policy-1`", "!no address"],
    );
}

/// Clash's own words for who knows the names of name servers are `bootstrap`.
#[test]
fn encrypted_servers_are_asked_as_they_were() {
    clash(
        "  nameserver: ['https://doh.test/q', 'tls://1.1.1.1#far']\n  default-nameserver: [10.0.0.1, 'tls://dns.test', 'tls://10.0.0.3']\n",
        &[
            "    nameserver: [\"https://doh.test/q\", { address: \"tls://1.1.1.1\", via: far }]\n",
            "  bootstrap: [\"udp://10.0.0.1\", \"tls://10.0.0.3\"]\n",
        ],
        &["!doh.test", "!bootstrap"],
        &["!encryption", "!no address"],
    );
    clash(
        "  nameserver: ['https://doh.test/q']\n",
        &["nameserver: \"https://doh.test/q\"\n", "!bootstrap"],
        &["the system's servers are asked for the names of name servers"],
        &["!encryption"],
    );
    let doh = r#"{"type": "https", "tag": "doh", "server": "dns.test", "path": "/q", "domain_resolver": "near", "tls": {"server_name": "x.test"}}"#;
    let near = r#"{"type": "udp", "tag": "near", "server": "10.0.0.1"}"#;
    let end = r#", "final": "doh"}, "route": {}"#;
    sing_box(
        &format!("{doh}, {near}"),
        end,
        &[
            "doh: { address: \"https://dns.test/q\", tls: { name: x.test } }\n",
            "bootstrap: \"udp://10.0.0.1\"\n",
        ],
        &["!doh", "!asked"],
        &["!encryption"],
    );
    sing_box(
        &doh.replace("\"server_name\": \"x.test\"", "\"insecure\": true"),
        end,
        &["!dns.test"],
        &["a certificate is always checked"],
        &["names get no address"],
    );
}

fn sing_box(servers: &str, rest: &str, text: &[&str], warned: &[&str], changed: &[&str]) {
    let whole = format!(
        r#"{{"inbounds": [{{"type": "mixed", "tag": "in", "listen_port": 1}}],
        "outbounds": [{{"type": "socks", "tag": "far", "server": "10.0.0.9", "server_port": 1}}, {{"type": "direct", "tag": "direct"}}],
        "dns": {{"servers": [{servers}] {rest} }}"#
    );
    check(&converted(Foreign::SingBox, &whole), text, warned, changed);
}

#[test]
fn sing_boxs_servers_that_are_not_built_have_others_in_their_stead() {
    let doh = r#"{"type": "quic", "tag": "doh", "server": "dns.test", "domain_resolver": "near"}"#;
    let near = r#"{"type": "udp", "tag": "near", "server": "10.0.0.1"}"#;
    let end = r#", "final": "doh"}, "route": {}"#;
    sing_box(
        &format!("{doh}, {near}"),
        end,
        &["doh: \"udp://10.0.0.1\"\n"],
        &[
            "c:3: dns.servers[0]: warning: DNS over `quic://` is not built yet: `udp://10.0.0.1` is asked instead",
        ],
        &["looked up without encryption: `udp://10.0.0.1` is asked"],
    );
    sing_box(
        &doh.replace(", \"domain_resolver\": \"near\"", ""),
        end,
        &["doh: system\n"],
        &["the system's resolver is asked instead"],
        &[],
    );
    sing_box(
        &doh.replace("dns.test\"", "dns.test\", \"detour\": \"far\""),
        end,
        &["doh: \"quic://dns.test\"\n"],
        &["is not built yet: what is asked of `doh` gets no answer"],
        &["names get no address"],
    );
    sing_box(
        &doh.replace("dns.test\"", "1.1.1.1\", \"detour\": \"far\""),
        end,
        &["doh: { address: \"tcp://1.1.1.1:53\", via: far }\n"],
        &["`tcp://1.1.1.1:53` by way of `far` is asked instead, without encryption"],
        &["!no address"],
    );
    // It is for some names alone.
    sing_box(
        &format!("{doh}, {near}"),
        r#", "rules": [{"domain": "a.test", "server": "doh"}], "final": "near"}, "route": {}"#,
        &["doh: \"quic://dns.test\"\n"],
        &["what is asked of `doh` gets no answer"],
        &["get no answer: `doh`", "!no address"],
    );
}

/// Until 1.12 servers without a detour were asked by the outbound that no rule names.
#[test]
fn old_servers_of_sing_box_go_by_the_last_outbound() {
    let end = r#"}, "route": {"final": "direct"}"#;
    let old = r#"{"tag": "old", "address": "10.0.0.1"}"#;
    sing_box(
        old,
        r#"}, "route": {}"#,
        &["old: { address: \"udp://10.0.0.1\", via: far }\n"],
        &[],
        &[],
    );
    sing_box(old, end, &["old: \"udp://10.0.0.1\"\n"], &[], &[]);
    let new = r#"{"tag": "new", "type": "udp", "server": "10.0.0.1"}"#;
    sing_box(
        new,
        r#"}, "route": {}"#,
        &["new: \"udp://10.0.0.1\"\n"],
        &[],
        &[],
    );
    let doh = r#"{"tag": "old", "address": "quic://dns.test"}"#;
    sing_box(
        doh,
        r#"}, "route": {}"#,
        &["!system"],
        &["gets no answer"],
        &["names get no address"],
    );
    sing_box(doh, end, &["old: system\n"], &[], &["!no address"]);
}
