//! Upstreams of `dns`: one server, several, and what they have.

use super::super::{Key, Mapping, ValueKind, needed_told, told};
use super::{DURATION, DURATION_OR_OFF, NAME, mapping};

use ValueKind::{Any, Either, File, Items, Matching};

pub(super) const NAME_SERVER: ValueKind = Matching("^(system|(udp|tcp|tls|https|h3|quic)://.+)$");
pub(super) const NAME_SERVERS: ValueKind = Items(&Either(&[NAME_SERVER, ONE_OF_SEVERAL]), 1);
const ADDRESS: Key = needed_told(
    "address",
    NAME_SERVER,
    "`udp://ADDRESS[:PORT]`, `tcp://...`, `tls://HOST[:PORT]`, `https://HOST[:PORT]/PATH`",
);
const VIA: Key = told("via", NAME, "The outbound that it is asked by");
const TIMEOUT: Key = told("timeout", DURATION, "What a question of a client may take");
const ADDRESSES: Key = told(
    "addresses",
    Either(&[Matching("[.:]"), Items(&Matching("[.:]"), 0)]),
    "Where a server by name is, so that nobody is asked for the name",
);
const CLIENT_SUBNET: Key = told("client_subnet", Any, "Not yet");
const TLS: Key = told(
    "tls",
    ValueKind::Mapping(&PROOF),
    "How the server proves who it is",
);
const ONE_OF_SEVERAL: ValueKind = ValueKind::Mapping(&mapping(
    ("", ""),
    &[ADDRESS, VIA, TIMEOUT, ADDRESSES, CLIENT_SUBNET, TLS],
));
/// Several servers, with what they share.
const fn several(list: Key) -> [Key; 7] {
    [
        list,
        told("via", NAME, "The outbound that all are asked by"),
        told(
            "timeout",
            DURATION,
            "What a question of a client may take in all",
        ),
        told(
            "reuse",
            DURATION_OR_OFF,
            "How long a connection to one stays though nobody asks",
        ),
        told(
            "addresses",
            Either(&[Matching("[.:]"), Items(&Matching("[.:]"), 0)]),
            "Where servers by name are",
        ),
        told("client_subnet", Any, "Not yet"),
        told(
            "tls",
            ValueKind::Mapping(&PROOF),
            "How the servers prove who they are",
        ),
    ]
}
const IN_ORDER: [Key; 7] = several(needed_told(
    "order",
    NAME_SERVERS,
    "Servers of which one is asked after the other",
));
const IN_RACE: [Key; 7] = several(needed_told(
    "race",
    NAME_SERVERS,
    "Servers that are all asked at once",
));
const BY_SPEED: [Key; 7] = several(needed_told(
    "fastest",
    NAME_SERVERS,
    "Servers of which the one is asked that was first before",
));
pub(super) const ORDER: ValueKind =
    ValueKind::Mapping(&mapping(("dns", "upstreams.*."), &IN_ORDER));
pub(super) const RACE: ValueKind = ValueKind::Mapping(&mapping(("dns", "upstreams.*."), &IN_RACE));
pub(super) const FASTEST: ValueKind =
    ValueKind::Mapping(&mapping(("dns", "upstreams.*."), &BY_SPEED));
pub(super) const UPSTREAM: ValueKind = ValueKind::Mapping(&mapping(
    ("dns", "upstreams.*."),
    &[
        ADDRESS,
        told(
            "reuse",
            DURATION_OR_OFF,
            "How long a connection to it stays though nobody asks",
        ),
        VIA,
        TIMEOUT,
        ADDRESSES,
        CLIENT_SUBNET,
        TLS,
    ],
));

const PROOF: Mapping = mapping(
    ("dns", "upstreams.*.tls."),
    &[
        told("name", NAME, "What the server's certificate has to be for"),
        told(
            "authorities",
            File,
            "A file of certificates in PEM whose word counts",
        ),
    ],
);
