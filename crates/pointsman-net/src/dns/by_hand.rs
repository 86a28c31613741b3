//! Queries that somebody asks by hand, without a socket of DNS: decided on and answered as those of clients are.
//!
//! Absent: who may ask, and how often; the control socket is its owner's.

use std::net::SocketAddr;
use std::sync::Arc;

use pointsman_policy::Domain;
use pointsman_policy::fact::Network;
use pointsman_wire::dns::{Ask, CLASS_IN, Edns, WireName, parse_query, parse_response};

use super::answering::{Asker, LOCAL_STREAMS, Outcome, Service};
use super::counts::Became;
use super::query_log::Trail;
use crate::ends::{ClientAddr, Ends};
use crate::generation::Generation;
use crate::shared::Shared;

/// What came of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameReply {
    /// Its code (RFC 1035 §4.1.1); `None` where a rule drops the query.
    pub code: Option<u16>,
    /// The records of its answer: type, time to live in seconds, and data as people write them (RFC 1035 §5.1).
    pub answers: Vec<(u16, u32, String)>,
    /// Its extended error (RFC 8914).
    pub error: Option<(u16, String)>,
    /// Where it comes from.
    pub source: ReplySource,
}

/// Where a reply comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplySource {
    /// What is known already.
    Cache,
    /// A rule, or what the configuration says.
    Here,
    /// What is known and holds no longer: nobody could tell anew.
    Stale,
    /// An upstream was asked.
    Upstream,
}

/// Asks as that client; `None` where there is no DNS server, or nobody may ask for such a type.
pub(crate) async fn ask(
    shared: &Arc<Shared>,
    generation: &Arc<Generation>,
    (name, kind): (&Domain, u16),
    client: Option<SocketAddr>,
) -> Option<NameReply> {
    let message = message(name, kind)?;
    let service = Service::by_hand(shared, generation)?;
    let query = parse_query(&message).ok()?;
    let ends = Ends {
        client: client.map(ClientAddr::new),
        ..Ends::default()
    };
    let asker = Asker {
        client,
        here: None,
        network: Network::Tcp,
        is_private: false,
    };
    let mut reply = Vec::new();
    let who = (&ends, LOCAL_STREAMS);
    let mut trail = Trail::default();
    let answering = (&mut trail, &mut reply);
    let (became, outcome) = service.admitted(&message, &query, asker, who, answering);
    let source = match (outcome, became) {
        (Outcome::Asking(asking), _) => {
            asking.finish(&mut reply).await;
            ReplySource::Upstream
        }
        (_, Some(Became::Known)) => ReplySource::Cache,
        (_, Some(Became::Stale)) => ReplySource::Stale,
        _ => ReplySource::Here,
    };
    let mut told = NameReply {
        code: None,
        answers: Vec::new(),
        error: None,
        source,
    };
    if let Ok(response) = parse_response(&reply) {
        told.code = Some(response.code());
        response.each_answer_text(&mut |kind, ttl, text| told.answers.push((kind, ttl, text)));
        let error = response.extended_error();
        told.error = error.map(|(code, text)| (code, String::from_utf8_lossy(text).into_owned()));
    }
    Some(told)
}

/// The query in bytes of the wire.
fn message(name: &Domain, kind: u16) -> Option<Vec<u8>> {
    let mut question = WireName::from_text(name.as_str())?.as_bytes().to_vec();
    question.extend(kind.to_be_bytes());
    question.extend(CLASS_IN.to_be_bytes());
    let mut message = Vec::new();
    let ask = Ask {
        id: 0,
        question: &question,
        edns: Some(Edns::ours(false)),
        authentic_data: false,
        checking_disabled: false,
        is_padded: false,
    };
    ask.write(&mut message);
    Some(message)
}
