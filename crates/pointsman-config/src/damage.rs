//! For tests, also of the crates above: the shared samples, and damaged variants of a text by a fixed sequence of numbers.

use std::path::{Path, PathBuf};

/// A file or directory of the shared samples; `None`, said aloud, where they are not at hand.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("POINTSMAN_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let found = root.join(path);
    if !found.exists() {
        eprintln!("skipped: there is no {path} among the shared samples");
        return None;
    }
    Some(found)
}

/// 1000 variants, the same each time: one to four bytes or lines flipped, deleted or repeated.
pub(crate) fn variants(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % (below.max(1) as u64)).unwrap_or(0)
    };
    let text = text.to_vec();
    (0..1000).map(move |_| {
        let mut text = text.clone();
        for _ in 0..=next(3) {
            let at = next(text.len());
            let line_start = text[..at]
                .iter()
                .rposition(|b| *b == b'\n')
                .map_or(0, |n| n + 1);
            let line_end = text[at..]
                .iter()
                .position(|b| *b == b'\n')
                .map_or(text.len(), |n| at + n + 1);
            match next(6) {
                0 if at < text.len() => text[at] ^= 1 << next(8),
                1 if at < text.len() => drop(text.remove(at)),
                2 if at < text.len() => text.insert(at, text[at]),
                3 => drop(text.drain(line_start..line_end)),
                4 => {
                    let line = text[line_start..line_end].to_vec();
                    text.splice(line_start..line_start, line);
                }
                _ => text.insert(at, b" :-[]{}#\"'\n,"[next(12)]),
            }
        }
        text
    })
}
