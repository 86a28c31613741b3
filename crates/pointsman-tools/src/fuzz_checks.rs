//! What must hold when configurations of other programs are converted, whatever they hold: functions that panic where it
//! does not, shared by the fuzz targets, the replay of their corpus and the tests with damaged samples.

use std::path::Path;

use crate::convert::{faults, from_foreign};
use pointsman_config::dialect::foreign::{Document, Foreign};
use pointsman_config::files::Memory;
use pointsman_config::fuzz_checks::check_dialect;
use pointsman_config::problem::Source;
use pointsman_config::setup::Dialect;

/// Checks the conversion of Clash's configurations.
///
/// # Panics
/// When a promise is broken.
pub fn check_clash(bytes: &[u8]) {
    check(Foreign::Clash, bytes);
}

/// Checks the conversion of sing-box's configurations.
///
/// # Panics
/// When a promise is broken.
pub fn check_sing_box(bytes: &[u8]) {
    check(Foreign::SingBox, bytes);
}

/// Any text is converted or refused with a reason; what is converted is a native text that loads, but
/// for lists that are not there.
fn check(foreign: Foreign, bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let files = Memory::default();
    let source = Source::new("c", text.to_owned());
    let _either = Document::tell(&source);
    match from_foreign(Document::of(foreign, &source), Path::new(""), &files) {
        Ok(conversion) => {
            assert!(
                conversion
                    .report
                    .iter()
                    .all(|remark| !remark.text.is_empty())
            );
            let faults = faults(&conversion.text, Path::new(""), &files);
            assert!(
                faults.is_empty(),
                "{}\n{}",
                faults.join("\n"),
                conversion.text
            );
            check_dialect(Dialect::Native, "pointsman.yaml", &conversion.text);
        }
        Err(problems) => assert!(!problems.0.is_empty(), "{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replays the corpus of one fuzz target.
    fn replay(target: &str, check: fn(&[u8])) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        let mut seeds = 0;
        for entry in std::fs::read_dir(root.join(target)).unwrap() {
            check(&std::fs::read(entry.unwrap().path()).unwrap());
            seeds += 1;
        }
        assert!(seeds > 0, "{target} has no seeds");
    }

    #[test]
    fn the_corpus_of_clash() {
        replay("clash", check_clash);
    }

    #[test]
    fn the_corpus_of_sing_box() {
        replay("sing_box", check_sing_box);
    }
}
