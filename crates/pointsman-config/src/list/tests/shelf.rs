//! The shelf: what is shared, what is read again, and what is kept on disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use pointsman_policy::model::SetId;
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
    assert!(source.read.is_none());

    let copied = Memory::new([
        ("c/p.yaml", TEXT),
        ("c/ads.txt", "x.test\n"),
        ("c/web.txt", "||a.test^\n"),
    ]);
    let later = self::loaded(&copied, Path::new("c/p.yaml"), &shelf);
    let sources = later.setup.unwrap().sources;
    let (set, stamp) = sources[0].load(&copied, &shelf).unwrap();
    assert!(holds(&set, "b.a.test"));
    assert_eq!(sources[0].read, Some(stamp), "which copy it was read from");
}

/// A cache in memory, which several shelves use in turn, until it is `full`.
#[derive(Clone, Default)]
struct Drawer(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl Cache for Drawer {
    fn load(&self, name: &str) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(name).cloned()
    }
    fn store(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut files = self.0.lock().unwrap();
        if files.contains_key("full") {
            return Err(io::ErrorKind::StorageFull.into());
        }
        files.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }
    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }
    fn remove(&self, name: &str) {
        self.0.lock().unwrap().remove(name);
    }
}

impl Drawer {
    fn shelf(&self) -> Shelf {
        Shelf::kept(Box::new(self.clone()))
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let mut files = self.0.lock().unwrap();
        files.insert(name.to_owned(), bytes.to_vec());
    }

    /// The names of compiled sets.
    fn sets(&self) -> Vec<String> {
        let names = self.names().into_iter();
        names.filter(|name| name.ends_with(".set")).collect()
    }
}

#[test]
fn compiled_sets_outlive_the_process() {
    let path = Path::new("c/p.yaml");
    let mut files = Memory::new([
        ("c/p.yaml", TEXT),
        ("c/ads.txt", &names(5000)),
        ("c/web.txt", "small.test\n"),
    ]);
    let drawer = Drawer::default();
    let shelf = drawer.shelf();
    let first = loaded(&files, path, &shelf);
    let [cache] = &drawer.sets()[..] else {
        panic!("{:?}", drawer.names());
    };
    let bytes = drawer.load(cache).unwrap();
    let again = drawer.shelf();
    assert!(again.key() == shelf.key());
    // Only what comes from the cache has this.
    let end = bytes.iter().position(|b| *b == b'\n').unwrap();
    let marked = String::from_utf8_lossy(&bytes[..end]).replace("not.a/path", "not.b/path");
    drawer.put(cache, &[marked.as_bytes(), &bytes[end..]].concat());
    let second = loaded(&files, path, &again);
    let told = |loaded: &Loaded| format!("{:?}", loaded.problems.0);
    let shown = |loaded: &Loaded| loaded.problems.0[0].to_string();
    assert!(shown(&second).contains("not.b/path"), "{}", shown(&second));
    let (one, other) = (&sets(&first)[0], &sets(&second)[0]);
    assert_eq!(one.to_bytes(), other.to_bytes());
    assert_eq!(one.others().len(), 1);
    assert!(holds(other, "x.name-4999.example") && !one.shares_with(other));
    // Damage of any kind only costs time.
    for at in [0, 20, bytes.len() / 2, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        drawer.put(cache, &damaged);
        let third = loaded(&files, path, &drawer.shelf());
        assert_eq!(one.to_bytes(), sets(&third)[0].to_bytes());
        assert_eq!(told(&first), told(&third));
        assert_eq!(drawer.load(cache).unwrap(), bytes, "made again");
    }
    // Another list under the same name is read.
    files
        .files
        .insert("c/ads.txt".into(), names(6000).into_bytes());
    let fourth = loaded(&files, path, &drawer.shelf());
    assert!(holds(&sets(&fourth)[0], "name-5999.example"));
    // Another key: made again.
    drawer.put("key", &[7; 16]);
    let fifth = loaded(&files, path, &drawer.shelf());
    assert!(holds(&sets(&fifth)[0], "name-5999.example"));
    // What no configuration uses goes.
    drawer.put("0123.set", b"x");
    let shelf = drawer.shelf();
    let _sixth = loaded(&files, path, &shelf);
    shelf.sweep();
    assert_eq!(drawer.sets(), [cache.as_str()]);
    assert!(drawer.load("key").is_some());
    assert_eq!(shelf.trouble(), None);
}

#[test]
fn a_shelf_without_room_is_in_memory() {
    let drawer = Drawer::default();
    drawer.put("full", b"");
    let shelf = drawer.shelf();
    assert!(shelf.trouble().is_some() && shelf.trouble().is_none());
    let files = Memory::new([("c/p.yaml", TEXT), ("c/ads.txt", &names(5000))]);
    let loaded = loaded(&files, Path::new("c/p.yaml"), &shelf);
    assert_eq!(sets(&loaded)[0].key(), shelf.key());
}

#[test]
fn caches_of_real_lists_are_read_again() {
    let check = |path: &str, select: Option<&str>| {
        let Some(path) = damage::shared(path) else {
            return;
        };
        let drawer = Drawer::default();
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
        let opened = Disk.open(&path, 1 << 30).unwrap();
        let (first, told) = drawer
            .shelf()
            .take(opened, &want, &Surroundings::default())
            .unwrap();
        // From here on nothing can be made again.
        drawer.put("full", b"");
        let shelf = drawer.shelf();
        let opened = Disk.open(&path, 1 << 30).unwrap();
        let (second, told_again) = shelf.take(opened, &want, &Surroundings::default()).unwrap();
        assert_eq!(shelf.trouble(), None, "{path:?}: it was made again");
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
