//! The order of sending, over a kernel that is a script.

use std::cmp::Ordering;
use std::collections::VecDeque;

use proptest::prelude::*;

use super::super::*;

/// A kernel that does what it was told, call by call, and everything thereafter.
struct Script {
    calls: VecDeque<Result<usize, i32>>,
    /// Each datagram that went: where to, and what.
    gone: Vec<(u16, Vec<u8>)>,
    asked: usize,
}

impl Script {
    fn new(calls: impl IntoIterator<Item = Result<usize, i32>>) -> Self {
        Self {
            calls: calls.into_iter().collect(),
            gone: Vec::new(),
            asked: 0,
        }
    }

    fn transmit(&mut self, batch: &Batch<'_>) -> io::Result<usize> {
        self.asked += 1;
        let count = match self.calls.pop_front() {
            Some(Err(errno)) => return Err(io::Error::from_raw_os_error(errno)),
            Some(Ok(count)) => count.clamp(1, batch.len()),
            None => batch.len(),
        };
        for piece in (0..count).map(|index| batch.piece(index)) {
            let bytes: Vec<u8> = piece.parts.iter().flat_map(|part| part.to_vec()).collect();
            let segment = piece
                .segment
                .map_or_else(|| bytes.len().max(1), usize::from);
            let to = piece.message.to.port();
            let each: Vec<_> = bytes.chunks(segment).map(|it| (to, it.to_vec())).collect();
            self.gone.extend(each);
        }
        Ok(count)
    }
}

fn to(port: u16) -> SocketAddr {
    SocketAddr::new("127.0.0.1".parse().unwrap(), port)
}

