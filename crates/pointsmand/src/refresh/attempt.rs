//! One try to fetch a list: what is asked for, how what came is read, and which of it becomes the copy.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pointsman_config::files::Files as _;
use pointsman_net::fetch::{Fetch, Fetched, Validators, fetch};
use pointsman_net::generation::Generation;
use pointsman_net::record::chain;
use pointsman_policy::OutboundId;
use pointsman_policy::set::RuleSet;

use super::outcome::Outcome;
use super::{Keeping, ListPlace};
use crate::clock::unix_ms;

/// The longest that one list may take. A slow link brings 64 MiB in this time at 0.4 MB/s.
const WITHIN: Duration = Duration::from_secs(180);

impl Keeping {
    /// Fetches it, and puts it in force where it is a new one.
    pub(super) async fn once(&mut self) -> Result<Outcome, String> {
        let ways = self.app.in_force().ways();
        let now = Arc::clone(ways.generation());
        // The number of its outbound would be another's.
        if now.number().load != self.load {
            return Ok(Outcome::Gone);
        }
        let what = Fetch {
            url: self.url.clone(),
            via: self.source.via.unwrap_or_else(|| direct(&now)),
            // Else what is unchanged since would never come into force.
            validators: match self.has_copy() {
                true => self.copy.validators(),
                false => Validators::default(),
            },
            limit: self.source.limit,
            within: WITHIN,
        };
        let mut draft = self.copy.draft();
        let fetched = fetch(&ways, &what, &mut |bytes| draft.write(bytes)).await;
        let validators = match fetched.map_err(|error| chain(&error))? {
            Fetched::Unchanged if !self.has_copy() => {
                return Err("the server says that it is unchanged, and was told of no copy".into());
            }
            Fetched::Unchanged => {
                self.copy.confirm(unix_ms());
                return Ok(Outcome::Unchanged);
            }
            Fetched::New { validators, .. } => validators,
        };
        // Lists of a million names take their time.
        let reading = self.source.clone();
        let key = self.app.origin.shelf.key();
        let known = self.has_copy().then(|| self.copy.path().to_owned());
        let spares = Arc::clone(&self.app.origin.spares);
        let read = self.app.lists.read(move || {
            // Of a server that tells no versions: what is the same makes no generation.
            let same = |path: PathBuf| draft.is_as(spares.open(&path, u64::MAX)?);
            if known.is_some_and(|path| same(path).unwrap_or(false)) {
                return Ok(None);
            }
            let mut opened = draft.read()?;
            let compiled = reading.compile(&mut *opened.bytes, key);
            if compiled.is_err() {
                // What it took until then; of a good one it is given back once that is in force.
                pointsman_os::memory::give_back();
            }
            Ok::<_, io::Error>(Some((draft, opened.stamp, compiled)))
        });
        let read = read.await?.map_err(|error| error.to_string())?;
        let Some((draft, stamp, set)) = read else {
            self.copy.confirm_as(validators, unix_ms());
            return Ok(Outcome::Unchanged);
        };
        let (set, told): (RuleSet, _) = set.map_err(|error| error.to_string())?;
        let left_out = told.left_out();
        if left_out > 0 {
            let place = ListPlace(&self.source);
            tracing::warn!("{place}: {left_out} entries cannot be read and are left out");
        }
        if set.is_empty() {
            return Err("it holds no entry".to_owned());
        }
        self.copy
            .replace((draft, stamp), validators, unix_ms())
            .map_err(|error| error.to_string())?;
        self.put_in_force((set, stamp)).await
    }
}

fn direct(generation: &Generation) -> OutboundId {
    let policy = generation.spec().policies.first();
    policy.map_or(OutboundId(0), |policy| policy.direct)
}
