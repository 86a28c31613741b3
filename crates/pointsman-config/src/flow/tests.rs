//! Flows in words and in JSON: what is read, and what each mistake is called.

use expect_test::{Expect, expect};

use super::*;

/// What a text is read as: the fields that are set.
fn read(text: &str, expected: Expect) {
    let shown = match Query::parse(text) {
        Ok(query) => show(&query),
        Err(error) => format!("error: {error}"),
    };
    expected.assert_eq(&shown);
}

fn show(query: &Query) -> String {
    let mut shown = vec![query.network.unwrap_or_default().as_str().to_owned()];
    let mut add = |name: &str, value: Option<String>| {
        shown.extend(value.map(|value| format!("{name}={value}")));
    };
    add("id", query.id.as_ref().map(ToString::to_string));
    add("src", query.source.map(|a| a.to_string()));
    add("dst", query.destination.as_ref().map(ToString::to_string));
    add("port", query.port.map(|p| p.to_string()));
    add(
        "resolved",
        query.resolved.as_ref().map(|r| format!("{r:?}")),
    );
    if let Some(look) = &query.look {
        let domain = look.domain.as_ref().map_or("-", |d| d.as_str());
        let agent = look.user_agent.as_deref().unwrap_or("-");
        let method = look.method.as_deref().unwrap_or("-");
        let alpn = look.alpn.join("+");
        add(
            "look",
            Some(format!(
                "{}/{domain}/{alpn}/{agent}/{method}",
                look.protocol.as_str()
            )),
        );
    }
    add("speaks", query.speaks.map(|it| it.as_str().to_owned()));
    if let Some(process) = &query.process {
        let text = |fact: &Fact<Arc<str>>| fact.known().map_or("-", |t| &**t).to_owned();
        add("name", Some(text(&process.name)));
        add("path", Some(text(&process.path)));
        add(
            "cmdline",
            process.command_line.known().map(ToString::to_string),
        );
        add("pid", process.pid.known().map(ToString::to_string));
        add("owner", process.user.known().map(ToString::to_string));
        for parent in &process.parents {
            add("parent", parent.name.as_ref().map(ToString::to_string));
        }
    }
    add("serves", query.serves.as_ref().map(ToString::to_string));
    if let Some(via) = &query.inbound {
        add(
            "via",
            Some(via.kind.map_or("-", InboundKind::as_str).to_owned()),
        );
        add("inbound", via.name.as_ref().map(ToString::to_string));
        add("listen", via.port.map(|p| p.to_string()));
        add("user", via.user.as_ref().map(ToString::to_string));
    }
    add(
        "verdicts",
        Some(format!("{:?}", query.verdicts)).filter(|_| !query.verdicts.is_empty()),
    );
    add("local", query.local.map(|a| a.to_string()));
    shown.join(" ")
}

