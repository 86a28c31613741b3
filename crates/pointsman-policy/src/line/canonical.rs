//! A line as written, in one spelling: for whoever lays out files.
//!
//! Invariant: the line that comes out has the elements of the one that went in, so it means the same.
//! Contents stay as they are (a name in its own script, a range with its host bits).

use super::LineError;
use super::kind::kind;
use super::lexer::{Element, Value, elements};
use super::render::quoted;

/// A rule or condition with its type in upper case, one space behind each comma, and quotes only
/// where they are needed; without its comment.
///
/// # Errors
/// [`LineError`] where the line has no elements to begin with.
pub fn canonical(line: &str) -> Result<String, LineError> {
    let mut text = String::with_capacity(line.len());
    write(&elements(line)?, &mut text);
    Ok(text)
}

/// Nesting is bounded by the lexer.
fn write(elements: &[Element], to: &mut String) {
    for (at, element) in elements.iter().enumerate() {
        if at > 0 {
            to.push_str(", ");
        }
        match &element.value {
            Value::List(inner) => {
                to.push('[');
                write(inner, to);
                to.push(']');
            }
            Value::Text {
                text,
                quoted: false,
            } if at == 0 && kind(text).is_some() => {
                to.push_str(&text.to_ascii_uppercase());
            }
            Value::Text { .. } if element.is_word("no-resolve") => to.push_str("no-resolve"),
            Value::Text { text, .. } => quoted(text, to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn a_line_has_one_spelling() {
        let check = |line: &str, expected: &str| {
            let once = canonical(line).unwrap();
            assert_eq!(once, expected, "{line}");
            assert_eq!(canonical(&once).unwrap(), once, "{line}");
        };
        check(
            "domain-suffix,example.com ,  Proxy # c",
            "DOMAIN-SUFFIX, example.com, Proxy",
        );
        check(
            "IP-CIDR6,::1/128,DIRECT,NO-RESOLVE",
            "IP-CIDR6, ::1/128, DIRECT, no-resolve",
        );
        check(
            "and,[domain,a.b],[ not , [dst-port,1]],X",
            "AND, [DOMAIN, a.b], [NOT, [DST-PORT, 1]], X",
        );
        check(r#"PROCESS-NAME, "a, b", 'X'"#, "PROCESS-NAME, 'a, b', X");
        check(r#"DOMAIN-REGEX, "^a\\.b$", X"#, r"DOMAIN-REGEX, ^a\.b$, X");
        check("DOMAIN-REGEX, ^[a-z]+$, X", "DOMAIN-REGEX, '^[a-z]+$', X");
        check("RULE-SET, 'no-resolve', X", "RULE-SET, 'no-resolve', X");
        check("domain, \"domain\", domain", "DOMAIN, domain, domain");
        check("", "");
        assert!(canonical("AND, [x").is_err());
    }
}
