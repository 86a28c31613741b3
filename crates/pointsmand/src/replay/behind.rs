//! What stands behind a way out: kind, server, link, hop by hop; so that a name that means something else is seen.
//!
//! Invariant: logins count and are never told: they are compared by a hash that stays here.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};

use pointsman_config::explain::Selection;
use pointsman_config::setup::{
    Carrier, Credentials, Endpoint, Group, How, Kind, Protocol, Setup, Target, Uplink,
};
use pointsman_policy::OutboundId;

/// Ways out within each other; checked configurations have no circles, and a few hops.
const DEEPEST: usize = 32;

/// What stands behind a way out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Behind {
    /// In words.
    pub text: String,
    logins: u64,
}

/// Tells what stands behind ways out; one for all that are compared.
#[derive(Default)]
pub(super) struct Teller(RandomState);

impl Teller {
    /// Of a way out; of a group by that member.
    pub(super) fn tell(
        &self,
        setup: &Setup,
        selection: &dyn Selection,
        outbound: OutboundId,
        member: Option<OutboundId>,
    ) -> Behind {
        let mut telling = Telling {
            setup,
            selection,
            text: String::new(),
            logins: self.0.build_hasher(),
        };
        match member {
            Some(member) => {
                telling.group_link(outbound);
                telling.way(member, 0);
            }
            None => telling.way(outbound, 0),
        }
        let Telling { text, logins, .. } = telling;
        Behind {
            text,
            logins: logins.finish(),
        }
    }
}

struct Telling<'a, H> {
    setup: &'a Setup,
    selection: &'a dyn Selection,
    text: String,
    logins: H,
}

impl<H: std::hash::Hasher> Telling<'_, H> {
    fn kind(&self, id: OutboundId) -> Option<&Kind> {
        let index = usize::try_from(id.0).ok()?;
        self.setup.outbounds.get(index).map(|it| &it.kind)
    }

    fn say(&mut self, words: std::fmt::Arguments<'_>) {
        // Text takes all.
        let _always = self.text.write_fmt(words);
    }

    fn way(&mut self, id: OutboundId, depth: usize) {
        let kind = match self.kind(id) {
            Some(kind) if depth < DEEPEST => kind.clone(),
            _ => return,
        };
        match kind {
            Kind::Refuse(refusal) => self.say(format_args!("{}", refusal.as_str())),
            Kind::Through(hops) => {
                for (number, hop) in hops.into_iter().enumerate() {
                    if number > 0 {
                        self.say(format_args!(" > "));
                    }
                    self.way(hop, depth + 1);
                }
            }
            Kind::Carry(Carrier::Direct(uplink)) => {
                self.say(format_args!("direct"));
                self.link(&uplink);
            }
            Kind::Carry(Carrier::Target(target)) => self.target(&target, depth),
            Kind::Carry(Carrier::Upstream(upstream)) => {
                let word = match upstream.protocol {
                    Protocol::HttpConnect(_) => "http",
                    Protocol::Socks5(_) => "socks5",
                };
                self.say(format_args!("{word} {}", upstream.server));
                self.login(upstream.protocol.credentials());
                self.link(&upstream.uplink);
            }
            Kind::NotYet { kind, .. } => self.say(format_args!("{kind} (not yet)")),
            Kind::Choose(Group {
                how: How::Balanced(_),
                ..
            }) => self.say(format_args!("forward")),
            Kind::Choose(Group { members, .. }) => {
                self.group_link(id);
                let member = self
                    .selection
                    .selected(id)
                    .or_else(|| members.first().copied());
                if let Some(member) = member {
                    self.way(member, depth + 1);
                }
            }
        }
    }

    fn target(&mut self, target: &Target, depth: usize) {
        match &target.address {
            Endpoint::Fd(number) => self.say(format_args!("fd:{number}")),
            Endpoint::Tcp(server) => self.say(format_args!("tcp://{server}")),
            Endpoint::Udp(server) => self.say(format_args!("udp://{server}")),
            Endpoint::Unix(path) => self.say(format_args!("unix:{}", path.display())),
        }
        if let Some(via) = target.via {
            self.say(format_args!(" via "));
            self.way(via, depth + 1);
        }
    }

    /// How members that are reached directly leave.
    fn group_link(&mut self, group: OutboundId) {
        if let Some(Kind::Choose(Group {
            how: How::Selected { uplink },
            ..
        })) = self.kind(group)
        {
            let uplink = uplink.clone();
            if uplink != Uplink::default() {
                self.say(format_args!("group"));
                self.link(&uplink);
                self.say(format_args!(": "));
            }
        }
    }

    fn link(&mut self, uplink: &Uplink) {
        let Uplink {
            interface,
            source,
            mark,
        } = uplink;
        if let Some(interface) = interface {
            self.say(format_args!(" by {interface}"));
        }
        if let Some(source) = source {
            self.say(format_args!(" from {source}"));
        }
        if let Some(mark) = mark {
            self.say(format_args!(" with mark {mark}"));
        }
    }

    fn login(&mut self, credentials: Option<&Credentials>) {
        let login = credentials.map(|Credentials { user, password }| (user, password.reveal()));
        login.hash(&mut self.logins);
    }
}
