//! Which changes matter: those of what a load asked the disk for, by the paths that the system tells.
//!
//! Invariant: paths are absolute, and real as far as they exist: as events name them. A file behind a link is wanted by
//! both names.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use pointsman_config::files::fits;

use crate::app::App;

/// Paths whose change is one of the configuration.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    files: BTreeSet<PathBuf>,
    /// Directories and the patterns of names in them.
    listings: BTreeMap<PathBuf, Vec<String>>,
}

impl Wanted {
    /// What the configuration in force was read from, and what one asked for that was refused since.
    pub(super) fn new(app: &App) -> Self {
        let asked = app.asked().borrow().all();
        // A list that is fetched is swapped in as it comes.
        let sources = &app.generation().1.sources;
        let copies: BTreeSet<&PathBuf> = sources.iter().filter_map(|it| it.path.as_ref()).collect();
        let mut wanted = Self::default();
        for file in asked.files.iter().filter(|file| !copies.contains(file)) {
            wanted.file(file);
        }
        for (directory, pattern) in &asked.listings {
            let patterns = wanted.listings.entry(real(directory)).or_default();
            patterns.push(pattern.clone());
        }
        wanted
    }

    fn file(&mut self, file: &Path) {
        let Some(name) = file.file_name() else {
            self.files.insert(real(file));
            return;
        };
        let parent = file.parent().filter(|it| !it.as_os_str().is_empty());
        self.files
            .insert(real(parent.unwrap_or_else(|| Path::new("."))).join(name));
        // Where it leads to, if it is a link.
        if let Ok(target) = file.canonicalize() {
            self.files.insert(target);
        }
    }

    /// Whether a change of this path is one of the configuration.
    pub(super) fn concerns(&self, path: &Path) -> bool {
        let listed = || {
            let patterns = self.listings.get(path.parent()?)?;
            let name = path.file_name()?.to_string_lossy();
            Some(patterns.iter().any(|pattern| fits(pattern, &name)))
        };
        self.files.contains(path) || self.leads_through(path) || listed() == Some(true)
    }

    /// Whether it is a directory that something wanted is in, or would be.
    pub(super) fn leads_through(&self, path: &Path) -> bool {
        let behind = (Bound::Excluded(path), Bound::Unbounded);
        let next = self.files.range::<Path, _>(behind).next();
        let within = next.is_some_and(|next| next.starts_with(path));
        let from = (Bound::Included(path), Bound::Unbounded);
        let next = self.listings.range::<Path, _>(from).next();
        within || next.is_some_and(|(next, _)| next.starts_with(path))
    }

    /// The directories to watch: those of what is wanted; where one does not exist, the nearest above it that does.
    pub(super) fn directories(&self) -> BTreeSet<PathBuf> {
        let of_files = self.files.iter().filter_map(|file| file.parent());
        let listed = self.listings.keys().map(PathBuf::as_path);
        let nearest = |path: &Path| path.ancestors().find(|it| it.is_dir()).map(Path::to_owned);
        // Files of one directory stand side by side: each directory is asked for once.
        let mut all: Vec<&Path> = of_files.chain(listed).collect();
        all.dedup();
        let mut directories: BTreeSet<PathBuf> = all.into_iter().filter_map(nearest).collect();
        // That a directory itself goes or comes is heard above it.
        let above: Vec<PathBuf> = self
            .listings
            .keys()
            .filter_map(|it| nearest(it.parent()?))
            .collect();
        directories.extend(above);
        directories
    }
}

/// The absolute path, real as far as it exists.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_empty| path.to_owned());
    for above in path.ancestors() {
        if let Ok(found) = above.canonicalize() {
            // What `strip_prefix` gives of an ancestor is the rest.
            return match path.strip_prefix(above) {
                Ok(rest) if !rest.as_os_str().is_empty() => found.join(rest),
                _ => found,
            };
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns() {
        let wanted = Wanted {
            files: ["/c/main.yaml", "/c/deep/er/list.txt"]
                .map(PathBuf::from)
                .into(),
            listings: [("/c/rules".into(), vec!["*.yaml".to_owned()])].into(),
        };
        let check = |path: &str, concerns: bool, through: bool| {
            let path = Path::new(path);
            assert_eq!(wanted.concerns(path), concerns, "{path:?}");
            assert_eq!(wanted.leads_through(path), through, "{path:?}");
        };
        check("/c/main.yaml", true, false);
        check("/c/main.yaml.swp", false, false);
        check("/c/log", false, false);
        check("/c", true, true);
        check("/c/deep", true, true);
        check("/c/deep/er", true, true);
        check("/c/deep/er/list.txt", true, false);
        check("/c/deep/er/list", false, false);
        check("/c/rules", true, true);
        check("/c/rules/a.yaml", true, false);
        check("/c/rules/.a.yaml", false, false);
        check("/c/rules/a.yaml~", false, false);
        check("/c/rules/deep/a.yaml", false, false);
        check("/c/rule", false, false);
    }

    #[test]
    fn directories_that_are_not_there_yet() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let wanted = Wanted {
            files: [root.join("a/b/c.yaml")].into(),
            listings: [(root.join("rules"), vec!["*".to_owned()])].into(),
        };
        let above = |path: PathBuf| path.parent().unwrap().to_owned();
        assert_eq!(wanted.directories(), [root.clone()].into());
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir(root.join("rules")).unwrap();
        let expected = [root.clone(), root.join("a/b"), root.join("rules")];
        assert_eq!(wanted.directories(), expected.into());
        assert_eq!(real(&root.join("a/../none/y")), root.join("none/y"));
        assert_eq!(above(root.join("x")), root);
    }
}
