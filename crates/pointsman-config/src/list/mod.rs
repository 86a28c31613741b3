//! Lists of names, of address ranges, or of rules, in every format that people have them in.
//!
//! Invariant: a list is read as a stream, entry by entry, into a [`Sink`]; it is never in memory
//! whole. An entry knows its line (in binary formats its number). A bad entry is told and left out,
//! the others serve; with `strict` it is an error.
//!
//! Deliberately absent: where lists come from (files, the network, caches).

mod adblock;
mod addresses;
mod base64;
mod blocks;
mod cache;
mod cased;
mod dat;
mod dnsmasq;
mod entry;
mod foreign;
mod headless;
mod hosts;
mod lines;
mod look;
mod marks;
mod mmdb;
mod modifiers;
mod mrs;
mod numbered;
mod packed;
mod proto;
pub mod query;
mod ranges;
mod recognise;
mod report;
mod room;
mod scope;
mod shelf;
mod shown;
mod source;
mod srs;
mod srs_json;
mod strange;
mod text;
mod trie;
mod votes;
mod wide;
mod wildcard;
pub mod write;
mod yaml;

use std::io;

use pointsman_policy::Condition;
use pointsman_policy::line::{self, Scope};
use pointsman_policy::set::{Item, Place, Sink};
use serde::{Deserialize, Serialize};

pub use cache::Cache;
pub use cased::from_cased;
pub(crate) use numbered::below;
use room::{Measured, Room};

pub use crate::files::Bytes;
pub use report::{ReadReport, Reason, Remark, Spot};
pub use room::MOST_ENTRIES;
pub use room::MOST_OF_A_FILE;
pub use scope::Surroundings;
pub use shelf::{Shelf, Want};
pub use shown::shown;
pub use source::{InlineEntry, ListFile, ListSource, MOST_FETCHED, NO_DIRECTORY, Origin, searched};
pub use strange::Stranger;
pub(crate) use strange::is_of_servers;

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Format {
    /// Rules of AdBlock and AdGuard for name servers: `||name^`, `@@||name^`, plain names.
    Adblock,
    /// v2ray's `geosite.dat` or `geoip.dat`.
    Dat,
    /// dnsmasq's `server=/name/`, `address=/name/...`, `local=/name/`, `ipset=`, `nftset=`.
    Dnsmasq,
    /// A hosts file.
    Hosts,
    /// A MaxMind database of countries or autonomous systems.
    Mmdb,
    /// mihomo's binary rule set.
    Mrs,
    /// sing-box's binary rule set.
    Srs,
    /// sing-box's rule set as JSON.
    SrsJson,
    /// One entry a line, `#` begins a comment.
    Text,
    /// A YAML mapping with the list `payload`.
    Yaml,
}

impl Format {
    /// Its word in configurations and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Adblock => "adblock",
            Self::Dat => "dat",
            Self::Dnsmasq => "dnsmasq",
            Self::Hosts => "hosts",
            Self::Mmdb => "mmdb",
            Self::Mrs => "mrs",
            Self::Srs => "srs",
            Self::SrsJson => "srs-json",
            Self::Text => "text",
            Self::Yaml => "yaml",
        }
    }
}

/// What the entries of a list are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Behavior {
    /// Clash's rules: as `Classical`, and programs are the same in any case.
    Clash,
    /// Conditions in the syntax of rules, or of Clash's.
    Classical,
    /// Domains: plain ones exact, `+.x` with all below, `.x` those below alone, `*.x` one label below.
    Domain,
    /// Address ranges.
    IpCidr,
    /// Domains, each with all below, however it is marked (the native dialect's).
    Names,
}

impl Behavior {
    /// Its word in a Clash configuration; `names` for our own.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clash => "clash",
            Self::Classical => "classical",
            Self::Domain => "domain",
            Self::IpCidr => "ipcidr",
            Self::Names => "names",
        }
    }
}

/// How a list is to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Recipe {
    /// How it is written; `None`: recognised by its content.
    pub format: Option<Format>,
    /// What its entries are; `None`: each by its look, or as the format says.
    pub behavior: Option<Behavior>,
    /// Whether a bad entry is an error.
    pub strict: bool,
    /// Whether `.x` and `*.x` stand for `x` and all below whatever the behaviour, as they do to BoltConn.
    pub wide_marks: bool,
    /// The list inside a file that holds many: a category of `geosite.dat`, with an attribute where
    /// one is wanted (`google@cn`); a country of `geoip.dat`; a country (`cn`) or an autonomous
    /// system (`as13335`) of a database.
    pub select: Option<String>,
    /// The most bytes that it may unfold to; `None`: [`MOST_OF_A_FILE`], which is the most there is.
    pub limit: Option<u64>,
}

/// Why a list cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is not what it is said to be.
    #[error("{message}")]
    Malformed {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
        /// Where, if a place can be named.
        at: Option<Spot>,
    },
    /// Reading failed.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl Unreadable {
    /// A list that is not what it is said to be.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::Malformed {
            message: shown::sentence(message.into()),
            hint: None,
            at: None,
        }
    }

    fn hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Malformed { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }
}

