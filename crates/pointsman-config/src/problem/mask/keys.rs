//! Which keys have harmless values, in any dialect that is read.
//!
//! Keys are compared in lower case, `-` as `_`. A key that stands in no table is of a value that is not shown.

use std::collections::HashSet;
use std::sync::LazyLock;

use pointsman_policy::line;

use super::words::{is_address, is_mixed};

/// Words of our messages, descriptions and languages.
const MESSAGES: &str = include_str!("messages.txt");

/// Actions of rule lists.
const ACTIONS: [&str; 4] = ["local-resolve", "sub-dispatch", "instrument", "request"];

/// What the value of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Nothing at or below it is shown.
    Secret,
    /// Names of users stand below, and below them nothing is shown.
    Users,
    /// Nobody knows: scalars are not shown, and keys below speak for themselves.
    Unknown,
    /// Shown, alone or in lists; keys below speak for themselves.
    Open,
    /// Who serves an outbound: a program and a user of this host, who is no login.
    Serves,
    /// A URL: shown without its login and query.
    Url,
    /// Its keys are names that others give.
    Table,
    /// Below a table, under a name: a list or a block is shown, a scalar where it is an address.
    Entry,
    /// What a thing in a list is called.
    Called,
    /// Its keys are names of things that are maps: nobody knows what a scalar there is.
    Names,
    /// As [`Class::Entry`], under a name that sounds like a secret's: of scalars those in lists are shown.
    Sounding,
}

/// Words in the name of a key that make all below it a secret.
const SECRET: [&str; 9] = [
    "authentication",
    "authorization",
    "credential",
    "passphrase",
    "passw",
    "secret",
    "sentry_dsn",
    "token",
    "uuid",
];

/// Whole keys that do.
const SECRET_KEYS: [&str; 8] = [
    "auth", "cookie", "cookies", "env", "header", "headers", "pass", "psk",
];

/// Keys that name others' names.
const TABLES: [&str; 16] = [
    "app",
    "domain",
    "domains",
    "hosts",
    "instrument",
    "nameserver_policy",
    "policies",
    "policy",
    "predefined",
    "proxy_chain",
    "proxy_group",
    "proxy_server_nameserver_policy",
    "sub_rules",
    "subrules",
    "upstreams",
    "rule_sets",
];

/// Keys that name what is a map, or that list such names.
const NAMES: [&str; 10] = [
    "egress",
    "forwards",
    "inbounds",
    "outbounds",
    "providers",
    "proxy_local",
    "proxy_provider",
    "proxy_providers",
    "rule_provider",
    "rule_providers",
];

