//! Entries that are ranges of addresses: `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, `1.2.3.4 and what else is known of it`.

use std::net::IpAddr;

use pointsman_policy::Prefix;
use pointsman_policy::condition::{AddressOf, Asks, Condition};
use pointsman_policy::set::{Item, Place};

use super::blocks::{self, Command, Emule, between, guarded};
use super::entry::Fault;
use super::ranges::prefixes_of;
use super::report::Remark;
use super::{Format, Reading, Spot};

const COLUMNS: &str = "columns behind addresses";
const SECONDS: &str =
    "addresses behind addresses, which may be no ends of ranges (a range is `A-B`),";
const HOSTS: &str =
    "words behind addresses (in a hosts file they are names: write `format: hosts`)";
const ALLOWED: &str = "ranges that eMule allows (of a level above 126)";
const NOT_ADDED: &str = "commands of `ipset` that add no addresses";

/// Whether a word behind an address may be a host: it is longer than the code of a country and has small letters.
fn is_host(word: &str) -> bool {
    let in_label = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    word.len() > 2
        && word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.bytes().all(in_label)
}

impl Reading<'_> {
    /// Takes a line that may be one of PeerGuardian's; whether it was.
    pub(super) fn guarded(&mut self, entry: &str, number: u32) -> bool {
        let range = guarded(entry);
        range.is_some_and(|range| self.range(range, number).is_ok())
    }

    /// Takes a command of `ipset`; whether it was one.
    pub(super) fn command(&mut self, entry: &str, number: u32) -> Option<Result<(), Fault>> {
        let added = match blocks::of_ipset(entry)? {
            Command::Adds(range) => self.range(range, number),
            Command::Other => {
                self.told.pass(NOT_ADDED, number, entry);
                Ok(())
            }
        };
        Some(added.map_err(|(message, _, _)| (message, 0, entry.len())))
    }

    pub(super) fn range(&mut self, entry: &str, number: u32) -> Result<(), Fault> {
        if let Some(Emule { from, to, blocked }) = blocks::of_emule(entry) {
            let written = entry.split(',').next().unwrap_or(entry).trim_end();
            if blocked {
                return self.one(&format!("{from}-{to}"), false, number, written);
            }
            self.told.pass(ALLOWED, number, entry);
            return Ok(());
        }
        if let Some(prefix) = blocks::starred(entry) {
            self.prefix(prefix, false, number, entry);
            return Ok(());
        }
        let cut = entry.find([',', ' ', '\t']).unwrap_or(entry.len());
        let (head, rest) = entry.split_at(cut);
        let rest = rest.trim_start();
        if let Some(flag) = rest.strip_prefix(',') {
            let flag = flag.trim();
            if !flag.eq_ignore_ascii_case("no-resolve") {
                let message =
                    format!("`{flag}` means nothing behind a range, where `no-resolve` may stand");
                return Err((message, entry.len() - flag.len(), entry.len()));
            }
            return self.one(head, true, number, entry);
        }
        if let Some(to) = rest.strip_prefix('-') {
            // `10.0.0.1 - 10.0.0.9`
            let word = to.trim_start().split([' ', '\t']).next().unwrap_or("");
            let end = entry.len() - to.trim_start().len() + word.len();
            return self.one(&entry[..end], false, number, &entry[..end]);
        }
        let mut words = rest.split([' ', '\t']);
        let second = words.next().unwrap_or("");
        let further = words.any(|word| !word.is_empty());
        let both = &entry[..entry.len() - rest.len() + second.len()];
        if let Some((prefix, bits)) = blocks::of_mask(head, second) {
            if bits {
                self.tell_host_bits(both, &prefix, number, both);
            }
            self.prefix(prefix, false, number, both);
        } else if let Some((from, to)) = blocks::of_columns(head, second, self.pairs) {
            self.one(&format!("{from}-{to}"), false, number, both)?;
        } else {
            self.one(head, false, number, head)?;
            if second.parse::<IpAddr>().is_ok() {
                self.told.pass(SECONDS, number, entry);
            } else if !further && is_host(second) {
                self.told.pass(HOSTS, number, entry);
            } else if !second.is_empty() {
                self.told.pass(COLUMNS, number, entry);
            }
            return Ok(());
        }
        if further {
            self.told.pass(COLUMNS, number, entry);
        }
        Ok(())
    }

    fn one(
        &mut self,
        range: &str,
        no_resolve: bool,
        line: u32,
        written: &str,
    ) -> Result<(), Fault> {
        if let Some((from, to)) = between(range) {
            let mut all = Vec::new();
            if !prefixes_of(from, to, &mut |prefix| all.push(prefix)) {
                let message = format!("`{range}` is no range: it ends before it begins");
                return Err((message, 0, range.len()));
            }
            for prefix in all {
                self.prefix(prefix, no_resolve, line, written);
            }
            return Ok(());
        }
        if let Some((address, mask)) = range.split_once('/')
            && let Some((prefix, bits)) = blocks::of_mask(address, mask)
        {
            if bits {
                self.tell_host_bits(range, &prefix, line, written);
            }
            self.prefix(prefix, no_resolve, line, written);
            return Ok(());
        }
        let prefix: Prefix = range
            .parse()
            .map_err(|why| (format!("{why}"), 0, range.len()))?;
        if let Some((address, _)) = range.split_once('/')
            && let Ok(address) = address.parse::<IpAddr>()
            && address.to_canonical() != prefix.address().to_canonical()
        {
            self.tell_host_bits(range, &prefix, line, written);
        }
        self.prefix(prefix, no_resolve, line, written);
        Ok(())
    }

    fn tell_host_bits(&mut self, range: &str, prefix: &Prefix, line: u32, written: &str) {
        let spot = Spot::new(line, written, 0, written.len());
        let message = format!("`{range}` has bits behind its length: read as `{prefix}`");
        self.told.say(Remark::HostBits, spot, message);
    }

    /// Takes a range. With `no_resolve` it never asks for the address of a name.
    pub(super) fn prefix(&mut self, prefix: Prefix, no_resolve: bool, line: u32, written: &str) {
        if is_mapped(&prefix) {
            let spot = Spot::new(line, written, 0, written.len());
            let message = format!(
                "`{prefix}` never matches: IPv4 addresses are IPv4 ones here, however a flow writes them"
            );
            self.told.say(Remark::NeverMatches, spot, message);
        }
        // What is left of an inverse list may well be all of a family.
        if prefix.length() == 0 && self.told.format != Some(Format::Dat) {
            let family = if prefix.address().is_ipv4() {
                "IPv4"
            } else {
                "IPv6"
            };
            let spot = Spot::new(line, written, 0, written.len());
            let message = format!("`{written}` holds every {family} address");
            self.told.say(Remark::TakesAll, spot, message);
        }
        let item = if no_resolve && self.scope.ip_rules_resolve() {
            Item::Other(Condition::Address {
                of: AddressOf::Destination,
                prefix,
                asks: Asks::Never,
            })
        } else {
            Item::Prefix(prefix)
        };
        self.sink.add(item, Place { line, written });
    }
}

/// Whether it is the range of IPv4 addresses that are written as IPv6, all of it (RFC 4291, 2.5.5.2).
fn is_mapped(prefix: &Prefix) -> bool {
    match prefix.address() {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => prefix.length() == 96 && address.to_ipv4_mapped().is_some(),
    }
}
