//! What is wrong with a tree, and where.

use super::*;

fn problems_of(text: &str) -> String {
    let (_, problems) = lowered(text);
    let lines = problems.0.iter().map(|p| p.to_string());
    lines
        .map(|p| p.lines().next().unwrap().to_owned() + "\n")
        .collect()
}

#[test]
fn what_is_wrong_with_a_tree_is_told() {
    let check = |text: &str, expected: Expect| expected.assert_eq(&problems_of(text));
    check(
        "",
        expect![[r#"
        t:1:1: error[unexpected-text]: the text ends here, but a branch (an outbound, `any [` or `cond`) is expected
    "#]],
    );
    check(
        "direct direct",
        expect![[r#"
        t:1:8: error[unexpected-text]: the tree ends before this: a policy is one tree
    "#]],
    );
    check(
        "any [ direct\n",
        expect![[r#"
        t:1:5: error[unclosed]: this `[` is never closed
    "#]],
    );
    check(
        "cond port => direct",
        expect![[r#"
        t:1:11: error[unexpected-text]: `=>` stands here, but an operator such as `eq` is expected
    "#]],
    );
    check(
        "cond port in [80, 443] => direct",
        expect![[r#"
        t:1:14: error[unexpected-text]: `[` stands here, but a value (several stand without brackets: `port in 80, 443`) is expected
    "#]],
    );
    check(
        "cond (port eq 1 => direct",
        expect![[r#"
        t:1:17: error[unexpected-text]: `=>` stands here, but `)` after the condition is expected
    "#]],
    );
    check(
        "any [\n cond port eq x, 2 => direct\n cond nothing eq 1 => direct\n nobody\n cond set adds => direct\n cond ip in 10.0.0.0/33 => direct\n cond domain matches \"(\" => direct\n]",
        expect![[r#"
            t:2:15: error[invalid-value]: `x` is no port
            t:3:7: error[unknown-subject]: `cond` knows no `nothing`
            t:4:2: error[unknown-outbound]: there is no outbound `nobody`
            t:5:11: error[unknown-rule-set]: there is no rule set `adds`
            t:6:13: error[invalid-value]: `/33` is not a prefix length here (0 to 32)
            t:7:22: error[invalid-value]: this regular expression is broken: unclosed group
        "#]],
    );
    check(
        "cond domain { else => direct\n ads => direct\n adds => nobody }",
        expect![[r#"
            t:1:15: error[misplaced-else]: `else` must be the last key
            t:3:2: error[unknown-rule-set]: there is no rule set `adds`
            t:3:10: error[unknown-outbound]: there is no outbound `nobody`
        "#]],
    );
    check(
        "log \"{nothing}\"",
        expect![[r#"
        t:1:5: error[invalid-value]: there is no variable `nothing`
    "#]],
    );
    check(
        "log x \"a\"",
        expect![[r#"
        t:1:5: error[invalid-value]: `x` is no number from 0 to 4294967295
    "#]],
    );
    let check_ask = |text: &str, expected: &str| {
        assert_eq!(problems_of(text).trim_end(), expected, "{text}");
    };
    check_ask(
        "ask me",
        "t:1:5: error[invalid-value]: `me` is no number from 0 to 4294967295",
    );
    check_ask(
        "ask 1 within 0s",
        "t:1:14: error[invalid-value]: `0s`: from 1 s to an hour, in whole seconds",
    );
    check_ask(
        "ask 1 within 61m",
        "t:1:14: error[invalid-value]: `61m`: from 1 s to an hour, in whole seconds",
    );
    check_ask(
        "ask 1 within 1500ms",
        "t:1:14: error[invalid-value]: `1500ms`: from 1 s to an hour, in whole seconds",
    );
    check_ask(
        "ask 1 suggest fallback",
        "t:1:15: error[invalid-value]: `fallback` is none of continue, reject, blackhole",
    );
    check_ask(
        "ask 1 falback reject",
        "t:1:7: error[invalid-value]: `falback` does not belong to `ask`",
    );
    check_ask(
        "ask 1 within 2s within 3s",
        "t:1:17: error[invalid-value]: `within` is given twice",
    );
    check_ask(
        "ask",
        "t:1:1: error[unknown-outbound]: there is no outbound `ask`",
    );
    check(
        "cond domain eq \"unclosed => direct",
        expect![[r#"
        t:1:16: error[unclosed]: this text has no closing " on its line
        t:1:16: error[unexpected-text]: the text ends here, but `=>` after the condition is expected
    "#]],
    );
    check(
        "cond port eq 1 nocase => direct",
        expect![[r#"
        t:1:6: error[unexpected-text]: `nocase` means nothing for `port`
    "#]],
    );
    check(
        "cond domain zone x => direct",
        expect![[r#"
        t:1:18: error[unknown-zone]: this configuration has rule sets and no zones
    "#]],
    );
    check(
        "cond network eq tpc => direct",
        expect![[r#"
        t:1:17: error[invalid-value]: `tpc` is no value of `network`
    "#]],
    );
    check(
        &"any [".repeat(140),
        expect![[r#"
            t:1:641: error[too-deep]: nested deeper than 128 levels
            t:1:640: error[unclosed]: this `[` is never closed
        "#]],
    );
    check(
        &format!("cond {}port eq 1 => direct", "not ".repeat(140)),
        expect![[r#"
            t:1:514: error[too-deep]: nested deeper than 128 levels
        "#]],
    );
}

#[test]
fn problems_of_a_block_stand_where_the_file_has_them() {
    let check = |text: &str, expected: Expect| {
        let mut problems = Problems::default();
        let source = Source::open("t.yaml", text.to_owned());
        let root = crate::yaml::parse(&source, &mut problems).unwrap();
        let mut keys = root.keys("t", crate::yaml::KeyStyle::Exact, &mut problems);
        let node = keys.take("policy").unwrap();
        parse_block(node, "policy", &mut problems);
        let shown: String = problems.0.iter().map(|p| format!("{p}\n")).collect();
        expected.assert_eq(&shown);
    };
    check(
        "a: 1\npolicy: |\n  any [\n    direct reset\n  ]\nb: x\n",
        expect![[r#"
            t.yaml:4:12: error[unexpected-text]: `reset` is left over: a line holds one branch
              |     direct reset
              |            ^^^^^
              hint: put it on a line of its own, or remove it
        "#]],
    );
    check(
        "policy: |- # comment\n    any [\n    direct reset ]",
        expect![[r#"
            t.yaml:3:12: error[unexpected-text]: `reset` is left over: a line holds one branch
              |     direct reset ]
              |            ^^^^^
              hint: put it on a line of its own, or remove it
        "#]],
    );
    check(
        "policy: >\n  any [\n    direct reset\n  ]\n",
        expect![[r#"
        t.yaml:3:12: error[unexpected-text]: `reset` is left over: a line holds one branch
          |     direct reset
          |            ^^^^^
          hint: put it on a line of its own, or remove it
    "#]],
    );
    check(
        "b: 1\npolicy: any direct\n",
        expect![[r#"
        t.yaml:2:13: error[unexpected-text]: `direct` stands here, but `[` after `any` is expected
          | policy: any direct
          |             ^^^^^^
    "#]],
    );
    check(
        "policy: \"any [ direct \\x64irect ]\"\n",
        expect![[r#"
        t.yaml:1:22: error[unexpected-text]: `direct` is left over: a line holds one branch
          |         any [ direct direct ]
          |                      ^^^^^^
          hint: put it on a line of its own, or remove it
    "#]],
    );
    check(
        "policy: 'any [ direct reset ]'\n",
        expect![[r#"
        t.yaml:1:23: error[unexpected-text]: `reset` is left over: a line holds one branch
          | policy: 'any [ direct reset ]'
          |                       ^^^^^
          hint: put it on a line of its own, or remove it
    "#]],
    );
    check(
        "policy: [1]\n",
        expect![[r#"
            t.yaml:1:9: error[wrong-type]: policy must be a text that holds a tree
              | policy: [1]
              |         ^^^
              hint: a list of rules stands below `rules`
        "#]],
    );
    check(
        "b: &p |\n  any [\n  ]\npolicy: *p\n",
        expect![[r#"
        t.yaml:4:9: error[empty-list]: this `any` has no branches
          |         any [
          |         ^^^^^
          hint: add a branch, or remove it
    "#]],
    );
    check(
        "policy: |\n",
        expect![[r#"
        t.yaml:2:1: error[unexpected-text]: the text ends here, but a branch (an outbound, `any [` or `cond`) is expected
    "#]],
    );
}
