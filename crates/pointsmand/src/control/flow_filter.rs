//! Which flows are meant: by words, as FLOW has them, and by a text that stands in them.

use std::sync::Arc;

use pointsman_config::Setup;
use pointsman_config::flow::{BadFlow, Query, Via};
use pointsman_net::record::FlowRecord;
use pointsman_policy::fact::{Look, Parent, Process, Protocol};
use pointsman_policy::{Domain, Fact, Host};

/// What a flow must be to be told. What was not said is not asked.
pub(super) struct FlowFilter {
    flow: Query,
    /// In lower case; empty: anything.
    contains: String,
}

/// Whether a flow is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    No,
    /// All else fits, and no rule asked for this.
    Untold(&'static str),
    Yes,
}

/// What is not known of a flow whose owner nobody asked for.
const PROGRAM: &str = "program";
/// The same of one that nobody looked at.
const FIRST_BYTES: &str = "first bytes";

impl FlowFilter {
    pub(super) fn new(words: &str, contains: &str) -> Result<Self, String> {
        let flow = Query::parse(words).map_err(|error: BadFlow| error.to_string())?;
        for (said, what) in [
            (flow.resolved.is_some(), "resolved"),
            (flow.dns_names.is_some(), "dns-name"),
            (flow.serves.is_some(), "serves"),
            (flow.local.is_some(), "local"),
            (!flow.verdicts.is_empty(), "verdict"),
        ] {
            if said {
                return Err(format!("flows cannot be chosen by `{what}`"));
            }
        }
        Ok(Self {
            flow,
            contains: contains.to_lowercase(),
        })
    }

    /// That the inbound is there which it names: of another one nothing would ever be told.
    pub(super) fn of(self, setup: &Setup) -> Result<Self, String> {
        let named = self.flow.names_a_door(setup);
        named.map(|()| self).map_err(|error| error.to_string())
    }

    pub(super) fn fits(&self, record: &FlowRecord) -> Fit {
        if !self.accepted_so(record) || !self.contained(record) {
            return Fit::No;
        }
        self.looks(record).min(self.belongs(record))
    }

    /// By what is known of every flow.
    fn accepted_so(&self, record: &FlowRecord) -> bool {
        let (flow, facts) = (&self.flow, &record.facts);
        let destination = flow.destination.as_ref().is_none_or(|host| match host {
            Host::Name(name) => named(record, name),
            Host::Address(address) => {
                let resolved = facts
                    .sought
                    .resolved
                    .known()
                    .is_some_and(|all| all.contains(address));
                resolved || facts.destination.known().and_then(Host::address) == Some(*address)
            }
        });
        let source = flow.source.is_none_or(|source| {
            facts.source.known().is_some_and(|seen| {
                seen.ip() == source.ip() && (source.port() == 0 || seen.port() == source.port())
            })
        });
        let inbound = flow.inbound.as_ref().is_none_or(|via| came_by(via, record));
        let dscp = flow
            .dscp
            .is_none_or(|dscp| facts.sought.dscp.known() == Some(&dscp));
        let port = flow
            .port
            .is_none_or(|port| facts.port.known() == Some(&port));
        let network = flow.network.is_none_or(|network| facts.network == network);
        destination && source && inbound && dscp && port && network
    }

    fn looks(&self, record: &FlowRecord) -> Fit {
        let Some(wanted) = &self.flow.look else {
            return Fit::Yes;
        };
        let known_by_name = wanted.domain.as_ref().is_some_and(|it| named(record, it));
        if known_by_name && *wanted == only_named(wanted) {
            return Fit::Yes;
        }
        match &record.facts.sought.look {
            Fact::Known(seen, _) if is_look(wanted, seen, known_by_name) => Fit::Yes,
            Fact::Unknown => Fit::Untold(FIRST_BYTES),
            _ => Fit::No,
        }
    }

    fn belongs(&self, record: &FlowRecord) -> Fit {
        match (&self.flow.process, &record.facts.sought.owner) {
            (None, _) => Fit::Yes,
            (Some(wanted), Fact::Known(seen, _)) => is_process(wanted, seen),
            (Some(_), Fact::Unknown) => Fit::Untold(PROGRAM),
            (Some(_), _) => Fit::No,
        }
    }

