//! Which copy counts, and what becomes of drafts and of a disk that takes nothing.

use std::io::Read as _;

use super::*;

#[test]
fn what_the_server_said_counts_for_its_own_copy() {
    let directory = tempfile::tempdir().unwrap();
    let spares = Arc::<MemoryCopies>::default();
    let path = directory.path().join("deep/list");
    let mut copy = Copy::find(path.clone(), "http://a.b/", &spares);
    assert_eq!(
        (copy.age(9), copy.validators()),
        (None, Validators::default())
    );
    let mut draft = copy.draft();
    draft.write(b"a.b\n").unwrap();
    let validators = Validators {
        etag: Some("\"v1\"".into()),
        last_modified: None,
    };
    let stamp = draft.read().unwrap().stamp;
    copy.replace((draft, stamp), validators.clone(), 1000)
        .unwrap();
    assert_eq!(copy.fetched(), Some(stamp));
    assert_eq!(fs::read(&path).unwrap(), b"a.b\n");

    let again = Copy::find(path.clone(), "http://a.b/", &spares);
    assert_eq!(again.validators(), validators);
    assert_eq!(again.fetched(), Some(stamp), "renamed, it is the same");
    assert_eq!(again.age(3000), Some(Duration::from_secs(2)));
    assert_eq!(again.age(999), None, "a clock was wrong");
    let other = Copy::find(path.clone(), "http://c.d/", &spares);
    assert_eq!(other.validators(), Validators::default());
    assert_eq!((other.stamp(), other.fetched()), (Some(stamp), None));
    fs::write(&path, "longer than it was\n").unwrap();
    let changed = Copy::find(path.clone(), "http://a.b/", &spares);
    assert_eq!(changed.validators(), Validators::default());
    assert!(changed.doubt().is_some());
    let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(left, 2, "the copy and what stands beside it");
}

/// Each was taken as the list, and was asked for again when it was old.
#[test]
fn a_copy_that_was_damaged_is_in_doubt() {
    let directory = tempfile::tempdir().unwrap();
    let spares = Arc::<MemoryCopies>::default();
    let path = directory.path().join("list");
    let find = || Copy::find(path.clone(), "http://a.b/", &spares);
    let mut copy = find();
    let mut draft = copy.draft();
    draft.write(b"a.b\n").unwrap();
    draft.write(b"c.d\n").unwrap();
    let stamp = draft.read().unwrap().stamp;
    copy.replace((draft, stamp), Validators::default(), 1)
        .unwrap();
    assert_eq!((copy.doubt(), find().doubt()), (None, None));
    for damaged in ["a.b\n", "", "a.b\nc.e\n", "a.b\nc.d\n\n"] {
        fs::write(&path, damaged).unwrap();
        let found = find();
        assert!(found.doubt().is_some(), "{damaged:?}");
        assert_eq!(
            (found.fetched(), found.validators()),
            (None, Validators::default())
        );
    }
    fs::write(&path, "a.b\nc.d\n").unwrap();
    assert_eq!(find().doubt(), None, "as it was fetched");
    let other = Copy::find(path.clone(), "http://c.d/", &spares);
    assert!(other.doubt().is_some(), "the list of another address");
    fs::write(beside(&path), "").unwrap();
    assert!(find().doubt().is_some());
    // Somebody put it there: it is as old as it is.
    fs::remove_file(beside(&path)).unwrap();
    fs::write(&path, "mine.test\n").unwrap();
    assert_eq!((find().doubt(), find().stamp().is_some()), (None, true));
}

#[test]
fn the_same_bytes_are_the_same_list() {
    let directory = tempfile::tempdir().unwrap();
    let spares = Arc::<MemoryCopies>::default();
    let path = directory.path().join("list");
    let copy = Copy::find(path.clone(), "http://a.b/", &spares);
    let long = b"a.b\n".repeat(16 << 10);
    for (copied, fetched, same) in [
        (&b"a.b\n"[..], &b"a.b\n"[..], true),
        (b"a.b\n", b"a.c\n", false),
        (b"a.b\n", b"a.b\nc\n", false),
        (&long, &long, true),
    ] {
        fs::write(&path, copied).unwrap();
        let mut draft = copy.draft();
        draft.write(fetched).unwrap();
        assert_eq!(
            draft.is_as(spares.open(&path, u64::MAX).unwrap()).unwrap(),
            same
        );
    }
}

