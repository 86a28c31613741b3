//! A brief loses nothing, and what is alike is kept once.

use pointsman_policy::Action;
use pointsman_policy::decision::{Decision, Reason};
use pointsman_policy::fact::{Inbound, InboundKind, Provenance};
use pointsman_policy::model::Origin;
use proptest::prelude::*;

use super::*;
use crate::record::{Attempt, By, Rest};
use crate::spec::Number;

/// A record of a flow that relays, with what most have; `seed` is what no two have alike.
fn record(seed: u16) -> FlowRecord {
    let mut record = FlowRecord {
        id: seed.into(),
        generation: Number {
            load: 3,
            refresh: 1,
        },
        started_ms: 1_700_000_000_000 + u64::from(seed),
        listener: "desk".into(),
        policy: 2,
        decision: Some(Decision {
            outbound: Some(pointsman_policy::OutboundId(1)),
            reason: Reason::Rule,
            rule: Some(Origin {
                text: "DOMAIN, a.test, group".into(),
                file: "c.yaml".into(),
                line: 4,
            }),
            entry: None,
            class: None,
        }),
        outbound: Some("group".into()),
        member: Some("a".into()),
        action: Some(Action::Proxy),
        ..FlowRecord::default()
    };
    record.took.dial_us = u64::from(seed) * 7;
    let facts = &mut record.facts;
    facts.source = Fact::Known(([127, 0, 0, 1], seed).into(), Provenance::Inbound);
    let host = Host::parse(&format!("h{seed}.test")).unwrap();
    facts.destination = Fact::Known(host, Provenance::Request);
    facts.port = Fact::Known(seed, Provenance::Request);
    let inbound = Inbound {
        kind: InboundKind::Socks5,
        name: None,
        port: Some(1080),
        user: None,
    };
    facts.inbound = Fact::Known(inbound, Provenance::Inbound);
    record
}

#[test]
fn what_is_alike_is_kept_once_and_no_longer_than_it_is_wanted() {
    let kinds = Kinds::default();
    let of = |record| Brief::of(record, &kinds).unwrap();
    let texts = record(0);
    let same = |seed| FlowRecord {
        decision: texts.decision.clone(),
        member: texts.member.clone(),
        ..record(seed)
    };
    let (one, two) = (of(same(1)), of(same(2)));
    assert!(Arc::ptr_eq(&one.like, &two.like));
    let other = of(FlowRecord {
        answered_early: true,
        ..same(3)
    });
    assert!(!Arc::ptr_eq(&one.like, &other.like));
    assert!(other.whole(3).answered_early && !two.whole(2).answered_early);
    drop((one, two, other));
    kinds.forget_unused();
    assert_eq!(kinds.0.lock().len(), 0);
}

#[test]
fn how_it_ended_is_told_with_the_rest() {
    let mut brief = Brief::of(record(5), &Kinds::default()).unwrap();
    let lasted = Duration::from_micros(77);
    let end = End::Stopped(By::Operator);
    brief.ended = Some((end.clone(), lasted));
    let expected = FlowRecord {
        lasted,
        ended: Some(end),
        ..record(5)
    };
    assert_eq!(brief.whole(5), expected);
}

/// Something more that a record may have.
fn odd(record: &mut FlowRecord, which: usize) {
    let FlowRecord {
        facts,
        took,
        decision,
        ..
    } = record;
    match which {
        0 => facts.source = Fact::Absent,
        1 => facts.destination = Fact::Failed("no".into()),
        2 => facts.port = Fact::Unknown,
        3 => facts.sought.to_mut().dscp = Fact::Known(8, Provenance::System),
        4 => took.sniff_us = 9,
        5 => took.verdict_us = 10,
        6 => {
            let said = (1, "said".into());
            record.incidents.to_mut().messages.push(said);
        }
        7 => record.incidents.to_mut().attempts.push(Attempt {
            target: "a".into(),
            error: "refused".into(),
            times: 1,
            took_us: 3,
        }),
        8 => *decision = None,
        9 => record.groups = vec!["inner".into()],
        10 => record.note = "noted".into(),
        11 => record.answered_early = true,
        12 => record.member = None,
        13 => facts.inbound = Fact::Unknown,
        14 => record.ended = Some(End::Closed),
        15 => record.bytes_sent = 1,
        16 => {
            if let Some(decision) = decision {
                decision.rule = None;
            }
        }
        17 => {
            if let Fact::Known(inbound, _) = &mut facts.inbound {
                inbound.user = Some("bob".into());
            }
        }
        18 => {
            let wait = (pointsman_policy::request::RequestId(1), 4);
            record.incidents.to_mut().waits.push(wait);
        }
        19 => {
            let rest = Rest {
                failures: 2,
                left: Duration::from_secs(3),
                tried: false,
            };
            record.passed_by(&"a".into(), rest);
        }
        20 => {
            if let Some(decision) = decision {
                let entry = pointsman_policy::Entry {
                    text: "a.test".into(),
                    file: "ads.txt".into(),
                    line: 7,
                };
                decision.entry = Some(entry.into());
            }
        }
        _ => {
            let all = vec![[192, 0, 2, 1].into()];
            facts.sought.to_mut().resolved = Fact::Known(all, Provenance::Resolver);
        }
    }
}

const ODD: usize = 22;

proptest! {
    #[test]
    fn a_brief_is_the_whole_record_or_leaves_it_as_it_was(
        seeds in prop::collection::vec((any::<u16>(), prop::collection::vec(0..ODD, 0..4)), 1..8),
    ) {
        let kinds = Kinds::default();
        let mut briefs = Vec::new();
        for (seed, which) in seeds {
            let mut whole = record(seed);
            for which in which {
                odd(&mut whole, which);
            }
            match Brief::of(whole.clone(), &kinds) {
                Ok(brief) => briefs.push((brief, whole)),
                Err(left) => prop_assert_eq!(left, whole),
            }
        }
        for (brief, whole) in briefs {
            prop_assert_eq!(brief.whole(whole.id), whole);
        }
    }
}
