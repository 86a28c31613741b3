//! Names and queries from a seed: of two or three labels, some sixteen bytes, most below a few known endings.

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(in super::super) struct Random(pub(in super::super) u64);

impl Random {
    pub(in super::super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(in super::super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Half of what lists hold ends in `com`.
const ENDINGS: [&str; 16] = [
    "com", "com", "com", "com", "com", "com", "com", "net", "net", "org", "cn", "ru", "de", "io",
    "xyz", "co.uk",
];
/// As often as languages use them, roughly.
const LETTERS: &[u8] = b"aaaabcddeeeeefghiiijkllmmnnnoooopqrrrsssttttuuvwxyz-0123";

/// Writes the name of this number over `name`. Each number has its own, but for chance.
pub(in super::super) fn write_name(seed: u64, number: u64, name: &mut String) {
    let mut random = Random(seed ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93));
    name.clear();
    if random.below(10) < 3 {
        write_label(&mut random, 3, 3, name);
        name.push('.');
    }
    write_label(&mut random, 7, 6, name);
    name.push('.');
    name.push_str(ENDINGS[random.below(ENDINGS.len())]);
}

/// A label of `least` characters and up to `more` others.
fn write_label(random: &mut Random, least: usize, more: usize, name: &mut String) {
    for _ in 0..least + random.below(more + 1) {
        name.push(char::from(LETTERS[random.below(LETTERS.len())]));
    }
}

/// Writes what is asked of a set of `count` names over `query`: 57 in 100 are in it, a third of them as a
/// name below one.
pub(super) fn write_query(random: &mut Random, seed: u64, count: u64, query: &mut String) {
    let number = random.next() % count.max(1);
    let within = random.below(100) < 57;
    write_name(seed, if within { number } else { count + number }, query);
    if random.below(3) == 0 {
        query.insert_str(0, "www.");
    }
}
