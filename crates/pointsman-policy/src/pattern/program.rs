//! Programs: an expression as sets of its places, one bit for each, moved on by each character of a name.
//!
//! A place is where the expression takes one character (Glushkov's automaton: as many states as characters are
//! written, and no step without a character). A name's characters are read once. After each, the bits tell at which
//! places the expression may stand: those that can follow the places before it and take this character.
//!
//! `^` and `$` take no character. No name is empty, so `^` holds before the first character alone, where nothing was
//! taken yet, and `$` after the last, where nothing will be: each is said by which places may come first, and after
//! which places the expression may end.
//!
//! Invariant: a step for each character, of as many operations as there are places that do more than go on to the
//! next. Deliberately absent: borders of words, and where the match lies.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::narrow::reversed;

/// The most places of a program; whoever needs more is left to the library.
const MOST: usize = 256;

/// Letters, digits, hyphen, dot, underscore; and whatever no name holds.
const CHARACTERS: usize = 40;

/// The numbers of characters.
const NUMBERS: [u8; 256] = numbers();

/// Places, by their bits.
type Bits<const W: usize> = [u64; W];

/// As many as there can be.
type Wide = Bits<{ MOST / 64 }>;

/// Whether an expression occurs in a name.
pub(super) enum Program {
    /// In every one.
    Always,
    /// In none.
    Never,
    /// At most 64 places.
    Narrow(Box<Steps<1>>),
    Wide(Box<Steps<{ MOST / 64 }>>),
}

/// A program of `64 * W` places. One that must end with the name and may begin anywhere is read backwards: most names
/// are known not to match after their last characters.
pub(super) struct Steps<const W: usize> {
    /// By character: the places that take it.
    takes: [Bits<W>; CHARACTERS],
    /// Where a match may begin: at the first character, and at any later.
    begins: [Bits<W>; 2],
    /// The places behind which the next place may come.
    goes_on: Bits<W>,
    /// The places behind which others may come.
    leaps: Bits<W>,
    /// From these places to those.
    leap: Box<[(Bits<W>, Bits<W>)]>,
    /// Behind which it may end: anywhere, and at the end of the name.
    ends: [Bits<W>; 2],
    backwards: bool,
}

impl Program {
    /// The program of a narrow expression; `None` where there is none.
    pub(super) fn new(hir: &Hir) -> Option<Self> {
        let places = places(hir);
        if places > MOST {
            return None;
        }
        let mut drawn = Drawing::default();
        let mut part = drawn.part(hir)?;
        if is_none(&part.ends[ANYWHERE]) && !is_none(&part.begins[LATER]) {
            drawn = Drawing {
                backwards: true,
                ..Drawing::default()
            };
            part = drawn.part(&reversed(hir))?;
        }
        Some(if part.empty.into_iter().any(|empty| empty) {
            Self::Always
        } else if part.begins.iter().chain(&part.ends).all(is_none) {
            Self::Never
        } else if places <= 64 {
            Self::Narrow(Box::new(drawn.steps(&part)))
        } else {
            Self::Wide(Box::new(drawn.steps(&part)))
        })
    }

    /// Operations for each character of a name, at most.
    pub(super) fn work(&self) -> usize {
        match self {
            Self::Always | Self::Never => 0,
            Self::Narrow(steps) => steps.work(),
            Self::Wide(steps) => steps.work(),
        }
    }

    pub(super) fn is_match(&self, name: &str) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Narrow(steps) => steps.is_match(name.as_bytes()),
            Self::Wide(steps) => steps.is_match(name.as_bytes()),
        }
    }
}

impl<const W: usize> Steps<W> {
    fn work(&self) -> usize {
        W * (1 + self.leap.len())
    }

    fn is_match(&self, name: &[u8]) -> bool {
        if self.backwards {
            self.finds(name.iter().rev())
        } else {
            self.finds(name.iter())
        }
    }

    #[inline]
    fn finds<'n>(&self, name: impl Iterator<Item = &'n u8>) -> bool {
        let [first, later] = &self.begins;
        let [anywhere, at_end] = &self.ends;
        let mut open = first;
        let mut here = [0; W];
        for byte in name {
            let mut next = self.behind(&here);
            let takes = &self.takes[usize::from(NUMBERS[usize::from(*byte)])];
            let mut any = 0;
            for at in 0..W {
                next[at] = (next[at] | open[at]) & takes[at];
                any |= next[at];
            }
            if any == 0 && is_none(later) {
                return false;
            }
            if meet(&next, anywhere) {
                return true;
            }
            here = next;
            open = later;
        }
        meet(&here, at_end)
    }

    /// The places that may come behind these.
    #[inline]
    fn behind(&self, here: &Bits<W>) -> Bits<W> {
        let mut next = [0; W];
        let mut carry = 0;
        for at in 0..W {
            let on = here[at] & self.goes_on[at];
            next[at] = on << 1 | carry;
            carry = on >> 63;
        }
        if meet(here, &self.leaps) {
            for (from, to) in &self.leap {
                if meet(here, from) {
                    for at in 0..W {
                        next[at] |= to[at];
                    }
                }
            }
        }
        next
    }
}

