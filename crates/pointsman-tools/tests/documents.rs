//! What the documents show works: policies parse, words in them exist, links lead somewhere.
//!
//! Whole native configurations in the documents are loaded by the native reader's own tests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use expect_test::expect_file;
use pointsman_config::files::{Disk, Memory};
use pointsman_config::flow::{KEYS, Query};
use pointsman_config::picture::{Runs, as_svg};
use pointsman_config::{Dialect, Loaded, Problems, Source, case};
use pointsman_policy::line;
use pointsman_policy::template::{VARIABLES, Variable};
use pointsman_tools::fmt;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// The blocks of one language in a document.
fn blocks<'d>(document: &'d str, language: &str) -> Vec<&'d str> {
    let fence = format!("```{language}\n");
    let mut found = Vec::new();
    let mut rest = document;
    while let Some((_, block)) = rest.split_once(&fence) {
        let (block, after) = block.split_once("```").unwrap();
        found.push(block);
        rest = after;
    }
    found
}

/// A native configuration around a policy, with all names that `docs/policy.md` uses.
fn load_native(policy: &str) -> Loaded {
    let text = format!(
        "version: 1
inbounds:
  desk: {{ type: mixed, listen: 0, users: {{ alice: secret, bob: secret }} }}
  guests: {{ type: mixed, listen: 0 }}
outbounds:
  privacy: {{ type: socks5, server: '127.0.0.1:2123' }}
  work: {{ type: direct, source: 192.168.33.83 }}
  OUTBOUND: {{ type: direct }}
rule_sets:
  ads: {{ domains: [ads.example] }}
  secret-sites: {{ domains: [secret.example] }}
  https-only: {{ domains: [bank.example] }}
  worknet: {{ ips: [10.3.0.0/16] }}
{policy}"
    );
    let files = Memory::new([("pointsman.yaml", text.as_str())]);
    let path = Path::new("pointsman.yaml");
    pointsman_config::load(path, Some(Dialect::Native), None, &files)
}

fn assert_reads(policy: &str) {
    let loaded = load_native(policy);
    let problems: Vec<String> = loaded.problems.0.iter().map(ToString::to_string).collect();
    assert!(loaded.setup.is_some(), "{policy}\n{}", problems.join("\n"));
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[test]
fn the_policies_of_the_policy_page_are_read() {
    let page = document("docs/policy.md");
    let lists = blocks(&page, "yaml");
    assert_eq!(lists.len(), 2);
    for list in lists {
        assert_reads(list);
    }
}

#[test]
fn the_trees_of_the_policy_page_decide_as_it_says() {
    let page = document("docs/policy.md");
    let (mut trees, mut flows) = (0, 0);
    for block in blocks(&page, "tree") {
        let (tree, cases) = block.split_once("---\n").unwrap();
        let source = Source::new("tree", tree.to_owned());
        let laid_out = fmt::format(fmt::FileKind::Tree, &source, &mut Problems::default());
        assert_eq!(
            words(&laid_out.unwrap()),
            words(tree),
            "as `fmt` lays it out"
        );
        let loaded = load_native(&format!("policy: |\n{}", indented(tree)));
        let problems: Vec<String> = loaded.problems.0.iter().map(ToString::to_string).collect();
        let setup = loaded
            .setup
            .unwrap_or_else(|| panic!("{tree}\n{}", problems.join("\n")));
        let (cases, broken) = case::parse("docs/policy.md", cases);
        assert!(broken.is_empty(), "{}", broken[0]);
        let failures = case::run(&setup, &cases);
        let failures: Vec<String> = failures.iter().map(ToString::to_string).collect();
        assert!(failures.is_empty(), "{tree}\n{}", failures.join("\n"));
        assert!(cases.len() >= 3, "{tree}");
        trees += 1;
        flows += cases.len();
    }
    assert!(trees >= 8 && flows >= 45, "{trees} trees, {flows} flows");
}

/// Lines without the white space before comments, which are aligned by hand in documents.
fn words(text: &str) -> Vec<String> {
    let line = |line: &str| match line.split_once(" # ") {
        Some((before, comment)) => format!("{} # {comment}", before.trim_end()),
        None => line.to_owned(),
    };
    text.lines().map(line).collect()
}

#[test]
fn the_tests_of_the_policy_page_are_cases_of_every_key() {
    let page = document("docs/policy.md");
    let block = blocks(&page, "case")[0];
    let (cases, broken) = case::parse("policy.md", block);
    assert!(broken.is_empty() && cases.len() >= 6, "{broken:?}");
    for case in cases {
        Query::parse(&case.flow).unwrap();
    }
    let section = page.split_once("## Tests").unwrap().1;
    let section = section.split_once("\n## ").unwrap().0;
    for (key, _) in KEYS {
        assert!(section.contains(&format!("`{key}`")), "{key}");
    }
}

#[test]
fn the_variables_of_the_policy_page_are_all_there_are() {
    let page = document("docs/policy.md");
    let said = page.split_once("The variables of a message").unwrap().1;
    let said = said.split_once(": `").unwrap().1;
    let said = said.split_once("\n\n").unwrap().0;
    let (mut first, mut told) = (String::new(), Vec::new());
    for word in format!("`{said}").split('`').skip(1).step_by(2) {
        let name = match word.starts_with('.') {
            true => format!("{first}{word}"),
            false => word.to_owned(),
        };
        first = name.split('.').next().unwrap().to_owned();
        told.push(Variable::parse(&name).unwrap_or_else(|| panic!("{name}")));
    }
    for (name, variable) in VARIABLES {
        let told = told.contains(variable) || *variable == Variable::FakeIp;
        assert!(told, "{name}");
    }
}

#[test]
fn the_rules_of_the_policy_page_are_read() {
    let page = document("docs/policy.md");
    let table = page.split_once("| type | matches |").unwrap().1;
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut read = 0;
    for row in rows {
        let cell = row.split(" | ").next().unwrap();
        // Of `A, x` · `y` each further one says the content alone.
        let mut kind = "";
        for said in cell.split('`').skip(1).step_by(2) {
            let said = said.replace("\\|", "|");
            if said.contains("...") || said.contains("[R]") {
                continue;
            }
            let begins = said.split(',').next().and_then(kind_of);
            let whole = match begins {
                Some(_) => said.clone(),
                None => format!("{kind}, {said}"),
            };
            kind = begins.unwrap_or(kind);
            // Databases are files; those rules are shown, not read.
            if matches!(kind, "GEOIP" | "ASN") {
                continue;
            }
            let line = serde_json::Value::from(format!("{whole}, DIRECT"));
            assert_reads(&format!("rules:\n  - {line}\n  - FALLBACK, DIRECT\n"));
            read += 1;
        }
    }
    assert!(read >= 30, "only {read} rules were found in the table");
    let untold: Vec<&str> = line::kinds()
        .filter(|kind| {
            !page.contains(&format!("`{kind}, ")) && !page.contains(&format!("`{kind}`"))
        })
        .collect();
    assert!(untold.is_empty(), "not in the table: {untold:?}");
}

/// A type of rules, as the page writes it.
fn kind_of(word: &str) -> Option<&'static str> {
    line::kinds().find(|kind| *kind == word)
}

