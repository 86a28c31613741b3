//! reflow's zones: every name and address belongs to at most one, by its most specific entry.
//!
//! Placeholder surface; the lookups belong here.

use std::collections::HashMap;
use std::sync::Arc;

use crate::address::Prefix;
use crate::decision::Entry;

/// A zone: an index into the names of its kind in [`Zones`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneId(pub u32);

/// All zones of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    /// Names of the name zones, by [`ZoneId`].
    pub domain_names: Vec<Arc<str>>,
    /// Names of the address zones, by [`ZoneId`].
    pub address_names: Vec<Arc<str>>,
    /// Entries of the name zones, ordinary order of labels (`www.reddit.com`).
    pub domains: HashMap<Box<str>, (ZoneId, Entry)>,
    /// Entries of the address zones.
    pub addresses: HashMap<Prefix, (ZoneId, Entry)>,
}
