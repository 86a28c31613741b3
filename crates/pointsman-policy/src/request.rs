//! Questions to somebody outside: `.REQUEST` steps, and what may be answered.
//!
//! Invariant: each request of a body has a number of its own, by which a flow's answer to it is known. The same line
//! used twice (a tree within two others) is one request, so it is asked once.

use std::sync::Arc;
use std::time::Duration;

use crate::fact::Fact;
use crate::model::{Node, Origin, OutboundId};

/// Which request of a policy: an index into [`crate::model::Body::requests`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u32);

/// What becomes of a flow at a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// Silence.
    Blackhole,
    /// It goes on with the rules below.
    Continue,
    /// It is refused.
    Reject,
}

/// What a subscriber says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The request's fallback, at once.
    Fallback,
    /// This.
    Route(Route),
}

/// A question to a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who is asked: the number that one subscribes to.
    pub subscriber: u32,
    /// How long the flow waits, at least a second.
    pub timeout: Duration,
    /// What the subscriber is told would be usual.
    pub suggested: Route,
    /// What counts where nobody answers.
    pub fallback: Route,
    /// The outbound of [`Route::Reject`].
    pub reject: OutboundId,
    /// The outbound of [`Route::Blackhole`].
    pub blackhole: OutboundId,
    number: RequestId,
}

impl Request {
    /// How long a flow waits where nothing is said.
    pub const TIMEOUT: Duration = Duration::from_mins(1);

    /// A question that waits a minute, suggests to go on, and refuses where nobody answers.
    #[must_use]
    pub fn new(subscriber: u32, reject: OutboundId, blackhole: OutboundId) -> Self {
        Self {
            subscriber,
            timeout: Self::TIMEOUT,
            suggested: Route::Continue,
            fallback: Route::Reject,
            reject,
            blackhole,
            number: RequestId::default(),
        }
    }

    /// Which of its policy it is; 0 before it stands in one.
    #[must_use]
    pub fn number(&self) -> RequestId {
        self.number
    }

    /// Whether whoever is asked would see no difference.
    fn asks_as(&self, other: &Self) -> bool {
        let seen = |of: &Self| (of.subscriber, of.timeout, of.suggested, of.fallback);
        seen(self) == seen(other)
    }

    /// What an answer comes to.
    #[must_use]
    pub fn route(&self, answer: Answer) -> Route {
        match answer {
            Answer::Fallback => self.fallback,
            Answer::Route(route) => route,
        }
    }

    /// Where a route leads; `None` is on.
    #[must_use]
    pub fn outbound(&self, route: Route) -> Option<OutboundId> {
        match route {
            Route::Blackhole => Some(self.blackhole),
            Route::Continue => None,
            Route::Reject => Some(self.reject),
        }
    }
}

impl Route {
    /// All.
    pub const ALL: [Self; 3] = [Self::Continue, Self::Reject, Self::Blackhole];

    /// Its word in configurations and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blackhole => "BLACKHOLE",
            Self::Continue => "CONTINUE",
            Self::Reject => "REJECT",
        }
    }

    /// The route of a word, in any case.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|route| route.as_str().eq_ignore_ascii_case(word))
    }
}

impl Answer {
    /// All.
    pub const ALL: [Self; 4] = [
        Self::Route(Route::Continue),
        Self::Route(Route::Reject),
        Self::Route(Route::Blackhole),
        Self::Fallback,
    ];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fallback => "FALLBACK",
            Self::Route(route) => route.as_str(),
        }
    }

    /// The answer of a word, in any case.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|answer| answer.as_str().eq_ignore_ascii_case(word))
    }
}

/// A request and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What is asked.
    pub request: Request,
    /// When.
    pub origin: Origin,
}

impl Asked {
    /// Whether it is the same question; it may stand on another line.
    fn is_as(&self, other: &Self) -> bool {
        self.request.asks_as(&other.request) && self.origin.text == other.origin.text
    }
}

/// Answers to the requests of one body, as answers to those of another: each goes to the same question, and is left
/// out where there is none or several, so that nobody takes it for an answer to another.
pub(crate) fn carried(
    verdicts: &[(RequestId, Fact<Answer>)],
    from: &[Asked],
    to: &[Asked],
) -> Vec<(RequestId, Fact<Answer>)> {
    let alike = from.len() == to.len() && from.iter().zip(to).all(|(old, new)| old.is_as(new));
    if alike {
        return verdicts.to_vec();
    }
    let only = |all: &[Asked], asked: &Asked| {
        let mut places = (0..).zip(all).filter(|(_, other)| other.is_as(asked));
        let (at, _) = places.next()?;
        places.next().is_none().then_some(RequestId(at))
    };
    let carry = |(number, verdict): &(RequestId, Fact<Answer>)| {
        let asked = from.get(number.0 as usize)?;
        only(from, asked)?;
        Some((only(to, asked)?, verdict.clone()))
    };
    verdicts.iter().filter_map(carry).collect()
}

/// Numbers all requests of a body, and lists them by their number.
pub(crate) fn number(nodes: &mut [Node]) -> Arc<[Asked]> {
    let mut found = Vec::new();
    each(nodes, &mut found);
    found.into()
}

/// Nesting is bounded by the readers.
fn each(nodes: &mut [Node], found: &mut Vec<Asked>) {
    for node in nodes {
        match node {
            Node::Any(nodes) | Node::Sub { body: nodes, .. } => each(nodes, found),
            Node::Request {
                request, origin, ..
            } => {
                let known = found
                    .iter()
                    .position(|asked| asked.origin == *origin && asked.request.asks_as(request));
                let at = known.unwrap_or(found.len());
                request.number = RequestId(u32::try_from(at).unwrap_or(u32::MAX));
                if known.is_none() {
                    found.push(Asked {
                        request: request.clone(),
                        origin: origin.clone(),
                    });
                }
            }
            Node::Select(select) => {
                for arm in &mut select.arms {
                    each(std::slice::from_mut(&mut arm.then), found);
                }
            }
            Node::When {
                then, otherwise, ..
            } => {
                each(std::slice::from_mut(&mut **then), found);
                if let Some(otherwise) = otherwise {
                    each(std::slice::from_mut(&mut **otherwise), found);
                }
            }
            Node::Instrument { .. } | Node::Leaf { .. } | Node::Resolve(_) | Node::Rule(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