/// Keys whose values are harmless.
const OPEN: &str = " max_ttl min_ttl negative_ttl prefetch size stale \
    access_log action address address_resolver addresses alias allow allow_lan alterid any application \
    application_protocols asn asn_db attempts authorities authorized_sources auto auto_detect_interface backoff balance behavior \
    bind bind_address bind_interface blackhole body bootstrap both cache cache_algorithm cache_capacity chains cipher \
    clash_mode client client_fingerprint client_subnet code connect_attempts connect_timeout connection_lifetime \
    connection_limit connection_load_balancer connection_log control country default default_domain_resolver \
    default_interface default_mark default_nameserver default_selected defaults detour dialer_proxy direct \
    direct_nameserver disable_cache disable_expire disable_tcp_keep_alive disable_udp disabled dispatching dns \
    dns_preference domain_keyword domain_order domain_regex domain_resolver domain_strategy domain_suffix \
    download_detour dst dst_port ech empty_fallback enable enable_dual_stack enable_dump enable_icmp_proxy \
    enable_proxy_header enable_tun enabled endpoint endpoints enhanced_mode exclude_filter exclude_type expect \
    expected_status external_controller fake_ip fake_ip_filter fake_ip_filter_mode fake_ip_range fallback \
    fallback_delay fallback_filter family file filter final find_process find_process_mode first_byte flow format \
    from_env from_file geodata_mode geoip geoip_db geosite geox_url global_ua grace half_closed hidden \
    history hops host http http_port https icon id_length idle_timeout image inbound inbound_mptcp inbound_tfo \
    include include_all include_all_providers include_all_proxies independent_cache inet4_bind_address \
    intercept_rule interface interface_name interrupt_exist_connections interval invert ip ip_cidr ip_is_private \
    ip_rules_resolve ip_version ipcidr ips ipv4 ipv6 keep keep_alive_interval keepalive keepalive_interval \
    lan_allowed_ips lan_disallowed_ips lazy level lifetime limit listen listen_port listener listeners local_addr \
    local_addr6 local_addr_v6 local_port location log log_level mark matches message max_bytes max_failed_times members \
    method metrics mixed mixed_port mode module mptcp mtu nameserver network network_strategy network_type \
    no_drop no_resolve no_tcp no_udp nodelay ntp on_unknown options other order outbound output over_tcp \
    override_address override_port parents path payload pid_file port port_range prefer_h3 preference prefix \
    private probe process process_info_depth process_name process_path protect_path protocol proxies \
    proxy proxy_header proxy_server_nameserver query_type range read_timeout redact \
    race redir_port relay reload request_route resolve_timeout resolver respect_rules reuse reuse_addr reverse_mapping rewrite \
    rewrite_ttl route routing_mark rule rule_local rule_set rules same_family select server \
    server_name server_port servers shutdown size_limit skip_auth_prefixes skip_cert_verify sni sni_sniff sniff \
    sniff_override_destination sniff_timeout sniffer socks socks4 socks5 socks5_port socks_port source \
    source_ip_cidr source_port source_port_range speedtest_url src standard store strategy strict target \
    targets tcp tcp_concurrent tcp_fast_open tcp_multi_path tests tfo timeout timeouts timestamp tls tls_context \
    tls_fragment to tolerance tproxy_port trim tun tunnels type udp udp_connect udp_fragment udp_over_tcp \
    udp_timeout unified_delay unix uot update_interval url use use_hosts use_system_hosts user_agent verify_mode \
    version via watch weight wifi_ssid write_timeout authority certificate certificates chain dial handshake idle keep_alive most pause program resolve retry served_by \
    answers flows flows_by_client held idle_by_protocol nat offload \
    ask client_rate client_waiting limits strip_ech tcp_clients tcp_idle undecided waiting \
    max_ttl min_ttl negative_ttl prefetch size stale except ttl v4 v6 ";

/// Values that are harmless wherever they stand, but under a secret.
const WORDS: &str = " alias all block bool debug direct error everybody fallback false fastest host:port http https \
    info ipv4 ipv6 mixed none null off on pointsman prefer-ipv4 prefer-ipv6 reject reset round-robin rule-set \
    singbox socks5 system tcp tcp4 tcp6 text true udp warn warning yaml json toml no yes ";

/// Keys that messages about logins name.
const LOGIN: [&str; 13] = [
    "auth",
    "authentication",
    "authorization",
    "headers",
    "key_passphrase",
    "password",
    "preshared_key",
    "private_key",
    "token",
    "user",
    "username",
    "users",
    "uuid",
];

/// What a key says of its value, by what stands above.
pub(super) fn class(key: &str, above: Class) -> Class {
    let key = normal(key);
    if matches!(&*key, "from_file" | "from_env") && above != Class::Users {
        return Class::Open;
    }
    if matches!(above, Class::Secret | Class::Users) {
        return Class::Secret;
    }
    if key == "users" {
        return Class::Users;
    }
    if above == Class::Serves && key == "user" {
        return Class::Open;
    }
    if key == "served_by" {
        return Class::Serves;
    }
    if is_secret(&key) {
        // In a table it may be what somebody calls a thing: only the very words of logins are none.
        return match above {
            Class::Names if !is_login(&key) => Class::Unknown,
            Class::Table if !is_login(&key) => Class::Sounding,
            _ => Class::Secret,
        };
    }
    if matches!(&*key, "name" | "tag") {
        return Class::Called;
    }
    if NAMES.contains(&&*key) {
        return Class::Names;
    }
    if TABLES.contains(&&*key) {
        return Class::Table;
    }
    if key.ends_with("url") {
        return Class::Url;
    }
    if OPEN_KEYS.contains(&*key) {
        return Class::Open;
    }
    if above == Class::Table {
        let place = key.contains('.') || key.contains('*') || is_address(&key) || is_category(&key);
        return if place { Class::Open } else { Class::Entry };
    }
    Class::Unknown
}

