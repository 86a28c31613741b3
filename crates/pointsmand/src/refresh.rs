//! Rule sets that are fetched: when, how often, and what becomes of them.
//!
//! Invariants: nothing waits for the network, neither the start nor a flow. The last good copy stays, on disk and in
//! force, until a better one is whole, read and compiled. A refresh swaps one set and is a minor generation; it
//! reloads nothing else. Each set in force knows which state of its copy it holds: a copy that came while another
//! configuration was in force is put in force, and a server is told of no copy that is not.

mod attempt;
mod copy;
mod draft;
mod due;
mod outcome;
mod sidecar;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use pointsman_config::case;
use pointsman_config::files::Stamp;
use pointsman_config::setup::ListSource;
use pointsman_net::fetch::Url;
use pointsman_net::spec::Number;
use pointsman_net::tasks::Tasks;
use pointsman_policy::set::RuleSet;
use tokio::sync::oneshot;

use self::copy::Copy;
use self::due::{again, at, jittered, wait};
use self::outcome::{Outcome, Size};
use crate::app::App;
use crate::candidate::Origin;
use crate::clock::unix_ms;
use crate::memory_copies::has_place;

/// How often it is tried to write a copy that is in memory alone.
const WRITE_AGAIN: Duration = Duration::from_secs(300);

/// The longest that the clock is not looked at.
const LOOK: Duration = Duration::from_secs(3600);

/// Begins [`run`] on a thread of its own: signals and the control socket wait for no list and no disk. What is answered
/// ends when the thread has.
///
/// # Errors
/// Those of starting a thread.
pub(crate) fn begin(app: &Arc<App>) -> io::Result<impl Future<Output = ()> + use<>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (running, ended) = oneshot::channel::<()>();
    let app = Arc::clone(app);
    std::thread::Builder::new()
        .name("lists".into())
        .spawn(move || {
            runtime.block_on(run(app));
            // What is still read is of no use any more.
            runtime.shutdown_background();
            drop(running);
        })?;
    Ok(async move {
        let _gone = ended.await;
    })
}

