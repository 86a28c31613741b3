//! Circles: files of one crate that import each other, found by their paths.
//!
//! A file imports another where a path outside of its tests leads to an item that stands there; what a module only
//! passes on (`pub use`) stands where it is defined. Methods are not seen: a type may have its `impl`s in many files; and a
//! module's parts may import the module, which is their room.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

/// Circles that stay, by crate and file, each with its reason.
const MAY_STAY: &[(&[&str], &str)] = &[];

/// Names every circle that is not in the table, and every row of the table that is none.
pub(super) fn check(findings: &mut Vec<String>) -> anyhow::Result<()> {
    let mut known: BTreeSet<usize> = BTreeSet::new();
    for root in roots()? {
        for circle in circles(&Crate::read(&root)?.imports()) {
            let stays = MAY_STAY.iter().position(|(files, _)| *files == circle);
            match stays {
                Some(row) => {
                    known.insert(row);
                }
                None => findings.push(format!(
                    "a circle of {}: {}",
                    circle.len(),
                    circle.join(", ")
                )),
            }
        }
    }
    for (row, (files, _)) in MAY_STAY.iter().enumerate() {
        if !known.contains(&row) {
            findings.push(format!("no circle any more: {}", files.join(", ")));
        }
    }
    Ok(())
}

/// Prints the arrows of every circle of the crates whose path holds `wanted`: which file imports what from which.
pub(crate) fn print(wanted: &str) -> anyhow::Result<()> {
    for root in roots()? {
        if !root.display().to_string().contains(wanted) {
            continue;
        }
        let read = Crate::read(&root)?;
        for circle in circles(&read.imports()) {
            println!("{} files:", circle.len());
            for (from, path, to) in read.arrows() {
                if circle.contains(&from.as_str()) && circle.contains(&to.as_str()) {
                    println!("  {from} -> {to}: {path}");
                }
            }
        }
    }
    Ok(())
}

fn roots() -> anyhow::Result<Vec<PathBuf>> {
    let mut roots = vec![PathBuf::from("xtask/src/main.rs")];
    for entry in std::fs::read_dir("crates").context("crates")? {
        let source = entry?.path().join("src");
        let root = ["lib.rs", "main.rs"].map(|name| source.join(name));
        roots.extend(root.into_iter().find(|root| root.exists()));
    }
    roots.sort();
    Ok(roots)
}

/// A path from the crate's root, by segments.
type At = Vec<String>;

/// The modules of a crate by their place, those within a file too.
#[derive(Default)]
struct Crate {
    modules: BTreeMap<At, Module>,
}

#[derive(Default)]
struct Module {
    file: String,
    items: BTreeSet<String>,
    /// What is passed on or imported, by its name here.
    names: BTreeMap<String, At>,
    globs: Vec<At>,
    /// Paths that stand in it, as they are written.
    paths: Vec<At>,
}

impl Crate {
    fn read(root: &Path) -> anyhow::Result<Self> {
        let mut all = Self::default();
        let directory = root.parent().unwrap_or(root);
        all.file(root, directory, Vec::new())?;
        Ok(all)
    }

