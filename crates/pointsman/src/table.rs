//! Columns with a header.
//!
//! Invariant: a row is one line. On a terminal what does not fit its width is cut, and says so by `…`; elsewhere
//! nothing is.

use std::borrow::Cow;

/// Where a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// The lines of a table: the header first. Without `width` nothing is cut.
pub(crate) fn lines<const N: usize>(
    header: [(&str, Side); N],
    rows: &[[String; N]],
    width: Option<usize>,
) -> Vec<String> {
    let wide = |text: &str| text.chars().count();
    let mut widths = header.map(|(title, _)| wide(title));
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(wide(cell));
        }
    }
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for (at, cell) in cells.into_iter().enumerate() {
            let space = " ".repeat(widths[at] - wide(cell));
            match header[at].1 {
                Side::Left => line.extend([cell, &space]),
                Side::Right => line.extend([&*space, cell]),
            }
            line.push_str("  ");
        }
        cut(line.trim_end(), width).into_owned()
    };
    let titles = header.map(|(title, _)| title);
    let rows = rows
        .iter()
        .map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(titles)).chain(rows).collect()
}

/// A line that fits.
fn cut(line: &str, width: Option<usize>) -> Cow<'_, str> {
    let Some(width) = width.filter(|width| *width > 0) else {
        return line.into();
    };
    match line.char_indices().nth(width) {
        None => line.into(),
        Some(_) => {
            let kept: String = line.chars().take(width - 1).collect();
            format!("{kept}…").into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest() {
        let header = [("N", Side::Right), ("NAME", Side::Left), ("X", Side::Left)];
        let rows = [
            ["1".into(), "münchen.test".into(), "a".into()],
            ["10".into(), "b".into(), String::new()],
        ];
        let all = lines(header, &rows, None);
        assert_eq!(all, [" N  NAME          X", " 1  münchen.test  a", "10  b"]);
        let cut = lines(header, &rows, Some(9));
        assert_eq!(cut, [" N  NAME…", " 1  münc…", "10  b"]);
    }
}
