//! Fetching lists by way of outbounds, from servers that behave and servers that do not.

use std::time::Duration;

use pointsman_net::fetch::{Fetch, Fetched, Url, Validators, fetch};
use pointsman_net::record::chain;
use pointsman_policy::fact::InboundKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::stage::*;

/// A server that gives each path its raw answer, and closes.
async fn web(answers: &'static [(&'static str, &'static str)]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                match client.read_u8().await {
                    Ok(byte) => asked.push(byte),
                    Err(_) => break,
                }
            }
            let asked = String::from_utf8(asked).unwrap();
            let path = asked.split(' ').nth(1).unwrap_or_default().to_owned();
            // A condition that is met is answered for every path.
            let answer = if asked.contains("if-none-match: \"v1\"") {
                "HTTP/1.1 304 Not Modified\r\n\r\n"
            } else {
                let found = answers.iter().find(|(name, _)| *name == path);
                found.map_or("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", |a| {
                    a.1
                })
            };
            let _gone = client.write_all(answer.as_bytes()).await;
        }
    });
    port
}

const ANSWERS: &[(&str, &str)] = &[
    (
        "/list",
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\netag: \"v1\"\r\nlast-modified: Sun, 22 Nov 2026 00:00:00 GMT\r\n\r\na.b\nc\n",
    ),
    (
        "/chunks",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\na.b\r\n1\r\n\n\r\n0\r\n\r\n",
    ),
    ("/cut", "HTTP/1.1 200 OK\r\ncontent-length: 60\r\n\r\na.b\n"),
    (
        "/cutchunks",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\na.b\r\n",
    ),
    ("/closed", "HTTP/1.1 200 OK\r\n\r\na.b\nc\n"),
    ("/json", "HTTP/1.1 200 OK\r\n\r\n{\"a\":1}"),
    ("/half", "HTTP/1.1 200 OK\r\n\r\na.b\n1.0/1"),
    (
        "/large",
        "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n0123456789AB",
    ),
    (
        "/packed",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-encoding: gzip\r\n\r\nx",
    ),
    (
        "/packedtwice",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-encoding: identity\r\ncontent-encoding: br\r\n\r\nx",
    ),
    (
        "/moved",
        "HTTP/1.1 302 Found\r\nlocation: /list\r\ncontent-length: 0\r\n\r\n",
    ),
    (
        "/round",
        "HTTP/1.1 301 Moved\r\nlocation: /round\r\ncontent-length: 0\r\n\r\n",
    ),
    (
        "/away",
        "HTTP/1.1 302 Found\r\nlocation: ftp://a.b/\r\ncontent-length: 0\r\n\r\n",
    ),
    ("/noise", "220 smtp ready\r\n"),
    ("/silence", ""),
];

/// What came of fetching `url` by the outbound of that name, and what was kept.
async fn fetched(script: &Script, via: &str, url: &str, validators: Validators) -> String {
    let stage = script.play().await;
    let ways = stage.plane().in_force().unwrap().ways();
    let what = Fetch {
        url: Url::parse(url).unwrap(),
        via: script.id(via),
        validators,
        limit: 10,
        within: PATIENCE,
    };
    let mut kept = Vec::new();
    let done = fetch(&ways, &what, &mut |bytes| {
        kept.extend_from_slice(bytes);
        Ok(())
    })
    .await;
    let kept = String::from_utf8(kept).unwrap();
    match done {
        Ok(Fetched::New { validators, length }) => format!(
            "{length} {kept:?} {}",
            validators.etag.as_deref().unwrap_or("-")
        ),
        Ok(Fetched::Unchanged) => format!("unchanged {kept:?}"),
        Err(error) => chain(&error),
    }
}

#[tokio::test]
async fn what_servers_send_is_kept_or_refused() {
    let port = web(ANSWERS).await;
    let script = Script::new();
    let check = async |path: &str, expected: &str| {
        let url = format!("http://lists.test:{port}{path}");
        let got = fetched(&script, "DIRECT", &url, Validators::default()).await;
        assert!(got.starts_with(expected), "{path}: {got}");
    };
    check("/list", "6 \"a.b\\nc\\n\" \"v1\"").await;
    check("/chunks", "4 \"a.b\\n\" -").await;
    check("/cut", "the connection broke").await;
    check("/cutchunks", "the connection broke").await;
    check("/closed", "6 \"a.b\\nc\\n\"").await;
    check("/json", "7 ").await;
    check("/half", "it ends in the middle of a line").await;
    check("/large", "larger than 10 bytes").await;
    check("/packed", "the server sent `gzip`").await;
    check("/packedtwice", "the server sent `br`").await;
    check("/moved", "6 \"a.b").await;
    check(
        "/round",
        "redirected to a URL that cannot be fetched: more than 5",
    )
    .await;
    check("/away", "redirected to a URL that cannot be fetched: only").await;
    check("/noise", "the connection broke").await;
    check("/silence", "the connection broke").await;
    check("/none", "the server answered 404").await;
}

#[tokio::test]
async fn a_copy_that_is_current_is_not_sent_again() {
    let port = web(ANSWERS).await;
    let validators = Validators {
        etag: Some("\"v1\"".into()),
        last_modified: None,
    };
    let url = format!("http://lists.test:{port}/list");
    let got = fetched(&Script::new(), "DIRECT", &url, validators).await;
    assert_eq!(got, "unchanged \"\"");
}

#[tokio::test]
async fn it_goes_by_the_outbound_that_was_asked_for() {
    let port = web(ANSWERS).await;
    let near = inbound("near", InboundKind::Socks5);
    let near = Script::new().inbounds([near]).play().await;
    let script = Script::new().outbound("near", socks5(near.ports[0]));
    let url = format!("http://lists.test:{port}/list");
    let got = fetched(&script, "near", &url, Validators::default()).await;
    assert!(got.starts_with("6 "), "{got}");
    assert_eq!(near.record().await.outbound.as_deref(), Some("DIRECT"));
    let got = fetched(&script, "REJECT", &url, Validators::default()).await;
    assert!(got.contains("refuses all flows"), "{got}");
}

#[tokio::test]
async fn it_ends_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = Script::new();
    let stage = script.play().await;
    let what = Fetch {
        url: Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap(),
        via: script.id("DIRECT"),
        validators: Validators::default(),
        limit: 10,
        within: Duration::from_millis(100),
    };
    let ways = stage.plane().in_force().unwrap().ways();
    let done = fetch(&ways, &what, &mut |_| Ok(())).await;
    assert_eq!(chain(&done.unwrap_err()), "not done within 100ms");
}

/// Interim answers without end are refused; before, the thread that read them did nothing else any more.
#[tokio::test]
async fn interim_answers_without_end_are_refused() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        // What comes before the question is refused as such.
        let mut asked = [0];
        std::io::Read::read_exact(&mut client, &mut asked).unwrap();
        let interim = b"HTTP/1.1 100 C\r\n\r\n".repeat(1000);
        while std::io::Write::write_all(&mut client, &interim).is_ok() {}
    });
    let url = format!("http://lists.test:{port}/list");
    let got = fetched(&Script::new(), "DIRECT", &url, Validators::default()).await;
    let expected =
        "the connection broke: connection error: more than 1048576 bytes came before the answer";
    assert_eq!(got, expected);
}
