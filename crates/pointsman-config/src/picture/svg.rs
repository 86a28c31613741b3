//! The outline as an SVG document: rows from the top to the bottom in the order in which they are tried,
//! each with its way out in a column on the right.
//!
//! Invariant: no text leaves its box and no two boxes overlap; the picture is at most [`WIDEST`]
//! pixels wide, needs nothing from elsewhere, and follows the viewer's light or dark scheme.

use std::fmt::Write as _;

use pointsman_policy::Policy;

use super::outline::{CLASSES, Kind, Row, outline};

/// The widest picture, in pixels.
pub(super) const WIDEST: f64 = 1200.0;
const NARROWEST: f64 = 560.0;
const MARGIN: f64 = 28.0;
const INDENT: f64 = 26.0;
/// Levels that are indented; deeper ones stand below each other.
const MAX_INDENT: usize = 16;
const ROW: f64 = 28.0;
const GAP: f64 = 8.0;
const HEAD: f64 = 64.0;
/// A character of the fixed-width font at 13 pixels, a little more than any font's.
const CHARACTER: f64 = 8.0;
/// A character of a name in bold, at 12.5 pixels, at most.
const NAME_CHARACTER: f64 = 8.6;
const WIDEST_NAME: f64 = 240.0;

/// A box with a text, in pixels.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "tests see to it that none overlap")
)]
pub(super) struct Box {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Policies as one SVG document, one below the other; ends with a line end.
#[must_use]
pub fn as_svg<'p>(policies: impl IntoIterator<Item = &'p Policy>) -> String {
    draw(policies).0
}

/// The document, and the boxes in it.
pub(super) fn draw<'p>(policies: impl IntoIterator<Item = &'p Policy>) -> (String, Vec<Box>) {
    let outlines: Vec<(&str, Vec<Row>)> = policies
        .into_iter()
        .map(|policy| (&*policy.name, outline(policy)))
        .collect();
    let all = || outlines.iter().flat_map(|(_, rows)| rows);
    let name = all().map(widest_name).fold(60.0, f64::max).min(WIDEST_NAME);
    let text = all().map(|row| widest_text(row, 0)).fold(0.0, f64::max);
    let width = (text + 56.0 + name + MARGIN)
        .clamp(NARROWEST, WIDEST)
        .ceil();
    let mut canvas = Canvas {
        body: String::new(),
        y: 0.0,
        width,
        column: width - MARGIN - name,
        name,
        boxes: Vec::new(),
    };
    for (name, rows) in &outlines {
        canvas.policy(name, rows);
    }
    let height = canvas.y + 12.0;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-label=\"policy\">\n<style>{STYLE}</style>\n<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n"
    );
    text.push_str(&canvas.body);
    text.push_str("</svg>\n");
    (text, canvas.boxes)
}

const STYLE: &str = "\
:root{--page:#ffffff;--ink:#1f2733;--soft:#5b6676;--line:#b9c1cd;--box:#f3f5f8;--edge:#d5dbe4;--branch:#e8eef7;--note:#fffaf0}\
@media (prefers-color-scheme:dark){:root{--page:#14181f;--ink:#e4e9f0;--soft:#9aa7b8;--line:#4a5566;--box:#1f2630;--edge:#333d4b;--branch:#232f42;--note:#2b2718}}\
.page{fill:#fff;fill:var(--page)}\
text{font:13px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#1f2733;fill:var(--ink)}\
.title{font:600 18px system-ui,'DejaVu Sans',sans-serif}\
.legend{font:12px system-ui,'DejaVu Sans',sans-serif;fill:#5b6676;fill:var(--soft)}\
.soft{fill:#5b6676;fill:var(--soft)}\
.name{text-anchor:middle;font:600 12.5px system-ui,'DejaVu Sans',sans-serif;fill:#fff}\
.line{fill:none;stroke:#b9c1cd;stroke:var(--line);stroke-width:1.5}\
.lead{fill:none;stroke:#b9c1cd;stroke:var(--line);stroke-width:1.5;stroke-dasharray:1 5;stroke-linecap:round}\
.tip{fill:#b9c1cd;fill:var(--line)}\
.box{fill:#f3f5f8;fill:var(--box);stroke:#d5dbe4;stroke:var(--edge)}\
.branch{fill:#e8eef7;fill:var(--branch)}\
.note{fill:#fffaf0;fill:var(--note);stroke-dasharray:4 3}\
.rest{fill:none;stroke:none}\
.direct{fill:#2f855a}.proxy{fill:#2b6cb0}.group{fill:#6b46c1}.refused{fill:#c53030}.silent{fill:#4a5568}";

