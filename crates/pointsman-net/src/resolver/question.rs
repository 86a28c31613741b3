//! Questions as servers are asked them: name, type and class in bytes of the wire, in small letters.
//!
//! Invariant: two questions are equal exactly where a server is to give both the same answer.

use std::hash::{Hash, Hasher};

use pointsman_wire::dns::{CLASS_IN, WireName, kind};

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

impl QuestionView<'_> {
    pub(super) fn to_owned(self) -> WireQuestion {
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
