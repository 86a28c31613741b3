//! The words of the tree language that name facts.

use pointsman_policy::condition::{AddressOf, TextField};

/// Facts that are texts, by the word that names them.
pub(super) const TEXT_FIELDS: [(&str, TextField); 16] = [
    ("process.name", TextField::ProcessName),
    ("process.path", TextField::ProcessPath),
    ("process.command", TextField::CommandLine),
    ("process.user", TextField::User),
    ("process.parent", TextField::ParentName),
    ("process.cgroup", TextField::Cgroup),
    ("process.unit", TextField::Unit),
    ("process.tag", TextField::Tag),
    ("http.user_agent", TextField::UserAgent),
    ("user-agent", TextField::UserAgent),
    ("http.host", TextField::HttpHost),
    ("http.method", TextField::Method),
    ("tls.sni", TextField::ServerName),
    ("tls.alpn", TextField::Alpn),
    ("ssh.software", TextField::SshSoftware),
    ("inbound.name", TextField::InboundName),
];

/// Facts of answers to queries.
pub(super) const ANSWERS: [&str; 4] = ["answer.alias", "answer.code", "answer.ip", "dns.upstream"];

/// Facts that are addresses.
pub(super) const ADDRESSES: [(&str, AddressOf); 4] = [
    ("ip", AddressOf::Destination),
    ("source", AddressOf::Source),
    ("endpoint", AddressOf::Either),
    ("local", AddressOf::Outgoing),
];
