//! A name server that notes who asked, and answers as it is told to.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pointsman_policy::OutboundId;
use pointsman_spec::resolver::{NameServer, Place};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a name server does with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Every name is on the loopback.
    Plain,
    /// Every name is on the loopback, and it says so once the test lets it ([`Names::speak`]).
    OnceTold,
    /// ... and has no second family that anybody hears of.
    SilentForV6,
    /// ... and has a second family that no host has a route to, and that is answered first: of each look-up
    /// the first datagram for A is lost.
    LostForV4,
    /// ... or it comes 300 ms later.
    LateForV4,
    /// ... or never for `slow.test`.
    SlowForV4,
    /// ... but there is nothing to hear of names below `corp`.
    SilentForCorp,
    /// All answers are cut short, and over TCP nothing is said.
    Short,
    Silent,
    /// There is no name.
    NoName,
    /// It fails.
    Broken,
}

pub(crate) struct Names {
    address: SocketAddr,
    /// Who asked, for which type, by which number.
    asked: Arc<Mutex<Vec<(IpAddr, u8, u16)>>>,
    may_speak: watch::Sender<bool>,
    _streams: TcpListener,
    serving: JoinHandle<()>,
}

impl Names {
    pub(crate) async fn start(mood: Mood) -> Self {
        let (datagrams, streams) = loop {
            let streams = TcpListener::bind("127.0.0.1:0").await.unwrap();
            if let Ok(datagrams) = UdpSocket::bind(streams.local_addr().unwrap()).await {
                break (datagrams, streams);
            }
        };
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let (seen, datagrams) = (Arc::clone(&asked), Arc::new(datagrams));
        let address = streams.local_addr().unwrap();
        let (may_speak, told) = watch::channel(mood != Mood::OnceTold);
        let serving = tokio::runtime::Handle::current().spawn(async move {
            let (mut query, mut lost) = ([0; 512], false);
            while let Ok((length, client)) = datagrams.recv_from(&mut query).await {
                // The type stands in front of the class.
                let kind = query[length - 3];
                let id = u16::from_be_bytes([query[0], query[1]]);
                seen.lock().unwrap().push((client.ip(), kind, id));
                let silent = match mood {
                    Mood::Silent => true,
                    Mood::SilentForV6 => kind == 28,
                    Mood::LostForV4 => {
                        lost ^= kind == 1;
                        kind == 1 && lost
                    }
                    Mood::SlowForV4 => kind == 1 && query[13..17] == *b"slow",
                    Mood::SilentForCorp => query[..length].windows(5).any(|at| at == b"\x04corp"),
                    Mood::Plain
                    | Mood::OnceTold
                    | Mood::LateForV4
                    | Mood::Short
                    | Mood::NoName
                    | Mood::Broken => false,
                };
                if silent {
                    continue;
                }
                let answer = answer(&query[..length], kind, mood);
                if mood == Mood::LateForV4 && kind == 1 {
                    let datagrams = Arc::clone(&datagrams);
                    tokio::runtime::Handle::current().spawn(async move {
                        tokio::time::sleep(Duration::from_millis(300)).await;
                        datagrams.send_to(&answer, client).await
                    });
                } else if !*told.borrow() {
                    let (datagrams, mut told) = (Arc::clone(&datagrams), told.clone());
                    tokio::runtime::Handle::current().spawn(async move {
                        let told = told.wait_for(|may| *may).await.is_ok();
                        if told {
                            let _gone = datagrams.send_to(&answer, client).await;
                        }
                    });
                } else {
                    let _gone = datagrams.send_to(&answer, client).await;
                }
            }
        });
        Self {
            address,
            asked,
            may_speak,
            _streams: streams,
            serving,
        }
    }

    /// Lets it answer what it was asked, and what it will be.
    pub(crate) fn speak(&self) {
        self.may_speak.send_replace(true);
    }

    pub(crate) fn server(&self) -> NameServer {
        self.by(None)
    }

    pub(crate) fn by(&self, via: Option<OutboundId>) -> NameServer {
        NameServer::Udp(Place {
            address: self.address,
            interface: None,
            via,
        })
    }

    /// Who asked, and for which type: each datagram.
    pub(crate) fn asked(&self) -> Vec<(IpAddr, u8)> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(ip, kind, _)| (*ip, *kind)).collect()
    }

    /// How many questions: a datagram that is sent again, on a machine under load, has the number of the first.
    pub(crate) fn questions(&self) -> usize {
        let asked = self.asked.lock().unwrap();
        let numbers = asked.iter().map(|(_, kind, id)| (*kind, *id));
        numbers.collect::<HashSet<_>>().len()
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// 127.0.0.1 for A, nothing for the rest (RFC 1035), or an address without its link, which cannot be dialled.
fn answer(query: &[u8], kind: u8, mood: Mood) -> Vec<u8> {
    let short = mood == Mood::Short;
    let two = [Mood::LostForV4, Mood::LateForV4, Mood::SlowForV4].contains(&mood);
    let code = match mood {
        Mood::NoName => 3,
        Mood::Broken => 2,
        _ => 0,
    };
    let has = !short && code == 0 && (kind == 1 || two);
    let flags = if short { 0x83 } else { 0x81 };
    let head = [
        &query[..2],
        &[flags, 0x80 | code, 0, 1, 0, u8::from(has), 0, 0, 0, 0],
    ]
    .concat();
    let mut answer = [&head, &query[12..]].concat();
    if has {
        answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0]);
        let link: std::net::Ipv6Addr = "fe80::1".parse().unwrap();
        match kind {
            1 => answer.extend([4, 127, 0, 0, 1]),
            _ => answer.extend([&[16][..], &link.octets()].concat()),
        }
    }
    answer
}
