//! Files in one folder do not import each other in circles, so a reader of one of them can read downwards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// A module's path within its crate.
type Module = Vec<String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The source folders of all crates in the repository.
fn crates() -> Vec<PathBuf> {
    let listed = std::process::Command::new("git")
        .args(["ls-files", "*src/lib.rs", "*src/main.rs"])
        .current_dir(root())
        .output()
        .expect("git");
    let listed = String::from_utf8(listed.stdout).expect("paths in UTF-8");
    let mut found: Vec<PathBuf> = listed
        .lines()
        .filter_map(|file| Path::new(file).parent().map(Path::to_owned))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The modules in files under `folder`, without tests.
fn modules(folder: &Path, module: &Module, found: &mut BTreeMap<Module, PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if name.contains("test") {
            continue;
        }
        let mut inner = module.clone();
        if path.is_dir() {
            inner.push(name.into_owned());
            modules(&path, &inner, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let is_folder =
                name == "mod" || (module.is_empty() && (name == "lib" || name == "main"));
            if !is_folder {
                inner.push(name.into_owned());
            }
            found.insert(inner, path);
        }
    }
}

/// Every path that a file names, from the crate's root.
struct Paths<'m> {
    module: &'m Module,
    found: Vec<Module>,
}

impl Paths<'_> {
    /// A path from this module, if it begins with `crate`, `self` or `super`.
    fn name(&mut self, segments: &[String]) {
        let mut segments = segments.iter().peekable();
        let mut path = match segments.peek().map(|segment| segment.as_str()) {
            Some("crate") => Module::new(),
            Some("self" | "super") => self.module.clone(),
            _ => return,
        };
        while let Some(segment) = segments.peek() {
            match segment.as_str() {
                "crate" | "self" => {}
                "super" => drop(path.pop()),
                _ => break,
            }
            segments.next();
        }
        path.extend(segments.cloned());
        self.found.push(path);
    }

    fn use_tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        let with = |name: &syn::Ident| {
            let mut path = before.to_vec();
            path.push(name.to_string());
            path
        };
        match tree {
            syn::UseTree::Path(path) => self.use_tree(&path.tree, &with(&path.ident)),
            syn::UseTree::Name(name) => self.name(&with(&name.ident)),
            syn::UseTree::Rename(name) => self.name(&with(&name.ident)),
            syn::UseTree::Glob(_) => self.name(before),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(tree, before);
                }
            }
        }
    }
}

impl Visit<'_> for Paths<'_> {
    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        self.use_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let segments = path.segments.iter();
        let segments: Vec<String> = segments.map(|segment| segment.ident.to_string()).collect();
        self.name(&segments);
        visit::visit_path(self, path);
    }

    /// In a module inside a file, `super` means that file; tests may use anything.
    fn visit_item_mod(&mut self, _: &syn::ItemMod) {}
}

/// The groups of names in `edges` that form cycles.
fn cycles(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reached = |from: &String| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from.clone()];
        while let Some(name) = next.pop() {
            for other in edges.get(&name).into_iter().flatten() {
                if seen.insert(other.clone()) {
                    next.push(other.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> =
        edges.keys().map(|name| (name, reached(name))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for (name, others) in &reached {
        if !others.contains(*name) || found.iter().any(|cycle| cycle.contains(*name)) {
            continue;
        }
        let is_mutual = |other: &&String| {
            let back = reached.get(*other);
            back.is_some_and(|back| back.contains(*name))
        };
        found.push(others.iter().filter(is_mutual).cloned().collect());
    }
    found
}

#[test]
fn no_files_of_a_folder_import_each_other() {
    let mut found = BTreeMap::new();
    for source in crates() {
        let mut files = BTreeMap::new();
        modules(&root().join(&source), &Module::new(), &mut files);
        // For each folder, which of its modules uses which other.
        let mut folders: BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for (module, path) in &files {
            let text = std::fs::read_to_string(path).expect("a file");
            let file = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let mut paths = Paths {
                module,
                found: Vec::new(),
            };
            paths.visit_file(&file);
            for named in paths.found {
                // The path names an item of the longest module path that it begins with.
                let lengths = (0..=named.len()).rev();
                let Some(target) = lengths
                    .map(|length| &named[..length])
                    .find(|path| files.contains_key(*path))
                else {
                    continue;
                };
                let common = module
                    .iter()
                    .zip(target)
                    .take_while(|(a, b)| a == b)
                    .count();
                if let (Some(from), Some(to)) = (module.get(common), target.get(common)) {
                    let folder = folders.entry(module[..common].to_vec()).or_default();
                    folder.entry(from.clone()).or_default().insert(to.clone());
                }
            }
        }
        for (folder, edges) in folders {
            for cycle in cycles(&edges) {
                let mut place = source.clone();
                place.extend(&folder);
                let place = place.display().to_string();
                let names: Vec<String> = cycle.into_iter().collect();
                found.insert(place, names);
            }
        }
    }
    assert!(
        found.is_empty(),
        "modules of a folder that lead to each other: {found:#?}"
    );
}