#[test]
fn the_page_of_the_api_is_what_the_programs_say() {
    let page = document("docs/reference/explain.md");
    for (method, path) in pointsman_api::route::ALL {
        let told = page.lines().any(|line| {
            line.contains(&method.to_uppercase()) && line.contains(path) && line.starts_with('|')
        });
        assert!(told, "{method} {path}");
    }
    let objects = blocks(&page, "json");
    let [flow, explanation] = objects[..] else {
        panic!("{} objects", objects.len());
    };
    let flow = flow.replace('\n', " ");
    Query::parse(&flow).unwrap();
    let read: pointsman_api::Explanation = serde_json::from_str(explanation).unwrap();
    let again = serde_json::to_value(&read).unwrap();
    let written: serde_json::Value = serde_json::from_str(explanation).unwrap();
    assert_eq!(again, written, "a field that does not exist");
}

/// The picture that the front page shows is the one that is drawn of its example; `UPDATE_EXPECT=1` draws it again.
#[test]
fn the_picture_on_the_front_page_is_what_is_drawn() {
    let page = document("README.md");
    assert!(page.contains("](docs/pictures/laptop.svg)"));
    assert!(page.contains("](examples/laptop/pointsman.yaml)"));
    let path = root().join("examples/laptop/pointsman.yaml");
    let loaded = pointsman_config::load(&path, None, None, &Disk);
    let drawn = as_svg(&loaded.setup.unwrap(), Runs::Folded);
    expect_file!["../../../docs/pictures/laptop.svg"].assert_eq(&drawn);
    // In the light and in the dark.
    assert!(drawn.contains("@media (prefers-color-scheme:dark)"));
}

/// The front page is: what it is in five lines, then how to run it, then how to pass all tests.
#[test]
fn the_front_page_begins_as_agreed() {
    let page = document("README.md");
    let (first, _) = page.split_once("\n## ").unwrap();
    let mut parts = first.split("\n\n");
    assert_eq!(parts.next(), Some("# Pointsman"));
    let what = parts.next().unwrap();
    assert_eq!(what.lines().count(), 5, "{what}");
    assert_eq!(
        blocks(first, "sh"),
        ["cargo run --release -p pointsmand\n", "./test\n"]
    );
}

/// Every Markdown file of the repository that readers are led to.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut open = vec![root().join("docs"), root().join("examples")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    let top = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ];
    pages.extend(top.map(|name| root().join(name)));
    pages
}

#[test]
fn links_lead_to_files_that_are_there() {
    let mut followed = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            let file = target.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let leads_to = page.parent().unwrap().join(file);
            assert!(leads_to.exists(), "{}: ({target})", page.display());
            followed += 1;
        }
    }
    assert!(followed >= 10, "{followed}");
}

#[test]
fn the_packages_that_the_pages_build_exist() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for command in blocks(&text, "sh").iter().flat_map(|block| block.lines()) {
            if let Some((_, package)) = command.split_once("-p pointsman") {
                let name = package.split_whitespace().next().unwrap_or("");
                let manifest = root().join(format!("crates/pointsman{name}/Cargo.toml"));
                assert!(manifest.exists(), "{}: {command}", page.display());
            }
            if let Some(script) = command
                .strip_prefix("./")
                .filter(|c| !c.starts_with("target"))
            {
                let path = root().join(script.split_whitespace().next().unwrap_or(""));
                assert!(path.exists(), "{}: {command}", page.display());
            }
        }
    }
}
