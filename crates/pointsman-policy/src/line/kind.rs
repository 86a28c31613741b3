//! The rule types, and which text facts they test in which way.

use crate::condition::{Concerns, NumberField, TextField};

/// A rule type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Always,
    And,
    AnswerAlias,
    AnswerCode,
    AnswerIp,
    Asn,
    DnsUpstream,
    Domain,
    DomainKeyword,
    DomainRegex,
    DomainSuffix,
    DstAddrType,
    DstPort,
    Fallback,
    GeoIp,
    Inbound,
    IpCidr,
    LocalIpCidr,
    Network,
    Never,
    Not,
    Number(NumberField),
    Or,
    OutIpCidr,
    Protocol,
    RuleSet,
    SrcIpCidr,
    SrcPort,
    Text(TextField, TestKind),
}

impl Kind {
    /// What has the fact that it asks for.
    pub(super) fn concerns(self) -> Concerns {
        match self {
            Self::AnswerAlias | Self::AnswerCode | Self::AnswerIp | Self::DnsUpstream => {
                Concerns::Answers
            }
            Self::Number(field) => field.concerns(),
            _ => Concerns::Flows,
        }
    }
}

/// How a text is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TestKind {
    App,
    Exact,
    ExactIgnoreCase,
    Keyword,
    KeywordIgnoreCase,
    Regex,
}

const WORDS: &[(&str, Kind)] = &[
    ("DOMAIN", Kind::Domain),
    ("DOMAIN-SUFFIX", Kind::DomainSuffix),
    ("DOMAIN-KEYWORD", Kind::DomainKeyword),
    ("DOMAIN-REGEX", Kind::DomainRegex),
    ("IP-CIDR", Kind::IpCidr),
    ("IP-CIDR6", Kind::IpCidr),
    ("SRC-IP-CIDR", Kind::SrcIpCidr),
    ("LOCAL-IP-CIDR", Kind::LocalIpCidr),
    ("OUT-IP-CIDR", Kind::OutIpCidr),
    ("SRC-PORT", Kind::SrcPort),
    ("DST-PORT", Kind::DstPort),
    ("INBOUND", Kind::Inbound),
    ("GEOIP", Kind::GeoIp),
    ("ASN", Kind::Asn),
    ("RULE-SET", Kind::RuleSet),
    ("AND", Kind::And),
    ("OR", Kind::Or),
    ("NOT", Kind::Not),
    ("ALWAYS", Kind::Always),
    ("NEVER", Kind::Never),
    ("FALLBACK", Kind::Fallback),
    ("DST-ADDR-TYPE", Kind::DstAddrType),
    ("NETWORK", Kind::Network),
    ("PROTOCOL", Kind::Protocol),
    ("ANSWER-ALIAS", Kind::AnswerAlias),
    ("ANSWER-CODE", Kind::AnswerCode),
    ("ANSWER-IP", Kind::AnswerIp),
    ("DNS-UPSTREAM", Kind::DnsUpstream),
];

/// Names of text fields. The first is the one that is printed.
const FIELDS: &[(&str, TextField)] = &[
    ("ALPN", TextField::Alpn),
    ("HTTP-HOST", TextField::HttpHost),
    ("INBOUND-ALIAS", TextField::InboundName),
    ("METHOD", TextField::Method),
    ("PROCESS-NAME", TextField::ProcessName),
    ("PROC-PATH", TextField::ProcessPath),
    ("PROCESS-PATH", TextField::ProcessPath),
    ("PROC-CMD", TextField::CommandLine),
    ("PROCESS-TAG", TextField::Tag),
    ("PROCESS-USER", TextField::User),
    ("PROCESS-CGROUP", TextField::Cgroup),
    ("PROCESS-UNIT", TextField::Unit),
    ("PROCESS-PARENT", TextField::ParentName),
    ("TLS-SNI", TextField::ServerName),
    ("SSH-SOFTWARE", TextField::SshSoftware),
    ("USER-AGENT", TextField::UserAgent),
];

