//! A set as bytes, to be kept beside its list: the next start reads no list that has not changed.
//!
//! Little-endian: eight bytes of magic with the version; the SipHash-1-3 of all that follows, under a key
//! derived from the process's; then important names, names, prefixes, forms, and exceptions by pattern and the other entries as their lines and texts,
//! which whoever reads parses anew. The key itself is not in it, so such a file tells no secret, and one that
//! was made under another key is refused as a damaged one is.
//!
//! Invariants: reading is total and takes no more memory than some times the bytes given. Bytes that pass are
//! those that were written.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::forms::{Form, Forms};
use super::jump::Jump;
use super::names::{Directory, NameTable};
use super::places::{At, Places};
use super::prefixes::PrefixTable;
use super::ranges::{Ranges, Written};
use super::sip::Sip;
use super::{Content, ExceptPattern, Other, RuleSet, names};
use crate::address::Prefix;
use crate::condition::Condition;
use crate::key::Key;

/// Changes with every change of what follows it.
const MAGIC: [u8; 8] = *b"pmset\0\0\x05";

/// Why bytes are no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCache {
    /// Other bytes, or those of another version.
    #[error("these bytes are no rule set of this version")]
    Foreign,
    /// Not as they were written, or written under another key.
    #[error("these bytes are damaged, or were written under another key")]
    Damaged,
    /// They are well preserved, but contradict themselves.
    #[error("these bytes contradict themselves")]
    Malformed,
    /// The entry of this line is no entry any more.
    #[error("the entry of line {0} is not understood")]
    Entry(u32),
}

impl RuleSet {
    /// The set's content as bytes, for [`Self::from_bytes`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let content = &*self.content;
        let mut bytes = Vec::with_capacity(content.names.bytes() + 256);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[0; 8]);
        write_names(&mut bytes, &content.important);
        write_names(&mut bytes, &content.names);
        write_ranges(&mut bytes, &content.ranges);
        write_count(&mut bytes, content.forms.0.len());
        for form in &content.forms.0 {
            write_form(&mut bytes, form);
        }
        write_count(&mut bytes, content.except.len());
        for except in &content.except {
            bytes.extend_from_slice(&except.line.to_le_bytes());
            write_text(&mut bytes, &except.text);
        }
        write_count(&mut bytes, content.others.len());
        for other in &content.others {
            bytes.extend_from_slice(&other.line.to_le_bytes());
            write_text(&mut bytes, &other.text);
        }
        seal(content.key, &mut bytes);
        bytes
    }

    /// The set that [`Self::to_bytes`] wrote under the same key. `other` parses an entry that is neither a
    /// name nor a prefix from its line (from 1) and its text; of an exception it gives what is excepted.
    ///
    /// # Errors
    /// [`BadCache`]; whoever keeps such bytes reads the list instead.
    pub fn from_bytes(
        name: impl Into<Arc<str>>,
        file: impl Into<Arc<str>>,
        key: Key,
        bytes: &[u8],
        mut other: impl FnMut(u32, &str) -> Option<Condition>,
    ) -> Result<Self, BadCache> {
        let (head, body) = bytes.split_first_chunk::<16>().ok_or(BadCache::Foreign)?;
        if head[..8] != MAGIC {
            return Err(BadCache::Foreign);
        }
        if head[8..] != checksum(key, body).to_le_bytes() {
            return Err(BadCache::Damaged);
        }
        let mut rest = Rest(body);
        let malformed = BadCache::Malformed;
        let important = rest.names().ok_or(malformed)?;
        let names = rest.names().ok_or(malformed)?;
        let ranges = rest.ranges().ok_or(malformed)?;
        let forms = rest.forms().ok_or(malformed)?;
        let mut except = Vec::new();
        for _ in 0..rest.u32().ok_or(malformed)? {
            let line = rest.u32().ok_or(malformed)?;
            let text = rest.text().ok_or(malformed)?;
            let Some(Condition::Domain(test)) = other(line, text) else {
                return Err(BadCache::Entry(line));
            };
            let text = text.into();
            except.push(ExceptPattern { test, line, text });
        }
        let mut others = Vec::new();
        for _ in 0..rest.u32().ok_or(malformed)? {
            let line = rest.u32().ok_or(malformed)?;
            let text = rest.text().ok_or(malformed)?;
            others.push(Other {
                condition: other(line, text).ok_or(BadCache::Entry(line))?,
                line,
                text: text.into(),
            });
        }
        if !rest.0.is_empty() {
            return Err(malformed);
        }
        Ok(Self {
            name: name.into(),
            file: file.into(),
            content: Arc::new(Content {
                key,
                important,
                names,
                except,
                ranges,
                jump: Jump::new(&others),
                others,
                forms,
            }),
        })
    }
}

