//! Name servers that are asked whatever clients ask, as they ask it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::Domain;
use pointsman_spec::dns::UpstreamSpec;
use pointsman_spec::outbound::Outbound;
use tokio::time::{Instant, timeout};

use super::asker::Asker;
use super::clock;
use super::heard::Heard;
use super::list::List;
use super::question::{QuestionView, WireQuestion};
use super::station::Station;
use super::system::SystemFiles;
use super::tally::UpstreamCounts;
use crate::lookup::Transport;

/// Answers hold as long as the cache says, and none for longer than a week.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// How long who asks waits for an answer where there is a stale one: below the 2 s after which many ask anew
/// (RFC 8767 §5).
const WAITED: Duration = Duration::from_millis(1800);

/// Name servers that are asked in turn.
#[derive(Debug)]
pub(crate) struct Upstream {
    list: List,
    timeout: Duration,
    station: Arc<Station>,
}

impl Upstream {
    /// One that asks by `outbounds`, those of its generation. It knows what `station` keeps of the same servers by the
    /// same ways.
    pub(crate) fn new(spec: &UpstreamSpec, outbounds: &[Outbound], station: &Arc<Station>) -> Self {
        Self {
            list: List::new(&spec.servers, outbounds, station),
            timeout: spec.timeout,
            station: Arc::clone(station),
        }
    }

    /// The addresses that the system's hosts file gives a name, where the system's servers are asked; as far as the file
    /// was looked at of late.
    pub(crate) fn in_hosts_file(&self, name: &Domain) -> Vec<IpAddr> {
        if !self.list.has_system() {
            return Vec::new();
        }
        let files = self.station.system.fresh();
        files.map_or_else(Vec::new, |files| files.hosts(name).to_vec())
    }

    /// The same; the file is looked at.
    pub(crate) async fn look_in_hosts_file(&self, name: &Domain) -> Vec<IpAddr> {
        if !self.list.has_system() {
            return Vec::new();
        }
        let files = self.station.system.known().await;
        files.map_or_else(|_| Vec::new(), |files| files.hosts(name).to_vec())
    }

    /// What became of questions to it.
    pub(crate) fn counts(&self) -> UpstreamCounts {
        self.list.counts()
    }

    /// What is known already.
    pub(crate) fn known(
        &self,
        question: QuestionView<'_>,
        transport: &dyn Transport,
        now: Instant,
    ) -> Option<Heard> {
        let files = match self.list.has_system() {
            true => Some(self.station.system.fresh()?),
            false => None,
        };
        let asker = self.asker(files.as_deref(), transport);
        match asker.known(question, now) {
            Some(Heard::Told(kept)) => {
                let is_due = self.station.cache.prefetches() && kept.is_due(now);
                if is_due && !kept.is_left_alone(now) {
                    asker.renew(question);
                }
                Some(Heard::Told(kept))
            }
            other => {
                let stale = asker.stale(question, now);
                let left_alone = stale.filter(|kept| kept.is_left_alone(now));
                left_alone.map(Heard::Stale).or(other)
            }
        }
    }

    /// What is known, else what the servers say. Dropping it gives the question up for oneself alone.
    pub(crate) async fn ask(&self, question: &WireQuestion, transport: &dyn Transport) -> Heard {
        let files = match self.list.has_system() {
            true => match self.station.system.known().await {
                Ok(files) => Some(files),
                Err(why) => return Heard::failed(why),
            },
            false => None,
        };
        let asker = self.asker(files.as_deref(), transport);
        let until = Instant::now() + asker.patience().whole;
        let questions = std::slice::from_ref(question);
        let stale = asker.stale(question.view(), clock::now());
        let heard = match asker.enter(questions, until).await {
            Ok(_place) => match (&stale, asker.begin(question.view())) {
                (_, Ok(known)) => known,
                (None, Err(hearing)) => asker.wait(hearing, until).await,
                (Some(kept), Err(hearing)) => {
                    match timeout(WAITED, hearing.clone().answer()).await {
                        Ok(heard) => heard,
                        Err(_elapsed) => {
                            asker.leave(hearing);
                            return Heard::Stale(Arc::clone(kept));
                        }
                    }
                }
            },
            Err(why) => Heard::failed(why),
        };
        match (heard, stale) {
            (Heard::Failed(_), Some(kept)) => Heard::Stale(kept),
            (heard, _) => heard,
        }
    }

    fn asker<'a>(&'a self, files: Option<&SystemFiles>, transport: &'a dyn Transport) -> Asker<'a> {
        let asker = Asker::new(&self.station, &self.list, files, LONGEST, transport);
        match files {
            // Its files say how patient one is.
            Some(_) => asker,
            None => asker.within(self.timeout),
        }
    }
}
