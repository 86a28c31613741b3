//! What a target gets of a connection, and the client of the answer.

use std::net::{Ipv4Addr, Ipv6Addr};

use pointsman_net::plane::ApplyError;
use pointsman_net::record::{End, Fault};
use pointsman_policy::{Host, OutboundId};
use pointsman_spec::address::Endpoint;
use pointsman_spec::address::Server;
use pointsman_spec::address::Uplink;
use pointsman_spec::door::{DoorSpec, Speaks};
use pointsman_spec::outbound::{Carrier, Kind, Protocol, Refusal, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stage::*;

#[tokio::test]
async fn an_answer_comes_after_the_client_has_said_all() {
    let stage = Stage::of(to([tcp("t", hearer(Ipv4Addr::LOCALHOST).await)])).await;
    let mut client = stage.connect().await;
    client.send("all").await;
    client.finish().await;
    assert_eq!(client.rest().await.unwrap(), b"got all");
    let record = stage.records(1).await.remove(0);
    assert_eq!(record.ended, Some(End::Closed));
    assert_eq!((record.bytes_sent, record.bytes_received), (3, 7));
}

#[tokio::test]
async fn much_arrives_whole_both_ways() {
    let stage = Stage::of(to([tcp("t", echo().await)])).await;
    let mut client = stage.connect().await;
    let sent: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let (mut from, mut into) = client.0.split();
    let mut got = Vec::new();
    let (wrote, read) = tokio::join!(
        async {
            into.write_all(&sent).await.unwrap();
            into.shutdown().await
        },
        from.read_to_end(&mut got)
    );
    wrote.unwrap();
    read.unwrap();
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    let record = stage.records(1).await.remove(0);
    assert_eq!(
        (record.bytes_sent, record.bytes_received),
        (5_000_000, 5_000_000)
    );
}

#[tokio::test]
async fn the_target_is_told_of_the_client_first() {
    for (at, word) in [
        (std::net::IpAddr::from(Ipv4Addr::LOCALHOST), "TCP4"),
        (Ipv6Addr::LOCALHOST.into(), "TCP6"),
    ] {
        // The target's own family does not matter.
        let mut forward = to([tcp("t", hearer(Ipv4Addr::LOCALHOST).await)]);
        forward.listen = vec![listen(at)];
        forward.proxy_header = true;
        let stage = Stage::of(forward).await;
        let mut client = stage.connect().await;
        let own = client.0.local_addr().unwrap().port();
        client.send("hello").await;
        client.finish().await;
        let listens = stage.port().port();
        let expected = format!("got PROXY {word} {at} {at} {own} {listens}\r\nhello");
        let heard = client.rest().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&heard), expected);
        // The header is ours, and no byte of the client's.
        assert_eq!(stage.records(1).await[0].bytes_sent, 5);
    }
}

#[tokio::test]
async fn of_a_unix_client_nothing_is_known() {
    let (_kept, directory) = directory();
    let path = directory.join("f");
    let mut forward = to([tcp("t", hearer(Ipv4Addr::LOCALHOST).await)]);
    forward.listen = vec![Endpoint::Unix(path.clone()).into()];
    forward.proxy_header = true;
    let _stage = Stage::of(forward).await;
    let mut client = unix_client(&path).await;
    client.finish().await;
    let heard = client.rest().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), "got PROXY UNKNOWN\r\n");
}

/// A SOCKS5 server that says which host it was asked for, then echoes.
async fn socks() -> std::net::SocketAddr {
    serve(Ipv4Addr::LOCALHOST, |mut client| async move {
        let mut hello = [0; 3];
        client.read_exact(&mut hello).await.unwrap();
        client.write_all(&[5, 0]).await.unwrap();
        let mut head = [0; 4];
        client.read_exact(&mut head).await.unwrap();
        let host = match head[3] {
            3 => {
                let mut name = vec![0; usize::from(client.read_u8().await.unwrap())];
                client.read_exact(&mut name).await.unwrap();
                String::from_utf8(name).unwrap()
            }
            1 => Ipv4Addr::from(client.read_u32().await.unwrap()).to_string(),
            _ => Ipv6Addr::from(client.read_u128().await.unwrap()).to_string(),
        };
        client.read_u16().await.unwrap();
        client
            .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
            .await
            .unwrap();
        client.write_all(host.as_bytes()).await.unwrap();
        echoing(client).await;
    })
    .await
}

