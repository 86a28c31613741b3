//! A look at a text that tells that no keyword is in it, for most texts.
//!
//! Each keyword enters its first characters, as many as the shortest one has, into a table of bits. A text is asked at
//! each of its places, all of them independent of one another, while an automaton goes from state to state, each in
//! memory elsewhere.
//!
//! Invariant: where a keyword is, whatever the case, it says maybe. It decides nothing: after a maybe the automaton is
//! asked.

/// The beginnings of keywords.
#[derive(Clone, Debug)]
pub(crate) struct Grams {
    bits: Box<[u64]>,
    /// What is left of 64 bits behind those that number a bit.
    shift: u32,
    /// Of each beginning: 2 to 8 characters.
    length: usize,
}

/// Bits for each keyword: of a hundred places, one or two are taken for a keyword's.
const SPARSE: usize = 64;
/// No more than these: 32 KiB.
const MOST: usize = 1 << 18;
/// Sets the bit that tells ASCII lower case from upper. It maps more onto each other than case does.
const CASE: u64 = u64::from_ne_bytes([0x20; 8]);

impl Grams {
    /// Of keywords, none of them empty. `None` where they are so short that nearly every text has one.
    pub(super) fn new<'w>(words: impl Iterator<Item = &'w str> + Clone) -> Option<Self> {
        let length = words.clone().map(str::len).min()?.min(8);
        if length < 2 {
            return None;
        }
        let wanted = words.clone().count().saturating_mul(SPARSE);
        let bits = wanted.clamp(512, MOST).next_power_of_two();
        let mut grams = Self {
            bits: vec![0; bits / 64].into(),
            shift: 64 - bits.ilog2(),
            length,
        };
        for word in words {
            let number = grams.numbers(word.as_bytes()).next();
            if let Some(number) = number
                && let Some(bits) = grams.bits.get_mut(number / 64)
            {
                *bits |= 1 << (number % 64);
            }
        }
        Some(grams)
    }

    /// Whether a keyword may be in `text`; if not, none is.
    #[inline]
    pub(crate) fn may_be_in(&self, text: &str) -> bool {
        let is_set = |number: usize| {
            let bits = self.bits.get(number / 64).copied().unwrap_or(0);
            bits >> (number % 64) & 1
        };
        // All places, though one might do: a loop without a way out waits for memory once.
        let met = self.numbers(text.as_bytes()).map(is_set);
        met.fold(0, |any, bit| any | bit) != 0
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.bits)
    }

    /// The numbers of all stretches of a text that are as long as the beginnings.
    #[inline]
    fn numbers(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let unused = 64 - 8 * self.length as u32;
        let last = text.len().checked_sub(self.length);
        let places = 0..last.map_or(0, |last| last + 1);
        places.map(move |at| {
            let word = match text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
                Some(eight) => u64::from_be_bytes(*eight),
                None => ending(text.get(at..).unwrap_or_default()),
            };
            let gram = (word | CASE) >> unused;
            (gram.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
        })
    }
}

/// Fewer than eight characters, the first of them highest.
fn ending(few: &[u8]) -> u64 {
    let word = few
        .iter()
        .fold(0, |word, byte| word << 8 | u64::from(*byte));
    word.checked_shl(64 - 8 * few.len() as u32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_keyword_is_missed(
            words in proptest::collection::vec("[a-dA-D.ä-]{1,11}", 1..6),
            which in any::<prop::sample::Index>(),
            (before, after, upper) in ("[a-z]{0,12}", "[a-z]{0,12}", any::<bool>()),
        ) {
            let Some(grams) = Grams::new(words.iter().map(|word| &**word)) else {
                prop_assert!(words.iter().any(|word| word.len() < 2));
                return Ok(());
            };
            let word = which.get(&words);
            let word = if upper { word.to_ascii_uppercase() } else { word.clone() };
            let text = format!("{before}{word}{after}");
            prop_assert!(grams.may_be_in(&text), "{}", text);
        }
    }

    #[test]
    fn most_texts_hold_none() {
        let words: Vec<String> = (0..1000).map(|n| format!("keyword{n}")).collect();
        let grams = Grams::new(words.iter().map(|word| &**word)).unwrap();
        let found = |text: &str| grams.may_be_in(text);
        let texts = (0..1000).map(|n| format!("www.{n}.example.com"));
        assert!(texts.filter(|text| found(text)).count() < 200);
        assert!(!found("") && !found("keywor") && found("my-KEYWORD7-s"));
    }
}
