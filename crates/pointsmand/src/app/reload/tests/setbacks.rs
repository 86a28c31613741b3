//! What is remembered of configurations that did not stay, here and on the disk.

use super::*;

/// What the next daemon would find.
fn stored(directory: &Path) -> serde_json::Value {
    let read = std::fs::read(directory.join("state").join("rolled-back.json"));
    read.map_or(serde_json::Value::Null, |bytes| {
        serde_json::from_slice(&bytes).unwrap()
    })
}

fn told(app: &App) -> String {
    app.setback().map_or_else(String::new, |it| it.what)
}

/// A daemon that rolled `in-2` back, so that generation 3 is in force.
async fn rolled_back() -> (Arc<App>, TempDir) {
    let (app, directory) = daemon().await;
    write(directory.path(), "in-2");
    app.reload(Some(Duration::from_millis(50))).await.unwrap();
    in_force(&app, "3", "in-1").await;
    assert_eq!(told(&app), "rolled-back");
    (app, directory)
}

#[tokio::test]
async fn a_trial_is_known_on_the_disk_also_after_an_earlier_roll_back() {
    let (app, directory) = rolled_back().await;
    let path = directory.path();
    write(path, "in-3");
    app.reload(Some(PATIENCE * 100)).await.unwrap();
    assert_eq!(stored(path)["what"], "unconfirmed");
    // As where it was killed.
    let next = daemon_with(path, Shelf::fresh()).await;
    assert_eq!(told(&next), "unconfirmed");
    assert!(next.setback().unwrap().taken.is_some());

    assert!(app.confirm().await.is_some());
    assert_eq!(stored(path), serde_json::Value::Null);
    assert_eq!(told(&app), "");
}

#[tokio::test]
async fn a_refused_reload_forgets_no_roll_back() {
    let (app, directory) = rolled_back().await;
    let path = directory.path();
    std::fs::write(path.join("pointsman.yaml"), "version: 1\nfoo: 1\n").unwrap();
    app.reload(None).await.unwrap_err();
    assert_eq!(told(&app), "refused");
    assert_eq!(stored(path)["what"], "rolled-back");
    write(path, "in-2");
    let taken = app.reload(None).await.unwrap();
    let before = taken.before.unwrap_or_default();
    assert!(before.contains("was rolled back before"), "{before}");
    assert!(app.setback().unwrap().taken.is_some());
}

#[tokio::test]
async fn a_roll_back_that_fails_is_told_and_leaves_no_trial() {
    let (app, directory) = daemon().await;
    let path = directory.path();
    let at = |port: u16| {
        let text = config("in-1").replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
        std::fs::write(path.join("pointsman.yaml"), text).unwrap();
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    at(port);
    app.reload(None).await.unwrap();
    at(0);
    app.reload(Some(Duration::from_secs(3))).await.unwrap();
    // As soon as the listener before is closed.
    let _taken = loop {
        match std::net::TcpListener::bind(("127.0.0.1", port)) {
            Ok(listener) => break listener,
            Err(_closing) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let over = async {
        while app.awaiting().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        app.turn().await.map(drop)
    };
    tokio::time::timeout(PATIENCE, over).await.unwrap().unwrap();
    assert_eq!(app.generation().0.to_string(), "3");
    assert_eq!(told(&app), "rollback-failed");
    let why = app.setback().unwrap().why;
    assert!(why.contains("2 cannot come back: "), "{why}");
    assert_eq!(stored(path), serde_json::Value::Null);
}

#[tokio::test]
async fn what_was_taken_nevertheless_is_said_once_over_starts() {
    let (app, directory) = rolled_back().await;
    let content = {
        app.reload(None).await.unwrap();
        app.asked.borrow().in_force.content
    };
    assert!(stored(directory.path())["taken_ms"].is_u64());
    let next = daemon_with(directory.path(), Shelf::fresh()).await;
    assert_eq!(next.setback(), app.setback());
    assert_eq!(next.taken_at_start(content).await, None);
    assert!(
        next.taken(content).await.is_some(),
        "a person hears it again"
    );
}
