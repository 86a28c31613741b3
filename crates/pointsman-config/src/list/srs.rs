//! sing-box's binary rule sets (`.srs`, versions 1 to 5).
//!
//! `SRS`, the version, then packed by zlib: how many rules, and the rules. A rule is 0, its items (each
//! begins with its kind), 255 and whether it is turned around; or 1, `and` (0) or `or` (1), how many
//! rules, these, and whether it is turned around. Numbers are in groups of seven bits, where not said
//! otherwise; ports and counts of addresses are big-endian.
//!
//! Names are a trie in which `\n` before a name stands for it and all below, `\r.` for those below alone
//! (`\r` for all that end so); version 1 has no `\n` but `x` and `\r.x`.
//!
//! Invariant: of a rule of names and addresses alone no condition is built: its entries go to the sink.

use std::io::BufReader;
use std::net::IpAddr;

use flate2::bufread::ZlibDecoder;
use pointsman_policy::condition::{Condition, Side};

use super::headless::{MAX_DEPTH, Other, Rule, adguard, logical};
use super::numbered::{Numbered, Test};
use super::packed::{KEPT, Packed, cut, located};
use super::ranges::prefixes_of;
use super::room::{Room, held};
use super::trie::{Key, Trie};
use super::{Bytes, Reading, Unreadable};

/// What a file begins with.
pub(super) const MAGIC: [u8; 3] = *b"SRS";

/// The newest version that is known.
const NEWEST: u8 = 5;

/// The kinds of items.
pub(super) mod item {
    pub(in super::super) const NETWORK: u8 = 1;
    pub(in super::super) const NAMES: u8 = 2;
    pub(in super::super) const KEYWORD: u8 = 3;
    pub(in super::super) const REGEX: u8 = 4;
    pub(in super::super) const SOURCE_ADDRESSES: u8 = 5;
    pub(in super::super) const ADDRESSES: u8 = 6;
    pub(in super::super) const SOURCE_PORT: u8 = 7;
    pub(in super::super) const SOURCE_PORT_RANGE: u8 = 8;
    pub(in super::super) const PORT: u8 = 9;
    pub(in super::super) const PORT_RANGE: u8 = 10;
    pub(in super::super) const PROCESS_NAME: u8 = 11;
    pub(in super::super) const PROCESS_PATH: u8 = 12;
    pub(in super::super) const ADGUARD: u8 = 16;
    pub(in super::super) const PROCESS_PATH_REGEX: u8 = 17;
    pub(in super::super) const END: u8 = 255;
}

pub(super) fn read(bytes: &mut dyn Bytes, reading: &mut Reading<'_>) -> Result<(), Unreadable> {
    unpack(bytes, reading).map_err(|error| located(error, bytes))
}

fn unpack(bytes: &mut dyn Bytes, reading: &mut Reading<'_>) -> Result<(), Unreadable> {
    let mut head = [0; 4];
    bytes.read_exact(&mut head).map_err(cut)?;
    if head[..3] != MAGIC {
        return Err(Unreadable::malformed(
            "the file is no `.srs` rule set of sing-box",
        ));
    }
    if !(1..=NEWEST).contains(&head[3]) {
        let message = format!("its version {} is newer than what is read here", head[3]);
        return Err(Unreadable::malformed(message));
    }
    let mut unpacked = BufReader::new(ZlibDecoder::new(bytes));
    let room = reading.room;
    let mut packed = Packed::new(&mut unpacked, room);
    let count = packed.varint()?;
    let mut numbered = Numbered::new(reading);
    for _ in 0..packed.promised(count, 1)? {
        room.check()?;
        match packed.byte()? {
            0 => {
                let raw = Raw::read(&mut packed)?;
                if raw.rule.is_plain() && raw.source_ranges.is_empty() {
                    raw.entries(&mut numbered)?;
                } else {
                    take(raw.condition(room)?, &mut numbered);
                }
            }
            1 => take(nested(&mut packed, room, 1)?, &mut numbered),
            kind => return Err(unknown_rule(kind)),
        }
    }
    packed.end()
}

fn take(condition: Result<Condition, String>, to: &mut Numbered<'_, '_>) {
    match condition {
        Ok(condition) => to.rule(condition),
        Err(why) => to.leave_out("", format!("a rule is left out: {why}")),
    }
}

/// A rule made of rules, read from behind its first byte.
fn nested(
    packed: &mut Packed<'_>,
    room: &Room,
    depth: usize,
) -> Result<Result<Condition, String>, Unreadable> {
    if depth > MAX_DEPTH {
        return Err(Unreadable::malformed(
            "rules are nested too deep (more than 32 levels)",
        ));
    }
    let and = match packed.byte()? {
        0 => true,
        1 => false,
        mode => {
            let message = format!("rules are joined in an unknown way ({mode})");
            return Err(Unreadable::malformed(message));
        }
    };
    let count = packed.varint()?;
    let mut rules = Vec::new();
    for _ in 0..packed.promised(count, 1)? {
        packed.keep(KEPT)?;
        rules.push(match packed.byte()? {
            0 => Raw::read(packed)?.condition(room)?,
            1 => nested(packed, room, depth + 1)?,
            kind => return Err(unknown_rule(kind)),
        });
    }
    Ok(logical(and, rules, packed.byte()? != 0))
}

