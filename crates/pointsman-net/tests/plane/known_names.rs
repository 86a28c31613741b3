//! Names: what is known of them over reloads and selections, and what is said of those that are not there.

use std::sync::{Arc, Mutex};

use pointsman_net::lookup::{
    Addresses, Answer, Asking, LookingUp, Picks, Question, Resolve, Transport,
};
use pointsman_net::record::End;
use pointsman_net::resolver::{Resolver, Station};
use pointsman_policy::{Domain, OutboundId};
use pointsman_spec::address::Families;
use pointsman_spec::address::Uplink;
use pointsman_spec::outbound::{Carrier, Kind, Refusal};
use pointsman_spec::resolver::ResolverSpec;
use tokio::sync::watch;

use crate::names::{resolver, visit};
use crate::nameserver::{Mood, Names};
use crate::stage::*;

/// `script` with a resolver that asks by `via`, and with what `station` knows.
fn of_station(
    script: &Script,
    station: &Arc<Station>,
    names: &Names,
    via: Option<&str>,
) -> pointsman_net::spec::Spec {
    let mut spec = script.spec();
    let resolver = ResolverSpec {
        servers: vec![names.by(via.map(|name| script.id(name)))].into(),
        families: Families::Ipv4Only,
        ..ResolverSpec::default()
    };
    let resolver = Resolver::new(resolver, &spec.outbounds, station);
    spec.server_resolver = Arc::new(resolver);
    spec
}

fn from_here(last: u8) -> Kind {
    Kind::Carry(Carrier::Direct(Uplink {
        source: Some([127, 0, 0, last].into()),
        ..Uplink::default()
    }))
}

fn group(members: Vec<OutboundId>) -> Kind {
    select(members, Uplink::default())
}

#[tokio::test]
async fn what_is_known_outlives_reloads_that_ask_the_same_by_the_same_way() {
    let (server, station) = (echo().await, Arc::<Station>::default());
    let names = Names::start(Mood::Plain).await;
    let base = Script::new();
    // The outbound's number is another, and it is the same way.
    let moved = base.clone().outbound("new", Kind::Refuse(Refusal::Reject));
    let [first, moved] = [base.clone(), moved].map(|it| it.outbound("own", from_here(7)));
    let other = base.clone().outbound("own", from_here(8));
    let stage = Stage::of(of_station(&first, &station, &names, Some("own"))).await;
    // Each is in force before one flow asks.
    for (script, via, asked) in [
        (&moved, Some("own"), 1),
        (&first, Some("own"), 1),
        (&first, None, 2),
        (&other, Some("own"), 3),
        // Nobody asked so any more, and what had been answered was dropped.
        (&first, Some("own"), 4),
    ] {
        if asked == 1 {
            assert_eq!(visit(&stage, "one.test", server.port()).await.0, 0);
        }
        let spec = of_station(script, &station, &names, via);
        stage.plane().apply(spec).await.unwrap();
        assert_eq!(visit(&stage, "one.test", server.port()).await.0, 0);
        assert_eq!(names.questions(), asked, "{via:?} {:?}", names.asked());
    }
}

/// ... with a group around `group`, and a chain with that as a hop.
fn outer(script: Script) -> Script {
    let members = vec![script.id("group")];
    let script = script.outbound("outer", group(members));
    let hops = vec![script.id("outer"), script.id("DIRECT")];
    script.outbound("chain", Kind::Through(hops))
}

/// Finds every name on the loopback, and notes what the way by `via` depends on.
#[derive(Debug)]
struct Spy {
    via: OutboundId,
    seen: Mutex<Picks>,
}

impl Resolve for Spy {
    fn ask<'a>(&'a self, _: &'a Question, _: &'a dyn Transport) -> Asking<'a> {
        Box::pin(std::future::ready(Answer::Failed("not asked here".into())))
    }

    fn addresses<'a>(&'a self, _: &'a Domain, transport: &'a dyn Transport) -> LookingUp<'a> {
        *self.seen.lock().unwrap() = transport.picks(self.via);
        let found = Addresses::fixed(vec![[127, 0, 0, 1].into()]);
        Box::pin(std::future::ready(Ok(found)))
    }
}

#[tokio::test]
async fn a_way_depends_on_each_group_that_stands_in_it() {
    let server = echo().await;
    let script = Script::new().outbound("two", from_here(8));
    let members = ["DIRECT", "two"].map(|name| script.id(name)).into();
    let script = outer(script.outbound("group", group(members)));
    let mut spec = script.spec();
    let spy = Arc::new(Spy {
        via: script.id("chain"),
        seen: Mutex::default(),
    });
    spec.server_resolver = Arc::clone(&spy) as _;
    let stage = Stage::of(spec).await;
    for member in ["DIRECT", "two"] {
        stage.plane().select("group", member).unwrap();
        assert_eq!(visit(&stage, "one.test", server.port()).await.0, 0);
        let seen = spy.seen.lock().unwrap().clone();
        assert_eq!(
            seen,
            [("outer", "group"), ("group", member)].map(|(a, b)| (a.into(), b.into()))
        );
    }
}