    /// Reads a file and the modules that it declares; those lie in `directory`.
    fn file(&mut self, path: &Path, directory: &Path, at: At) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let parsed = syn::parse_file(&text).with_context(|| path.display().to_string())?;
        self.module(&path.display().to_string(), parsed.items, directory, at)
    }

    fn module(
        &mut self,
        file: &str,
        items: Vec<Item>,
        directory: &Path,
        at: At,
    ) -> anyhow::Result<()> {
        let mut module = Module {
            file: file.to_owned(),
            ..Module::default()
        };
        for item in items.into_iter().filter(|item| !is_test(attributes(item))) {
            match item {
                Item::Mod(item) => {
                    let name = item.ident.to_string();
                    let inner = [at.as_slice(), std::slice::from_ref(&name)].concat();
                    let below = directory.join(&name);
                    match item.content {
                        Some((_, items)) => self.module(file, items, &below, inner)?,
                        None => {
                            let beside = directory.join(format!("{name}.rs"));
                            let within = below.join("mod.rs");
                            let elsewhere = elsewhere(&item.attrs).map(|path| directory.join(path));
                            let mut path = elsewhere.into_iter().chain([beside, within]);
                            // One of another system may be absent.
                            if let Some(path) = path.find(|path| path.exists()) {
                                self.file(&path, &below, inner)?;
                            }
                        }
                    }
                }
                Item::Use(item) => {
                    let passes_on = !matches!(item.vis, Visibility::Inherited);
                    module.import(&item.tree, &mut Vec::new(), passes_on, &at);
                }
                other => {
                    module.items.extend(name_of(&other));
                    Paths(&mut module.paths).visit_item(&other);
                }
            }
        }
        self.modules.insert(at, module);
        Ok(())
    }

    /// For each file those that it imports.
    fn imports(&self) -> BTreeMap<String, BTreeSet<String>> {
        let files = self.modules.values().map(|module| module.file.clone());
        let mut imports: BTreeMap<_, BTreeSet<String>> =
            files.map(|file| (file, BTreeSet::new())).collect();
        for (from, _, to) in self.arrows() {
            imports.entry(from).or_default().insert(to);
        }
        imports
    }

    /// Who imports, by which path, from whom.
    fn arrows(&self) -> BTreeSet<(String, String, String)> {
        let mut arrows = BTreeSet::new();
        for (at, module) in &self.modules {
            // What a module is made of may use the module's own: they are one room with a door. The root is no room.
            let above = |file: &str| {
                let mut above = (1..at.len()).filter_map(|depth| self.modules.get(&at[..depth]));
                above.any(|module| module.file == *file)
            };
            for path in &module.paths {
                let whole = self.whole(at, path);
                let Some(file) = whole.and_then(|whole| self.stands_in(&whole, 0)) else {
                    continue;
                };
                if file != module.file && !above(&file) {
                    arrows.insert((module.file.clone(), path.join("::"), file));
                }
            }
        }
        arrows
    }

    /// A path from the root, where it begins at a place of this crate.
    fn whole(&self, at: &At, path: &At) -> Option<At> {
        let (first, rest) = path.split_first()?;
        let module = self.modules.get(at)?;
        let begin = match first.as_str() {
            "crate" => Vec::new(),
            "self" => at.clone(),
            "super" => at.split_last()?.1.to_vec(),
            name => {
                let inner = [at.as_slice(), &[name.to_owned()]].concat();
                match module.names.get(name) {
                    Some(known) => known.clone(),
                    None if self.modules.contains_key(&inner) => inner,
                    None => return None,
                }
            }
        };
        Some([begin.as_slice(), rest].concat())
    }

    /// The file in which the item stands that a path from the root leads to; `None` for a module.
    fn stands_in(&self, path: &At, depth: usize) -> Option<String> {
        const DEEPEST: usize = 16;
        let mut at: At = Vec::new();
        let mut rest = path.iter();
        while let Some(name) = rest.next() {
            if name == "super" {
                at.pop();
                continue;
            }
            at.push(name.clone());
            if self.modules.contains_key(&at) {
                continue;
            }
            at.pop();
            let module = self.modules.get(&at)?;
            if depth >= DEEPEST {
                return None;
            }
            if let Some(known) = module.names.get(name) {
                let behind: At = rest.cloned().collect();
                let onward = [known.as_slice(), &behind].concat();
                return self.stands_in(&onward, depth + 1);
            }
            if module.items.contains(name) {
                return Some(module.file.clone());
            }
            let onward = |glob: &At| {
                self.stands_in(
                    &[glob.as_slice(), std::slice::from_ref(name)].concat(),
                    depth + 1,
                )
            };
            return module.globs.iter().find_map(onward);
        }
        None
    }
}

impl Module {
    fn import(&mut self, tree: &UseTree, path: &mut At, passes_on: bool, at: &At) {
        let whole = |path: &At| -> Option<At> {
            let (first, rest) = path.split_first()?;
            match first.as_str() {
                "crate" => Some(rest.to_vec()),
                "self" => Some([at.as_slice(), rest].concat()),
                "super" => Some([at.split_last()?.1, rest].concat()),
                _ => Some([at.as_slice(), path].concat()),
            }
        };
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.import(&tree.tree, path, passes_on, at);
                path.pop();
            }
            UseTree::Name(_) | UseTree::Rename(_) => {
                let (name, known_as) = match tree {
                    UseTree::Rename(tree) => (tree.ident.to_string(), tree.rename.to_string()),
                    UseTree::Name(tree) => (tree.ident.to_string(), tree.ident.to_string()),
                    _ => return,
                };
                let last = path.last().cloned().unwrap_or_default();
                let (path, known_as) = match (name.as_str(), known_as.as_str()) {
                    ("self", "self") => (path.clone(), last),
                    ("self", _) => (path.clone(), known_as),
                    _ => ([path.as_slice(), &[name]].concat(), known_as),
                };
                if let Some(whole) = whole(&path) {
                    self.names.insert(known_as, whole);
                }
                if !passes_on {
                    self.paths.push(path);
                }
            }
            UseTree::Glob(_) => self.globs.extend(whole(path)),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, path, passes_on, at);
                }
            }
        }
    }
}

