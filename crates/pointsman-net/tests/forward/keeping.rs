//! What stays over a reload, and what is left behind.

use std::time::Duration;

use pointsman_net::plane::ApplyError;
use pointsman_net::record::{By, End};
use pointsman_policy::OutboundId;
use pointsman_spec::address::Endpoint;
use pointsman_spec::ids::PolicyId;

use crate::stage::*;

#[tokio::test]
async fn listeners_and_flows_outlive_a_reload() {
    let (_kept, directory) = directory();
    let path = directory.join("f");
    let with = |server| {
        let mut forward = to([tcp("t", server)]);
        forward.listen = vec![local(), Endpoint::Unix(path.clone()).into()];
        forward
    };
    let first = with(echo().await);
    let stage = Stage::of(first).await;
    let mut old = stage.connect().await;
    old.send("a").await;
    old.expect("a").await;
    let mut old_local = unix_client(&path).await;
    old_local.send("b").await;
    old_local.expect("b").await;

    let second = with(greeter("new").await);
    let applied = stage.plane().apply(spec(2, &[], vec![second])).await;
    applied.unwrap();
    assert_eq!(stage.listening(), stage.at);
    stage.hears("new").await;
    unix_client(&path).await.expect("new").await;
    old.send("still").await;
    old.expect("still").await;
    old_local.send("here").await;
    old_local.expect("here").await;
    drop((old, old_local));
    let records = stage.records(4).await;
    let mut generations: Vec<String> = records
        .iter()
        .map(|record| record.generation.to_string())
        .collect();
    generations.sort();
    assert_eq!(generations, ["1", "1", "2", "2"]);
}

#[tokio::test]
async fn counts_outlive_a_reload() {
    let mut forward = to([tcp("t", echo().await)]);
    forward.connection_limit = 1;
    let stage = Stage::of(forward.clone()).await;
    let mut first = stage.connect().await;
    first.send("a").await;
    first.expect("a").await;
    let applied = stage.plane().apply(spec(2, &[], vec![forward])).await;
    applied.unwrap();
    assert!(stage.closes().await);
    assert_eq!(stage.records(1).await[0].ended, Some(End::Refused));
}

#[tokio::test]
async fn a_forward_that_goes_closes_its_door_and_not_its_flows() {
    let (_kept, directory) = directory();
    let path = directory.join("f");
    let server = echo().await;
    let mut leaving = to([tcp("t", server)]);
    leaving.listen = vec![Endpoint::Unix(path.clone()).into()];
    let stage = Stage::of(leaving).await;
    let mut old = unix_client(&path).await;
    old.send("a").await;
    old.expect("a").await;
    let mut other = to([tcp("t", server)]);
    other.name = "other".into();
    let applied = stage.plane().apply(spec(2, &[], vec![other])).await;
    applied.unwrap();
    assert!(!path.exists());
    old.send("b").await;
    old.expect("b").await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_changes() {
    let server = greeter("hello").await;
    let stage = Stage::of(to([tcp("t", server)])).await;
    let of = |forward| spec(2, &[], vec![forward]);
    let mut wrong = of(to([tcp("t", server)]));
    wrong.inbounds[0].policy = PolicyId(9);
    let mut lost = tcp("t", server);
    lost.via = Some(OutboundId(9));
    let mut circle = to([target("t", Endpoint::Unix("/x".into()))]);
    circle.listen = vec![Endpoint::Unix("/x".into()).into()];
    for spec in [wrong, of(to([])), of(to([lost])), of(circle)] {
        let refused = stage.plane().apply(spec).await;
        assert!(matches!(refused, Err(ApplyError::Spec(_))), "{refused:?}");
    }
    stage.hears("hello").await;
}

#[tokio::test]
async fn flows_are_listed_closed_and_drained() {
    let stage = Stage::of(to([tcp("t", echo().await)])).await;
    let mut one = stage.connect().await;
    one.send("a").await;
    one.expect("a").await;
    let live = stage.plane().flows().remove(0);
    assert_eq!(live.record().member.as_deref(), Some("t"));
    assert!(stage.plane().close(live.id).is_some());
    assert!(one.is_closed().await);
    assert_eq!(
        stage.records(1).await[0].ended,
        Some(End::Stopped(By::Operator))
    );

    let mut two = stage.connect().await;
    two.send("a").await;
    two.expect("a").await;
    let (drained, ()) = tokio::join!(stage.plane().drain(PATIENCE), async {
        while tokio::net::TcpStream::connect(stage.port()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        two.send("b").await;
        two.expect("b").await;
        drop(two);
    });
    assert!(drained);
}
