//! Country and autonomous system of an address, from MaxMind databases held in memory.
//!
//! Invariant: a database that does not know an address gives [`Fact::Absent`], a broken one
//! [`Fact::Failed`]; never a guess.
//!
//! Deliberately absent: files and their refresh. The caller brings the bytes.

use std::net::IpAddr;

use maxminddb::{Reader, WithinOptions, path};

use crate::fact::{Fact, Geo, Provenance};

/// One database in MaxMind's format (MMDB 2.0).
#[derive(Debug)]
pub struct GeoDatabase {
    reader: Reader<Vec<u8>>,
    has_country: bool,
    has_asn: bool,
}

/// Why some bytes are no database.
#[derive(Debug, thiserror::Error)]
#[error("it is not a database in MaxMind's format")]
pub struct BadDatabase(#[source] maxminddb::MaxMindDbError);

impl GeoDatabase {
    /// Reads a database from its file's bytes.
    ///
    /// # Errors
    /// [`BadDatabase`] when the bytes are not in MaxMind's format.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, BadDatabase> {
        let reader = Reader::from_source(bytes).map_err(BadDatabase)?;
        let (has_country, has_asn) = holds(&reader);
        Ok(Self {
            reader,
            has_country,
            has_asn,
        })
    }

    /// Whether it can tell countries.
    #[must_use]
    pub fn has_country(&self) -> bool {
        self.has_country
    }

    /// Whether it can tell autonomous systems.
    #[must_use]
    pub fn has_asn(&self) -> bool {
        self.has_asn
    }

    /// What its maker calls it: `GeoLite2-Country`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.reader.metadata().database_type
    }

    fn country(&self, address: IpAddr) -> Result<Option<String>, maxminddb::MaxMindDbError> {
        let found = self.reader.lookup(address)?;
        let located = found.decode_path::<&str>(&path!["country", "iso_code"])?;
        // Where nobody lives (a satellite link, an anycast network) the registration must do.
        let code = match located {
            None => found.decode_path::<&str>(&path!["registered_country", "iso_code"])?,
            found => found,
        };
        Ok(code.map(str::to_ascii_uppercase))
    }

    fn asn(&self, address: IpAddr) -> Result<Option<u32>, maxminddb::MaxMindDbError> {
        let found = self.reader.lookup(address)?;
        found.decode_path(&path!["autonomous_system_number"])
    }

    fn knows_family(&self, address: IpAddr) -> bool {
        address.is_ipv4() || self.reader.metadata().ip_version == 6
    }
}

/// The databases of a configuration; [`Default`] is none at all.
#[derive(Debug, Default)]
pub struct GeoDatabases {
    country: Option<GeoDatabase>,
    asn: Option<GeoDatabase>,
}

impl GeoDatabases {
    /// `dispatching.geoip_db` and `dispatching.asn_db`. Without the second the first serves for
    /// numbers too, where it has them.
    #[must_use]
    pub fn new(country: Option<GeoDatabase>, asn: Option<GeoDatabase>) -> Self {
        Self { country, asn }
    }

    /// Whether conditions on countries can be answered.
    #[must_use]
    pub fn has_country(&self) -> bool {
        self.country.as_ref().is_some_and(GeoDatabase::has_country)
    }

    /// Whether conditions on autonomous systems can be answered.
    #[must_use]
    pub fn has_asn(&self) -> bool {
        self.of_asn().is_some_and(GeoDatabase::has_asn)
    }

    /// What the databases say of `address` (canonical): the answer to
    /// [`crate::fact::Need::Country`].
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> Fact<Geo> {
        let country = self.country.as_ref().filter(|d| d.knows_family(address));
        let asn = self.of_asn().filter(|d| d.knows_family(address));
        let found = (|| {
            let country = country.map_or(Ok(None), |database| database.country(address))?;
            let asn = asn.map_or(Ok(None), |database| database.asn(address))?;
            Ok::<_, maxminddb::MaxMindDbError>((country, asn))
        })();
        match found {
            Ok((None, None)) => Fact::Absent,
            Ok((country, asn)) => {
                let country = country.map(Into::into);
                Fact::Known(Geo { country, asn }, Provenance::Database)
            }
            Err(broken) => Fact::Failed(format!("the database is broken: {broken}").into()),
        }
    }

    fn of_asn(&self) -> Option<&GeoDatabase> {
        self.asn.as_ref().or(self.country.as_ref())
    }
}

/// What a database holds, by its first records: its name promises nothing.
fn holds(reader: &Reader<Vec<u8>>) -> (bool, bool) {
    // A field that a thousand records lack is one that no rule can count on.
    const SAMPLE: usize = 1000;
    let (mut country, mut asn) = (false, false);
    let Ok(networks) = reader.networks(WithinOptions::default()) else {
        return (false, false);
    };
    for network in networks.take(SAMPLE) {
        let Ok(record) = network else { break };
        let has = |keys: &[maxminddb::PathElement<'_>]| {
            matches!(record.decode_path::<&str>(keys), Ok(Some(_)))
        };
        country = country
            || has(&path!["country", "iso_code"])
            || has(&path!["registered_country", "iso_code"]);
        let number = record.decode_path::<u32>(&path!["autonomous_system_number"]);
        asn = asn || matches!(number, Ok(Some(_)));
        if country && asn {
            break;
        }
    }
    (country, asn)
}
