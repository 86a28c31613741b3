//! By which inbound or forward of a configuration a described flow comes in.
//!
//! Invariant: one fits all that is said of it, or it is an error that names those there are. So no flow is put to the
//! rules of another inbound than the one that was meant.

use std::sync::Arc;

use pointsman_policy::fact::{InboundKind, Network};

use super::names::{listed, meant};
use super::{BadFlow, Query, Via};
use crate::own::{Listener, Listeners};
use crate::setup::{Endpoint, Forward, Inbound, Setup};

/// What took a flow in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Door<'s> {
    Forward(&'s Forward),
    Inbound(&'s Inbound),
}

impl<'s> Door<'s> {
    /// The one that is meant; `None` where nothing is said of it. Without inbounds that is the first forward: there
    /// is nothing else that could be.
    ///
    /// # Errors
    /// [`BadFlow::NoDoor`]: none is as was said.
    pub(super) fn of(setup: &'s Setup, via: Option<&Via>) -> Result<Option<Self>, BadFlow> {
        let first = setup.forwards.first().filter(|_| setup.inbounds.is_empty());
        let Some(via) = via.filter(|via| **via != Via::default()) else {
            return Ok(first.map(Self::Forward));
        };
        let all = Self::all(setup, via);
        let named: Vec<Self> = match &via.name {
            Some(name) => all
                .iter()
                .copied()
                .filter(|it| it.names().contains(&&**name))
                .collect(),
            None => all.clone(),
        };
        let open: Vec<Self> = named.iter().copied().filter(|it| it.fits(via)).collect();
        let found = open.iter().copied().find(|it| it.knows(via.user.as_ref()));
        match (found, &via.name, &via.user) {
            (Some(found), ..) => Ok(Some(found)),
            (None, Some(name), _) if named.is_empty() => Err(unnamed(&all, via, name)),
            (None, _, Some(user)) if !open.is_empty() => Err(unknown(&open, user)),
            (None, ..) => Err(unlike(&all, via)),
        }
    }

    /// What is meant by what is said: a type that nothing here has is the name of what is called so.
    pub(super) fn meant(setup: &Setup, via: &Via) -> Via {
        let Some(kind) = via.kind.filter(|_| via.name.is_none()) else {
            return via.clone();
        };
        let all = Door::all(setup, via);
        let of_kind = Via {
            kind: Some(kind),
            ..Via::default()
        };
        let is_named = all.iter().any(|it| it.names().contains(&kind.as_str()));
        match is_named && !all.iter().any(|it| it.fits(&of_kind)) {
            true => Via {
                kind: None,
                name: Some(kind.as_str().into()),
                ..via.clone()
            },
            false => via.clone(),
        }
    }

    /// The forward that listens where a flow goes, of which nobody said how it comes in and which no inbound could
    /// have taken. One of the flow's transport goes first; where none was said, any is as good.
    pub(super) fn aimed_at(setup: &'s Setup, query: &Query) -> Option<&'s Forward> {
        let said = query.inbound.as_ref().filter(|via| **via != Via::default());
        if said.is_some() || !setup.inbounds.is_empty() {
            return None;
        }
        let (host, port) = query.destination.as_ref().zip(query.port)?;
        let listeners = Listeners::of(setup);
        let networks = match query.network {
            Some(network) => [network, network],
            None => [Network::Tcp, Network::Udp],
        };
        let found = networks.iter().find_map(|network| {
            listeners.whose(*network, host, port, |address| address.is_loopback())
        });
        match found? {
            Listener::Forward(name) => setup.forwards.iter().find(|it| &*it.name == name),
            Listener::Inbound(_) => None,
        }
    }

    /// That the name is one of the configuration's, whatever else is said: for who chooses among flows.
    ///
    /// # Errors
    /// [`BadFlow::NoDoor`]: nothing has that name.
    pub(super) fn named(setup: &Setup, via: &Via) -> Result<(), BadFlow> {
        let all = Door::all(setup, via);
        match &via.name {
            Some(name) if !all.iter().any(|it| it.names().contains(&&**name)) => {
                Err(unnamed(&all, via, name))
            }
            _ => Ok(()),
        }
    }

    /// A name is a forward's before it is an inbound's; all else is an inbound's first.
    fn all(setup: &'s Setup, via: &Via) -> Vec<Self> {
        let forwards = setup.forwards.iter().map(Self::Forward);
        let inbounds = setup.inbounds.iter().map(Self::Inbound);
        match via.name {
            Some(_) => forwards.chain(inbounds).collect(),
            None => inbounds.chain(forwards).collect(),
        }
    }

    fn name(self) -> &'s str {
        match self {
            Self::Forward(forward) => &forward.name,
            Self::Inbound(inbound) => &inbound.name,
        }
    }

    /// All names by which it may be meant.
    fn names(self) -> Vec<&'s str> {
        match self {
            Self::Forward(forward) => vec![&*forward.name],
            Self::Inbound(inbound) => names(inbound).map(|name| &**name).collect(),
        }
    }

    fn is_forward(self) -> bool {
        matches!(self, Self::Forward(_))
    }

    /// Whether it speaks so, at that port.
    fn fits(self, via: &Via) -> bool {
        match self {
            // A type or a port must be said: flows without them are those of inbounds, where there are any.
            Self::Forward(forward) => {
                let kind = via.kind == Some(InboundKind::Forward)
                    || (via.kind.is_none() && (via.name.is_some() || via.port.is_some()));
                kind && via.port.is_none_or(|port| listens_on(forward, port))
            }
            Self::Inbound(inbound) => {
                // Port 0 is one that the system chooses.
                let own = inbound.listen.port();
                via.kind.is_none_or(|kind| inbound.kind.fits(kind))
                    && via.port.is_none_or(|port| own == port || own == 0)
            }
        }
    }

    fn knows(self, user: Option<&Arc<str>>) -> bool {
        user.is_none_or(|user| self.users().any(|known| known == &**user))
    }

    fn users(self) -> impl Iterator<Item = &'s str> {
        let users = match self {
            Self::Forward(_) => &[][..],
            Self::Inbound(inbound) => &inbound.users,
        };
        users.iter().map(|user| &*user.name)
    }

    /// `desk (mixed, port 7890)`.
    fn described(self) -> String {
        match self {
            Self::Forward(forward) => {
                let ports: Vec<String> = ports(forward).map(|port| port.to_string()).collect();
                let port = match ports.as_slice() {
                    [] => String::new(),
                    [port] => format!(", port {port}"),
                    ports => format!(", ports {}", ports.join(", ")),
                };
                format!("{} (forward{port})", forward.name)
            }
            Self::Inbound(inbound) => {
                let (kind, port) = (inbound.kind.as_str(), inbound.listen.port());
                format!("{} ({kind}, port {port})", inbound.name)
            }
        }
    }
}

