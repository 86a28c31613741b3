//! Generations: what a reload changes, what it keeps, and how a plane ends.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use pointsman_net::plane::ApplyError;
use pointsman_net::record::{By, End, Limit};
use pointsman_net::spec::Number;
use pointsman_policy::fact::InboundKind;
use pointsman_spec::ids::PolicyId;
use tokio::net::TcpListener;

use crate::stage::*;

async fn code(at: SocketAddr, port: u16) -> u8 {
    Client::to(at).await.socks5("echo.test", port).await
}

#[tokio::test]
async fn old_flows_go_on_while_new_ones_get_the_new_rules() {
    let server = echo().await;
    let mut script = Script::new();
    let stage = script.play().await;
    let mut old = stage.connect().await;
    assert_eq!(old.socks5("echo.test", server.port()).await, 0);

    script = script.fallback("REJECT");
    script.number = 2;
    let bound = stage.plane().apply(script.spec()).await.unwrap();
    assert_eq!(
        bound[0].1, stage.ports[0],
        "port 0 keeps the port that it got"
    );
    assert_eq!(code(stage.ports[0], server.port()).await, 2);
    old.send("still here").await;
    old.expect("still here").await;
    drop(old);
    let mut generations: Vec<_> = stage
        .records(2)
        .await
        .iter()
        .map(|record| record.generation.to_string())
        .collect();
    generations.sort();
    assert_eq!(generations, ["1", "2"]);
}

#[tokio::test]
async fn a_refresh_changes_the_policies_and_nothing_else() {
    let server = echo().await;
    let script = Script::new();
    let stage = script.play().await;
    let refused = script.clone().fallback("REJECT").spec().policies;
    let number = |load, refresh| Number { load, refresh };
    for wrong in [number(2, 1), number(0, 1)] {
        let done = stage.plane().refresh(wrong, refused.clone()).await;
        assert!(matches!(done, Err(ApplyError::Spec(_))), "{done:?}");
    }
    let done = stage.plane().refresh(number(1, 1), Vec::new()).await;
    assert!(matches!(done, Err(ApplyError::Spec(_))), "{done:?}");
    assert_eq!(code(stage.ports[0], server.port()).await, 0);
    let done = stage.plane().refresh(number(1, 1), refused).await;
    assert!(done.is_ok(), "{done:?}");
    assert_eq!(code(stage.ports[0], server.port()).await, 2);
    let mut generations: Vec<_> = stage
        .records(2)
        .await
        .iter()
        .map(|record| record.generation.to_string())
        .collect();
    generations.sort();
    assert_eq!(generations, ["1", "1.1"]);
}

#[tokio::test]
async fn a_kept_listener_changes_what_it_speaks_and_whom_it_admits() {
    let server = echo().await;
    let stage = Script::new().play().await;
    assert_eq!(code(stage.ports[0], server.port()).await, 0);
    let closed = with_user(inbound("mixed", InboundKind::Socks5), "alice", "secret");
    let bound = stage
        .plane()
        .apply(Script::new().inbounds([closed]).spec())
        .await
        .unwrap();
    assert_eq!(bound[0].1, stage.ports[0]);
    let mut client = stage.connect().await;
    client.send([5, 1, 0]).await;
    assert_eq!(client.rest().await.unwrap(), [5, 255]);
}

#[tokio::test]
async fn a_generation_that_cannot_listen_changes_nothing() {
    let server = echo().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stage = Script::new().play().await;
    let mut other = inbound("other", InboundKind::Http);
    other.listen = vec![taken.local_addr().unwrap().into()];
    let script = Script::new()
        .fallback("REJECT")
        .inbounds([inbound("new", InboundKind::Http), other]);
    let failed = stage.plane().apply(script.spec()).await;
    assert!(matches!(failed, Err(ApplyError::Bind { .. })), "{failed:?}");
    assert_eq!(code(stage.ports[0], server.port()).await, 0);
    // Nor does one that contradicts itself.
    let mut spec = Script::new().spec();
    spec.inbounds[0].policy = PolicyId(7);
    assert!(matches!(
        stage.plane().apply(spec).await,
        Err(ApplyError::Spec(_))
    ));
}

#[tokio::test]
async fn listeners_come_and_go() {
    let server = echo().await;
    let stage = Script::new().play().await;
    let mut old = stage.connect().await;
    assert_eq!(old.socks5("echo.test", server.port()).await, 0);
    let mut second = inbound("second", InboundKind::Mixed);
    second.listen = vec![SocketAddr::from((Ipv6Addr::LOCALHOST, 0)).into()];
    let bound = stage
        .plane()
        .apply(Script::new().inbounds([second]).spec())
        .await
        .unwrap();
    assert_eq!(code(bound[0].1, server.port()).await, 0);
    assert!(
        tokio::net::TcpStream::connect(stage.ports[0])
            .await
            .is_err()
    );
    old.send("x").await;
    old.expect("x").await;
}

