//! Places of problems, bounds.

use std::path::Path;

use super::parsed::counted;
use super::*;
use crate::dialect::foreign::{Document, Tree};
use crate::files::Memory;
use crate::load::load;

fn problems_of(text: &str) -> String {
    let mut problems = Problems::default();
    let source = Source::new("t.yaml", text.into());
    if let Some(node) = parse(&source, &mut problems) {
        let mut keys = node.keys("the test", KeyStyle::KebabIsSnake, &mut problems);
        keys.take("http_port");
        keys.take("rules");
        keys.finish(&mut problems);
    }
    problems
        .0
        .iter()
        .map(|p| p.to_string().lines().next().unwrap_or("").to_owned() + "\n")
        .collect()
}

#[test]
fn problems_have_places() {
    assert_eq!(
        problems_of("http-port: 1\nrules:\n  - IP-CIDR6, ::1/128, DIRECT\n"),
        ""
    );
    assert_eq!(
        problems_of("рф: 1\nhttp-prt: 2\n"),
        "t.yaml:1:1: error[unknown-key]: the test has no key `рф`\nt.yaml:2:1: error[unknown-key]: the test has no key `http-prt`\n"
    );
    assert_eq!(
        problems_of("a: [1, 2\n").split(": ").nth(1),
        Some("error[yaml-syntax]")
    );
    assert_eq!(
        problems_of("rules: 1\nrules: 2\n"),
        "t.yaml:2:1: error[duplicate-key]: `rules` is given twice\n"
    );
}

#[test]
fn bombs_are_refused() {
    let mut text = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (this, last) in ["b", "c", "d", "e", "f", "g", "h"]
        .iter()
        .zip(["a", "b", "c", "d", "e", "f", "g"])
    {
        let items = vec![format!("*{last}"); 10].join(", ");
        text.push_str(&format!("{this}: &{this} [{items}]\n"));
    }
    assert!(
        problems_of(&text).contains("more than"),
        "{}",
        problems_of(&text)
    );
    assert!(problems_of(&"[".repeat(100)).contains("nested deeper"));
}

/// 353 bytes took 168 MiB until a million nodes were counted.
#[test]
fn what_aliases_repeat_is_bounded_by_the_text() {
    let repeated = |text: &str, problems: &mut Problems| {
        let source = Source::new("t.yaml", text.into());
        let most = ALIASED + ALIASED_A_BYTE * text.len();
        let mut builder = Builder::new(&source, most);
        for event in Parser::new(StrInput::new(text)) {
            let (event, _) = event.unwrap();
            if builder.take(event, source.span(0, 0), problems).is_err() {
                break;
            }
        }
        (builder.nodes, most)
    };
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (before, this) in ('a'..='i').zip('b'..='j') {
        let items = vec![format!("*{before}"); 9].join(", ");
        bomb.push_str(&format!("{this}: &{this} [{items}]\n"));
    }
    let mut problems = Problems::default();
    let (nodes, most) = repeated(&bomb, &mut problems);
    assert!(nodes < most + bomb.len() && most < 13_000, "{nodes} {most}");
    assert!(problems_of(&bomb).contains("aliases (`*`) repeat too much"));
    // Two thousand proxies in a dozen groups, as a subscription has them.
    let mut text = "all: &all\n".to_owned();
    text.extend((0..2000).map(|at| format!("- proxy number {at}\n")));
    text.extend((0..12).map(|at| format!("group{at}: *all\n")));
    let source = Source::new("t.yaml", text);
    let mut problems = Problems::default();
    assert!(parse(&source, &mut problems).is_some() && problems.0.is_empty());
}

/// A tag that is passed by would leave `!env SECRET` as the text `SECRET`, or a whole file out.
#[test]
fn tags_that_nobody_heeds_are_refused() {
    for (text, column) in [
        ("rules: !include rules.yaml\n", 8),
        ("rules: !env \"X\"\n", 8),
        ("rules: !reference [a, b]\n", 8),
        ("rules: !vault { a: b }\n", 8),
        ("rules: !!binary aGk=\n", 8),
        ("rules: !!set { a }\n", 8),
        ("rules: !!int [1]\n", 8),
        ("rules: [!<tag:example.org,2000:x> 1]\n", 9),
        ("%TAG !e! tag:example.org,2000:\n---\nrules: !e!x 1\n", 8),
        ("!env rules: 1\n", 1),
    ] {
        let found = problems_of(text);
        assert!(
            found.contains("error[yaml-tag]: nothing here does"),
            "{text}{found}"
        );
        assert!(found.contains(&format!(":{column}: ")), "{text}{found}");
    }
}

#[test]
fn tags_of_the_schema_say_the_kind_of_a_value() {
    let read = |text: &str| {
        let mut problems = Problems::default();
        let root = parse(&Source::new("t.yaml", text.into()), &mut problems).unwrap();
        assert_eq!(problems.0.len(), 0, "{text}");
        root
    };
    for (text, style) in [
        ("!!str 0123", Style::Quoted),
        ("!<str> 0123", Style::Quoted),
        ("!str 0123", Style::Quoted),
        ("! 0123", Style::Quoted),
        ("!<tag:yaml.org,2002:str> 0123", Style::Quoted),
        ("!!int '0123'", Style::Plain),
        ("0123", Style::Plain),
    ] {
        let value = read(text).value;
        assert!(
            matches!(&value, Value::Scalar(text, found) if text == "0123" && *found == style),
            "{text}: {value:?}"
        );
    }
    assert!(!read("!!str null").is_null() && read("!!null 'null'").is_null());
    read("!!map { a: !!seq [!!bool 'true'] }");
}

/// Its language is told by its tree, and its reader takes the same tree: also of one that is broken.
#[test]
fn a_configuration_is_parsed_once() {
    let clash = "mixed-port: 1\nrules: [\"MATCH,DIRECT\"]\n";
    for text in [
        "version: 1\ninbounds: {}\n",
        "{\"version\": 1, \"inbounds\": {}}",
        "server: { proxies: [] }\n",
        "rule-local: [\"FALLBACK, DIRECT\"]\n",
        "a: [\n",
        "",
        clash,
    ] {
        let files = Memory::new([("c.yaml", text)]);
        let times = counted(text, || drop(load(Path::new("c.yaml"), None, None, &files)));
        assert_eq!(times, 1, "{text}");
    }
    let times = counted(clash, || {
        let document = Document::tell(&Source::new("c", clash.to_owned())).unwrap();
        let Tree::Clash(parsed) = document.tree else {
            panic!("{:?}", document.tree);
        };
        assert!(parsed.take(&mut Problems::default()).is_some());
    });
    assert_eq!(times, 1);
}

/// Each anchor held what is below it: 60 of them around a list held it 60 times.
#[test]
fn anchors_within_each_other_are_bounded() {
    let nested = |items: usize| {
        let open: String = (0..50).map(|at| format!("[ &a{at} ")).collect();
        let list = "1,".repeat(items);
        format!("{open}[ {list} ]{}", " ]".repeat(50))
    };
    assert!(!problems_of(&nested(1_000)).contains("anchors"));
    let told = problems_of(&nested(30_000));
    assert!(told.contains("anchors (`&`) name more than"), "{told}");
}