/// Whether that name is one of an inbound, or one that conditions may see of its flows.
pub(super) fn has_name(inbound: &Inbound, name: &Arc<str>) -> bool {
    names(inbound).any(|own| own == name)
}

fn names(inbound: &Inbound) -> impl Iterator<Item = &Arc<str>> {
    let users = inbound.users.iter().filter_map(|user| user.alias.as_ref());
    let alias = inbound
        .alias
        .as_ref()
        .filter(|alias| **alias != inbound.name);
    std::iter::once(&inbound.name).chain(alias).chain(users)
}

fn ports(forward: &Forward) -> impl Iterator<Item = u16> {
    forward.listen.iter().filter_map(|listen| match &listen.at {
        Endpoint::Tcp(server) | Endpoint::Udp(server) => Some(server.port),
        Endpoint::Fd(_) | Endpoint::Unix(_) => None,
    })
}

fn listens_on(forward: &Forward, port: u16) -> bool {
    ports(forward).any(|own| own == port || own == 0)
}

/// Nothing has that name.
fn unnamed(all: &[Door<'_>], via: &Via, name: &str) -> BadFlow {
    let only_forwards = via.kind == Some(InboundKind::Forward);
    let of_kind = all
        .iter()
        .filter(|door| door.is_forward() || !only_forwards);
    let names = of_kind.flat_map(|door| door.names());
    let what = match only_forwards {
        true => "forward",
        false => "inbound",
    };
    BadFlow::NoDoor(format!(
        "there is no {what} `{name}` ({})",
        meant(name, names)
    ))
}

/// Some fit, and none of them has that user.
fn unknown(open: &[Door<'_>], user: &str) -> BadFlow {
    let users: Vec<&str> = open.iter().flat_map(|door| door.users()).collect();
    let who = match open {
        [door] => format!("`{}` has no user `{user}`", door.name()),
        _ => format!("no inbound here has a user `{user}`"),
    };
    let why = match users.is_empty() {
        true => "it asks nobody who they are".to_owned(),
        false => meant(user, users),
    };
    BadFlow::NoDoor(format!("{who} ({why})"))
}

/// None speaks so, or listens there.
fn unlike(all: &[Door<'_>], via: &Via) -> BadFlow {
    let mut said = Vec::new();
    said.extend(via.name.as_ref().map(|name| format!("named `{name}`")));
    said.extend(via.kind.map(|kind| format!("of type `{}`", kind.as_str())));
    said.extend(via.port.map(|port| format!("on port {port}")));
    said.extend(
        via.user
            .as_ref()
            .map(|user| format!("with a user `{user}`")),
    );
    let doors: Vec<String> = all.iter().map(|door| door.described()).collect();
    let doors = listed(doors.iter().map(String::as_str));
    BadFlow::NoDoor(format!("there is no inbound {} ({doors})", said.join(" ")))
}