/// A program that is being drawn.
#[derive(Default)]
struct Drawing {
    /// By place: the characters that it takes, by number.
    takes: Vec<u64>,
    /// By place: what may come behind it.
    follow: Vec<Wide>,
    backwards: bool,
}

/// A part of an expression: its border places. The two of each array are with and without the end of the name there.
#[derive(Clone, Copy, Default)]
struct Part {
    /// Its first places: at the beginning of the name, and later.
    begins: [Wide; 2],
    /// Its last places: anywhere, and at the end of the name.
    ends: [Wide; 2],
    /// Whether it may take nothing: within the name, at its beginning, at its end.
    empty: [bool; 3],
}

const WITHIN: usize = 0;
const AT_BEGINNING: usize = 1;
const AT_END: usize = 2;
/// Of [`Part::begins`].
const LATER: usize = 1;
/// Of [`Part::ends`].
const ANYWHERE: usize = 0;

/// How many places an expression has when its repetitions are written out.
fn places(hir: &Hir) -> usize {
    let sum = |parts: &[Hir]| parts.iter().map(places).fold(0, usize::saturating_add);
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(class) => usize::from(!class.is_empty()),
        HirKind::Capture(capture) => places(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => sum(parts),
        HirKind::Repetition(repetition) => {
            let copies = copies(repetition.min, repetition.max);
            places(&repetition.sub).saturating_mul(copies as usize)
        }
    }
}

/// The last of those without an end is repeated.
fn copies(min: u32, max: Option<u32>) -> u32 {
    max.unwrap_or_else(|| min.max(1))
}

impl Drawing {
    fn part(&mut self, hir: &Hir) -> Option<Part> {
        Some(match hir.kind() {
            HirKind::Empty => Part::EMPTY,
            HirKind::Look(Look::Start) => Part {
                empty: [false, true, false],
                ..Part::default()
            },
            HirKind::Look(Look::End) => Part {
                empty: [false, false, true],
                ..Part::default()
            },
            HirKind::Look(_) => return None,
            HirKind::Literal(literal) => {
                let mut all = Part::EMPTY;
                for byte in &literal.0 {
                    let place = self.place(1 << NUMBERS[usize::from(*byte)]);
                    all = self.then(&all, &place);
                }
                all
            }
            HirKind::Class(class) if class.is_empty() => Part::default(),
            HirKind::Class(Class::Bytes(class)) => {
                let bytes = class.iter().flat_map(|range| range.start()..=range.end());
                let takes = bytes.map(|byte| 1 << NUMBERS[usize::from(byte)]);
                let takes = takes.fold(0, |all, one: u64| all | one);
                self.place(takes)
            }
            // None is left in a narrow expression.
            HirKind::Class(Class::Unicode(_)) => return None,
            HirKind::Capture(capture) => self.part(&capture.sub)?,
            HirKind::Concat(parts) => {
                let mut all = Part::EMPTY;
                for part in parts {
                    let part = self.part(part)?;
                    all = self.then(&all, &part);
                }
                all
            }
            HirKind::Alternation(parts) => {
                let mut all = Part::default();
                for part in parts {
                    all.or(&self.part(part)?);
                }
                all
            }
            HirKind::Repetition(repetition) => {
                self.repeated(&repetition.sub, repetition.min, repetition.max)?
            }
        })
    }

    fn repeated(&mut self, sub: &Hir, min: u32, max: Option<u32>) -> Option<Part> {
        let mut copies = copies(min, max);
        if places(sub) == 0 {
            // What takes nothing takes nothing twice.
            copies = copies.min(1);
        }
        let mut all = Part::EMPTY;
        for copy in 0..copies {
            let mut part = self.part(sub)?;
            if max.is_none() && copy + 1 == copies {
                self.lead(&part.ends[ANYWHERE], &part.begins[LATER]);
            }
            if copy >= min {
                part.empty = [true; 3];
            }
            all = self.then(&all, &part);
        }
        Some(all)
    }

    fn place(&mut self, takes: u64) -> Part {
        let mut own = Wide::default();
        let at = self.takes.len();
        // Counted before: there are no more than that.
        if let Some(word) = own.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
        self.takes.push(takes);
        self.follow.push(Wide::default());
        Part {
            begins: [own; 2],
            ends: [own; 2],
            empty: [false; 3],
        }
    }

