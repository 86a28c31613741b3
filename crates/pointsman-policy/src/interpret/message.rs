//! The messages of `.INSTRUMENT` steps: what they ask for, and the values of their variables.
//!
//! A message asks for what can be found without touching the flow: its process, the databases, the
//! route. It never has the first bytes looked at nor a name resolved: to speak of a flow must not
//! change it. What nobody else asked prints `N/A`.

use std::sync::Arc;

use super::{Walk, Watch};
use crate::condition::NumberField;
use crate::fact::{Fact, Need, Parent, Process};
use crate::model::Template;
use crate::template::{InboundPart, ParentPart, ProcessPart, Variable};

impl Walk<'_, '_> {
    /// Asks for what the message needs, also when nobody listens: a decision must not depend on
    /// who watches it.
    pub(super) fn ask_for_message(&self, message: &Template) -> Result<(), Need> {
        for variable in message.variables() {
            match needed(variable) {
                Some(Need::Country) if !self.lacks_geo() => {}
                Some(need) if self.facts.lacks(need) => return Err(need),
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    pub(super) fn say(&mut self, id: u32, message: &Template) {
        let time = match &self.watch {
            Watch::Nothing | Watch::Particular(_) => return,
            Watch::Messages { time, .. } | Watch::Trace { time, .. } => *time,
        };
        let text = message.render(|variable| self.variable(variable, time));
        match &mut self.watch {
            Watch::Nothing | Watch::Particular(_) => {}
            Watch::Messages { messages, .. } => messages.push((id, text)),
            Watch::Trace { trace, .. } => trace.messages.push((id, text)),
        }
    }

    fn variable(&self, variable: Variable, time: &str) -> Option<Arc<str>> {
        let facts = self.facts;
        let look = facts.sought.look.known();
        let geo = || match self.visible_address() {
            Some(_) => facts.sought.geo.known(),
            None => None,
        };
        match variable {
            Variable::Alpn => {
                let alpn = &look?.alpn;
                (!alpn.is_empty()).then(|| alpn.join(",").into())
            }
            Variable::Asn => geo()?.asn.map(printed),
            Variable::Country => geo()?.country.clone(),
            Variable::Destination => {
                let host = facts.destination.known()?;
                Some(match facts.port.known() {
                    Some(port) if host.address().is_some_and(|a| a.is_ipv6()) => {
                        format!("[{host}]:{port}").into()
                    }
                    Some(port) => format!("{host}:{port}").into(),
                    None => printed(host),
                })
            }
            Variable::DestinationHost => facts.destination.known().map(printed),
            Variable::Domain => Some(self.domain_without_asking()?.text().clone()),
            Variable::Ech => Some(printed(look?.ech)),
            Variable::FakeIp => Some(facts.sought.fake_ip.known()?.text().clone()),
            Variable::Inbound(part) => {
                let inbound = facts.inbound.known()?;
                match part {
                    InboundPart::Kind => Some(inbound.kind.as_str().into()),
                    InboundPart::Name => inbound.name.clone(),
                    InboundPart::Port => inbound.port.map(printed),
                    InboundPart::User => inbound.user.clone(),
                }
            }
            Variable::Ip => self.visible_address().map(printed),
            Variable::Local => facts.sought.local.known().map(printed),
            Variable::Method => look?.method.clone(),
            Variable::Number(field) => Some(field.print(match field {
                NumberField::DnsType => u32::from(facts.query_type?),
                NumberField::Dscp => u32::from(*facts.sought.dscp.known()?),
                NumberField::Ech => u32::from(look?.ech),
                NumberField::Pid => *facts.sought.owner.known()?.pid.known()?,
                NumberField::QuicVersion => look?.quic_version?,
                NumberField::TlsVersion => u32::from(look?.tls_version?),
            })),
            Variable::Network => Some(facts.network.as_str().into()),
            Variable::Port => facts.port.known().map(printed),
            Variable::Process(part) => process(facts.sought.owner.known()?, part),
            Variable::Protocol => Some(look?.protocol.as_str().into()),
            Variable::ResolvedDestination => {
                let address = self.visible_address()?;
                Some(match facts.port.known() {
                    Some(port) => printed(std::net::SocketAddr::new(address, *port)),
                    None => printed(address),
                })
            }
            Variable::Serves => facts.sought.serves.known().cloned(),
            Variable::Sniffed => Some(look?.domain.as_ref()?.text().clone()),
            Variable::Source => facts.source.known().map(printed),
            Variable::SourceIp => facts.source.known().map(|source| printed(source.ip())),
            Variable::SourcePort => facts.source.known().map(|source| printed(source.port())),
            Variable::SshSoftware => look?.ssh_software.clone(),
            Variable::Time(part) => part.of(time).map(Into::into),
            Variable::UserAgent => look?.user_agent.clone(),
        }
    }
}

/// The fact that a message asks for when it holds this variable.
pub(super) fn needed(variable: Variable) -> Option<Need> {
    match variable {
        Variable::Asn | Variable::Country => Some(Need::Country),
        Variable::Local => Some(Need::Local),
        Variable::Process(_) => Some(Need::Owner),
        Variable::Alpn
        | Variable::Destination
        | Variable::DestinationHost
        | Variable::Domain
        | Variable::Ech
        | Variable::FakeIp
        | Variable::Inbound(_)
        | Variable::Ip
        | Variable::Method
        | Variable::Network
        | Variable::Number(_)
        | Variable::Port
        | Variable::Protocol
        | Variable::ResolvedDestination
        | Variable::Serves
        | Variable::Sniffed
        | Variable::Source
        | Variable::SourceIp
        | Variable::SourcePort
        | Variable::SshSoftware
        | Variable::Time(_)
        | Variable::UserAgent => None,
    }
}

fn process(process: &Process, part: ProcessPart) -> Option<Arc<str>> {
    let text = |fact: &Fact<Arc<str>>| fact.known().cloned();
    match part {
        ProcessPart::Cgroup => text(&process.cgroup),
        ProcessPart::CommandLine => text(&process.command_line),
        ProcessPart::Name => text(&process.name),
        ProcessPart::Parent(number, part) => {
            let parent: &Parent = process.parents.get(number)?;
            match part {
                ParentPart::Name => parent.name.clone(),
                ParentPart::Path => parent.path.clone(),
                ParentPart::Pid => parent.pid.map(printed),
            }
        }
        ProcessPart::Parents => {
            let names = process
                .parents
                .iter()
                .map(|p| p.name.as_deref().unwrap_or("N/A"));
            Some(format!("[{}]", names.collect::<Vec<_>>().join(", ")).into())
        }
        ProcessPart::Path => text(&process.path),
        ProcessPart::Pid => process.pid.known().map(printed),
        ProcessPart::Tag => text(&process.tag),
        ProcessPart::Unit => text(&process.unit),
        ProcessPart::User => text(&process.user),
    }
}

fn printed(value: impl ToString) -> Arc<str> {
    value.to_string().into()
}
