//! reflow's zone files: `namezone/`, `addrzone/`, and the older `region.ZONE/`, `ipregion.ZONE/`.
//!
//! A zone is a file, or a folder of files whose names mean nothing. A line's entry is its first word;
//! `#` begins a comment. Names are written root first (`com.reddit.www`); an empty label repeats the
//! label above it (`..mail` below `com.google.www` is `com.google.mail`). Each file is read once, in
//! one pass.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pointsman_policy::zone::{Claimed, ZoneId, Zones};
use pointsman_policy::{Domain, Entry, Prefix};

use crate::input::{Input, read_text};
use crate::problem::{Problems, Source, Span};

/// The most problems told of one file; the rest is counted.
const MAX_PROBLEMS: usize = 20;

/// Which kind of zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ZoneKind {
    Address,
    Name,
}

impl ZoneKind {
    fn folder(self) -> &'static str {
        match self {
            Self::Address => "addrzone",
            Self::Name => "namezone",
        }
    }

    fn old_prefix(self) -> &'static str {
        match self {
            Self::Address => "ipregion.",
            Self::Name => "region.",
        }
    }
}

/// Reads all zones beside a configuration; `files` gets every file that was read.
pub(super) fn read(input: &Input<'_>, files: &mut Vec<PathBuf>, problems: &mut Problems) -> Zones {
    let mut reader = Reader {
        input,
        files,
        problems,
        zones: Zones::default(),
        sources: HashMap::new(),
    };
    reader.folder(ZoneKind::Name);
    reader.folder(ZoneKind::Address);
    reader.old_folders();
    reader.zones
}

struct Reader<'a> {
    input: &'a Input<'a>,
    files: &'a mut Vec<PathBuf>,
    problems: &'a mut Problems,
    zones: Zones,
    /// Every file by its name, to show where an entry was claimed first.
    sources: HashMap<Arc<str>, Arc<Source>>,
}

impl Reader<'_> {
    /// `namezone/` or `addrzone/`.
    fn folder(&mut self, kind: ZoneKind) {
        let folder = kind.folder();
        let path = self.input.directory.join(folder);
        match self.input.files.is_directory(&path) {
            None => return,
            Some(true) => {}
            Some(false) => {
                self.unreadable(
                    folder,
                    "is a file; zones are files in a folder of this name",
                );
                return;
            }
        }
        for (name, directory) in self.entries(&path, folder) {
            let (path, shown) = (path.join(&name), format!("{folder}/{name}"));
            let Some(zone) = self.zone(kind, &name, &shown) else {
                continue;
            };
            if directory {
                self.zone_folder(kind, zone, &path, &shown);
            } else {
                self.file(kind, zone, &path, &shown);
            }
        }
    }

    /// `region.ZONE/` and `ipregion.ZONE/` in the configuration's directory.
    fn old_folders(&mut self) {
        let directory = self.input.directory.clone();
        let directory = if directory.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            directory
        };
        // A directory that cannot be listed has no such folders; its `config` was read all the same.
        let entries = self.input.files.matching(&directory, "*region.*");
        for (name, is_directory) in entries.unwrap_or_default() {
            for kind in [ZoneKind::Name, ZoneKind::Address] {
                let Some(zone_name) = name.strip_prefix(kind.old_prefix()) else {
                    continue;
                };
                if !is_directory || zone_name.is_empty() {
                    continue;
                }
                let Some(zone) = self.zone(kind, zone_name, &name) else {
                    continue;
                };
                let place = Source::new(&name, String::new()).span(0, 0);
                let message = format!("`{name}/` is the old place of a zone");
                let problem = self.problems.note("deprecated", &place, message);
                problem.hint = Some(format!("move it to `{}/{zone_name}/`", kind.folder()));
                self.zone_folder(kind, zone, &directory.join(&name), &name);
            }
        }
    }

    fn zone(&mut self, kind: ZoneKind, name: &str, shown: &str) -> Option<ZoneId> {
        if kind == ZoneKind::Name && name == "else" {
            let place = Source::new(shown, String::new()).span(0, 0);
            let message = "`else` is reserved and cannot name a zone";
            let problem = self.problems.error("reserved-name", &place, message);
            problem.hint = Some("rename the file".into());
            return None;
        }
        Some(match kind {
            ZoneKind::Address => self.zones.add_address_zone(name),
            ZoneKind::Name => self.zones.add_domain_zone(name),
        })
    }

    fn zone_folder(&mut self, kind: ZoneKind, zone: ZoneId, path: &Path, shown: &str) {
        for (name, directory) in self.entries(path, shown) {
            let shown = format!("{shown}/{name}");
            if directory {
                let place = Source::new(&shown, String::new()).span(0, 0);
                let message = "this folder is not read: a zone is a file or a folder of files";
                self.problems.warning("ignored-folder", &place, message);
            } else {
                self.file(kind, zone, &path.join(&name), &shown);
            }
        }
    }

    /// What a folder holds, hidden files apart.
    fn entries(&mut self, path: &Path, shown: &str) -> Vec<(String, bool)> {
        match self.input.files.matching(path, "*") {
            Ok(entries) => entries,
            Err(error) => {
                self.unreadable(shown, &format!("cannot be read: {error}"));
                Vec::new()
            }
        }
    }

    fn unreadable(&mut self, shown: &str, why: &str) {
        let place = Source::new(shown, String::new()).span(0, 0);
        self.problems.error("unreadable", &place, why);
    }

    fn file(&mut self, kind: ZoneKind, zone: ZoneId, path: &Path, shown: &str) {
        self.files.push(path.to_owned());
        let text = match read_text(self.input.files, path) {
            Ok(text) => text,
            Err(error) => {
                self.unreadable(shown, &format!("cannot be read: {error}"));
                return;
            }
        };
        let source = Source::open(shown, text);
        self.sources
            .insert(Arc::clone(&source.file), Arc::clone(&source));
        let mut above: Vec<&str> = Vec::new();
        let mut told = 0_usize;
        for (line, start, word) in words(&source.text) {
            let entry = Entry {
                text: word.into(),
                file: Arc::clone(&source.file),
                line,
            };
            let span = || source.span(start, start + word.len());
            let added = match kind {
                ZoneKind::Name => match expand(word, &above) {
                    Ok((name, labels)) => {
                        above = labels;
                        self.zones.add_domain(zone, name, entry)
                    }
                    Err(why) => {
                        self.bad(&mut told, &span(), &why);
                        continue;
                    }
                },
                ZoneKind::Address => match word.parse::<Prefix>() {
                    Ok(range) => self.zones.add_address(zone, canonical(range), entry),
                    Err(why) => {
                        self.bad(&mut told, &span(), &why.to_string());
                        continue;
                    }
                },
            };
            if let Err(claimed) = added {
                told += 1;
                if told <= MAX_PROBLEMS {
                    self.claimed(&claimed, &span());
                }
            }
        }
        if told > MAX_PROBLEMS {
            let message = format!("{} more problems in this file", told - MAX_PROBLEMS);
            let end = source.span(source.text.len(), source.text.len());
            self.problems.error("invalid-entry", &end, message);
        }
    }

    fn bad(&mut self, told: &mut usize, span: &Span, why: &str) {
        *told += 1;
        if *told <= MAX_PROBLEMS {
            self.problems.error("invalid-entry", span, why);
        }
    }

    fn claimed(&mut self, claimed: &Claimed, span: &Span) {
        let message = format!(
            "`{}` is in zone `{}` and in zone `{}`",
            claimed.second.text, claimed.second_zone, claimed.first_zone
        );
        let first = match self.sources.get(&claimed.first.file) {
            Some(source) => {
                let line = words(&source.text).find(|(line, ..)| *line == claimed.first.line);
                line.map(|(_, start, word)| source.span(start, start + word.len()))
            }
            None => None,
        };
        let problem = self.problems.error("zone-conflict", span, message);
        problem.related = first.map(|span| (span, "first here".into()));
        problem.hint = Some("an entry belongs to one zone: remove one of the two".into());
    }
}

