//! Doors: what flows meet where they come in.

use std::sync::Arc;

use pointsman_policy::fact::InboundKind;

use super::forward::ForwardSpec;
use super::listening::Listen;
use crate::login::User;

/// An inbound: where it listens, whom it admits, what it speaks, and who decides on what came in.
#[derive(Clone, Debug)]
pub struct DoorSpec {
    /// Its name.
    pub name: Arc<str>,
    /// What conditions see as its name where the user brings none.
    pub alias: Option<Arc<str>>,
    /// Where it listens; port 0 takes a free one.
    pub listen: Vec<Listen>,
    /// Index into [`Spec::policies`](super::Spec::policies).
    pub policy: usize,
    /// Index into [`Spec::resolvers`](super::Spec::resolvers); `None`:
    /// [`Spec::server_resolver`](super::Spec::server_resolver).
    pub resolver: Option<usize>,
    /// Who may come in.
    pub admits: Admission,
    /// How a client says where it wants to go.
    pub speaks: Speaks,
}

impl From<&ForwardSpec> for DoorSpec {
    fn from(forward: &ForwardSpec) -> Self {
        Self {
            name: Arc::clone(&forward.name),
            alias: Some(Arc::clone(&forward.name)),
            listen: forward.listen.clone(),
            policy: forward.policy,
            resolver: None,
            admits: Admission::default(),
            speaks: Speaks::Nothing,
        }
    }
}

/// Who may come in, before the policy is asked.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// Those who log in; empty: anybody who reaches it.
    pub users: Vec<User>,
}

/// How a client says where it wants to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP: CONNECT, and plain requests.
    Http,
    /// HTTP and SOCKS, told apart by the first byte.
    Mixed,
    /// Nothing: what the client connected to says all.
    Nothing,
    /// SOCKS 5, 4a and 4.
    Socks,
}

impl Speaks {
    /// As listeners are listed.
    #[must_use]
    pub fn kind(self) -> InboundKind {
        match self {
            Self::Http => InboundKind::Http,
            Self::Mixed => InboundKind::Mixed,
            Self::Nothing => InboundKind::Forward,
            Self::Socks => InboundKind::Socks5,
        }
    }
}
