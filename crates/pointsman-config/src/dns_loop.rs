//! Whether a DNS server would ask itself, by way of the system's own name servers.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::name_server::{listens, reached};
use crate::problem::Problems;
use crate::setup::{NameServer, Setup};

/// Tells where queries come to `system`, and `file` (as resolv.conf(5) has it) names a listener of the DNS server: each
/// query would be the next one. `is_own` tells which addresses are this host's.
pub fn check(
    setup: &Setup,
    (file, text): (&Path, &str),
    is_own: impl Fn(IpAddr) -> bool,
    problems: &mut Problems,
) {
    let Some(server) = &setup.dns else { return };
    let asked = reached(&server.what);
    let upstreams = asked.iter().filter_map(|at| server.what.upstreams.get(*at));
    let mut servers = upstreams.flat_map(|upstream| &upstream.servers);
    if !servers.any(|server| *server == NameServer::System) {
        return;
    }
    for address in name_servers(text) {
        let at = SocketAddr::new(address, 53);
        let mut doors = server.doors.iter();
        if let Some(door) = doors.find(|door| listens(&door.what, at, &is_own)) {
            let message = format!(
                "{} names {address}, where `{}` listens: `system` would ask this server itself",
                file.display(),
                door.what.name
            );
            problems.error("dns-loop", &server.span, message).hint = Some(format!(
                "name an upstream of `dns.upstreams` instead of `system`, or another server in {}",
                file.display()
            ));
            return;
        }
    }
}

/// resolv.conf(5): "If no nameserver entries are present, the default is to use the name server on the local machine."
fn name_servers(text: &str) -> Vec<IpAddr> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let is_it = words.next() == Some("nameserver");
        words.next().filter(|_| is_it)
    });
    let mut found: Vec<IpAddr> = lines
        .filter_map(|word| word.split('%').next()?.parse().ok())
        .collect();
    if found.is_empty() {
        found.push(IpAddr::from([127, 0, 0, 1]));
    }
    found
}