/// Whether a word is one of ours, or true whatever it says.
pub(super) fn is_known_word(word: &str) -> bool {
    let key = normal(word);
    KNOWN_WORDS.contains(word)
        || matches!(&*key, "name" | "tag")
        || OPEN_KEYS.contains(&*key)
        || NAMES.contains(&&*key)
        || TABLES.contains(&&*key)
        || LOGIN.contains(&&*key)
}

/// Whether a word stands in our own messages, signs around it aside.
pub(super) fn is_of_messages(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphabetic());
    !word.is_empty() && MESSAGE_WORDS.contains(&*word.to_ascii_lowercase())
}

/// Whether it is a type of rules or an action of them, in lower case.
pub(super) fn is_rule_type(word: &str) -> bool {
    let word = word.trim_start_matches('.');
    ACTIONS.contains(&word) || line::kinds().any(|kind| kind.eq_ignore_ascii_case(word))
}

/// Whether a key may be shown: it is a name, not a text that lost its key.
pub(super) fn is_name(key: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "-_.*+/<".contains(c);
    // Clash's policies of name servers name several patterns, or a category, as one key.
    let names = |list: &str| {
        list.split(',')
            .all(|one| !one.is_empty() && one.chars().all(plain))
    };
    let several = key.contains(',') && key.split(',').all(|one| one.contains('.')) && names(key);
    let is_name = key.chars().all(plain) || several || is_category(key) || is_address(key);
    key.len() <= 64 && is_name && !is_mixed(key)
}

/// Whether a key is a name of several words, perhaps with pictures: each word is a name by itself.
pub(super) fn is_title(key: &str) -> bool {
    let own = |c: char| !c.is_ascii() && !c.is_control() && !c.is_whitespace();
    let sign = |c: char| matches!(c, '|' | '(' | ')' | '&' | '[' | ']');
    let words = key.split(|c: char| c == ' ' || own(c) && !c.is_alphanumeric() || sign(c));
    key.len() <= MOST_NAME && words.filter(|word| !word.is_empty()).all(is_name)
}

/// Whether it is a category of names, as Clash's policies of name servers say it.
fn is_category(key: &str) -> bool {
    let key = key.replace('_', "-");
    let list = key
        .strip_prefix("geosite:")
        .or_else(|| key.strip_prefix("rule-set:"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_@!,".contains(c);
    list.is_some_and(|list| !list.is_empty() && list.chars().all(plain))
}

/// A value that says nothing of anybody.
pub(super) fn is_literal(value: &str) -> bool {
    KNOWN_WORDS.contains(value)
}

/// Whether a key is a name by its place, in a table of names: any name, but none that could be a text which lost its own
/// key.
pub(super) fn is_named(key: &str, above: Class) -> bool {
    let sign = |c: char| c.is_control() || "{}\"'`".contains(c);
    let login = |word: &str| is_login(&normal(word));
    let in_table = match above {
        Class::Names | Class::Table => true,
        // Of a login that lost its colon the password would be shown.
        Class::Users => !key.contains(' '),
        _ => false,
    };
    in_table && key.len() <= MOST_NAME && !key.contains(sign) && !key.split(' ').any(login)
}

/// The longest name that is shown, in bytes.
const MOST_NAME: usize = 96;

/// Whether a key is a word of logins itself.
fn is_login(key: &str) -> bool {
    LOGIN.contains(&key) || SECRET_KEYS.contains(&key) || SECRET.contains(&key)
}

fn is_secret(key: &str) -> bool {
    SECRET_KEYS.contains(&key)
        || SECRET.iter().any(|word| key.contains(word))
        || key.ends_with("key")
        || key.ends_with("keys")
}

/// The words of a table: looked up for every key and word of a text.
type WordSet = LazyLock<HashSet<&'static str>>;

static OPEN_KEYS: WordSet = LazyLock::new(|| OPEN.split_ascii_whitespace().collect());
static MESSAGE_WORDS: WordSet = LazyLock::new(|| MESSAGES.split_ascii_whitespace().collect());
static KNOWN_WORDS: WordSet = LazyLock::new(|| WORDS.split_ascii_whitespace().collect());

fn normal(key: &str) -> String {
    key.to_ascii_lowercase().replace('-', "_")
}
