//! Control messages: what the kernel tells of a datagram beside it, and what it is told (cmsg(3)).
//!
//! Invariant: bytes alone. Total: what the kernel would not write is read as nothing.

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) level: i32,
    pub(super) kind: i32,
    pub(super) data: &'a [u8],
}

/// Room for messages, aligned as `cmsghdr` is.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Room([u8; ROOM]);

/// All that is asked of the kernel for a datagram, on 64 bits: address 40, traffic class 24, hops 24, segment
/// 24, original destination 48; and of an error, with the address of who told it: 64.
const ROOM: usize = 256;

const WORD: usize = size_of::<usize>();
/// Length, level and kind.
const HEADER: usize = WORD + 8;

impl Message<'_> {
    /// A number, as the kernel writes it.
    pub(super) fn int(&self) -> Option<i32> {
        self.data
            .first_chunk()
            .map(|four| i32::from_ne_bytes(*four))
    }

    /// A number of eight bits: old kernels give one octet, others a whole number.
    pub(super) fn octet(&self) -> Option<u8> {
        self.int()
            .map(|number| number as u8)
            .or_else(|| self.data.first().copied())
    }
}

/// The messages in what the kernel wrote.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::from_ne_bytes(*bytes.first_chunk()?);
        let message = bytes.get(..length).filter(|it| it.len() > HEADER)?;
        let int = |at: usize| message[at..].first_chunk().copied().map(i32::from_ne_bytes);
        let read = Message {
            level: int(WORD)?,
            kind: int(WORD + 4)?,
            data: &message[HEADER..],
        };
        bytes = bytes
            .get(length.next_multiple_of(WORD)..)
            .unwrap_or_default();
        Some(read)
    })
}

impl Room {
    pub(super) const fn new() -> Self {
        Self([0; ROOM])
    }

    pub(super) fn bytes(&self) -> &[u8; ROOM] {
        &self.0
    }

    /// Where the kernel writes to, and how much.
    pub(super) fn raw(&mut self) -> (*mut libc::c_void, usize) {
        (self.0.as_mut_ptr().cast(), ROOM)
    }

    /// Writes a message behind `used` bytes, and says how many are used then. Without room it is left out: what is sent
    /// fits, see [`ROOM`].
    pub(super) fn push(&mut self, used: usize, level: i32, kind: i32, data: &[u8]) -> usize {
        let length = HEADER + data.len();
        let end = used + length.next_multiple_of(WORD);
        let Some(room) = self.0.get_mut(used..end) else {
            return used;
        };
        room.fill(0);
        room[..WORD].copy_from_slice(&length.to_ne_bytes());
        room[WORD..WORD + 4].copy_from_slice(&level.to_ne_bytes());
        room[WORD + 4..HEADER].copy_from_slice(&kind.to_ne_bytes());
        room[HEADER..length].copy_from_slice(data);
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut room = Room::new();
        let mut used = room.push(0, 1, 2, &[3]);
        used = room.push(used, -4, 5, &7_i32.to_ne_bytes());
        let read: Vec<Message<'_>> = messages(&room.bytes()[..used]).collect();
        assert_eq!(read.len(), 2);
        assert_eq!(
            (read[0].level, read[0].kind, read[0].octet()),
            (1, 2, Some(3))
        );
        assert_eq!(
            (read[1].level, read[1].int(), read[1].octet()),
            (-4, Some(7), Some(7))
        );
        assert_eq!(room.push(ROOM - 1, 1, 1, &[]), ROOM - 1, "there is no room");
    }

    #[test]
    fn reading_ends() {
        let mut room = Room::new();
        let used = room.push(0, 1, 2, &[3, 4]);
        for until in 0..used {
            assert!(messages(&room.bytes()[..until]).count() <= 1);
        }
        assert_eq!(messages(&[0xff; 64]).count(), 0);
        assert_eq!(messages(&[0; 64]).count(), 0);
    }
}
