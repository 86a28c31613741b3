//! The steps that [`super::run`] is made of.
//!
//! Invariant: whatever way a step ends a flow, what is known by then is written down first.

use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::decision::{Decision, Reason, Step};
use pointsman_policy::fact::{Fact, Inbound, Provenance};
use pointsman_policy::request::{Answer, RequestId};
use pointsman_policy::{Action, Host, Need, Watch};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::bound::{Bound, To};
use super::held::Held;
use super::{Begin, Choice, Flow, Next, Relaying, named};
use crate::inbound::{self, Exchanged, Payload, REFUSED, Refusal, Server};
use crate::ledger::Lack;
use crate::outbound::{DialError, Errand, Lent, Opened, Pick, Target};
use crate::record::{End, Timings, chain};
use crate::relay::{self, Limits};
use crate::spec::door::Speaks;
use crate::stream::Stream;
use crate::{facts, owner};

/// The client is gone: there is nobody left to serve.
pub(super) struct Gone;

impl Flow {
    /// Hears the client, and settles all facts that are known at the door.
    pub(super) async fn arrive(begin: Begin) -> Result<Self, Next> {
        let Begin {
            ways,
            door,
            ticket,
            client,
            bound,
            ends,
        } = begin;
        let limit = ways.generation().spec().limits.handshake;
        let brake = &ways.shared().brake;
        let arrival = match inbound::receive(&door.spec, client, &ends, limit, brake).await {
            Ok(arrival) => arrival,
            Err(end) => {
                ticket.end(end);
                return Err(Next::Over);
            }
        };
        let asked = arrival.asked;
        let mut facts = ticket.live().record().facts;
        facts.inbound = Fact::Known(
            Inbound {
                kind: asked.kind,
                name: asked.alias,
                port: ends.local.map(|local| local.get().port()),
                user: asked.user,
            },
            Provenance::Inbound,
        );
        facts.destination = Fact::from_option(asked.host, Provenance::Request);
        facts.port = Fact::from_option(asked.port, Provenance::Request);
        if ways.generation().reads_dscp(door.spec.policy) {
            facts.sought.to_mut().dscp = arrival.client.dscp();
        }
        ticket.note(|record| record.facts = facts.clone());
        let own = &ways.shared().own;
        let came_back = ends.of_client();
        let came_back = came_back.is_some_and(|(client, far)| own.arrived(client, far));
        let mut flow = Self {
            ways,
            door,
            ticket,
            client: Held::new(arrival.client),
            bound,
            reply: arrival.reply,
            payload: arrival.payload,
            facts,
            ends,
            lent: Lent::Unasked,
            rule: None,
            took: Timings::default(),
            messages: Vec::new(),
            waits: Vec::new(),
            answered_early: false,
        };
        if came_back {
            return Err(flow.refuse(Refusal::Reject, CAME_BACK).await);
        }
        // A message may say it; else only a decision for a proxy asks.
        let speaks = flow.ways.generation().speaks(flow.door.spec.policy);
        if speaks && flow.find_serves().await.is_err() {
            return Err(flow.over(End::ClientGone));
        }
        Ok(flow)
    }

    pub(super) fn decide(&mut self) -> Step {
        let generation = self.ways.generation();
        let policy = &generation.spec().policies[self.door.spec.policy];
        if !generation.speaks(self.door.spec.policy) {
            return policy.decide(&self.facts);
        }
        let time = self.ticket.time();
        let mut messages = Vec::new();
        let watch = Watch::Messages {
            time: &time,
            messages: &mut messages,
        };
        let step = policy.decide_with(&self.facts, watch);
        // Each walk begins anew and passes the same rules: what is new is what was not reached before.
        for (id, text) in messages.drain(..).skip(self.messages.len()) {
            let text = text.into();
            self.ticket.say(id, &text);
            self.messages.push((id, text));
        }
        step
    }