struct Canvas {
    body: String,
    /// Where the next row begins.
    y: f64,
    width: f64,
    /// Where the names of ways out begin.
    column: f64,
    /// How wide they are.
    name: f64,
    boxes: Vec<Box>,
}

impl Canvas {
    fn policy(&mut self, name: &str, rows: &[Row]) {
        let title = fitted(name, 40.0 * CHARACTER);
        let (x, y) = (MARGIN, self.y + 38.0);
        self.put(&format!(
            "<text class=\"title\" x=\"{x}\" y=\"{y}\">{}</text>",
            escaped(&title)
        ));
        // At 18 pixels a character is at most 12 wide.
        let after = MARGIN + title.chars().count() as f64 * 12.0 + 24.0;
        self.legend(rows, after, y);
        self.y += HEAD;
        let top = self.y - GAP;
        self.rows(rows, 0, top);
        self.y += GAP;
    }

    /// The colours that occur, from the right.
    fn legend(&mut self, rows: &[Row], after: f64, y: f64) {
        let mut x = self.width - MARGIN;
        for (class, label) in CLASSES.into_iter().rev() {
            if !rows.iter().any(|row| has_class(row, class)) {
                continue;
            }
            let width = label.chars().count() as f64 * 7.4 + 30.0;
            x -= width;
            if x < after {
                return;
            }
            let (dot, text) = (x + 6.0, x + 17.0);
            let up = y - 4.5;
            self.put(&format!(
                "<circle class=\"{class}\" cx=\"{dot}\" cy=\"{up}\" r=\"5\"/><text class=\"legend\" x=\"{text}\" y=\"{y}\">{label}</text>"
            ));
        }
    }

    /// Rows of one level; `top` is where the line that they hang on begins.
    fn rows(&mut self, rows: &[Row], depth: usize, top: f64) {
        let trunk = left(depth) - 14.0;
        let mut last = top;
        for row in rows {
            let middle = self.y + ROW / 2.0;
            last = middle;
            let to = left(depth);
            self.put(&format!(
                "<path class=\"line\" d=\"M{trunk} {middle}H{to}\"/>"
            ));
            self.row(row, depth);
            let below = self.y - GAP;
            self.rows(&row.rows, depth + 1, below);
        }
        if last > top {
            self.put(&format!(
                "<path class=\"line\" d=\"M{trunk} {top}V{last}\"/>"
            ));
        }
    }

