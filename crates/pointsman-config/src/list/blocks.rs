//! Ranges of addresses as programs that block them write them: two columns, a mask, eMule's filter, commands of
//! `ipset`, and addresses that end in `*`.
//!
//! Invariant: what is not wholly of such a form is none, so that nothing is taken for a range that it may not be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pointsman_policy::Prefix;

/// What an address and the word behind it say together.
pub(super) enum Columns {
    /// The second is a mask: `10.0.0.0 255.0.0.0`.
    Masked(Prefix),
    /// The second is the end: `9.9.9.0 9.9.9.255`.
    Range(IpAddr, IpAddr),
}

/// What an address and the word behind it say together; `None` where that is no address, or is before the first.
pub(super) fn of_columns(first: &str, second: &str) -> Option<Columns> {
    let from: IpAddr = first.parse().ok()?;
    let to: IpAddr = second.parse().ok()?;
    match (from, to) {
        (IpAddr::V4(a), IpAddr::V4(mask))
            if is_mask(mask) && a.to_bits() & !mask.to_bits() == 0 =>
        {
            let length = u8::try_from(mask.to_bits().leading_ones()).ok()?;
            Some(Columns::Masked(Prefix::new(from, length)))
        }
        _ if from.is_ipv4() == to.is_ipv4() && from <= to => Some(Columns::Range(from, to)),
        _ => None,
    }
}

/// Whether an address has ones at its beginning alone, and no few of them.
fn is_mask(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    bits.leading_ones() >= 8 && bits.leading_ones() + bits.trailing_zeros() >= 32
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
            if !super::addresses::looks_like_range(range) {
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
