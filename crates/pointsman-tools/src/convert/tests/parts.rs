//! Of alternatives that cannot all be said the others are kept, and what is lost is told.

use super::corners::check;
use pointsman_config::dialect::foreign::Foreign;

fn clash(rule: &str, flows: &[(&str, &str)], told: &[&str]) {
    let text = format!("mixed-port: 1\nrules:\n- {rule}\n- MATCH,DIRECT\n");
    check(Foreign::Clash, &text, flows, told);
}

fn sing_box(rule: &str, flows: &[(&str, &str)], told: &[&str]) {
    let text = format!(
        r#"{{"inbounds": [], "outbounds": [{{"type": "direct", "tag": "direct"}}], "route": {{"rules": [{rule}]}}}}"#
    );
    check(Foreign::SingBox, &text, flows, told);
}

const NO: (&str, &str) = ("dst=a.test:1", "reject reject");
const GO: (&str, &str) = ("dst=a.test:1", "direct direct");

#[test]
fn known_alternatives_are_kept() {
    let lost = "flows that the rule refused only for that now go to the rules below";
    let whole = "): its flows now go to the rules below";
    clash(
        "OR,((DOMAIN,a.test),(SRC-MAC,x)),REJECT",
        &[NO, ("dst=b.test:1", "direct direct")],
        &["c:3: warning: `(SRC-MAC,x)` of `OR,((DOMAIN,a.test),(SRC-MAC,x)),REJECT` is left out"],
    );
    clash(
        "OR,((RULE-SET,missing),(DOMAIN,a.test)),REJECT",
        &[NO],
        &[lost],
    );
    clash(
        "AND,((DST-PORT,1),(OR,((DOMAIN,a.test),(SRC-MAC,x)))),REJECT",
        &[NO, ("dst=a.test:2", "direct direct")],
        &[lost],
    );
    clash(
        "NOT,((OR,((DOMAIN,b.test),(SRC-MAC,x)))),REJECT",
        &[GO],
        &[whole],
    );
    clash("AND,((DOMAIN,a.test),(SRC-MAC,x)),REJECT", &[GO], &[whole]);
    clash("OR,((SRC-MAC,y),(SRC-MAC,x)),REJECT", &[GO], &[whole]);

    let sets = r#"{"type": "logical", "mode": "or", "rules": [{"domain": "a.test"}, {"wifi_ssid": "w"}], "action": "reject"}"#;
    sing_box(
        sets,
        &[NO, ("dst=b.test:1", "direct direct")],
        &["`{\"wifi_ssid\":\"w\"}` of"],
    );
    sing_box(
        r#"{"domain": "a.test", "rule_set": ["missing"], "action": "reject"}"#,
        &[NO],
        &["there is no rule set `missing`"],
    );
    sing_box(
        r#"{"domain": "b.test", "rule_set": ["missing"], "invert": true, "action": "reject"}"#,
        &[GO],
        &[whole],
    );
    sing_box(
        &sets.replace("\"mode\"", "\"invert\": true, \"mode\""),
        &[GO],
        &[whole],
    );
    sing_box(&sets.replace("\"or\"", "\"and\""), &[GO], &[whole]);
}