    /// One part, and then another.
    fn then(&mut self, a: &Part, b: &Part) -> Part {
        self.lead(&a.ends[ANYWHERE], &b.begins[LATER]);
        let mut both = Part {
            begins: a.begins,
            ends: b.ends,
            empty: [WITHIN, AT_BEGINNING, AT_END].map(|at| a.empty[at] && b.empty[at]),
        };
        // Where nothing is taken before, the beginning is still there; where nothing will be, the end is.
        for (which, at) in [AT_BEGINNING, WITHIN].into_iter().enumerate() {
            if a.empty[at] {
                add(&mut both.begins[which], &b.begins[which]);
            }
        }
        for (which, at) in [WITHIN, AT_END].into_iter().enumerate() {
            if b.empty[at] {
                add(&mut both.ends[which], &a.ends[which]);
            }
        }
        both
    }

    fn lead(&mut self, from: &Wide, to: &Wide) {
        for (at, follow) in self.follow.iter_mut().enumerate() {
            if has(from, at) {
                add(follow, to);
            }
        }
    }

    fn steps<const W: usize>(&self, part: &Part) -> Steps<W> {
        let mut takes = [[0; W]; CHARACTERS];
        let (mut goes_on, mut leaps) = (Wide::default(), Wide::default());
        let mut leap: Vec<(Wide, Wide)> = Vec::new();
        for (at, (characters, follow)) in self.takes.iter().zip(&self.follow).enumerate() {
            let (word, bit) = (at / 64, 1 << (at % 64));
            for (number, takes) in takes.iter_mut().enumerate() {
                if characters >> number & 1 != 0
                    && let Some(word) = takes.get_mut(word)
                {
                    *word |= bit;
                }
            }
            let mut far = *follow;
            if has(&far, at + 1) {
                goes_on[word] |= bit;
                far[(at + 1) / 64] ^= 1 << ((at + 1) % 64);
            }
            if is_none(&far) {
                continue;
            }
            leaps[word] |= bit;
            match leap.iter_mut().find(|(_, to)| *to == far) {
                Some((from, _)) => from[word] |= bit,
                None => {
                    let mut from = Wide::default();
                    from[word] |= bit;
                    leap.push((from, far));
                }
            }
        }
        let narrow = |(from, to): &(Wide, Wide)| (head(from), head(to));
        Steps {
            takes,
            begins: [head(&part.begins[0]), head(&part.begins[1])],
            goes_on: head(&goes_on),
            leaps: head(&leaps),
            leap: leap.iter().map(narrow).collect(),
            ends: [head(&part.ends[0]), head(&part.ends[1])],
            backwards: self.backwards,
        }
    }
}

impl Part {
    const EMPTY: Self = Self {
        begins: [[0; MOST / 64]; 2],
        ends: [[0; MOST / 64]; 2],
        empty: [true; 3],
    };

    fn or(&mut self, other: &Self) {
        for which in 0..2 {
            add(&mut self.begins[which], &other.begins[which]);
            add(&mut self.ends[which], &other.ends[which]);
        }
        for at in [WITHIN, AT_BEGINNING, AT_END] {
            self.empty[at] |= other.empty[at];
        }
    }
}

fn add<const W: usize>(to: &mut Bits<W>, more: &Bits<W>) {
    for (word, more) in to.iter_mut().zip(more) {
        *word |= more;
    }
}

fn has(bits: &Wide, at: usize) -> bool {
    bits.get(at / 64)
        .is_some_and(|word| word >> (at % 64) & 1 != 0)
}

/// The first words.
fn head<const W: usize>(bits: &Wide) -> Bits<W> {
    std::array::from_fn(|at| bits.get(at).copied().unwrap_or(0))
}

fn is_none<const W: usize>(bits: &Bits<W>) -> bool {
    bits.iter().all(|word| *word == 0)
}

#[inline]
fn meet<const W: usize>(a: &Bits<W>, b: &Bits<W>) -> bool {
    (0..W).fold(0, |any, at| any | a[at] & b[at]) != 0
}

const fn numbers() -> [u8; 256] {
    let mut numbers = [CHARACTERS as u8 - 1; 256];
    let mut at = 0;
    while at < 26 {
        numbers[b'a' as usize + at] = at as u8;
        at += 1;
    }
    while at < 36 {
        numbers[b'0' as usize + at - 26] = at as u8;
        at += 1;
    }
    numbers[b'-' as usize] = 36;
    numbers[b'.' as usize] = 37;
    numbers[b'_' as usize] = 38;
    numbers
}