/// Collects the paths of an item that stand outside of tests.
struct Paths<'a>(&'a mut Vec<At>);

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        self.0
            .push(segments.map(|it| it.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut module = Module::default();
        module.import(&item.tree, &mut Vec::new(), false, &Vec::new());
        self.0.append(&mut module.paths);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.visit_path(&item.path);
        self.tokens(item.tokens.clone());
    }
}

impl Paths<'_> {
    /// What a macro holds is no Rust yet: names with colons between them are taken for paths.
    fn tokens(&mut self, tokens: proc_macro2::TokenStream) {
        use proc_macro2::TokenTree;
        let mut path: At = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.0.push(std::mem::take(&mut path));
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                other => {
                    self.0.push(std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.0.push(path);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Where a module stands by `#[path = ".."]`, also within `cfg_attr`: the first.
fn elsewhere(attributes: &[Attribute]) -> Option<String> {
    use quote::ToTokens as _;
    let texts = attributes.iter().map(|it| it.to_token_stream().to_string());
    let found = texts.filter_map(|text| {
        let (_, path) = text.split_once("path = \"")?;
        Some(path.split_once('"')?.0.to_owned())
    });
    found.into_iter().next()
}

/// `#[test]`, `#[cfg(test)]` and the like.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let conditional = attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|it| it == "test");
        conditional || attribute.path().is_ident("test")
    })
}

fn name_of(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        Item::Union(item) => item.ident.to_string(),
        _ => return None,
    })
}

/// The groups of files that lead to each other, each in order.
fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<&str>> {
    let reached = |from: &str| -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = imports
            .get(from)
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        while let Some(file) = open.pop() {
            if seen.insert(file) {
                open.extend(imports.get(file).into_iter().flatten().map(String::as_str));
            }
        }
        seen
    };
    let reach: BTreeMap<&str, BTreeSet<&str>> = imports
        .keys()
        .map(|file| (file.as_str(), reached(file)))
        .collect();
    let mut found: BTreeSet<Vec<&str>> = BTreeSet::new();
    for (file, seen) in &reach {
        if seen.contains(file) {
            let mutual = seen
                .iter()
                .filter(|other| reach.get(*other).is_some_and(|back| back.contains(file)));
            found.insert(mutual.copied().collect());
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Vec<String> {
        let directory =
            std::env::temp_dir().join(format!("circles-{}-{}", std::process::id(), files.len()));
        for (name, text) in files {
            let path = directory.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let imports = Crate::read(&directory.join("lib.rs")).unwrap().imports();
        let shown = |file: &str| file.rsplit('/').next().unwrap().to_owned();
        let circles = circles(&imports);
        std::fs::remove_dir_all(&directory).unwrap();
        let circles = circles.into_iter();
        circles
            .map(|circle| circle.into_iter().map(shown).collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn a_circle_is_found_through_what_is_passed_on_and_within_macros() {
        let circle = read(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            (
                "a.rs",
                "mod low; pub(crate) use self::low::Low; pub(crate) struct High;",
            ),
            (
                "a/low.rs",
                "pub(crate) struct Low; fn f() { println!(\"{}\", crate::b::X) }",
            ),
            (
                "b.rs",
                "use crate::a::Low; pub(crate) const X: usize = size_of::<Low>();",
            ),
            (
                "c.rs",
                "use super::a::{self, Low}; fn f(_: Low, _: a::High) {}",
            ),
        ]);
        assert_eq!(circle, ["low.rs b.rs"]);
    }

    #[test]
    fn a_parent_that_declares_its_children_and_tests_are_none() {
        let none = read(&[
            (
                "lib.rs",
                "mod a; pub use a::A; #[cfg(test)] mod t { use crate::a::b::B; }",
            ),
            (
                "a.rs",
                "pub mod b; pub struct A; #[cfg(test)] mod tests { use super::b::B; }",
            ),
            ("a/b.rs", "use super::A; pub struct B(A);"),
        ]);
        assert!(none.is_empty(), "{none:?}");
    }
}