    /// Finds one fact; afterwards it is known, absent or failed.
    pub(super) async fn find(&mut self, need: Need) -> Result<(), Gone> {
        let begun = Instant::now();
        match need {
            Need::Sniff => {
                self.look().await?;
                self.took.sniff_us = micros(begun);
            }
            Need::Resolve => {
                self.facts.sought.to_mut().resolved = match named(&self.facts) {
                    Some(name) => tokio::select! {
                        biased;
                        found = facts::resolve(&self.ways, self.door.spec.resolver, &name) => found,
                        () = self.client.hung_up(self.ends()) => return Err(Gone),
                    },
                    None => Fact::Absent,
                };
                self.took.resolve_us = micros(begun);
            }
            Need::Owner => {
                let memory = &self.ways.shared().memory;
                let owner = tokio::select! {
                    biased;
                    owner = owner::process(memory, &self.ends) => owner,
                    () = self.client.hung_up(self.ends()) => return Err(Gone),
                };
                self.facts.sought.to_mut().owner = owner.boxed();
                self.took.owner_us = micros(begun);
            }
            Need::Country => {
                let generation = self.ways.generation();
                let databases = &generation.spec().policies[self.door.spec.policy].databases;
                self.facts.sought.to_mut().geo = match self.facts.destination_address() {
                    Some(address) => databases.lookup(address),
                    None => Fact::Absent,
                };
                self.took.country_us = micros(begun);
            }
            Need::Local => {
                self.facts.sought.to_mut().local = facts::local(&self.ways, &self.facts);
                self.took.local_us = micros(begun);
            }
            Need::Verdict(request) => {
                // On the heap: the room is not every flow's.
                let verdict = Box::pin(self.ask(request)).await?;
                self.facts.answer(request, verdict);
                let waited = micros(begun);
                self.took.verdict_us += waited;
                self.waits.push((request, waited));
            }
        }
        if self.facts.lacks(need) {
            self.facts.fail(need, "not found");
        }
        if let Some(why) = self.facts.failure(need) {
            self.ticket.lacks(Lack::of(need), why);
        }
        Ok(())
    }

    /// A client that waits for success before it says anything is told of it first.
    async fn look(&mut self) -> Result<(), Gone> {
        let limits = self.ways.generation().spec().sniff;
        let port = self.facts.port.known().copied().unwrap_or(0);
        let look = match &self.payload {
            Payload::Request(request) => facts::told_by(&request.head),
            Payload::Bytes => {
                let glanced = facts::glance(&mut self.client, limits, port).await;
                match glanced.map_err(|_gone| Gone)? {
                    Some(look) => look,
                    None => {
                        if self.reply.waits() {
                            let granted = self.reply.grant(&mut self.client).await;
                            granted.map_err(|_gone| Gone)?;
                            self.answered_early = true;
                        }
                        let looked = facts::look(&mut self.client, limits).await;
                        looked.map_err(|_gone| Gone)?
                    }
                }
            }
        };
        self.facts.sought.to_mut().look = look.boxed();
        Ok(())
    }

    /// Waits for somebody's word, as long as there is a client.
    async fn ask(&mut self, request: RequestId) -> Result<Fact<Answer>, Gone> {
        self.write_down();
        let generation = self.ways.generation();
        let body = &generation.spec().policies[self.door.spec.policy].body;
        let Some(asked) = body.request(request) else {
            return Ok(Fact::Absent);
        };
        let record = self.ticket.live().record();
        let ends = self.ends();
        let requests = &self.ways.shared().requests;
        tokio::select! {
            verdict = requests.ask(&asked.request, record) => Ok(verdict),
            () = self.client.hung_up(ends) => Err(Gone),
        }
    }

    /// Whoever waits for a reply and says "no more" has hung up; others may have said all.
    pub(super) fn ends(&self) -> bool {
        let waits = self.reply.waits() && !self.answered_early;
        waits || matches!(self.payload, Payload::Request(_))
    }

    /// From the decision to what is done; the record knows both afterwards.
    pub(super) async fn choose(&mut self, decision: Decision) -> Result<Choice, Gone> {
        let (decision, pick) = self.guarded(decision).await?;
        self.write_down();
        self.rule = decision.rule.clone();
        let choice = self.chosen(decision, pick);
        let generation = self.ways.generation();
        self.ticket.decided(generation.rules(), self.rule.as_ref());
        Ok(choice)
    }

