//! sing-box's name servers in native words.
//!
//! Invariant: no name is asked of a server that sing-box would not ask, nor by another way, but for one case: where a
//! usual server is of a kind that is not built, and is asked directly, the plain one that looks up its own name
//! (else the system's) is asked in its stead, because no name would get an address; one that is asked by a proxy is
//! asked by it without encryption. The report warns of it.

use serde_json::Value;

use super::super::dns::address_in;
use super::super::draft::Section;
use super::super::emit::{quoted, text};
use super::{SingBox, endpoint, items, tag_of, text_of};
use pointsman_config::setup::{NameServer, Place};

impl SingBox<'_> {
    pub(super) fn name_server(&mut self, number: usize, server: &Value) {
        let part = format!("dns.servers[{number}]");
        let place = self.place(&part);
        let tag = match text_of(&server["tag"]) {
            Some(tag) => own_tag(tag),
            None => format!("dns-{number}"),
        };
        if self.draft.is_taken(Section::Upstreams, &tag, &place) {
            return;
        }
        if let Some(first) = self.hosts.get(&tag) {
            let what = format!(
                "the name `{tag}` is given twice in `dns.servers`: the first counts ({}), this one is left out",
                first.place
            );
            return self.draft.report.lost(&place, what);
        }
        if server["type"] == "hosts" {
            return self.hosts_server(&part, &tag, server);
        }
        if is_fake(server) && !self.is_usual(&tag) {
            let what = format!(
                "the name server `{tag}` (`fakeip`) is not carried over: clients get no addresses that stand for names, so only those \
                 that ask the proxy for a name are known by it; the rules that name it are left out, as sing-box does where it looks a \
                 name up itself; `dns.fake_ip`, and rules of `dns.rules` that end in `fake`, give names such addresses"
            );
            return self.draft.report.lost(&place, what);
        }
        let value = match self.server(server) {
            Ok(value) => value,
            Err(why) => {
                let what = format!(
                    "the name server `{tag}` is not carried over ({why}): what is asked of it gets no answer"
                );
                self.draft.report.lost(&place, what);
                self.draft.known.silent.insert(tag.clone());
                return self.draft.silent(&tag, &place);
            }
        };
        let known = [
            "address",
            "detour",
            "path",
            "server",
            "server_port",
            "tag",
            "type",
        ];
        let quiet = [
            "address_resolver",
            "address_strategy",
            "domain_resolver",
            "domain_strategy",
            "prefer_go",
            "strategy",
            "tls",
        ];
        self.unknown(&part, server, &known, &quiet);
        let value = match pointsman_config::value::parse_name_server(&address(server)) {
            Ok(NameServer::NotYet(kind)) => self.in_stead(&tag, server, &kind, &place),
            Ok(NameServer::Https(at) | NameServer::Tls(at)) if at.name_to_look_up().is_some() => {
                self.bootstrap(server, &place);
                value
            }
            _ => value,
        };
        self.draft.entry(Section::Upstreams, &tag, value, &place);
    }

    /// Whether names are asked of it that no rule sends elsewhere.
    fn is_usual(&self, tag: &str) -> bool {
        let usual = [self.final_server(), self.server_resolver()];
        usual.into_iter().flatten().any(|usual| usual == tag)
    }

    /// Whether a server of this name gives addresses that stand for names.
    pub(super) fn is_fake(&self, tag: &str) -> bool {
        let mut servers = items(&self.root["dns"]["servers"]).iter();
        let server =
            servers.find(|server| text_of(&server["tag"]).is_some_and(|it| own_tag(it) == tag));
        server.is_some_and(is_fake) && !self.is_usual(tag)
    }

    /// What is asked where a server's kind is not built.
    fn in_stead(&mut self, tag: &str, server: &Value, kind: &str, place: &str) -> String {
        let own = address(server);
        let usual = self.is_usual(tag);
        let way = self.way_to(server);
        if let (true, Ok(Some(by)), Some(ip)) = (usual, &way, address_in(&own))
            && by != "REJECT"
        {
            let address = format!("tcp://{}", Place::at((ip, 53).into()));
            let who = format!("`{address}` by way of `{by}` is");
            self.draft.in_clear(place, kind, &who, true);
            return format!("{{ address: {}, via: {} }}", quoted(&address), text(by));
        }
        if !usual || !matches!(way, Ok(None)) {
            let what = format!("{kind} is not built yet: what is asked of `{tag}` gets no answer");
            self.draft.report.lost(place, what);
            self.draft.known.silent.insert(tag.to_owned());
            return quoted(&own);
        }
        let of_itself = ["domain_resolver", "address_resolver"]
            .into_iter()
            .find_map(|key| text_of(&server[key]).or_else(|| text_of(&server[key]["server"])));
        let mut servers = items(&self.root["dns"]["servers"]).iter();
        let resolver =
            servers.find(|other| of_itself.is_some() && text_of(&other["tag"]) == of_itself);
        let plain = resolver.and_then(|resolver| {
            let address = address(resolver);
            let found = pointsman_config::value::parse_name_server(&address).ok()?;
            let is_plain = matches!(found, NameServer::Tcp(_) | NameServer::Udp(_));
            let directly = matches!(self.way_to(resolver), Ok(None));
            (is_plain && directly && self.server(resolver).is_ok()).then_some(address)
        });
        let (value, shown) = match plain {
            Some(address) => (quoted(&address), format!("`{address}` is")),
            None => ("system".to_owned(), "the system's resolver is".to_owned()),
        };
        self.draft.in_clear(place, kind, &shown, false);
        value
    }

    /// A server in native words, or why there is none.
    fn server(&self, server: &Value) -> Result<String, String> {
        let address = address(server);
        let kind = server["type"].as_str().unwrap_or_default();
        let place = match pointsman_config::value::parse_name_server(&address) {
            Ok(NameServer::NotYet(_)) => return Ok(quoted(&address)),
            Ok(NameServer::System) => None,
            Ok(NameServer::Tcp(place) | NameServer::Udp(place)) => Some(place),
            Ok(NameServer::Https(_) | NameServer::Tls(_)) => {
                return self.encrypted(server, &address);
            }
            Err(_) if !kind.is_empty() && !matches!(kind, "udp" | "tcp" | "legacy") => {
                return Err(format!("its type is `{kind}`"));
            }
            Err(why) => return Err(why.to_string()),
        };
        leaves_as_usual(server)?;
        if place.as_ref().is_some_and(|place| place.lacks_interface()) {
            return Err("a link-local address needs an interface, and none is given".to_owned());
        }
        match self.way_to(server)? {
            None => Ok(quoted(&address)),
            Some(_) if place.is_none() => {
                Err("the system's resolver can only be asked directly".to_owned())
            }
            Some(via) => Ok(format!(
                "{{ address: {}, via: {} }}",
                quoted(&address),
                text(&via)
            )),
        }
    }

    /// One that is asked within TLS.
    fn encrypted(&self, server: &Value, address: &str) -> Result<String, String> {
        leaves_as_usual(server)?;
        let via = self.way_to(server)?;
        let tls = &server["tls"];
        if tls["insecure"] == true {
            return Err("`tls.insecure`: a certificate is always checked".to_owned());
        }
        for key in ["certificate", "certificate_path"] {
            if !tls[key].is_null() {
                return Err(format!("`tls.{key}` cannot be carried over"));
            }
        }
        let mut map = format!("address: {}", quoted(address));
        if let Some(name) = text_of(&tls["server_name"]) {
            map += &format!(", tls: {{ name: {} }}", text(name));
        } else if via.is_none() {
            return Ok(quoted(address));
        }
        if let Some(via) = via {
            map += &format!(", via: {}", text(&via));
        }
        Ok(format!("{{ {map} }}"))
    }

    /// Carries over who knows the name of a name server.
    fn bootstrap(&mut self, server: &Value, place: &str) {
        let own = ["domain_resolver", "address_resolver"]
            .into_iter()
            .find_map(|key| text_of(&server[key]).or_else(|| text_of(&server[key]["server"])))
            .map(own_tag)
            .or_else(|| self.server_resolver());
        let mut servers = items(&self.root["dns"]["servers"]).iter();
        let known = servers.find(|it| own.is_some() && text_of(&it["tag"]).map(own_tag) == own);
        let value = known.and_then(|known| {
            let address = address(known);
            let is_address = match pointsman_config::value::parse_name_server(&address).ok()? {
                NameServer::Https(at) | NameServer::Tls(at) => at.name_to_look_up().is_none(),
                NameServer::NotYet(_) => false,
                NameServer::System | NameServer::Tcp(_) | NameServer::Udp(_) => true,
            };
            let is_plain = known["tls"].is_null() && matches!(self.way_to(known), Ok(None));
            (is_address && is_plain && self.server(known).is_ok()).then(|| quoted(&address))
        });
        let Some(value) = value else {
            let what = "the system's servers are asked for the name of this name server: who was asked for it cannot be carried over";
            return self.draft.report.lost(place, what);
        };
        match self.draft.dns.get("bootstrap") {
            Some(known) if known == value => {}
            Some(known) => {
                let what =
                    format!("{known} is asked for the name of this name server, as of others");
                self.draft.report.lost(place, what);
            }
            None => {
                self.draft.dns.raw("bootstrap", &*value);
                let by_name = |outbound: &Value| {
                    let host = outbound["server"].as_str();
                    host.is_some_and(|host| host.parse::<std::net::IpAddr>().is_err())
                };
                if items(&self.root["outbounds"]).iter().any(by_name) {
                    let what = format!("names of proxies' servers are asked of {value}, too");
                    self.draft.report.lost(place, what);
                }
            }
        }
    }

    /// The outbound that a server is asked by, where it is not asked directly. Until 1.12 that was the one of the
    /// flows that no rule takes, where nothing else was said.
    fn way_to(&self, server: &Value) -> Result<Option<String>, String> {
        let route = &self.root["route"];
        let first = items(&self.root["outbounds"]).first();
        let first = first.map(|outbound| tag_of(0, outbound));
        let old = matches!(server["type"].as_str(), None | Some("legacy"));
        let tag = match text_of(&server["detour"]) {
            Some(tag) => Some(tag),
            None if old && address(server) != "system" => {
                text_of(&route["final"]).or(first.as_deref())
            }
            None => None,
        };
        let Some(tag) = tag else { return Ok(None) };
        match self.names.get(tag) {
            None => Err(format!("there is no outbound `{tag}`")),
            // From here on directly is by the usual way.
            Some(own) if own == "DIRECT" => Ok(None),
            Some(own) => Ok(Some(own.clone())),
        }
    }
}

