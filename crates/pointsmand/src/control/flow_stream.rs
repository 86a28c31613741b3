//! Streams of what becomes of flows: each client is told of those that it chose, and of how many nobody knows whether it did.
//!
//! Invariant: what a filter cannot tell is counted, never left out in silence, also where nothing follows.

use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use pointsman_api::flow::Missed;
use pointsman_api::route::{EVENT_MISSED, EVENT_UNTOLD};
use pointsman_net::record::FlowRecord;
use tokio::time::timeout;

use super::Refusal;
use super::flow_filter::{Fit, FlowFilter};
use super::history::{Delivery, Reader};
use super::sse::{KEEP_ALIVE, Source, event, numbered, place, reset};
use super::untold::Count;
use crate::app::App;

/// The flows that a client chose.
pub(super) struct ChosenFlows {
    filter: FlowFilter,
    untold: Count,
}

impl ChosenFlows {
    /// By `?flow=` and `?contains=`, among those of the configuration that is in force.
    pub(super) fn new(app: &App, words: &str, contains: &str) -> Result<Self, Refusal> {
        let (_, setup) = app.generation();
        let filter = FlowFilter::new(words, contains).and_then(|filter| filter.of(&setup));
        match filter {
            Ok(filter) => Ok(Self {
                filter,
                untold: Count::default(),
            }),
            Err(why) => Err(Refusal(StatusCode::BAD_REQUEST, "bad-flow", why)),
        }
    }

    /// Whether a flow is surely one of them.
    pub(super) fn have(&self, record: &FlowRecord) -> bool {
        self.filter.fits(record) == Fit::Yes
    }

    /// What is told of a flow where it is one of them; where nobody knows, how many such there were, now and then.
    pub(super) fn tell(
        &mut self,
        record: &FlowRecord,
        event: impl FnOnce() -> String,
    ) -> Option<String> {
        match self.filter.fits(record) {
            Fit::Yes => Some(event()),
            Fit::No => None,
            Fit::Untold(fact) => {
                self.untold.add(fact);
                self.untold()
            }
        }
    }

    fn untold(&mut self) -> Option<String> {
        let due = self.untold.due(Instant::now());
        due.map(|untold| event(EVENT_UNTOLD, &untold))
    }
}

/// A stream for one client; `tell` is what it is told of news, `None`: nothing.
pub(super) struct FlowStream<T: Clone + Send + 'static, F> {
    hello: Option<String>,
    /// After which event the client asked to go on.
    last: Option<String>,
    reader: Reader<T>,
    app: Arc<App>,
    chosen: ChosenFlows,
    tell: F,
}

impl<T: Clone + Send + 'static, F> FlowStream<T, F> {
    pub(super) fn new(
        reader: Reader<T>,
        last: Option<&str>,
        app: Arc<App>,
        chosen: ChosenFlows,
        tell: F,
    ) -> Self {
        Self {
            hello: Some(place(&reader.id(), "from here on")),
            last: last.map(str::to_owned),
            reader,
            app,
            chosen,
            tell,
        }
    }
}

impl<T, F> Source for FlowStream<T, F>
where
    T: Clone + Send + Sync + 'static,
    F: FnMut(&App, &mut ChosenFlows, T) -> Option<String> + Send + 'static,
{
    async fn next(&mut self) -> Option<String> {
        if let Some(hello) = self.hello.take() {
            return Some(hello);
        }
        let heard = tokio::select! {
            heard = timeout(KEEP_ALIVE, self.reader.next()) => heard,
            () = self.app.stopped() => return None,
        };
        let id = self.reader.id();
        let text = match heard {
            Ok(Delivery::News(news)) => (self.tell)(&self.app, &mut self.chosen, news),
            Ok(Delivery::Missed(missed)) => Some(event(EVENT_MISSED, &Missed { missed })),
            Ok(Delivery::Reset) => Some(reset(self.last.take())),
            Err(_quiet) => match self.chosen.untold() {
                Some(untold) => Some(untold),
                None => return Some(place(&id, "quiet")),
            },
        };
        // Nothing for this client is an empty text.
        Some(text.map_or_else(String::new, |text| numbered(&id, &text)))
    }
}
