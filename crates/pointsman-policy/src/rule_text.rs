//! The text of a rule: a part of a block that many rules' texts share.
//!
//! A decision names its rule, and so copies the rule's text. Were each text an allocation of its own, every copy would
//! wait for memory that nothing else touches, to count there; of a block there is one count for all.
//!
//! Invariant: two texts are equal when they read the same, wherever they lie.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// A rule as written, on one line.
#[derive(Clone, Default)]
pub struct RuleText {
    block: Arc<str>,
    start: u32,
    length: u32,
}

/// Room for many texts, while it is filled.
#[derive(Debug, Default)]
pub(crate) struct Block(String);

impl RuleText {
    /// Where it lies in memory: what tells a rule's text from that of another rule that reads the same, as long as
    /// both are kept.
    #[must_use]
    pub(crate) fn address(&self) -> usize {
        self.as_ptr().addr()
    }

    /// The part of a block that begins at `start`.
    pub(crate) fn part(block: &Arc<str>, start: u32, length: u32) -> Self {
        Self {
            block: Arc::clone(block),
            start,
            length,
        }
    }

    /// The block that it is a part of, where it begins there, and its length.
    pub(crate) fn place(&self) -> (&Arc<str>, u32, u32) {
        (&self.block, self.start, self.length)
    }
}

impl Block {
    /// Adds a text; tells where it begins. `None` where the block is full: four GiB.
    pub(crate) fn add(&mut self, text: &str) -> Option<u32> {
        let start = u32::try_from(self.0.len()).ok()?;
        u32::try_from(self.0.len() + text.len()).ok()?;
        self.0.push_str(text);
        Some(start)
    }

    pub(crate) fn finish(self) -> Arc<str> {
        self.0.into()
    }
}

impl Deref for RuleText {
    type Target = str;

    fn deref(&self) -> &str {
        let end = (self.start as usize).saturating_add(self.length as usize);
        self.block.get(self.start as usize..end).unwrap_or_default()
    }
}

impl From<Arc<str>> for RuleText {
    /// Of a text of four GiB or more, nothing is kept.
    fn from(block: Arc<str>) -> Self {
        let length = u32::try_from(block.len()).unwrap_or(0);
        Self {
            block,
            start: 0,
            length,
        }
    }
}

impl From<String> for RuleText {
    fn from(text: String) -> Self {
        Arc::<str>::from(text).into()
    }
}

impl From<&str> for RuleText {
    fn from(text: &str) -> Self {
        Arc::<str>::from(text).into()
    }
}

impl PartialEq for RuleText {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for RuleText {}

impl Hash for RuleText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for RuleText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for RuleText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_block_read_as_they_were_added() {
        let mut block = Block::default();
        let starts = ["one", "", "zwö", "one"].map(|text| (block.add(text).unwrap(), text));
        let block = block.finish();
        for (start, text) in starts {
            let part = RuleText::part(&block, start, text.len() as u32);
            assert_eq!(&*part, text);
            assert_eq!(part, RuleText::from(text));
            assert_eq!(format!("{part} {part:?}"), format!("{text} {text:?}"));
        }
        assert_eq!(&*RuleText::default(), "");
        assert_eq!(&*RuleText::part(&block, 5, 1), "", "within a character");
    }
}
