//! Colours and fonts of the SVG picture, and where they come from: the viewer's light or dark scheme.
//!
//! Each colour is said twice, as it is in the light and as a variable, for viewers that know no variables.

/// The classes of targets, and what a legend calls them.
pub(super) const CLASSES: [(&str, &str); 5] = [
    ("direct", "direct"),
    ("proxy", "by a proxy"),
    ("group", "by a group"),
    ("refused", "refused"),
    ("silent", "dropped in silence"),
];

/// The colour of a class; white text can be read on it.
pub(super) fn colour(class: &str) -> &'static str {
    match class {
        "direct" => "#2a7d50",
        "group" => "#6b46c1",
        "refused" => "#c53030",
        "silent" => "#4a5568",
        _ => "#2b6cb0",
    }
}

pub(super) const STYLE: &str = "\
:root{--page:#fff;--card:#fafbfc;--rim:#d8dee6;--ink:#1f2733;--soft:#5b6676;--line:#b4bdca;--box:#fff;--edge:#cfd6e0;--branch:#eaf0f9;--note:#fff8e8;--door:#0b7285}\
@media (prefers-color-scheme:dark){:root{--page:#0d1117;--card:#141a22;--rim:#2b3440;--ink:#e4e9f0;--soft:#9aa7b8;--line:#4d5a6c;--box:#1c2430;--edge:#384454;--branch:#22304a;--note:#2d2817;--door:#56c4d6}}\
.page{fill:#fff;fill:var(--page)}\
.card{fill:#fafbfc;fill:var(--card);stroke:#d8dee6;stroke:var(--rim)}\
text{font:13px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#1f2733;fill:var(--ink)}\
.title{font:600 17px system-ui,'DejaVu Sans',sans-serif}\
.legend{font:12px system-ui,'DejaVu Sans',sans-serif;fill:#5b6676;fill:var(--soft)}\
.soft{fill:#5b6676;fill:var(--soft)}\
.name{text-anchor:middle;font-weight:600;font-size:12.5px;fill:#fff}\
.door{fill:none;stroke:#0b7285;stroke:var(--door);stroke-width:1.5}\
.entry{text-anchor:middle;font-weight:600;font-size:12.5px;fill:#0b7285;fill:var(--door)}\
.line{fill:none;stroke:#b4bdca;stroke:var(--line);stroke-width:1.5}\
.lead{fill:none;stroke:#b4bdca;stroke:var(--line);stroke-width:1.5;stroke-dasharray:.1 5;stroke-linecap:round}\
.tip{fill:#b4bdca;fill:var(--line)}\
.box{fill:#fff;fill:var(--box);stroke:#cfd6e0;stroke:var(--edge)}\
.branch{fill:#eaf0f9;fill:var(--branch)}\
.note{fill:#fff8e8;fill:var(--note);stroke-dasharray:4 3}\
.rest{fill:none;stroke:none}\
.direct{fill:#2a7d50}.proxy{fill:#2b6cb0}.group{fill:#6b46c1}.refused{fill:#c53030}.silent{fill:#4a5568}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_the_colour_of_both_forms() {
        for (class, _) in CLASSES {
            let rule = format!(".{class}{{fill:{}}}", colour(class));
            assert!(STYLE.contains(&rule), "{rule}");
        }
    }
}