#[test]
fn drafts_are_in_nobodys_way() {
    let directory = tempfile::tempdir().unwrap();
    let spares = Arc::<MemoryCopies>::default();
    let path = directory.path().join("list");
    let mut copy = Copy::find(path.clone(), "http://a.b/", &spares);
    // A reload gave it up, and it is still read.
    let mut old = copy.draft();
    old.write(b"old\n").unwrap();
    let mut new = copy.draft();
    new.write(b"new\n").unwrap();
    assert_eq!(old.read().unwrap().stamp.length, 4);
    drop(old);
    let stamp = new.read().unwrap().stamp;
    copy.replace((new, stamp), Validators::default(), 1)
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new\n");

    let left = [
        "list.new",
        "list.7-3.new",
        "list.fetched.new",
        "list.old.new",
        "lists.1-1.new",
    ];
    for name in left {
        fs::write(directory.path().join(name), "").unwrap();
    }
    sweep(&path);
    let there = left.map(|name| directory.path().join(name).exists());
    assert_eq!(there, [false, false, false, true, true]);
    assert!(path.exists());
}

#[test]
fn a_draft_that_is_given_up_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let spares = Arc::<MemoryCopies>::default();
    let path = directory.path().join("list");
    fs::write(&path, "good\n").unwrap();
    let copy = Copy::find(path.clone(), "http://a.b/", &spares);
    let mut draft = copy.draft();
    draft.write(b"half").unwrap();
    drop(draft);
    assert_eq!(fs::read(&path).unwrap(), b"good\n");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

/// A draft was not begun, and a list that refuses let everything through.
#[test]
fn a_copy_that_cannot_be_written_is_in_memory_until_it_can_be() {
    let directory = tempfile::tempdir().unwrap();
    let spares = Arc::<MemoryCopies>::default();
    let (home, path) = (
        directory.path().join("home"),
        directory.path().join("home/list"),
    );
    let find = || Copy::find(path.clone(), "http://a.b/", &spares);
    // What is in the way is no directory.
    fs::write(&home, "").unwrap();
    let mut copy = find();
    let mut draft = copy.draft();
    draft.write(b"a.b\n").unwrap();
    draft.write(b"c.d\n").unwrap();
    let stamp = draft.read().unwrap().stamp;
    let validators = Validators {
        etag: Some("\"v1\"".into()),
        last_modified: None,
    };
    copy.replace((draft, stamp), validators.clone(), 1000)
        .unwrap();
    assert!(copy.unwritten().is_some() && copy.write_spare().is_none());
    // As for the next load.
    let again = find();
    assert_eq!((again.fetched(), again.doubt()), (Some(stamp), None));
    assert_eq!(
        (again.checked(), again.validators()),
        (Some(1000), validators)
    );
    copy.confirm(2000);
    assert_eq!(find().checked(), Some(2000));
    let other = Copy::find(path.clone(), "http://c.d/", &spares);
    assert!(other.doubt().is_some() && other.fetched().is_none());

    fs::remove_file(&home).unwrap();
    let written = copy.write_spare();
    assert_eq!((written, copy.unwritten()), (Some(stamp), None));
    assert_eq!(fs::read(&path).unwrap(), b"a.b\nc.d\n");
    let found = find();
    assert_eq!(
        (found.fetched(), found.checked()),
        (Some(stamp), Some(2000))
    );
}

#[test]
fn a_draft_outlives_a_disk_that_fails_in_the_middle() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("list");
    fs::write(&path, "old.test\n").unwrap();
    let spares = Arc::<MemoryCopies>::default();
    let mut copy = Copy::find(path.clone(), "http://a.b/", &spares);
    let mut draft = copy.draft();
    draft.write(b"a.b\n").unwrap();
    draft.fail_from_now_on();
    draft.write(b"c.d\n").unwrap();
    let mut opened = draft.read().unwrap();
    let mut text = String::new();
    opened.bytes.read_to_string(&mut text).unwrap();
    assert_eq!(text, "a.b\nc.d\n");
    let stamp = opened.stamp;
    copy.replace((draft, stamp), Validators::default(), 1)
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old.test\n");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    let again = Copy::find(path.clone(), "http://a.b/", &spares);
    assert_eq!(again.fetched(), Some(stamp));
}
