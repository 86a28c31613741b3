//! Name servers that are asked whatever clients ask, as they ask it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pointsman_policy::Domain;
use pointsman_spec::dns::UpstreamSpec;
use pointsman_spec::outbound::Outbound;
use tokio::time::Instant;

use super::asker::Asker;
use super::heard::Heard;
use super::list::List;
use super::question::{QuestionView, WireQuestion};
use super::station::Station;
use super::system::SystemFiles;
use super::tally::UpstreamCounts;
use crate::lookup::Transport;

/// No answer holds for longer than a day.
const LONGEST: Duration = Duration::from_secs(86_400);

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
        self.asker(files.as_deref(), transport).known(question, now)
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
        let asker = match files {
            // Its files say how patient one is.
            Some(_) => asker,
            None => asker.within(self.timeout),
        };
        let until = Instant::now() + asker.patience().whole;
        let questions = std::slice::from_ref(question);
        match asker.enter(questions, until).await {
            Ok(_place) => asker.ask(question, until).await,
            Err(why) => Heard::failed(why),
        }
    }

    fn asker<'a>(&'a self, files: Option<&SystemFiles>, transport: &'a dyn Transport) -> Asker<'a> {
        Asker::new(&self.station, &self.list, files, LONGEST, transport)
    }
}
