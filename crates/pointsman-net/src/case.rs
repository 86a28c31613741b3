//! A flow as it is decided on: what is known of it, what the policy lacks, and where it leads.
//!
//! Invariant: what is known stands in one place, the record of the flow's ticket, and is lent from there; so whatever ends
//! the flow, its record says all that was found out. The same loop serves every transport: what is the client's own is its
//! [`Guest`]'s.
//! Absent: arrival, opening, carrying; what a refusal is in the client's protocol.

mod above;
mod named;

use std::sync::Arc;

use pointsman_policy::decision::{Decision, Reason, Step};
use pointsman_policy::request::{Answer, RequestId};
use pointsman_policy::{Action, Domain, Fact, Facts, Host, Need, OutboundId, Policy, Watch};
use pointsman_spec::asks::Asked;
use tokio::time::Instant;

use crate::door::Door;
use crate::doubt::Doubt;
use crate::ends::{Ends, counted};
use crate::facts::{Means, Subject};
use crate::guest::{Gone, Guest, while_here};
use crate::inbound::{REFUSED, Unserved};
use crate::ledger::{Lack, Ticket};
use crate::outbound::{Destination, Lent, Pick, Ways};
use crate::record::{End, FlowRecord, Note, Timings};

/// A flow as it is decided on.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) ways: Ways,
    /// Where it came in.
    pub(crate) door: Arc<Door>,
    /// The addresses that its connection has.
    pub(crate) ends: Ends,
    /// Its place among the live ones, with all that is known of it.
    pub(crate) ticket: Ticket,
    /// What of this host its client is lent.
    lent: Lent,
    /// Outbounds that its client's program may serve or not.
    untold: Vec<Arc<str>>,
    /// Held where it may be a flow of a loop.
    doubt: Option<Doubt>,
}

/// Where a decision leads.
#[derive(Debug)]
pub(crate) enum Choice {
    Open(Pick),
    Refuse(Unserved, Arc<str>),
}

impl Case {
    pub(crate) fn new(ways: Ways, door: Arc<Door>, ends: Ends, ticket: Ticket) -> Self {
        Self {
            ways,
            door,
            ends,
            ticket,
            lent: Lent::Unasked,
            untold: Vec::new(),
            doubt: None,
        }
    }

    /// What is to be held as long as the flow is carried.
    pub(crate) fn take_doubt(&mut self) -> Option<Doubt> {
        self.doubt.take()
    }

    /// From what is known to what is done; the record knows both afterwards.
    ///
    /// # Errors
    /// [`Gone`]: the client went before.
    pub(crate) async fn decide(&mut self, guest: &mut impl Guest) -> Result<Choice, Gone> {
        // A message may say it; else only a decision for a proxy asks.
        if self.speaks() {
            self.find_serves(guest).await?;
        }
        let decision = loop {
            match self.step() {
                Step::Decided(decision) => break decision,
                Step::NoRoute => return Ok(Choice::Refuse(Unserved::Reset, "no route".into())),
                Step::Need(need) => self.find(need, guest).await?,
            }
        };
        self.choose(decision, guest).await
    }

    /// What is known of the flow so far. Let go before the next is noted, it costs no copy.
    pub(crate) fn known(&self) -> Arc<FlowRecord> {
        self.ticket.live().known()
    }

    /// Writes down what was found out.
    pub(crate) fn note(&self, write: impl FnOnce(&mut FlowRecord)) {
        self.ticket.note(write);
    }

    /// The flow has ended.
    pub(crate) fn end(self, end: End) {
        self.ticket.end(end);
    }

    /// The policy that decides.
    pub(crate) fn policy(&self) -> &Policy {
        &self.ways.generation().spec().policies[self.door.spec.policy.0]
    }

    /// Notes that no rule decided: `why` instead. A flow that was decided keeps what was noted then.
    pub(crate) fn undecided(&self, why: Note) {
        let mut undecided = false;
        self.note(|record| {
            if record.decision.is_none() {
                undecided = true;
                record.note = why;
                record.action = Some(Action::Reset);
            }
        });
        if undecided {
            self.ticket.decided(self.ways.generation().rules());
        }
    }

