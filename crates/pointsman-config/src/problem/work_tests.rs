//! Showing problems takes time in the text and in their number, whatever the text looks like.

use super::work::counted;
use super::*;

/// What it costs to show so many problems of a text, all over it.
fn cost(form: Form, text: &str, problems: usize) -> usize {
    let source = Source::new("c.yml", text.to_owned());
    source.written(form);
    let mut found = Problems::default();
    let step = (text.len() / problems).max(1);
    for at in (0..text.len()).step_by(step) {
        let message = format!("problem {at} is `none` of ours");
        found.error("invalid-value", &source.span(at, at + 3), message);
    }
    counted(|| {
        found.sort();
        for problem in &found.0 {
            let wire = pointsman_api::Problem::from(problem);
            assert!(wire.text.len() < 4_000 && wire.column > 0);
        }
    })
}

/// The bytes that may be looked at for each of a text.
const A_BYTE: usize = 40;

/// Those for each problem besides: lines around carets, blocks of columns, sentences.
const A_PROBLEM: usize = 12_000;

#[test]
fn showing_costs_as_much_as_there_is() {
    let pieces = [
        "- DST-PORT, 99999, vpn2\n",
        "    key: value # said\n",
        "- { name: a, password: \"b\", x: [1, 2] }\n",
        "a: [ \"b\", ",
        "[",
        "{ a: ",
        "\"",
        "' ",
        "- - ",
        "a: ",
        "a:a@",
        "http://a:b@c/d?e ",
        "://",
        "`",
        "\\x",
        "ü#",
        "egress a = socks5 b c d\n",
        "rule a = any [ ",
        "a.b.c = [ 1, ",
        "\"\"\"",
        "|\n  x\n",
    ];
    for form in [Form::Keyed, Form::Toml, Form::Open, Form::Reflow] {
        for piece in pieces {
            for before in ["", "rules: [ ", "x: { "] {
                let text = format!("{before}{}", piece.repeat((4 << 10) / piece.len()));
                let cost = cost(form, &text, 20);
                let most = A_BYTE * text.len() + 20 * A_PROBLEM;
                assert!(cost < most, "{form:?} {before}{piece:?}: {cost} of {most}");
            }
        }
    }
}

/// A line of a megabyte, and a rule on each of many lines: the bound holds at any size.
#[test]
fn huge_texts_cost_no_more_for_each_byte() {
    let line = format!(
        "rules: [ {} ]",
        "\"DST-PORT, 99999, vpn2\", ".repeat(40_000)
    );
    let rules = format!("rules:\n{}", "  - DST-PORT, 99999, vpn2\n".repeat(5_000));
    for (text, problems) in [(line, 500), (rules, 5_000)] {
        let cost = cost(Form::Keyed, &text, problems);
        let most = A_BYTE * text.len() + problems * A_PROBLEM;
        assert!(cost < most, "{cost} of {most}");
    }
}
