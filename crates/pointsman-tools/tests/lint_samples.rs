//! No false alarm: the linter on configurations that others wrote and that work.
//!
//! They are no part of this project; where they are not at hand that is said, and nothing is tested.

use std::path::{Path, PathBuf};

use pointsman_config::files::{Disk, Files, Memory};
use pointsman_config::{Dialect, Severity, load};
use pointsman_tools::lint::lint;

/// A file or directory of the material beside the workspace; `None`, said aloud, where it is not there.
#[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
fn shared(path: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("POINTSMAN_SHARED").map_or_else(beside, PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    eprintln!("skipped: {} is not here", found.display());
    None
}

/// What is told of a configuration besides what loading it says: `line code`, notes among it.
fn told(path: &Path, dialect: Option<Dialect>, files: &dyn Files) -> Vec<String> {
    let mut loaded = load(path, dialect, None, files);
    let shown: Vec<String> = loaded.problems.0.iter().map(ToString::to_string).collect();
    let setup = loaded
        .setup
        .unwrap_or_else(|| panic!("{}", shown.join("\n")));
    let of_load = loaded.problems.0.len();
    lint(&setup, files, &mut loaded.problems);
    let all = loaded.problems.0.iter();
    let new = all.filter(|problem| !shown.contains(&problem.to_string()));
    let new: Vec<_> = new.collect();
    assert_eq!(new.len() + of_load, loaded.problems.0.len());
    let line =
        |severity: Severity, line: u32, code: &str| format!("{} {line} {code}", severity.as_str());
    new.iter()
        .map(|problem| line(problem.severity, problem.span.line(), problem.code))
        .collect()
}

/// The outbounds, groups and files that the example names and does not bring.
const ITS_OUTBOUNDS: &str = "
proxy_local:
  Proxy: { type: socks5, server: p.example, port: 1 }
  One: { type: socks5, server: o.example, port: 1 }
proxy_group:
  Work-Proxies: { proxies: [One] }
  Personal-Proxies: { proxies: [One] }
  Netflix-Proxies: { proxies: [One] }
inbound:
  http: [{ port: 8080, alias: work-proxy }, 8081]
  socks5: [{ port: 1080, alias: personal-proxy }, 1081]
";

#[test]
fn boltconns_complete_example() {
    let (Some(page), Some(database)) = (
        shared("seeds/boltconn-rules.md"),
        shared("data/mmdb/GeoLite2-Country-Test.mmdb"),
    ) else {
        return;
    };
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("## Complete Example").unwrap();
    let example = rest.split("```yaml\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    let check = |more: &str, expected: &[&str]| {
        let text = format!("{example}{more}");
        let mut files = Memory::new([
            ("config.yml", text.as_str()),
            (
                "rules/custom-domains.yaml",
                "payload:\n  - intranet.example\n",
            ),
            (
                "rules/private-networks.yaml",
                "payload:\n  - 10.0.0.0/8\n  - 192.168.0.0/16\n",
            ),
            ("cache/ad-blocking.yaml", "payload:\n  - ads.example\n"),
        ]);
        let database = std::fs::read(&database).unwrap();
        files.files.insert("GeoLite2-Country.mmdb".into(), database);
        let told = told(Path::new("config.yml"), Some(Dialect::Boltconn), &files);
        assert_eq!(told, expected);
    };
    check(ITS_OUTBOUNDS, &[]);
    let without = ITS_OUTBOUNDS.split("inbound:").next().unwrap();
    check(without, &[]);
}

#[test]
fn the_samples() {
    let check = |path: &str, expected: &[&str]| {
        let Some(path) = shared(path) else { return };
        assert_eq!(told(&path, None, &Disk), expected, "{}", path.display());
    };
    check("samples/bitflow/config.yaml", &[]);
    // Groups that no rule names, and a rule that its module has, too.
    let of_boltconn = [
        "note 55 unused-outbound",
        "note 62 unused-outbound",
        "note 82 shadowed-rule",
    ];
    check("samples/boltconn/config.yml", &of_boltconn);
    check(
        "samples/policy-router/config.toml",
        &["note 25 answers-early"],
    );
    // It asks for the addresses of names that a later branch sends by a proxy.
    check(
        "samples/reflow",
        &["note 36 answers-early", "note 50 local-lookup"],
    );
}
