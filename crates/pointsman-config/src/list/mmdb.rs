//! Databases in MaxMind's format as lists: all networks of one country or autonomous system.
//!
//! Invariant: however the tree of a damaged database is tangled, it gives no more networks than a
//! whole one of its size could.

use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;
use std::net::IpAddr;

use maxminddb::{MaxMindDbError, Reader, WithinOptions, path};
use pointsman_policy::Prefix;
use pointsman_policy::near::nearest;

use super::numbered::Numbered;
use super::{Bytes, Reading, Unreadable};

/// The most codes that are kept to name the one that was meant.
const MOST_CODES: usize = 1024;

pub(super) fn read(bytes: &mut dyn Bytes, reading: &mut Reading<'_>) -> Result<(), Unreadable> {
    let recipe = reading.recipe;
    let Some(select) = &recipe.select else {
        return Err(Unreadable::malformed("the file is a whole database").hint(
            "choose from it: `select: cn` (`--set cn`) a country, `select: as13335` a system",
        ));
    };
    let wanted = Wanted::parse(select);
    let mut whole = Vec::new();
    let most = reading.room.limit();
    bytes.take(most + 1).read_to_end(&mut whole)?;
    if whole.len() as u64 > most {
        return Err(Unreadable::malformed(format!(
            "a database of more than {most} bytes is too large"
        )));
    }
    let size = whole.len() as u64;
    let database = Reader::from_source(whole).map_err(|_unspecific| {
        Unreadable::malformed("the file is no database in MaxMind's format, or it is cut short")
            .hint("fetch it again")
    })?;
    let metadata = database.metadata();
    let of_a_node = u64::from(metadata.record_size) / 4;
    if u64::from(metadata.node_count).saturating_mul(of_a_node) > size {
        return Err(Unreadable::malformed(
            "the database is damaged: the size that it states is larger than its file",
        )
        .hint("fetch it again"));
    }
    let mut numbered = Numbered::new(reading);
    let mut search = Search {
        wanted,
        known: HashMap::new(),
        codes: BTreeSet::new(),
        answers: false,
    };
    search.run(&database, &mut numbered).map_err(damaged)??;
    if numbered.count == 0 {
        return Err(search.nothing(select));
    }
    Ok(())
}

fn damaged(error: MaxMindDbError) -> Unreadable {
    Unreadable::malformed(format!("the database is damaged: {error}")).hint("fetch it again")
}

/// What was selected.
enum Wanted {
    Country(String),
    System(u32),
}

impl Wanted {
    fn parse(select: &str) -> Self {
        let select = select.trim().to_ascii_uppercase();
        let digits = select.strip_prefix("AS").unwrap_or(&select);
        match digits.parse() {
            Ok(number) => Self::System(number),
            Err(_) => Self::Country(select),
        }
    }
}

struct Search {
    wanted: Wanted,
    /// Records by where they stand: many networks share one.
    known: HashMap<usize, bool>,
    /// Countries that were come upon.
    codes: BTreeSet<String>,
    /// Whether any record says what is asked for.
    answers: bool,
}

impl Search {
    fn run(
        &mut self,
        database: &Reader<Vec<u8>>,
        to: &mut Numbered<'_, '_>,
    ) -> Result<Result<(), Unreadable>, MaxMindDbError> {
        // IPv4 has three more names in IPv6. All ends are asked for so that each can be counted.
        let metadata = database.metadata();
        let mut most = (u64::from(metadata.node_count) + 1) * 8;
        let options = WithinOptions::default()
            .include_networks_without_data()
            .include_aliased_networks();
        for found in database.networks(options)? {
            let found = found?;
            most = match most.checked_sub(1) {
                Some(left) => left,
                None => {
                    return Ok(Err(Unreadable::malformed(
                        "the database is damaged: its tree leads back to itself",
                    )));
                }
            };
            let Some(offset) = found.offset() else {
                continue;
            };
            let holds = match self.known.get(&offset) {
                Some(holds) => *holds,
                None => {
                    let holds = match &self.wanted {
                        Wanted::System(number) => {
                            let system: Option<u32> =
                                found.decode_path(&path!["autonomous_system_number"])?;
                            self.answers |= system.is_some();
                            system == Some(*number)
                        }
                        Wanted::Country(wanted) => {
                            let code = code(&found)?;
                            self.answers |= code.is_some();
                            let holds = code.as_deref() == Some(wanted);
                            if let Some(code) = code
                                && self.codes.len() < MOST_CODES
                            {
                                self.codes.insert(code);
                            }
                            holds
                        }
                    };
                    self.known.insert(offset, holds);
                    holds
                }
            };
            if holds {
                let network = found.network()?;
                let prefix = Prefix::new(network.network(), network.prefix());
                if !is_alias(prefix.address()) {
                    to.prefix(prefix);
                }
            }
        }
        Ok(Ok(()))
    }

    fn nothing(&self, select: &str) -> Unreadable {
        let what = match self.wanted {
            Wanted::Country(_) => "countries",
            Wanted::System(_) => "autonomous systems",
        };
        if !self.answers {
            let error = Unreadable::malformed(format!("the database has no {what}"));
            return error.hint(
                "databases have countries (`select: cn`) or autonomous systems (`select: as13335`)",
            );
        }
        let error = Unreadable::malformed(format!("the database has no network of `{select}`"));
        let upper = select.trim().to_ascii_uppercase();
        match nearest(&upper, self.codes.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error,
        }
    }
}

/// The country of a record, upper case; where nobody lives the registration must do.
fn code(found: &maxminddb::LookupResult<'_, Vec<u8>>) -> Result<Option<String>, MaxMindDbError> {
    let code = match found.decode_path::<&str>(&path!["country", "iso_code"])? {
        None => found.decode_path::<&str>(&path!["registered_country", "iso_code"])?,
        found => found,
    };
    let code = match code {
        None => found.decode_path::<&str>(&path!["country_code"])?,
        found => found,
    };
    Ok(code.map(str::to_ascii_uppercase))
}

/// Whether it lies where databases repeat IPv4: mapped, Teredo, 6to4.
fn is_alias(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            a == 0x2002 || (a, b) == (0x2001, 0) || v6.to_ipv4_mapped().is_some()
        }
    }
}
