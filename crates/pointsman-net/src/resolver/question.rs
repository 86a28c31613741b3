//! Questions as servers are asked them: name, type and class in bytes of the wire, in small letters.
//!
//! Invariant: two questions are equal exactly where a server is to give both the same answer.

use std::hash::{Hash, Hasher};

use pointsman_wire::dns::{CLASS_IN, Query, WireName, kind};

use crate::lookup::{Question, RecordType};

/// A question of whoever asks.
#[derive(Clone, Debug)]
pub(crate) struct WireQuestion {
    bytes: Box<[u8]>,
    wishes: Wishes,
    with_edns: bool,
}

/// A question that nobody has a copy of: for looking one up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuestionView<'a> {
    bytes: &'a [u8],
    wishes: Wishes,
    with_edns: bool,
}

/// What is asked for beside the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Wishes {
    /// Signatures (RFC 3225).
    pub(crate) dnssec_ok: bool,
    /// What fails the checks of signatures as well (RFC 4035 §3.2.2).
    pub(crate) checking_disabled: bool,
}

/// A question's bytes in small letters, on the stack.
pub(crate) struct Folded {
    bytes: [u8; MOST],
    length: usize,
    wishes: Wishes,
    with_edns: bool,
}

/// The longest name, type and class.
const MOST: usize = 255 + 4;

impl Folded {
    /// The question of a client.
    pub(crate) fn of(query: &Query<'_>) -> Self {
        let (mut bytes, asked) = ([0; MOST], query.question());
        let length = asked.len().min(MOST);
        bytes[..length].copy_from_slice(&asked[..length]);
        // Lengths of labels are below 64, and no letters.
        bytes[..length.saturating_sub(4)].make_ascii_lowercase();
        Self {
            bytes,
            length,
            wishes: Wishes {
                dnssec_ok: query.dnssec_ok(),
                checking_disabled: query.checking_disabled(),
            },
            with_edns: query.edns().is_some(),
        }
    }

    pub(crate) fn view(&self) -> QuestionView<'_> {
        QuestionView {
            bytes: &self.bytes[..self.length],
            wishes: self.wishes,
            with_edns: self.with_edns,
        }
    }
}

impl WireQuestion {
    /// The question for a name's records; `None` where the name is too long to be asked for.
    pub(super) fn new(question: &Question) -> Option<Self> {
        let name = WireName::from_text(question.name.as_str())?;
        let kind = match question.kind {
            RecordType::A => kind::A,
            RecordType::Aaaa => kind::AAAA,
        };
        let numbers = [kind.to_be_bytes(), CLASS_IN.to_be_bytes()];
        Some(Self {
            bytes: [name.as_bytes(), numbers.as_flattened()].concat().into(),
            wishes: Wishes::default(),
            // Addresses fit without: what does not is asked for over TCP. There are servers that cannot do it.
            with_edns: false,
        })
    }

    /// Name, type and class.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn wishes(&self) -> Wishes {
        self.wishes
    }

    /// Whether it is asked with EDNS: as the first who asks does, for the answer is the same.
    pub(super) fn is_with_edns(&self) -> bool {
        self.with_edns
    }

    /// The number of the type.
    pub(super) fn kind(&self) -> u16 {
        let numbers = self.bytes.last_chunk::<4>().copied().unwrap_or_default();
        u16::from_be_bytes([numbers[0], numbers[1]])
    }

    pub(super) fn view(&self) -> QuestionView<'_> {
        QuestionView {
            bytes: &self.bytes,
            wishes: self.wishes,
            with_edns: self.with_edns,
        }
    }
}

impl<'a> QuestionView<'a> {
    /// That of name, type and class, in small letters.
    pub(super) fn of(bytes: &'a [u8], wishes: Wishes) -> Self {
        Self {
            bytes,
            wishes,
            with_edns: false,
        }
    }

    /// Name, type and class.
    pub(super) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    pub(super) fn wishes(self) -> Wishes {
        self.wishes
    }

    pub(crate) fn to_owned(self) -> WireQuestion {
        WireQuestion {
            bytes: self.bytes.into(),
            wishes: self.wishes,
            with_edns: self.with_edns,
        }
    }
}

impl PartialEq for QuestionView<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.bytes, self.wishes) == (other.bytes, other.wishes)
    }
}

impl Eq for QuestionView<'_> {}

impl Hash for QuestionView<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.bytes, self.wishes).hash(state);
    }
}

impl PartialEq for WireQuestion {
    fn eq(&self, other: &Self) -> bool {
        self.view() == other.view()
    }
}

impl Eq for WireQuestion {}

impl Hash for WireQuestion {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.view().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use pointsman_policy::Domain;
    use pointsman_wire::dns::parse_query;

    use super::*;

    #[test]
    fn a_clients_spelling_is_folded_and_its_type_is_not() {
        // Type and class have bytes of capital letters: 0x41 is `A`.
        let query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01A\x04TeSt\0\0\x41\0\x01";
        let folded = Folded::of(&parse_query(query).unwrap());
        let question = folded.view().to_owned();
        assert_eq!(question.bytes(), b"\x01a\x04test\0\0\x41\0\x01");
        assert_eq!(question.kind(), kind::HTTPS);
        let own = |kind| {
            let name = Domain::parse("a.test").unwrap();
            WireQuestion::new(&Question { name, kind }).unwrap()
        };
        assert_eq!(own(RecordType::A).bytes(), b"\x01a\x04test\0\0\x01\0\x01");
        assert_eq!(own(RecordType::Aaaa).kind(), kind::AAAA);
        assert_ne!(own(RecordType::A), question);
    }
}
