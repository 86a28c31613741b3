//! What stands where, as a table: each mapping with its keys.

mod upstreams;

use pointsman_policy::model::DomainOrder;

use super::super::{
    ANSWERS, BALANCES, FAMILIES, LOG_FORMATS, LOG_LEVELS, OTHER_BALANCES, UNKNOWN, inbounds,
    list_files, outbounds, udp,
};
use super::{Key, Mapping, Type, ValueKind, key, needed, needed_told, told};
use upstreams::{FASTEST, NAME_SERVER, NAME_SERVERS, ORDER, RACE, UPSTREAM};

use ValueKind::{
    Any, BuiltOrLater, ByName, Digits, Either, File, Flag, Items, List, Matching, One, Rule, Text,
    Whole, Words,
};

const DURATION: ValueKind = Matching("^0*[1-9][0-9]*(ms|s|m|h|d)$");
const DURATION_OR_OFF: ValueKind = Matching("^(off|0*[1-9][0-9]*(ms|s|m|h|d))$");
const SIZE: ValueKind = Matching("^[0-9]+(B|KiB|MiB|GiB)$");
const NAME: ValueKind = Text;
const PATH: ValueKind = Text;
const SERVER: ValueKind = Matching("^.+:[0-9]+$");
const RANGES: ValueKind = Items(&Matching("[.:]"), 1);
const NAMES: ValueKind = Items(&NAME, 1);
const FAMILY: ValueKind = Words(|| words(&FAMILIES));
const ANY_U32: ValueKind = Whole(0, u32::MAX as i64);
const SOME_U32: ValueKind = Whole(1, u32::MAX as i64);

