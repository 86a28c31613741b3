//! A picture in words, for those who cannot see it.

use super::outline::Row;
use super::scene::Scene;

/// How many rows of a policy are told.
const ROWS: usize = 60;

/// What the picture is called.
pub(super) fn title(scenes: &[Scene<'_>]) -> String {
    match scenes {
        [] => "No policy".to_owned(),
        [only] => format!("Policy {}", only.policy.name),
        scenes => format!("{} policies", scenes.len()),
    }
}

/// All policies: what leads to each, and its rows in order.
pub(super) fn description(scenes: &[Scene<'_>], outlines: &[Vec<Row>]) -> String {
    let mut text = String::new();
    for (scene, rows) in scenes.iter().zip(outlines) {
        text.push_str(&format!("{}.\n", scene.heading()));
        let mut left = ROWS;
        tell(rows, 1, &mut left, &mut text);
    }
    text
}

fn tell(rows: &[Row], depth: usize, left: &mut usize, text: &mut String) {
    for row in rows {
        if *left == 0 {
            text.push_str("...\n");
            return;
        }
        *left -= 1;
        let to = row.target.as_ref();
        let to = to.map_or_else(String::new, |target| format!(" to {}", target.name));
        text.push_str(&format!("{}{}{to}\n", "- ".repeat(depth), row.label()));
        tell(&row.rows, depth + 1, left, text);
    }
}
