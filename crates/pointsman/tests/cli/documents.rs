//! The commands that the documents show exist: verbs and flags, as the real binary's help has them.

use std::path::Path;

use super::{directory, run};

/// Documents whose blocks of shell commands are read.
const PAGES: [&str; 5] = [
    "README.md",
    "docs/guide.md",
    "docs/reference/explain.md",
    "docs/reference/rule-sets.md",
    "examples/README.md",
];

/// Verbs that have verbs of their own.
const NESTED: [&str; 3] = ["flows", "outbounds", "rule-set"];

/// The commands for the client in a document: in blocks, and in the middle of a sentence.
fn commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in page.lines() {
        if line.starts_with("```") {
            in_block = line == "```sh";
        } else if in_block && line.starts_with("pointsman ") {
            found.push(line.split(" #").next().unwrap().trim().to_owned());
        } else {
            let quoted = line.split('`').skip(1).step_by(2);
            let ours = quoted.filter(|words| words.starts_with("pointsman "));
            found.extend(ours.map(str::to_owned));
        }
    }
    found
}

#[test]
fn commands_in_documents_exist() {
    let nowhere = directory(&[]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut tried = 0;
    for page in PAGES {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        for command in commands(&text) {
            let words: Vec<&str> = command.split_whitespace().skip(1).collect();
            let deep = NESTED.contains(&words[0]) && words.len() > 1;
            let mut asked = words[..if deep { 2 } else { 1 }].to_vec();
            asked.push("--help");
            let help = run(nowhere.path(), &asked, "");
            assert_eq!(help.code, 0, "{page}: {command}\n{}", help.stderr);
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                assert!(help.stdout.contains(flag), "{page}: {command}: {flag}");
            }
            tried += 1;
        }
    }
    assert!(tried >= 12, "only {tried} commands were found");
}

/// What a document shows as a command's answer: a block of one command for the client, then a block of text.
fn answered(page: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (at, _) in page.match_indices("```sh\npointsman ") {
        let block = &page[at + "```sh\n".len()..];
        let Some((command, behind)) = block.split_once("\n```\n\n```text\n") else {
            continue;
        };
        if !command.contains('\n') {
            found.push((command, behind.split_once("```").unwrap().0));
        }
    }
    found
}

/// `UPDATE_EXPECT=1` writes the answers into the documents.
#[test]
fn commands_answer_what_the_documents_show() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut explained = false;
    for page in PAGES {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let mut answers = text.clone();
        for (command, answer) in answered(&text) {
            let words: Vec<&str> = command.split_whitespace().skip(1).collect();
            let run = run(&root, &words, "");
            let same = run.stdout == answer;
            assert!(
                same || update,
                "{page}: {command}\n{}{}",
                run.stdout,
                run.stderr
            );
            answers = answers.replace(answer, &run.stdout);
            explained |= page == "README.md" && words[0] == "explain";
        }
        if answers != text {
            std::fs::write(root.join(page), answers).unwrap();
        }
    }
    assert!(explained, "the front page explains no flow");
}
