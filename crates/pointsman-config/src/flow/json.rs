//! A flow as a JSON object: the walk that names every key it cannot read.

use std::sync::Arc;

use pointsman_policy::Fact;
use pointsman_policy::condition::NumberField;
use pointsman_policy::fact::{Look, Parent, Process, Provenance};
use serde_json::{Map, Value};

use super::{
    BadFlow, Query, Via, address, bad, domain, inbound_kind, known, last_part, network, protocol,
    set_process_name, source, verdicts,
};
use crate::problem::nearest;

const NO_OBJECT: &str = r#"a flow is a JSON object, as in `{"dst":"a.test:443"}`"#;

impl Query {
    /// Reads the text of a JSON object.
    ///
    /// # Errors
    /// [`BadFlow`] names the key.
    pub fn from_json_text(text: &str) -> Result<Self, BadFlow> {
        let value = serde_json::from_str(text).map_err(|error| {
            match text.trim_start().starts_with('{') {
                true => BadFlow::NotJson(format!("this is no JSON: {error}")),
                false => BadFlow::NotJson(NO_OBJECT.into()),
            }
        })?;
        Self::from_json(&value)
    }

    /// Reads what a request to the daemon holds: an object, or a text of words.
    ///
    /// # Errors
    /// [`BadFlow`] names the key.
    pub fn from_value(value: &Value) -> Result<Self, BadFlow> {
        match value {
            Value::String(words) => Self::parse(words),
            other => Self::from_json(other),
        }
    }

    /// Reads a JSON object. `null` is the same as a key that is not there.
    ///
    /// # Errors
    /// [`BadFlow`] names the key.
    pub fn from_json(value: &Value) -> Result<Self, BadFlow> {
        let Value::Object(map) = value else {
            return Err(BadFlow::NotJson(NO_OBJECT.into()));
        };
        let mut object = Object::new("", map);
        let id = object.take("id").cloned();
        let mut query = Self {
            id,
            ..Self::default()
        };
        if let Some((key, text)) = object.text("network")? {
            query.network = Some(network(&key, text)?);
        }
        if let Some((key, text)) = object.text("src")? {
            query.source = Some(source(&key, text)?);
        }
        if let Some((key, text)) = object.text("dst")? {
            query.aim(&key, text)?;
        }
        if let Some(dscp) = object.number::<u8>("dscp")? {
            let wrong = || object.wrong("dscp", "a number from 0 to 63");
            query.dscp = Some(Some(dscp).filter(|dscp| *dscp < 64).ok_or_else(wrong)?);
        }
        if let Some((key, texts)) = object.texts("resolved")? {
            let addresses = texts.into_iter().map(|text| address(&key, text));
            query.resolved = Some(addresses.collect::<Result<_, _>>()?);
        }
        if let Some((key, texts)) = object.texts("dns_name")? {
            let names = texts.into_iter().map(|text| domain(&key, text));
            query.dns_names = Some(names.collect::<Result<_, _>>()?);
        }
        if let Some(sniff) = object.object("sniff")? {
            query.look = Some(read_look(sniff)?);
        }
        if let Some(mut process) = object.object("process")? {
            query.serves = process.text("serves")?.map(|(_, text)| text.into());
            query.process = Some(read_process(process)?);
        }
        if let Some(inbound) = object.object("inbound")? {
            query.inbound = Some(read_via(inbound)?);
        }
        if let Some((key, text)) = object.text("local")? {
            query.local = Some(address(&key, text)?);
        }
        if let Some((key, text)) = object.text("verdict")? {
            query.verdicts = verdicts(&key, text)?;
        }
        object.finish()?;
        Ok(query)
    }
}

fn read_look(mut object: Object<'_>) -> Result<Look, BadFlow> {
    let mut look = Look::default();
    if let Some((key, text)) = object.text("protocol")? {
        look.protocol = protocol(&key, text)?;
    }
    if let Some((key, text)) = object.text("domain")? {
        look.domain = Some(domain(&key, text)?);
    }
    if let Some((_, texts)) = object.texts("alpn")? {
        look.alpn = texts.into_iter().map(Arc::from).collect();
    }
    look.user_agent = object.text("user_agent")?.map(|(_, text)| text.into());
    look.method = object.text("method")?.map(|(_, text)| text.into());
    look.ssh_software = object.text("ssh_software")?.map(|(_, text)| text.into());
    if let Some((key, text)) = object.text("tls_version")? {
        look.tls_version = Some(super::tls_version(&key, text)?);
    }
    if let Some((key, text)) = object.text("quic_version")? {
        look.quic_version = Some(super::number(&key, text, NumberField::QuicVersion)?);
    }
    look.ech = match object.take("ech") {
        None => false,
        Some(Value::Bool(ech)) => *ech,
        Some(_) => return Err(object.wrong("ech", "true or false")),
    };
    object.finish()?;
    Ok(look)
}

