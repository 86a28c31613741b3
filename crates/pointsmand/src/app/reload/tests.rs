//! A reload that nobody waits for any more is whole, or has not begun.

mod setbacks;

use std::path::Path;

use pointsman_config::list::Shelf;
use pointsman_net::dial::Dialer;
use pointsman_net::plane::{Plane, PlaneSetup};
use tempfile::TempDir;

use super::dropping::dropped_at_each_wait;
use super::*;
use crate::app::Asker;
use crate::candidate::{Occasion, Origin, check};
use crate::logging::Log;
use crate::replay;

/// No step of a test takes longer, also on a machine under load.
const PATIENCE: Duration = Duration::from_secs(30);

fn config(inbound: &str) -> String {
    format!(
        "version: 1\ninbounds:\n  {inbound}: {{ type: mixed, listen: \"127.0.0.1:0\" }}\n\
         outbounds:\n  group: {{ type: select, members: [DIRECT, REJECT] }}\nrules:\n  - FALLBACK, group\n"
    )
}

fn write(directory: &Path, inbound: &str) {
    std::fs::write(directory.join("pointsman.yaml"), config(inbound)).unwrap();
}

async fn daemon() -> (Arc<App>, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "in-1");
    let app = daemon_with(directory.path(), Shelf::fresh()).await;
    (app, directory)
}

async fn daemon_with(directory: &Path, shelf: Shelf) -> Arc<App> {
    let plane = Plane::start(PlaneSetup {
        workers: 2,
        dialer: Dialer::default(),
        clock: || 0,
    });
    let origin = Origin {
        path: Some(directory.join("pointsman.yaml")),
        dialect: None,
        on_unknown: None,
        state: Some(directory.join("state")),
        shelf: Arc::new(shelf),
        spares: Arc::default(),
        control: directory.join("control.sock"),
    };
    let (checked, asked) = check(&origin, &Occasion::Start);
    let app = App::new(origin, plane.unwrap(), Log::fixed());
    app.begin(checked.unwrap().setup, asked).await.unwrap();
    app
}

#[tokio::test]
async fn status_listening_generation_and_roll_back_agree_wherever_a_reload_is_dropped() {
    let (app, directory) = daemon().await;
    let mut seen = app.generation().0.load;
    let mut writes = 1;
    let reload = || {
        writes += 1;
        write(directory.path(), &format!("in-{writes}"));
        app.reload(Some(PATIENCE * 100))
    };
    let mut whole = 0;
    let look = async |times: usize| {
        // Until what had begun is over.
        let turn = tokio::time::timeout(PATIENCE, app.turn()).await;
        let _turn = turn.expect("nobody is held up").unwrap();
        let (now, awaiting) = app.standing();
        let listening: Vec<_> = now
            .listening()
            .iter()
            .map(|it| it.name.to_string())
            .collect();
        let configured: Vec<_> = now
            .about()
            .inbounds
            .iter()
            .map(|it| it.name.to_string())
            .collect();
        assert_eq!(listening, configured, "dropped after {times} polls");
        if times == 0 {
            assert_eq!(now.number().load, seen);
            assert!(awaiting.is_none());
            return;
        }
        assert_eq!(now.number().load, seen + 1, "no number is given twice");
        let awaiting = awaiting.expect("the roll-back is armed");
        assert_eq!(awaiting.generation, now.number().to_string());
        assert_eq!(awaiting.earlier, seen.to_string());
        assert_eq!(listening, [format!("in-{}", times + 2)]);
        assert!(app.confirm().await.is_some());
        seen = now.number().load;
        whole += 1;
    };
    let (last, polls) = dropped_at_each_wait(reload, look).await;
    assert!(last.is_ok(), "{last:?}");
    assert!(polls > 1, "it waits");
    assert_eq!(whole, polls - 1);
    assert!(app.confirm().await.is_some());
}

