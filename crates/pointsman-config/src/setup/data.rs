//! Databases that a configuration names.

use std::path::PathBuf;

/// Databases beside the configuration, as far as a dialect names them.
#[derive(Clone, Debug, Default)]
pub struct DataFiles {
    /// The database of countries.
    pub geoip: Option<PathBuf>,
    /// The database of autonomous systems.
    pub asn: Option<PathBuf>,
}
