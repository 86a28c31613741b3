//! Who owns an address, and which rules there are on it: the questions of `NETLINK_ROUTE` (rtnetlink(7)), by hand.
//!
//! Invariant: decoding is total; what is cut short is an error, never "there is none".

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use rustix::net::{RecvFlags, SendFlags};

use super::lasting::Lasting;
use crate::leaving::{Owner, Rule};

const HEADER: usize = 16;
const IFADDRMSG: usize = 8;
const RTMSG: usize = 12;
/// What the kernel makes of an answer at most (`NLMSG_GOODSIZE` and the size asked for).
const BUFFER: usize = 32 * 1024;
/// Messages of one answer: a host with more addresses or rules than that is not one of ours.
const MAX_MESSAGES: usize = 65_536;

/// As often a change may fall into a dump: one takes microseconds.
const MAX_DUMPS: usize = 4;

const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWRULE: u16 = 32;
const RTM_GETRULE: u16 = 34;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// linux/netlink.h: something changed meanwhile.
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

static OWNERS: [Lasting<Owner>; 2] = [Lasting::new(), Lasting::new()];
static RULES: [Lasting<Rule>; 2] = [Lasting::new(), Lasting::new()];

/// All addresses of a family, with the numbers of their interfaces, as they were within the last second.
pub(crate) fn addresses(v4: bool, now: Instant) -> io::Result<Arc<[Owner]>> {
    OWNERS[usize::from(v4)].get(now, || {
        ask(RTM_GETADDR, v4, IFADDRMSG, |kind, body| {
            (kind == RTM_NEWADDR).then(|| owner(body)).flatten()
        })
    })
}

/// ... as they are now.
pub(crate) fn addresses_anew(v4: bool, now: Instant) -> io::Result<Arc<[Owner]>> {
    OWNERS[usize::from(v4)].forget();
    addresses(v4, now)
}

/// All routing rules of a family, as they were within the last second.
pub(crate) fn rules(v4: bool, now: Instant) -> io::Result<Arc<[Rule]>> {
    RULES[usize::from(v4)].get(now, || {
        ask(RTM_GETRULE, v4, RTMSG, |kind, body| {
            (kind == RTM_NEWRULE).then(|| rule(body)).flatten()
        })
    })
}

/// What the kernel has while nothing changes: a dump that a change fell into may lack or repeat something.
fn ask<T>(
    kind: u16,
    v4: bool,
    length: usize,
    read: impl Fn(u16, &[u8]) -> Option<T>,
) -> io::Result<Vec<T>> {
    for _ in 0..MAX_DUMPS {
        let mut all = Vec::new();
        if !dump(kind, v4, length, |kind, body| all.extend(read(kind, body)))? {
            return Ok(all);
        }
    }
    let text = "addresses or rules change faster than they can be read";
    Err(io::Error::other(text))
}

/// The kernel answers within the send, and goes on with a dump as its answers are taken: this never waits. Whether a
/// change fell into it.
fn dump(kind: u16, v4: bool, length: usize, mut each: impl FnMut(u16, &[u8])) -> io::Result<bool> {
    let socket = super::route::open()?;
    rustix::net::send(&socket, &encode(kind, v4, length), SendFlags::empty())?;
    let mut buffer = vec![0; BUFFER];
    let mut reading = Reading::default();
    loop {
        let (read, whole) = rustix::net::recv(
            &socket,
            &mut buffer[..],
            RecvFlags::DONTWAIT | RecvFlags::TRUNC,
        )?;
        if whole > BUFFER {
            return Err(cut_short());
        }
        if decode(&buffer[..read], &mut reading, &mut each)? {
            return Ok(reading.interrupted);
        }
    }
}

fn encode(kind: u16, v4: bool, length: usize) -> Vec<u8> {
    let family = if v4 { libc::AF_INET } else { libc::AF_INET6 };
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_DUMP;
    let mut message = ((HEADER + length) as u32).to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend((flags as u16).to_ne_bytes());
    message.resize(HEADER + length, 0);
    message[HEADER] = family as u8;
    message
}

/// How far the answer to one question is read.
struct Reading {
    /// Messages that may still come.
    left: usize,
    interrupted: bool,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            left: MAX_MESSAGES,
            interrupted: false,
        }
    }
}

