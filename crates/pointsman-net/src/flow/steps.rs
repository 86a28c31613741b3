//! The steps that [`super::run`] is made of.
//!
//! Invariant: whatever way a step ends a flow, its record says why.

use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::fact::{Fact, Inbound, Provenance};
use pointsman_policy::{Action, guard};
use pointsman_spec::door::Speaks;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::bound::{Bound, To};
use super::client::Client;
use super::{Begin, Flow, Next, Relaying};
use crate::case::{Case, micros};
use crate::datagram::Association;
use crate::guest::Gone;
use crate::inbound::{self, Exchanged, Payload, REFUSED, Server, Unserved};
use crate::outbound::{DialError, Errand, Failure, Opened, Pick};
use crate::record::{End, Note, chain};
use crate::relay::{self, Limits};
use crate::stream::Stream;

impl Flow {
    /// Hears the client, and settles all facts that are known at the door.
    pub(super) async fn arrive(begin: Begin) -> Result<Self, Next> {
        let Begin {
            case,
            client,
            bound,
        } = begin;
        let generation = case.ways.generation();
        let limit = generation.spec().timeouts.handshake;
        let throttle = &case.ways.shared().throttle;
        let (door, ends) = (&case.door.spec, &case.ends);
        let arrival = match inbound::receive(door, client, ends, limit, throttle).await {
            Ok(arrival) => arrival,
            Err(end) => {
                case.end(end);
                return Err(Next::Over);
            }
        };
        let asked = arrival.asked;
        let inbound = Inbound {
            kind: asked.kind,
            name: asked.alias,
            port: ends.local.map(|local| local.get().port()),
            user: asked.user,
        };
        let marked = generation.reads_dscp(door.policy);
        let dscp = marked.then(|| arrival.client.dscp());
        case.note(|record| {
            let facts = &mut record.facts;
            facts.inbound = Fact::Known(inbound, Provenance::Inbound);
            facts.destination = Fact::from_option(asked.host, Provenance::Request);
            facts.port = Fact::from_option(asked.port, Provenance::Request);
            if let Some(dscp) = dscp {
                facts.sought.to_mut().dscp = dscp;
            }
        });
        let own = &case.ways.shared().own;
        let came_back = ends.of_client();
        let came_back = came_back.is_some_and(|(client, far)| own.arrived(client, far));
        let flow = Self {
            client: Client::new(arrival.client, arrival.reply, arrival.payload),
            case,
            bound,
        };
        if came_back {
            return Err(flow.refuse(Unserved::Reject, guard::came_back()).await);
        }
        match flow.client.payload {
            Payload::Datagrams(announced) => Err(flow.associate(announced)),
            Payload::Bytes | Payload::Request(_) => {
                if let Err(refused) = flow.case.note_name() {
                    let refusal = Unserved::Failed(Failure::HostUnreachable);
                    return Err(flow.refuse(refusal, refused).await);
                }
                Ok(flow)
            }
        }
    }

    /// The connection stands for the association from now on.
    fn associate(mut self, announced: u16) -> Next {
        if !self.carries() {
            return self.over(End::gave_way());
        }
        Next::Associate(Box::new(Association {
            client: self.client.stream.take(),
            case: self.case,
            announced,
        }))
    }

    /// The way out, as long as there is a client.
    pub(super) async fn open(&mut self, pick: Pick) -> Result<Result<Opened, DialError>, Gone> {
        let begun = Instant::now();
        let says_no_more = self.client.ends();
        let destination = self.case.destination(&pick);
        let door = &self.case.door.spec;
        let (on_an_errand, same_family) = (door.speaks == Speaks::Nothing, door.same_family);
        let failed = Notify::new();
        let opened = loop {
            let lent = self.case.lent();
            let Case {
                ways, ends, ticket, ..
            } = &mut self.case;
            let errand = on_an_errand.then_some(Errand {
                ends: *ends,
                same_family,
                ticket,
                failed: &failed,
            });
            let client = &mut self.client.stream;
            let leaves = leaves(client, says_no_more, on_an_errand.then_some(&failed));
            let opened = tokio::select! {
                biased;
                opened = ways.open_for(pick.clone(), &destination, lent, errand) => Some(opened),
                () = leaves => None,
            };
            // Only now that it matters it is asked who the client is, and what the rules name.
            if let Some(Err(DialError::LocalAddress { address })) = &opened
                && self.case.lends(*address)
            {
                continue;
            }
            break opened;
        };
        let took = micros(begun);
        self.case.note(|record| record.took.dial_us = took);
        opened.ok_or(Gone)
    }

    /// The connection that a login of this client belongs to, where this request goes the same way.
    pub(super) fn take_bound(&mut self, to: Option<&To>) -> Option<Stream> {
        Bound::take(&mut self.bound, to?)
    }

