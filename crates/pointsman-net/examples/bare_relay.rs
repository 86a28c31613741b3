//! A relay with nothing around it: what our data plane costs before any policy.
//!
//! `bare_relay LISTEN TARGET [WORKERS]`, for instance `bare_relay 127.0.0.1:0 127.0.0.1:8080`; prints the bound address.
//! Compare with `limit_relay`, which does the least that a relay can do.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pointsman_net::dial::Dialer;
use pointsman_net::listen::{Accepted, Endpoint, Listener};
use pointsman_net::relay::{FlowBytes, Limits, PipePool, relay};
use pointsman_net::stream::Stream;
use pointsman_net::tasks::Tasks;
use pointsman_net::workers::Workers;
use pointsman_spec::address::Uplink;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, target, rest @ ..] = &arguments[..] else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "usage: bare_relay LISTEN TARGET [WORKERS]",
        ));
    };
    let listen: SocketAddr = listen.parse().map_err(io::Error::other)?;
    let target: SocketAddr = target.parse().map_err(io::Error::other)?;
    let count = rest
        .first()
        .map_or(Ok(1), |count| count.parse())
        .map_err(io::Error::other)?;

    pointsman_os::local::raise_descriptor_limit()?;
    let workers = Workers::start(count)?;
    let (tasks, dialer, pool) = (Tasks::new(), Dialer::new(None), PipePool::default());
    let handler = Arc::new(move |accepted: Accepted| {
        let (dialer, pool, flows) = (dialer.clone(), pool.clone(), tasks.clone());
        tasks.spawn(async move {
            let uplink = Uplink::default();
            if let Ok(server) = dialer.tcp(target, &uplink, Duration::from_secs(10)).await {
                // A task of its own, so that the future that dialled is dropped.
                let pool = pool.clone();
                flows.spawn(async move {
                    let limits = Limits {
                        idle: Some(IDLE),
                        ..Limits::default()
                    };
                    let flow = Arc::new(FlowBytes::default());
                    relay(
                        Stream::new(accepted.socket),
                        server.into(),
                        &limits,
                        &flow,
                        &pool,
                    )
                    .await;
                });
            }
        });
    });
    let listener = Listener::bind(Endpoint::Tcp(listen), &workers, handler)?;
    if let Some(address) = listener.address() {
        writeln!(io::stdout(), "{address}")?;
    }
    loop {
        std::thread::park();
    }
}

const IDLE: Duration = Duration::from_secs(600);