/// What stands behind a field's name where the test is not the field's usual one.
const TESTS: &[(&str, TestKind)] = &[
    ("-KEYWORD-IGNORE-CASE", TestKind::KeywordIgnoreCase),
    ("-IGNORE-CASE", TestKind::ExactIgnoreCase),
    ("-KEYWORD", TestKind::Keyword),
    ("-REGEX", TestKind::Regex),
    ("-EXACT", TestKind::Exact),
    ("-APP", TestKind::App),
];

/// The rule types that BoltConn's document names `PROCESS-KEYWORD`: the only irregular one.
const PROCESS_KEYWORD: &str = "PROCESS-KEYWORD";

/// Every rule type that has a name of its own, for hints and documents.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    let words = WORDS.iter().map(|(word, _)| *word);
    let fields = FIELDS.iter().map(|(word, _)| *word);
    let others = [
        PROCESS_KEYWORD,
        "PROC-PATH-KEYWORD",
        "PROC-CMD-REGEX",
        "USER-AGENT-REGEX",
    ];
    let numbers = NumberField::ALL.map(NumberField::rule_type);
    words.chain(fields).chain(numbers).chain(others)
}

/// The rule type of a word, in any case.
pub(super) fn kind(word: &str) -> Option<Kind> {
    let upper = word.to_ascii_uppercase();
    let word = upper.as_str();
    if let Some((_, kind)) = WORDS.iter().find(|(known, _)| *known == word) {
        return Some(*kind);
    }
    if word == PROCESS_KEYWORD {
        return Some(Kind::Text(
            TextField::ProcessName,
            folded(TextField::ProcessName, TestKind::Keyword),
        ));
    }
    let number = |field: &&NumberField| field.rule_type() == word;
    if let Some(field) = NumberField::ALL.iter().find(number) {
        return Some(Kind::Number(*field));
    }
    if word == "IP-ASN" {
        return Some(Kind::Asn);
    }
    let field = |name: &str| FIELDS.iter().find(|(known, _)| *known == name);
    if let Some((_, field)) = field(word) {
        return Some(Kind::Text(*field, usual(*field)));
    }
    let (base, test) = TESTS
        .iter()
        .find_map(|(end, test)| Some((word.strip_suffix(end)?, *test)))?;
    let (_, field) = field(base)?;
    Some(Kind::Text(*field, folded(*field, test)))
}

/// How a test on a text is spelled.
pub(super) fn spelling(field: TextField, test: TestKind) -> String {
    let base = FIELDS
        .iter()
        .find(|(_, known)| *known == field)
        .map_or("", |(name, _)| *name);
    if test == usual(field) {
        return base.to_owned();
    }
    let keyword = folded(TextField::ProcessName, TestKind::Keyword);
    if field == TextField::ProcessName && test == keyword {
        return PROCESS_KEYWORD.to_owned();
    }
    let end = TESTS
        .iter()
        .find(|(_, known)| *known == test)
        .map_or("", |(end, _)| *end);
    format!("{base}{end}")
}

/// The test of a field whose name stands alone.
fn usual(field: TextField) -> TestKind {
    match field {
        TextField::Method => TestKind::ExactIgnoreCase,
        TextField::UserAgent => TestKind::KeywordIgnoreCase,
        _ => folded(field, TestKind::Exact),
    }
}

/// Files and programs are the same in any case on Windows.
fn folded(field: TextField, test: TestKind) -> TestKind {
    let file = matches!(
        field,
        TextField::ProcessName
            | TextField::ProcessPath
            | TextField::CommandLine
            | TextField::ParentName
    );
    match test {
        TestKind::Exact if file && cfg!(windows) => TestKind::ExactIgnoreCase,
        TestKind::Keyword if file && cfg!(windows) => TestKind::KeywordIgnoreCase,
        test => test,
    }
}
