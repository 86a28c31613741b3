//! The shelf: what is shared, what is read again, and what is kept on disk.

use std::path::Path;
use std::sync::Arc;

use pointsman_policy::{Domain, OutboundId};

use super::*;
use crate::files::{Disk, Files, Memory};
use crate::{Dialect, Loaded, Loading, load_with};

const TEXT: &str = "\
rule_sets:
  ads: { path: ads.txt }
  more: { path: ads.txt }
  web: { url: 'https://lists.test/x', path: web.txt, via: direct, interval: 1d, limit: 1MiB }
inbounds: { desk: { type: mixed, listen: 0 } }
policy: direct
";

fn names(count: usize) -> String {
    let mut text = String::from("||not.a/path\n");
    for number in 0..count {
        text += &format!("||name-{number}.example^\n");
    }
    text + "||ads*.test^\n@@||good.test^\n"
}

fn loaded(files: &dyn Files, path: &Path, shelf: &Shelf) -> Loaded {
    let loading = Loading {
        dialect: Some(Dialect::Native),
        state: None,
        files,
        shelf,
    };
    load_with(path, loading)
}

fn sets(loaded: &Loaded) -> Vec<Arc<RuleSet>> {
    let setup = loaded.setup.as_ref().unwrap();
    setup.policies[0].sets.to_vec()
}

fn holds(set: &RuleSet, name: &str) -> bool {
    set.find_name(&Domain::parse(name).unwrap()).is_some()
}

#[test]
fn loads_share_what_did_not_change() {
    let mut files = Memory::new([
        ("c/p.yaml", TEXT),
        ("c/ads.txt", &names(10)),
        ("c/web.txt", "a.test\n"),
    ]);
    let path = Path::new("c/p.yaml");
    let shelf = Shelf::fresh();
    let first = loaded(&files, path, &shelf);
    let before = sets(&first);
    assert!(before[0].shares_with(&before[1]), "one file, read once");
    assert_eq!(&*before[1].name, "more");
    assert!(holds(&before[0], "x.name-3.example"));
    files.files.insert("c/web.txt".into(), b"b.test\n".to_vec());
    let second = loaded(&files, path, &shelf);
    let after = sets(&second);
    assert!(before[0].shares_with(&after[0]) && !before[2].shares_with(&after[2]));
    assert!(holds(&after[2], "b.test") && !holds(&after[2], "a.test"));
    let texts = |loaded: &Loaded| {
        let problems = loaded.problems.0.iter();
        problems.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(texts(&first), texts(&second), "what was told is told again");
    assert!(!texts(&first).is_empty());
    drop((first, second, before, after));
    shelf.sweep();
    let third = loaded(&files, path, &shelf);
    assert_eq!(sets(&third)[0].key(), shelf.key());
}

#[test]
fn sets_that_are_fetched_are_sources() {
    let files = Memory::new([("c/p.yaml", TEXT), ("c/ads.txt", "x.test\n")]);
    let shelf = Shelf::fresh();
    let loaded = loaded(&files, Path::new("c/p.yaml"), &shelf);
    let told: Vec<&str> = loaded.problems.0.iter().map(|p| p.code).collect();
    assert_eq!(told, ["not-fetched"]);
    let setup = loaded.setup.unwrap();
    let [source] = &setup.sources[..] else {
        panic!("{:?}", setup.sources);
    };
    assert_eq!(
        (source.set, &*source.name, source.limit),
        (SetId(2), "web", 1 << 20)
    );
    assert_eq!(source.interval.map(|i| i.as_secs()), Some(86_400));
    assert_eq!(source.path.as_deref(), Some(Path::new("c/web.txt")));
    let via = source.via.map(|OutboundId(number)| number as usize);
    assert_eq!(&*setup.outbounds[via.unwrap()].name, "direct");
    assert!(setup.policies[0].sets[2].is_empty());
    assert!(
        !setup.files.iter().any(|path| path.ends_with("web.txt")),
        "not watched"
    );
    let mut fetched = Cursor::new("||a.test^\n");
    let (set, _) = source.compile(&mut fetched, shelf.key()).unwrap();
    assert!(holds(&set, "b.a.test"));
    let mut page = Cursor::new("<html>\n");
    assert!(source.compile(&mut page, shelf.key()).is_err());
    assert!(source.load(&files, &shelf).is_err(), "there is no copy");
}

#[test]
fn compiled_sets_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state/rule-sets");
    let path = directory.path().join("p.yaml");
    let list = directory.path().join("ads.txt");
    std::fs::write(&path, TEXT).unwrap();
    std::fs::write(&list, names(5000)).unwrap();
    let kept = || {
        let names = std::fs::read_dir(&state).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "key").collect::<Vec<_>>()
    };
    let shelf = Shelf::kept(state.clone());
    let first = loaded(&Disk, &path, &shelf);
    let [cache] = &kept()[..] else {
        panic!("{:?}", kept());
    };
    // What is read from now on can only come from the cache.
    let cache = state.join(cache);
    let bytes = std::fs::read(&cache).unwrap();
    let again = Shelf::kept(state.clone());
    assert!(again.key() == shelf.key());
    let second = loaded(&Disk, &path, &again);
    let (one, other) = (&sets(&first)[0], &sets(&second)[0]);
    assert_eq!(one.to_bytes(), other.to_bytes());
    assert_eq!(one.others().len(), 1);
    assert!(holds(other, "x.name-4999.example") && !one.shares_with(other));
    let told = |loaded: &Loaded| format!("{:?}", loaded.problems.0);
    assert_eq!(told(&first), told(&second));
    // Damage of any kind only costs time.
    for at in [0, 20, bytes.len() / 2, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        std::fs::write(&cache, &damaged).unwrap();
        let third = loaded(&Disk, &path, &Shelf::kept(state.clone()));
        assert_eq!(one.to_bytes(), sets(&third)[0].to_bytes());
        assert_eq!(told(&first), told(&third));
        assert_eq!(std::fs::read(&cache).unwrap(), bytes, "made again");
    }
    // Another list under the same name is read.
    std::fs::write(&list, names(6000)).unwrap();
    let fourth = loaded(&Disk, &path, &Shelf::kept(state.clone()));
    assert!(holds(&sets(&fourth)[0], "name-5999.example"));
    // Another key: made again.
    std::fs::write(state.join("key"), [7; 16]).unwrap();
    let fifth = loaded(&Disk, &path, &Shelf::kept(state.clone()));
    assert!(holds(&sets(&fifth)[0], "name-5999.example"));
    // What no configuration uses goes.
    std::fs::write(state.join("0123.set"), "x").unwrap();
    let shelf = Shelf::kept(state.clone());
    let _sixth = loaded(&Disk, &path, &shelf);
    shelf.sweep();
    assert_eq!(kept().len(), 1);
    assert_eq!(shelf.trouble(), None);
    #[cfg(unix)]
    for name in ["key", &kept()[0]] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(state.join(name)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_shelf_without_a_place_is_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let shelf = Shelf::kept(file.join("rule-sets"));
    assert!(shelf.trouble().is_some());
    let list = directory.path().join("l");
    std::fs::write(&list, names(5000)).unwrap();
    let recipe = Recipe::default();
    let want = Want {
        name: "l",
        file: "l",
        path: &list,
        recipe: &recipe,
    };
    let opened = Disk.open(&list, 1 << 20).unwrap();
    let (set, told) = shelf.take(opened, &want, &Bare).unwrap();
    assert!(set.len() > 5000 && told.format == Some(Format::Adblock));
}

