//! Marks of names in a list of text, and patterns of dnscrypt-proxy's: by whose words it is written.
//!
//! Invariant: where two readings are at hand, the one that is taken is told.

use super::report::{ReadReport, Remark, Spot};
use super::{Behavior, Bytes, Unreadable};

/// What the names of a list are by their marks.
pub(super) struct Marked {
    pub(super) behavior: Option<Behavior>,
    /// Whether its marks are mihomo's.
    pub(super) clash: bool,
    /// Whether its patterns are dnscrypt-proxy's.
    pub(super) dnscrypt: bool,
}

impl Marked {
    fn names(dnscrypt: bool) -> Self {
        Self {
            behavior: Some(Behavior::Names),
            clash: false,
            dnscrypt,
        }
    }
}

/// Whether a list that is declared to be of names has a pattern that dnscrypt-proxy alone knows.
pub(super) fn has_own_patterns(bytes: &mut dyn Bytes) -> Result<bool, Unreadable> {
    Ok(has_signs(bytes)? && Marks::of(bytes)?.own > 0)
}

/// Tells whether a list marks names that stand for all below, so that a plain one stands for itself: most of its
/// names are marked. All of it is looked at: such lists have the plain ones first. Its marks are mihomo's where most
/// are `+.`, which nobody else has.
pub(super) fn names(bytes: &mut dyn Bytes, told: &mut ReadReport) -> Result<Marked, Unreadable> {
    // Most lists have none, and are not looked at byte by byte.
    if !has_signs(bytes)? {
        return Ok(Marked::names(false));
    }
    let Marks {
        plain,
        plus,
        others,
        patterns,
        own,
        first,
    } = Marks::of(bytes)?;
    let marked = plus + others;
    // Patterns that Clash may have, too, decide where they are more than the marks.
    let dnscrypt = plus == 0 && (own > 0 || patterns > marked);
    if marked > 0 && patterns + own > 0 {
        let whose = match dnscrypt {
            true => {
                "it is read as dnscrypt-proxy's: `ads.*` is each name that begins so, and names stand for all below them, too"
            }
            false => "it is not read as dnscrypt-proxy's: `*` in a name is any text without a dot",
        };
        let message = format!(
            "the list has {} patterns as dnscrypt-proxy has them (`ads.*`, `*ads*`, `=x`) and {marked} names with marks (`+.`, `*.` or `.`): {whose}",
            patterns + own
        );
        told.say(Remark::Guessed, Spot::new(1, "", 0, 0), message);
    }
    if dnscrypt {
        return Ok(Marked::names(true));
    }
    // A pattern is a name without a mark, as Clash has them.
    let plain = plain + patterns + own;
    let (behavior, meaning) = match marked >= plain && marked > 0 {
        true => (Behavior::Domain, "stand for themselves alone"),
        false => (Behavior::Names, "stand for all below, too"),
    };
    if plain.min(marked) * 10 > plain + marked {
        let message = format!(
            "{marked} of {} names are marked (`+.`, `*.` or `.`): plain ones {meaning}",
            plain + marked
        );
        told.say(Remark::Guessed, Spot::new(1, "", 0, 0), message);
    }
    let clash = behavior == Behavior::Domain && plus > others;
    // Where all have the same mark the list means what such lists mean.
    if !clash && others > 0 && plain + plus > 0 {
        let message = "`*.x` and `.x` stand for `x` and all below here; to Clash (`behavior: domain`) for one label below, and for those below alone";
        told.say(Remark::Guessed, Spot::new(first, "", 0, 0), message.into());
    }
    Ok(Marked {
        behavior: Some(behavior),
        clash,
        dnscrypt,
    })
}