    fn chosen(&mut self, decision: Decision, pick: Option<Pick>) -> Choice {
        let Some(pick) = pick else {
            let why: Arc<str> = match &decision.reason {
                Reason::Unknown { why } => format!("a rule could not be decided: {why}").into(),
                _ => "refused by the policy".into(),
            };
            self.ticket.note(|record| {
                record.note = Arc::clone(&why);
                record.action = Some(Action::Reject);
                record.decision = Some(decision);
            });
            return Choice::Refuse(Refusal::Reject, why);
        };
        let (chosen, member) = (pick.outbound, pick.member);
        let generation = self.ways.generation();
        let name = |id| {
            generation
                .outbound(id)
                .map(|outbound| Arc::clone(&outbound.name))
        };
        let action = generation
            .outbound(member)
            .and_then(|outbound| outbound.kind.action());
        let (outbound, member) = (name(chosen), name(member).filter(|_| member != chosen));
        let groups = pick.between().filter_map(name).collect();
        let above = self.above_rules(action);
        let refuse = |refusal| Choice::Refuse(refusal, REFUSED.into());
        self.ticket.note(|record| {
            record.outbound = outbound;
            record.member = member;
            record.groups = groups;
            record.action = action;
            record.decision = Some(decision);
            if let Some(above) = &above {
                record.note = above.as_str().into();
                record.action = Some(Action::Reject);
            }
        });
        if above.is_some() {
            return refuse(Refusal::Reject);
        }
        match action {
            Some(Action::Reset) => refuse(Refusal::Reset),
            Some(Action::Reject) => refuse(Refusal::Reject),
            Some(Action::Blackhole) => refuse(Refusal::Blackhole),
            Some(Action::Direct | Action::Proxy) | None => Choice::Open(pick),
        }
    }

    /// The way out, as long as there is a client.
    pub(super) async fn open(&mut self, pick: Pick) -> Result<Result<Opened, DialError>, Gone> {
        let begun = Instant::now();
        let ends = self.ends();
        let target = self.target();
        let on_an_errand = self.door.spec.speaks == Speaks::Nothing;
        let same_family = self.door.spec.same_family;
        let failed = Notify::new();
        let opened = loop {
            let errand = on_an_errand.then_some(Errand {
                ends: self.ends,
                same_family,
                ticket: &mut self.ticket,
                failed: &failed,
            });
            let leaves = leaves(&mut self.client, ends, on_an_errand.then_some(&failed));
            let lent = self.lent.clone();
            let opened = tokio::select! {
                biased;
                opened = self.ways.open_for(pick.clone(), &target, lent, errand) => Some(opened),
                () = leaves => None,
            };
            // Only now that it matters it is asked who the client is, and what the rules name.
            if let Some(Err(DialError::LocalAddress { address })) = &opened
                && self.lends(*address)
            {
                continue;
            }
            break opened;
        };
        self.took.dial_us = micros(begun);
        opened.ok_or(Gone)
    }

    /// The connection that a login of this client belongs to, where this request goes the same way.
    pub(super) fn take_bound(&mut self, to: Option<&To>) -> Option<Stream> {
        Bound::take(&mut self.bound, to?)
    }

    /// Where a plain request goes, and by which way.
    pub(super) fn leads_to(&self, pick: &Pick) -> Option<To> {
        let Payload::Request(_) = &self.payload else {
            return None;
        };
        Some(To {
            host: self.facts.destination.known()?.clone(),
            port: *self.facts.port.known()?,
            route: pick.clone(),
            load: self.ways.generation().number().load,
            user: self
                .facts
                .inbound
                .known()
                .and_then(|inbound| inbound.user.clone()),
            rule: self.rule.clone(),
        })
    }

    fn target(&self) -> Target {
        let host = match (named(&self.facts), self.facts.destination.known()) {
            (Some(name), _) => Host::Name(name),
            (None, Some(host)) => host.clone(),
            // Every arrival brings one.
            (None, None) => Host::Address(std::net::Ipv4Addr::UNSPECIFIED.into()),
        };
        let resolved = self.decided_alike();
        Target {
            host,
            port: self.facts.port.known().copied().unwrap_or(0),
            resolved,
        }
    }

