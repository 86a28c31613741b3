//! Conditions on texts: what the first bytes, the process or the inbound say of themselves.

use std::sync::Arc;

use super::{Truth, Value, Walk, asked, settled};
use crate::condition::{TextField, TextTest};
use crate::fact::{Fact, Look, Need, Parent, Process, Protocol};

/// The texts of a fact, of which one must pass.
#[derive(Clone, Copy)]
pub(super) enum Texts<'a> {
    List(&'a [Arc<str>]),
    One(&'a Arc<str>),
    Parents(&'a [Parent]),
}

impl<'a> Walk<'a, '_> {
    pub(super) fn test_text(
        &mut self,
        field: TextField,
        test: &TextTest,
    ) -> Result<Truth<'a>, Need> {
        let texts = self.texts(field)?;
        Ok(
            self.compare(field.fact(), texts, Texts::joined, |texts| match texts {
                Texts::List(list) => list.iter().any(|text| test.passes(text)),
                Texts::One(text) => test.passes(text),
                Texts::Parents(parents) => {
                    let mut names = parents.iter().filter_map(|parent| parent.name.as_ref());
                    names.any(|name| test.passes(name))
                }
            }),
        )
    }

    pub(super) fn texts(&self, field: TextField) -> Result<Value<'a, Texts<'a>>, Need> {
        let look = || self.look_over(field.network());
        Ok(match field {
            TextField::Alpn => look()?.part(|look| match look.alpn.is_empty() {
                true => None,
                false => Some(Texts::List(&look.alpn)),
            }),
            TextField::HttpHost => look()?.part(|look| name_in(look, &[Protocol::Http])),
            TextField::ServerName => {
                look()?.part(|look| name_in(look, &[Protocol::Tls, Protocol::Quic]))
            }
            TextField::Method => look()?.part(|look| one(look.method.as_ref())),
            TextField::SshSoftware => look()?.part(|look| one(look.ssh_software.as_ref())),
            TextField::UserAgent => look()?.part(|look| one(look.user_agent.as_ref())),
            TextField::InboundName => {
                settled(&self.facts.inbound).part(|inbound| one(inbound.name.as_ref()))
            }
            // Of a process that could not be looked at no parents are known, which is not that there are none.
            TextField::ParentName => match self.owner()? {
                Value::Known(
                    Process {
                        pid: Fact::Failed(why),
                        parents,
                        ..
                    },
                    _,
                ) if parents.is_empty() => Value::Failed(why),
                owner => owner.part(|process| {
                    let named = process.parents.iter().any(|parent| parent.name.is_some());
                    named.then_some(Texts::Parents(&process.parents))
                }),
            },
            TextField::Cgroup => self.process(|process| &process.cgroup)?,
            TextField::CommandLine => self.process(|process| &process.command_line)?,
            TextField::ProcessName => self.process(|process| &process.name)?,
            TextField::ProcessPath => self.process(|process| &process.path)?,
            TextField::Tag => self.process(|process| &process.tag)?,
            TextField::Unit => self.process(|process| &process.unit)?,
            TextField::User => self.process(|process| &process.user)?,
        })
    }

    pub(super) fn owner(&self) -> Result<Value<'a, &'a Process>, Need> {
        Ok(asked(&self.facts.sought.owner, Need::Owner)?.part(|owner| Some(&**owner)))
    }

    /// One fact of the process, each of which may be known, absent or failed by itself.
    fn process(
        &self,
        field: impl FnOnce(&'a Process) -> &'a Fact<Arc<str>>,
    ) -> Result<Value<'a, Texts<'a>>, Need> {
        Ok(match self.owner()? {
            Value::Absent => Value::Absent,
            Value::Failed(why) => Value::Failed(why),
            Value::Known(process, _) => settled(field(process)).part(|text| Some(Texts::One(text))),
        })
    }
}

impl TextField {
    /// The fact's name in explanations and templates.
    #[must_use]
    pub fn fact(self) -> &'static str {
        match self {
            Self::Alpn => "alpn",
            Self::Cgroup => "process.cgroup",
            Self::CommandLine => "process.cmdline",
            Self::HttpHost => "http.host",
            Self::InboundName => "inbound.name",
            Self::Method => "method",
            Self::ParentName => "process.parents",
            Self::ProcessName => "process.name",
            Self::ProcessPath => "process.path",
            Self::ServerName => "tls.sni",
            Self::SshSoftware => "ssh.software",
            Self::Tag => "process.tag",
            Self::Unit => "process.unit",
            Self::User => "process.user",
            Self::UserAgent => "user_agent",
        }
    }
}

impl TextTest {
    /// Whether `text` passes.
    #[must_use]
    pub fn passes(&self, text: &str) -> bool {
        match self {
            Self::AppName(folded) => base_name(text).eq_ignore_ascii_case(folded),
            Self::Exact(exact) => text == &**exact,
            Self::ExactIgnoreCase(exact) => text.eq_ignore_ascii_case(exact),
            Self::Keyword(keyword) => text.contains(&**keyword),
            Self::KeywordIgnoreCase(keyword) => {
                let (text, keyword) = (text.as_bytes(), keyword.as_bytes());
                keyword.is_empty()
                    || text
                        .windows(keyword.len())
                        .any(|part| part.eq_ignore_ascii_case(keyword))
            }
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// The last part of a path of either kind, without white space around it: what
/// [`TextTest::AppName`] compares. Fold a pattern with this and ASCII lower case.
#[must_use]
pub fn base_name(path: &str) -> &str {
    let trimmed = path.trim();
    match trimmed.rfind(['/', '\\']) {
        Some(at) => &trimmed[at + 1..],
        None => trimmed,
    }
}

impl Texts<'_> {
    pub(super) fn each(&self, mut each: impl FnMut(&str)) {
        match self {
            Self::List(list) => list.iter().for_each(|text| each(text)),
            Self::One(text) => each(text),
            Self::Parents(parents) => {
                let names = parents.iter().filter_map(|parent| parent.name.as_deref());
                names.for_each(each);
            }
        }
    }

    fn joined(&self) -> Arc<str> {
        match self {
            Self::List(list) => list.join(", ").into(),
            Self::One(text) => Arc::clone(text),
            Self::Parents(parents) => {
                let names = parents.iter().filter_map(|parent| parent.name.as_deref());
                names.collect::<Vec<_>>().join(", ").into()
            }
        }
    }
}

fn one(text: Option<&Arc<str>>) -> Option<Texts<'_>> {
    text.map(Texts::One)
}

/// The name in the first bytes, where they are of one of these protocols.
fn name_in<'a>(look: &'a Look, of: &[Protocol]) -> Option<Texts<'a>> {
    let named = look.domain.as_ref().filter(|_| of.contains(&look.protocol));
    named.map(|name| Texts::One(name.text()))
}
