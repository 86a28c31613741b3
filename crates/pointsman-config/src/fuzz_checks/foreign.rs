//! What must hold when configurations of other programs are converted.

use std::path::Path;

use super::check_dialect;
use crate::convert::{faults, from_foreign};
use crate::dialect::foreign::{Document, Foreign};
use crate::files::Memory;
use crate::problem::Source;
use crate::setup::Dialect;

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