#[test]
fn caches_of_real_lists_are_read_again() {
    let check = |path: &str, select: Option<&str>| {
        let Some(path) = damage::shared(path) else {
            return;
        };
        let directory = tempfile::tempdir().unwrap();
        let recipe = Recipe {
            select: select.map(str::to_owned),
            ..Recipe::default()
        };
        let want = Want {
            name: "l",
            file: "l",
            path: &path,
            recipe: &recipe,
        };
        let take = || {
            let shelf = Shelf::kept(directory.path().to_owned());
            let opened = Disk.open(&path, 1 << 30).unwrap();
            let taken = shelf.take(opened, &want, &Bare).unwrap();
            let caches = std::fs::read_dir(directory.path()).unwrap();
            let mut caches = caches.map(|entry| entry.unwrap().path());
            let cache = caches.find(|path| path.extension().is_some()).unwrap();
            (taken, Disk.open(&cache, 1 << 30).unwrap().stamp)
        };
        let ((first, told), written) = take();
        let ((second, told_again), kept) = take();
        assert_eq!(written, kept, "{path:?}: it was not made again");
        assert_eq!(told, told_again);
        assert_eq!(first.to_bytes(), second.to_bytes());
        let conditions = |set: &RuleSet| {
            let others = set.others().iter();
            let texts = others.map(|other| format!("{:?}", other.condition));
            texts.collect::<Vec<_>>()
        };
        assert_eq!(conditions(&first), conditions(&second), "{path:?}");
    };
    check("data/geosite/geolocation-!cn/sing-box.srs", None);
    check("data/geosite/geolocation-!cn/sing-box.json", None);
    check("data/geosite/geolocation-!cn/classical.yaml", None);
    check("data/geosite/geolocation-!cn/domain.mrs", None);
    check("data/geosite/dlc.dat", Some("google"));
    check("data/geoip/srs/jp.srs", None);
    check("data/plain/reject-list.txt", None);
    check("data/clash-yaml/direct.txt", None);
}