/// By some keys a server is asked another way, or not from this host at all.
fn leaves_as_usual(server: &Value) -> Result<(), String> {
    let others = [
        "bind_interface",
        "inet4_bind_address",
        "inet6_bind_address",
        "netns",
        "routing_mark",
    ];
    match others.iter().find(|key| !server[**key].is_null()) {
        Some(key) => Err(format!("`{key}` cannot be carried over")),
        None => Ok(()),
    }
}

/// A server's address as the native language writes it; from 1.12 on it has a type.
fn address(server: &Value) -> String {
    let host = server["server"].as_str().unwrap_or_default();
    let port = match server["server_port"].as_u64() {
        Some(_) => endpoint(host, &server["server_port"]),
        None if host.contains(':') => format!("[{host}]"),
        None => host.to_owned(),
    };
    match server["type"].as_str() {
        Some("https") => {
            let path = text_of(&server["path"]).unwrap_or_default();
            format!("https://{port}{path}")
        }
        Some(kind @ ("udp" | "tcp" | "tls" | "h3" | "quic")) => {
            format!("{kind}://{port}")
        }
        Some("local") => "system".to_owned(),
        Some("legacy") | None => {
            let address = server["address"].as_str().unwrap_or_default();
            if address == "local" {
                return "system".to_owned();
            }
            match address.parse::<std::net::IpAddr>() {
                Ok(std::net::IpAddr::V6(v6)) => format!("udp://[{v6}]"),
                Ok(v4) => format!("udp://{v4}"),
                Err(_full) => address.to_owned(),
            }
        }
        Some(_) => String::new(),
    }
}

/// A tag that is not the native language's own word.
pub(super) fn own_tag(tag: &str) -> String {
    match tag {
        "system" => "system-2".to_owned(),
        tag => tag.to_owned(),
    }
}

/// Whether it gives addresses that stand for names; until 1.12 its address said so.
fn is_fake(server: &Value) -> bool {
    server["type"] == "fakeip" || server["address"] == "fakeip"
}