fn outgoing<'a>(port: u16, segment: Option<u16>, parts: &'a [IoSlice<'a>]) -> Outgoing<'a> {
    Outgoing {
        to: to(port),
        from: None,
        class: None,
        hops: None,
        segment,
        parts,
    }
}

const REFUSED: i32 = libc::ECONNREFUSED;

#[test]
fn a_batch_is_sent_on_from_where_it_stopped() {
    let parts = [IoSlice::new(b"a")];
    let messages = [1, 2, 3].map(|port| outgoing(port, None, &parts));
    let offload = Offload::new();
    let check = |calls: &[Result<usize, i32>], from: usize, until: usize, stop: &str| {
        let mut script = Script::new(calls.iter().copied());
        let from = Place {
            message: from,
            segment: 0,
        };
        let sent = sending::send(&offload, &messages, from, |batch| script.transmit(batch));
        let stopped = match sent.stopped {
            None => "",
            Some(Stop::Full) => "full",
            Some(Stop::Refused(_)) => "refused",
        };
        assert_eq!((sent.until.message, stopped), (until, stop), "{calls:?}");
        let ports: Vec<u16> = script.gone.iter().map(|(port, _)| *port).collect();
        let expected: Vec<u16> = (from.message..until).map(|it| it as u16 + 1).collect();
        assert_eq!(ports, expected, "{calls:?}");
    };
    check(&[], 0, 3, "");
    check(&[], 2, 3, "");
    check(&[], 3, 3, "");
    check(&[Ok(1), Ok(1)], 0, 3, "");
    check(&[Ok(2), Err(libc::EAGAIN)], 0, 2, "full");
    check(
        &[Err(libc::EINTR), Ok(1), Err(libc::EPERM)],
        0,
        1,
        "refused",
    );
    check(&[Err(libc::ENOBUFS)], 0, 0, "refused");
    // Told of others, so often; said of this one, again and again.
    check(&[Err(REFUSED), Err(REFUSED), Ok(1), Err(REFUSED)], 0, 3, "");
    check(&[Err(libc::EHOSTUNREACH), Ok(1)], 0, 3, "");
    check(&[Err(libc::EHOSTUNREACH); 2], 0, 0, "refused");
    check(&[Err(REFUSED); 20], 0, 0, "refused");
}

#[test]
fn segments_that_are_refused_go_one_by_one() {
    let check = |segment: u16, calls: &[Result<usize, i32>], allowed: [bool; 2]| {
        let (offload, bytes) = (Offload::new(), vec![7; usize::from(segment) * 3 - 1]);
        let parts = [IoSlice::new(&bytes[..5]), IoSlice::new(&bytes[5..])];
        let messages = [1, 2].map(|port| outgoing(port, Some(segment), &parts));
        let mut script = Script::new(calls.iter().copied());
        let sent = sending::send(&offload, &messages, Place::default(), |batch| {
            script.transmit(batch)
        });
        assert!(sent.stopped.is_none(), "{sent:?}");
        let lengths: Vec<_> = script.gone.iter().map(|(to, it)| (*to, it.len())).collect();
        let segment = usize::from(segment);
        let each = |to| [(to, segment), (to, segment), (to, segment - 1)];
        assert_eq!(lengths, [each(1), each(2)].concat(), "{calls:?}");
        assert_eq!([offload.is_on(), offload.allows(segment as u16)], allowed);
    };
    check(1200, &[], [true, true]);
    check(1200, &[Err(libc::EIO)], [false, false]);
    check(1200, &[Err(libc::EINVAL)], [false, false]);
    check(1200, &[Ok(1), Err(libc::EIO)], [false, false]);
    // May be for its size.
    check(1400, &[Err(libc::EINVAL)], [true, false]);
    check(1400, &[Err(libc::EIO)], [false, false]);
    check(1400, &[Err(libc::EMSGSIZE)], [true, true]);
    check(
        1400,
        &[Err(libc::EMSGSIZE), Err(libc::EMSGSIZE)],
        [true, true],
    );
    check(1200, &[Err(libc::EIO), Ok(1), Ok(1)], [false, false]);
}

#[test]
fn a_wish_that_is_wrong_without_segments_too_is_not_the_offloads_fault() {
    let (offload, parts) = (Offload::new(), [IoSlice::new(&[0; 30])]);
    let messages = [outgoing(1, Some(10), &parts)];
    let mut script = Script::new([Err(libc::EINVAL), Err(libc::EINVAL)]);
    let sent = sending::send(&offload, &messages, Place::default(), |batch| {
        script.transmit(batch)
    });
    assert!(matches!(sent.stopped, Some(Stop::Refused(_))));
    assert!(offload.is_on() && script.gone.is_empty());
}

proptest! {
    /// Whatever the kernel takes and refuses: what the caller is told was sent was sent, once, in its order.
    #[test]
    fn nothing_is_sent_twice(
        lengths in prop::collection::vec((0_usize..200, 0_u16..60, 1_usize..50), 1..90),
        calls in prop::collection::vec(prop_oneof![
            4 => (1_usize..70).prop_map(Ok),
            3 => prop::sample::select(vec![
                libc::EAGAIN, libc::EINTR, libc::EINVAL, libc::EIO, libc::EMSGSIZE, libc::EHOSTUNREACH, REFUSED,
                libc::EPERM,
            ]).prop_map(Err),
        ], 0..60),
    ) {
        let bytes: Vec<u8> = (0..=255).collect();
        let parts: Vec<Vec<IoSlice<'_>>> = lengths
            .iter()
            .map(|(length, _, part)| bytes[..*length].chunks(*part).map(IoSlice::new).collect())
            .collect();
        let messages: Vec<Outgoing<'_>> = parts
            .iter()
            .zip(&lengths)
            .enumerate()
            .map(|(index, (parts, (_, segment, _)))| outgoing(index as u16, Some(*segment), parts))
            .collect();
        let mut expected: Vec<(u16, Vec<u8>)> = Vec::new();
        let mut script = Script::new(calls);
        let (offload, mut at) = (Offload::new(), Place::default());
        loop {
            let sent = sending::send(&offload, &messages, at, |batch| script.transmit(batch));
            // What lies between the two places, cut as it should be.
            for (message, (length, segment, _)) in lengths.iter().enumerate() {
                let segment = if *segment == 0 { 200 } else { usize::from(*segment) };
                let each: Vec<_> = bytes[..*length].chunks(segment).collect();
                let before = |place: Place| match message.cmp(&place.message) {
                    Ordering::Less => each.len(),
                    Ordering::Equal => place.segment,
                    Ordering::Greater => 0,
                };
                let went = &each[before(at)..before(sent.until)];
                expected.extend(went.iter().map(|it| (message as u16, it.to_vec())));
            }
            prop_assert_eq!(&script.gone, &expected);
            at = match sent.stopped {
                None => break,
                Some(Stop::Full) => sent.until,
                Some(Stop::Refused(_)) => sent.until.skip(),
            };
        }
        prop_assert!(at.message <= messages.len());
    }
}
