//! v2ray's `geosite.dat` and `geoip.dat`: many lists in one file of protocol buffers.
//!
//! A file is a sequence of lists (field 1). Of a list: its name (1), its entries (2), of addresses also
//! whether all but these are meant (3). Of a name: its kind (1: keyword 0, pattern 1, with all below 2,
//! alone 3), its text (2), its attributes (3). Of a range: its address (1), its length (2). Names and
//! ranges are told apart entry by entry: the one begins with a number, the other with bytes.
//!
//! Invariant: of lists that were not selected only the name is read.

use std::collections::BTreeSet;
use std::net::IpAddr;

use pointsman_policy::{Prefix, near::nearest};

use super::numbered::{Numbered, Test};
use super::proto::{Proto, Value};
use super::ranges::{complement, prefixes_of};
use super::{Bytes, Reading, Unreadable};

/// The most bytes of one entry.
const MAX_ENTRY: u64 = 64 << 10;

/// The most lists of a file that are named: v2ray's has some 1,500.
const MOST_LISTS: usize = 100_000;

/// The most attributes of a list that are named where a wrong one was asked for.
const MOST_NAMED: usize = 20;

pub(super) fn read(bytes: &mut dyn Bytes, reading: &mut Reading<'_>) -> Result<(), Unreadable> {
    let recipe = reading.recipe;
    let selection = match &recipe.select {
        Some(select) => Selection::parse(select),
        None => Selection::only(&mut Proto::new(bytes))?,
    };
    bytes.rewind()?;
    let mut proto = Proto::new(bytes);
    let mut numbered = Numbered::new(reading);
    let mut names = Vec::new();
    let mut found = false;
    let mut attributes = BTreeSet::new();
    while let Some(list) = next(&mut proto)? {
        if list.name.eq_ignore_ascii_case(&selection.name) {
            found = true;
            proto.seek(list.start)?;
            let inverse = is_inverse(&mut proto, list.end)?;
            proto.seek(list.start)?;
            let mut entries = Entries {
                selection: &selection,
                inverse: inverse.then(Vec::new),
                attributes: &mut attributes,
                numbered: &mut numbered,
            };
            entries.list(&mut proto, list.end)?;
        } else {
            proto.skip_to(list.end)?;
            if names.len() < MOST_LISTS {
                names.push(list.name);
            }
        }
    }
    if !found {
        return Err(selection.missing(&names));
    }
    if numbered.count == 0 && !selection.attributes.is_empty() {
        return Err(selection.no_such_attribute(&attributes));
    }
    Ok(())
}

/// The names of the lists in a file, in its order.
pub(super) fn names(bytes: &mut dyn Bytes) -> Result<Vec<String>, Unreadable> {
    bytes.rewind()?;
    let mut proto = Proto::new(bytes);
    let mut names = Vec::new();
    while let Some(list) = next(&mut proto)? {
        proto.skip_to(list.end)?;
        if names.len() == MOST_LISTS {
            let message = format!("the file holds more than {MOST_LISTS} lists");
            return Err(Unreadable::malformed(message));
        }
        names.push(list.name);
    }
    Ok(names)
}

/// A list that was come upon.
struct List {
    name: String,
    /// Where its fields begin.
    start: u64,
    /// Behind its fields.
    end: u64,
}

/// The next list, read up to behind its name.
fn next(proto: &mut Proto<'_>) -> Result<Option<List>, Unreadable> {
    while !proto.at_end()? {
        let (field, value) = proto.field(u64::MAX)?;
        let Value::Bytes(length) = value else {
            continue;
        };
        let start = proto.at;
        let end = start.saturating_add(length);
        if field != 1 {
            proto.skip_to(end)?;
            continue;
        }
        let mut name = String::new();
        while proto.at < end && name.is_empty() {
            match proto.field(end)? {
                (1, Value::Bytes(length)) => proto.text(length.min(MAX_ENTRY), &mut name)?,
                (_, Value::Bytes(length)) => proto.skip(length)?,
                (_, Value::Number(_)) => {}
            }
        }
        return Ok(Some(List { name, start, end }));
    }
    Ok(None)
}

