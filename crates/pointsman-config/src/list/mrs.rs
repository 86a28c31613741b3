//! mihomo's binary rule sets (`.mrs`): names as a trie, or ranges of addresses, packed by zstd.
//!
//! Unpacked: `MRS` and 1; the behaviour (0 names, 1 addresses); how many entries there were (64 bits);
//! a part for later, behind its length (64 bits); the content, which begins with its version, 1. Of
//! names: a trie, each part behind its length (64 bits); `x` beside `+.x` means `x` and all below, `+.x`
//! alone only those below, a label `*` any one label. Of addresses: how many ranges (64 bits), then both
//! ends of each, 16 bytes each, IPv4 mapped.

use std::io::BufReader;
use std::net::{IpAddr, Ipv6Addr};

use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::FrameDecoderError;

use super::numbered::{Numbered, Test};
use super::packed::{Packed, is_end, located};
use super::ranges::prefixes_of;
use super::trie::Trie;
use super::{Behavior, Bytes, Reading, Unreadable};

/// What the unpacked bytes begin with.
pub(super) const MAGIC: [u8; 4] = *b"MRS\x01";

/// The byte of a list of names.
pub(super) const NAMES: u8 = 0;

/// The byte of a list of addresses.
pub(super) const ADDRESSES: u8 = 1;

/// What every unpacker must give (RFC 8878, section 3.1.1.1.2), in bytes.
const LEAST_WINDOW: u64 = 8 << 20;

/// The most memory that the unpacker may be asked for, in bytes.
const MAX_WINDOW: u64 = 64 << 20;

pub(super) fn read(bytes: &mut dyn Bytes, reading: &mut Reading<'_>) -> Result<(), Unreadable> {
    unpack(bytes, reading).map_err(|error| located(error, bytes))
}

fn unpack(bytes: &mut dyn Bytes, reading: &mut Reading<'_>) -> Result<(), Unreadable> {
    let room = reading.room;
    let window = MAX_WINDOW.min(room.limit().max(LEAST_WINDOW));
    let unpacked = StreamingDecoder::new_with_max_window_size(bytes, window)
        .map_err(|error| no_frame(error, window))?;
    let mut unpacked = BufReader::new(unpacked);
    let mut packed = Packed::new(&mut unpacked, room);
    let mut magic = [0; 4];
    packed.fill(&mut magic)?;
    if magic != MAGIC {
        return Err(Unreadable::malformed(
            "the file is no `.mrs` rule set of mihomo",
        ));
    }
    let behavior = packed.byte()?;
    let _count = packed.u64()?;
    let later = packed.u64()?;
    packed.bytes(later)?;
    match packed.byte()? {
        1 => {}
        version => {
            let message = format!("its version {version} is newer than what is read here");
            return Err(Unreadable::malformed(message));
        }
    }
    match behavior {
        NAMES => {
            reading.told.behavior = Some(Behavior::Domain);
            names(&mut packed, &mut Numbered::new(reading))?;
        }
        ADDRESSES => {
            reading.told.behavior = Some(Behavior::IpCidr);
            addresses(&mut packed, &mut Numbered::new(reading))?;
        }
        other => {
            let message = format!("it holds what is neither names nor addresses ({other})");
            return Err(Unreadable::malformed(message));
        }
    }
    packed.end()
}

fn no_frame(error: FrameDecoderError, window: u64) -> Unreadable {
    Unreadable::malformed(match error {
        error if is_end(&error) => "the list is cut off".to_owned(),
        FrameDecoderError::WindowSizeTooBig { requested, .. } => format!(
            "unpacking the list takes {requested} bytes of memory; at most {window} are given"
        ),
        _ => "the list is damaged: it does not begin with a zstd frame".to_owned(),
    })
}

fn names(packed: &mut Packed<'_>, to: &mut Numbered<'_, '_>) -> Result<(), Unreadable> {
    let trie = Trie::read(packed, |packed| packed.u64())?;
    trie.walk(|key| {
        let (name, below) = match key.text.strip_prefix("+.") {
            Some(name) => (name, true),
            None => (key.text, false),
        };
        if name.contains('*') {
            to.test(Test::Regex(&wildcard(name, below)));
        } else if !below && key.also_below(b'+') {
            to.test(Test::Suffix(name));
        } else if !below {
            to.test(Test::Exact(name));
        } else if !key.also_above() {
            to.test(Test::Below(name));
        }
        to.reading.room.check()
    })
}

/// A pattern for a name with labels that stand for any one label.
pub(super) fn wildcard(name: &str, below: bool) -> String {
    let labels = name.split('.').map(|label| match label {
        "*" => "[^.]+".to_owned(),
        label => regex::escape(label),
    });
    let labels = labels.collect::<Vec<_>>().join("\\.");
    let before = if below { ".+\\." } else { "" };
    format!("^{before}{labels}$")
}

fn addresses(packed: &mut Packed<'_>, to: &mut Numbered<'_, '_>) -> Result<(), Unreadable> {
    let count = packed.u64()?;
    for _ in 0..packed.promised(count, 32)? {
        let mut end = || -> Result<IpAddr, Unreadable> {
            let mut address = [0; 16];
            packed.fill(&mut address)?;
            Ok(IpAddr::V6(Ipv6Addr::from(address)))
        };
        let (low, high) = (end()?, end()?);
        if !prefixes_of(low, high, &mut |prefix| to.prefix(prefix)) {
            let why = "the range ends before it begins".to_owned();
            to.leave_out(&format!("{low}-{high}"), why);
        }
        to.reading.room.check()?;
    }
    Ok(())
}