    /// Where it goes, for whoever opens that way.
    pub(crate) fn destination(&self, pick: &Pick) -> Destination {
        let known = self.known();
        let facts = &known.facts;
        let host = match (named(facts), facts.destination.known()) {
            (Some(name), _) => Host::Name(name),
            (None, Some(host)) => host.clone(),
            // Every arrival brings one.
            (None, None) => Host::Address(std::net::Ipv4Addr::UNSPECIFIED.into()),
        };
        let resolved = self.decided_alike(facts);
        let generation = self.ways.generation();
        let is_looked_up = matches!(host, Host::Name(_))
            && resolved.is_empty()
            && generation.action(pick.member) != Some(Action::Proxy);
        let asked = match is_looked_up {
            true => {
                let by: Vec<OutboundId> = pick.all().collect();
                generation
                    .spec()
                    .asked_by(facts, self.door.spec.resolver, &by)
            }
            false => Asked::default(),
        };
        Destination {
            host,
            port: facts.port.known().copied().unwrap_or(0),
            resolved,
            asked,
        }
    }

    /// What of this host its client is lent, as far as that was asked.
    pub(crate) fn lent(&self) -> Lent {
        self.lent.clone()
    }

    fn speaks(&self) -> bool {
        self.ways.generation().speaks(self.door.spec.policy)
    }

    fn step(&self) -> Step {
        let known = self.known();
        if !self.speaks() {
            return self.policy().decide(&known.facts);
        }
        let time = self.ticket.time();
        let mut messages = Vec::new();
        let watch = Watch::Messages {
            time: &time,
            messages: &mut messages,
        };
        let step = self.policy().decide_with(&known.facts, watch);
        let said = known.incidents.messages.len();
        drop(known);
        // Each walk begins anew and passes the same rules: what is new is what was not reached before.
        for (id, text) in messages.drain(..).skip(said) {
            let text = text.into();
            self.ticket.say(id, &text);
            self.note(|record| record.incidents.to_mut().messages.push((id, text)));
        }
        step
    }

    /// Finds one fact; afterwards it is known, absent or failed.
    async fn find(&self, need: Need, guest: &mut impl Guest) -> Result<(), Gone> {
        if let Need::Verdict(request) = need {
            // On the heap: the room is not every flow's.
            return Box::pin(self.hear(request, guest)).await;
        }
        let begun = Instant::now();
        let means = Means {
            ways: &self.ways,
            policy: self.door.spec.policy,
            asked: match need {
                Need::Resolve => {
                    let spec = self.ways.generation().spec();
                    let facts = &self.known().facts;
                    spec.asked_for(facts, self.door.spec.resolver, self.policy())
                }
                _ => Asked::default(),
            },
            ends: &self.ends,
        };
        let subject = Subject::of(&self.known().facts);
        let found = means.find(need, subject, guest).await;
        let took_us = micros(begun);
        let gone = found.as_ref().err().copied();
        self.note(|record| {
            record.answered_early = guest.answered_early();
            let Ok(found) = found else {
                return;
            };
            found.put(&mut record.facts);
            if record.facts.lacks(need) {
                record.facts.fail(need, "not found");
            }
            if let Some(took) = took(&mut record.took, need) {
                *took = took_us;
            }
        });
        self.tell_lack(need);
        gone.map_or(Ok(()), Err)
    }

    /// Tells of a fact that was searched in vain.
    fn tell_lack(&self, need: Need) {
        let known = self.known();
        let facts = &known.facts;
        // A process of which only the user is known lacks nothing where no rule asks for more.
        let program = (need == Need::Owner)
            .then(|| facts.sought.owner.known()?.name.failure())
            .flatten()
            .filter(|_| {
                self.ways
                    .generation()
                    .asks_for_programs(self.door.spec.policy)
            });
        if let Some(why) = facts.failure(need).or(program) {
            self.ticket.lacks(Lack::of(need), why);
        }
    }