/// Whether all but the list's ranges are meant: said behind them.
fn is_inverse(proto: &mut Proto<'_>, end: u64) -> Result<bool, Unreadable> {
    let mut inverse = false;
    while proto.at < end {
        match proto.field(end)? {
            (3, Value::Number(number)) => inverse = number != 0,
            (_, Value::Bytes(length)) => proto.skip(length)?,
            (_, Value::Number(_)) => {}
        }
    }
    Ok(inverse)
}

/// So many lists are named where one is missing.
const MOST_LIKE: usize = 5;

/// Which list is wanted: `google`, `google@cn`.
struct Selection {
    name: String,
    /// All of them must be an entry's.
    attributes: Vec<String>,
}

impl Selection {
    fn parse(select: &str) -> Self {
        let mut parts = select.split('@').map(str::trim);
        Self {
            name: parts.next().unwrap_or_default().to_owned(),
            attributes: parts.map(str::to_ascii_lowercase).collect(),
        }
    }

    /// The only list of a file.
    fn only(proto: &mut Proto<'_>) -> Result<Self, Unreadable> {
        let first = next(proto)?;
        let first = first.ok_or_else(|| Unreadable::malformed("there is no list in the file"))?;
        proto.skip_to(first.end)?;
        match next(proto)? {
            None => Ok(Self {
                name: first.name,
                attributes: Vec::new(),
            }),
            Some(_) => {
                let example = first.name.to_ascii_lowercase();
                Err(Unreadable::malformed("the file holds many lists")
                    .hint(format!(
                        "choose one: `select: {example}` (`--set {example}`); `pointsman rule-set list` names all"
                    )))
            }
        }
    }

    fn missing(&self, names: &[String]) -> Unreadable {
        let wanted = self.name.to_ascii_lowercase();
        let lower: Vec<String> = names.iter().map(|n| n.to_ascii_lowercase()).collect();
        let error = Unreadable::malformed(format!("there is no list `{wanted}` in the file"));
        // `ru` is meant as `category-ru`, more likely than as `rb`.
        let named: Vec<String> = lower
            .iter()
            .filter(|name| name.split('-').any(|part| part == wanted))
            .take(MOST_LIKE)
            .map(|name| format!("`{name}`"))
            .collect();
        if !named.is_empty() {
            let names = named.join(", ");
            return error.hint(format!(
                "lists with this word: {names}; `pointsman rule-set list` names all"
            ));
        }
        match nearest(&wanted, lower.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error,
        }
    }

    fn no_such_attribute(&self, known: &BTreeSet<String>) -> Unreadable {
        let wanted = self.attributes.join("@");
        let message = format!(
            "no entry of the list `{}` has the attribute `{wanted}`",
            self.name
        );
        let known: Vec<&str> = known.iter().map(String::as_str).take(MOST_NAMED).collect();
        Unreadable::malformed(message).hint(match known.as_slice() {
            [] => "none of its entries has any".to_owned(),
            known => format!("its entries have {}", known.join(", ")),
        })
    }
}

/// The entries of a selected list.
struct Entries<'e, 'r, 'a> {
    selection: &'e Selection,
    /// The ranges, where all but them are meant.
    inverse: Option<Vec<Prefix>>,
    /// All that its entries have.
    attributes: &'e mut BTreeSet<String>,
    numbered: &'e mut Numbered<'r, 'a>,
}