/// Takes the messages of one datagram; whether the answer is whole.
fn decode(
    mut bytes: &[u8],
    reading: &mut Reading,
    each: &mut impl FnMut(u16, &[u8]),
) -> io::Result<bool> {
    while !bytes.is_empty() {
        let length = u32_at(bytes, 0).ok_or_else(cut_short)? as usize;
        let message = bytes.get(..length).ok_or_else(cut_short)?;
        let body = message.get(HEADER..).ok_or_else(cut_short)?;
        reading.left = reading.left.checked_sub(1).ok_or_else(cut_short)?;
        reading.interrupted |= u16_at(message, 6).ok_or_else(cut_short)? & NLM_F_DUMP_INTR != 0;
        match u16_at(message, 4).ok_or_else(cut_short)? {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => {
                let code = u32_at(body, 0).ok_or_else(cut_short)? as i32;
                return Err(io::Error::from_raw_os_error(code.wrapping_neg()));
            }
            kind => each(kind, body),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn owner(body: &[u8]) -> Option<Owner> {
    let attributes = body.get(IFADDRMSG..)?;
    // Where a link has two ends, `IFA_ADDRESS` is the other one.
    let own = attribute(attributes, IFA_LOCAL).or_else(|| attribute(attributes, IFA_ADDRESS))?;
    Some(Owner {
        address: address(own)?,
        interface: u32_at(body, 4)?,
    })
}

/// linux/fib_rules.h.
fn rule(body: &[u8]) -> Option<Rule> {
    const DESTINATION: u16 = 1;
    const SOURCE: u16 = 2;
    const IIFNAME: u16 = 3;
    const MARK: u16 = 10;
    const MASK: u16 = 16;
    /// Tunnel, output interface, domain, users, protocol and ports: what cannot be told of a socket in advance.
    const OTHERS: [u16; 7] = [12, 17, 19, 20, 22, 23, 24];
    const INVERTED: u32 = 2;
    const ACTION_NOP: u8 = 3;
    let attributes = body.get(RTMSG..)?;
    let prefix = |kind, length: u8| {
        attribute(attributes, kind)
            .and_then(address)
            .map(|address| (address, length))
    };
    let mark = attribute(attributes, MARK)
        .and_then(|value| u32_at(value, 0))
        .unwrap_or(0);
    let mask = attribute(attributes, MASK).and_then(|value| u32_at(value, 0));
    let has_others = OTHERS
        .iter()
        .any(|kind| attribute(attributes, *kind).is_some());
    let from_elsewhere = attribute(attributes, IIFNAME).is_some_and(|name| name != b"lo\0");
    Some(Rule {
        source: prefix(SOURCE, *body.get(2)?),
        destination: prefix(DESTINATION, *body.get(1)?),
        mark: (mark, mask.unwrap_or(if mark == 0 { 0 } else { u32::MAX })),
        vague: has_others
            || from_elsewhere
            || u32_at(body, 8)? & INVERTED != 0
            || body.get(7) == Some(&ACTION_NOP)
            || body.get(3) != Some(&0),
    })
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => Some(<[u8; 4]>::try_from(octets).ok()?.into()),
        16 => Some(<[u8; 16]>::try_from(octets).ok()?.into()),
        _ => None,
    }
}

fn attribute(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    /// Flags of nested attributes and of byte order.
    const KIND: u16 = 0x3fff;
    loop {
        let length = usize::from(u16_at(attributes, 0)?);
        let value = attributes.get(4..length)?;
        if u16_at(attributes, 2)? & KIND == kind {
            return Some(value);
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

fn cut_short() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "an answer of rtnetlink is cut short",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_kernels_answers_are_read() {
        let lo = Owner {
            address: [127, 0, 0, 1].into(),
            interface: 1,
        };
        assert!(addresses(true, Instant::now()).unwrap().contains(&lo));
        // The three that are there from the start are on no address.
        let rules = rules(true, Instant::now()).unwrap();
        assert!(
            rules
                .iter()
                .any(|rule| rule.source.is_none() && !rule.vague)
        );
    }

    #[test]
    fn a_change_in_the_midst_is_seen() {
        let message = |kind: u16, flags: u16| {
            let mut message = 16_u32.to_ne_bytes().to_vec();
            message.extend(kind.to_ne_bytes());
            message.extend(flags.to_ne_bytes());
            message.resize(HEADER, 0);
            message
        };
        // NLM_F_MULTI, and the sign on any message, also the last one.
        for (flags, interrupted) in [([2, 2], false), ([0x12, 2], true), ([2, 0x12], true)] {
            let bytes = [
                message(RTM_NEWADDR, flags[0]),
                message(NLMSG_DONE, flags[1]),
            ]
            .concat();
            let mut reading = Reading::default();
            assert!(decode(&bytes, &mut reading, &mut |_, _| {}).unwrap());
            assert_eq!(reading.interrupted, interrupted, "{flags:?}");
        }
    }

    #[test]
    fn rules_are_read() {
        let mut body = vec![2, 0, 24, 0, 100, 0, 0, 1, 0, 0, 0, 0];
        body.extend([8, 0, 2, 0, 10, 2, 0, 0]);
        body.extend([8, 0, 10, 0]);
        body.extend(7_u32.to_ne_bytes());
        let read = rule(&body).unwrap();
        assert_eq!(read.source, Some(([10, 2, 0, 0].into(), 24)));
        assert_eq!((read.mark, read.vague), ((7, u32::MAX), false));
        body.extend([8, 0, 17, 0]);
        body.extend(*b"eth\0");
        assert!(rule(&body).unwrap().vague);
    }

    proptest! {
        #[test]
        fn no_answer_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reading = Reading { left: 4, interrupted: false };
            let _ = decode(&bytes, &mut reading, &mut |_, body| {
                let _ = (owner(body), rule(body));
            });
            let _ = (owner(&bytes), rule(&bytes));
        }
    }
}
