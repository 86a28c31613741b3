//! What leaves from this host, with no hop before it: addresses are found, and refused where they are ours.
//!
//! Invariant: no connection is made to a listener of ours, and one that might come back to us is known again.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::nowhere::Nowhere;
use pointsman_policy::{Domain, Host};
use pointsman_spec::address::Uplink;
use pointsman_spec::asks::Asked;
use tokio::net::TcpStream;

use super::{Destination, DialError, Path, Ways};
use crate::dial::Dialer;
use crate::spec::listening::At;
use crate::stream::Stream;

impl Ways {
    /// A stream to a destination from this host; `path` says by which uplink, and what it may not be taken to.
    pub(super) async fn dial(
        &self,
        outbound: &Arc<str>,
        path: Path,
        destination: &Destination,
        limit: Duration,
    ) -> Result<Stream, DialError> {
        let addresses = &*self.addresses_of(&path, destination).await?;
        let with_port = |address: &IpAddr| SocketAddr::new(*address, destination.port);
        let (one, many);
        let addresses = match addresses {
            [only] => {
                one = with_port(only);
                std::slice::from_ref(&one)
            }
            addresses => {
                many = addresses.iter().map(with_port).collect::<Vec<_>>();
                &many
            }
        };
        self.refuse_own(addresses)?;
        if !path.to_server {
            let mut nowhere = addresses.iter().map(|to| Nowhere::of(Some(to.ip()), None));
            if let Some(nowhere) = nowhere.find_map(|nowhere| nowhere) {
                return Err(DialError::Nowhere(nowhere));
            }
        }
        let refused = addresses.iter().find(|to| !path.lent.allows(to.ip()));
        if let Some(to) = refused {
            return Err(DialError::LocalAddress { address: to.ip() });
        }
        let connected = self.dialer().tcp_any(addresses, &path.uplink, limit).await;
        let socket = connected.map_err(|source| DialError::Unreachable {
            outbound: Arc::clone(outbound),
            source,
        })?;
        Ok(self.known(socket, addresses, self.dialer()))
    }

    /// Where a destination is: its own address, those that the policy saw, else what is looked up.
    pub(super) async fn addresses_of<'a>(
        &self,
        path: &Path,
        destination: &'a Destination,
    ) -> Result<Cow<'a, [IpAddr]>, DialError> {
        Ok(match &destination.host {
            Host::Address(address) => std::slice::from_ref(address).into(),
            Host::Name(_) if !destination.resolved.is_empty() => (&*destination.resolved).into(),
            Host::Name(name) => self
                .look_up_for(path, name, destination.asked)
                .await?
                .into(),
        })
    }

    /// The addresses of a name: one of a flow by whoever is asked for it, one of a server by the resolver for servers.
    pub(super) async fn look_up_for(
        &self,
        path: &Path,
        name: &Domain,
        asked: Asked,
    ) -> Result<Vec<IpAddr>, DialError> {
        let asking = Self {
            depth: path.depth,
            ..self.clone()
        };
        let most = self.generation.spec().timeouts.resolve;
        let answer = match path.to_server {
            true => {
                let resolver = self.generation.resolver_of_servers();
                asking.look_up(&**resolver, name, most).await
            }
            false => asking.look_up_asking(asked, name, most).await,
        };
        let found = answer.map_err(|why| DialError::Unresolved {
            name: name.clone(),
            why,
        });
        Ok(found?.list)
    }

    /// A connection that was made to one of `addresses`, known as our own should it come back to us all the same.
    pub(super) fn known(
        &self,
        socket: TcpStream,
        addresses: &[SocketAddr],
        dialer: &Dialer,
    ) -> Stream {
        let might_arrive = |to: &SocketAddr| self.shared.might_arrive(to.port());
        let token = match addresses.iter().any(might_arrive) {
            true => match (socket.local_addr(), socket.peer_addr()) {
                (Ok(own), Ok(peer)) => Some(self.shared.own.made(own, peer)),
                _ => None,
            },
            false => None,
        };
        Stream::from(socket)
            .known_by(token)
            .probed_by(dialer.keepalive.later())
    }

    /// A stream to the first of `addresses` that answers, from here and by `uplink`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) async fn connect(
        &self,
        outbound: &Arc<str>,
        addresses: &[SocketAddr],
        uplink: &Uplink,
        dialer: &Dialer,
        limit: Duration,
    ) -> Result<Stream, DialError> {
        self.refuse_own(addresses)?;
        let connected = dialer.tcp_any(addresses, uplink, limit).await;
        connected
            .map(|socket| self.known(socket, addresses, dialer))
            .map_err(|source| DialError::Unreachable {
                outbound: Arc::clone(outbound),
                source,
            })
    }

    /// Refuses addresses of which one is a listener of ours.
    pub(crate) fn refuse_own(&self, addresses: &[SocketAddr]) -> Result<(), DialError> {
        for address in addresses {
            self.refuse_own_at(At::Tcp(*address))?;
        }
        Ok(())
    }

    /// The same of an address of either transport.
    pub(crate) fn refuse_own_at(&self, at: At) -> Result<(), DialError> {
        if let Some(to) = at.address()
            && self.dialer().is_fake(to.ip())
        {
            return Err(DialError::FakeAddress { address: to.ip() });
        }
        match self.shared.arrives_at(&at) {
            true => Err(DialError::OwnListener { at }),
            false => Ok(()),
        }
    }

    /// Refuses a path where a listener of ours is.
    pub(crate) fn refuse_own_path(&self, path: &std::path::Path) -> Result<(), DialError> {
        match self.shared.arrives_at_path(path) {
            true => Err(DialError::OwnListener {
                at: At::Unix(path.to_owned()),
            }),
            false => Ok(()),
        }
    }
}
