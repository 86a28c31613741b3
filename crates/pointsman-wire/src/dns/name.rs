//! A name as it stands in a message (RFC 1035 §3.1, §4.1.4).
//!
//! Invariant: pointers lead strictly backwards, and few are followed; a name has at most [`MAX_NAME`] bytes.
//! Labels may hold any bytes: which names are host names is decided elsewhere.

use std::fmt::{self, Write as _};

/// The longest name in bytes, with its lengths and the root.
pub const MAX_NAME: usize = 255;

/// Pointers that are followed within a name: servers use one or two. A message can be a chain of thousands, and have
/// thousands of names that begin with it.
const MAX_POINTERS: usize = 32;

/// The two upper bits of a length: a pointer follows.
const POINTER: u8 = 0xc0;

/// A name without pointers, in lower case, as bytes of the wire: two names are equal when DNS says so.
#[derive(Clone, Copy)]
pub struct WireName {
    bytes: [u8; MAX_NAME],
    length: u8,
}

impl WireName {
    /// The name of no labels.
    #[must_use]
    pub const fn root() -> Self {
        Self {
            bytes: [0; MAX_NAME],
            length: 1,
        }
    }

    /// Reads the name at a place of `message`; `None` where it is malformed.
    #[must_use]
    pub fn read(message: &[u8], at: usize) -> Option<Self> {
        let mut name = Self::root();
        let (mut used, mut pointers) = (0, 0);
        let (mut at, mut before) = (at, at);
        loop {
            let length = *message.get(at)?;
            match length & POINTER {
                0 => {
                    let end = at + 1 + usize::from(length);
                    let label = message.get(at..end)?;
                    let room = name.bytes.get_mut(used..used + label.len())?;
                    room.copy_from_slice(label);
                    // A length is below the letters, so nothing happens to it.
                    room.make_ascii_lowercase();
                    used += label.len();
                    if length == 0 {
                        name.length = u8::try_from(used).ok()?;
                        return Some(name);
                    }
                    at = end;
                }
                POINTER => {
                    let target = usize::from(super::u16_at(message, at)? & 0x3fff);
                    pointers += 1;
                    if target >= before || pointers > MAX_POINTERS {
                        return None;
                    }
                    (at, before) = (target, target);
                }
                _ => return None,
            }
        }
    }

    /// The name of a text with dots, in any case, with or without the last dot; `None` where a label is empty or
    /// longer than 63 bytes, or the name than [`MAX_NAME`]. Nothing is escaped.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        let text = text.strip_suffix('.').unwrap_or(text);
        for label in text.split('.').filter(|_| !text.is_empty()) {
            let length = u8::try_from(label.len()).ok()?;
            if !(1..64).contains(&length) {
                return None;
            }
            wire.push(length);
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        Self::read(&wire, 0)
    }

    /// The bytes of the wire: labels behind their lengths, the root last.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }

    /// The labels from the left, without the root.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.as_bytes();
        std::iter::from_fn(move || {
            let (length, behind) = rest.split_first()?;
            let (label, behind) = behind.split_at_checked(usize::from(*length))?;
            rest = behind;
            (!label.is_empty()).then_some(label)
        })
    }

    /// Writes into `out`, which is emptied first, the longest end of the name that is made of letters, digits, `-`
    /// and `_` alone: `_sip._tcp.a.test` as it is, `a.test` of `x\.y.a.test`.
    pub fn write_host(&self, out: &mut String) {
        out.clear();
        let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        for label in self.labels() {
            match std::str::from_utf8(label) {
                Ok(text) if label.iter().all(is_host) => {
                    if !out.is_empty() {
                        out.push('.');
                    }
                    out.push_str(text);
                }
                _ => out.clear(),
            }
        }
    }

    /// Passes over the name at a place of `message` without following its pointer; the place behind it.
    pub(crate) fn skip(message: &[u8], mut at: usize) -> Option<usize> {
        let begin = at;
        loop {
            let length = *message.get(at)?;
            match length & POINTER {
                0 if length == 0 => return Some(at + 1),
                0 => at += 1 + usize::from(length),
                POINTER => {
                    message.get(at + 1)?;
                    return Some(at + 2);
                }
                _ => return None,
            }
            if at - begin >= MAX_NAME {
                return None;
            }
        }
    }
}

impl PartialEq for WireName {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for WireName {}

/// As master files write it (RFC 1035 §5.1), without the last dot; `.` is the root.
impl fmt::Display for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length <= 1 {
            return f.write_char('.');
        }
        for (nth, label) in self.labels().enumerate() {
            if nth > 0 {
                f.write_char('.')?;
            }
            for byte in label {
                match byte {
                    b'.' | b'\\' => write!(f, "\\{}", char::from(*byte))?,
                    b'!'..=b'~' => f.write_char(char::from(*byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WireName({self})")
    }
}
