//! What a generation had outlives one that is on trial; and connections count as long as they live.

use pointsman_net::plane::ApplyError;
use pointsman_spec::address::Endpoint;

use crate::sockets::inherit;
use crate::stage::{Client, Stage, client, echo, greeter, spec, target, tcp, to};

#[tokio::test]
async fn what_was_handed_over_is_there_after_a_trial() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut server = Client(tokio::net::UnixStream::from_std(theirs).unwrap());
    let mut forward = to([target("t", Endpoint::Fd(inherit(ours)))]);
    forward.listen = vec![Endpoint::Fd(inherit(socket)).into()];
    let other = to([tcp("t", echo().await)]);
    let stage = Stage::of(forward.clone()).await;
    let plane = stage.plane();
    let on_trial = plane.prepare(spec(2, &[], vec![other.clone()])).await;
    let retired = plane.commit_on_trial(on_trial.unwrap(), ());
    retired.retire().await;

    // Rolled back.
    plane
        .apply(spec(3, &[], vec![forward.clone()]))
        .await
        .unwrap();
    let mut first = client(at).await;
    first.send("ping").await;
    server.expect("ping").await;

    // Confirmed: nobody needs them any more.
    let on_trial = plane.prepare(spec(4, &[], vec![other])).await;
    let retired = plane.commit_on_trial(on_trial.unwrap(), ());
    retired.retire().await;
    plane.end_trial();
    let refused = plane.apply(spec(5, &[], vec![forward])).await;
    assert!(
        matches!(refused, Err(ApplyError::Lacks { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_connection_counts_while_its_forward_is_gone() {
    let mut forward = to([tcp("t", echo().await)]);
    forward.connection_limit = 1;
    let mut other = to([tcp("t", greeter("other").await)]);
    other.name = "other".into();
    let mut stage = Stage::of(forward.clone()).await;
    let mut first = stage.connect().await;
    first.send("a").await;
    first.expect("a").await;
    for (number, forward) in [(2, other.clone()), (3, other), (4, forward)] {
        let applied = stage.plane().apply(spec(number, &[], vec![forward])).await;
        applied.unwrap();
    }
    stage.at = stage.listening();
    assert!(stage.closes().await, "it would be the second");
    first.send("b").await;
    first.expect("b").await;
    first.finish().await;
    assert_eq!(first.rest().await.unwrap(), b"");
    stage.records(2).await;
    let mut next = stage.connect().await;
    next.send("c").await;
    next.expect("c").await;
}