#[test]
fn words() {
    read(
        "dst=twitter.com:443 network=udp process=curl",
        expect!["udp dst=twitter.com port=443 name=curl path=-"],
    );
    read(
        "  dst=WWW.Example.COM.  ",
        expect!["tcp dst=www.example.com"],
    );
    read(
        "dst=[::1]:53 src=10.0.0.2:5000 local=192.168.1.2",
        expect!["tcp src=10.0.0.2:5000 dst=::1 port=53 local=192.168.1.2"],
    );
    read(
        "dst=::ffff:1.2.3.4 src=10.0.0.2",
        expect!["tcp src=10.0.0.2:0 dst=1.2.3.4"],
    );
    read("dst=[::1]", expect!["tcp dst=::1"]);
    read("dst=рф:80", expect!["tcp dst=xn--p1ai port=80"]);
    read(
        "process=/usr/bin/firefox parent=sh parent=/bin/init pid=7",
        expect!["tcp name=firefox path=/usr/bin/firefox pid=7 parent=sh parent=init"],
    );
    read(
        r#"process="C:\Program Files\zen.exe" cmdline='a "b"'"#,
        expect![[r#"tcp name=zen.exe path=C:\Program Files\zen.exe cmdline=a "b""#]],
    );
    read(
        r#"cmdline="say \"hi\" \\" process-user=alice"#,
        expect![[r#"tcp name=- path=- cmdline=say "hi" \ owner=alice"#]],
    );
    read(
        "protocol=tls sni=a.example alpn=h2,http/1.1",
        expect!["tcp look=tls/a.example/h2+http/1.1/-/-"],
    );
    read(
        "user-agent=curl/8 method=GET",
        expect!["tcp look=other/-//curl/8/GET"],
    );
    let numbers = Query::from_words("dscp=46 tls-version=1.2 ech=yes quic-version=2").unwrap();
    let look = numbers.look.unwrap();
    assert_eq!(
        (numbers.dscp, look.tls_version, look.ech, look.quic_version),
        (Some(46), Some(0x303), true, Some(0x6b33_43cf))
    );
    read(
        "inbound=http:7890 user=alice",
        expect!["tcp via=http listen=7890 user=alice"],
    );
    read("inbound=alice@socks5", expect!["tcp via=socks5 user=alice"]);
    read(
        "inbound=forward:postgres",
        expect!["tcp via=forward inbound=postgres"],
    );
    read(
        "inbound=forward:5432",
        expect!["tcp via=forward listen=5432"],
    );
    read(
        "inbound=work-proxy",
        expect!["tcp via=- inbound=work-proxy"],
    );
    read(
        "resolved=1.2.3.4,::1",
        expect!["tcp resolved=[1.2.3.4, ::1]"],
    );
    read("resolved=", expect!["tcp resolved=[]"]);
    read(
        "verdict=reject",
        expect!["tcp verdicts=[(None, Route(Reject))]"],
    );
    read(
        "verdict=200:CONTINUE,FALLBACK",
        expect!["tcp verdicts=[(Some(200), Route(Continue)), (None, Fallback)]"],
    );
    read("serves=proxy", expect!["tcp serves=proxy"]);
    read("", expect!["tcp"]);
}

#[test]
fn destinations_as_they_are_pasted() {
    read("a.test:443", expect!["tcp dst=a.test port=443"]);
    read(
        "a.test process=curl",
        expect!["tcp dst=a.test name=curl path=-"],
    );
    read("[::1]:22", expect!["tcp dst=::1 port=22"]);
    read("2001:db8::1", expect!["tcp dst=2001:db8::1"]);
    read(
        "https://a.test/x?q=1#y",
        expect!["tcp dst=a.test port=443 speaks=tls"],
    );
    read(
        "HTTPS://A.test",
        expect!["tcp dst=a.test port=443 speaks=tls"],
    );
    read(
        "https://a.test:8443?x",
        expect!["tcp dst=a.test port=8443 speaks=tls"],
    );
    read(
        "https://a.test:/",
        expect!["tcp dst=a.test port=443 speaks=tls"],
    );
    read(
        "http://[2001:db8::1]/",
        expect!["tcp dst=2001:db8::1 port=80 speaks=http"],
    );
    read(
        "dst=http://[2001:db8::1]:8080/",
        expect!["tcp dst=2001:db8::1 port=8080 speaks=http"],
    );
    read(
        "wss://a.test/chat",
        expect!["tcp dst=a.test port=443 speaks=tls"],
    );
    read(
        "ssh://git@a.test/x.git",
        expect!["tcp dst=a.test port=22 speaks=ssh"],
    );
    read(
        "git@a.test:x/y.git",
        expect!["tcp dst=a.test port=22 speaks=ssh"],
    );
    read("alice@a.test", expect!["tcp dst=a.test port=22 speaks=ssh"]);
    read("alice@[::1]", expect!["tcp dst=::1 port=22 speaks=ssh"]);
    read("alice@a.test:2222", expect!["tcp dst=a.test port=2222"]);
    read(
        "socks5h://user:secret@127.0.0.1:7890",
        expect!["tcp dst=127.0.0.1 port=7890"],
    );
    read("socks5://a.test", expect!["tcp dst=a.test port=1080"]);
    read("udp://1.1.1.1:53", expect!["udp dst=1.1.1.1 port=53"]);
    read(
        "udp://1.1.1.1:53 network=tcp",
        expect!["tcp dst=1.1.1.1 port=53"],
    );
    for words in [
        "udp 1.1.1.1:53",
        "1.1.1.1:53 udp",
        "\"udp 1.1.1.1:53\"",
        "udp/1.1.1.1:53",
        "1.1.1.1:53/udp",
    ] {
        read(words, expect!["udp dst=1.1.1.1 port=53"]);
    }
    read("[::1]:53/udp", expect!["udp dst=::1 port=53"]);
    read("tcp/a.test:53", expect!["tcp dst=a.test port=53"]);
    read("dst=udp", expect!["tcp dst=udp"]);
    read("a.test/udp", expect!["tcp dst=a.test"]);
    read("dns://1.1.1.1", expect!["udp dst=1.1.1.1 port=53"]);
    read("foo://a.test:99/x", expect!["tcp dst=a.test port=99"]);
    read("a.test/x", expect!["tcp dst=a.test"]);
    // As a browser goes there.
    read(
        r"http://a.test\@b.test/",
        expect!["tcp dst=a.test port=80 speaks=http"],
    );
    read("a.test:8080/x?y=z", expect!["tcp dst=a.test port=8080"]);
    read(
        "https://a.test protocol=http",
        expect!["tcp dst=a.test port=443 look=http/-//-/- speaks=tls"],
    );
    read(
        r#"{"dst": "https://a.test/x"}"#,
        expect!["tcp dst=a.test port=443 speaks=tls"],
    );
}

#[test]
fn mistakes_in_what_is_pasted() {
    read(
        "a.test:443 b.test:443",
        expect!["error: `dst` is given twice"],
    );
    read(
        "a.test:443 dst=b.test",
        expect!["error: `dst` is given twice"],
    );
    read(
        "foo://a.test/x",
        expect!["error: `dst`: `foo://` has no port of its own: write `a.test:PORT`"],
    );
    read(
        "https://",
        expect!["error: `dst`: `https://` is followed by no host"],
    );
    read(
        "file:///etc/hosts",
        expect!["error: `dst`: `file://` is followed by no host"],
    );
    read(
        "https://user:secret@",
        expect!["error: `dst`: `https://` is followed by no host"],
    );
    read(
        "https://user:se/cret@a.test/",
        expect!["error: `dst`: `https://...` is followed by no host"],
    );
    read(
        "https://user:secret@a..b/",
        expect!["error: `dst`: `a..b`: the name has an empty label"],
    );
    read(
        "https://a.test:https/",
        expect!["error: `dst`: `https` is no port"],
    );
    read(
        "[fe80::1%eth0]:22",
        expect![
            "error: `dst`: `[fe80::1%eth0]`: leave out the zone behind `%`: rules do not see it"
        ],
    );
    read(
        "10.0.0.0/8",
        expect!["error: `dst`: `10.0.0.0/8` is a range: a flow goes to one address"],
    );
    read(
        "process",
        expect!["error: `process` has no value: write `process=...`"],
    );
    read(
        "dts=a.test",
        expect!["error: there is no key `dts`; did you mean `dst`?"],
    );
    read("", expect!["tcp"]);
}

#[test]
fn mistakes_in_words() {
    read("dst", expect!["error: `dst` has no value: write `dst=...`"]);
    read(
        "dts=a",
        expect!["error: there is no key `dts`; did you mean `dst`?"],
    );
    read("dst=a dst=b", expect!["error: `dst` is given twice"]);
    read("sni=a domain=b", expect!["error: `domain` is given twice"]);
    read("dst=a:b", expect!["error: `dst`: `b` is no port"]);
    read("dst=a:70000", expect!["error: `dst`: `70000` is no port"]);
    read("dst=a:", expect!["error: `dst`: `` is no port"]);
    read(
        "dst=::1:443x",
        expect!["error: `dst`: `::1:443x`: an IPv6 address before a port stands in brackets"],
    );
    read(
        "dst=a..b:1",
        expect!["error: `dst`: `a..b`: the name has an empty label"],
    );
    read(
        "dst=\"a b:1\"",
        expect!["error: `dst`: `a b`: the name has the character ' ', which no host name carries"],
    );
    read(
        "verdict=DIRECT",
        expect!["error: `verdict`: `DIRECT` is none of CONTINUE, REJECT, BLACKHOLE, FALLBACK"],
    );
    read(
        "verdict=x:REJECT",
        expect!["error: `verdict`: `x`: invalid digit found in string"],
    );
    read("dst=\"a", expect!["error: a quote is not closed"]);
    read("cmdline='a", expect!["error: a quote is not closed"]);
    read(
        "network=sctp",
        expect!["error: `network`: `sctp` is none of icmp, tcp, udp"],
    );
    read(
        "protocol=ftp",
        expect![
            "error: `protocol`: `ftp` is none of bittorrent, dns, dtls, http, ntp, other, postgresql, quic, rdp, ssh, stun, tls"
        ],
    );
    read(
        "src=x",
        expect!["error: `src`: `x`: invalid IP address syntax"],
    );
    read(
        "inbound=htp:7890",
        expect![
            "error: `inbound`: `htp` is none of dns, forward, http, mixed, redirect, socks5, tproxy, tun"
        ],
    );
    read(
        "inbound=http:x",
        expect!["error: `inbound`: `x` is no port"],
    );
    read("process=", expect!["error: `process`: is empty"]);
    read(
        "pid=-1",
        expect!["error: `pid`: `-1` is none: the number of a process"],
    );
    read(
        "resolved=example.com",
        expect!["error: `resolved`: `example.com`: invalid IP address syntax"],
    );
}

#[test]
fn objects() {
    read(
        r#"{"id":"any string","network":"tcp","src":"10.0.0.2:5000","dst":"www.example.com:443","resolved":["1.2.3.4"],
 "sniff":{"protocol":"tls","domain":"www.example.com","alpn":["h2"],"user_agent":null,"method":null},
 "process":{"name":"firefox","path":"/usr/bin/firefox","cmdline":"firefox -P","pid":7,"user":"alice","cgroup":"/user.slice/x","parents":[{"name":"sh"}]},
 "inbound":{"type":"http","name":"work-proxy","port":7890,"user":"alice"},"local":"192.168.1.2"}"#,
        expect![[
            r#"tcp id="any string" src=10.0.0.2:5000 dst=www.example.com port=443 resolved=[1.2.3.4] look=tls/www.example.com/h2/-/- name=firefox path=/usr/bin/firefox cmdline=firefox -P pid=7 owner=alice parent=sh via=http inbound=work-proxy listen=7890 user=alice local=192.168.1.2"#
        ]],
    );
    read(
        r#"{"dst":"a.example:1","sniff":{}}"#,
        expect!["tcp dst=a.example port=1 look=other/-//-/-"],
    );
    read(
        r#"{"dst":"a.example:1","sniff":null,"process":null}"#,
        expect!["tcp dst=a.example port=1"],
    );
    read(
        r#"{"process":{"name":"C:\\x\\zen.exe","serves":"proxy"}}"#,
        expect![[r#"tcp name=zen.exe path=C:\x\zen.exe serves=proxy"#]],
    );
    read(
        r#"{"process":{"path":"/usr/bin/curl"}}"#,
        expect!["tcp name=curl path=/usr/bin/curl"],
    );
    read(
        r#"{"inbound":{"type":"forward","name":"db"}}"#,
        expect!["tcp via=forward inbound=db"],
    );
    read(r#"{"resolved":[]}"#, expect!["tcp resolved=[]"]);
    read("{}", expect!["tcp"]);
}

#[test]
fn mistakes_in_objects() {
    read(
        "{",
        expect!["error: this is no JSON: EOF while parsing an object at line 1 column 1"],
    );
    let no_object = expect![[r#"error: a flow is a JSON object, as in `{"dst":"a.test:443"}`"#]];
    let query = Query::from_json_text("a.test:443").map_err(|error| format!("error: {error}"));
    no_object.assert_eq(&query.unwrap_err());
    read(r#"{"dst":5}"#, expect!["error: `dst`: must be a text"]);
    read(
        r#"{"dscp":64}"#,
        expect!["error: `dscp`: must be a number from 0 to 63"],
    );
    read(
        r#"{"sniff":{"tls_version":"1.9"}}"#,
        expect![
            "error: `sniff.tls_version`: `1.9` is none: `1.3`, `1.2`, `1.1`, `1.0`, `ssl3`, or a range `1.0-1.2`"
        ],
    );
    read(r#"{"dst":""}"#, expect!["error: `dst`: is empty"]);
    read(
        r#"{"dst":"a:1","dest":"x"}"#,
        expect!["error: there is no key `dest`; did you mean `dst`?"],
    );
    read(
        r#"{"sniff":{"sni":"a"}}"#,
        expect!["error: there is no key `sniff.sni`"],
    );
    read(
        r#"{"sniff":{"domain":"a b"}}"#,
        expect![
            "error: `sniff.domain`: `a b`: the name has the character ' ', which no host name carries"
        ],
    );
    read(
        r#"{"sniff":{"alpn":[1]}}"#,
        expect!["error: `sniff.alpn`: must be a list of texts"],
    );
    read(
        r#"{"sniff":[]}"#,
        expect!["error: `sniff`: must be an object"],
    );
    read(
        r#"{"process":{"pid":-1}}"#,
        expect!["error: `process.pid`: must be a number in range"],
    );
    read(
        r#"{"process":{"parents":[{"name":"a"},{"nam":"b"}]}}"#,
        expect!["error: there is no key `process.parents[1].nam`; did you mean `name`?"],
    );
    read(
        r#"{"process":"curl"}"#,
        expect!["error: `process`: must be an object"],
    );
    read(
        r#"{"inbound":{"port":70000}}"#,
        expect!["error: `inbound.port`: must be a number in range"],
    );
    read(
        r#"{"inbound":{"type":"https"}}"#,
        expect![
            "error: `inbound.type`: `https` is none of dns, forward, http, mixed, redirect, socks5, tproxy, tun"
        ],
    );
    read(
        r#"{"resolved":["x"]}"#,
        expect!["error: `resolved`: `x`: invalid IP address syntax"],
    );
    assert_eq!(
        Query::from_json(&serde_json::json!([]))
            .unwrap_err()
            .to_string(),
        "a flow is a JSON object, as in `{\"dst\":\"a.test:443\"}`"
    );
}

proptest::proptest! {
    /// Words, quotes and objects in any order: what must hold for the fuzzer holds here.
    #[test]
    fn any_text_is_read_or_refused(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "dst=", "a.example", ":443", "[::1]", " ", "\"", "'", "\\", "process=", "sni=", "=>",
                "#", "{", "}", "\"dst\":", "\"a.b:1\"", ",", "\"sniff\":", "null", "inbound=", "http",
                "@", "serves=", "pointsman", "resolved=", "1.2.3.4", "é", "\n", "network=", "udp",
            ]),
            0..12,
        ),
    ) {
        crate::fuzz_checks::check_flow_words(parts.concat().as_bytes());
    }
}

#[test]
fn a_port_that_stands_apart_is_told() {
    let told = |words: &str| Query::parse(words).unwrap_err().to_string();
    assert_eq!(
        told("example.com 443"),
        "`dst` is given twice: write `example.com:443`"
    );
    assert_eq!(told("::1 443"), "`dst` is given twice: write `[::1]:443`");
    assert_eq!(told("a.test:1 443"), "`dst` is given twice");
    assert_eq!(told("a.test b.test"), "`dst` is given twice");
}
