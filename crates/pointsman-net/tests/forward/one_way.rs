//! Forwards of UDP whose answers nobody reads.

use pointsman_net::record::{End, Fault};
use pointsman_policy::Host;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::datagrams::{client, forward, udp};
use crate::stage::{PATIENCE, Stage};

#[tokio::test]
async fn that_a_target_is_gone_is_heard_however_much_it_answered() {
    let target = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = target.local_addr().unwrap();
    let mut forward = forward("f", udp(Host::Address(at.ip()), at.port()));
    forward.one_way = true;
    let stage = Stage::of(forward).await;
    let client = client(stage.at[0].at.address().unwrap()).await;
    client.send(b"a line").await.unwrap();
    let hearing = target.recv_from(&mut [0; 16]).await;
    let (_, outer) = hearing.unwrap();
    for _ in 0..200 {
        target.send_to(&[7; 1200], outer).await.unwrap();
    }
    drop(target);
    let told = timeout(PATIENCE, async {
        while stage.plane().recent().is_empty() {
            client.send(b"a line").await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    told.await.expect("the flow ends");
    let record = &stage.plane().recent()[0];
    let refused = |end: &End| matches!(end, End::Failed(Fault::ConnectionRefused, _));
    assert!(record.ended.as_ref().is_some_and(refused), "{record:?}");
    assert_eq!(record.bytes_received, 0);
    // Nobody reads what is answered, and it is no sign of life.
    assert!(
        stage
            .plane()
            .flows()
            .iter()
            .all(|live| live.record().bytes_received == 0)
    );
}
