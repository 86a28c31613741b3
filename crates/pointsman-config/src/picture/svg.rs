//! The outline as an SVG document: a card for each policy; in it rows from the top to the bottom in the order in which
//! they are tried, each with its way out in a column on the right.
//!
//! Invariant: no text leaves its box and no two boxes overlap; the picture is at most [`WIDEST`]
//! pixels wide, needs nothing from elsewhere, and follows the viewer's light or dark scheme.

use std::fmt::Write as _;

use super::measure::{columns, fitted, is_sure};
use super::outline::{Row, RowKind, Target, outline};
use super::scene::{Entrance, Runs, Scene};
use super::style::{CLASSES, STYLE};
use super::words;

/// The widest picture, in pixels.
pub(super) const WIDEST: f64 = 1200.0;
const NARROWEST: f64 = 560.0;
/// From the picture's edge to a card.
const RIM: f64 = 12.0;
/// From the picture's edge to what is in a card.
const MARGIN: f64 = 32.0;
const INDENT: f64 = 26.0;
/// Levels that are indented; deeper ones stand below each other.
const MAX_INDENT: usize = 16;
const ROW: f64 = 28.0;
const GAP: f64 = 8.0;
/// A card's title.
const HEAD: f64 = 46.0;
/// A column of the fixed-width font at 13 pixels, a little more than any font's.
const COLUMN: f64 = 8.0;
/// A column of a name in bold, at 12.5 pixels, at most.
const NAME_COLUMN: f64 = 7.8;
/// A column of a title in bold, at 17 pixels. A usual one: titles are clipped.
const TITLE_COLUMN: f64 = 11.5;
const WIDEST_NAME: f64 = 240.0;
/// The most inbounds that are drawn at one policy.
const MAX_ENTRANCES: usize = 12;

