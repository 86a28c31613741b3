//! Lists that come to more than they look like: each is refused before it takes memory.

use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pointsman_policy::set::{Item, Place, Sink};

use crate::list::room::Room;
use crate::list::{Format, MOST_ENTRIES, ReadReport, Recipe, Surroundings, lists_within, read};

/// What the lists here may unfold to, in bytes.
const LIMIT: u64 = 1 << 20;

/// Counts what it gets.
#[derive(Default)]
struct Count(u64);

impl Sink for Count {
    fn add(&mut self, _item: Item<'_>, _place: Place<'_>) {
        self.0 += 1;
    }
}

/// How many entries were handed on, and what was said.
fn taken(bytes: &[u8], format: Option<Format>) -> (u64, Result<(), String>) {
    let recipe = Recipe {
        format,
        limit: Some(LIMIT),
        ..Recipe::default()
    };
    let (mut sink, mut told) = (Count::default(), ReadReport::default());
    let mut bytes = Cursor::new(bytes);
    let done = read(
        &mut bytes,
        "",
        &recipe,
        &Surroundings::default(),
        &mut sink,
        &mut told,
    );
    (sink.0, done.map_err(|error| error.to_string()))
}

fn srs(unpacked: &[&[u8]]) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(b"SRS\x03".to_vec(), Compression::best());
    unpacked
        .iter()
        .for_each(|part| packed.write_all(part).unwrap());
    packed.finish().unwrap()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

/// Ranges of all addresses but the first and the last, which are 254 prefixes each.
fn ranges(count: u64) -> Vec<u8> {
    let mut bytes = [&[1][..], &count.to_be_bytes()].concat();
    for _ in 0..count {
        let (low, high) = (1_u128.to_be_bytes(), (u128::MAX - 1).to_be_bytes());
        bytes.extend([&[16], &low[..], &[16], &high[..]].concat());
    }
    bytes
}

#[test]
fn packed_lists_are_bounded_by_what_they_unfold_to() {
    let many = 500_000;
    let zeros = vec![0; 500_000];
    let check = |name: &str, list: Vec<u8>| {
        assert!(list.len() < 20_000, "{name}: {} bytes", list.len());
        let (entries, done) = taken(&list, Some(Format::Srs));
        let why = done.unwrap_err();
        let said =
            "the list unfolds to more than 1048576 bytes, or takes some times that in memory";
        assert_eq!(why, said, "{name}");
        // Four times the limit, at 48 bytes for the smallest.
        assert!(entries <= 4 * LIMIT / 48, "{name}: {entries}");
    };
    let of_texts = |item: u8| srs(&[&[1, 0, item], &varint(many), &zeros]);
    check("keywords", of_texts(3));
    check("patterns", of_texts(4));
    check("networks", of_texts(1));
    check("programs", of_texts(11));
    check("other programs", of_texts(13));
    check("prefixes", srs(&[&[1, 0, 6], &ranges(10_000), &[255, 0]]));
    let ported = [&[1, 0, 9, 1, 0, 80, 6][..], &ranges(10_000), &[255, 0]].concat();
    check("prefixes of a rule with ports", srs(&[&ported]));
    check("sources", srs(&[&[1, 0, 5], &ranges(10_000), &[255, 0]]));
    let rules = [0, 255, 0].repeat(300_000);
    check(
        "rules in a rule",
        srs(&[&[1, 1, 0], &varint(300_000), &rules]),
    );
    let tries = [2, 0, 0, 0, 0].repeat(100_000);
    check("tries", srs(&[&[1, 0], &tries, &[255, 0]]));
    let deep = [1, 0, 1].repeat(20);
    let (_, done) = taken(&srs(&[&[1], &deep, &varint(300_000), &rules]), None);
    assert!(done.is_err(), "{done:?}");
}

#[test]
fn a_zstd_frame_of_repeated_bytes_is_bounded() {
    // RFC 8878: no content size, a window of 1 MiB; one raw block, then blocks of one byte repeated.
    let head = [
        &b"MRS\x01\x01"[..],
        &[0; 16],
        &[1],
        &(1_u64 << 20).to_be_bytes(),
    ]
    .concat();
    let block = |kind: u32, last: u32, size: usize| {
        let header = last | kind << 1 | u32::try_from(size).unwrap() << 3;
        header.to_le_bytes()[..3].to_vec()
    };
    let mut list = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 10 << 3];
    list.extend(block(0, 0, head.len()));
    list.extend(&head);
    for number in 0..256 {
        list.extend(block(1, u32::from(number == 255), 128 << 10));
        list.push(7);
    }
    let (entries, done) = taken(&list, None);
    let why = done.unwrap_err();
    assert_eq!(
        why,
        "the list is damaged: it says that it has 1048576 items"
    );
    assert_eq!(entries, 0);
    // A window that is larger than the room.
    list[5] = 0x98;
    let (_, done) = taken(&list, None);
    let why = done.unwrap_err();
    assert!(why.contains("at most 8388608 are given"), "{why}");
}

#[test]
fn files_of_countless_lists_and_rules_of_countless_values_are_refused() {
    let many = [0x0a, 0].repeat(150_000);
    let (_, done) = taken(&many, Some(Format::Dat));
    assert_eq!(done.unwrap_err(), "the file holds many lists");
    let names = lists_within(&mut Cursor::new(&many)).unwrap_err();
    assert_eq!(names.to_string(), "the file holds more than 100000 lists");
    let values = "1,".repeat(3 << 20);
    let json = format!(r#"{{"version":1,"rules":[{{"port":[{values}1]}}]}}"#);
    let (_, done) = taken(json.as_bytes(), None);
    let why = done.unwrap_err();
    assert_eq!(why, "one rule has more than 4194304 bytes");
}

#[test]
fn entries_are_counted() {
    let room = Room::of(&Recipe::default());
    let taken = (0..=MOST_ENTRIES).take_while(|_| room.take(1)).count();
    assert_eq!(taken, 16_000_000);
    let why = room.check().unwrap_err().to_string();
    assert_eq!(why, "the list has more than 16000000 entries");
}

/// A list of 353 bytes unfolded to a million nodes, whatever its limit.
#[test]
fn yaml_lists_have_no_aliases() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (before, this) in ('a'..='h').zip('b'..='i') {
        let items = vec![format!("*{before}"); 9].join(", ");
        text.push_str(&format!("{this}: &{this} [{items}]\n"));
    }
    text.push_str("payload: *i\n");
    for text in [&text, "payload:\n  - &a x.test\n  - *a\n"] {
        let (_, done) = taken(text.as_bytes(), Some(Format::Yaml));
        let error = done.unwrap_err();
        assert!(error.contains("aliases (`*`) are not read here"), "{error}");
    }
    let anchored = b"payload: &all\n  - &first x.test\n  - y.test\n";
    assert_eq!(taken(anchored, Some(Format::Yaml)), (2, Ok(())));
}