fn words<T>(table: &[(&'static str, T)]) -> Vec<&'static str> {
    table.iter().map(|(word, _)| *word).collect()
}

const fn mapping(place: (&'static str, &'static str), keys: &'static [Key]) -> Mapping {
    Mapping {
        place,
        keys,
        types: &[],
        one_of: &[],
        any_of: &[],
    }
}

const TOP: &str = "Top level";

/// The file.
pub(super) const ROOT: Mapping = mapping(
    (TOP, ""),
    &[
        key("version", One),
        told("log", ValueKind::Mapping(&LOG), "The daemon's own log"),
        key("access_log", File),
        told(
            "history",
            ValueKind::Mapping(&HISTORY),
            "What is kept of ended flows",
        ),
        key("watch", Flag),
        told(
            "shutdown",
            ValueKind::Mapping(&SHUTDOWN),
            "How the daemon ends",
        ),
        told(
            "sniff",
            ValueKind::Mapping(&SNIFF),
            "How first bytes of flows are looked at",
        ),
        told(
            "timeouts",
            ValueKind::Mapping(&TIMEOUTS),
            "How long flows may wait",
        ),
        told(
            "udp",
            ValueKind::Mapping(&UDP),
            "Flows over UDP: how long and how many they are",
        ),
        key("on_unknown", Words(|| words(&UNKNOWN))),
        key("ip_rules_resolve", Flag),
        key(
            "domain_order",
            Words(|| DomainOrder::ALL.map(|order| order.as_str()).to_vec()),
        ),
        key("geoip_db", File),
        key("asn_db", File),
        key("control", Any),
        key("include", Either(&[PATH, List(&PATH)])),
        told(
            "inbounds",
            ByName(&ValueKind::Mapping(&INBOUND)),
            "Proxy listeners by name",
        ),
        told(
            "outbounds",
            ByName(&ValueKind::Mapping(&OUTBOUND)),
            "Ways out by name; `direct`, `reset`, `reject` and `blackhole` are built in",
        ),
        told(
            "forwards",
            ByName(&ValueKind::Mapping(&FORWARD)),
            "L4 forwards by name",
        ),
        told(
            "dns",
            ValueKind::Mapping(&DNS),
            "Name servers by name, and the DNS server",
        ),
        told(
            "rule_sets",
            ByName(&ValueKind::Mapping(&RULE_SET)),
            "Lists of names, addresses or rules, by name",
        ),
        key("policy", Text),
        key("rules", List(&Rule)),
        key("policies", ByName(&Either(&[Text, List(&Rule)]))),
        key(
            "tests",
            List(&Either(&[Matching("=>"), ValueKind::Mapping(&TEST)])),
        ),
    ],
);

const LOG: Mapping = mapping(
    (TOP, "log."),
    &[
        key("level", Words(|| LOG_LEVELS.to_vec())),
        key("format", Words(|| words(&LOG_FORMATS))),
    ],
);

const HISTORY: Mapping = mapping(
    (TOP, "history."),
    &[
        key("keep", Whole(0, super::super::defaults::HISTORY_MOST)),
        key("redact", Flag),
    ],
);

const SHUTDOWN: Mapping = mapping((TOP, "shutdown."), &[key("grace", DURATION)]);

const SNIFF: Mapping = mapping(
    (TOP, "sniff."),
    &[key("timeout", DURATION), key("max_bytes", SIZE)],
);

const TIMEOUTS: Mapping = mapping(
    (TOP, "timeouts."),
    &[
        key("handshake", DURATION),
        key("dial", DURATION),
        key("resolve", DURATION),
        key("first_byte", DURATION_OR_OFF),
        key("half_closed", DURATION_OR_OFF),
        key("idle", DURATION_OR_OFF),
        key("keep_alive", DURATION),
        key("blackhole", DURATION),
    ],
);

const UDP: Mapping = mapping(
    (TOP, "udp."),
    &[
        key("idle", DURATION),
        key("idle_by_protocol", ByName(&DURATION)),
        key("nat", Words(|| words(&udp::NATS))),
        key("flows", Whole(1, udp::MOST_FLOWS)),
        key("flows_by_client", Whole(1, udp::MOST_FLOWS)),
        key("held", SIZE),
        key("offload", Words(|| words(&udp::OFFLOADS))),
    ],
);

const TEST: Mapping = mapping(
    (TOP, "tests."),
    &[
        needed_told(
            "flow",
            Either(&[NAME, ByName(&Any)]),
            "The flow in words, as in a `.case` file: `dst=example.com:443`",
        ),
        needed_told("expect", NAME, "The outbound that it must go to"),
    ],
);

/// A secret that is not written here.
const SECRET: Mapping = Mapping {
    one_of: &["from_file", "from_env"],
    ..mapping(
        ("", ""),
        &[
            told(
                "from_file",
                PATH,
                "The file that holds it; one final line break is cut off",
            ),
            told(
                "from_env",
                NAME,
                "The variable of the daemon's environment that holds it",
            ),
        ],
    )
};

const USER: Mapping = mapping(
    ("", ""),
    &[
        needed_told(
            "password",
            Either(&[Text, ValueKind::Mapping(&SECRET)]),
            "A secret",
        ),
        told(
            "alias",
            NAME,
            "What `INBOUND-ALIAS` sees; the user's name where it is not given",
        ),
    ],
);

const INBOUND: Mapping = Mapping {
    types: &[
        Type {
            words: || words(&inbounds::KINDS),
            keys: &[
                needed("listen", Digits("^(.*:)?[0-9]+$")),
                key(
                    "users",
                    ByName(&Either(&[
                        Text,
                        ValueKind::Mapping(&SECRET),
                        ValueKind::Mapping(&USER),
                    ])),
                ),
                key("alias", NAME),
                key("allow", RANGES),
                key("policy", NAME),
                key("resolver", NAME),
            ],
            open: false,
        },
        Type {
            words: || inbounds::LATER.to_vec(),
            keys: &[],
            open: true,
        },
    ],
    ..mapping(
        ("inbounds", ""),
        &[needed(
            "type",
            BuiltOrLater(|| words(&inbounds::KINDS), || inbounds::LATER.to_vec()),
        )],
    )
};

const INTERFACE: Key = told(
    "interface",
    NAME,
    "The interface that flows leave by; the system's choice unless given",
);
const SOURCE: Key = told(
    "source",
    Matching("[.:]"),
    "The address that flows leave from; the system's choice unless given",
);
const MARK: Key = told("mark", ANY_U32, "Linux's SO_MARK; none unless given");
const PROXY: Key = needed_told(
    "server",
    SERVER,
    "`host:port`; an IPv6 address stands in brackets",
);
const USERNAME: Key = told("username", NAME, "For the proxy; goes with `password`");
const PASSWORD: Key = told(
    "password",
    Either(&[Text, ValueKind::Mapping(&SECRET)]),
    "A secret for the proxy; goes with `username`",
);
const SERVED: Key = told(
    "served_by",
    ValueKind::Mapping(&SERVED_BY),
    "The program of this host that is the proxy: its own flows go direct where the rules say proxy",
);

const OUTBOUND: Mapping = Mapping {
    types: &[
        Type {
            words: || vec!["direct"],
            keys: &[INTERFACE, SOURCE, MARK],
            open: false,
        },
        Type {
            words: || vec!["socks5"],
            keys: &[
                PROXY,
                USERNAME,
                PASSWORD,
                told(
                    "udp",
                    Flag,
                    "Whether the server carries UDP; `false` unless given: many carry none",
                ),
                INTERFACE,
                SOURCE,
                MARK,
                SERVED,
            ],
            open: false,
        },
        Type {
            words: || vec!["http"],
            keys: &[PROXY, USERNAME, PASSWORD, INTERFACE, SOURCE, MARK, SERVED],
            open: false,
        },
        Type {
            words: || vec!["chain"],
            keys: &[needed_told("hops", NAMES, "Outbounds, the nearest first")],
            open: false,
        },
        Type {
            words: || vec!["select"],
            keys: &[needed_told(
                "members",
                NAMES,
                "Outbounds; the first is used until another is selected",
            )],
            open: false,
        },
        Type {
            words: || words(&outbounds::LATER),
            keys: &[told("members", List(&NAME), "Outbounds")],
            open: true,
        },
    ],
    ..mapping(
        ("", ""),
        &[needed_told(
            "type",
            BuiltOrLater(|| outbounds::BUILT.to_vec(), || words(&outbounds::LATER)),
            "What kind of way out it is",
        )],
    )
};

const SERVED_BY: Mapping = Mapping {
    one_of: &["program", "user"],
    ..mapping(
        ("", ""),
        &[
            told("program", Matching("^/"), "The program's absolute path"),
            told("user", NAME, "The user whose programs are the proxy"),
        ],
    )
};

const FORWARD: Mapping = mapping(
    ("forwards", ""),
    &[
        needed("listen", Either(&[LISTENER, Items(&LISTENER, 1)])),
        key("allow", RANGES),
        needed("targets", Items(&ValueKind::Mapping(&TARGET), 1)),
        key(
            "balance",
            BuiltOrLater(
                || {
                    let mut built = words(&BALANCES);
                    built.retain(|word| !OTHER_BALANCES.later.contains(word));
                    built
                },
                || OTHER_BALANCES.later.to_vec(),
            ),
        ),
        key("tls", Any),
        key("connection_limit", SOME_U32),
        key("lifetime", DURATION),
        key("read_timeout", DURATION),
        key("write_timeout", DURATION),
        key("half_closed", DURATION),
        key("idle", DURATION),
        key("answers", Words(|| words(&ANSWERS))),
        told(
            "retry",
            ValueKind::Mapping(&RETRY),
            "What is tried after a target that cannot be reached",
        ),
        key("access_log", File),
        key("proxy_header", Flag),
        key("same_family", Flag),
    ],
);

const LISTENER: ValueKind = Matching("^(tcp|udp|unix|fd)://.");

const RETRY: Mapping = mapping(
    ("forwards", "retry."),
    &[
        key("targets", SOME_U32),
        key("pause", DURATION),
        key("most", DURATION),
    ],
);

const TARGET: Mapping = mapping(
    ("target", ""),
    &[
        needed("name", NAME),
        needed(
            "address",
            Matching("^((tcp|udp)://.+:[0-9]+|unix://.+|fd://[0-9]+)$"),
        ),
        key("via", NAME),
        key("attempts", Whole(1, 1000)),
        key("backoff", DURATION),
        key("connect_timeout", DURATION),
        key("resolve_timeout", DURATION),
        key("read_timeout", DURATION),
        key("write_timeout", DURATION),
        key("keepalive", DURATION_OR_OFF),
        key("family", FAMILY),
        key("tls", Any),
    ],
);

const DNS: Mapping = mapping(
    ("dns", ""),
    &[
        key(
            "listen",
            Either(&[QUERIES, LISTENS, Items(&Either(&[QUERIES, LISTENS]), 1)]),
        ),
        key("rules", List(&Rule)),
        key("policy", Text),
        key("ask", ByName(&NAME)),
        key("undecided", NAME),
        key("limits", ValueKind::Mapping(&DNS_LIMITS)),
        key("answers", Either(&[Text, List(&Rule)])),
        key("bootstrap", Either(&[NAME_SERVER, Items(&NAME_SERVER, 1)])),
        key("cache", ValueKind::Mapping(&DNS_CACHE)),
        key("fake_ip", ValueKind::Mapping(&FAKE_IP)),
        told(
            "log",
            Text,
            "`off`, or the file to which each query is written",
        ),
        key("strip_ech", Any),
        key(
            "upstreams",
            ByName(&Either(&[
                NAME_SERVER,
                UPSTREAM,
                ORDER,
                RACE,
                FASTEST,
                NAME_SERVERS,
            ])),
        ),
        key("resolver", NAME),
        key(
            "hosts",
            ByName(&Either(&[Matching("[.:]"), Items(&Matching("[.:]"), 0)])),
        ),
        key("domains", ByName(&NAME)),
        key("family", FAMILY),
    ],
);

const FAKE_IP: Mapping = mapping(
    ("dns", "fake_ip."),
    &[
        key("v4", Matching("^(off|[0-9.]+/[0-9]+)$")),
        key("v6", Matching("^(off|[0-9a-fA-F:.]+/[0-9]+)$")),
        key("ttl", DURATION),
        key("except", Either(&[NAME, Items(&NAME, 0)])),
    ],
);

const QUERIES: ValueKind = Matching("^(udp|tls|https|quic)://.+$");
const LISTENS: ValueKind = ValueKind::Mapping(&mapping(
    ("", ""),
    &[
        needed_told(
            "address",
            QUERIES,
            "`udp://ADDRESS[:PORT]`, which opens TCP, too; `tls://...`, `https://...`",
        ),
        told("name", NAME, "What rules and records call it"),
        told("allow", List(&Matching("[.:]")), "Who may ask"),
        told(
            "tls",
            ValueKind::Mapping(&TLS_SERVER),
            "What is shown to clients",
        ),
    ],
));

const TLS_SERVER: Mapping = mapping(
    ("", ""),
    &[
        needed_told(
            "certificates",
            Either(&[CERTIFICATE, Items(&CERTIFICATE, 1)]),
            "A certificate and its key",
        ),
        told("client", Any, "Not yet"),
        told("alpn", Any, "Not yet"),
        told("minimum", Any, "Not yet"),
        told("resume", Any, "Not yet"),
    ],
);

const CERTIFICATE: ValueKind = ValueKind::Mapping(&mapping(
    ("", ""),
    &[
        needed_told(
            "certificate",
            File,
            "A file in PEM: the server's own, then others'",
        ),
        needed_told("key", File, "A file in PEM that nobody else can read"),
        told("directory", Any, "Not yet"),
        told("ocsp", Any, "Not yet"),
    ],
));

const DNS_CACHE: Mapping = mapping(
    ("dns", "cache."),
    &[
        key("size", SIZE),
        key("min_ttl", DURATION_OR_OFF),
        key("max_ttl", DURATION),
        key("negative_ttl", DURATION),
        key("stale", DURATION_OR_OFF),
        key("prefetch", Flag),
    ],
);

const DNS_LIMITS: Mapping = mapping(
    ("dns", "limits."),
    &[
        key("waiting", Whole(1, 1_000_000)),
        key("client_waiting", Whole(1, 1_000_000)),
        key("tcp_clients", Whole(1, 1_000_000)),
        key("tcp_idle", DURATION),
        key("client_rate", Whole(1, 1_000_000)),
    ],
);

const RULE_SET: Mapping = Mapping {
    any_of: &["path", "url", "domains", "ips", "rules"],
    ..mapping(
        ("rule_sets", ""),
        &[
            key("path", PATH),
            key("url", Matching("^https?://.")),
            key("format", Words(|| words(list_files::FORMATS))),
            key("behavior", Words(|| words(list_files::BEHAVIORS))),
            key("select", NAME),
            key("strict", Flag),
            key("via", NAME),
            key("interval", DURATION),
            key("limit", SIZE),
            key("domains", Items(&NAME, 0)),
            key("ips", Items(&Matching("[.:]"), 0)),
            key("rules", Items(&Text, 0)),
        ],
    )
};