/// Writes the checksum of what follows the head into it.
pub(crate) fn seal(key: Key, bytes: &mut [u8]) {
    if let Some((head, body)) = bytes.split_first_chunk_mut::<16>() {
        head[..8].copy_from_slice(&MAGIC);
        head[8..].copy_from_slice(&checksum(key, body).to_le_bytes());
    }
}

/// Of whole words, the last filled up with zeros, and the length.
fn checksum(Key([low, high]): Key, body: &[u8]) -> u64 {
    // Apart from the fingerprints' key, as the same function serves both.
    let mut sip = Sip::new(Key([
        low ^ 0x7365_7420_6361_6368,
        high ^ 0x6520_7365_616c_0001,
    ]));
    let (words, rest) = body.as_chunks::<8>();
    for word in words {
        sip.take(u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    sip.take(u64::from_le_bytes(last));
    sip.take(body.len() as u64);
    sip.finish()
}

fn write_names(bytes: &mut Vec<u8>, names: &NameTable) {
    bytes.extend_from_slice(&names.count.to_le_bytes());
    let width = names.places.as_ref().map_or(0, |places| places.width);
    bytes.extend_from_slice(&[names.bits, width]);
    for depths in names.depths {
        bytes.extend_from_slice(&depths.to_le_bytes());
    }
    bytes.extend(names.buckets.begins().flat_map(|begin| begin.to_le_bytes()));
    bytes.extend_from_slice(&names.entries);
    if let Some(places) = &names.places {
        bytes.extend_from_slice(&places.lines);
        bytes.extend_from_slice(&places.forms);
        write_count(bytes, places.far.len());
        for (entry, form) in &places.far {
            bytes.extend_from_slice(&entry.to_le_bytes());
            bytes.extend_from_slice(&form.to_le_bytes());
        }
    }
}

fn write_ranges(bytes: &mut Vec<u8>, ranges: &Ranges) {
    ranges.table.write(bytes);
    bytes.push(u8::from(ranges.written.is_some()));
    let Some(written) = &ranges.written else {
        return;
    };
    for runs in &written.runs {
        write_count(bytes, runs.len());
        runs.iter().for_each(|run| write_at(bytes, *run));
    }
    write_count(bytes, written.unusual.len());
    for (prefix, at) in &written.unusual {
        let (family, address) = match prefix.address() {
            IpAddr::V4(address) => (4, address.to_ipv6_mapped()),
            IpAddr::V6(address) => (6, address),
        };
        bytes.extend_from_slice(&[family, prefix.length()]);
        bytes.extend_from_slice(&address.octets());
        write_at(bytes, *at);
    }
}

fn write_at(bytes: &mut Vec<u8>, at: At) {
    bytes.extend_from_slice(&at.line.to_le_bytes());
    bytes.extend_from_slice(&at.form.to_le_bytes());
}

fn write_form(bytes: &mut Vec<u8>, form: &Form) {
    let (tag, first, second) = match form {
        Form::Around(before, after) => (0, &**before, &**after),
        Form::Bare(before, after) => (1, &**before, &**after),
        Form::Verbatim(text) => (2, &**text, ""),
    };
    bytes.push(tag);
    write_text(bytes, first);
    write_text(bytes, second);
}

fn write_text(bytes: &mut Vec<u8>, text: &str) {
    write_count(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

/// Tables, forms and texts are shorter than 2^32: a set of more forms would take hundreds of gigabytes.
fn write_count(bytes: &mut Vec<u8>, count: usize) {
    bytes.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

/// What is still to be read.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn count(&mut self) -> Option<usize> {
        self.u32().map(|count| count as usize)
    }

    fn text(&mut self) -> Option<&'b str> {
        let count = self.count()?;
        std::str::from_utf8(self.take(count)?).ok()
    }

    fn names(&mut self) -> Option<NameTable> {
        let count = self.u32()?;
        let [bits, width] = self.array()?;
        let mut depths = [0; names::Kind::COUNT];
        for depth in &mut depths {
            *depth = u128::from_le_bytes(self.array()?);
        }
        if count == 0 {
            return (bits == 0 && width == 0 && depths == [0; names::Kind::COUNT])
                .then(NameTable::default);
        }
        if bits > names::MOST_BITS {
            return None;
        }
        let (begins, _) = self.take(4 * ((1 << bits) + 1))?.as_chunks::<4>();
        let buckets: Vec<u32> = begins
            .iter()
            .map(|bytes| u32::from_le_bytes(*bytes))
            .collect();
        if !buckets.is_sorted() || buckets.first() != Some(&0) || buckets.last() != Some(&count) {
            return None;
        }
        let entries = self.take(names::entry_bytes(bits, count as usize))?.into();
        let places = match width {
            0 => None,
            3 | 4 => Some(self.places(count as usize, width)?),
            _ => return None,
        };
        Some(NameTable {
            count,
            bits,
            buckets: Directory::new(bits, buckets),
            entries,
            depths,
            places,
        })
    }

    fn places(&mut self, count: usize, width: u8) -> Option<Places> {
        let lines = self.take(count.checked_mul(usize::from(width))?)?.into();
        let forms = self.take(count)?.into();
        let mut far = Vec::new();
        for _ in 0..self.count()? {
            far.push((self.u32()?, self.u32()?));
        }
        far.is_sorted().then(|| Places {
            width,
            lines,
            forms,
            far: far.into(),
        })
    }

    fn ranges(&mut self) -> Option<Ranges> {
        let table = PrefixTable::read(&mut self.0).ok()?;
        let written = match self.array()? {
            [0] => None,
            [1] => Some(self.written()?),
            _ => return None,
        };
        Some(Ranges { table, written })
    }

    fn written(&mut self) -> Option<Written> {
        let mut written = Written::default();
        for runs in &mut written.runs {
            for _ in 0..self.count()? {
                runs.push(self.at()?);
            }
            runs.shrink_to_fit();
        }
        for _ in 0..self.count()? {
            let [family, length] = self.array()?;
            let address = Ipv6Addr::from(self.array::<16>()?);
            let address = match family {
                4 => IpAddr::from(address.to_ipv4_mapped()?),
                6 => IpAddr::from(address),
                _ => return None,
            };
            let prefix = Prefix::new(address, length);
            written.unusual.push((prefix, self.at()?));
        }
        written.unusual.shrink_to_fit();
        let sorted =
            written.unusual.is_sorted() && written.runs.iter().all(|runs| runs.is_sorted());
        sorted.then_some(written)
    }

    fn at(&mut self) -> Option<At> {
        Some(At {
            line: self.u32()?,
            form: self.u32()?,
        })
    }

    fn forms(&mut self) -> Option<Forms> {
        let mut forms = Vec::new();
        for _ in 0..self.count()? {
            let [tag] = self.array()?;
            let (first, second) = (self.text()?, self.text()?);
            forms.push(Arc::new(match tag {
                0 => Form::Around(first.into(), second.into()),
                1 => Form::Bare(first.into(), second.into()),
                2 => Form::Verbatim(first.into()),
                _ => return None,
            }));
        }
        Some(Forms(forms.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::DomainTest;
    use crate::domain::Domain;
    use crate::set::RuleSetBuilder;

    const KEY: Key = Key([11, 12]);

    fn keyword(text: &str) -> Condition {
        Condition::Domain(DomainTest::Keyword(text.into()))
    }

    fn set(small: bool) -> RuleSet {
        let builder = RuleSetBuilder::new("set", "set.txt", KEY);
        let mut set = if small { builder.small() } else { builder };
        for line in 1..=300_u32 {
            let name = Domain::parse(&format!("n{line}.test")).unwrap();
            set.add_suffix(name, line, &format!("0.0.0.{line} n{line}.test"));
        }
        set.add_prefix("10.3.0.0/16".parse().unwrap(), 700, "10.3.9.9/16");
        set.add_prefix("2001:db8::1".parse().unwrap(), 701, "2001:db8::1");
        set.add_other(keyword("ads"), 702, "ads");
        set.finish()
    }

    fn read(bytes: &[u8]) -> Result<RuleSet, BadCache> {
        RuleSet::from_bytes("set", "set.txt", KEY, bytes, |line, text| {
            (line == 702 && text == "ads").then(|| keyword(text))
        })
    }

    #[test]
    fn what_is_written_is_read() {
        for small in [false, true] {
            let set = set(small);
            let bytes = set.to_bytes();
            let again = read(&bytes).unwrap();
            assert_eq!(again.to_bytes(), bytes);
            assert_eq!(again.len(), set.len());
            for line in 1..=301 {
                let name = Domain::parse(&format!("x.n{line}.test")).unwrap();
                let entry = |set: &RuleSet| set.find_name(&name).map(|found| set.entry(found));
                assert_eq!(entry(&again), entry(&set), "{name}");
                assert_eq!(entry(&again).is_some(), line <= 300);
            }
            for address in ["10.3.1.1", "2001:db8::1", "10.4.0.0"] {
                let address = address.parse().unwrap();
                let entry = |set: &RuleSet| set.find_address(address).map(|found| set.entry(found));
                assert_eq!(entry(&again), entry(&set), "{address}");
            }
            assert_eq!(again.others()[0].line, 702);
        }
        let empty = RuleSet::new("set", "");
        let again = RuleSet::from_bytes("a", "", Key::default(), &empty.to_bytes(), |_, _| None);
        assert!(again.unwrap().is_empty());
    }

    #[test]
    fn damage_is_noticed() {
        let bytes = set(false).to_bytes();
        for at in (0..40).chain((40..bytes.len()).step_by(37)) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            let expected = if at < 8 {
                BadCache::Foreign
            } else {
                BadCache::Damaged
            };
            assert_eq!(read(&damaged).map(drop), Err(expected), "byte {at}");
        }
        for length in (0..40).chain((40..bytes.len()).step_by(37)) {
            assert!(read(&bytes[..length]).is_err(), "{length} bytes");
        }
        let other_key = RuleSet::from_bytes("set", "", Key([11, 13]), &bytes, |_, _| None);
        assert_eq!(other_key.map(drop), Err(BadCache::Damaged));
        let unknown = RuleSet::from_bytes("set", "", KEY, &bytes, |_, _| None);
        assert_eq!(unknown.map(drop), Err(BadCache::Entry(702)));
    }

    /// Behind a valid checksum too, nothing is believed.
    #[test]
    fn contradictions_are_noticed() {
        let bytes = set(false).to_bytes();
        let mut refused = 0;
        for at in (16..200).chain((200..bytes.len()).step_by(37)) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x81;
            seal(KEY, &mut changed);
            refused += usize::from(read(&changed).is_err());
            changed.truncate(at);
            seal(KEY, &mut changed);
            assert_eq!(
                read(&changed).map(drop),
                Err(BadCache::Malformed),
                "{at} bytes"
            );
        }
        assert!(refused > 100, "{refused}");
    }
}
