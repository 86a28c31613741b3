//! What to write instead: types that other programs' rules have, and rules of which a part is missing.

use super::content;
use super::kind::{Kind, kind};
use super::lexer::Element;
use crate::condition::Side;

/// The outbounds that every rule list has.
const BUILT_IN: [&str; 4] = ["BLACKHOLE", "DIRECT", "REJECT", "RESET"];

/// What to write for a type that others' rules have, or one that no comma follows.
pub(super) fn instead(text: &str) -> Option<String> {
    if let Some((word, _)) = text.split_once([' ', ':'])
        && let Some(found) = kind(word)
    {
        let shape = shape(found, &word.to_ascii_uppercase(), true);
        return Some(format!("put commas between the parts: `{shape}`"));
    }
    let word = text.to_ascii_uppercase();
    if matches!(word.as_str(), "SRC-GEOIP" | "SRC-IP-ASN") {
        let there_is = "there are no rules on where a client is; write `SRC-IP-CIDR, RANGE`";
        return Some(there_is.to_owned());
    }
    let write = match word.as_str() {
        "DEST-PORT" => "DST-PORT, PORT",
        "DOMAIN-SET" => "RULE-SET, NAME",
        "DOMAIN-WILDCARD" | "HOST-WILDCARD" => "DOMAIN-REGEX, EXPRESSION",
        "FINAL" | "MATCH" => "FALLBACK, OUTBOUND",
        "GEOSITE" => "RULE-SET, NAME",
        "HOST" => "DOMAIN, NAME",
        "HOST-KEYWORD" => "DOMAIN-KEYWORD, TEXT",
        "HOST-SUFFIX" => "DOMAIN-SUFFIX, NAME",
        "IP6-CIDR" => "IP-CIDR, RANGE",
        "IN-NAME" => "INBOUND-ALIAS, NAME",
        "IN-PORT" => "INBOUND, any:PORT",
        "IN-TYPE" => "INBOUND, TYPE",
        "IN-USER" => "INBOUND, USER@any",
        "PORT" => "DST-PORT, PORT",
        "PROCESS-NAME-WILDCARD" => "PROCESS-NAME-REGEX, EXPRESSION",
        "PROCESS-PATH-WILDCARD" => "PROC-PATH-REGEX, EXPRESSION",
        "SRC-IP" => "SRC-IP-CIDR, ADDRESS",
        "SUB-RULE" => ".SUB-DISPATCH",
        _ => return None,
    };
    Some(format!("write `{write}`"))
}

/// What is wrong with a rule of a type and one further part that is no outbound: a message and a hint. `None` where
/// that part is as it should be, or where more than it is amiss.
pub(super) fn without_outbound(kind: Kind, word: &str, only: &str) -> Option<(String, String)> {
    use Kind::{Always, And, Fallback, Never, Not, Or};
    let is_outbound = |text: &str| BUILT_IN.iter().any(|it| it.eq_ignore_ascii_case(text));
    if matches!(kind, Always | And | Fallback | Never | Not | Or) || is_outbound(only) {
        return None;
    }
    let message =
        format!("this `{word}` has one part behind its type, and needs a content and an outbound");
    let hint = match only.rsplit_once(char::is_whitespace) {
        Some((_, last)) => format!("it names no outbound: is a comma missing before `{last}`?"),
        None => format!(
            "where `{only}` is the content, it names no outbound: write `{word}, {only}, OUTBOUND`"
        ),
    };
    Some((message, hint))
}

/// Several contents as the one that may have been meant, where the type takes several values in one.
pub(super) fn joined(kind: Kind, contents: &[Element]) -> Option<String> {
    let texts: Option<Vec<&str>> = contents.iter().map(Element::text).collect();
    let one = texts?.join("|");
    let reads = match kind {
        Kind::DstPort => content::ports(&one, Side::Destination).is_ok(),
        Kind::SrcPort => content::ports(&one, Side::Source).is_ok(),
        Kind::AnswerCode => content::codes(&one).is_ok(),
        Kind::Number(field) => content::numbers(&one, field).is_ok(),
        _ => false,
    };
    reads.then_some(one)
}

/// How a rule of this type is written.
pub(super) fn shape(kind: Kind, word: &str, whole: bool) -> String {
    let outbound = if whole { ", OUTBOUND" } else { "" };
    match kind {
        Kind::And | Kind::Or => format!("{word}, [TYPE, CONTENT], [TYPE, CONTENT]{outbound}"),
        Kind::Not => format!("{word}, [TYPE, CONTENT]{outbound}"),
        Kind::Always | Kind::Never | Kind::Fallback => format!("{word}{outbound}"),
        _ => format!("{word}, CONTENT{outbound}"),
    }
}
