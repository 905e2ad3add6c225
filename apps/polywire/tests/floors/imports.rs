//! Imports between files: the paths in a file that lead to other files of the same crate.

use std::collections::{BTreeMap, BTreeSet};

use syn::{
    Item,
    visit::{self, Visit},
};

use super::source::{Module, Source, uses};

/// The imports of a crate, from file to file.
pub(crate) struct Imports {
    files: BTreeSet<String>,
    /// The user, what is used, and one name that is used.
    between: BTreeMap<(String, String), String>,
}

impl Imports {
    pub(crate) fn of(source: &Source) -> Self {
        let mut imports = Self {
            files: BTreeSet::new(),
            between: BTreeMap::new(),
        };
        for (path, module) in &source.modules {
            // The root declares and hands on; it stands above all.
            if path.is_empty() {
                continue;
            }
            imports.files.insert(module.file.clone());
            let mut paths = Paths::default();
            paths.of(module);
            for written in paths.written {
                let found = match paths.names.get(&written[0]) {
                    // The first part may be a module that was imported.
                    Some(imported) if written.len() > 1 => {
                        let whole = [imported, &written[1..]].concat();
                        source.resolve(path, &whole)
                    }
                    _ => source.resolve(path, &written),
                };
                let Some((used, name)) = found else {
                    continue;
                };
                let used = &source.modules[&used].file;
                if *used != module.file && used != "lib.rs" {
                    let key = (module.file.clone(), used.clone());
                    imports.between.entry(key).or_insert(name);
                }
            }
        }
        imports
    }

    /// All files but the root.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// The user, what it uses, and one name of that.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.between
            .iter()
            .map(|((user, used), name)| (&**user, &**used, &**name))
    }
}

/// The paths that stand in a file.
#[derive(Default)]
struct Paths {
    written: Vec<Vec<String>>,
    /// What names mean that were imported.
    names: BTreeMap<String, Vec<String>>,
}

impl Paths {
    fn of(&mut self, module: &Module) {
        for item in &module.items {
            if let Item::Use(item) = item {
                // What a module hands on it does not use.
                let is_own = matches!(item.vis, syn::Visibility::Inherited);
                for (path, name) in uses(&item.tree) {
                    if let Some(name) = name {
                        self.names.insert(name, path.clone());
                    }
                    if is_own {
                        self.written.push(path);
                    }
                }
            } else {
                self.visit_item(item);
            }
        }
        self.follow_what_is_handed_on();
    }

    /// A file that uses a name which it also hands on uses it all the same: plain names are looked up.
    fn follow_what_is_handed_on(&mut self) {
        for path in &mut self.written {
            if path.len() == 1
                && let Some(imported) = self.names.get(&path[0])
            {
                *path = imported.clone();
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        self.written
            .push(segments.map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.written
            .extend(uses(&item.tree).into_iter().map(|(path, _)| path));
    }

    /// `pub(super)` uses nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}
}
