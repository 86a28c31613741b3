//! Rule sets that are fetched: when, how often, and what becomes of them.
//!
//! Invariants: nothing waits for the network, neither the start nor a flow. The last good copy stays, on disk and in
//! force, until a better one is whole, read and compiled. A refresh swaps one set and is a minor generation; it
//! reloads nothing else.

mod copy;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pointsman_api::FetchedList;
use pointsman_config::setup::ListSource;
use pointsman_net::fetch::{Fetch, Fetched, Url, fetch};
use pointsman_net::plane::Plane;
use pointsman_net::record::chain;
use pointsman_net::tasks::Tasks;
use pointsman_policy::OutboundId;
use pointsman_policy::set::RuleSet;

use self::copy::Copy;
use crate::app::App;
use crate::unix_ms;

/// The longest that one list may take. A slow link brings 64 MiB in this time at 0.4 MB/s.
const WITHIN: Duration = Duration::from_secs(180);

/// The pause after a first failure; doubled with each further one.
const AGAIN: Duration = Duration::from_secs(30);

/// The longest pause after failures.
const AGAIN_AT_MOST: Duration = Duration::from_secs(3600);

/// What is known of each list that is fetched, by name.
#[derive(Debug, Default)]
pub(crate) struct Lists(Mutex<BTreeMap<Arc<str>, FetchedList>>);

impl Lists {
    /// All, in the order of their names.
    pub(crate) fn all(&self) -> Vec<FetchedList> {
        self.lock().values().cloned().collect()
    }

    fn begin(&self, sources: &[ListSource]) {
        let mut lists = self.lock();
        lists.retain(|name, _| sources.iter().any(|source| source.name == *name));
    }

    fn tell(&self, source: &ListSource, change: impl FnOnce(&mut FetchedList)) {
        let mut lists = self.lock();
        let list = lists.entry(Arc::clone(&source.name)).or_default();
        list.name = source.name.to_string();
        change(list);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, FetchedList>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the lists of whatever configuration is in force fresh, until the daemon ends.
pub(crate) async fn run(app: Arc<App>) {
    let mut loads = app.loads();
    loop {
        let load = *loads.borrow_and_update();
        let sources = app.generation().1.sources.clone();
        app.lists.begin(&sources);
        let tasks = Tasks::new();
        for source in sources {
            tasks.spawn(keep(Arc::clone(&app), load, source));
        }
        let ended = tokio::select! {
            changed = loads.changed() => changed.is_err(),
            () = app.stopped() => true,
        };
        // What is under way belongs to a configuration that is gone, or to a daemon that is draining.
        tasks.stop(Duration::ZERO).await;
        if ended {
            return;
        }
    }
}

/// Keeps one list fresh as long as its configuration is in force.
async fn keep(app: Arc<App>, load: u64, source: ListSource) {
    let Some(path) = source.path.clone() else {
        let place = Place(&source);
        tracing::warn!("{place}: there is no directory to keep it in; `--state` names one");
        return;
    };
    let url = match Url::parse(&source.url) {
        Ok(url) => url,
        Err(why) => {
            app.lists
                .tell(&source, |list| list.error = Some(why.to_string()));
            tracing::warn!("{}: {why}", Place(&source));
            return;
        }
    };
    let mut copy = Copy::find(path, &source.url);
    app.lists.tell(&source, |list| {
        list.url = url.to_string();
        list.checked_ms = copy.checked();
        list.changed_ms = copy.changed();
    });
    let mut failures = 0;
    let mut pause = wait(&source, copy.age(unix_ms()));
    loop {
        let Some(time) = pause else { return };
        tokio::time::sleep(time).await;
        let done = once(&app, load, &source, &url, &mut copy).await;
        let error = match done {
            Ok(changed) => {
                failures = 0;
                tracing::info!(
                    "rule set `{}`: {}",
                    source.name,
                    if changed { "fetched" } else { "unchanged" }
                );
                pause = wait(&source, Some(Duration::ZERO));
                None
            }
            Err(why) => {
                failures += 1;
                let next = again(failures, source.interval);
                let place = Place(&source);
                let kept = match copy.checked() {
                    Some(_) => "its last copy stays in force",
                    None => "it is empty until it is fetched",
                };
                tracing::warn!(
                    "{place} was not fetched from {url}: {why}; {kept}; the next attempt is in {next:?}"
                );
                pause = Some(jittered(next));
                Some(why)
            }
        };
        app.lists.tell(&source, |list| {
            list.checked_ms = copy.checked();
            list.changed_ms = copy.changed();
            list.error = error;
        });
    }
}

/// A rule set and where it stands, for the log: ``rule set `ads` (pointsman.yaml:7)``.
struct Place<'a>(&'a ListSource);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListSource { name, span, .. } = self.0;
        write!(
            f,
            "rule set `{name}` ({}:{})",
            span.file(),
            span.line_column().0
        )
    }
}