#[tokio::test]
async fn a_stop_waits_for_no_reload_and_lets_none_begin() {
    let (app, directory) = daemon().await;
    write(directory.path(), "in-2");
    let ready = app
        .prepare(app.generation().1, Dependencies::default(), app.next())
        .await
        .unwrap();
    app.stop();
    let refused = app.commit(ready, Terms::ForGood).map(drop);
    assert!(matches!(refused, Err(Refused::Stopping)), "{refused:?}");
    let refused = app.reload(None).await;
    assert!(matches!(refused, Err(Refused::Stopping)), "{refused:?}");
    assert_eq!(app.generation().0.to_string(), "1");
}

#[tokio::test]
async fn a_confirmation_is_in_time_until_the_earlier_one_is_back() {
    let (app, directory) = daemon().await;
    write(directory.path(), "in-2");
    app.reload(Some(PATIENCE * 100)).await.unwrap();
    let waiting = app.generation().0;
    let ready = app
        .prepare(app.generation().1, Dependencies::default(), app.next())
        .await
        .unwrap();
    assert!(app.confirm().await.is_some());
    let refused = app.commit(ready, Terms::Instead(waiting)).map(drop);
    assert!(matches!(refused, Err(Refused::Awaiting(_))), "{refused:?}");
    assert_eq!(app.generation().0, waiting);
    assert!(app.awaiting().is_none());
}

/// Replays of large candidates may take minutes, and a roll-back takes the same turn as a reload.
#[tokio::test]
async fn what_comes_into_force_and_replays_do_not_wait_for_each_other() {
    let (app, _directory) = daemon().await;
    let _reloading = app.turn().await.unwrap();
    let asked = replay::ReplayOptions {
        config: None,
        text: None,
        dialect: None,
        last: None,
        redact: false,
    };
    let replayed = tokio::time::timeout(PATIENCE, replay::run(&app, asked)).await;
    replayed.expect("it does not wait").unwrap();
}

/// A list that is large enough to be kept compiled.
fn write_list(directory: &Path, name: &str) {
    let names: String = (0..8000)
        .map(|n| format!("name-{n}.{name}.test\n"))
        .collect();
    std::fs::write(directory.join(name), names).unwrap();
    let text = config("in-1").replace(
        "rules:\n",
        &format!("rule_sets:\n  ads: {{ path: {name}, format: domains }}\nrules:\n  - RULE-SET, ads, REJECT\n"),
    );
    std::fs::write(directory.join("pointsman.yaml"), text).unwrap();
}

#[tokio::test]
async fn a_trial_leaves_the_compiled_lists_of_what_may_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    write_list(directory.path(), "one");
    let app = daemon_with(directory.path(), crate::shelf::open(Some(&state))).await;
    let compiled = || -> std::collections::BTreeSet<_> {
        let all = std::fs::read_dir(state.join("rule-sets")).unwrap();
        let names = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".set")).collect()
    };
    let first = compiled();
    assert_eq!(first.len(), 1);
    let rolled_back = async |generation: &str| {
        while app.generation().0.to_string() != generation || app.awaiting().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let _settled = app.turn().await.unwrap();
    };

    write_list(directory.path(), "two");
    app.reload(Some(PATIENCE * 100)).await.unwrap();
    assert_eq!(compiled().len(), 2, "both are needed");
    assert!(app.confirm().await.is_some());
    let second = compiled();
    assert!(second.len() == 1 && second.is_disjoint(&first));

    write_list(directory.path(), "one");
    app.reload(Some(Duration::from_millis(100))).await.unwrap();
    let back = tokio::time::timeout(PATIENCE, rolled_back("4"));
    back.await.unwrap();
    assert!(compiled().is_superset(&second), "what is back is kept");

    app.reload(None).await.unwrap();
    assert!(compiled().is_superset(&first));
}

async fn in_force(app: &App, generation: &str, inbound: &str) {
    let is = || {
        let (now, awaiting) = app.standing();
        now.number().to_string() == generation
            && awaiting.is_none()
            && *now.listening()[0].name == *inbound
    };
    for _ in 0..1500 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{:?} instead of {generation} {inbound}", app.standing());
}

