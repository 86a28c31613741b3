//! What a server answers, turned into what its client is told: without sockets and without a clock.
//!
//! Invariant: nothing that follows from the answer depends on how its bytes were cut. Of an answer that
//! cannot be understood nothing has been passed on; only interim answers may have gone before it.

use pointsman_wire::Parse;
use pointsman_wire::http::{self, Chunks, Persistence, RequestHead, ResponseBody, ResponseHead};

use super::ends::Ends;
use crate::exact::{why_no_head, worth_a_look};

/// Interim answers (1xx) to one request: a 102 every twenty seconds for as many minutes; hints come by the
/// handful. A server that sends more keeps its client waiting for nothing.
const MAX_INTERIM: u8 = 64;

/// An answer in the making.
#[derive(Debug)]
pub(super) struct ResponseReader<'r> {
    request: &'r RequestHead,
    /// Bytes that belong to no head yet.
    seen: Vec<u8>,
    interim: u8,
    state: State,
    /// Whether another request may follow on the client's connection, as its client was told.
    keeps: bool,
    /// Whether another request may follow on the server's connection.
    server_keeps: bool,
    /// Whether it asks for a login that belongs to the connection.
    asks_login: bool,
}

#[derive(Debug)]
enum State {
    Body(Ends),
    Head,
    Switched,
    Whole,
}

/// What the bytes so far amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponsePart {
    /// The answer is still to come.
    Head {
        /// Whether the server said that it is at it.
        interim: bool,
    },
    /// The answer has begun.
    Body,
    /// The server speaks another protocol from now on.
    Switched,
    /// It is all there.
    Whole,
}

/// Why there is no answer, or none that is whole.
pub(super) type Wrong = String;

impl<'r> ResponseReader<'r> {
    pub(super) fn new(request: &'r RequestHead) -> Self {
        Self {
            request,
            seen: Vec::new(),
            interim: 0,
            state: State::Head,
            keeps: false,
            server_keeps: false,
            asks_login: false,
        }
    }

    /// Takes what came next and appends to `out` what the client is to be told.
    ///
    /// `sent`: whether the whole request was sent; otherwise the connection cannot go on behind the answer.
    pub(super) fn hear(
        &mut self,
        bytes: &[u8],
        sent: bool,
        out: &mut Vec<u8>,
    ) -> Result<ResponsePart, Wrong> {
        let mut interim = false;
        if matches!(self.state, State::Head) {
            let before = self.seen.len();
            self.seen.extend_from_slice(bytes);
            if !worth_a_look(&self.seen, before) {
                return Ok(ResponsePart::Head { interim });
            }
            while matches!(self.state, State::Head) {
                match http::parse_response_head(&self.seen, &self.request.method) {
                    Parse::NeedMore => return Ok(ResponsePart::Head { interim }),
                    Parse::Not(why) => return Err(told(why)),
                    Parse::Done(head, used) => {
                        self.seen.drain(..used);
                        interim |= self.take_head(&head, sent, out)?;
                    }
                }
            }
            let rest = std::mem::take(&mut self.seen);
            return self.take_body(&rest, out);
        }
        self.take_body(bytes, out)
    }

    /// The server has ended its side; an error where that cuts the answer.
    pub(super) fn ended(&mut self) -> Result<(), Wrong> {
        match &self.state {
            State::Body(Ends::UntilClose) => self.state = State::Whole,
            State::Head => return Err("the server closed without an answer".into()),
            State::Body(_) => return Err("the server broke off its answer".into()),
            State::Switched | State::Whole => {}
        }
        Ok(())
    }

    /// Whether the client was told of an answer that is not an interim one.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.state, State::Head)
    }

    /// Whether a byte of an answer has come.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self.state, State::Head) && self.seen.is_empty() && self.interim == 0
    }

    /// Whether more is to come.
    pub(super) fn wants_more(&self) -> bool {
        matches!(self.state, State::Body(_) | State::Head)
    }

    /// Whether another protocol follows.
    pub(super) fn has_switched(&self) -> bool {
        matches!(self.state, State::Switched)
    }

    /// Whether the client was told that it may bring another request, and may.
    pub(super) fn client_goes_on(&self) -> bool {
        matches!(self.state, State::Whole) && self.keeps
    }

    /// Whether the server would take another request on its connection, and nothing came behind the answer that
    /// the next client would take for its own.
    pub(super) fn server_goes_on(&self) -> bool {
        matches!(self.state, State::Whole) && self.server_keeps && self.seen.is_empty()
    }

    /// Whether it asks for a login that belongs to the connection.
    pub(super) fn asks_login(&self) -> bool {
        self.asks_login
    }

    /// What came behind the head of a switch, or behind the answer.
    pub(super) fn take_behind(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.seen)
    }

    /// Answers whether it was an interim one.
    fn take_head(
        &mut self,
        head: &ResponseHead,
        sent: bool,
        out: &mut Vec<u8>,
    ) -> Result<bool, Wrong> {
        if head.upgrade && !head.accepts_upgrade_of(self.request) {
            return Err("the server switched to a protocol that it was not offered".into());
        }
        if head.is_interim() {
            if self.interim == MAX_INTERIM {
                return Err(format!(
                    "the server sent more than {MAX_INTERIM} interim answers"
                ));
            }
            self.interim += 1;
            // To an old client they would be the answer (RFC 9110 §15.2).
            if self.request.version_minor >= 1 {
                out.extend_from_slice(&head.rewritten(Persistence::Keep, Chunks::Kept));
            }
            return Ok(true);
        }
        self.keeps = self.request.keep_alive && sent && head.body != ResponseBody::UntilClose;
        self.server_keeps = head.keep_alive;
        self.asks_login = head.asks_for_connection_login();
        let persistence = match self.keeps {
            true => Persistence::Keep,
            false => Persistence::Close,
        };
        let chunks = Chunks::of(self.request.version_minor);
        out.extend_from_slice(&head.rewritten(persistence, chunks));
        self.state = match head.upgrade {
            true => State::Switched,
            false => State::Body(Ends::of_answer(head.body, chunks)),
        };
        Ok(false)
    }

    fn take_body(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<ResponsePart, Wrong> {
        let State::Body(ends) = &mut self.state else {
            self.seen.extend_from_slice(bytes);
            return Ok(match self.state {
                State::Switched => ResponsePart::Switched,
                _ => ResponsePart::Whole,
            });
        };
        let broken = |_| "the server's answer breaks its framing".to_owned();
        let (used, done) = ends.take(bytes, out).map_err(broken)?;
        if !done {
            return Ok(ResponsePart::Body);
        }
        self.seen.extend_from_slice(&bytes[used..]);
        self.state = State::Whole;
        Ok(ResponsePart::Whole)
    }
}

fn told(why: pointsman_wire::WhyNot) -> Wrong {
    format!("the server's answer: {}", why_no_head(why))
}

#[cfg(test)]
mod tests;
