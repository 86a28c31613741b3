//! Places of problems, bounds.

use super::*;

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
