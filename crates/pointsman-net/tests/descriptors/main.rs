//! Whatever clients do, no descriptor is left behind: a process of its own, for it counts them all.

#![expect(
    clippy::disallowed_methods,
    reason = "the clients and servers of these tests are not ours"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![expect(dead_code, reason = "the stage is another test's")]

#[path = "../plane/stage.rs"]
mod stage;

use std::time::Duration;

use pointsman_policy::condition::Condition;
use pointsman_policy::fact::{InboundKind, Protocol};

use stage::*;

#[tokio::test]
async fn clients_that_break_off_leave_nothing_behind() {
    let server = echo().await;
    let kinds = [InboundKind::Mixed, InboundKind::Socks5, InboundKind::Http];
    let open = kinds.map(|kind| inbound(kind.as_str(), kind));
    let closed = kinds.map(|kind| with_user(inbound("closed", kind), "a", "b"));
    let tls = Condition::Protocol(Protocol::Tls);
    let mut script = Script::new()
        .rule(tls, "REJECT")
        .inbounds(open.into_iter().chain(closed));
    script.limits.handshake = Duration::from_millis(400);
    let stage = script.play().await;
    let before = sockets();
    let port = server.port();
    let connect = format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n");
    let get = format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\nContent-Length: 9\r\n\r\nx");
    let mut socks = vec![5, 1, 0];
    socks.extend(socks5_request("127.0.0.1", port));
    let said: [&[u8]; 12] = [
        b"",
        &[5],
        &[5, 1],
        &[5, 2, 0, 2, 1, 200, 1],
        &socks,
        &socks[..6],
        &[4, 1, 0, 80, 0, 0, 0, 1, b'x'],
        &[0; 3000],
        b"GET",
        connect.as_bytes(),
        get.as_bytes(),
        b"\x16\x03\x01\xff\xff\x01",
    ];
    let mut waiting = Vec::new();
    let mut count = 0;
    for at in &stage.ports {
        for bytes in said {
            for leaves in [true, false] {
                let mut client = Client::to(*at).await;
                client.send(bytes).await;
                count += 1;
                if !leaves {
                    waiting.push(client);
                }
            }
        }
    }
    // Half-open clients: those that only wait are sent away by the handshake's limit.
    let echoing = |record: &pointsman_net::record::FlowRecord| record.outbound.is_some();
    tokio::time::timeout(PATIENCE, async {
        while stage
            .plane()
            .flows()
            .iter()
            .any(|flow| !echoing(&flow.record()))
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("handshakes end");
    drop(waiting);
    assert!(stage.records(count).await.len() >= count);
    tokio::time::timeout(PATIENCE, async {
        while sockets() > before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{before} sockets before, {} after", sockets()));
    // And it still serves.
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("echo.test", port).await, 0);
}

/// Descriptors of sockets: files are opened once, by listeners that come into service meanwhile.
fn sockets() -> usize {
    let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = all.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}
