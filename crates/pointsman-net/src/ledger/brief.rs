//! A record in little room, while its flow relays and after: what it has in common with others is shared with them.
//!
//! Invariant: what is made of a brief is the record that the brief was made of, whatever stood there.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::fact::{Fact, Sought};
use pointsman_policy::model::{Origin, RuleKey};
use pointsman_policy::{Host, Matched};

use super::ranked::{Rank, Ranked};
use crate::record::{End, FlowRecord, Incidents, Timings};

/// Records that are kept for others to be alike; where there are more kinds of flows all are forgotten, which costs each
/// kind one record more.
const KINDS: usize = 1024;

/// A record without what stands in others, too.
#[derive(Debug)]
pub(super) struct Brief {
    /// The rest; what is here is not set there.
    like: Arc<FlowRecord>,
    started_ms: u64,
    source: SocketAddr,
    destination: Host,
    port: u16,
    dial_us: u64,
    sought: Sought,
    /// Few flows have any of it.
    seldom: Option<Box<Seldom>>,
    /// How it ended, after how long.
    pub(super) ended: Option<(End, Duration)>,
}

/// What is not every flow's and no two have alike.
#[derive(Debug, Default)]
struct Seldom {
    entry: Option<Matched>,
    /// But for the dial's.
    took: Timings,
    incidents: Incidents,
}

/// Where a value stood that a brief has of its own.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl Brief {
    /// Of the record of a flow that is decided and has not ended.
    ///
    /// # Errors
    /// The record itself, where there is more to it than a brief has room for.
    #[expect(clippy::result_large_err, reason = "it goes back to where it was")]
    pub(super) fn of(mut record: FlowRecord, kinds: &Kinds) -> Result<Self, FlowRecord> {
        let FlowRecord {
            facts,
            ended: None,
            bytes_sent: 0,
            bytes_received: 0,
            ..
        } = &mut record
        else {
            return Err(record);
        };
        let (Fact::Known(source, _), Fact::Known(destination, _), Fact::Known(port, _)) =
            (&mut facts.source, &mut facts.destination, &mut facts.port)
        else {
            return Err(record);
        };
        let source = std::mem::replace(source, NOWHERE);
        let destination = std::mem::replace(destination, Host::Address(NOWHERE.ip()));
        let port = std::mem::take(port);
        let sought = std::mem::take(&mut facts.sought);
        let dial_us = std::mem::take(&mut record.took.dial_us);
        let took = std::mem::take(&mut record.took);
        let entry = record.decision.as_mut();
        let entry = entry.and_then(|decision| decision.entry.take());
        let incidents = std::mem::take(&mut record.incidents);
        let is_seldom = entry.is_some() || took != Timings::default() || !incidents.is_empty();
        let started_ms = std::mem::take(&mut record.started_ms);
        record.id = 0;
        record.lasted = Duration::ZERO;
        Ok(Self {
            like: kinds.like(record),
            started_ms,
            source,
            destination,
            port,
            dial_us,
            sought,
            seldom: is_seldom.then(|| {
                Box::new(Seldom {
                    entry,
                    took,
                    incidents,
                })
            }),
            ended: None,
        })
    }

    /// The whole record, of the flow of that number; bytes are not its business.
    pub(super) fn whole(&self, id: u64) -> FlowRecord {
        let mut record = FlowRecord::clone(&self.like);
        record.id = id;
        record.started_ms = self.started_ms;
        let facts = &mut record.facts;
        if let Fact::Known(source, _) = &mut facts.source {
            *source = self.source;
        }
        if let Fact::Known(destination, _) = &mut facts.destination {
            destination.clone_from(&self.destination);
        }
        if let Fact::Known(port, _) = &mut facts.port {
            *port = self.port;
        }
        facts.sought = self.sought.clone();
        if let Some(seldom) = &self.seldom {
            record.took = seldom.took;
            record.incidents = seldom.incidents.clone();
            if let Some(decision) = &mut record.decision {
                decision.entry.clone_from(&seldom.entry);
            }
        }
        record.took.dial_us = self.dial_us;
        if let Some((end, lasted)) = &self.ended {
            record.ended = Some(end.clone());
            record.lasted = *lasted;
        }
        record
    }

    /// What befell it, to be written to.
    pub(super) fn incidents(&mut self) -> &mut Incidents {
        &mut self.seldom.get_or_insert_default().incidents
    }

    /// About how many bytes it takes, without what it shares with others.
    pub(super) fn weight(&self) -> usize {
        match (&self.seldom, self.sought.is_empty()) {
            (None, true) => 0,
            // Rarely asked, and nearly all that weighs is there.
            _ => self.whole(0).weight(),
        }
    }

    /// What stands in others, too.
    pub(super) fn like(&self) -> &FlowRecord {
        &self.like
    }

    /// When it was accepted, in milliseconds since 1970 (UTC).
    pub(super) fn started_ms(&self) -> u64 {
        self.started_ms
    }
}

/// Records that flows are alike to.
#[derive(Debug)]
pub(super) struct Kinds(Ranked<HashMap<Hint, Arc<FlowRecord>>>);

impl Default for Kinds {
    fn default() -> Self {
        Self(Ranked::new(Rank::Kinds, HashMap::new()))
    }
}

/// By what one that is alike is looked for: where the texts of its rule, its member and its user lie. Whether it is
/// alike, the records say.
type Hint = (Option<RuleKey>, usize, usize);

impl Kinds {
    /// One that equals `record`, or that itself from now on.
    fn like(&self, record: FlowRecord) -> Arc<FlowRecord> {
        let hint = hint(&record);
        let mut all = self.0.lock();
        if let Some(like) = all.get(&hint)
            && **like == record
        {
            return Arc::clone(like);
        }
        if all.len() >= KINDS {
            all.clear();
        }
        let like = Arc::new(record);
        all.insert(hint, Arc::clone(&like));
        like
    }

    /// Forgets those that no flow is like: they hold on to the texts of a configuration that may be gone.
    pub(super) fn forget_unused(&self) {
        let mut all = self.0.lock();
        all.retain(|_, like| Arc::strong_count(like) > 1);
    }
}

fn hint(record: &FlowRecord) -> Hint {
    let at = |text: Option<&Arc<str>>| text.map_or(0, |text| text.as_ptr().addr());
    let rule = record.rule().map(Origin::key);
    let inbound = record.facts.inbound.known();
    let user = inbound.and_then(|inbound| inbound.user.as_ref());
    (rule, at(record.member.as_ref()), at(user))
}

#[cfg(test)]
mod tests;