/// Keeps the lists of whatever configuration is in force fresh, until the daemon ends.
pub(crate) async fn run(app: Arc<App>) {
    let mut loads = app.loads();
    for source in &app.generation().1.sources {
        if let Some(path) = &source.path {
            copy::sweep(path);
        }
    }
    loop {
        loads.borrow_and_update();
        let (Number { load, .. }, setup) = app.generation();
        let sources = setup.sources.clone();
        let in_doubt = case::in_doubt(&setup);
        drop(setup);
        app.lists.begin(&sources);
        let tasks = Tasks::new();
        for source in sources {
            let in_doubt = in_doubt.contains(&source.name);
            tasks.spawn(keep(Arc::clone(&app), load, source, in_doubt));
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

/// Keeps one list fresh as long as its configuration is in force. One with which a test of the policy fails is asked for
/// at once.
async fn keep(app: Arc<App>, load: u64, source: ListSource, in_doubt: bool) {
    let Some(path) = source.path.clone() else {
        // A daemon's loads have a place for each, see `Origin`.
        tracing::warn!("{}: nothing says where it is kept", ListPlace(&source));
        return;
    };
    let url = match Url::parse(&source.url) {
        Ok(url) => url,
        Err(why) => {
            app.lists
                .tell(&source, |list| list.error = Some(why.to_string()));
            tracing::warn!("{}: {why}", ListPlace(&source));
            return;
        }
    };
    app.lists.tell(&source, |list| list.url = url.to_string());
    let wanted = Arc::clone(&source.url);
    let spares = Arc::clone(&app.origin.spares);
    let finding = move || Copy::find(path, &wanted, &spares);
    let copy = match app.lists.read(finding).await {
        Ok(copy) => copy,
        Err(why) => {
            tracing::warn!("{}: {why}", ListPlace(&source));
            return;
        }
    };
    if let Some(why) = copy.doubt() {
        let place = ListPlace(&source);
        tracing::warn!(
            "{place}: its copy is in doubt: {why}; it serves until the list is fetched, which is tried now"
        );
    }
    let in_doubt = in_doubt || copy.doubt().is_some();
    app.lists.tell(&source, |list| {
        list.checked_ms = copy.checked();
        list.changed_ms = copy.changed();
    });
    let mut list = Keeping {
        in_force: source.read,
        app,
        load,
        source,
        url,
        copy,
        in_doubt,
    };
    list.write_spare();
    if list.catch_up().await != Outcome::Gone {
        list.refresh().await;
    }
}

/// One list of the configuration in force, its copy, and which state of that is in force.
struct Keeping {
    app: Arc<App>,
    load: u64,
    source: ListSource,
    url: Url,
    copy: Copy,
    in_force: Option<Stamp>,
    /// Whether the copy is not what was fetched, or a test of the policy failed with it when the configuration was read.
    in_doubt: bool,
}

impl Keeping {
    /// Puts the copy in force where it was fetched while the configuration was being read, or for another one that was
    /// rolled back.
    async fn catch_up(&mut self) -> Outcome {
        let fetched = self.copy.fetched();
        if fetched.is_none() || fetched == self.in_force {
            return Outcome::Unchanged;
        }
        let source = self.source.clone();
        let Origin { shelf, spares, .. } = self.app.origin.clone();
        let lists = &self.app.lists;
        match lists.read(move || source.load(&*spares, &shelf)).await {
            Ok(Ok(read)) if !read.0.is_empty() => {
                // What the system says then is what a fetch finds, too.
                self.put_in_force(read).await.unwrap_or(Outcome::Unchanged)
            }
            // It was another recipe's. A fetch is due, and tells what is wrong.
            _ => {
                pointsman_os::memory::give_back();
                Outcome::Unchanged
            }
        }
    }

    async fn put_in_force(&mut self, set: (RuleSet, Stamp)) -> Result<Outcome, String> {
        let stamp = set.1;
        let (entries, before) = (set.0.len(), self.entries());
        if !self.app.refresh(self.load, &self.source, set).await? {
            return Ok(Outcome::Gone);
        }
        self.in_force = Some(stamp);
        Ok(Outcome::Changed(Size {
            entries,
            before,
            bytes: stamp.length,
        }))
    }

    /// How many entries are in force; `None` where no policy uses them.
    fn entries(&self) -> Option<usize> {
        let setup = self.app.generation().1;
        let mut sets = setup.policies.iter().flat_map(|policy| policy.sets.iter());
        let set = sets.find(|set| set.name == self.source.name)?;
        Some(set.len())
    }

    /// Fetches it when it is due, again and again.
    async fn refresh(&mut self) {
        let mut failures = 0;
        loop {
            if failures == 0 && !std::mem::take(&mut self.in_doubt) {
                self.until_due().await;
            }
            let pause;
            let error = match self.once().await {
                Ok(Outcome::Gone) => return,
                Ok(outcome) => {
                    failures = 0;
                    pause = Duration::ZERO;
                    tracing::info!("rule set `{}`: {outcome}", self.source.name);
                    None
                }
                Err(why) => {
                    failures += 1;
                    let about = again(failures, self.source.interval);
                    self.warn(&why, about);
                    pause = jittered(about);
                    Some(why)
                }
            };
            self.write_spare();
            let copy = &self.copy;
            let next = match error {
                Some(_) => Some(pause),
                None => self.due(self.source.interval),
            };
            self.app.lists.tell(&self.source, |list| {
                list.checked_ms = copy.checked();
                list.changed_ms = copy.changed();
                list.error = error;
                list.next_ms = next.map(at);
            });
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits until it is to be fetched, by the clock on the wall as that is then: it may be set meanwhile, and hosts
    /// sleep. For ever where it is not to be fetched again.
    async fn until_due(&mut self) {
        let interval = self.source.interval.map(jittered);
        while let Some(left) = self.due(interval) {
            self.app
                .lists
                .tell(&self.source, |list| list.next_ms = Some(at(left)));
            if left.is_zero() {
                return;
            }
            self.wait_at_most(left).await;
        }
        loop {
            self.wait_at_most(LOOK).await;
        }
    }

    /// Waits so long, or less, and meanwhile writes what is in memory alone if it can be.
    async fn wait_at_most(&mut self, left: Duration) {
        if self.copy.unwritten().is_none() {
            return tokio::time::sleep(left.min(LOOK)).await;
        }
        tokio::time::sleep(left.min(WRITE_AGAIN)).await;
        self.write_spare();
    }

    /// Writes the copy that is in memory alone if it can be by now.
    fn write_spare(&mut self) {
        let before = self.copy.stamp();
        if let Some(written) = self.copy.write_spare()
            && self.in_force == before
        {
            self.in_force = Some(written);
        }
        self.tell_unwritten();
    }

    /// Tells that the copy is in memory alone, and once it is not.
    fn tell_unwritten(&self) {
        let why = self.copy.unwritten();
        let mut before = None;
        self.app.lists.tell(&self.source, |list| {
            before = std::mem::replace(&mut list.unwritten, why.as_deref().map(str::to_owned));
        });
        let place = ListPlace(&self.source);
        let path = self.copy.path();
        match (why, before) {
            (Some(why), None) if !has_place(path) => tracing::warn!(
                "{place}: its copy is not kept: {why}; it serves from memory, and is gone when the daemon ends"
            ),
            (Some(why), None) => tracing::warn!(
                "{place}: its copy cannot be written to {}: {why}; it serves from memory, and is gone when the \
                 daemon ends",
                path.display()
            ),
            (None, Some(_)) => {
                tracing::info!("{place}: its copy is written to {} now", path.display());
            }
            // It was told.
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    /// How long it is until it is to be fetched; `None` for ever.
    fn due(&self, interval: Option<Duration>) -> Option<Duration> {
        wait(interval, self.has_copy(), self.age())
    }

    /// Whether there is a copy, and that is what is in force.
    fn has_copy(&self) -> bool {
        self.copy.stamp().is_some() && self.copy.stamp() == self.in_force
    }

    /// How long ago the server last confirmed what is in force; `None` where nothing is, or another copy than there is.
    fn age(&self) -> Option<Duration> {
        self.copy.age(unix_ms()).filter(|_| self.has_copy())
    }

    fn warn(&self, why: &str, next: Duration) {
        let place = ListPlace(&self.source);
        let url = &self.url;
        let kept = match self.in_force {
            Some(_) => "its last copy stays in force",
            None => "it is empty until it is fetched",
        };
        tracing::warn!(
            "{place} was not fetched from {url}: {why}; {kept}; the next attempt is in {next:?}"
        );
    }
}

/// A rule set and where it stands, for the log: ``rule set `ads` (pointsman.yaml:7)``.
struct ListPlace<'a>(&'a ListSource);

impl fmt::Display for ListPlace<'_> {
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

#[cfg(test)]
mod tests;
