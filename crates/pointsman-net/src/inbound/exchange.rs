//! Carrying one plain HTTP request to its server and the answer back.
//!
//! Invariant: the client's connection is used again only when request and answer both ended where
//! their framing says; what it sent behind the request is put back. The server's connection
//! serves this request alone, so that the next one, to whatever host, is a flow of its own.

use std::sync::Arc;

use pointsman_wire::Parse;
use pointsman_wire::http::{
    self, BodyLength, ChunkedScanner, Persistence, ResponseBody, ResponseHead,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::http::Request;
use super::reply::farewell;
use crate::record::End;
use crate::relay::FlowBytes;
use crate::stream::Stream;

/// What became of an exchange.
#[derive(Debug)]
pub(crate) enum Exchanged {
    /// The client may bring another request.
    Again(Stream),
    /// The connection is over.
    Over(End),
    /// The server switched protocols: what follows is anybody's.
    Tunnel(Stream, Stream),
}

/// Carries one request and its answer.
pub(crate) async fn exchange(
    mut client: Stream,
    mut server: Stream,
    request: &Request,
    flow: &Arc<FlowBytes>,
) -> Exchanged {
    let head = request.head.rewritten();
    if let Err(error) = server.write_all(&head).await {
        return no_answer(client, &format!("the server broke the connection: {error}")).await;
    }
    flow.add_up(head.len() as u64);
    let mut behind = Vec::new();
    let mut uploaded = None;
    let answered = {
        let (mut from_client, mut to_client) = tokio::io::split(&mut client);
        let (mut from_server, mut to_server) = tokio::io::split(&mut server);
        let count_up = |sent| flow.add_up(sent);
        let body = Ends::from(request.head.body);
        let upload = pass_body(&mut from_client, &mut to_server, body, Vec::new(), count_up);
        let answer = pass_answer(&mut from_server, &mut to_client, request, flow);
        let (mut upload, mut answer) = (std::pin::pin!(upload), std::pin::pin!(answer));
        loop {
            tokio::select! {
                biased;
                done = &mut upload, if uploaded.is_none() => match done {
                    Ok(rest) => {
                        behind = rest;
                        uploaded = Some(true);
                    }
                    // The server may refuse the rest of a body and yet answer.
                    Err(Cut::Target) => uploaded = Some(false),
                    Err(Cut::Source | Cut::Framing(_)) => break Err(Cut::Target),
                },
                done = &mut answer => break done,
            }
        }
    };
    match answered {
        Ok(Answered::Switched(early)) => {
            client.unread(behind);
            server.unread(early);
            Exchanged::Tunnel(client, server)
        }
        Ok(Answered::Keep) if uploaded == Some(true) => {
            client.unread(behind);
            Exchanged::Again(client)
        }
        Ok(Answered::Keep | Answered::Close) => {
            farewell(client, b"").await;
            Exchanged::Over(End::Closed)
        }
        Err(Cut::Target) => Exchanged::Over(End::Reset),
        Err(Cut::Framing(why)) => no_answer(client, &why).await,
        // In the middle of an answer only a reset tells the client that it is not whole.
        Err(Cut::Source) => {
            client.reset();
            Exchanged::Over(End::Failed("the server broke off its answer".into()))
        }
    }
}

async fn no_answer(client: Stream, why: &str) -> Exchanged {
    farewell(client, &http::write_refusal(502, why)).await;
    Exchanged::Over(End::Failed(why.into()))
}

/// Why passing stopped.
#[derive(Debug)]
enum Cut {
    /// Nothing sensible came, and nothing of it was passed on.
    Framing(String),
    /// Whence the bytes come.
    Source,
    /// Whither they go.
    Target,
}

enum Answered {
    /// The answer ends with the connection.
    Close,
    /// The answer is whole, and the client was told that it may go on.
    Keep,
    /// 101, and what came behind it.
    Switched(Vec<u8>),
}

/// Passes interim answers and the answer.
async fn pass_answer(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    request: &Request,
    flow: &Arc<FlowBytes>,
) -> Result<Answered, Cut> {
    let mut seen = Vec::new();
    loop {
        let head = read_head(from, &mut seen, &request.head.method).await?;
        let persistence = match request.head.keep_alive {
            true => Persistence::Keep,
            false => Persistence::Close,
        };
        let text = head.rewritten(persistence);
        to.write_all(&text).await.map_err(|_gone| Cut::Target)?;
        flow.add_down(text.len() as u64);
        if head.is_interim() {
            continue;
        }
        if head.upgrade {
            return Ok(Answered::Switched(seen));
        }
        let body = Ends::from(head.body);
        match pass_body(from, to, body, seen, |sent| flow.add_down(sent)).await {
            Ok(_behind) => {}
            Err(Cut::Target) => return Err(Cut::Target),
            Err(Cut::Framing(_) | Cut::Source) => return Err(Cut::Source),
        }
        let keep = request.head.keep_alive && head.body != ResponseBody::UntilClose;
        return Ok(if keep {
            Answered::Keep
        } else {
            Answered::Close
        });
    }
}

/// Reads one head; `seen` holds what came behind the last one, and then what came behind this.
async fn read_head(
    from: &mut (impl AsyncRead + Unpin),
    seen: &mut Vec<u8>,
    method: &str,
) -> Result<ResponseHead, Cut> {
    loop {
        match http::parse_response_head(seen, method) {
            Parse::Done(head, used) => {
                seen.drain(..used);
                return Ok(head);
            }
            Parse::Not(why) => return Err(Cut::Framing(format!("the server's answer: {why}"))),
            Parse::NeedMore => {}
        }
        seen.reserve(STEP);
        match from.read_buf(seen).await {
            Ok(1..) => {}
            Ok(0) => return Err(Cut::Framing("the server closed without an answer".into())),
            Err(error) => {
                return Err(Cut::Framing(format!(
                    "the server broke the connection: {error}"
                )));
            }
        }
    }
}

/// How a body ends, whichever direction.
#[derive(Debug)]
enum Ends {
    Chunked(ChunkedScanner),
    Length(u64),
    UntilClose,
}

impl From<BodyLength> for Ends {
    fn from(body: BodyLength) -> Self {
        match body {
            BodyLength::Chunked => Self::Chunked(ChunkedScanner::new()),
            BodyLength::Length(length) => Self::Length(length),
            BodyLength::None => Self::Length(0),
        }
    }
}

impl From<ResponseBody> for Ends {
    fn from(body: ResponseBody) -> Self {
        match body {
            ResponseBody::Chunked => Self::Chunked(ChunkedScanner::new()),
            ResponseBody::Length(length) => Self::Length(length),
            ResponseBody::None => Self::Length(0),
            ResponseBody::UntilClose => Self::UntilClose,
        }
    }
}

impl Ends {
    /// How many of `bytes` belong to the body, and whether it ends with them.
    fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), Cut> {
        match self {
            Self::Chunked(scanner) => match scanner.feed(bytes) {
                Ok(scan) => Ok((scan.used, scan.done)),
                Err(why) => Err(Cut::Framing(why.to_string())),
            },
            Self::Length(left) => {
                let used = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= used as u64;
                Ok((used, *left == 0))
            }
            Self::UntilClose => Ok((bytes.len(), false)),
        }
    }
}

/// Passes a body whose first bytes may have been read already; answers with what came behind it.
async fn pass_body(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut ends: Ends,
    mut held: Vec<u8>,
    mut count: impl FnMut(u64),
) -> Result<Vec<u8>, Cut> {
    loop {
        let (used, done) = ends.take(&held)?;
        if used > 0 {
            to.write_all(&held[..used])
                .await
                .map_err(|_gone| Cut::Target)?;
            count(used as u64);
        }
        if done {
            held.drain(..used);
            return Ok(held);
        }
        held.clear();
        held.reserve(STEP);
        match from.read_buf(&mut held).await {
            Ok(1..) => {}
            Ok(0) if matches!(ends, Ends::UntilClose) => return Ok(Vec::new()),
            Ok(0) | Err(_) => return Err(Cut::Source),
        }
    }
}

/// One read's worth.
const STEP: usize = 16 * 1024;