/// A box with a text, in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Box {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// The document, ended by a line end, and the boxes in it.
pub(super) fn draw(scenes: &[Scene<'_>], runs: Runs) -> (String, Vec<Box>) {
    let outlines: Vec<Vec<Row>> = scenes.iter().map(|scene| outline(scene, runs)).collect();
    let all = || outlines.iter().flatten();
    let name = all().map(widest_name).fold(64.0, f64::max).min(WIDEST_NAME);
    let text = all().map(|row| widest_text(row, 0)).fold(0.0, f64::max);
    let entrances = scenes.iter().flat_map(|scene| &scene.entrances);
    let entrance = entrances.map(|entrance| {
        let about = columns(&entrance.about()) * COLUMN;
        left(0) + name_width(&entrance.name).min(WIDEST_NAME) + 10.0 + about
    });
    let width = (text + 56.0 + name)
        .max(entrance.fold(0.0, f64::max))
        .clamp(NARROWEST - MARGIN, WIDEST - MARGIN)
        .ceil()
        + MARGIN;
    let mut canvas = Canvas {
        body: String::new(),
        y: RIM,
        width,
        column: width - MARGIN - name,
        name,
        boxes: Vec::new(),
    };
    for (scene, rows) in scenes.iter().zip(&outlines) {
        canvas.card(scene, rows);
    }
    canvas.legend(&outlines);
    let height = canvas.y;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-labelledby=\"policy-title policy-desc\">\n<title id=\"policy-title\">{}</title>\n\
         <desc id=\"policy-desc\">{}</desc>\n<style>{STYLE}</style>\n<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n",
        escaped(&words::title(scenes)),
        escaped(words::description(scenes, &outlines).trim_end()),
    );
    text.push_str(&canvas.body);
    text.push_str("</svg>\n");
    (text, canvas.boxes)
}

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
    fn card(&mut self, scene: &Scene<'_>, rows: &[Row]) {
        let (top, before) = (self.y, self.body.len());
        let room = self.width - 2.0 * MARGIN;
        let place = Box {
            x: MARGIN,
            y: top + 10.0,
            width: room,
            height: 26.0,
        };
        let title = fitted(&scene.policy.name, room / TITLE_COLUMN);
        self.clipped("title", place, 19.0, &title);
        self.boxes.push(place);
        self.y += HEAD;
        let mut hangs_on = self.y - GAP;
        if scene.entrances.is_empty() {
            self.line_of_text("no inbound leads here");
        } else {
            hangs_on = self.y + ROW / 2.0;
            self.entrances(&scene.entrances);
        }
        self.rows(rows, 0, hangs_on);
        self.y += GAP;
        let (width, height) = (self.width - 2.0 * RIM, self.y - top);
        let card = format!(
            "<rect class=\"card\" x=\"{RIM}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"10\"/>\n"
        );
        self.body.insert_str(before, &card);
        self.y += RIM;
    }

    fn entrances(&mut self, entrances: &[Entrance]) {
        let shown = match entrances.len() {
            many if many > MAX_ENTRANCES => MAX_ENTRANCES - 1,
            few => few,
        };
        let names = entrances.iter().take(shown);
        let widest = names.map(|entrance| name_width(&entrance.name));
        let width = widest.fold(0.0, f64::max).min(WIDEST_NAME);
        let trunk = left(0) - 14.0;
        for entrance in entrances.iter().take(shown) {
            let (x, y, middle) = (left(0), self.y, self.y + ROW / 2.0);
            self.put(&format!(
                "<path class=\"line\" d=\"M{x} {middle}H{trunk}\"/>"
            ));
            let pill = Box {
                x,
                y: y + 2.0,
                width,
                height: ROW - 4.0,
            };
            self.pill("door", "entry", pill, &entrance.name, &entrance.to_string());
            let place = Box {
                x: x + width + 10.0,
                y,
                width: self.width - MARGIN - x - width - 10.0,
                height: ROW,
            };
            let about = fitted(&entrance.about(), place.width / COLUMN);
            self.text("soft", place, 18.5, &about);
            self.boxes.push(place);
            self.y += ROW + GAP;
        }
        if shown < entrances.len() {
            self.line_of_text(&format!("and {} more inbounds", entrances.len() - shown));
        }
        self.y += GAP;
    }

    /// A line of text of the picture's own.
    fn line_of_text(&mut self, text: &str) {
        let place = Box {
            x: left(0),
            y: self.y,
            width: columns(text) * COLUMN,
            height: ROW,
        };
        self.text("soft", place, 18.5, text);
        self.boxes.push(place);
        self.y += ROW + GAP;
    }

    /// The colours that occur.
    fn legend(&mut self, outlines: &[Vec<Row>]) {
        let mut x = MARGIN;
        let y = self.y + 12.0;
        for (class, label) in CLASSES {
            let occurs = |row: &Row| has_class(row, class);
            if !outlines.iter().flatten().any(occurs) {
                continue;
            }
            let (dot, text, up) = (x + 5.0, x + 16.0, y - 4.0);
            self.put(&format!(
                "<circle class=\"{class}\" cx=\"{dot}\" cy=\"{up}\" r=\"5\"/><text class=\"legend\" x=\"{text}\" y=\"{y}\">{label}</text>"
            ));
            // At 12 pixels a letter is 7.5 wide at most, on the average of these words.
            x = text + columns(label) * 7.5 + 14.0;
        }
        if x > MARGIN {
            self.y = y + RIM + 4.0;
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
        let label = row.label();
        let text = fitted(&label, (room - 20.0) / COLUMN);
        let width = (columns(&text) * COLUMN + 20.0).ceil();
        let class = match row.kind {
            RowKind::Branch => "box branch",
            RowKind::Else if !row.rows.is_empty() => "box branch",
            RowKind::Else | RowKind::Rule => "box",
            RowKind::Note => "box note",
            RowKind::Rest => "rest",
        };
        let told = match row.told.is_empty() {
            true => escaped(&label),
            false => escaped(&row.told.join("\n")),
        };
        self.put(&format!(
            "<g><title>{told}</title><rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{ROW}\" rx=\"6\"/>"
        ));
        let inner = Box {
            x: x + 10.0,
            y,
            width: width - 20.0,
            height: ROW,
        };
        let soft = if row.kind == RowKind::Rest {
            "soft"
        } else {
            ""
        };
        self.text(soft, inner, 18.5, &text);
        self.put("</g>");
        self.boxes.push(Box { x, width, ..inner });
        if let Some(target) = &row.target {
            self.target(target, x + width + 8.0);
        }
        self.y += ROW + GAP;
    }

    /// A way out, and the line to it.
    fn target(&mut self, target: &Target, from: f64) {
        let (column, middle) = (self.column, self.y + ROW / 2.0);
        let (to, tip) = (column - 14.0, column - 5.0);
        if from < to {
            self.put(&format!(
                "<path class=\"lead\" d=\"M{from} {middle}H{to}\"/>"
            ));
        }
        let (back, up, down) = (tip - 7.0, middle - 4.0, middle + 4.0);
        self.put(&format!(
            "<path class=\"tip\" d=\"M{back} {up}L{tip} {middle}L{back} {down}Z\"/>"
        ));
        let pill = Box {
            x: column,
            y: self.y + 2.0,
            width: self.name,
            height: ROW - 4.0,
        };
        let told = target.told.as_ref().unwrap_or(&target.name);
        self.pill(target.class, "name", pill, &target.name, told);
    }

    /// A name in the middle of a pill.
    fn pill(&mut self, class: &str, text: &str, place: Box, name: &str, told: &str) {
        let Box {
            x,
            y,
            width,
            height,
        } = place;
        let shown = fitted(name, (width - 24.0) / NAME_COLUMN);
        self.put(&format!(
            "<g><title>{}</title><rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"12\"/>",
            escaped(told)
        ));
        let inner = Box {
            x: x + 6.0,
            width: width - 12.0,
            ..place
        };
        self.text(text, inner, 16.5, &shown);
        self.put("</g>");
        self.boxes.push(place);
    }

    /// A text in its place, clipped where nobody can know how wide it is; `down`: from the place's top to the base line.
    fn text(&mut self, class: &str, place: Box, down: f64, text: &str) {
        if !is_sure(text) {
            return self.clipped(class, place, down, text);
        }
        let (x, y) = (place.x + centre(class, place), place.y + down);
        self.put(&format!(
            "<text{} x=\"{x}\" y=\"{y}\">{}</text>",
            attribute(class),
            escaped(text)
        ));
    }

    fn clipped(&mut self, class: &str, place: Box, down: f64, text: &str) {
        let Box {
            x,
            y,
            width,
            height,
        } = place;
        let start = centre(class, place);
        self.put(&format!(
            "<svg x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"><text{} x=\"{start}\" y=\"{down}\">{}</text></svg>",
            attribute(class),
            escaped(&text.replace('\n', "\u{fffd}"))
        ));
    }

    fn put(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }
}

/// Where in a place a text is anchored, by its class.
fn centre(class: &str, place: Box) -> f64 {
    match class {
        "name" | "entry" => place.width / 2.0,
        _ => 0.0,
    }
}

fn attribute(class: &str) -> String {
    match class {
        "" => String::new(),
        class => format!(" class=\"{class}\""),
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

fn name_width(name: &str) -> f64 {
    (columns(name) * NAME_COLUMN + 24.0).ceil()
}

fn widest_name(row: &Row) -> f64 {
    let own = row.target.as_ref();
    let own = own.map_or(0.0, |target| name_width(&target.name));
    row.rows.iter().map(widest_name).fold(own, f64::max)
}

fn widest_text(row: &Row, depth: usize) -> f64 {
    let own = left(depth) + columns(&row.label()) * COLUMN + 20.0;
    row.rows
        .iter()
        .map(|row| widest_text(row, depth + 1))
        .fold(own, f64::max)
}

/// A text as XML 1.0 takes it. What turns the direction of the text behind it around is shown and does not.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                out.push('\u{fffd}');
            }
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
