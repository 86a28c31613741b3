//! mihomo's `.mrs`: see [`crate::list::mrs`].

use std::net::IpAddr;

use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use pointsman_policy::Domain;
use pointsman_policy::condition::{Condition, DomainTest};
use pointsman_policy::set::Reach;

use super::{Entry, What, WrittenList};
use crate::list::mrs::{ADDRESSES, MAGIC, NAMES, wildcard};
use crate::list::ranges::ranges_of;
use crate::list::trie::Trie;

pub(super) fn write(entries: &[Entry], to: &mut WrittenList) {
    let names = entries
        .iter()
        .any(|entry| entry.name().is_some() || entry.one_label().is_some());
    let mut plain = MAGIC.to_vec();
    plain.push(if names { NAMES } else { ADDRESSES });
    let mut keys = Vec::new();
    let mut prefixes = Vec::new();
    for entry in entries {
        match (entry.prefix(), entry.name()) {
            (Some(_), _) if names => {
                entry.leave_out("`.mrs` holds names or addresses, not both", to);
            }
            (Some(prefix), _) => prefixes.push(prefix),
            (None, Some((name, reach))) => {
                let key: Vec<u8> = name.bytes().rev().collect();
                if reach != Reach::Exact {
                    keys.push([&key, b".+".as_slice()].concat());
                }
                if reach != Reach::Below {
                    keys.push(key);
                }
            }
            (None, None) if let Some(name) = entry.one_label() => {
                keys.push(name.bytes().rev().chain(*b".*").collect());
            }
            (None, None) => entry.leave_out("`.mrs` holds names and addresses alone", to),
        }
    }
    to.count = entries.len() - to.left_out.len();
    plain.extend_from_slice(&(to.count as u64).to_be_bytes());
    // No part for later; version 1.
    plain.extend_from_slice(&0u64.to_be_bytes());
    plain.push(1);
    if names {
        let trie = Trie::make(keys);
        let (leaves, shape, labels) = trie.parts();
        for words in [leaves, shape] {
            plain.extend_from_slice(&(words.len() as u64).to_be_bytes());
            plain.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        }
        plain.extend_from_slice(&(labels.len() as u64).to_be_bytes());
        plain.extend_from_slice(labels);
    } else {
        let ranges = ranges_of(prefixes);
        plain.extend_from_slice(&(ranges.len() as u64).to_be_bytes());
        for (low, high) in ranges {
            plain.extend_from_slice(&sixteen(low));
            plain.extend_from_slice(&sixteen(high));
        }
    }
    to.bytes = compress_to_vec(plain.as_slice(), CompressionLevel::Fastest);
}

impl Entry {
    /// The name of an entry on names, and what it stands for.
    fn name(&self) -> Option<(&str, Reach)> {
        match &self.what {
            // All exceptions are left out, so there is nothing that it goes before.
            What::Important(name, reach) | What::Name(name, reach) => Some((name, *reach)),
            _ => None,
        }
    }
}

impl Entry {
    /// The name one label below which all names are meant.
    fn one_label(&self) -> Option<String> {
        let What::Other(condition) = &self.what else {
            return None;
        };
        let Condition::Domain(DomainTest::Regex(pattern)) = &**condition else {
            return None;
        };
        let rest = pattern.as_str().strip_prefix(r"^[^.]+\.")?;
        let name = rest.strip_suffix('$')?.replace('\\', "");
        // Whatever else it is, it is not what such a name is written as.
        let same = wildcard(&format!("*.{name}"), false) == pattern.as_str();
        (same && Domain::parse(&name).is_ok_and(|d| d.as_str() == name)).then_some(name)
    }
}

/// An address as IPv6 has it, IPv4 mapped.
fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}
