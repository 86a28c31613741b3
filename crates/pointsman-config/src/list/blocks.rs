//! Ranges of addresses as programs that block them write them: two columns, a mask, eMule's filter, commands of
//! `ipset`, and addresses that end in `*`.
//!
//! Invariant: what is not wholly of such a form is none, so that nothing is taken for a range that it may not be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pointsman_policy::Prefix;

/// The range of an address and its mask, `10.0.0.0 255.0.0.0`, and whether the address has bits behind the mask; `None`:
/// the second is no mask.
pub(super) fn of_mask(address: &str, mask: &str) -> Option<(Prefix, bool)> {
    let address: Ipv4Addr = address.parse().ok()?;
    let mask: Ipv4Addr = mask.parse().ok().filter(|mask| is_mask(*mask))?;
    let length = u8::try_from(mask.to_bits().leading_ones()).ok()?;
    let bits = address.to_bits() & !mask.to_bits() != 0;
    Some((Prefix::new(address.into(), length), bits))
}

/// Whether an address has ones at its beginning alone, and no few of them.
fn is_mask(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    bits.leading_ones() >= 8 && bits.leading_ones() + bits.trailing_zeros() >= 32
}

/// The range between an address and the one behind it. Two that may be a host and another are none, unless the list is
/// known to have `pairs`: else they are the ends of one block, from its first address to its last.
pub(super) fn of_columns(first: &str, second: &str, pairs: bool) -> Option<(IpAddr, IpAddr)> {
    let (from, to, bits, low, span) = ordered(first, second)?;
    let is_block = span
        .checked_add(1)
        .is_some_and(|size| size.is_power_of_two())
        && low & span == 0
        && span != 1;
    let small = span >> (bits / 2) == 0;
    (is_block || pairs && small).then_some((from, to))
}

/// Whether a line has the ends of a small range in its first columns.
pub(super) fn is_small_pair(entry: &str) -> bool {
    let mut words = entry.split_ascii_whitespace();
    let (Some(first), Some(second)) = (words.next(), words.next()) else {
        return false;
    };
    of_mask(first, second).is_none() && of_columns(first, second, true).is_some()
}

/// Two addresses of which the second does not come before the first: both, the bits of their family, the first as a
/// number, and how far the second is from it. What begins a hosts file's lines begins no range.
fn ordered(first: &str, second: &str) -> Option<(IpAddr, IpAddr, u32, u128, u128)> {
    let (from, to): (IpAddr, IpAddr) = (first.parse().ok()?, second.parse().ok()?);
    let (bits, low, high) = match (from, to) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (32, u128::from(a.to_bits()), u128::from(b.to_bits())),
        (IpAddr::V6(a), IpAddr::V6(b)) => (128, a.to_bits(), b.to_bits()),
        _ => return None,
    };
    let span = high.checked_sub(low)?;
    let of_this_host = from.is_loopback() || from.is_unspecified();
    (!of_this_host).then_some((from, to, bits, low, span))
}

/// A line of eMule's `ipfilter.dat`.
pub(super) struct Emule {
    pub(super) from: Ipv4Addr,
    pub(super) to: Ipv4Addr,
    pub(super) blocked: bool,
}

/// The range of `001.002.003.004 - 005.006.007.008 , 000 , name`: eMule blocks those of a level up to 126.
pub(super) fn of_emule(entry: &str) -> Option<Emule> {
    let (from, rest) = entry.split_once('-')?;
    let (from, rest) = (from.trim(), rest.trim());
    let mut columns = rest.splitn(3, ',').map(str::trim);
    let to = columns.next()?;
    let level = columns.next().map(str::parse::<u8>);
    let is_padded = |text: &str| text.len() == 15;
    let (from, to, padded) = (
        decimal(from)?,
        decimal(to)?,
        is_padded(from) && is_padded(to),
    );
    match level {
        Some(Ok(level)) => Some(Emule {
            from,
            to,
            blocked: level < 127,
        }),
        None if padded => Some(Emule {
            from,
            to,
            blocked: true,
        }),
        Some(Err(_)) | None => None,
    }
}

