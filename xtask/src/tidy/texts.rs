//! What holds for every text of the repository, and for the documents: no place of one machine, no test that is
//! never run, lists in order, decisions without gaps.

use std::path::Path;

use anyhow::Context as _;

/// Beginnings of paths that exist on some machine of ours and nowhere else; in two parts, for this file is checked too.
const PRIVATE: &[(&str, &str)] = &[
    ("/wo", "rk/"),
    ("/tmp/br", "ief"),
    ("/tmp/", "t/"),
    ("/ro", "ot/"),
];

/// Parts of host names that are a package mirror's: what is installed comes from wherever the machine is told.
const MIRRORS: &[(&str, &str)] = &[
    ("arti", "factory"),
    ("mir", "ror."),
    ("nex", "us."),
    ("py", "pi."),
    ("regi", "stry."),
];

/// Where the lock file's packages come from.
const SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The longest that the description of the architecture may be.
const MAX_ARCHITECTURE: usize = 300;

/// Checks all of them.
pub(super) fn check(findings: &mut Vec<String>) -> anyhow::Result<()> {
    for path in super::files(&[])? {
        // A file that is no text (the fuzz targets' corpus) says nothing to people.
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        let shown = path.display().to_string();
        if shown.ends_with("Cargo.lock") {
            lock(&shown, &text, findings);
        } else if !shown.starts_with("fuzz/corpus/") {
            lines(&shown, &text, findings);
        }
    }
    let lines = std::fs::read_to_string("ARCHITECTURE.md")?.lines().count();
    if lines > MAX_ARCHITECTURE {
        findings.push(format!(
            "ARCHITECTURE.md: {lines} lines, {MAX_ARCHITECTURE} at most"
        ));
    }
    shown(findings)?;
    decisions(findings)?;
    corpora(findings)
}

fn lines(shown: &str, text: &str, findings: &mut Vec<String>) {
    for (number, line) in text.lines().enumerate() {
        let at = format!("{shown}:{}", number + 1);
        for (head, tail) in PRIVATE {
            if names_path(line, &format!("{head}{tail}")) {
                findings.push(format!("{at}: a path of one machine"));
            }
        }
        for (head, tail) in MIRRORS {
            if url_hosts(line).any(|host| host.contains(&format!("{head}{tail}"))) {
                findings.push(format!("{at}: the host of a package mirror"));
            }
        }
        let code = line.trim_start();
        if shown.ends_with(".rs") && (code == "#[ignore]" || code.starts_with("#[ignore =")) {
            findings.push(format!("{at}: a test that is never run is no test"));
        }
    }
}

/// Whether a line names an absolute path that begins so; `frame/work/` does not.
fn names_path(line: &str, path: &str) -> bool {
    let mut places = line.match_indices(path);
    places.any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"._-/*}".contains(c))
    })
}

/// The hosts of the URLs in a line.
fn url_hosts(line: &str) -> impl Iterator<Item = &str> {
    let after = line.split("://").skip(1);
    after.filter_map(|rest| {
        rest.split(|c: char| !c.is_alphanumeric() && !".-".contains(c))
            .next()
    })
}

fn lock(shown: &str, text: &str, findings: &mut Vec<String>) {
    let sources = text.lines().filter_map(|l| l.strip_prefix("source = "));
    for source in sources.filter(|s| s.trim_matches('"') != SOURCE) {
        findings.push(format!("{shown}: a package from {source}"));
    }
}

/// Whether the codes in `docs/reference/problems.md` stand in order, each once.
pub(super) fn in_order(file: &str, codes: &[&str], findings: &mut Vec<String>) {
    for pair in codes.windows(2).filter(|pair| pair[0] >= pair[1]) {
        findings.push(format!("{file}: `{}` stands before `{}`", pair[0], pair[1]));
    }
}

/// Every test that a document names as its witness is there: a word of three parts or more within backticks.
fn shown(findings: &mut Vec<String>) -> anyhow::Result<()> {
    let file = "docs/why/others-mistakes.md";
    let text = std::fs::read_to_string(file).context(file)?;
    let sources: String = super::sources()?
        .iter()
        .map(std::fs::read_to_string)
        .collect::<Result<_, _>>()?;
    let is_test = |word: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        word.bytes().all(plain) && word.split('_').count() > 2
    };
    let named = text.split('`').skip(1).step_by(2);
    for test in named.filter(|word| is_test(word)) {
        if !sources.contains(&format!("fn {test}(")) {
            findings.push(format!("{file}: there is no test `{test}`"));
        }
    }
    Ok(())
}

/// Decisions are numbered from 1 without gaps; a withdrawn one stays and says so.
fn decisions(findings: &mut Vec<String>) -> anyhow::Result<()> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir("docs/adr").context("docs/adr")? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    for (expected, name) in (1..).zip(&names) {
        if !name.starts_with(&format!("{expected:04}-")) {
            findings.push(format!("docs/adr/{name}: number {expected} was expected"));
            break;
        }
    }
    Ok(())
}

/// Every fuzz target has seeds, which plain tests replay.
fn corpora(findings: &mut Vec<String>) -> anyhow::Result<()> {
    for target in super::files(&["fuzz/fuzz_targets/*.rs"])? {
        let name = target.file_stem().unwrap_or_default();
        let corpus = Path::new("fuzz/corpus").join(name);
        let seeds = std::fs::read_dir(&corpus).map_or(0, Iterator::count);
        if seeds == 0 {
            findings.push(format!("{}: no seeds", corpus.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_one_machine_are_told_from_others() {
        let check = |line: &str, expected: bool| {
            let path = ["/wo", "rk/"].concat();
            let line = line.replace('@', &path);
            assert_eq!(names_path(&line, &path), expected, "{line}");
        };
        check("see @main", true);
        check("`@x`", true);
        check("path = \"@x\"", true);
        check("home@x", false);
        check("..@x", false);
        check("/mnt/@x", false);
        check("nothing", false);
    }

    #[test]
    fn hosts_are_found_in_urls() {
        let hosts = |line| url_hosts(line).collect::<Vec<_>>();
        assert_eq!(
            hosts("a https://x.example/y http://z:80"),
            ["x.example", "z"]
        );
        assert!(hosts("registry.example").is_empty());
    }

    #[test]
    fn lines_are_found_guilty() {
        let check = |file: &str, line: &str, expected: usize| {
            let mut findings = Vec::new();
            lines(file, line, &mut findings);
            assert_eq!(findings.len(), expected, "{line}: {findings:?}");
        };
        let ignore = ["#[ig", "nore]"].concat();
        check("a.rs", &ignore, 1);
        check("a.md", &ignore, 0);
        let mirror = ["https://", "py", "pi.example/simple"].concat();
        check("a.md", &mirror, 1);
        check("a.rs", "let x = 1;", 0);
    }

    #[test]
    fn order_is_checked() {
        let check = |codes: &[&str], expected: usize| {
            let mut findings = Vec::new();
            in_order("f", codes, &mut findings);
            assert_eq!(findings.len(), expected, "{codes:?}");
        };
        check(&["a", "b", "c"], 0);
        check(&["a", "c", "b"], 1);
        check(&["a", "a"], 1);
    }
}