#[tokio::test]
async fn a_live_flow_can_be_seen_and_closed() {
    let server = echo().await;
    let stage = Script::new().play().await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("echo.test", server.port()).await, 0);
    client.send("abc").await;
    client.expect("abc").await;
    let live = stage.plane().flows();
    assert_eq!(live.len(), 1);
    let record = live[0].record();
    assert_eq!((record.bytes_sent, record.ended.clone()), (3, None));
    assert_eq!(record.outbound.as_deref(), Some("DIRECT"));
    assert!(stage.plane().close(record.id).is_some());
    let _ = client.rest().await;
    let ended = stage.record().await;
    assert_eq!(
        (ended.id, ended.ended.clone()),
        (record.id, Some(End::Stopped(By::Operator)))
    );
    assert!(stage.plane().flows().is_empty());
    assert!(stage.plane().close(record.id).is_none());
    assert_eq!(stage.plane().record(record.id).unwrap().bytes_received, 3);
    // Also one that has not said what it wants.
    let client = stage.connect().await;
    let waiting = loop {
        match stage.plane().flows().first() {
            Some(flow) => break flow.id,
            None => tokio::task::yield_now().await,
        }
    };
    assert!(stage.plane().close(waiting).is_some());
    assert_eq!(
        stage.records(2).await[1].ended,
        Some(End::Stopped(By::Operator))
    );
    drop(client);
}

#[tokio::test]
async fn a_closed_flow_tells_how_it_ended_also_where_none_is_kept() {
    let server = echo().await;
    let mut spec = Script::new().spec();
    spec.records.keep = 0;
    let stage = Stage::of(spec).await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("echo.test", server.port()).await, 0);
    let id = stage.plane().flows()[0].id;
    let flow = stage.plane().close(id).unwrap();
    let _ = client.rest().await;
    let ended = async {
        while flow.record().ended.is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(flow.record().ended, Some(End::Stopped(By::Operator)));
    assert!(stage.plane().recent().is_empty());
}

#[tokio::test]
async fn draining_waits_for_flows_and_then_ends_them() {
    let server = echo().await;
    let stage = Script::new().play().await;
    let mut client = stage.connect().await;
    assert_eq!(client.socks5("echo.test", server.port()).await, 0);
    assert!(
        !stage.plane().drain(Duration::from_millis(50)).await,
        "the flow did not end"
    );
    let _ = client.rest().await;
    assert_eq!(stage.record().await.ended, Some(End::Stopped(By::Shutdown)));
    assert!(
        tokio::net::TcpStream::connect(stage.ports[0])
            .await
            .is_err()
    );
    assert!(matches!(
        stage.plane().apply(Script::new().spec()).await,
        Err(ApplyError::Stopping)
    ));
    let quiet = Script::new().play().await;
    assert!(quiet.plane().drain(Duration::from_secs(60)).await);
}

#[tokio::test]
async fn a_hundred_flows_at_once() {
    let server = echo().await;
    let stage = Script::new().play().await;
    let at = stage.ports[0];
    let clients: Vec<_> = (0_u32..100)
        .map(|number| {
            tokio::spawn(async move {
                let mut client = Client::to(at).await;
                assert_eq!(client.socks5("echo.test", server.port()).await, 0);
                let block = number.to_be_bytes().repeat(50_000);
                let (mut from, mut to) = client.0.into_split();
                let sent = block.clone();
                let sending = tokio::spawn(async move {
                    tokio::io::AsyncWriteExt::write_all(&mut to, &sent)
                        .await
                        .unwrap();
                });
                let mut got = vec![0; block.len()];
                tokio::io::AsyncReadExt::read_exact(&mut from, &mut got)
                    .await
                    .unwrap();
                assert!(got == block);
                sending.await.unwrap();
            })
        })
        .collect();
    for client in clients {
        tokio::time::timeout(PATIENCE, client)
            .await
            .expect("no flow hangs")
            .unwrap();
    }
    let records = stage.records(100).await;
    assert!(
        records
            .iter()
            .all(|record| record.bytes_received == 200_000)
    );
    let counters = stage.plane().counters();
    assert_eq!(
        (counters.begun, counters.ended, counters.bytes_sent),
        (100, 100, 20_000_000)
    );
}

#[tokio::test]
async fn flows_that_are_quiet_for_too_long_end() {
    let mut script = Script::new();
    script.limits.idle = Some(Duration::from_millis(400));
    let stage = script.play().await;
    let echo = echo().await;
    let (mut quiet, mut busy) = (stage.connect().await, stage.connect().await);
    for client in [&mut quiet, &mut busy] {
        assert_eq!(client.socks5("127.0.0.1", echo.port()).await, 0);
        client.send("first").await;
        client.expect("first").await;
    }
    // Twice the limit, in steps that are well below it.
    for _ in 0..16 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        busy.send("more").await;
        busy.expect("more").await;
    }
    assert_eq!(stage.record().await.ended, Some(End::TimedOut(Limit::Idle)));
    assert!(quiet.is_reset().await);
    busy.send("still").await;
    busy.expect("still").await;
}
