//! What is kept, and what becomes of files that are none of ours.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn rule(text: &str, flows: u64, last_ms: u64) -> Remembered {
    Remembered {
        policy: "main".into(),
        file: "c.yaml".into(),
        text: text.into(),
        ordinal: 1,
        tallied: Tallied {
            flows,
            bytes_sent: 2,
            bytes_received: 3,
            last_ms,
        },
    }
}

fn open(state: &Path, config: &str) -> Counts {
    Counts::open(Some(state), Some(Path::new(config)))
}

#[test]
fn what_is_kept_is_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("not/there/yet");
    let counts = open(&state, "/none/c.yaml");
    assert_eq!(counts.load(), []);
    let kept = [rule("a", 1, 30), rule("b", 7, 20)];
    counts.store(kept.to_vec());
    let again = open(&state, "/none/c.yaml");
    assert_eq!(again.load(), kept);
    assert_eq!(again.since(), counts.since());
    let path = state.join("rules").join(FILE);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A process before crashed while it wrote.
    let beside = |name: &str| state.join("rules").join(name);
    fs::write(beside("counts.json.7.new"), "{").unwrap();
    fs::write(beside("counts.json.old.new"), "mine").unwrap();
    assert_eq!(open(&state, "/none/c.yaml").load(), kept);
    assert!(!beside("counts.json.7.new").exists());
    assert!(beside("counts.json.old.new").exists());
    // What did not change is not written.
    fs::remove_file(&path).unwrap();
    counts.store(kept.to_vec());
    assert!(!path.exists());
    counts.store(vec![rule("a", 2, 40)]);
    assert!(path.exists());
    // Of another configuration: counted anew.
    assert_eq!(open(&state, "/none/d.yaml").load(), []);
    assert_eq!(Counts::open(None, None).load(), []);
}

#[test]
fn counts_of_the_embedded_default_are_told_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let default = Counts::open(Some(directory.path()), None);
    default.store(vec![rule("a", 1, 30)]);
    let counts = open(directory.path(), "/none/c.yaml");
    let Err(Unread::Other(config)) = counts.read(counts.kept.as_ref().unwrap()) else {
        panic!("they are of another configuration");
    };
    assert_eq!(whose(&config), "the embedded default");
    assert_eq!(whose("/none/c.yaml"), "/none/c.yaml");
}

#[test]
fn damaged_files_count_for_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let counts = open(directory.path(), "/none/c.yaml");
    counts.store(vec![rule("a", 1, 30)]);
    let path = directory.path().join("rules").join(FILE);
    let good = fs::read_to_string(&path).unwrap();
    let check = |text: &[u8], count: usize| {
        fs::write(&path, text).unwrap();
        let found = open(directory.path(), "/none/c.yaml").load();
        assert_eq!(found.len(), count, "{:?}", String::from_utf8_lossy(text));
    };
    check(good.as_bytes(), 1);
    check(b"", 0);
    check(b"\xff\xfe", 0);
    check(b"[]", 0);
    check(&good.as_bytes()[..good.len() - 1], 0);
    check(good.replace("\"version\":1", "\"version\":2").as_bytes(), 0);
    check(good.replace("\"flows\":1", "\"flows\":-1").as_bytes(), 0);
    check(
        good.replace("\"flows\":1", "\"flows\":18446744073709551615")
            .as_bytes(),
        1,
    );
    check(&vec![b' '; LARGEST + 1], 0);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let counts = open(directory.path(), "/none/c.yaml");
    assert_eq!(counts.load(), []);
    // Nor can it be written then, which harms nobody.
    counts.store(vec![rule("a", 1, 30)]);
}

#[test]
fn those_that_decided_last_stay() {
    let counts = Counts::open(None, None);
    let rules: Vec<_> = (0..100).map(|last| rule("x", 1, last)).collect();
    let text = counts.text(rules.clone(), 4000);
    assert!(text.len() <= 4000);
    let file: File = serde_json::from_slice(&text).unwrap();
    assert!(file.rules.len() >= 10);
    assert_eq!(file.rules[0].last, 99);
    let many = vec![rule("x", 1, 1); MOST + 1];
    let file: File = serde_json::from_slice(&counts.text(many, usize::MAX)).unwrap();
    assert_eq!(file.rules.len(), MOST);
}