    /// Carries what the client brought, or leaves that to the relay; `is_kept`: by a connection that it had before.
    pub(super) async fn carry(mut self, to: Option<To>, opened: Opened, is_kept: bool) -> Next {
        self.write_down();
        let Opened {
            stream: mut server,
            stay,
            read_timeout,
            write_timeout,
        } = opened;
        let token = server.take_token();
        let flow = Arc::clone(&self.ticket.live().bytes);
        let times = &self.ways.generation().spec().limits;
        let (client, server) = match &self.payload {
            Payload::Bytes => (self.client.take(), server),
            Payload::Request(request) => {
                let server = Server {
                    stream: server,
                    is_kept,
                };
                let exchange = inbound::exchange(self.client.take(), server, request, &flow, times);
                // On the heap: the room is not every flow's.
                match Box::pin(exchange).await {
                    Exchanged::Tunnel(client, server) => (client, server),
                    Exchanged::Again(client, kept) => {
                        drop(stay);
                        self.ticket.end(End::Closed);
                        let kept = kept.map(|stream| stream.known_by(token));
                        let kept = kept.zip(to).map(|(stream, to)| Bound::new(stream, to));
                        return Next::Again(client, kept.or(self.bound));
                    }
                    Exchanged::Over(end) => {
                        drop(stay);
                        self.ticket.end(end);
                        return Next::Over;
                    }
                }
            }
        };
        let own = &self.door.spec.limits;
        let half_closed = own.half_closed.or(times.half_closed);
        self.ticket.live().may_be_quiet_for(times.idle, half_closed);
        let limits = Limits {
            // The plane ends what is quiet for too long.
            idle: None,
            idle_client: own.read_timeout,
            idle_server: read_timeout,
            stalled_client: own.write_timeout,
            stalled_server: write_timeout,
            lifetime: own.lifetime,
        };
        let pipes = &self.ways.shared().pipes;
        let carrying = relay::carry(client.into(), server.into(), &limits, &flow, pipes);
        let relaying = Relaying::new(self.ticket, carrying, stay, token);
        Next::Relay(Box::new(relaying))
    }

    /// Ends the flow by refusing it.
    pub(super) async fn refuse(mut self, refusal: Refusal, why: &str) -> Next {
        self.write_down();
        let mut undecided = false;
        self.ticket.note(|record| {
            if record.decision.is_none() {
                undecided = true;
                record.note = why.into();
                record.action = Some(Action::Reset);
            }
        });
        if undecided {
            self.ticket.decided(self.ways.generation().rules(), None);
        }
        self.say_no(refusal, why, End::Refused).await
    }

    /// Ends the flow because no way out could be opened.
    pub(super) async fn fail(mut self, error: &DialError) -> Next {
        self.write_down();
        if let DialError::Shut { why, .. } = error {
            self.ticket.note(|record| {
                record.note = Arc::clone(why);
                record.action = Some(Action::Reject);
                // No target was tried: the one that the policy named is none.
                record.member = None;
            });
            // An orderly end would mean that all bytes came.
            return self.say_no(Refusal::Reset, why, End::Refused).await;
        }
        let why = chain(error);
        if error.is_refusal() {
            self.ticket.note(|record| {
                record.note = why.as_str().into();
                record.action = Some(Action::Reject);
            });
            return self.say_no(Refusal::Reject, REFUSED, End::Refused).await;
        }
        self.say_no(
            Refusal::Failed(error.failure()),
            &why,
            End::Failed(error.fault(), why.as_str().into()),
        )
        .await
    }

    async fn say_no(mut self, refusal: Refusal, why: &str, end: End) -> Next {
        let silence = self.ways.generation().spec().limits.blackhole;
        // Addresses, outbounds and resolvers are this host's business; the record keeps them.
        let why = match self.is_of_a_stranger() {
            true => refusal.in_general(),
            false => why,
        };
        self.reply
            .refuse(
                self.client.take(),
                refusal,
                why,
                &self.ways.shared().silences,
                silence,
            )
            .await;
        self.ticket.end(end);
        Next::Over
    }

    pub(super) fn over(mut self, end: End) -> Next {
        self.write_down();
        self.ticket.end(end);
        Next::Over
    }

    /// What was found out so far goes into the record.
    fn write_down(&mut self) {
        self.ticket.note(|record| {
            record.facts = self.facts.clone();
            record.messages.clone_from(&self.messages);
            record.answered_early = self.answered_early;
            record.took = self.took;
            record.waits.clone_from(&self.waits);
        });
    }
}

/// Waits until a client leaves that is not served yet; `ends`: one that says "no more" has left. One that waits for
/// an errand may say all before it is served: where it ended without a word, it does not wait for a target that is
/// down (`failed` tells), nor long for one that may be.
async fn leaves(client: &mut Stream, ends: bool, failed: Option<&Notify>) {
    let Some(failed) = failed else {
        return client.hung_up(ends).await;
    };
    let ended_a_while = async {
        client.hung_up(true).await;
        sleep(WORDLESS).await;
    };
    tokio::select! {
        () = client.hung_up(false) => return,
        () = failed.notified() => {}
        () = ended_a_while => {}
    }
    client.left_without_a_word().await;
}

/// How long a client that ended without a word waits for its target: such a one may want to hear a server that
/// speaks first, and most have left.
const WORDLESS: Duration = Duration::from_secs(1);

/// Why a connection of our own that arrives at us is refused.
const CAME_BACK: &str = "loop guard: own connection: it came back to us";

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
