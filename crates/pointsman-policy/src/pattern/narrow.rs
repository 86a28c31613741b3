//! An expression cut down to the characters of names, and what each match must hold.
//!
//! Invariant: on names the narrow expression matches exactly where the given one does.

use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look, Repetition};

/// Shorter words are in too many names to be worth a look.
const SHORTEST: usize = 2;

/// Of longer ones the beginning does: what is looked for takes memory by the character.
const LONGEST: usize = 16;

/// More alternatives than these are not looked for.
const MOST_WORDS: usize = 8;

/// Labels that so many names have that they tell little.
const COMMON: [&str; 7] = ["com", "net", "org", "cn", "ru", "de", "www"];

/// Whether names are written with it.
fn is_of_names(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_')
}

pub(super) fn narrow(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => {
            if literal.0.iter().all(|byte| is_of_names(*byte)) {
                Hir::literal(literal.0.clone())
            } else {
                Hir::fail()
            }
        }
        HirKind::Class(class) => Hir::class(Class::Bytes(narrow_class(class))),
        HirKind::Look(look) => Hir::look(match look {
            Look::Start | Look::StartLF | Look::StartCRLF => Look::Start,
            Look::End | Look::EndLF | Look::EndCRLF => Look::End,
            border => *border,
        }),
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            sub: Box::new(narrow(&repetition.sub)),
            ..*repetition
        }),
        HirKind::Capture(capture) => narrow(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(narrow).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(narrow).collect()),
    }
}

/// The narrow expression that matches the names that are written backwards.
pub(super) fn reversed(narrow: &Hir) -> Hir {
    match narrow.kind() {
        HirKind::Literal(literal) => {
            Hir::literal(literal.0.iter().rev().copied().collect::<Vec<u8>>())
        }
        HirKind::Look(Look::Start) => Hir::look(Look::End),
        HirKind::Look(Look::End) => Hir::look(Look::Start),
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            sub: Box::new(reversed(&repetition.sub)),
            ..*repetition
        }),
        HirKind::Capture(capture) => reversed(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().rev().map(reversed).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(reversed).collect()),
        HirKind::Class(_) | HirKind::Empty | HirKind::Look(_) => narrow.clone(),
    }
}

fn narrow_class(class: &Class) -> ClassBytes {
    let mut narrow = ClassBytes::empty();
    let mut add = |start: u32, end: u32| {
        for byte in (start..=end.min(0x7f)).filter_map(|c| u8::try_from(c).ok()) {
            if is_of_names(byte) {
                narrow.push(ClassBytesRange::new(byte, byte));
            }
        }
    };
    match class {
        Class::Bytes(class) => {
            for range in class.iter() {
                add(range.start().into(), range.end().into());
            }
        }
        Class::Unicode(class) => {
            for range in class.iter() {
                add(range.start().into(), range.end().into());
            }
        }
    }
    narrow
}

/// Texts of which each match holds one: of those that are known the least common. Empty where none are known.
pub(super) fn words(narrow: &Hir) -> Vec<Box<str>> {
    let mut known = needed(narrow).unwrap_or_default();
    if known.iter().any(|word| word.len() < SHORTEST) {
        return Vec::new();
    }
    for word in &mut known {
        if let Some(head) = word.get(..LONGEST) {
            *word = head.into();
        }
    }
    known.sort_unstable();
    known.dedup();
    known
}

/// How few names hold one: by the length of the one that says least.
fn rarity(words: &[Box<str>]) -> (usize, usize) {
    let telling = |word: &str| {
        let labels = word.split('.').filter(|label| !COMMON.contains(label));
        (labels.map(str::len).sum::<usize>(), word.len())
    };
    words
        .iter()
        .map(|word| telling(word))
        .min()
        .unwrap_or_default()
}

fn needed(hir: &Hir) -> Option<Vec<Box<str>>> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            Some(vec![text.into()])
        }
        HirKind::Repetition(repetition) if repetition.min > 0 => needed(&repetition.sub),
        HirKind::Concat(parts) => parts
            .iter()
            .filter_map(needed)
            .max_by_key(|words| (rarity(words), std::cmp::Reverse(words.len()))),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(needed(part)?);
                if all.len() > MOST_WORDS {
                    return None;
                }
            }
            Some(all)
        }
        HirKind::Capture(capture) => needed(&capture.sub),
        HirKind::Class(_) | HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}
