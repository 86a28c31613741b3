//! An expression cut down to the characters of names, and what each match must hold.
//!
//! Invariant: on names the narrow expression matches exactly where the given one does.

use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look, Repetition};

/// Shorter words are in too many names to be worth a look.
const SHORTEST: usize = 2;

/// More alternatives than these are not looked for.
const MOST_WORDS: usize = 32;

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
    let known = needed(narrow).unwrap_or_default();
    if shortest(&known) < SHORTEST {
        return Vec::new();
    }
    known
}

/// How long the shortest is: the longer, the fewer names hold one.
fn shortest(words: &[Box<str>]) -> usize {
    words.iter().map(|word| word.len()).min().unwrap_or(0)
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
            .max_by_key(|words| (shortest(words), std::cmp::Reverse(words.len()))),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(needed(part)?);
                if all.len() > MOST_WORDS {
                    return None;
                }
            }
            all.sort_unstable();
            all.dedup();
            Some(all)
        }
        HirKind::Capture(capture) => needed(&capture.sub),
        HirKind::Class(_) | HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}