/// An address whose numbers may be filled up with zeros to three digits, as eMule has them. They are decimal there.
fn decimal(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        let digits = part.bytes().all(|b| b.is_ascii_digit());
        if !digits || part.len() > 3 || part.starts_with('0') && !matches!(part.len(), 1 | 3) {
            return None;
        }
        *octet = part.parse().ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

/// The range of an address that ends in `*`: `94.46.118.*`, `94.46.*.*`, `10.*`, `2001:db8:*`.
pub(super) fn starred(entry: &str) -> Option<Prefix> {
    if !entry.ends_with('*') {
        return None;
    }
    if let Some(head) = entry.strip_suffix(":*") {
        let parts: Vec<&str> = head.split(':').collect();
        let mut segments = [0; 8];
        if parts.len() >= segments.len() {
            return None;
        }
        for (segment, part) in segments.iter_mut().zip(&parts) {
            *segment = u16::from_str_radix(part, 16).ok()?;
        }
        let length = u8::try_from(parts.len() * 16).ok()?;
        return Some(Prefix::new(Ipv6Addr::from(segments).into(), length));
    }
    let head = entry.trim_end_matches(".*");
    let stars = (entry.len() - head.len()) / 2;
    let parts: Vec<&str> = head.split('.').collect();
    if stars == 0 || parts.len() + stars > 4 {
        return None;
    }
    let mut octets = [0; 4];
    for (octet, part) in octets.iter_mut().zip(&parts) {
        let written =
            part.bytes().all(|b| b.is_ascii_digit()) && (*part == "0" || !part.starts_with('0'));
        *octet = part.parse().ok().filter(|_| written)?;
    }
    let length = u8::try_from(parts.len() * 8).ok()?;
    Some(Prefix::new(Ipv4Addr::from(octets).into(), length))
}

/// A command of `ipset`, as `ipset save` and `ipset restore` have them.
pub(super) enum Command<'l> {
    /// `add SET 10.0.0.0/8 timeout 0`: the range.
    Adds(&'l str),
    /// One that makes or clears a set, or an entry that says what is no part of it.
    Other,
}

/// The command of a line; `None`: it is none.
pub(super) fn of_ipset(entry: &str) -> Option<Command<'_>> {
    let mut words = entry.split_ascii_whitespace();
    match words.next()? {
        "add" | "-A" => {
            let (_set, range) = (words.next()?, words.next()?);
            if !looks_like_range(range) {
                return None;
            }
            let out = words.any(|word| word == "nomatch");
            Some(if out {
                Command::Other
            } else {
                Command::Adds(range)
            })
        }
        "create" | "-N" => {
            let kind = words.nth(1)?;
            let is_set = ["hash:", "bitmap:", "list:", "iphash", "nethash"];
            let known = is_set.iter().any(|begin| kind.starts_with(begin));
            known.then_some(Command::Other)
        }
        "flush" | "destroy" | "-F" | "-X" => {
            words.next()?;
            words.next().is_none().then_some(Command::Other)
        }
        "COMMIT" => words.next().is_none().then_some(Command::Other),
        _ => None,
    }
}

/// Whether an entry is meant as a range: it begins with an address, whatever stands behind that.
pub(super) fn looks_like_range(entry: &str) -> bool {
    let first = entry.as_bytes().first();
    if !first.is_some_and(|b| b.is_ascii_hexdigit() || *b == b':') {
        return false;
    }
    let word = entry.split([',', ' ', '\t']).next().unwrap_or(entry);
    let address = word.split('/').next().unwrap_or(word);
    address.parse::<IpAddr>().is_ok()
        || between(word).is_some()
        || starred(word).is_some()
        || guarded(entry).is_some()
        || of_emule(entry).is_some()
}

/// The range of a line of PeerGuardian's: `Some name:10.0.0.1-10.0.0.9`.
pub(super) fn guarded(entry: &str) -> Option<&str> {
    let (_, range) = entry.rsplit_once(':')?;
    between(range.trim())
        .filter(|(from, _)| from.is_ipv4())
        .map(|_| range.trim())
}

/// The ends of `A-B`.
pub(super) fn between(range: &str) -> Option<(IpAddr, IpAddr)> {
    let (from, to) = range.split_once('-')?;
    Some((from.trim().parse().ok()?, to.trim().parse().ok()?))
}
