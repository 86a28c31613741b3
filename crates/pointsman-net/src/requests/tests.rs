//! A subscriber and flows that wait, the clock standing still but for who waits.

use std::time::Duration;

use pointsman_policy::OutboundId;
use pointsman_policy::request::Route;

use super::*;

fn request(subscriber: u32) -> Request {
    Request::new(subscriber, OutboundId(0), OutboundId(0))
}

fn record() -> FlowRecord {
    FlowRecord::default()
}

/// What a flow gets while `meanwhile` happens; the clock stands still but for what waits.
async fn asked(
    requests: &Arc<Requests>,
    subscriber: u32,
    meanwhile: impl Future<Output = ()>,
) -> String {
    let request = request(subscriber);
    let waits = requests.ask(&request, record(), None);
    let (verdict, ()) = tokio::join!(waits, meanwhile);
    match verdict {
        Fact::Known(answer, from) => format!("{} ({from})", answer.as_str()),
        Fact::Failed(why) => why.to_string(),
        other => format!("{other:?}"),
    }
}

async fn heard(subscription: &mut Subscription) -> u64 {
    match subscription.next().await {
        Some(Event::Asked(question)) => question.number,
        other => panic!("{other:?}"),
    }
}

/// One of many clients.
fn client(number: usize) -> By {
    Some(std::net::Ipv4Addr::from(u32::try_from(number).unwrap()).into())
}

const REJECT: Answer = Answer::Route(Route::Reject);

#[tokio::test(start_paused = true)]
async fn whoever_subscribes_is_asked_and_answers() {
    let requests = Arc::new(Requests::default());
    let none = async {};
    assert_eq!(asked(&requests, 7, none).await, "nobody subscribes to 7");

    let mut own = requests.subscribe(&[7, 8]).unwrap();
    let mut other = requests.subscribe(&[9]).unwrap();
    assert_eq!(
        requests.subscribe(&[10, 8]).unwrap_err(),
        AlreadySubscribed(8)
    );

    let answers = async {
        let number = heard(&mut own).await;
        // Another's word changes nothing.
        let stranger = requests.answer(other.number(), number, Some(REJECT));
        assert_eq!(stranger, Outcome::NotYours);
        let own = own.number();
        let answer = Answer::Route(Route::Continue);
        assert_eq!(requests.answer(own, number, Some(answer)), Outcome::Taken);
        let again = requests.answer(own, number, Some(REJECT));
        assert_eq!(again, Outcome::Unknown);
    };
    assert_eq!(asked(&requests, 8, answers).await, "CONTINUE (answered)");

    let no_answer = async {
        let number = heard(&mut own).await;
        let outcome = requests.answer(own.number(), number, None);
        assert_eq!(outcome, Outcome::Invalid);
    };
    assert_eq!(
        asked(&requests, 7, no_answer).await,
        "subscriber 7 answered with no route"
    );

    let late = async {
        let number = heard(&mut other).await;
        match other.next().await {
            Some(Event::Over(over)) => assert_eq!(over, number),
            told => panic!("{told:?}"),
        }
        let answered = requests.answer(other.number(), number, Some(REJECT));
        assert_eq!(answered, Outcome::Unknown);
    };
    assert_eq!(
        asked(&requests, 9, late).await,
        "subscriber 9 did not answer within 60 s"
    );

    let leaves = async {
        heard(&mut other).await;
        drop(other);
    };
    assert_eq!(asked(&requests, 9, leaves).await, "subscriber 9 went away");
    assert_eq!(requests.waiting(), 0);
    // The place is free again.
    assert!(requests.subscribe(&[9]).is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_waits_and_what_is_unread_is_bounded() {
    let requests = Arc::new(Requests::default());
    let _lazy = requests.subscribe(&[1]).unwrap();
    let request = request(1);
    let mut waits: Vec<_> = (0..=QUEUE)
        .map(|number| Box::pin(requests.ask(&request, record(), client(number))))
        .collect();
    let short = Duration::from_millis(1);
    let mut last = None;
    for wait in &mut waits {
        last = timeout(short, wait).await.ok();
    }
    assert_eq!(
        last,
        Some(Fact::Failed("subscriber 1 does not read".into()))
    );
    assert_eq!(requests.waiting(), QUEUE);
    // The flow's client went away.
    waits.truncate(3);
    assert_eq!(requests.waiting(), 3);

    let mut eager = requests.subscribe(&[2]).unwrap();
    let request = self::request(2);
    let mut waits = Vec::new();
    let mut told = None;
    while told.is_none() {
        let by = client(QUEUE + waits.len());
        let mut wait = Box::pin(requests.ask(&request, record(), by));
        told = timeout(short, &mut wait).await.ok();
        if told.is_none() {
            waits.push(wait);
            heard(&mut eager).await;
        }
    }
    assert_eq!(waits.len() + 3, WAITING);
    assert_eq!(
        told,
        Some(Fact::Failed("1024 flows wait for an answer already".into()))
    );
}

/// How many questions of one client are put before one is refused, the last that is heard of and why; and whether
/// another client's is put after that.
async fn greedy(
    requests: &Arc<Requests>,
    reads: Option<&mut Subscription>,
) -> (usize, String, bool) {
    let short = Duration::from_millis(1);
    let request = request(1);
    let (mut waits, mut reads) = (Vec::new(), reads);
    let why = loop {
        let mut wait = Box::pin(requests.ask(&request, record(), client(1)));
        match timeout(short, &mut wait).await {
            Ok(Fact::Failed(why)) => break why,
            Ok(other) => panic!("{other:?}"),
            Err(_waits) => waits.push(wait),
        }
        if let Some(reads) = reads.as_mut() {
            heard(reads).await;
        }
    };
    let other = requests.ask(&request, record(), client(2));
    let is_put = timeout(short, other).await.is_err();
    (waits.len(), why.to_string(), is_put)
}

#[tokio::test(start_paused = true)]
async fn one_client_leaves_places_for_others() {
    let requests = Arc::new(Requests::default());
    let mut reads = requests.subscribe(&[1]).unwrap();
    let (put, why, is_put) = greedy(&requests, Some(&mut reads)).await;
    assert_eq!(put, WAITING / 2);
    assert_eq!(why, "512 flows of its client wait for an answer already");
    assert!(is_put);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_one_client_leaves_others_something_to_be_read() {
    let requests = Arc::new(Requests::default());
    let mut slow = requests.subscribe(&[1]).unwrap();
    let (put, why, is_put) = greedy(&requests, None).await;
    assert_eq!(put, QUEUE / 2);
    assert_eq!(why, "128 events of its client's flows are unread already");
    assert!(is_put);
    // All of them are over, and told as far as there is room; once that is read there is as much room as before.
    assert_eq!(requests.waiting(), 0);
    while timeout(Duration::from_millis(1), slow.next()).await.is_ok() {}
    assert!(requests.state().unread.is_empty());
    assert_eq!(greedy(&requests, None).await.0, QUEUE / 2);
    drop(slow);
    assert!(requests.state().unread.is_empty());
}
