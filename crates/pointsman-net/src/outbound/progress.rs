//! What an opening waits for while it waits for a proxy, so that a limit that is over says at which one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pointsman_policy::Host;
use pointsman_spec::outbound::Upstream;

use super::{DialError, ProxyStep};

/// Until when a way has to be open, and what it waits for meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit<'a> {
    pub(super) within: Duration,
    pub(super) progress: &'a Progress,
}

/// Which proxy of the way was asked last, and for what. Ways are opened hop by hop, so there is but one at a time.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<Option<Proxy>>);

#[derive(Debug)]
struct Proxy {
    outbound: Arc<str>,
    host: Host,
    port: u16,
    asked: Option<ProxyStep>,
}

impl Progress {
    /// The server of that outbound took the connection.
    pub(super) fn connected(&self, outbound: &Arc<str>, server: &Upstream) {
        *self.proxy() = Some(Proxy {
            outbound: Arc::clone(outbound),
            host: server.server.host.clone(),
            port: server.server.port,
            asked: None,
        });
    }

    /// The proxy that was connected last is asked for that.
    pub(super) fn asked(&self, asked: ProxyStep) {
        if let Some(proxy) = &mut *self.proxy() {
            proxy.asked = Some(asked);
        }
    }

    /// Why nothing came about within the limit.
    pub(super) fn over(&self, outbound: Arc<str>, limit: Duration) -> DialError {
        match self.proxy().take() {
            Some(Proxy {
                outbound,
                host,
                port,
                asked: Some(asked),
            }) => DialError::ProxySilent {
                outbound,
                at: at(&host, port),
                asked,
                limit,
            },
            _ => DialError::TimedOut { outbound, limit },
        }
    }

    fn proxy(&self) -> MutexGuard<'_, Option<Proxy>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn at(host: &Host, port: u16) -> String {
    match host {
        Host::Address(address) => std::net::SocketAddr::new(*address, port).to_string(),
        Host::Name(name) => format!("{name}:{port}"),
    }
}