    /// Where a plain request goes, and by which way.
    pub(super) fn leads_to(&self, pick: &Pick) -> Option<To> {
        let Payload::Request(_) = &self.client.payload else {
            return None;
        };
        let known = self.case.known();
        let facts = &known.facts;
        let inbound = facts.inbound.known();
        Some(To {
            host: facts.destination.known()?.clone(),
            port: *facts.port.known()?,
            route: pick.clone(),
            load: self.case.ways.generation().number().load,
            user: inbound.and_then(|inbound| inbound.user.clone()),
            rule: known.rule().cloned(),
        })
    }

    /// Carries what the client brought, or leaves that to the relay; `is_kept`: by a connection that it had before.
    pub(super) async fn carry(mut self, to: Option<To>, opened: Opened, is_kept: bool) -> Next {
        let Opened {
            stream: mut server,
            stay,
            read_timeout,
            write_timeout,
        } = opened;
        let stay = stay.in_doubt(self.case.take_doubt());
        let token = server.take_token();
        let flow = Arc::clone(self.case.ticket.live());
        let times = &self.case.ways.generation().spec().timeouts;
        let client = self.client.stream.take();
        let (client, server) = match &self.client.payload {
            Payload::Bytes | Payload::Datagrams(_) => (client, server),
            Payload::Request(request) => {
                let server = Server {
                    stream: server,
                    is_kept,
                };
                let exchange =
                    inbound::exchange(client, server, request, &flow.bytes, times, || {
                        self.case.is_of_a_stranger()
                    });
                // On the heap: the room is not every flow's.
                match Box::pin(exchange).await {
                    Exchanged::Tunnel(client, server) => (client, server),
                    Exchanged::Again(client, kept) => {
                        drop(stay);
                        self.case.end(End::Closed);
                        let kept = kept.map(|stream| stream.known_by(token));
                        let kept = kept.zip(to).map(|(stream, to)| Bound::new(stream, to));
                        return Next::Again(client, kept.or(self.bound));
                    }
                    Exchanged::Over(end) => {
                        drop(stay);
                        self.case.end(end);
                        return Next::Over;
                    }
                }
            }
        };
        let own = &self.case.door.spec.limits;
        let half_closed = own.half_closed.or(times.half_closed);
        flow.may_be_quiet_for(own.idle.or(times.idle), half_closed);
        let limits = Limits {
            // The plane ends what is quiet for too long.
            idle: None,
            idle_client: own.read_timeout,
            idle_server: read_timeout,
            stalled_client: own.write_timeout,
            stalled_server: write_timeout,
            lifetime: own.lifetime,
        };
        let pipes = &self.case.ways.shared().pipes;
        let carrying = relay::carry(client.into(), server.into(), &limits, &flow, pipes);
        self.case.ticket.relays();
        let relaying = Relaying::new(self.case.ticket, carrying, stay, token);
        Next::Relay(relaying)
    }

    /// Ends the flow by refusing it.
    pub(super) async fn refuse(self, refusal: Unserved, why: impl Into<Note>) -> Next {
        let why = why.into();
        self.case.undecided(why.clone());
        self.say_no(refusal, &why, End::Refused).await
    }

    /// Ends the flow because no way out could be opened.
    pub(super) async fn fail(self, error: &DialError) -> Next {
        if let DialError::Shut { why, .. } = error {
            self.case.note(|record| {
                record.note = why.clone().into();
                record.action = Some(Action::Reject);
                // No target was tried: the one that the policy named is none.
                record.member = None;
            });
            // An orderly end would mean that all bytes came.
            return self.say_no(Unserved::Reset, why.text(), End::Refused).await;
        }
        if let Some(refused) = error.refused() {
            self.case.note(|record| {
                record.note = refused.into();
                record.action = Some(Action::Reject);
            });
            let refusal = match error {
                // As for an address that the client asked for.
                DialError::Nowhere(_) => Unserved::Failed(error.failure()),
                _ => Unserved::Reject,
            };
            return self.say_no(refusal, REFUSED, End::Refused).await;
        }
        let why = chain(error);
        self.say_no(
            Unserved::Failed(error.failure()),
            &why,
            End::Failed(error.fault(), why.as_str().into()),
        )
        .await
    }

    async fn say_no(mut self, refusal: Unserved, why: &str, end: End) -> Next {
        let ways = &self.case.ways;
        let silence = ways.generation().spec().timeouts.blackhole;
        // Addresses, outbounds and resolvers are this host's business; the record keeps them.
        let why = match self.case.is_of_a_stranger() {
            true => refusal.in_general(),
            false => why,
        };
        let client = self.client.stream.take();
        let silences = &ways.shared().silences;
        let reply = self.client.reply;
        reply.refuse(client, refusal, why, silences, silence).await;
        self.case.end(end);
        Next::Over
    }

    /// It is not ended for others from now on; `false`: it was already.
    pub(super) fn carries(&self) -> bool {
        self.case.ticket.live().carries()
    }

    pub(super) fn over(self, end: End) -> Next {
        self.case.end(end);
        Next::Over
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