/// How long to wait where the copy is so old; `None` for ever.
fn wait(source: &ListSource, age: Option<Duration>) -> Option<Duration> {
    match (age, source.interval) {
        (None, _) => Some(Duration::ZERO),
        (Some(age), Some(interval)) => Some(jittered(interval).saturating_sub(age)),
        (Some(_), None) => None,
    }
}

/// The pause after so many failures in a row: at most the interval, where there is one.
fn again(failures: u32, interval: Option<Duration>) -> Duration {
    let doubled = AGAIN.saturating_mul(1 << (failures - 1).min(16));
    let most = interval.map_or(AGAIN_AT_MOST, |interval| interval.min(AGAIN_AT_MOST));
    doubled.min(most.max(Duration::from_secs(1)))
}

/// Up to a tenth more or less, so that a thousand routers do not ask at once.
fn jittered(time: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 2001;
    time.mul_f64(0.9 + random as f64 / 10_000.0)
}

/// Fetches a list; whether there was a new one, which then is in force.
async fn once(
    app: &Arc<App>,
    load: u64,
    source: &ListSource,
    url: &Url,
    copy: &mut Copy,
) -> Result<bool, String> {
    let ways = app.plane.ways().ok_or("nothing is in force")?;
    let what = Fetch {
        url: url.clone(),
        via: source.via.unwrap_or_else(|| direct(&app.plane)),
        validators: copy.validators(),
        limit: source.limit,
        within: WITHIN,
    };
    let mut draft = copy.draft().map_err(|error| error.to_string())?;
    let fetched = fetch(&ways, &what, &mut |bytes| draft.write(bytes)).await;
    let validators = match fetched.map_err(|error| chain(&error))? {
        Fetched::Unchanged => {
            copy.confirm(unix_ms());
            return Ok(false);
        }
        Fetched::New { validators, .. } => validators,
    };
    // Lists of a million names take their time; the control socket goes on.
    let reading = source.clone();
    let key = app.origin.shelf.key();
    let (draft, set) = tokio::task::spawn_blocking(move || {
        let mut bytes = draft.read()?;
        let compiled = reading.compile(&mut bytes, key);
        Ok::<_, std::io::Error>((draft, compiled))
    })
    .await
    .map_err(|error| error.to_string())?
    .map_err(|error| error.to_string())?;
    let (set, told): (RuleSet, _) = set.map_err(|error| error.to_string())?;
    let left_out = told.left_out();
    if left_out > 0 {
        let place = Place(source);
        tracing::warn!("{place}: {left_out} entries cannot be read and are left out");
    }
    if set.is_empty() {
        return Err("it holds no entry".to_owned());
    }
    copy.replace(draft, validators, unix_ms())
        .map_err(|error| error.to_string())?;
    app.refresh(load, source, set).await?;
    Ok(true)
}

fn direct(plane: &Plane) -> OutboundId {
    let generation = plane.generation();
    let policy = generation
        .as_ref()
        .and_then(|now| now.spec().policies.first());
    policy.map_or(OutboundId(0), |policy| policy.direct)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_longer_and_longer() {
        let check = |failures, interval: Option<u64>, expected: u64| {
            let got = again(failures, interval.map(Duration::from_secs));
            assert_eq!(
                got,
                Duration::from_secs(expected),
                "{failures} {interval:?}"
            );
        };
        check(1, None, 30);
        check(2, None, 60);
        check(8, None, 3600);
        check(4_000_000, None, 3600);
        check(3, Some(86_400), 120);
        check(3, Some(60), 60);
        check(1, Some(0), 1);
    }

    #[test]
    fn jitter_is_a_tenth() {
        for _ in 0..1000 {
            let got = jittered(Duration::from_secs(100)).as_secs_f64();
            assert!((90.0..=110.1).contains(&got), "{got}");
        }
    }
}