    fn contained(&self, record: &FlowRecord) -> bool {
        if self.contains.is_empty() {
            return true;
        }
        let facts = &record.facts;
        let rule = record.decision.as_ref().and_then(|it| it.rule.as_ref());
        let owner = facts.sought.owner.known();
        let texts = [
            facts.destination.known().map(ToString::to_string),
            record.domain().map(ToString::to_string),
            owner.and_then(|it| it.name.known().map(ToString::to_string)),
            owner.and_then(|it| it.path.known().map(ToString::to_string)),
            rule.map(|rule| rule.text.to_string()),
            record.outbound.as_ref().map(ToString::to_string),
            record.member.as_ref().map(ToString::to_string),
        ];
        let groups = record.groups.iter().map(ToString::to_string);
        let has = |text: String| text.to_lowercase().contains(&self.contains);
        texts.into_iter().flatten().chain(groups).any(has)
    }
}

/// Whether a name that is known of the flow is within that one.
fn named(record: &FlowRecord, domain: &Domain) -> bool {
    let facts = &record.facts;
    let look = facts.sought.look.known();
    let names = [
        facts.destination_name(),
        look.and_then(|look| look.domain.as_ref()),
        facts.sought.correlated.known(),
    ];
    names.iter().flatten().any(|name| name.is_within(domain))
}

fn came_by(via: &Via, record: &FlowRecord) -> bool {
    let Some(seen) = record.facts.inbound.known() else {
        return false;
    };
    let name = |name: &Arc<str>| Some(name) == seen.name.as_ref() || *name == record.listener;
    via.kind.is_none_or(|kind| kind.fits(seen.kind))
        && via.name.as_ref().is_none_or(name)
        && via.port.is_none_or(|port| seen.port == Some(port))
        && via
            .user
            .as_ref()
            .is_none_or(|user| seen.user.as_ref() == Some(user))
}

/// A look of which nothing is said but its name.
fn only_named(look: &Look) -> Look {
    Look {
        domain: look.domain.clone(),
        ..Look::default()
    }
}

fn is_look(wanted: &Look, seen: &Look, named: bool) -> bool {
    fn same<T: PartialEq>(wanted: Option<&T>, seen: Option<&T>) -> bool {
        wanted.is_none_or(|wanted| seen == Some(wanted))
    }
    // Other words about first bytes say nothing of the protocol.
    let protocol = wanted.protocol == seen.protocol
        || (wanted.protocol == Protocol::Other
            && *wanted
                != Look {
                    protocol: Protocol::Other,
                    ..Look::default()
                });
    protocol
        && (wanted.domain.is_none() || named)
        && wanted.alpn.iter().all(|it| seen.alpn.contains(it))
        && same(wanted.user_agent.as_ref(), seen.user_agent.as_ref())
        && same(wanted.method.as_ref(), seen.method.as_ref())
        && same(wanted.ssh_software.as_ref(), seen.ssh_software.as_ref())
        && same(wanted.tls_version.as_ref(), seen.tls_version.as_ref())
        && same(wanted.quic_version.as_ref(), seen.quic_version.as_ref())
        && (!wanted.ech || seen.ech)
}

/// By all that was said of it: a path, else a name; its number, user, parents ...
fn is_process(wanted: &Process, seen: &Process) -> Fit {
    fn same<T: PartialEq>(wanted: &Fact<T>, seen: &Fact<T>) -> Fit {
        match (wanted.known(), seen) {
            (None, _) => Fit::Yes,
            (Some(wanted), Fact::Known(seen, _)) if wanted == seen => Fit::Yes,
            (Some(_), Fact::Unknown) => Fit::Untold(PROGRAM),
            (Some(_), _) => Fit::No,
        }
    }
    let descends = |wanted: &Parent| {
        let is = |seen: &Parent| {
            wanted.name == seen.name && (wanted.path.is_none() || wanted.path == seen.path)
        };
        match seen.parents.iter().any(is) {
            true => Fit::Yes,
            false => Fit::No,
        }
    };
    let facts = [
        same(&wanted.path, &seen.path),
        same(&wanted.name, &seen.name),
        same(&wanted.pid, &seen.pid),
        same(&wanted.user, &seen.user),
        same(&wanted.command_line, &seen.command_line),
        same(&wanted.cgroup, &seen.cgroup),
        same(&wanted.unit, &seen.unit),
        same(&wanted.tag, &seen.tag),
    ];
    let parents = wanted.parents.iter().map(descends);
    facts.into_iter().chain(parents).min().unwrap_or(Fit::Yes)
}

#[cfg(test)]
mod tests;
