//! Listeners at addresses that are no single host's: no flow over TCP comes there, and no flow is answered from there.

use std::net::IpAddr;

use pointsman_policy::Host;
use pointsman_policy::nowhere::Nowhere;

use crate::problem::{Problems, Span};
use crate::setup::{Endpoint, Setup};

/// Refuses inbounds and forwards that are to listen on a multicast address, or on everybody's.
pub(super) fn check(setup: &Setup, problems: &mut Problems) {
    let mut look = |address: IpAddr, name: &str, span: &Span| {
        let what = match Nowhere::of(Some(address), None) {
            Some(Nowhere::Broadcast(_)) => "the broadcast address",
            Some(Nowhere::Multicast(_)) => "a multicast address",
            Some(Nowhere::NoPort) | None => return,
        };
        let message = format!("`{name}` cannot listen on {address}, which is {what}");
        problems.error("invalid-address", span, message).hint =
            Some("listen on an address of this host, or on `0.0.0.0` for all of them".into());
    };
    for inbound in &setup.inbounds {
        look(inbound.listen.ip(), &inbound.name, &inbound.span);
    }
    for forward in &setup.forwards {
        for listen in &forward.listen {
            if let Endpoint::Tcp(server) | Endpoint::Udp(server) = &listen.at
                && let Host::Address(address) = &server.host
            {
                look(*address, &forward.name, &forward.span);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::files::Memory;
    use crate::load;

    #[test]
    fn nobody_listens_where_no_flow_comes() {
        let check = |address: &str, expected: &[&str]| {
            let text = format!(
                "version: 1\npolicy: direct\n\
                 inbounds: {{ desk: {{ type: mixed, listen: \"{address}:1080\" }} }}\n\
                 forwards:\n  db:\n    listen: \"tcp://{address}:5432\"\n    targets: [ {{ name: a, address: \"tcp://192.0.2.5:1\" }} ]\n"
            );
            let files = Memory::new([("c.yaml", text.as_str())]);
            let told = load(Path::new("c.yaml"), None, None, &files).problems;
            let told: Vec<String> = told.errors().map(|it| it.sentence()).collect();
            assert_eq!(told, expected, "{address}");
        };
        check("127.0.0.1", &[]);
        check("0.0.0.0", &[]);
        check("[::]", &[]);
        check(
            "255.255.255.255",
            &[
                "`desk` cannot listen on 255.255.255.255, which is the broadcast address",
                "`db` cannot listen on 255.255.255.255, which is the broadcast address",
            ],
        );
        check(
            "[ff02::1]",
            &[
                "`desk` cannot listen on ff02::1, which is a multicast address",
                "`db` cannot listen on ff02::1, which is a multicast address",
            ],
        );
    }
}