impl Entries<'_, '_, '_> {
    fn list(&mut self, proto: &mut Proto<'_>, end: u64) -> Result<(), Unreadable> {
        let mut entry = Entry::default();
        while proto.at < end {
            match proto.field(end)? {
                (2, Value::Bytes(length)) => {
                    entry.read(proto, length)?;
                    self.entry(&entry);
                    self.numbered.reading.room.check()?;
                }
                (_, Value::Bytes(length)) => proto.skip(length)?,
                (_, Value::Number(_)) => {}
            }
        }
        if let Some(ranges) = self.inverse.take() {
            for (from, to) in complement(ranges) {
                prefixes_of(from, to, &mut |prefix| self.numbered.prefix(prefix));
                self.numbered.reading.room.check()?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) {
        for attribute in &entry.attributes {
            if self.attributes.len() < MOST_NAMED && !self.attributes.contains(attribute) {
                self.attributes.insert(attribute.clone());
            }
        }
        let wanted = self.selection.attributes.iter();
        if !wanted.into_iter().all(|one| entry.attributes.contains(one)) {
            return;
        }
        let text = entry.text.as_str();
        match &entry.address {
            Some(address) => match entry.prefix(address) {
                Some(prefix) => match &mut self.inverse {
                    Some(ranges) => ranges.push(prefix),
                    None => self.numbered.prefix(prefix),
                },
                None => self
                    .numbered
                    .leave_out("", "an address of this length is none".into()),
            },
            None => match entry.number {
                0 => self.numbered.test(Test::Keyword(text)),
                1 => self.numbered.test(Test::Regex(text)),
                2 => self.numbered.test(Test::Suffix(text)),
                3 => self.numbered.test(Test::Exact(text)),
                kind => self
                    .numbered
                    .leave_out(text, format!("names of the kind {kind} are unknown")),
            },
        }
    }
}

/// One entry: a name or a range.
#[derive(Default)]
struct Entry {
    /// Of a range.
    address: Option<Vec<u8>>,
    attributes: Vec<String>,
    /// The kind of a name.
    number: u64,
    /// The length of a range.
    length: u64,
    text: String,
}

impl Entry {
    fn read(&mut self, proto: &mut Proto<'_>, length: u64) -> Result<(), Unreadable> {
        if length > MAX_ENTRY {
            return Err(Unreadable::malformed(format!(
                "an entry of {length} bytes is too long"
            )));
        }
        self.address = None;
        self.attributes.clear();
        (self.number, self.length) = (0, 0);
        self.text.clear();
        let end = proto.at + length;
        while proto.at < end {
            match proto.field(end)? {
                (1, Value::Number(kind)) => self.number = kind,
                (1, Value::Bytes(length)) => self.address = Some(proto.bytes(length)?),
                (2, Value::Number(length)) => self.length = length,
                (2, Value::Bytes(length)) => proto.text(length, &mut self.text)?,
                (3, Value::Bytes(length)) => self.attribute(proto, length)?,
                (_, Value::Bytes(length)) => proto.skip(length)?,
                (_, Value::Number(_)) => {}
            }
        }
        Ok(())
    }

    fn attribute(&mut self, proto: &mut Proto<'_>, length: u64) -> Result<(), Unreadable> {
        let end = proto.at + length;
        while proto.at < end {
            match proto.field(end)? {
                (1, Value::Bytes(length)) => {
                    let mut key = String::new();
                    proto.text(length, &mut key)?;
                    key.make_ascii_lowercase();
                    self.attributes.push(key);
                }
                (_, Value::Bytes(length)) => proto.skip(length)?,
                (_, Value::Number(_)) => {}
            }
        }
        Ok(())
    }

    fn prefix(&self, address: &[u8]) -> Option<Prefix> {
        let length = u8::try_from(self.length).ok()?;
        if let Ok(four) = <[u8; 4]>::try_from(address) {
            return (length <= 32).then(|| Prefix::new(IpAddr::from(four), length));
        }
        let sixteen = <[u8; 16]>::try_from(address).ok()?;
        (length <= 128).then(|| Prefix::new(IpAddr::from(sixteen), length).to_canonical())
    }
}
