//! What the entries of a list may refer to, owned: so that a list can be read again when the
//! configuration's text is gone.

use std::cell::Cell;
use std::sync::Arc;

use pointsman_policy::line::Scope;
use pointsman_policy::model::SetId;

/// What classical entries may refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Rule sets by name. None of them refers to others, so no set reaches itself.
    pub sets: Vec<(Arc<str>, SetId)>,
    /// Whether a database tells countries.
    pub has_country_db: bool,
    /// Whether a database tells autonomous systems.
    pub has_asn_db: bool,
    /// Whether rules on addresses resolve a named destination unless they say `no-resolve`.
    pub ip_rules_resolve: bool,
}

impl Surroundings {
    /// No other sets, and rules on addresses resolve.
    #[must_use]
    pub fn resolving() -> Self {
        Self {
            ip_rules_resolve: true,
            ..Self::default()
        }
    }

    /// No other sets, and every database.
    #[must_use]
    pub fn with_databases() -> Self {
        Self {
            has_country_db: true,
            has_asn_db: true,
            ..Self::resolving()
        }
    }
}

impl Scope for Surroundings {
    fn rule_set(&self, name: &str) -> Option<SetId> {
        let mut sets = self.sets.iter();
        sets.find(|(known, _)| &**known == name).map(|(_, id)| *id)
    }
    fn rule_sets(&self) -> Vec<&str> {
        self.sets.iter().map(|(name, _)| &**name).collect()
    }
    fn has_country_db(&self) -> bool {
        self.has_country_db
    }
    fn has_asn_db(&self) -> bool {
        self.has_asn_db
    }
    fn ip_rules_resolve(&self) -> bool {
        self.ip_rules_resolve
    }
}

/// Sees whether a list asks for other sets: then its content belongs to this configuration alone.
pub(super) struct Watched<'a> {
    pub(super) scope: &'a dyn Scope,
    pub(super) asked: Cell<bool>,
}

impl Scope for Watched<'_> {
    fn rule_set(&self, name: &str) -> Option<SetId> {
        self.asked.set(true);
        self.scope.rule_set(name)
    }
    fn rule_sets(&self) -> Vec<&str> {
        self.asked.set(true);
        self.scope.rule_sets()
    }
    fn has_country_db(&self) -> bool {
        self.scope.has_country_db()
    }
    fn has_asn_db(&self) -> bool {
        self.scope.has_asn_db()
    }
    fn ip_rules_resolve(&self) -> bool {
        self.scope.ip_rules_resolve()
    }
}
