//! Texts as scalars, for whoever writes YAML.

/// A rule's line as a YAML scalar: bare where YAML reads a line that begins with a word as it stands.
#[must_use]
pub fn line(text: &str) -> String {
    let bare = |c: char| c == ' ' || c.is_ascii_graphic() || shows(c);
    let cut = text.contains(": ") || text.contains(" #") || text.ends_with(':');
    match text.chars().all(bare) && !cut {
        true => text.to_owned(),
        false => quoted(text),
    }
}

/// A text as a double-quoted YAML scalar.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            ' ' => out.push(c),
            c if c.is_ascii_graphic() || shows(c) => out.push(c),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// Whether a character beyond ASCII stands as it is (RFC 3629 text): letters, signs, emoji with their joiners and
/// selectors. Blanks, controls, marks of direction and what is no character are escaped, so that they are seen.
fn shows(c: char) -> bool {
    let hidden = matches!(
        u32::from(c),
        0..0xA1
            | 0xAD
            | 0x61C
            | 0x180E
            | 0x200B..=0x200C
            | 0x200E..=0x200F
            | 0x2028..=0x202E
            | 0x2060..=0x206F
            | 0xE000..=0xF8FF
            | 0xFDD0..=0xFDEF
            | 0xFEFF
            | 0xFFF0..=0xFFFF
            | 0xF_0000..
    );
    // The last two of each plane are no characters.
    !hidden && !c.is_whitespace() && u32::from(c) & 0xFFFE != 0xFFFE
}
