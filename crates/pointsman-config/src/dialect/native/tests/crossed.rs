//! What stands in one place and contradicts another.

use super::*;

/// What is said of a configuration, without where.
fn said(text: &str) -> Vec<String> {
    let told = read(text).problems.0.into_iter();
    let told = told.map(|problem| {
        let sentence = problem.sentence();
        let hint = problem.hint.map(|hint| format!(" [{hint}]"));
        let related = problem
            .related
            .map(|(span, words)| format!(" ({words}: line {})", span.line()));
        let (related, hint) = (related.unwrap_or_default(), hint.unwrap_or_default());
        format!("{}: {}{related}{hint}", problem.code, sentence)
    });
    told.filter(|told| !told.starts_with("guard-by-endpoint") && !told.starts_with("unused"))
        .collect()
}

#[test]
fn a_forward_is_no_way_out() {
    let forward = "version: 1\nforwards: { fw: { listen: 'fd://3', targets: [ { name: a, address: 'tcp://192.0.2.1:1' } ] } }\n\
        inbounds: { i: { type: mixed, listen: 1 } }\n";
    let expected = "unknown-outbound: there is no outbound `fw`: `fw` is a forward \
        [a forward takes its own connections to its own targets; name an outbound]";
    for named in [
        "rules: ['DST-PORT, 99, fw', 'FALLBACK, DIRECT']",
        "rules: ['FALLBACK, fw']",
        "policy: fw",
        "policy: |\n  any [\n    cond protocol { ssh => fw }\n    direct\n  ]",
    ] {
        assert_eq!(said(&format!("{forward}{named}\n")), [expected], "{named}");
    }
    // Its own connections end there.
    let tests = "policy: direct\ntests: [ { flow: 'inbound=fw,kind=forward', expect: fw } ]\n";
    let codes = said(&format!("{forward}{tests}"));
    assert!(
        !codes.iter().any(|it| it.starts_with("unknown-outbound")),
        "{codes:?}"
    );
}

#[test]
fn two_lists_are_not_fetched_to_one_place() {
    let lists = |first: &str, second: &str| {
        let told = said(&format!(
            "version: 1\ninbounds: {{ i: {{ type: mixed, listen: 1 }} }}\nrule_sets:\n  a: {{ {first} }}\n  b: {{ {second} }}\n\
             rules: ['RULE-SET, a, REJECT', 'RULE-SET, b, RESET', 'FALLBACK, DIRECT']\n"
        ));
        told.into_iter()
            .filter(|told| told.starts_with("duplicate-path"))
            .collect::<Vec<_>>()
    };
    let one = "url: 'http://a.test/1', path: lists/x.txt";
    for other in [
        "lists/x.txt",
        "./lists/x.txt",
        "lists//x.txt",
        "up/../lists/x.txt",
    ] {
        let told = lists(one, &format!("url: 'http://a.test/2', path: {other}"));
        assert_eq!(
            told,
            [
                "duplicate-path: `b` is fetched to the file of `a`: each would replace the other's list (first here: line 4) \
              [give each list a `path` of its own, or leave `path` out]"
            ],
            "{other}"
        );
    }
    assert_eq!(
        lists(one, "url: 'http://a.test/2', path: lists/y.txt"),
        [""; 0]
    );
    // One file that holds many lists is fetched for each.
    let many = "url: 'http://a.test/all.dat', path: lists/all.dat, format: dat, select";
    assert_eq!(
        lists(&format!("{many}: one"), &format!("{many}: two")),
        [""; 0]
    );
}

#[test]
fn probes_are_within_what_systems_take() {
    let forward = |keepalive: &str| {
        said(&format!(
            "version: 1\nforwards: {{ f: {{ listen: 'fd://3', targets: [ {{ name: a, address: 'tcp://192.0.2.1:1', keepalive: {keepalive} }} ] }} }}\n"
        ))
    };
    for fits in ["32767s", "9h", "1s", "off"] {
        assert_eq!(forward(fits), [""; 0], "{fits}");
    }
    for out in ["32768s", "10h", "1d"] {
        assert_eq!(
            forward(out),
            [
                "invalid-value: `keepalive` is at most 32767s (9h6m7s), which is the longest that systems wait"
            ],
            "{out}"
        );
    }
}

#[test]
fn what_cannot_be_listened_on_at_once_is_an_error() {
    let forward = |name: &str, listen: &str| {
        format!(
            "  {name}: {{ listen: {listen}, targets: [ {{ name: a, address: 'tcp://192.0.2.1:1' }} ] }}\n"
        )
    };
    let told = |inbounds: &[&str], forwards: &[&str]| {
        let mut text = "version: 1\npolicy: direct\n".to_owned();
        if !inbounds.is_empty() {
            text += "inbounds:\n";
        }
        for (listen, name) in inbounds.iter().zip(["a", "b"]) {
            text +=
                &format!("  {name}: {{ type: mixed, listen: '{listen}', users: {{ u: pw }} }}\n");
        }
        if !forwards.is_empty() {
            text += "forwards:\n";
        }
        for (listen, name) in forwards.iter().zip(["f", "g"]) {
            text += &forward(name, listen);
        }
        said(&text)
    };
    let one = |inbounds: &[&str], forwards: &[&str], expected: &str| {
        assert_eq!(
            told(inbounds, forwards),
            [format!("duplicate-listen: {expected}")],
            "{inbounds:?} {forwards:?}"
        );
    };
    one(
        &["127.0.0.1:7001"],
        &["'tcp://127.0.0.1:7001'"],
        "`f` listens on 127.0.0.1:7001, and the inbound `a` on 127.0.0.1:7001 (first here: line 4)",
    );
    one(
        &["0.0.0.0:7001", "127.0.0.1:7001"],
        &[],
        "`b` listens on 127.0.0.1:7001, which is a part of 0.0.0.0:7001, where the inbound `a` listens (first here: line 4)",
    );
    one(
        &["[::1]:7001", "[::]:7001"],
        &[],
        "`b` listens on [::]:7001, of which [::1]:7001 is a part, where the inbound `a` listens (first here: line 4)",
    );
    one(
        &[],
        &["'unix:///run/x.sock'", "'unix:///run/./x.sock'"],
        "`g` listens on /run/./x.sock, and the forward `f` on /run/x.sock (first here: line 4)",
    );
    one(
        &[],
        &["'fd://3'", "'fd://3'"],
        "`g` listens on fd://3, and the forward `f` on fd://3 (first here: line 4)",
    );
    one(
        &[],
        &["['tcp://127.0.0.1:7001', 'tcp://127.0.0.1:7001']"],
        "`f` listens on 127.0.0.1:7001, and the forward `f` on 127.0.0.1:7001 (first here: line 4)",
    );
    one(
        &[],
        &["'tcp://[::]:7001'", "'tcp://[::]:7001'"],
        "`g` listens on [::]:7001, and the forward `f` on [::]:7001 (first here: line 4)",
    );
    for (inbounds, forwards) in [
        // The other family of `::` gives way to what is said in words.
        (&["[::]:7001", "127.0.0.1:7001"][..], &[][..]),
        (&["[::]:7001", "0.0.0.0:7001"], &[]),
        (&["127.0.0.1:0", "127.0.0.1:0"], &[]),
        (&["127.0.0.1:1", "127.0.0.2:1"], &["'tcp://127.0.0.3:1'"]),
        (&[], &["'tcp://a.test:1'", "'tcp://b.test:1'"]),
    ] {
        assert_eq!(
            told(inbounds, forwards),
            [""; 0],
            "{inbounds:?} {forwards:?}"
        );
    }
}
