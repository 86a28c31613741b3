//! Which question is which: numbers within a body, answers from one body to another.

use crate::condition::Condition;
use crate::fact::{Fact, Provenance};
use crate::model::{Body, Node, Origin, OutboundId};
use crate::request::{Answer, Request, RequestId, Route};

/// `200@3 a`: 200 is asked on line 3 by the rule `a`; `200?` waits shorter.
fn body(steps: &str) -> Body {
    let step = |step: &str| {
        let (place, text) = step.trim().split_once(' ').unwrap();
        let (who, line) = place.split_once('@').unwrap();
        let mut request = Request::new(
            who.trim_end_matches('?').parse().unwrap(),
            OutboundId(0),
            OutboundId(1),
        );
        if who.ends_with('?') {
            request.timeout /= 2;
        }
        let origin = Origin {
            file: "p".into(),
            line: line.parse().unwrap(),
            text: text.into(),
        };
        Node::Request {
            condition: Condition::Always,
            request,
            origin,
        }
    };
    let steps: Vec<Node> = steps.split(',').map(step).collect();
    steps.into()
}

#[test]
fn questions_that_differ_have_numbers_of_their_own() {
    let check = |steps: &str, expected: &[u32]| {
        let body = body(steps);
        let number = |node: &Node| match node {
            Node::Request { request, .. } => request.number().0,
            _ => u32::MAX,
        };
        let numbers: Vec<u32> = body.iter().map(number).collect();
        assert_eq!(numbers, expected, "{steps}");
    };
    check("200@1 a", &[0]);
    check("200@1 a, 200@2 a", &[0, 1]);
    check("200@1 a, 200@1 b", &[0, 1]);
    // Twice the same line, and two questions on one.
    check("200@1 a, 300@2 b, 200@1 a", &[0, 1, 0]);
    check("200@1 a, 300@1 a", &[0, 1]);
    check("200@1 a, 200?@1 a", &[0, 1]);
}

#[test]
fn answers_go_to_the_same_question() {
    // All of the first are answered; which of the second are.
    let check = |from: &str, to: &str, expected: &[(u32, u32)]| {
        let (old, new) = (body(from), body(to));
        let all = (0..).zip(old.requests());
        let verdicts: Vec<_> = all
            .map(|(number, _)| (RequestId(number), Fact::Failed(number.to_string().into())))
            .collect();
        let carried = new.carried(&verdicts, &old);
        let expected: Vec<(RequestId, Fact<Answer>)> = expected
            .iter()
            .map(|(to, from)| (RequestId(*to), Fact::Failed(from.to_string().into())))
            .collect();
        assert_eq!(carried, expected, "{from} -> {to}");
    };
    check("200@1 a", "200@1 a", &[(0, 0)]);
    check("200@1 a", "200@7 a", &[(0, 0)]);
    check("200@1 a", "200@1 b", &[]);
    check("200@1 a", "300@1 a", &[]);
    check("200@1 a", "200?@1 a", &[]);
    check("200@1 a", "300@1 b, 200@2 a", &[(1, 0)]);
    check("200@1 a, 300@2 b", "300@1 b, 200@2 a", &[(1, 0), (0, 1)]);
    check("200@1 a, 300@2 b", "300@1 b", &[(0, 1)]);
    // Which of several is meant is told by their places, as long as all are there.
    check("200@1 a, 200@2 a", "200@3 a, 200@4 a", &[(0, 0), (1, 1)]);
    check("200@1 a, 200@2 a", "200@3 a", &[]);
    check("200@1 a", "200@3 a, 200@4 a", &[]);
    check(
        "200@1 a, 200@2 a, 300@3 b",
        "300@1 b, 200@2 a, 200@3 a",
        &[(0, 2)],
    );
}

#[test]
fn an_answer_stays_what_it_is() {
    let (old, new) = (body("200@1 a"), body("300@1 b, 200@2 a"));
    let known = Fact::Known(Answer::Route(Route::Reject), Provenance::Subscriber);
    let carried = new.carried(&[(RequestId(0), known.clone())], &old);
    assert_eq!(carried, [(RequestId(1), known)]);
    // A number of no request of that body is nobody's.
    assert_eq!(new.carried(&[(RequestId(9), Fact::Absent)], &old), []);
}
