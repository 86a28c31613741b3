//! One question to one server.

use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::time::Duration;

use pointsman_policy::{Domain, Host, OutboundId};
use tokio::time::timeout;

use super::NameServer;
use super::message::{self, Answer, Family};
use crate::dial::Uplink;
use crate::outbound::{Kind, Target, Ways};
use crate::record::chain;
use crate::stream::Stream;

/// How long one datagram may take; two lost ones still leave room within a look-up's limit.
const UDP_TRY: Duration = Duration::from_millis(1500);
/// Datagrams sent to one server.
const UDP_TRIES: usize = 3;
/// Connecting and answering over TCP.
const TCP_LIMIT: Duration = Duration::from_secs(5);
/// The largest datagram that we take; servers may send more than the 512 bytes that they should.
const MAX_DATAGRAM: usize = 4096;

/// Asks one server.
pub(super) async fn ask(server: &NameServer, name: &Domain, family: Family, ways: &Ways) -> Answer {
    let id = random_id();
    let query = match message::query(id, name, family) {
        Ok(query) => query,
        Err(why) => return Answer::Failed(why),
    };
    let question = Question {
        id,
        name,
        family,
        query,
    };
    match server {
        NameServer::NotYet(what) => Answer::Failed(format!("{what} is not built yet")),
        NameServer::Tcp { address, via } => question.by_tcp(*address, *via, ways).await,
        NameServer::Udp { address, via } => match direct(*via, ways) {
            Some(uplink) => match question.by_udp(*address, &uplink, ways).await {
                Answer::Truncated => question.by_tcp(*address, *via, ways).await,
                answer => answer,
            },
            None => question.by_tcp(*address, *via, ways).await,
        },
    }
}

/// How a datagram leaves; `None` where the way is a proxy, which takes streams.
fn direct(via: Option<OutboundId>, ways: &Ways) -> Option<Uplink> {
    let Some(via) = via else {
        return Some(Uplink::default());
    };
    match &ways.generation().outbound(ways.member(via))?.kind {
        Kind::Direct(uplink) => Some(uplink.clone()),
        _ => None,
    }
}

/// Unpredictable to whoever is not on the way; the source port is the kernel's.
fn random_id() -> u16 {
    (RandomState::new().hash_one(0_u8) & 0xffff)
        .try_into()
        .unwrap_or(0)
}

struct Question<'a> {
    id: u16,
    name: &'a Domain,
    family: Family,
    query: Vec<u8>,
}

impl Question<'_> {
    async fn by_udp(&self, address: SocketAddr, uplink: &Uplink, ways: &Ways) -> Answer {
        let mut last = String::new();
        for _ in 0..UDP_TRIES {
            match timeout(UDP_TRY, self.datagram(address, uplink, ways)).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => last = format!("no answer within {UDP_TRY:?}"),
            }
        }
        Answer::Failed(last)
    }

    /// Each try has a socket, and so a port, of its own.
    async fn datagram(
        &self,
        address: SocketAddr,
        uplink: &Uplink,
        ways: &Ways,
    ) -> std::io::Result<Answer> {
        let socket = ways.dialer().udp(address, uplink)?;
        // Connected: the kernel drops what others send, and tells of a closed port.
        socket.connect(address).await?;
        socket.send(&self.query).await?;
        let mut bytes = vec![0; MAX_DATAGRAM];
        loop {
            let count = socket.recv(&mut bytes).await?;
            if let Some(answer) = self.read(&bytes[..count]) {
                return Ok(answer);
            }
        }
    }

    async fn by_tcp(&self, address: SocketAddr, via: Option<OutboundId>, ways: &Ways) -> Answer {
        match timeout(TCP_LIMIT, self.stream(address, via, ways)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => Answer::Failed(why),
            Err(_) => Answer::Failed(format!("no answer within {TCP_LIMIT:?}")),
        }
    }

    async fn stream(
        &self,
        address: SocketAddr,
        via: Option<OutboundId>,
        ways: &Ways,
    ) -> Result<Answer, String> {
        let mut stream = match via {
            Some(via) => {
                let host = Host::Address(address.ip());
                let target = Target {
                    host,
                    port: address.port(),
                    resolved: Vec::new(),
                };
                ways.open(via, &target, TCP_LIMIT)
                    .await
                    .map_err(|error| chain(&error))?
            }
            None => {
                let dialed = ways
                    .dialer()
                    .tcp(address, &Uplink::default(), TCP_LIMIT)
                    .await;
                Stream::from(dialed.map_err(|error| error.to_string())?)
            }
        };
        // RFC 1035, 4.2.2: two bytes of length, in one write with the message.
        let length = u16::try_from(self.query.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes();
        let framed = [&length[..], &self.query].concat();
        stream
            .write_all(&framed)
            .await
            .map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        loop {
            if let Some((length, rest)) = bytes.split_first_chunk::<2>() {
                let length = usize::from(u16::from_be_bytes(*length));
                if rest.len() >= length {
                    return Ok(self.read(&rest[..length]).unwrap_or_else(|| {
                        Answer::Failed("an answer to another question".into())
                    }));
                }
            }
            // The longest message, and its length.
            let room = (2 + usize::from(u16::MAX)).saturating_sub(bytes.len());
            let count = stream
                .read_some(&mut bytes, room)
                .await
                .map_err(|error| error.to_string())?;
            if count == 0 {
                return Err("closed without an answer".into());
            }
        }
    }

    fn read(&self, bytes: &[u8]) -> Option<Answer> {
        message::answer(bytes, self.id, self.name, self.family)
    }
}