/// What the reader of a format works with.
struct Reading<'a> {
    recipe: &'a Recipe,
    /// What classical entries may refer to.
    scope: &'a dyn Scope,
    sink: &'a mut dyn Sink,
    /// What of the list may still come.
    room: &'a Room,
    told: &'a mut ReadReport,
    /// Whether the line is read as another format's.
    guest: bool,
    /// Whether two addresses in a line are the ends of a range.
    pairs: bool,
    /// For names that are not canonical as written.
    buffer: String,
    /// How many regular expressions were taken.
    patterns: usize,
    /// The work that they make of a name, for each character.
    work: usize,
}

/// Reads a list from its beginning, whose file is called `name` (its extension is a hint where the
/// content does not tell the format; empty where there is none).
///
/// # Errors
/// [`Unreadable`]: nothing of the list is to be used, whatever the sink got of it.
pub fn read(
    bytes: &mut dyn Bytes,
    name: &str,
    recipe: &Recipe,
    scope: &dyn Scope,
    sink: &mut dyn Sink,
    told: &mut ReadReport,
) -> Result<(), Unreadable> {
    let mut narrow = wide::as_utf8(bytes)?;
    let bytes = narrow.as_mut().map_or(bytes, |text| text);
    let recognise::Recognised {
        format,
        behavior,
        clash_marks,
        dnscrypt,
        pairs,
    } = recognise::recognise(bytes, name, recipe, told)?;
    told.format = Some(format);
    told.behavior = behavior;
    told.clash_marks = clash_marks;
    told.dnscrypt = dnscrypt;
    if let Some(select) = &recipe.select
        && !matches!(format, Format::Dat | Format::Mmdb)
    {
        let message = format!(
            "`select: {select}`: a list of format `{}` is one list",
            format.as_str()
        );
        return Err(Unreadable::malformed(message)
            .hint("leave `select` out: only files of format `dat` and `mmdb` hold many lists"));
    }
    bytes.rewind()?;
    let room = Room::of(recipe);
    let mut measured = Measured {
        to: sink,
        room: &room,
    };
    let mut reading = Reading {
        recipe,
        scope,
        sink: &mut measured,
        room: &room,
        told,
        guest: false,
        pairs,
        buffer: String::new(),
        patterns: 0,
        work: 0,
    };
    match format {
        Format::Adblock => adblock::read(bytes, &mut reading),
        Format::Dat => dat::read(bytes, &mut reading),
        Format::Dnsmasq => dnsmasq::read(bytes, &mut reading),
        Format::Hosts => hosts::read(bytes, &mut reading),
        Format::Mmdb => mmdb::read(bytes, &mut reading),
        Format::Mrs => mrs::read(bytes, &mut reading),
        Format::Srs => srs::read(bytes, &mut reading),
        Format::SrsJson => srs_json::read(bytes, &mut reading),
        Format::Text => text::read(bytes, &mut reading),
        Format::Yaml => yaml::read(bytes, &mut reading),
    }?;
    room.check()
}

/// The names of the lists in a file of format `dat`, in its order.
///
/// # Errors
/// [`Unreadable`]: it is none.
pub fn lists_within(bytes: &mut dyn Bytes) -> Result<Vec<String>, Unreadable> {
    dat::names(bytes)
}

/// The condition of an entry that is neither a name nor a range (of an exception by pattern what it
/// excepts), from its text as it was handed to the sink: in formats of text as written, in all others a rule. `None`: it is no such entry.
fn again(
    written: &str,
    recipe: &Recipe,
    told: &ReadReport,
    scope: &dyn Scope,
) -> Option<Condition> {
    let rules = Recipe {
        behavior: Some(Behavior::Classical),
        ..Recipe::default()
    };
    let (recipe, behavior) = match told.format? {
        Format::Dat | Format::Mmdb | Format::Mrs | Format::Srs | Format::SrsJson => {
            if written.len() >= numbered::SHOWN {
                // It may go on.
                return None;
            }
            // Verbatim, whatever commas and signs of comments it has.
            if let Some(regex) = written.strip_prefix("DOMAIN-REGEX,")
                && !regex.starts_with(' ')
            {
                return line::domain_regex(regex).ok();
            }
            (&rules, rules.behavior)
        }
        Format::Adblock | Format::Dnsmasq | Format::Hosts | Format::Text | Format::Yaml => {
            (recipe, told.behavior)
        }
    };
    let mut sink = Last(None);
    let mut fresh = ReadReport {
        format: told.format,
        behavior,
        clash_marks: told.clash_marks,
        dnscrypt: told.dnscrypt,
        ..ReadReport::default()
    };
    let room = Room::of(recipe);
    let mut reading = Reading {
        recipe,
        scope,
        sink: &mut sink,
        room: &room,
        told: &mut fresh,
        guest: false,
        pairs: false,
        buffer: String::new(),
        patterns: 0,
        work: 0,
    };
    match told.format? {
        Format::Adblock => adblock::take(written, 1, &mut reading),
        Format::Dnsmasq => dnsmasq::take(written, 1, &mut reading),
        Format::Hosts => hosts::line(written, 1, &mut reading),
        _ => reading.entry(written, 1, written, 0),
    }
    sink.0
}

/// Keeps the last condition that it gets.
struct Last(Option<Condition>);

impl Sink for Last {
    fn add(&mut self, item: Item<'_>, _place: Place<'_>) {
        match item {
            Item::Except(test) => self.0 = Some(Condition::Domain(test)),
            Item::Other(condition) => self.0 = Some(condition),
            _ => {}
        }
    }
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod binary;
#[cfg(test)]
mod tests;
