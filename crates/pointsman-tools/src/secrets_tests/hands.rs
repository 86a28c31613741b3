//! For tests, also of the daemon: texts damaged as hands do it, by a fixed sequence of numbers.

/// 1000 variants, the same each time, damaged as hands do it: one to three times lines or bytes go, come twice or change
/// places, lines move in or out, a map becomes a scalar, a key is another word.
pub(crate) fn rough(text: &str) -> impl Iterator<Item = String> {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % (below.max(1) as u64)).unwrap_or(0)
    };
    let text = text.to_owned();
    (0..1000).map(move |_| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for _ in 0..=next(3) {
            let at = next(lines.len());
            let Some(copy) = lines.get(at).cloned() else {
                continue;
            };
            let line = &mut lines[at];
            let byte = line.floor_char_boundary(next(line.len()));
            match next(11) {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, copy),
                2 if at > 0 => lines.swap(at, at - 1),
                3 => line.insert_str(0, "  "),
                4 => *line = line.strip_prefix("  ").unwrap_or(line).to_owned(),
                // What stood below a key stands behind nothing, or the value goes on below.
                5 => *line = line.replacen(':', "", 1).replacen('=', "", 1),
                6 => *line = line.replacen(": ", ":\n      ", 1),
                7 => *line = rename(line),
                8 if !line.is_empty() => drop(line.remove(byte)),
                9 => line.insert(byte, char::from(b" :-[]{}#\"'\n,&*!|>@"[next(18)])),
                _ => {
                    let more = lines.get(at + 1).cloned().unwrap_or_default();
                    lines[at].push_str(&more);
                }
            }
        }
        lines.join("\n") + "\n"
    })
}

/// The first letter behind each sign is another one: every key of the line is unknown.
fn rename(line: &str) -> String {
    let mut fresh = true;
    let turned = line.chars().map(|c| {
        let first = fresh && c.is_ascii_lowercase();
        fresh = !c.is_ascii_alphanumeric();
        if first { 'x' } else { c }
    });
    turned.collect()
}
