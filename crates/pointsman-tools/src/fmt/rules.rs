//! Rule-list files laid out: each line by itself.

use std::sync::Arc;

use pointsman_policy::line::{canonical, kinds, without_comment};

use pointsman_config::problem::{Problems, Source};

/// The lines of a list: rules in their one spelling, names and ranges trimmed, comments kept.
pub(super) fn lines(source: &Arc<Source>, problems: &mut Problems) -> Option<String> {
    let end = super::line_end(&source.text);
    let mut text = String::with_capacity(source.text.len());
    let mut start = 0;
    let mut blank = false;
    for whole in source.text.split_inclusive('\n') {
        let place = source.span(start, start + whole.trim_end().len());
        start += whole.len();
        let line = whole.trim();
        if line.is_empty() {
            blank = !text.is_empty();
            continue;
        }
        if std::mem::take(&mut blank) {
            text.push_str(end);
        }
        text.push_str(&one(line, &place, problems));
        text.push_str(end);
    }
    Some(text)
}

fn one(line: &str, place: &pointsman_config::Span, problems: &mut Problems) -> String {
    let bare = without_comment(line);
    let word = bare.split(',').next().unwrap_or("").trim();
    let is_rule = bare.contains(',') && kinds().any(|kind| kind.eq_ignore_ascii_case(word));
    if !is_rule {
        return line.to_owned();
    }
    match canonical(bare) {
        Ok(rule) => {
            let comment = line.get(bare.len()..).unwrap_or("").trim();
            match comment.is_empty() {
                true => rule,
                false => format!("{rule}  {comment}"),
            }
        }
        Err(error) => {
            let indent = place.text().len() - place.text().trim_start().len();
            let at = place.part(indent + error.start, indent + error.end);
            problems.error(error.code, &at, error.message).hint = error.hint;
            line.to_owned()
        }
    }
}