#[tokio::test]
async fn what_is_asked_for_during_a_trial_is_done_after_it() {
    let (app, directory) = daemon().await;
    let path = directory.path();
    write(path, "in-2");
    app.reload(Some(PATIENCE * 100)).await.unwrap();
    write(path, "in-3");
    app.reload_for(Asker::Signal).await;
    // Files are not watched.
    app.reload_for(Asker::Change).await;
    assert_eq!(app.generation().0.to_string(), "2");
    assert!(app.confirm().await.is_some());
    in_force(&app, "3", "in-3").await;

    // What is rolled back comes not by itself again.
    write(path, "in-4");
    app.reload(Some(Duration::from_secs(1))).await.unwrap();
    app.reload_for(Asker::Signal).await;
    in_force(&app, "5", "in-3").await;
    let settled = app.turn().await;
    drop(settled);
    tokio::time::sleep(Duration::from_millis(300)).await;
    in_force(&app, "5", "in-3").await;

    // Something else does.
    app.reload(Some(Duration::from_millis(200))).await.unwrap();
    write(path, "in-5");
    app.reload_for(Asker::Signal).await;
    in_force(&app, "8", "in-5").await;

    // Of changes of files nobody hears who does not watch them.
    app.reload(Some(PATIENCE * 100)).await.unwrap();
    write(path, "in-6");
    app.reload_for(Asker::Change).await;
    assert!(app.confirm().await.is_some());
    tokio::time::sleep(Duration::from_millis(300)).await;
    in_force(&app, "9", "in-5").await;
}

#[tokio::test]
async fn selections_are_there_before_the_first_flow() {
    let (app, _directory) = daemon().await;
    app.select("group", "REJECT").await.unwrap();
    let (checked, _) = check(&app.origin, &Occasion::Start);
    let plane = Plane::start(PlaneSetup {
        workers: 1,
        dialer: Dialer::default(),
        clock: || 0,
    });
    let next = App::new(app.origin.clone(), plane.unwrap(), Log::fixed());
    next.recall();
    // Nothing serves yet.
    assert!(next.plane.in_force().is_none());
    let ready = next.prepare(
        Arc::new(checked.unwrap().setup),
        Dependencies::default(),
        Number {
            load: 1,
            refresh: 0,
        },
    );
    let ready = ready.await.unwrap();
    let _retired = next.commit(ready, Terms::ForGood).unwrap();
    // At the very moment of the commit.
    let now = next.in_force();
    assert_eq!(now.selected("group").as_deref(), Some("REJECT"));
}

#[tokio::test]
async fn a_list_that_changed_during_a_trial_is_read_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write_list(path, "one");
    let app = daemon_with(path, Shelf::fresh()).await;
    let has = |name: &str| {
        let name = pointsman_policy::Domain::parse(name).unwrap();
        app.generation().1.policies[0].sets[0]
            .find_name(&name)
            .is_some()
    };
    // As it was rolled back nobody asked for it again.
    app.reload(Some(Duration::from_secs(2))).await.unwrap();
    app.reload_for(Asker::Signal).await;
    in_force(&app, "3", "in-1").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    in_force(&app, "3", "in-1").await;

    app.reload(Some(Duration::from_secs(2))).await.unwrap();
    std::fs::write(path.join("one"), "new.test\n").unwrap();
    app.reload_for(Asker::Signal).await;
    in_force(&app, "6", "in-1").await;
    assert!(has("new.test"));
}

/// A disk that takes its time keeps neither a selection nor anybody else waiting.
#[tokio::test]
async fn what_is_written_keeps_nobody_waiting() {
    let (app, _directory) = daemon().await;
    let selected = || {
        let all = app.plane.selections();
        all.first().map(|(_, member)| member.to_string())
    };
    let slow = app.writing.lock().unwrap();
    let selecting = app.select("group", "REJECT");
    let others = async {
        while selected().as_deref() != Some("REJECT") {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        drop(slow);
    };
    let both = tokio::time::timeout(PATIENCE, async { tokio::join!(selecting, others) });
    let (kept, ()) = both.await.unwrap();
    assert_eq!(kept.unwrap(), None);
    let stored = selections::load(app.origin.state.as_deref().unwrap());
    assert_eq!(stored.get("group").map(String::as_str), Some("REJECT"));
}