fn unknown_rule(kind: u8) -> Unreadable {
    Unreadable::malformed(format!("a rule is of an unknown kind ({kind})"))
}

/// A rule as it is packed.
#[derive(Default)]
struct Raw {
    adguard: Vec<Trie>,
    keywords: Vec<String>,
    names: Vec<Trie>,
    ranges: Vec<(IpAddr, IpAddr)>,
    regexes: Vec<String>,
    source_ranges: Vec<(IpAddr, IpAddr)>,
    /// All else.
    rule: Rule,
}

impl Raw {
    fn read(packed: &mut Packed<'_>) -> Result<Self, Unreadable> {
        let mut raw = Self::default();
        loop {
            let kind = packed.byte()?;
            match kind {
                item::NAMES => raw.names.push(trie(packed)?),
                item::KEYWORD => raw.keywords.extend(texts(packed)?),
                item::REGEX => raw.regexes.extend(texts(packed)?),
                item::SOURCE_ADDRESSES => ranges(packed, &mut raw.source_ranges)?,
                item::ADDRESSES => ranges(packed, &mut raw.ranges)?,
                item::ADGUARD => raw.adguard.push(trie(packed)?),
                item::END => {
                    raw.rule.invert = packed.byte()? != 0;
                    return Ok(raw);
                }
                other => raw.other(other, packed)?,
            }
        }
    }

    fn other(&mut self, kind: u8, packed: &mut Packed<'_>) -> Result<(), Unreadable> {
        let rule = &mut self.rule;
        match kind {
            item::NETWORK => rule.other(Other::Network, &texts(packed)?),
            item::SOURCE_PORT => numbers(packed)?
                .into_iter()
                .for_each(|port| rule.port(Side::Source, port)),
            item::PORT => numbers(packed)?
                .into_iter()
                .for_each(|port| rule.port(Side::Destination, port)),
            item::SOURCE_PORT_RANGE => texts(packed)?
                .iter()
                .for_each(|range| rule.port_range(Side::Source, range)),
            item::PORT_RANGE => texts(packed)?
                .iter()
                .for_each(|range| rule.port_range(Side::Destination, range)),
            item::PROCESS_NAME => rule.other(Other::ProcessName, &texts(packed)?),
            item::PROCESS_PATH => rule.other(Other::ProcessPath, &texts(packed)?),
            item::PROCESS_PATH_REGEX => rule.other(Other::ProcessPathRegex, &texts(packed)?),
            _ => return self.unsayable(kind, packed),
        }
        Ok(())
    }

    /// Passes over an item that asks for what is not known here.
    fn unsayable(&mut self, kind: u8, packed: &mut Packed<'_>) -> Result<(), Unreadable> {
        let item = match kind {
            0 => {
                numbers(packed)?;
                "query_type"
            }
            13..=15 | 23 => {
                texts(packed)?;
                match kind {
                    13 => "package_name",
                    14 => "wifi_ssid",
                    15 => "wifi_bssid",
                    _ => "package_name_regex",
                }
            }
            18 => {
                let count = packed.varint()?;
                packed.bytes(count)?;
                "network_type"
            }
            19 => "network_is_expensive",
            20 => "network_is_constrained",
            21 => {
                let count = packed.varint()?;
                for _ in 0..packed.promised(count, 2)? {
                    packed.byte()?;
                    prefixes(packed)?;
                }
                "network_interface_address"
            }
            22 => {
                prefixes(packed)?;
                "default_interface_address"
            }
            _ => {
                let message = format!("an item is of an unknown kind ({kind})");
                return Err(Unreadable::malformed(message));
            }
        };
        self.rule.unsayable(item);
        Ok(())
    }

    /// Hands on what a rule of names and addresses alone has.
    fn entries(&self, to: &mut Numbered<'_, '_>) -> Result<(), Unreadable> {
        let before = to.count;
        let room = to.reading.room;
        self.tests(|test| {
            to.test(test);
            room.check()
        })?;
        for (low, high) in &self.ranges {
            room.check()?;
            if !prefixes_of(*low, *high, &mut |prefix| to.prefix(prefix)) {
                to.leave_out(&format!("{low}-{high}"), BACKWARDS.to_owned());
            }
        }
        if to.count == before {
            to.leave_out(
                "",
                "a rule is left out: the rule asks for nothing".to_owned(),
            );
        }
        Ok(())
    }