/// IPv4-mapped ranges as the IPv4 ranges that they are: the engine sees canonical addresses alone.
fn canonical(range: Prefix) -> Prefix {
    let address = range.address().to_canonical();
    match range.address() == address {
        true => range,
        false => Prefix::new(address, range.length().saturating_sub(96)),
    }
}

/// The first word of each line that has one: its line from 1, its byte offset, itself.
fn words(text: &str) -> impl Iterator<Item = (u32, usize, &str)> {
    let mut start = 0;
    let mut line = 1_u32;
    // `\r\n` is one line end; `\r` alone is one too.
    text.split_inclusive(['\n', '\r']).filter_map(move |piece| {
        let (at, number) = (start, line);
        start += piece.len();
        let crlf = piece.ends_with('\r') && text[start..].starts_with('\n');
        if piece.ends_with(['\n', '\r']) && !crlf {
            line = line.saturating_add(1);
        }
        let content = piece.split('#').next().unwrap_or("");
        let word = content.split_whitespace().next()?;
        let indent = content.len() - content.trim_start().len();
        Some((number, at + indent, word))
    })
}

/// A root-first name with its empty labels filled from the labels above; and its labels.
fn expand<'t>(word: &'t str, above: &[&'t str]) -> Result<(Domain, Vec<&'t str>), String> {
    let mut labels: Vec<&str> = Vec::with_capacity(4);
    for (at, label) in word.split('.').enumerate() {
        let filled = match (label.is_empty(), above.get(at)) {
            (false, _) => label,
            (true, Some(label)) => label,
            (true, None) => {
                let why = "an empty label repeats the label above it, and there is none";
                return Err(why.to_owned());
            }
        };
        labels.push(filled);
    }
    let mut name = String::with_capacity(word.len() + 16);
    for label in labels.iter().rev() {
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(label);
    }
    match Domain::parse(&name) {
        Ok(name) => Ok((name, labels)),
        Err(why) => Err(why.to_string()),
    }
}
