//! sing-box's name servers of type `hosts`: names with fixed addresses.
//!
//! Invariant: a name has its fixed addresses where a rule or `final` sends it to such a server, as there; what else is
//! asked of the server gets no answer.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pointsman_policy::Domain;
use serde_json::Value;

use super::super::draft::Section;
use super::super::emit::{list, quoted};
use super::super::told::words;
use super::{SingBox, strings};

/// The file that is read where a server names none.
const USUAL_FILE: &str = "/etc/hosts";

/// What such a server answers with.
pub(super) struct Hosts {
    pub(super) place: String,
    pub(super) names: BTreeMap<Domain, Fixed>,
    /// Whether a rule, or what asks by itself, names the server.
    pub(super) asked: bool,
}

/// A name's addresses as the native language writes them.
pub(super) struct Fixed {
    addresses: String,
    place: String,
}

impl SingBox<'_> {
    pub(super) fn hosts_server(&mut self, part: &str, tag: &str, server: &Value) {
        let place = self.place(part);
        let known = ["path", "predefined", "tag", "type"];
        self.unknown(part, server, &known, &[]);
        let files = strings(&server["path"]).unwrap_or_default();
        let files = match files.is_empty() {
            true => vec![USUAL_FILE],
            false => files.iter().map(String::as_str).collect(),
        };
        let what = format!(
            "names in {} are not carried over: write them under `dns.hosts`",
            words(&files)
        );
        self.draft
            .report
            .lost(self.place(&format!("{part}.path")), what);
        let mut names = BTreeMap::new();
        for (name, value) in server["predefined"].as_object().into_iter().flatten() {
            let place = self.place(&format!("{part}.predefined.{name}"));
            match fixed(name, value) {
                Ok((name, addresses)) => {
                    names.insert(name, Fixed { addresses, place });
                }
                Err(why) => {
                    let what = format!("`{name}` of `predefined` is left out: {why}");
                    self.draft.report.lost(place, what);
                }
            }
        }
        let hosts = Hosts {
            place,
            names,
            asked: false,
        };
        self.hosts.insert(tag.to_owned(), hosts);
    }

    /// Writes the names that `server_of` sends to a server of this type; the others have no fixed address there either.
    pub(super) fn fixed_names(&mut self, server_of: impl Fn(&Domain) -> String) {
        for (tag, hosts) in &self.hosts {
            if !hosts.asked {
                let what = format!("no rule that is carried over asks `{tag}`: it is left out");
                self.draft.report.note(&hosts.place, what);
            }
            for (name, Fixed { addresses, place }) in &hosts.names {
                if server_of(name) == *tag {
                    let (name, addresses) = (name.as_str(), addresses.clone());
                    self.draft.entry(Section::Hosts, name, addresses, place);
                }
            }
        }
    }
}

fn fixed(name: &str, value: &Value) -> Result<(Domain, String), String> {
    let name = Domain::parse(name).map_err(|why| why.to_string())?;
    let addresses = strings(value).unwrap_or_default();
    let read = addresses.iter().map(|address| address.parse::<IpAddr>());
    let read: Result<Vec<IpAddr>, _> = read.collect();
    let addresses = match read {
        Ok(addresses) if !addresses.is_empty() => addresses,
        Ok(_) => return Err("it has no address".to_owned()),
        Err(_) => {
            let why = "its value is not an address, and a name cannot be given in its place";
            return Err(why.to_owned());
        }
    };
    let addresses = addresses.iter().map(|address| quoted(&address.to_string()));
    let addresses: Vec<String> = addresses.collect();
    let value = match addresses.as_slice() {
        [one] => one.clone(),
        _ => list(addresses),
    };
    Ok((name, value))
}
