//! When lists are fetched, and that what came in between comes into force.

use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use pointsman_config::list::Shelf;
use pointsman_net::dial::Dialer;
use pointsman_net::fetch::Validators;
use pointsman_net::plane::{Plane, PlaneSetup};
use pointsman_policy::Domain;
use tempfile::TempDir;

use super::*;
use crate::candidate::{Occasion, Origin, check};
use crate::lists::{Lists, READ_AT_ONCE};
use crate::logging::Log;

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
fn what_is_due_says_the_clock_on_the_wall() {
    let hour = Duration::from_secs(3600);
    let check = |interval, copy, age, expected| {
        let got = wait(interval, copy, age);
        assert_eq!(got, expected, "{interval:?} {copy} {age:?}");
    };
    check(Some(hour), true, Some(hour / 4), Some(hour * 3 / 4));
    check(Some(hour), true, Some(hour * 2), Some(Duration::ZERO));
    // The clock was wrong when it was fetched, or is now.
    check(Some(hour), true, None, Some(Duration::ZERO));
    check(Some(hour), false, None, Some(Duration::ZERO));
    check(None, false, None, Some(Duration::ZERO));
    check(None, true, Some(hour), None);
    check(None, true, None, None);
}

/// What was checked at a time to come is no copy of age 0.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_is_looked_at_again() {
    let (app, directory) = daemon("old.test\n").await;
    let mut list = keeping(&app, directory.path(), URL);
    list.copy.confirm(unix_ms() - 100 * 24 * 3_600_000);
    list.until_due().await;
    list.copy.confirm(unix_ms() + 3_600_000);
    list.until_due().await;
    list.copy.confirm(unix_ms());
    let days = Duration::from_secs(14 * 24 * 3600);
    // The clock on the wall stands still here.
    assert!(tokio::time::timeout(days, list.until_due()).await.is_err());
}

#[test]
fn jitter_is_a_tenth() {
    for _ in 0..1000 {
        let got = jittered(Duration::from_secs(100)).as_secs_f64();
        assert!((90.0..=110.1).contains(&got), "{got}");
    }
}

/// A daemon with a list that is fetched once an hour from an address where nobody listens, its copy as it was fetched.
async fn daemon(text: &str) -> (Arc<App>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("pointsman.yaml"), CONFIG).unwrap();
    fetched(directory.path(), text);
    let plane = Plane::start(PlaneSetup {
        workers: 1,
        dialer: Dialer::default(),
        clock: || 0,
    });
    let origin = Origin {
        path: Some(at("pointsman.yaml")),
        dialect: None,
        on_unknown: None,
        state: Some(at("state")),
        shelf: Arc::new(Shelf::fresh()),
        spares: Arc::default(),
        control: at("control.sock"),
    };
    let (checked, asked) = check(&origin, &Occasion::Start);
    let app = App::new(origin, plane.unwrap(), Log::fixed());
    app.begin(checked.unwrap().setup, asked).await.unwrap();
    (app, directory)
}

const URL: &str = "http://127.0.0.1:9/";

const CONFIG: &str = "version: 1\ninbounds:\n  desk: { type: mixed, listen: \"127.0.0.1:0\" }\n\
     rule_sets:\n  ads: { url: \"http://127.0.0.1:9/\", format: domains, interval: 1h }\n\
     rules:\n  - RULE-SET, ads, REJECT\n  - FALLBACK, DIRECT\n";

/// A server sent this.
fn fetched(directory: &Path, text: &str) {
    let mut copy = Copy::find(directory.join("state/rules-ads"), URL, &Arc::default());
    let mut draft = copy.draft();
    draft.write(text.as_bytes()).unwrap();
    let stamp = draft.read().unwrap().stamp;
    copy.replace((draft, stamp), Validators::default(), unix_ms())
        .unwrap();
}

fn holds(app: &App, name: &str) -> bool {
    let (_, setup) = app.generation();
    let name = Domain::parse(name).unwrap();
    setup.policies[0].sets[0].find_name(&name).is_some()
}

async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..1500 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}: not within 30 s");
}

/// The old configuration's fetch ends when the new one has read the copy, and before it is in force.
#[tokio::test]
async fn a_list_that_came_while_another_configuration_was_read_comes_into_force() {
    let (app, directory) = daemon("old.test\n").await;
    fetched(directory.path(), "new.test\n");
    assert!(holds(&app, "old.test"));
    let tasks = Tasks::new();
    tasks.spawn(run(Arc::clone(&app)));
    eventually("the newer copy is in force", || holds(&app, "new.test")).await;
    assert_eq!(app.generation().0.to_string(), "1.1");
    // It stays the one that is known.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(app.generation().0.to_string(), "1.1");
    tasks.stop(Duration::ZERO).await;
}

fn keeping(app: &Arc<App>, directory: &Path, url: &str) -> Keeping {
    let source = app.generation().1.sources[0].clone();
    Keeping {
        app: Arc::clone(app),
        load: 1,
        in_force: source.read,
        url: Url::parse(url).unwrap(),
        copy: Copy::find(directory.join("state/rules-ads"), URL, &Arc::default()),
        source,
        in_doubt: false,
    }
}

#[tokio::test]
async fn what_is_not_in_force_is_no_copy_to_compare_with() {
    let (app, directory) = daemon("old.test\n").await;
    let list = |in_force: Option<Stamp>| Keeping {
        in_force,
        ..keeping(&app, directory.path(), URL)
    };
    let read = app.generation().1.sources[0].read;
    assert!(list(read).has_copy() && list(read).age().is_some());
    // It could not be read: it is asked for at once.
    assert!(!list(None).has_copy() && list(None).age().is_none());
}

/// Two dozen lists of a few hundred bytes each took the memory of all of them at once.
#[tokio::test]
async fn few_lists_are_read_at_once() {
    let lists = Arc::new(Lists::default());
    let [now, most, done] = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
    let read = || {
        let (lists, done) = (Arc::clone(&lists), Arc::clone(&done));
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        let work = move || {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            std::thread::sleep(Duration::from_millis(10));
            now.fetch_sub(1, SeqCst);
        };
        async move {
            lists.read(work).await.unwrap();
            done.fetch_add(1, SeqCst);
        }
    };
    // Nobody waits any more for what is read of these.
    let (gone, tasks) = (Tasks::new(), Tasks::new());
    (0..4).for_each(|_| gone.spawn(read()));
    tokio::task::yield_now().await;
    gone.stop(Duration::ZERO).await;
    (0..8).for_each(|_| tasks.spawn(read()));
    eventually("all are read", || done.load(SeqCst) == 8).await;
    let most = most.load(SeqCst);
    assert!((1..=READ_AT_ONCE).contains(&most), "{most} at once");
}

/// The number of an outbound means another one there.
#[tokio::test]
async fn nothing_is_fetched_by_the_outbounds_of_another_configuration() {
    let (app, directory) = daemon("old.test\n").await;
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", server.local_addr().unwrap());
    let mut list = keeping(&app, directory.path(), &url);
    app.reload(None).await.unwrap();
    let within = tokio::time::timeout(Duration::from_secs(1), list.once());
    assert_eq!(within.await.unwrap(), Ok(Outcome::Gone));
    assert!(server.accept().is_err(), "nobody asked");
}
