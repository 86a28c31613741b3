//! The messages of `SOCK_DIAG_BY_FAMILY` (linux/inet_diag.h), by hand: one question, one answer.
//!
//! Invariant: decoding is total; what is too short is [`DiagReply::Nonsense`].

use std::net::{IpAddr, SocketAddr};

/// Which socket is asked for; both addresses are of one family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query {
    pub(super) protocol: u8,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiagReply {
    Found(DiagSocket),
    /// A positive errno.
    Error(i32),
    Nonsense,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DiagSocket {
    pub(super) listening: bool,
    pub(super) local_port: u16,
    pub(super) remote_port: u16,
    pub(super) uid: u32,
    pub(super) inode: u32,
    pub(super) cgroup_id: Option<u64>,
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const HEADER: usize = 16;
/// `struct inet_diag_req_v2`.
const REQUEST: usize = 56;
/// `struct inet_diag_msg`.
const MESSAGE: usize = 72;
const TCP_LISTEN: u8 = 10;
const INET_DIAG_CGROUP_ID: u16 = 21;

impl Query {
    pub(super) fn encode(&self, sequence: u32) -> [u8; HEADER + REQUEST] {
        let mut message = [0; HEADER + REQUEST];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            message[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&((HEADER + REQUEST) as u32).to_ne_bytes());
        put(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        put(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
        put(&sequence.to_ne_bytes());
        put(&0_u32.to_ne_bytes());
        let family = if self.source.is_ipv4() {
            libc::AF_INET
        } else {
            libc::AF_INET6
        };
        // Family, protocol, no extensions, padding; then all states.
        put(&[family as u8, self.protocol, 0, 0]);
        put(&u32::MAX.to_ne_bytes());
        put(&self.source.port().to_be_bytes());
        put(&self.destination.port().to_be_bytes());
        put(&octets(self.source.ip()));
        put(&octets(self.destination.ip()));
        put(&interface(self.source, self.destination).to_ne_bytes());
        // No cookie.
        put(&[0xff; 8]);
        message
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    let mut octets = [0; 16];
    match address {
        IpAddr::V4(v4) => octets[..4].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => octets = v6.octets(),
    }
    octets
}

/// Link-local sockets are found by their interface only.
fn interface(one: SocketAddr, other: SocketAddr) -> u32 {
    [one, other]
        .into_iter()
        .map(|a| {
            if let SocketAddr::V6(v6) = a {
                v6.scope_id()
            } else {
                0
            }
        })
        .max()
        .unwrap_or(0)
}

pub(super) fn decode(bytes: &[u8], sequence: u32) -> DiagReply {
    let Some(length) = u32_at(bytes, 0) else {
        return DiagReply::Nonsense;
    };
    let Some(message) = bytes.get(..length as usize) else {
        return DiagReply::Nonsense;
    };
    if u32_at(message, 8) != Some(sequence) {
        return DiagReply::Nonsense;
    }
    let Some(body) = message.get(HEADER..) else {
        return DiagReply::Nonsense;
    };
    let kind = u16_at(message, 4).unwrap_or(0);
    if i32::from(kind) == libc::NLMSG_ERROR {
        return u32_at(body, 0).map_or(DiagReply::Nonsense, |code| {
            DiagReply::Error((code as i32).wrapping_neg())
        });
    }
    if kind != SOCK_DIAG_BY_FAMILY {
        return DiagReply::Nonsense;
    }
    found(body).map_or(DiagReply::Nonsense, DiagReply::Found)
}

fn found(body: &[u8]) -> Option<DiagSocket> {
    let attributes = body.get(MESSAGE..)?;
    Some(DiagSocket {
        listening: body[1] == TCP_LISTEN,
        local_port: u16::from_be_bytes([body[4], body[5]]),
        remote_port: u16::from_be_bytes([body[6], body[7]]),
        uid: u32_at(body, 64)?,
        inode: u32_at(body, 68)?,
        cgroup_id: cgroup_id(attributes),
    })
}

fn cgroup_id(mut attributes: &[u8]) -> Option<u64> {
    loop {
        let length = usize::from(u16_at(attributes, 0)?);
        let kind = u16_at(attributes, 2)?;
        let value = attributes.get(4..length)?;
        if kind == INET_DIAG_CGROUP_ID {
            return Some(u64::from_ne_bytes(value.get(..8)?.try_into().ok()?));
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(body: &[u8], kind: u16) -> Vec<u8> {
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 2]);
        bytes.extend(7_u32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn answers_are_read() {
        let mut body = vec![0; MESSAGE];
        body[1] = TCP_LISTEN;
        body[4..8].copy_from_slice(&[0x1f, 0x90, 0, 80]);
        body[64..68].copy_from_slice(&1000_u32.to_ne_bytes());
        body[68..72].copy_from_slice(&77_u32.to_ne_bytes());
        // An attribute of 5 bytes (padded to 8), then the cgroup.
        body.extend([5, 0, 8, 0, 1, 0, 0, 0, 12, 0, 21, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        let found = DiagSocket {
            listening: true,
            local_port: 8080,
            remote_port: 80,
            uid: 1000,
            inode: 77,
            cgroup_id: Some(9),
        };
        assert_eq!(
            decode(&message(&body, SOCK_DIAG_BY_FAMILY), 7),
            DiagReply::Found(found)
        );
        assert_eq!(
            decode(&message(&body, SOCK_DIAG_BY_FAMILY), 8),
            DiagReply::Nonsense
        );
        assert_eq!(
            decode(&message(&(-2_i32).to_ne_bytes(), 2), 7),
            DiagReply::Error(2)
        );
    }

    proptest! {
        #[test]
        fn no_answer_is_too_strange(body in prop::collection::vec(any::<u8>(), 0..200), kind in prop_oneof![Just(2_u16), Just(20), any::<u16>()], cut in 0_usize..220) {
            let whole = message(&body, kind);
            let _ = decode(&whole, 7);
            let _ = decode(&whole[..cut.min(whole.len())], 7);
            let _ = decode(&body, 7);
        }
    }
}
