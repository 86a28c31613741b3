//! sing-box's `.srs`, version 2: see [`crate::list::srs`].
//!
//! Names, keywords, patterns and addresses are one rule; each other condition is a rule of its own.
//! Where there are exceptions, all of that is one rule of rules, and none of the exceptions the other.
//! Important names are a rule beside it, and important exceptions are taken out of both.

use std::io::Write as _;
use std::net::IpAddr;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pointsman_policy::Prefix;
use pointsman_policy::condition::{AddressOf, Condition, DomainTest, Side, TextField, TextTest};
use pointsman_policy::fact::Network;
use pointsman_policy::set::Reach;

use super::{Entry, What, WrittenList};
use crate::list::cased::to_cased;
use crate::list::ranges::ranges_of;
use crate::list::srs::{MAGIC, item};
use crate::list::trie::Trie;

/// What `sing-box` 1.10 and later read; nothing that is written needs a newer one.
const VERSION: u8 = 2;

pub(super) fn write(entries: &[Entry], to: &mut WrittenList) {
    let (mut plain, mut except) = (Plain::default(), Plain::default());
    let (mut important, mut never) = (Plain::default(), Plain::default());
    let mut rules = Vec::new();
    for entry in entries {
        match &entry.what {
            What::Other(condition) => {
                if !plain.take(condition) {
                    match rule(condition, false) {
                        Some(bytes) => rules.push(bytes),
                        None => entry.leave_out("sing-box has no word for it", to),
                    }
                }
            }
            What::Except(name, reach) => except.name(sign(*reach), name),
            What::ExceptPattern(test) => {
                except.take(&Condition::Domain(test.clone()));
            }
            What::Important(name, reach) => important.name(sign(*reach), name),
            What::ImportantExcept(name, reach) => never.name(sign(*reach), name),
            What::Name(name, reach) => plain.name(sign(*reach), name),
            What::Prefix(prefix) => plain.prefixes.push(*prefix),
        }
    }
    if !plain.is_empty() {
        rules.insert(0, plain.rule(false));
    }
    let nothing = rules.is_empty();
    rules = without(rules, except);
    if !important.is_empty() {
        rules.push(important.rule(false));
    }
    let nothing_at_all = rules.is_empty();
    rules = without(rules, never);
    for entry in entries {
        let idle = match &entry.what {
            What::Except(..) | What::ExceptPattern(_) => nothing,
            What::ImportantExcept(..) => nothing_at_all,
            _ => false,
        };
        if idle {
            entry.leave_out("there is nothing that it would take out", to);
        }
    }
    to.count = entries.len() - to.left_out.len();
    let mut unpacked = Vec::new();
    varint(rules.len(), &mut unpacked);
    unpacked.extend(rules.concat());
    let head = [&MAGIC[..], &[VERSION]].concat();
    let mut packer = ZlibEncoder::new(head, Compression::best());
    // Writing to memory cannot fail.
    let _into_memory = packer.write_all(&unpacked);
    to.bytes = packer.finish().unwrap_or_default();
}

/// The rules, but for names that an exception holds.
fn without(rules: Vec<Vec<u8>>, except: Plain) -> Vec<Vec<u8>> {
    if except.is_empty() || rules.is_empty() {
        return rules;
    }
    let any = joined(false, &rules, false);
    vec![joined(true, &[any, except.rule(true)], false)]
}

/// What stands before a name of such a reach.
fn sign(reach: Reach) -> &'static str {
    match reach {
        Reach::Below => "\r.",
        Reach::Exact => "",
        Reach::Suffix => "\n",
    }
}

/// What one rule asks of the destination.
#[derive(Default)]
struct Plain {
    keys: Vec<Vec<u8>>,
    keywords: Vec<String>,
    prefixes: Vec<Prefix>,
    regexes: Vec<String>,
}

impl Plain {
    fn name(&mut self, sign: &str, name: &str) {
        self.keys
            .push(sign.bytes().chain(name.bytes()).rev().collect());
    }

    /// Takes a condition that is one test of the destination.
    fn take(&mut self, condition: &Condition) -> bool {
        match condition {
            Condition::Domain(DomainTest::Exact(name)) => self.name("", name.as_str()),
            Condition::Domain(DomainTest::Keyword(word)) => self.keywords.push(word.to_string()),
            Condition::Domain(DomainTest::Regex(regex)) => {
                self.regexes.push(to_cased(regex.as_str()).into_owned());
            }
            Condition::Domain(DomainTest::Suffix(name)) => self.name("\n", name.as_str()),
            Condition::Address {
                of: AddressOf::Destination,
                prefix,
                asks: _,
            } => self.prefixes.push(*prefix),
            _ => return false,
        }
        true
    }

    fn is_empty(&self) -> bool {
        let names = self.keys.is_empty() && self.keywords.is_empty();
        names && self.prefixes.is_empty() && self.regexes.is_empty()
    }