/// Whether a text has what marks or patterns begin with: a line with a mark behind white space, or a sign of a pattern
/// anywhere.
fn has_signs(bytes: &mut dyn Bytes) -> Result<bool, Unreadable> {
    bytes.rewind()?;
    let mut begins = true;
    loop {
        let available = bytes.fill_buf()?;
        if available.is_empty() {
            return Ok(false);
        }
        for byte in available {
            let sign = matches!(byte, b'*' | b'=' | b'?' | b'[');
            if sign || begins && matches!(byte, b'+' | b'.') {
                return Ok(true);
            }
            begins = *byte == b'\n' || begins && matches!(byte, b' ' | b'\t');
        }
        let used = available.len();
        bytes.consume(used);
    }
}

/// How many names of a text have which mark.
#[derive(Default)]
struct Marks {
    /// None.
    plain: u64,
    /// `+.`
    plus: u64,
    /// `*.` or `.`
    others: u64,
    /// Names as dnscrypt-proxy writes patterns, and Clash may, too: `ads.*`, `*ads*`.
    patterns: u64,
    /// Patterns that dnscrypt-proxy alone has: `=x`, `x?.test`, `x[0-9].test`.
    own: u64,
    /// The line of the first of the others.
    first: u32,
}

impl Marks {
    fn of(bytes: &mut dyn Bytes) -> Result<Self, Unreadable> {
        bytes.rewind()?;
        let mut marks = Self::default();
        let (mut line, mut number) = (LineShape::default(), 1_u32);
        loop {
            let available = bytes.fill_buf()?;
            if available.is_empty() {
                line.end(number, &mut marks);
                return Ok(marks);
            }
            for byte in available {
                match byte {
                    b'\n' => {
                        line.end(number, &mut marks);
                        number = number.saturating_add(1);
                    }
                    _ => line.take(*byte),
                }
            }
            let used = available.len();
            bytes.consume(used);
        }
    }
}

/// What is kept of a line of which each byte is seen once.
#[derive(Default)]
struct LineShape {
    first: u8,
    second: u8,
    last: u8,
    stars: u32,
    /// Whether it has `?` or `[`.
    open: bool,
    /// Whether it has a letter.
    lettered: bool,
    /// Whether a comment or white space came.
    over: bool,
    /// Whether it is no name: a rule, a range, a mark of another kind.
    other: bool,
}

impl LineShape {
    fn take(&mut self, byte: u8) {
        match byte {
            _ if self.over => {}
            b' ' | b'\t' | b'\r' if self.first == 0 => {}
            b' ' | b'\t' | b'\r' | b'#' | b';' => self.over = true,
            b'=' if self.first == 0 => {}
            b',' | b':' | b'/' | b'=' | b'|' | b'@' | b'^' | b'!' => self.other = true,
            b'?' | b'[' => self.open = true,
            _ => self.lettered |= byte.is_ascii_alphabetic() || byte >= 0x80,
        }
        if self.over || self.first == 0 && matches!(byte, b' ' | b'\t' | b'\r') {
            return;
        }
        self.stars += u32::from(byte == b'*');
        self.last = byte;
        if self.first == 0 {
            self.first = byte;
        } else if self.second == 0 {
            self.second = byte;
        }
    }

    /// Whether it is a pattern as dnscrypt-proxy has them.
    fn is_pattern(&self) -> bool {
        let open = match self.first {
            b'*' => self.stars == 2,
            b'+' | b'.' => false,
            _ => self.stars == 1,
        };
        open && self.last == b'*'
    }

    fn end(&mut self, number: u32, marks: &mut Marks) {
        let line = std::mem::take(self);
        match line.first {
            _ if line.other || !line.lettered => {}
            _ if line.first == b'=' || line.open => marks.own += 1,
            _ if line.is_pattern() => marks.patterns += 1,
            // `*ads.x` is no name with all below, nor is `*.ad*.x`.
            b'*' if line.second != b'.' || line.stars > 1 => {}
            b'+' => marks.plus += 1,
            b'.' | b'*' => {
                if marks.others == 0 {
                    marks.first = number;
                }
                marks.others += 1;
            }
            _ => marks.plain += 1,
        }
    }
}
