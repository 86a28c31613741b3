//! What somebody can do where a configuration cannot come into force: the system's words do not say that.

use std::io::{Error, ErrorKind};

use pointsman_net::plane::ApplyError;
use pointsman_net::record::chain;

/// The error with its cause on one line, and what to do about it.
pub(super) fn told(error: &ApplyError) -> String {
    let said = chain(error);
    let hint = match error {
        ApplyError::Bind {
            source, address, ..
        } => of_listening(source, address.is_udp()),
        ApplyError::Lacks { .. }
        | ApplyError::Log { .. }
        | ApplyError::Spec(_)
        | ApplyError::Stopping => None,
    };
    match hint {
        Some(hint) => format!("{said}; {hint}"),
        None => said,
    }
}

fn of_listening(error: &Error, is_udp: bool) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::AddrInUse if is_udp => {
            Some("another program listens there (`ss -lunp` shows which), or another Pointsman")
        }
        ErrorKind::AddrInUse => {
            Some("another program listens there (`ss -ltnp` shows which), or another Pointsman")
        }
        ErrorKind::AddrNotAvailable => {
            Some("no interface of this host has that address (`ip address` shows those it has)")
        }
        ErrorKind::PermissionDenied => Some(
            "ports below 1024 are for root and for programs with CAP_NET_BIND_SERVICE; take a higher one, or give it that",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use pointsman_net::spec::listening::At;

    use super::*;

    #[test]
    fn an_address_that_cannot_be_had_says_what_to_do() {
        let check = |kind: ErrorKind, expected: &str| {
            let told = told(&ApplyError::Bind {
                kind: "inbound",
                inbound: "desk".into(),
                address: At::Tcp(([127, 0, 0, 1], 80).into()),
                source: kind.into(),
            });
            let (said, hint) = told.split_once("; ").unwrap_or((&told, ""));
            let cause = Error::from(kind);
            let expected_said = format!("inbound `desk` cannot listen on 127.0.0.1:80: {cause}");
            assert_eq!(said, expected_said);
            assert!(hint.contains(expected), "{told}");
        };
        check(ErrorKind::AddrInUse, "another program listens there");
        check(ErrorKind::AddrNotAvailable, "no interface of this host");
        check(ErrorKind::PermissionDenied, "CAP_NET_BIND_SERVICE");
        check(ErrorKind::Other, "");
    }
}