    /// Hears somebody's word.
    async fn hear(&self, request: RequestId, guest: &impl Guest) -> Result<(), Gone> {
        let begun = Instant::now();
        let verdict = self.ask(request, guest).await?;
        let waited = micros(begun);
        self.note(|record| {
            record.facts.answer(request, verdict);
            record.took.verdict_us += waited;
            record.incidents.to_mut().waits.push((request, waited));
        });
        self.tell_lack(Need::Verdict(request));
        Ok(())
    }

    /// Waits for somebody's word, as long as there is a client.
    async fn ask(&self, request: RequestId, guest: &impl Guest) -> Result<Fact<Answer>, Gone> {
        let Some(asked) = self.policy().body.request(request) else {
            return Ok(Fact::Absent);
        };
        let record = self.ticket.live().record();
        let requests = &self.ways.shared().requests;
        let by = match (self.ends.client, self.ends.local) {
            (Some(client), Some(local)) => Some(counted(client.get().ip(), local.get().ip())),
            (client, _) => client.map(|client| client.get().ip()),
        };
        while_here(guest, requests.ask(&asked.request, record, by)).await
    }

    async fn choose(&mut self, decision: Decision, guest: &impl Guest) -> Result<Choice, Gone> {
        let (decision, pick) = self.guarded(decision, guest).await?;
        let choice = self.chosen(decision, pick);
        self.ticket.decided(self.ways.generation().rules());
        Ok(choice)
    }

    fn chosen(&mut self, decision: Decision, pick: Option<Pick>) -> Choice {
        let Some(pick) = pick else {
            let why: Arc<str> = match &decision.reason {
                Reason::Unknown { why } => format!("a rule could not be decided: {why}").into(),
                _ => "refused by the policy".into(),
            };
            self.note(|record| {
                record.note = Arc::clone(&why).into();
                record.action = Some(Action::Reject);
                record.decision = Some(decision);
            });
            return Choice::Refuse(Unserved::Reject, why);
        };
        let (chosen, member) = (pick.outbound, pick.member);
        let generation = self.ways.generation();
        let name = |id| {
            generation
                .outbound(id)
                .map(|outbound| Arc::clone(&outbound.name))
        };
        let action = generation.action(member);
        let (outbound, member) = (name(chosen), name(member).filter(|_| member != chosen));
        let groups = pick.between().filter_map(name).collect();
        let above = self.above_rules(action).or_else(|| {
            let why = self.like_a_loop(&pick, action)?;
            Some((Unserved::Reject, why))
        });
        let refuse = |refusal| Choice::Refuse(refusal, REFUSED.into());
        self.note(|record| {
            record.outbound = outbound;
            record.member = member;
            record.groups = groups;
            record.action = action;
            record.decision = Some(decision);
            if let Some((_, refused)) = &above {
                record.note = refused.clone().into();
                record.action = Some(Action::Reject);
            }
        });
        match above {
            // What the client asked for is its own business.
            Some((refusal @ Unserved::Failed(_), why)) => {
                return Choice::Refuse(refusal, Arc::clone(why.text()));
            }
            Some((refusal, _)) => return refuse(refusal),
            None => {}
        }
        match action {
            Some(Action::Reset) => refuse(Unserved::Reset),
            Some(Action::Reject) => refuse(Unserved::Reject),
            Some(Action::Blackhole) => refuse(Unserved::Blackhole),
            Some(Action::Direct | Action::Proxy) | None => Choice::Open(pick),
        }
    }
}

/// Where the time of a search is written down.
fn took(times: &mut Timings, need: Need) -> Option<&mut u64> {
    match need {
        Need::Country => Some(&mut times.country_us),
        Need::Local => Some(&mut times.local_us),
        Need::Owner => Some(&mut times.owner_us),
        Need::Resolve => Some(&mut times.resolve_us),
        Need::Sniff => Some(&mut times.sniff_us),
        Need::Verdict(_) => None,
    }
}

/// The name whose resolver answers, where the destination is one.
fn named(facts: &Facts) -> Option<Domain> {
    facts.destination_name().cloned()
}

pub(crate) fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod stage;
#[cfg(test)]
mod tests;