    fn condition(mut self, room: &Room) -> Result<Result<Condition, String>, Unreadable> {
        // A condition counts twice: while it is made, and where it is handed on.
        let most = held(&Condition::Always) + 64;
        let mut rule = std::mem::take(&mut self.rule);
        self.tests(|test| {
            room.take(most);
            rule.test(test);
            room.check()
        })?;
        let sides = [
            (Side::Destination, &self.ranges),
            (Side::Source, &self.source_ranges),
        ];
        for (side, ranges) in sides {
            for (low, high) in ranges {
                let mut each = |prefix| {
                    room.take(most);
                    rule.prefix(side, prefix);
                };
                if !prefixes_of(*low, *high, &mut each) {
                    rule.cannot(BACKWARDS.to_owned());
                }
                room.check()?;
            }
        }
        Ok(rule.condition())
    }

    /// All its tests on names.
    fn tests(
        &self,
        mut each: impl FnMut(Test<'_>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        for trie in &self.names {
            trie.walk(|key| name(&key, &mut each))?;
        }
        for trie in &self.adguard {
            trie.walk(|key| each(adguard(&unsigned(key.text)).test()))?;
        }
        let words = self.keywords.iter().map(|word| Test::Keyword(word));
        let regexes = self.regexes.iter().map(|text| Test::Regex(text));
        words.chain(regexes).try_for_each(each)
    }
}

const BACKWARDS: &str = "the range ends before it begins";

fn name(
    key: &Key<'_>,
    each: &mut impl FnMut(Test<'_>) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    if let Some(name) = key.text.strip_prefix('\n') {
        each(Test::Suffix(name))
    } else if let Some(name) = key.text.strip_prefix("\r.") {
        match key.also_above() {
            true => Ok(()),
            false => each(Test::Below(name)),
        }
    } else if let Some(end) = key.text.strip_prefix('\r') {
        each(Test::Regex(&format!("{}$", regex::escape(end))))
    } else if key.also_below(b'\r') {
        each(Test::Suffix(key.text))
    } else {
        each(Test::Exact(key.text))
    }
}

/// AdGuard's rule as it was written, from how it is kept: `\n` for `||`, `\r` for no anchor, nothing
/// for `|`; `\u{8}` behind it for no `^`.
fn unsigned(key: &str) -> String {
    let (anchor, rest) = match (key.strip_prefix('\n'), key.strip_prefix('\r')) {
        (Some(rest), _) => ("||", rest),
        (None, Some(rest)) => ("", rest),
        (None, None) => ("|", key),
    };
    match rest.strip_suffix('\u{8}') {
        Some(open) => format!("{anchor}{open}"),
        None => format!("{anchor}{rest}^"),
    }
}

fn trie(packed: &mut Packed<'_>) -> Result<Trie, Unreadable> {
    // Its version, 0 or 1, says nothing.
    packed.byte()?;
    packed.keep(KEPT)?;
    Trie::read(packed, |packed| packed.varint())
}

fn texts(packed: &mut Packed<'_>) -> Result<Vec<String>, Unreadable> {
    let count = packed.varint()?;
    (0..packed.promised(count, 1)?)
        .map(|_| packed.text())
        .collect()
}

fn numbers(packed: &mut Packed<'_>) -> Result<Vec<u16>, Unreadable> {
    let count = packed.varint()?;
    (0..packed.promised(count, 2)?)
        .map(|_| packed.u16())
        .collect()
}

fn ranges(packed: &mut Packed<'_>, to: &mut Vec<(IpAddr, IpAddr)>) -> Result<(), Unreadable> {
    let version = packed.byte()?;
    if version != 1 {
        let message = format!("addresses are kept in an unknown way ({version})");
        return Err(Unreadable::malformed(message));
    }
    let count = packed.u64()?;
    for _ in 0..packed.promised(count, 10)? {
        packed.keep(size_of::<(IpAddr, IpAddr)>() as u64)?;
        to.push((address(packed)?, address(packed)?));
    }
    Ok(())
}

fn address(packed: &mut Packed<'_>) -> Result<IpAddr, Unreadable> {
    match packed.varint()? {
        4 => {
            let mut four = [0; 4];
            packed.fill(&mut four)?;
            Ok(four.into())
        }
        16 => {
            let mut sixteen = [0; 16];
            packed.fill(&mut sixteen)?;
            Ok(sixteen.into())
        }
        length => {
            let message = format!("an address has 4 or 16 bytes, and not {length}");
            Err(Unreadable::malformed(message))
        }
    }
}

/// Passes over prefixes.
fn prefixes(packed: &mut Packed<'_>) -> Result<(), Unreadable> {
    let count = packed.varint()?;
    for _ in 0..packed.promised(count, 6)? {
        address(packed)?;
        packed.byte()?;
    }
    Ok(())
}
