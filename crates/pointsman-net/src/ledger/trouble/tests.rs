//! What is told of trouble, how often, and what none is.

use pointsman_policy::decision::Decision;
use pointsman_policy::fact::{Fact, Inbound, Provenance};

use super::*;
use crate::outbound::DialError;

fn failed(outbound: &str, fault: Fault) -> Arc<FlowRecord> {
    Arc::new(FlowRecord {
        outbound: Some(outbound.into()),
        ended: Some(End::Failed(fault, "why".into())),
        ..FlowRecord::default()
    })
}

/// One line for each: `outbound reason`, or `outbound reason +count`.
async fn heard(troubles: &Troubles, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.len() < most {
        let next = tokio::time::timeout(SPAN * 5, troubles.next()).await;
        let Ok(told) = next else { break };
        lines.push(match told {
            TroubleEvent::Flow(trouble, record) => {
                let outbound = record.outbound.as_deref().unwrap_or("-");
                format!("{outbound} {}", trouble.as_str())
            }
            TroubleEvent::LeftOut {
                outbound,
                trouble,
                count,
            } => {
                let outbound = outbound.as_deref().unwrap_or("-");
                format!("{outbound} {} +{count}", trouble.as_str())
            }
            TroubleEvent::Target(it) => {
                let (forward, target, reason) = (it.forward, it.target, it.trouble.as_str());
                format!("{forward}/{target} {reason}: {}", it.error)
            }
            TroubleEvent::TargetsLeftOut {
                way,
                trouble,
                count,
            } => {
                let (forward, target) = way.unwrap();
                format!("{forward}/{target} {} +{count}", trouble.as_str())
            }
            TroubleEvent::Lacks {
                flow,
                lack,
                why,
                count,
            } => format!("flow {flow} lacks {}: {why} +{count}", lack.as_str()),
            TroubleEvent::Said { flow, id, text } => format!("flow {flow}: {id} {text}"),
            TroubleEvent::SaidMore { id, count } => format!("{id:?} +{count}"),
        });
    }
    lines
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_ten_lines_and_a_count_and_hides_nothing_else() {
    let troubles = Troubles::default();
    let all = |_: Gravity| true;
    // Nobody hears yet.
    troubles.file(&failed("a", Fault::Login), all);
    assert!(heard(&troubles, 1).await.is_empty());
    for _ in 0..500 {
        troubles.file(&failed("a", Fault::ConnectionRefused), all);
    }
    troubles.file(&failed("a", Fault::Login), all);
    troubles.file(&failed("b", Fault::ConnectionRefused), all);
    let mut lines = heard(&troubles, 100).await;
    assert_eq!(lines.pop().unwrap(), "a connection-refused +490");
    assert_eq!(
        lines.split_off(10),
        ["a proxy-login", "b connection-refused"]
    );
    assert!(lines.iter().all(|line| line == "a connection-refused"));
}

#[tokio::test(start_paused = true)]
async fn messages_of_rules_are_limited_each_number_apart() {
    let troubles = Troubles::default();
    troubles.say(1, 7, &"nobody hears".into());
    assert!(heard(&troubles, 1).await.is_empty());
    for flow in 0..100 {
        troubles.say(flow, 7, &"seven".into());
    }
    troubles.say(200, 8, &"eight".into());
    let lines = heard(&troubles, 100).await;
    assert_eq!(lines[..2], ["flow 0: 7 seven", "flow 1: 7 seven"]);
    assert_eq!(lines[10..], ["flow 200: 8 eight", "Some(7) +90"]);
}

#[tokio::test(start_paused = true)]
async fn targets_are_limited_each_apart_and_hide_no_flow() {
    let troubles = Troubles::default();
    let refused = || DialError::Unreachable {
        outbound: "t".into(),
        source: std::io::ErrorKind::ConnectionRefused.into(),
    };
    let tried = |target: &str| {
        let way = (&"f".into(), &target.into());
        troubles.tried(1, way, refused().fault(), &refused());
    };
    tried("nobody hears");
    assert!(heard(&troubles, 1).await.is_empty());
    (0..60).for_each(|_| tried("a"));
    tried("b");
    troubles.file(&failed("f", Fault::ConnectionRefused), |_| true);
    let mut lines = heard(&troubles, 100).await;
    assert_eq!(lines.pop().unwrap(), "f/a connection-refused +50");
    assert_eq!(lines.pop().unwrap(), "f connection-refused");
    let why = chain(&refused());
    assert_eq!(
        lines.pop().unwrap(),
        format!("f/b connection-refused: {why}")
    );
    assert_eq!(lines, vec![format!("f/a connection-refused: {why}"); 10]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_bounded_and_counted() {
    let troubles = Troubles::default();
    assert!(heard(&troubles, 1).await.is_empty());
    for outbound in 0..3000 {
        troubles.file(&failed(&format!("p{outbound}"), Fault::Other), |_| true);
    }
    assert_eq!(troubles.state().queue.len(), QUEUE);
    let lines = heard(&troubles, 5000).await;
    let counts = lines.iter().filter_map(|line| line.split_once('+'));
    let counts: u64 = counts.map(|(_, count)| count.parse::<u64>().unwrap()).sum();
    assert_eq!(counts, 3000 - QUEUE as u64);
}

#[test]
fn only_what_went_wrong_is_trouble() {
    let of = |ended: End, change: fn(&mut FlowRecord)| {
        let mut record = FlowRecord {
            ended: Some(ended),
            ..FlowRecord::default()
        };
        change(&mut record);
        Trouble::of(&record).map(|trouble| (trouble.as_str(), trouble.gravity()))
    };
    let same = |_: &mut FlowRecord| {};
    for fine in [
        End::Closed,
        End::ClientGone,
        End::Reset(Side::Client),
        End::Stopped(crate::record::By::Operator),
        End::TimedOut(Limit::Idle),
        End::TimedOut(Limit::Lifetime),
    ] {
        assert_eq!(of(fine, same), None);
    }
    let reset = End::Reset(Side::Target);
    assert_eq!(of(reset.clone(), |record| record.bytes_received = 1), None);
    assert_eq!(of(reset, same), Some(("target-reset", Gravity::Failed)));
    let first_byte = End::TimedOut(Limit::FirstByte);
    assert_eq!(of(first_byte, same), Some(("no-answer", Gravity::Failed)));
    let login = End::Failed(Fault::Login, "".into());
    assert_eq!(of(login, same), Some(("proxy-login", Gravity::Failed)));
    let guessed = End::Denied(WRONG_LOGIN.into());
    assert_eq!(of(guessed, same), Some(("wrong-login", Gravity::Guessed)));
    let denied = Some(("denied", Gravity::Refused));
    assert_eq!(of(End::Denied("x".into()), same), denied);
    assert_eq!(of(End::TimedOut(Limit::Handshake), same), denied);
    let no_route = Some(("no-route", Gravity::Refused));
    assert_eq!(of(End::Refused, same), no_route);
}

#[test]
fn words_are_told_apart() {
    let words: std::collections::BTreeSet<_> = Trouble::all().map(Trouble::as_str).collect();
    assert_eq!(words.len(), Trouble::all().count());
}

#[tokio::test(start_paused = true)]
async fn facts_that_were_not_found_are_all_counted_and_told_now_and_then() {
    let troubles = Troubles::default();
    let lacks = |flow| troubles.lacks(flow, Lack::Program, &"not allowed".into());
    // Nobody hears yet: it is owed.
    lacks(1);
    assert!(heard(&troubles, 1).await.is_empty());
    lacks(2);
    lacks(3);
    troubles.lacks(4, Lack::Address, &"no answer".into());
    assert_eq!(
        heard(&troubles, 3).await,
        [
            "flow 2 lacks program: not allowed +2",
            "flow 4 lacks address: no answer +1"
        ]
    );
    sleep(std::time::Duration::from_secs(60)).await;
    lacks(5);
    assert_eq!(
        heard(&troubles, 2).await,
        ["flow 5 lacks program: not allowed +2"]
    );
    assert_eq!(troubles.lacking(), [4, 1, 0, 0, 0, 0]);
}

#[test]
fn a_forward_that_takes_no_more_is_full_and_one_of_our_own_listeners_is_above_the_rules() {
    let check = |kind, member: Option<&str>, expected| {
        let mut record = FlowRecord {
            outbound: Some("narrow".into()),
            member: member.map(Into::into),
            action: Some(Action::Reject),
            note: "connection limit".into(),
            decision: Some(Decision {
                outbound: Some(pointsman_policy::OutboundId(4)),
                reason: Reason::Rule,
                rule: None,
                entry: None,
                class: None,
            }),
            ended: Some(End::Refused),
            ..FlowRecord::default()
        };
        let inbound = Inbound {
            kind,
            name: None,
            port: None,
            user: None,
        };
        record.facts.inbound = Fact::Known(inbound, Provenance::Inbound);
        assert_eq!(Trouble::of(&record), Some(expected));
    };
    let mut limited = FlowRecord {
        note: Refused::new(Refuser::FlowLimit, "`udp.flows` is 2").into(),
        action: Some(Action::Reject),
        ended: Some(End::Refused),
        ..FlowRecord::default()
    };
    assert_eq!(Trouble::of(&limited), Some(Trouble::Full));
    limited.note = Refused::new(Refuser::LoopGuard, "it would come back").into();
    assert_eq!(Trouble::of(&limited), Some(Trouble::AboveRules));
    check(InboundKind::Forward, None, Trouble::Full);
    check(InboundKind::Forward, Some("a"), Trouble::AboveRules);
    check(InboundKind::Mixed, None, Trouble::AboveRules);
}
