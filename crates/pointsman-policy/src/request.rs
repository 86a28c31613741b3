//! Questions to somebody outside: `.REQUEST` steps, and where an answer leads.

use std::time::Duration;

pub use crate::answer::{Answer, Route};
use crate::ids::OutboundId;
pub use crate::ids::RequestId;
use crate::origin::Origin;

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
    /// Given by the body that it stands in.
    pub(crate) number: RequestId,
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
    pub(crate) fn asks_as(&self, other: &Self) -> bool {
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

/// A request and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedRequest {
    /// What is asked.
    pub request: Request,
    /// When.
    pub origin: Origin,
}

impl PlacedRequest {
    /// Whether it is the same question; it may stand on another line.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        self.request.asks_as(&other.request) && self.origin.text == other.origin.text
    }
}
