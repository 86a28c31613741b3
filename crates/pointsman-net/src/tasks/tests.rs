//! Groups of tasks count, stop and abort.

use std::future::pending;
use std::sync::atomic::AtomicBool;

use super::*;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(20);

#[tokio::test]
async fn tasks_that_listen_end_by_themselves() {
    let tasks = Tasks::new();
    let (one, two) = (tasks.clone(), tasks.child());
    tasks.spawn(async move { one.stopping().await });
    two.spawn({
        let two = two.clone();
        async move { two.stopping().await }
    });
    assert_eq!(tasks.count(), 2);
    assert!(tasks.stop(LONG).await);
    assert_eq!(tasks.count(), 0);
}

#[tokio::test]
async fn deaf_tasks_are_aborted_and_dropped() {
    let (tasks, dropped) = (Tasks::new(), Arc::new(AtomicBool::new(false)));
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let flag = Flag(Arc::clone(&dropped));
    tasks.child().spawn(async move {
        let _flag = flag;
        pending::<()>().await;
    });
    let deaf = tasks.child();
    deaf.spawn(pending());
    assert!(!tasks.stop(SHORT).await);
    assert_eq!(tasks.count(), 0);
}

#[tokio::test]
async fn a_stopped_child_leaves_its_siblings() {
    let tasks = Tasks::new();
    let (one, two) = (tasks.child(), tasks.child());
    one.spawn(pending());
    two.spawn(pending());
    assert!(!one.stop(SHORT).await);
    assert_eq!((one.count(), two.count(), tasks.count()), (0, 1, 1));
    assert!(!tasks.is_stopping());
}

#[tokio::test]
async fn a_closed_group_runs_nothing_and_neither_do_its_later_children() {
    let tasks = Tasks::new();
    assert!(tasks.stop(SHORT).await);
    tasks.spawn(pending());
    let child = tasks.child();
    child.spawn(pending());
    assert_eq!(tasks.count(), 0);
    child.stopping().await;
}

#[tokio::test]
async fn a_panic_ends_its_task_alone() {
    let tasks = Tasks::new();
    tasks.spawn(async { panic!("on purpose") });
    tasks.idle().await;
    assert_eq!(tasks.count(), 0);
}