    fn row(&mut self, row: &Row, depth: usize) {
        let (x, y) = (left(depth), self.y);
        let room = match row.target {
            Some(_) => self.column - x - 40.0,
            None => self.width - MARGIN - x,
        };
        let label = match row.count {
            1 => row.text.clone(),
            count => format!("{count} \u{d7} {}", row.text),
        };
        let text = fitted(&label, room - 20.0);
        let width = text_width(&text) + 20.0;
        let class = match row.kind {
            Kind::Branch => "box branch",
            Kind::Else if !row.rows.is_empty() => "box branch",
            Kind::Else | Kind::Rule => "box",
            Kind::Note => "box note",
            Kind::Rest => "rest",
        };
        let soft = if matches!(row.kind, Kind::Rest) {
            " class=\"soft\""
        } else {
            ""
        };
        let (text_x, text_y) = (x + 10.0, y + 18.5);
        let told = match row.told.is_empty() {
            true => escaped(&label),
            false => escaped(&row.told.join("\n")),
        };
        self.put(&format!(
            "<g><title>{told}</title><rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{ROW}\" rx=\"6\"/>\
             <text{soft} x=\"{text_x}\" y=\"{text_y}\">{}</text></g>",
            escaped(&text)
        ));
        self.boxes.push(Box {
            x,
            y,
            width,
            height: ROW,
        });
        if let Some(target) = &row.target {
            let (from, middle) = (x + width + 8.0, y + ROW / 2.0);
            let to = self.column - 14.0;
            if from < to {
                self.put(&format!(
                    "<path class=\"lead\" d=\"M{from} {middle}H{to}\"/>"
                ));
            }
            let (tip, up, down) = (self.column - 5.0, middle - 4.0, middle + 4.0);
            let back = tip - 7.0;
            self.put(&format!(
                "<path class=\"tip\" d=\"M{back} {up}L{tip} {middle}L{back} {down}Z\"/>"
            ));
            let (column, name) = (self.column, self.name);
            let shown = fitted_to(&target.name, name - 24.0, NAME_CHARACTER);
            let (name_x, class) = (column + name / 2.0, target.class);
            let (inner, high) = (y + 2.0, ROW - 4.0);
            self.put(&format!(
                "<g><title>{}</title><rect class=\"{class}\" x=\"{column}\" y=\"{inner}\" width=\"{name}\" height=\"{high}\" rx=\"12\"/>\
                 <text class=\"name\" x=\"{name_x}\" y=\"{text_y}\">{}</text></g>",
                escaped(&target.name),
                escaped(&shown)
            ));
            self.boxes.push(Box {
                x: column,
                y: inner,
                width: name,
                height: high,
            });
        }
        self.y += ROW + GAP;
    }

    fn put(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }
}

fn has_class(row: &Row, class: &str) -> bool {
    row.target
        .as_ref()
        .is_some_and(|target| target.class == class)
        || row.rows.iter().any(|row| has_class(row, class))
}

/// Where a level's boxes begin.
fn left(depth: usize) -> f64 {
    MARGIN + 14.0 + INDENT * depth.min(MAX_INDENT) as f64
}

fn widest_name(row: &Row) -> f64 {
    let own = row.target.as_ref().map_or(0.0, |target| {
        columns(&target.name) as f64 * NAME_CHARACTER + 24.0
    });
    row.rows.iter().map(widest_name).fold(own, f64::max)
}

fn widest_text(row: &Row, depth: usize) -> f64 {
    let count = if row.count > 1 {
        row.count.to_string().len() + 3
    } else {
        0
    };
    let own = left(depth) + text_width(&row.text) + count as f64 * CHARACTER + 20.0;
    row.rows
        .iter()
        .map(|row| widest_text(row, depth + 1))
        .fold(own, f64::max)
}

fn text_width(text: &str) -> f64 {
    columns(text) as f64 * CHARACTER
}

/// How many columns of a fixed-width font a text takes, at most.
fn columns(text: &str) -> usize {
    text.chars()
        .map(|c| {
            if c.is_ascii() || c == '\u{d7}' || c == '\u{2026}' {
                1
            } else {
                2
            }
        })
        .sum()
}

fn fitted(text: &str, room: f64) -> String {
    fitted_to(text, room, CHARACTER)
}

/// A text that fits, its end replaced by an ellipsis where it is too long. Room for it is always kept.
fn fitted_to(text: &str, room: f64, character: f64) -> String {
    // What was reserved for a text is room enough for it, although sums of fractions come out a little less.
    let most = (room / character + 0.01).max(1.0) as usize;
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += if c.is_ascii() { 1 } else { 2 };
        if used > most {
            break;
        }
        out.push(c);
    }
    out.push('\u{2026}');
    out
}

/// A text as XML 1.0 takes it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
