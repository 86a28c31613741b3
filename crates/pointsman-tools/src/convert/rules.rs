//! Clash's rules in the words of native rule lists, and the sets that stand for its databases.

use pointsman_config::clash_rule::{Base, Parts, Reader};
use pointsman_policy::line::word;

/// A set that stands for a database.
pub(super) struct Ranges(pub(super) Base);

impl Ranges {
    pub(super) fn name(&self) -> String {
        match &self.0 {
            Base::Asn(number) => format!("as{number}"),
            Base::Country(code) => format!("geoip-{code}"),
            Base::Lan => "lan".to_owned(),
            Base::Site(name) => format!("geosite-{name}"),
        }
    }

    /// The key in `geox-url`, the usual address, the format, what is selected.
    pub(super) fn database(&self) -> Option<(&'static str, &'static str, &'static str, String)> {
        match &self.0 {
            Base::Lan => None,
            Base::Asn(number) => Some((
                "asn",
                "https://github.com/xishang0128/geoip/releases/download/latest/GeoLite2-ASN.mmdb",
                "mmdb",
                format!("as{number}"),
            )),
            Base::Country(code) => Some((
                "geoip",
                "https://github.com/MetaCubeX/meta-rules-dat/releases/download/latest/geoip.dat",
                "dat",
                code.clone(),
            )),
            Base::Site(name) => Some((
                "geosite",
                "https://github.com/MetaCubeX/meta-rules-dat/releases/download/latest/geosite.dat",
                "dat",
                name.clone(),
            )),
        }
    }
}

/// All of these.
pub(super) fn all(conditions: &[&str]) -> String {
    match conditions {
        [one] => (*one).to_owned(),
        many => {
            let parts: Vec<String> = many.iter().map(|part| format!("[{part}]")).collect();
            format!("AND, {}", parts.join(", "))
        }
    }
}

/// An entry of a list of names.
pub(super) fn domain_entry(entry: &str) -> Option<String> {
    if let Some(suffix) = entry.strip_prefix("+.") {
        return Some(format!("DOMAIN-SUFFIX, {}", word(suffix)));
    }
    if let Some(below) = entry.strip_prefix('.') {
        let below = word(below);
        return Some(format!(
            "AND, [DOMAIN-SUFFIX, {below}], [NOT, [DOMAIN, {below}]]"
        ));
    }
    if !entry.contains('*') {
        return Some(format!("DOMAIN, {}", word(entry)));
    }
    // A star is one label.
    let labels: Option<Vec<String>> = entry
        .split('.')
        .map(|label| match label {
            "*" => Some("[^.]+".to_owned()),
            label => (!label.contains('*')).then(|| regex::escape(label)),
        })
        .collect();
    Some(format!(
        "DOMAIN-REGEX, {}",
        word(&format!("^{}$", labels?.join("\\.")))
    ))
}

/// A rule without its way out; the sets that it needs go into `found`.
pub(super) fn clash(rule: &str, found: &mut Vec<Ranges>) -> Result<String, String> {
    reading(found, |reader| reader.condition(rule))
}

/// The condition of a rule whose parts are known; the sets that it needs go into `found`.
pub(super) fn clash_parts(parts: &Parts<'_>, found: &mut Vec<Ranges>) -> Result<String, String> {
    reading(found, |reader| reader.of(parts))
}

fn reading(
    found: &mut Vec<Ranges>,
    read: impl FnOnce(&mut Reader<'_>) -> Result<String, String>,
) -> Result<String, String> {
    let mut base = |base: Base| {
        let ranges = Ranges(base);
        let condition = format!("RULE-SET, {}", word(&ranges.name()));
        found.push(ranges);
        Ok(condition)
    };
    read(&mut Reader {
        base: &mut base,
        any_case: true,
    })
}
