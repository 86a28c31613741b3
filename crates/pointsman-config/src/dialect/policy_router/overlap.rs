//! Warnings for patterns that two egresses of one kind claim: there the order of names decides,
//! which is hardly what the writer had in mind.

use std::collections::HashMap;

use crate::problem::{About, Problems};

use super::{Dimension, Egress, EgressKind, Folded, Pattern};

/// Pushes `ambiguous-overlap` for each pattern that equals one of another egress of its kind, or is
/// a domain below one; the nearest such pattern is shown beside it.
pub(super) fn warn(patterns: &[Pattern], egresses: &[Egress], problems: &mut Problems) {
    let mut claims: HashMap<(Dimension, EgressKind, &str), Vec<&Pattern>> = HashMap::new();
    for pattern in patterns {
        let kind = egresses[pattern.egress].kind;
        claims
            .entry((pattern.dimension, kind, pattern.folded.text()))
            .or_default()
            .push(pattern);
    }
    for pattern in patterns {
        let kind = egresses[pattern.egress].kind;
        let rival = pattern.folded.claims().find_map(|name| {
            let claimed = claims.get(&(pattern.dimension, kind, name))?;
            // Of two equal patterns the later one is reported, once.
            let same = name == pattern.folded.text();
            claimed.iter().copied().find(|other| {
                other.egress != pattern.egress && (!same || other.span.start < pattern.span.start)
            })
        });
        let Some(rival) = rival else { continue };
        let (mine, theirs) = (&egresses[pattern.egress], &egresses[rival.egress]);
        let first = if mine.name < theirs.name {
            &mine.name
        } else {
            &theirs.name
        };
        let message = format!(
            "`{}` of `{}` and `{}` of `{}` overlap",
            pattern.text, mine.name, rival.text, theirs.name
        );
        let problem = problems.warning("ambiguous-overlap", &pattern.span, message);
        problem.about = Some(About::Pattern(pattern.text.to_string()));
        problem.related = Some((rival.span.clone(), "overlaps with this".into()));
        problem.hint = Some(format!(
            "both are of one kind, so `{first}` goes first by its name"
        ));
    }
}

impl Folded {
    fn text(&self) -> &str {
        match self {
            Self::App(name) => name,
            Self::Domain(domain) => domain.as_str(),
        }
    }

    /// The patterns that would claim all that this one claims, nearest first.
    fn claims(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::App(name) => Box::new(std::iter::once(&**name)),
            Self::Domain(domain) => Box::new(domain.ancestors()),
        }
    }
}
