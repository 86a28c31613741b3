//! What there is, where somebody named something that there is not.

use crate::problem::nearest;

/// The most names that a message lists.
const MOST_SHOWN: usize = 12;

/// `there are: a, b`, as follows "there is no `x`".
pub(crate) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut names = names.into_iter();
    let shown: Vec<&str> = names.by_ref().take(MOST_SHOWN).collect();
    match (shown.is_empty(), names.next()) {
        (true, _) => "there are none".to_owned(),
        (false, None) => format!("there are: {}", shown.join(", ")),
        (false, Some(_)) => format!("there are: {}, ...", shown.join(", ")),
    }
}

/// As [`listed`], and before it the one that may have been meant.
pub(crate) fn meant<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let all = listed(names.iter().copied());
    match nearest(word, names) {
        Some(near) => format!("did you mean `{near}`? {all}"),
        None => all,
    }
}