    fn rule(self, invert: bool) -> Vec<u8> {
        let mut rule = vec![0];
        if !self.keys.is_empty() {
            rule.extend([item::NAMES, 0]);
            let trie = Trie::make(self.keys);
            let (leaves, shape, labels) = trie.parts();
            for words in [leaves, shape] {
                varint(words.len(), &mut rule);
                rule.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            }
            varint(labels.len(), &mut rule);
            rule.extend_from_slice(labels);
        }
        texts(item::KEYWORD, &self.keywords, &mut rule);
        texts(item::REGEX, &self.regexes, &mut rule);
        addresses(item::ADDRESSES, self.prefixes, &mut rule);
        rule.extend([item::END, u8::from(invert)]);
        rule
    }
}

/// A condition as a rule; `None` where sing-box has no word for a part of it.
fn rule(condition: &Condition, invert: bool) -> Option<Vec<u8>> {
    let mut plain = Plain::default();
    if plain.take(condition) {
        return Some(plain.rule(invert));
    }
    let mut rule = vec![0];
    match condition {
        Condition::And(parts) => return several(true, parts, invert),
        Condition::Or(parts) => return several(false, parts, invert),
        Condition::Not(inner) => return self::rule(inner, !invert),
        Condition::Address {
            of: AddressOf::Source,
            prefix,
            ..
        } => addresses(item::SOURCE_ADDRESSES, vec![*prefix], &mut rule),
        Condition::Address {
            of: AddressOf::Either,
            prefix,
            asks,
        } => {
            let of = |of| Condition::Address {
                of,
                prefix: *prefix,
                asks: *asks,
            };
            let either = [of(AddressOf::Source), of(AddressOf::Destination)];
            return several(false, &either, invert);
        }
        Condition::Network(network) => {
            let word = match network {
                Network::Icmp => "icmp",
                Network::Tcp => "tcp",
                Network::Udp => "udp",
            };
            texts(item::NETWORK, &[word.to_owned()], &mut rule);
        }
        Condition::Port {
            side,
            ranges,
            network,
        } => {
            let (port, range) = match side {
                Side::Destination => (item::PORT, item::PORT_RANGE),
                Side::Source => (item::SOURCE_PORT, item::SOURCE_PORT_RANGE),
            };
            let single: Vec<u16> = ranges
                .iter()
                .filter(|r| r.start() == r.end())
                .map(|r| *r.start())
                .collect();
            if !single.is_empty() {
                rule.push(port);
                varint(single.len(), &mut rule);
                rule.extend(single.iter().flat_map(|port| port.to_be_bytes()));
            }
            let wide = ranges.iter().filter(|r| r.start() != r.end());
            let wide: Vec<String> = wide.map(|r| format!("{}:{}", r.start(), r.end())).collect();
            texts(range, &wide, &mut rule);
            if let Some(network) = network {
                // Kinds in one rule must all hold.
                let network = self::rule(&Condition::Network(*network), false)?;
                rule.extend_from_slice(&network[1..network.len() - 2]);
            }
        }
        Condition::Text(field, test) => {
            let (kind, text) = match (field, test) {
                (TextField::ProcessName, TextTest::Exact(name)) => {
                    (item::PROCESS_NAME, name.to_string())
                }
                (TextField::ProcessPath, TextTest::Exact(path)) => {
                    (item::PROCESS_PATH, path.to_string())
                }
                (TextField::ProcessPath, TextTest::Keyword(word)) => {
                    (item::PROCESS_PATH_REGEX, regex::escape(word))
                }
                (TextField::ProcessPath, TextTest::Regex(regex)) => {
                    (item::PROCESS_PATH_REGEX, regex.as_str().to_owned())
                }
                _ => return None,
            };
            texts(kind, &[text], &mut rule);
        }
        _ => return None,
    }
    rule.extend([item::END, u8::from(invert)]);
    Some(rule)
}

fn several(and: bool, parts: &[Condition], invert: bool) -> Option<Vec<u8>> {
    if parts.is_empty() {
        return None;
    }
    let rules: Option<Vec<_>> = parts.iter().map(|part| rule(part, false)).collect();
    Some(joined(and, &rules?, invert))
}

/// A rule of rules: all of them must hold, or any.
fn joined(and: bool, rules: &[Vec<u8>], invert: bool) -> Vec<u8> {
    let mut rule = vec![1, u8::from(!and)];
    varint(rules.len(), &mut rule);
    rule.extend(rules.concat());
    rule.push(u8::from(invert));
    rule
}

fn texts(kind: u8, texts: &[String], to: &mut Vec<u8>) {
    if texts.is_empty() {
        return;
    }
    to.push(kind);
    varint(texts.len(), to);
    for text in texts {
        varint(text.len(), to);
        to.extend_from_slice(text.as_bytes());
    }
}

fn addresses(kind: u8, prefixes: Vec<Prefix>, to: &mut Vec<u8>) {
    if prefixes.is_empty() {
        return;
    }
    let ranges = ranges_of(prefixes);
    // The addresses' version.
    to.extend([kind, 1]);
    to.extend_from_slice(&(ranges.len() as u64).to_be_bytes());
    let mut address = |address: IpAddr| match address {
        IpAddr::V4(v4) => {
            to.push(4);
            to.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            to.push(16);
            to.extend_from_slice(&v6.octets());
        }
    };
    for (low, high) in ranges {
        address(low);
        address(high);
    }
}

/// A number in groups of seven bits.
fn varint(number: usize, to: &mut Vec<u8>) {
    let mut number = number;
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}
