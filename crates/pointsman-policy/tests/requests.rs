//! Asking somebody outside: what is asked before, what an answer does, and what counts where there is none.

mod flow;

use flow::{DIRECT, PROXY, RESET, WORK, leaf, not, origin, policy, port, suffix, told, visits};
use pointsman_policy::explain::sentence;
use pointsman_policy::model::{Node, OnUnknown, Policy};
use pointsman_policy::request::{Answer, Request, RequestId, Route};
use pointsman_policy::{Condition, Need};

fn request(line: u32, subscriber: u32, condition: Condition, fallback: Route) -> Node {
    let mut request = Request::new(subscriber, RESET, WORK);
    request.fallback = fallback;
    Node::Request {
        condition,
        request,
        origin: origin(line),
    }
}

fn two_requests() -> Policy {
    policy(vec![
        request(1, 200, suffix("a.test"), Route::Reject),
        request(2, 201, not(port(80)), Route::Continue),
        leaf(3, DIRECT),
    ])
}

#[test]
fn an_answer_decides_or_lets_go_on() {
    let policy = two_requests();
    let check = |words: &str, expected: &str| assert_eq!(told(&policy, words), expected, "{words}");
    check("dst=b.test:80", "direct by 3");
    check("dst=a.test:80", "needs owner");
    check("dst=a.test:80 owner=none", "needs verdict");
    check("dst=a.test:80 owner=!gone", "needs verdict");
    let a = |verdict: &str| format!("dst=a.test:80 owner=curl verdict={verdict}");
    check(&a("CONTINUE"), "direct by 3");
    check(&a("REJECT"), "reset by 1");
    check(&a("BLACKHOLE"), "work by 1");
    check(&a("FALLBACK"), "reset by 1");
    check(&a("!nobody"), "reset by 1");
    check(&a("none"), "reset by 1");
    // The second request has the number 1.
    check("dst=b.test:443 owner=none", "needs verdict");
    check("dst=b.test:443 owner=none verdict=REJECT", "needs verdict");
    let b = |verdict: &str| format!("dst=a.test:443 owner=none verdict=CONTINUE,{verdict}");
    check(&b("CONTINUE"), "direct by 3");
    check(&b("FALLBACK"), "direct by 3");
    check(&b("!nobody"), "direct by 3");
    check(&b("REJECT"), "reset by 2");
    check(&b("BLACKHOLE"), "work by 2");
}

#[test]
fn a_condition_that_cannot_be_told_asks_nobody() {
    let in_process = Condition::Text(
        pointsman_policy::condition::TextField::ProcessName,
        pointsman_policy::condition::TextTest::Exact("curl".into()),
    );
    let body = || {
        vec![
            request(1, 200, in_process.clone(), Route::Reject),
            leaf(2, DIRECT),
        ]
    };
    assert_eq!(told(&policy(body()), "owner=!gone"), "direct by 2");
    let strict = Policy {
        on_unknown: OnUnknown::Reject,
        ..policy(body())
    };
    assert_eq!(told(&strict, "owner=!gone"), "refused by 1");
    // A broken verdict is the fallback's, never unknown.
    assert_eq!(told(&strict, "owner=curl verdict=!gone"), "reset by 1");
}

#[test]
fn the_trace_says_who_was_asked_and_what_came_of_it() {
    let policy = two_requests();
    let words = "dst=a.test:443 owner=none verdict=";
    let check = |verdicts: &str, expected: [&str; 2]| {
        let seen = visits(&policy, &format!("{words}{verdicts}"));
        let tails: Vec<&str> = seen
            .iter()
            .take(2)
            .map(|line| line.split_once("verdict is ").unwrap_or_default().1)
            .collect();
        assert_eq!(tails, expected, "{verdicts}");
    };
    check(
        "CONTINUE,!nobody",
        [
            "CONTINUE by subscriber 200 (given)",
            "CONTINUE, the fallback: nobody",
        ],
    );
    check(
        "CONTINUE,FALLBACK",
        [
            "CONTINUE by subscriber 200 (given)",
            "CONTINUE, the fallback, which subscriber 201 chose (given)",
        ],
    );
    let reason = |verdict: &str| {
        let step = policy.decide(&flow::flow(&format!("{words}{verdict}")));
        sentence(&policy, &step, None)
    };
    assert_eq!(
        reason("REJECT"),
        "`rule 1` (config:1): subscriber 200 answered REJECT"
    );
    assert_eq!(
        reason("!late"),
        "`rule 1` (config:1): the fallback of subscriber 200: late"
    );
}

/// A tree within two others is asked once for a flow; lines that differ are asked each.
#[test]
fn a_line_is_one_request_however_often_it_stands_there() {
    let twice = || request(1, 200, Condition::Always, Route::Continue);
    let policy = policy(vec![
        twice(),
        Node::Any(vec![
            twice(),
            request(2, 200, Condition::Always, Route::Continue),
        ]),
        leaf(3, PROXY),
    ]);
    let numbers: Vec<u32> = policy
        .body
        .requests()
        .iter()
        .map(|asked| asked.request.number().0)
        .collect();
    assert_eq!(numbers, [0, 1]);
    assert_eq!(
        told(&policy, "owner=none verdict=CONTINUE"),
        "needs verdict"
    );
    assert_eq!(
        told(&policy, "owner=none verdict=CONTINUE,CONTINUE"),
        "proxy by 3"
    );
    assert!(policy.wants(Need::Owner));
    assert!(policy.wants(Need::Verdict(RequestId(1))));
    assert!(!policy.wants(Need::Verdict(RequestId(2))));
}

#[test]
fn words_are_read_in_any_case() {
    for answer in Answer::ALL {
        assert_eq!(Answer::of(&answer.as_str().to_lowercase()), Some(answer));
    }
    assert_eq!(Answer::of("DIRECT"), None);
    assert_eq!(Route::of("FALLBACK"), None);
}
