//! What must hold of any bytes that are read as a binary list, packed or as they are.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::lists::once;
use crate::list::{Format, Recipe};

/// Reads the bytes behind the first one, which chooses the format and whether they are packed before:
/// most damage would else end in the unpacker. See [`super::check_list`] for what must hold.
///
/// # Panics
/// When a promise is broken.
pub fn check_binary_list(bytes: &[u8]) {
    if let Some((recipe, list)) = list_of(bytes) {
        assert_eq!(once(&list, &recipe), once(&list, &recipe));
    }
}

/// The list that the bytes stand for, and how it is to be read.
pub(crate) fn list_of(bytes: &[u8]) -> Option<(Recipe, Vec<u8>)> {
    let (choice, rest) = bytes.split_first()?;
    let (format, select) = match choice % 10 {
        0 => (Format::Dat, Some("a")),
        1 => (Format::Dat, Some("a@b")),
        2 => (Format::Dat, None),
        3 => (Format::Mmdb, Some("cn")),
        4 => (Format::Mmdb, Some("as1")),
        5 | 6 => (Format::Mrs, None),
        7 | 8 => (Format::Srs, None),
        _ => (Format::SrsJson, None),
    };
    let list = match choice % 10 {
        6 => compress_to_vec(rest, CompressionLevel::Uncompressed),
        8 => {
            let (version, rest) = rest.split_first()?;
            let mut packer =
                ZlibEncoder::new(vec![b'S', b'R', b'S', *version], Compression::none());
            packer.write_all(rest).ok()?;
            packer.finish().ok()?
        }
        _ => rest.to_vec(),
    };
    let recipe = Recipe {
        format: Some(format),
        select: select.map(str::to_owned),
        ..Recipe::default()
    };
    Some((recipe, list))
}
