//! A look-up of addresses: a name, what it may stand for, and both families.
//!
//! Invariant: one family's failure does not take the other's answer; and where one of them could not be asked for, it is
//! not said that there is no name.

use std::net::IpAddr;

use pointsman_policy::Domain;
use pointsman_spec::address::Families;
use pointsman_spec::address::Uplink;
use tokio::time::Instant;

use super::asker::Asker;
use super::families::{Half, Out, both};
use super::question::WireQuestion;
use super::{LONGEST, too_long};
use crate::lookup::{AddressResult, Addresses, Answer, NotFound, Question, RecordType, Source};

pub(super) struct LookUp<'a> {
    pub(super) asker: Asker<'a>,
    pub(super) families: Families,
}

impl LookUp<'_> {
    /// Tries the longer names first, and then the name itself.
    pub(super) async fn run(
        &self,
        name: &Domain,
        longer: Vec<Domain>,
        begun: Instant,
    ) -> AddressResult {
        let end = begun + self.asker.patience().whole;
        let mut left = u32::try_from(longer.len()).unwrap_or(u32::MAX);
        for longer in longer {
            // So that a silent domain leaves time for those behind it.
            let now = Instant::now();
            let share = end.saturating_duration_since(now) / left.saturating_add(1);
            left = left.saturating_sub(1);
            if let Ok(found) = self.addresses(&longer, now + share).await {
                return Ok(found);
            }
        }
        self.addresses(name, end).await
    }

    /// Asks for the families wanted, at once, and puts their addresses in order.
    async fn addresses(&self, name: &Domain, until: Instant) -> AddressResult {
        let question = |kind| {
            let name = name.clone();
            WireQuestion::new(&Question { name, kind })
        };
        let both = question(RecordType::A).zip(question(RecordType::Aaaa));
        let Some(both) = both.map(<[_; 2]>::from) else {
            return Err(NotFound::Failed(too_long(name)));
        };
        let asked = match self.families {
            Families::Ipv4Only => &both[..1],
            Families::Ipv6Only => &both[1..],
            Families::PreferIpv4 | Families::PreferIpv6 => &both[..],
        };
        let entered = self.asker.enter(asked, until).await;
        let _place = entered.map_err(|why| NotFound::Failed(why.into()))?;
        let one = async |question: &WireQuestion| {
            let heard = self.asker.ask(question, until).await;
            vec![heard.answer(LONGEST)]
        };
        let answers = match asked {
            [question] => one(question).await,
            _ => self.both(both, until).await,
        };
        found(name, self.families, answers)
    }

    async fn both(&self, questions: [WireQuestion; 2], until: Instant) -> Vec<Answer> {
        let begun = questions
            .each_ref()
            .map(|question| self.asker.begin(question.view()));
        let out = [0, 1].map(|at| Out {
            late: matches!(&begun[at], Err(hearing) if hearing.is_late()),
            silent: self.asker.is_silent(questions[at].kind()),
        });
        let halves = begun.each_ref().map(|one| match one {
            Ok(known) => Half::Told(known.clone().answer(LONGEST)),
            Err(hearing) => {
                let hearing = hearing.clone();
                let heard = self.asker.wait(hearing, until);
                let heard = async move { heard.await.answer(LONGEST) };
                Half::Asking(Box::pin(heard))
            }
        });
        let (dialer, own) = (self.asker.transport.dialer(), Uplink::default());
        let halves = both(halves, out, |address| dialer.has_route(address, &own)).await;
        let mut answers = Vec::new();
        for (half, begun) in halves.into_iter().zip(begun) {
            match (half, begun) {
                (Half::Told(answer), _) => answers.push(answer),
                // An answer that comes late is for the next who asks.
                (Half::Asking(_), Err(hearing)) => self.asker.leave(hearing),
                (Half::Asking(_), Ok(_)) => {}
            }
        }
        answers
    }
}

/// What the answers of the families come to; the first that says why there is nothing counts, and failures before all.
fn found(name: &Domain, families: Families, answers: Vec<Answer>) -> AddressResult {
    let (mut v4, mut v6): (Vec<IpAddr>, Vec<IpAddr>) = (Vec::new(), Vec::new());
    let mut holds: Option<(Instant, Source)> = None;
    let (mut failed, mut no_name, mut no_data) = (None, None, None);
    for answer in answers {
        match answer {
            Answer::Records {
                records,
                until,
                from,
            } => {
                for address in records.iter().map(|record| record.data.address()) {
                    match address.is_ipv4() {
                        true => v4.push(address),
                        false => v6.push(address),
                    }
                }
                let first = holds.unwrap_or((until, from));
                holds = Some((first.0.min(until), first.1));
            }
            Answer::NoData { from, .. } => no_data = no_data.or(Some(from)),
            Answer::NoName { from, .. } => no_name = no_name.or(Some(from)),
            Answer::Failed(why) => failed = failed.or(Some(why)),
        }
    }
    let list = families.ordered(v4, v6);
    if let Some((until, from)) = holds
        && !list.is_empty()
    {
        return Ok(Addresses { list, until, from });
    }
    let name = name.clone();
    Err(match (failed, no_name, no_data) {
        (Some(why), ..) => NotFound::Failed(why),
        (None, Some(from), None) => NotFound::NoName { name, from },
        // A server that says of one type that there is no such name, and has nothing of the other.
        (None, _, Some(from)) => NotFound::NoAddress {
            name,
            families,
            from,
        },
        (None, None, None) => NotFound::Failed("nobody was asked".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::{Data, Record};
    use std::time::Duration;

    #[test]
    fn that_there_is_no_name_is_never_said_where_nobody_could_tell() {
        let (now, name) = (Instant::now(), Domain::parse("a.test").unwrap());
        let from = Source::Server("udp x".into());
        let no_name = || Answer::NoName {
            until: now,
            from: from.clone(),
        };
        let no_data = || Answer::NoData {
            until: now,
            from: from.clone(),
        };
        let failed = || Answer::Failed("SERVFAIL".into());
        let address = |seconds| Answer::Records {
            records: [Record {
                data: Data::A([1; 4].into()),
                ttl: 60,
            }]
            .into(),
            until: now + Duration::from_secs(seconds),
            from: from.clone(),
        };
        let of = |answers: Vec<Answer>| {
            let found = found(&name, Families::PreferIpv4, answers);
            found.map_err(|why| why.to_string())
        };
        let says = |text: &str| Err(text.to_owned());
        let none = "there is no name a.test, says udp x";
        assert_eq!(of(vec![no_name(), no_name()]), says(none));
        assert_eq!(of(vec![no_name()]), says(none));
        assert_eq!(of(vec![no_name(), failed()]), says("SERVFAIL"));
        assert_eq!(of(vec![failed(), no_data()]), says("SERVFAIL"));
        let empty = "a.test has no address, says udp x";
        assert_eq!(of(vec![no_name(), no_data()]), says(empty));
        assert_eq!(of(vec![no_data(), no_data()]), says(empty));
        // One family is enough, and what ends first ends all.
        for other in [no_name(), no_data(), failed()] {
            assert_eq!(of(vec![other, address(9)]).unwrap().list.len(), 1);
        }
        let both = of(vec![address(9), address(5)]).unwrap();
        assert_eq!(both.until, now + Duration::from_secs(5));
    }
}