fn read_process(mut object: Object<'_>) -> Result<Process, BadFlow> {
    let mut process = Process::default();
    if let Some((_, path)) = object.text("path")? {
        process.path = known(path);
        process.name = known(last_part(path).unwrap_or(path));
    }
    if let Some((_, name)) = object.text("name")? {
        set_process_name(&mut process, name);
    }
    let mut text = |key| -> Result<Fact<Arc<str>>, BadFlow> {
        Ok(object
            .text(key)?
            .map_or(Fact::Unknown, |(_, text)| known(text)))
    };
    process.command_line = text("cmdline")?;
    process.user = text("user")?;
    process.cgroup = text("cgroup")?;
    process.unit = text("unit")?;
    process.tag = text("tag")?;
    if let Some(pid) = object.number::<u32>("pid")? {
        process.pid = Fact::Known(pid, Provenance::Given);
    }
    match object.take("parents") {
        None => {}
        Some(Value::Array(parents)) => {
            for (at, parent) in parents.iter().enumerate() {
                let path = object.name(&format!("parents[{at}]"));
                let Value::Object(map) = parent else {
                    return Err(bad(&path, "is no object"));
                };
                process.parents.push(read_parent(Object::new(&path, map))?);
            }
        }
        Some(_) => return Err(object.wrong("parents", "a list")),
    }
    object.finish()?;
    Ok(process)
}

fn read_parent(mut object: Object<'_>) -> Result<Parent, BadFlow> {
    let mut parent = Parent::default();
    if let Some((_, path)) = object.text("path")? {
        parent.path = Some(path.into());
        parent.name = Some(last_part(path).unwrap_or(path).into());
    }
    if let Some((_, name)) = object.text("name")? {
        if let Some(last) = last_part(name) {
            parent.path = Some(name.into());
            parent.name = Some(last.into());
        } else {
            parent.name = Some(name.into());
        }
    }
    parent.pid = object.number("pid")?;
    object.finish()?;
    Ok(parent)
}

fn read_via(mut object: Object<'_>) -> Result<Via, BadFlow> {
    let kind = match object.text("type")? {
        Some((key, text)) => Some(inbound_kind(&key, text)?),
        None => None,
    };
    let via = Via {
        kind,
        name: object.text("name")?.map(|(_, text)| text.into()),
        port: object.number("port")?,
        user: object.text("user")?.map(|(_, text)| text.into()),
    };
    object.finish()?;
    Ok(via)
}

/// An object whose keys are taken one by one, so that the unknown ones can be told.
struct Object<'a> {
    path: String,
    map: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Object<'a> {
    fn new(path: &str, map: &'a Map<String, Value>) -> Self {
        Self {
            path: path.to_owned(),
            map,
            known: Vec::new(),
        }
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn wrong(&self, key: &str, wants: &str) -> BadFlow {
        bad(&self.name(key), format!("must be {wants}"))
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// The key's whole name and its text.
    fn text(&mut self, key: &'static str) -> Result<Option<(String, &'a str)>, BadFlow> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Err(bad(&self.name(key), "is empty")),
            Some(Value::String(text)) => Ok(Some((self.name(key), text))),
            Some(_) => Err(self.wrong(key, "a text")),
        }
    }

    fn texts(&mut self, key: &'static str) -> Result<Option<(String, Vec<&'a str>)>, BadFlow> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let texts = match value {
            Value::String(text) => Some(vec![text.as_str()]),
            Value::Array(list) => list.iter().map(Value::as_str).collect(),
            _ => None,
        };
        match texts {
            Some(texts) => Ok(Some((self.name(key), texts))),
            None => Err(self.wrong(key, "a list of texts")),
        }
    }

    fn number<T: TryFrom<u64>>(&mut self, key: &'static str) -> Result<Option<T>, BadFlow> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let number = value.as_u64().and_then(|n| T::try_from(n).ok());
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(key, "a number in range")),
        }
    }

    fn object(&mut self, key: &'static str) -> Result<Option<Self>, BadFlow> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self::new(&self.name(key), map))),
            Some(_) => Err(self.wrong(key, "an object")),
        }
    }

    fn finish(self) -> Result<(), BadFlow> {
        match self
            .map
            .keys()
            .find(|key| !self.known.contains(&key.as_str()))
        {
            None => Ok(()),
            Some(key) => Err(BadFlow::UnknownKey {
                key: self.name(key),
                near: nearest(key, self.known.iter().copied()).map(str::to_owned),
            }),
        }
    }
}