#[tokio::test]
async fn a_target_may_lie_behind_a_proxy() {
    let at = socks().await;
    let upstream = Upstream::new(
        Server {
            host: Host::Address(at.ip()),
            port: at.port(),
        },
        Protocol::Socks5(None),
    );
    // A proxy gets the name; the address only where the client's family binds.
    for (same_family, host) in [(false, "both.test"), (true, "127.0.0.1")] {
        let mut target = named("t", "both.test", 9);
        target.via = Some(OutboundId(2));
        let mut forward = to([target]);
        forward.same_family = same_family;
        let spec = spec_with(
            1,
            &[],
            vec![forward],
            Kind::Carry(Carrier::Upstream(upstream.clone())),
        );
        let stage = Stage::play(spec).await;
        let mut client = stage.connect().await;
        client.send("hello").await;
        client.expect(format!("{host}hello")).await;
        drop(client);
        let record = stage.records(1).await.remove(0);
        assert_eq!(record.action, Some(pointsman_policy::Action::Proxy));
        assert_eq!(record.member.as_deref(), Some("t"));
    }
}

#[tokio::test]
async fn a_way_that_refuses_refuses() {
    let mut target = tcp("t", echo().await);
    target.via = Some(OutboundId(2));
    let spec = spec_with(1, &[], vec![to([target])], Kind::Refuse(Refusal::Blackhole));
    let stage = Stage::play(spec).await;
    assert!(stage.closes().await);
    assert!(matches!(
        stage.records(1).await[0].ended,
        Some(End::Failed(..))
    ));
}

#[tokio::test]
async fn who_asks_for_another_place_is_taken_to_no_target() {
    let mut spec = spec(1, &[], vec![to([tcp("t", echo().await)])]);
    let proxy = DoorSpec {
        name: "proxy".into(),
        speaks: Speaks::Socks,
        ..spec.inbounds[0].clone()
    };
    spec.inbounds.push(proxy);
    let stage = Stage::play(spec).await;
    let mut client = client(stage.at[1].at.tcp().unwrap()).await;
    client.send([5, 1, 0]).await;
    client.expect([5, 0]).await;
    client.send([5, 1, 0, 1, 127, 0, 0, 9, 0, 9]).await;
    // "General failure", and nothing of the target's.
    client.expect([5, 1, 0, 1, 0, 0, 0, 0, 0, 0]).await;
    assert_eq!(client.rest().await.unwrap(), b"");
    let record = stage.records(1).await.remove(0);
    assert_eq!(record.outbound.as_deref(), Some("f"));
    let not_built = matches!(record.ended, Some(End::Failed(Fault::NotBuilt, _)));
    assert!(not_built, "{:?}", record.ended);
}

#[tokio::test]
async fn a_group_that_tries_its_members_has_targets_alone() {
    let whole = spec(1, &[], vec![to([tcp("t", echo().await)])]);
    let stage = Stage::dark();
    for kind in [
        Kind::Carry(Carrier::Direct(Uplink::default())),
        Kind::Refuse(Refusal::Reject),
    ] {
        let mut broken = whole.clone();
        let target = broken.outbounds.last_mut().unwrap();
        assert_eq!(&*target.name, "t");
        target.kind = kind;
        let refused = stage.plane().apply(broken).await;
        assert!(matches!(refused, Err(ApplyError::Spec(_))), "{refused:?}");
    }
    stage.plane().apply(whole).await.unwrap();
}