#[tokio::test]
async fn what_one_member_of_a_group_heard_is_not_told_of_another() {
    let (server, station) = (echo().await, Arc::<Station>::default());
    let names = Names::start(Mood::Plain).await;
    let script = Script::new()
        .outbound("one", from_here(7))
        .outbound("two", from_here(8));
    let members = ["one", "two"].map(|name| script.id(name)).into();
    let script = script.outbound("group", group(members));
    let script = outer(script);
    for via in ["group", "outer"] {
        let before = names.questions();
        let spec = of_station(&script, &station, &names, Some(via));
        let stage = Stage::of(spec).await;
        for (member, asked) in [("one", 1), ("two", 2), ("one", 2), ("two", 2)] {
            stage.plane().select("group", member).unwrap();
            assert_eq!(visit(&stage, "one.test", server.port()).await.0, 0);
            assert_eq!(names.questions() - before, asked, "{via} {member}");
        }
        // A reload keeps what both heard.
        let spec = of_station(&script, &station, &names, Some(via));
        stage.plane().apply(spec).await.unwrap();
        for member in ["one", "two"] {
            stage.plane().select("group", member).unwrap();
            assert_eq!(visit(&stage, "one.test", server.port()).await.0, 0);
            assert_eq!(names.questions() - before, 2, "{via} {member}");
        }
    }
}

/// A resolver that says how many wait for an answer of it.
#[derive(Debug)]
struct Counting {
    resolver: Arc<Resolver>,
    waiting: watch::Sender<usize>,
}

/// One who waits; until it is dropped.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Resolve for Counting {
    fn ask<'a>(&'a self, question: &'a Question, transport: &'a dyn Transport) -> Asking<'a> {
        self.resolver.ask(question, transport)
    }

    fn addresses<'a>(&'a self, name: &'a Domain, transport: &'a dyn Transport) -> LookingUp<'a> {
        Box::pin(async move {
            // Dropped after what it counts: whoever is not counted any more has left.
            let mut waiting = None;
            let mut found = self.resolver.addresses(name, transport);
            std::future::poll_fn(|cx| {
                // The first poll asks, or joins who asked.
                let polled = found.as_mut().poll(cx);
                waiting.get_or_insert_with(|| Waiting::new(&self.waiting));
                polled
            })
            .await
        })
    }
}

#[tokio::test]
async fn whoever_asked_first_may_leave_and_the_others_are_answered() {
    let server = echo().await;
    let names = Names::start(Mood::OnceTold).await;
    let mut spec = Script::new().spec();
    let (waiting, mut count) = watch::channel(0);
    spec.server_resolver = Arc::new(Counting {
        resolver: resolver(vec![names.server()], Families::Ipv4Only),
        waiting,
    });
    let stage = Stage::of(spec).await;
    let first = {
        let (at, port) = (stage.ports[0], server.port());
        tokio::runtime::Handle::current()
            .spawn(async move { Client::to(at).await.socks5("one.test", port).await })
    };
    count.wait_for(|count| *count == 1).await.unwrap();
    let second = visit(&stage, "one.test", server.port());
    let leave = async {
        count.wait_for(|count| *count == 2).await.unwrap();
        first.abort();
        count.wait_for(|count| *count == 1).await.unwrap();
        names.speak();
    };
    let leave = tokio::time::timeout(PATIENCE, leave);
    let ((code, _), left) = tokio::join!(second, leave);
    left.expect("the first has left, and the second waits");
    assert_eq!(code, 0);
    assert_eq!(names.questions(), 1, "{:?}", names.asked());
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_told_apart_from_one_that_nobody_could_tell_of() {
    for (mood, expected) in [
        (
            Mood::NoName,
            "there is no name one.test, says udp 127.0.0.1",
        ),
        (Mood::Broken, "`one.test` was not resolved: udp 127.0.0.1"),
    ] {
        let names = Names::start(mood).await;
        let mut spec = Script::new().spec();
        spec.server_resolver = resolver(vec![names.server()], Families::PreferIpv4);
        let stage = Stage::of(spec).await;
        // Also the second time, from what was kept.
        for count in 1..=2 {
            assert_ne!(visit(&stage, "one.test", 80).await.0, 0);
            let record = stage.records(count).await.remove(count - 1);
            let error = record.ended.as_ref().and_then(End::error);
            let error = error.unwrap_or_default();
            assert!(error.starts_with(expected), "{mood:?}: {error}");
        }
        assert_eq!(names.questions(), 2, "{mood:?}");
    }
}
