//! The client of a flow over TCP: its connection, the answer that it is owed, and what it brought.

use std::io;

use pointsman_policy::fact::{Fact, Look};
use pointsman_spec::limits::SniffLimits;

use super::reset_on_drop::ResetOnDrop;
use crate::facts;
use crate::guest::{Gone, Guest};
use crate::inbound::{Payload, Reply};
use crate::stream::Stream;

/// The client of a flow between arrival and relay.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: ResetOnDrop,
    pub(super) reply: Reply,
    pub(super) payload: Payload,
    answered_early: bool,
}

impl Client {
    pub(super) fn new(stream: Stream, reply: Reply, payload: Payload) -> Self {
        Self {
            stream: ResetOnDrop::new(stream),
            reply,
            payload,
            answered_early: false,
        }
    }

    /// Tells one that waits that it may go on.
    pub(super) async fn grant(&mut self) -> io::Result<()> {
        self.reply.grant(&mut self.stream).await
    }

    /// Whoever waits for a reply and says "no more" has hung up; others may have said all.
    pub(super) fn ends(&self) -> bool {
        let waits = self.reply.waits() && !self.answered_early;
        waits || matches!(self.payload, Payload::Request(_))
    }
}

impl Guest for Client {
    async fn look(&mut self, limits: SniffLimits, port: u16) -> Result<Fact<Look>, Gone> {
        if let Payload::Request(request) = &self.payload {
            return Ok(facts::told_by(&request.head));
        }
        let glanced = facts::glance(&mut self.stream, limits, port).await;
        if let Some(look) = glanced.map_err(|_gone| Gone)? {
            return Ok(look);
        }
        if self.reply.waits() {
            self.grant().await.map_err(|_gone| Gone)?;
            self.answered_early = true;
        }
        let looked = facts::look(&mut self.stream, limits).await;
        looked.map_err(|_gone| Gone)
    }

    async fn gone(&self) {
        self.stream.hung_up(self.ends()).await;
    }

    fn answered_early(&self) -> bool {
        self.answered_early
    }
}
