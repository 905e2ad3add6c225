//! The modules of a crate, read from its files: what each defines, and what it hands on.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use syn::{Item, UseTree, Visibility};

/// A module by its path from the root of the crate, such as `["space", "presence"]`.
pub(crate) type ModulePath = Vec<String>;

/// What stands in one file.
pub(crate) struct Module {
    /// The path of the file below `src`.
    pub(crate) file: String,
    /// Everything but tests.
    pub(crate) items: Vec<Item>,
    /// Names that are defined here.
    defined: BTreeSet<String>,
    /// Names that are handed on from elsewhere, with the path as it is written.
    handed_on: BTreeMap<String, Vec<String>>,
    /// Modules of which everything is handed on.
    handed_on_whole: Vec<Vec<String>>,
}

/// All modules of a crate.
pub(crate) struct Source {
    pub(crate) modules: BTreeMap<ModulePath, Module>,
}

impl Source {
    /// Reads all files below `src`; modules of tests are left out.
    pub(crate) fn read(src: &Path) -> Self {
        let mut source = Self {
            modules: BTreeMap::new(),
        };
        let root = ["lib.rs", "main.rs"]
            .into_iter()
            .find(|name| src.join(name).exists())
            .unwrap();
        source.read_file(src, root.to_owned(), Vec::new());
        source
    }

    fn read_file(&mut self, src: &Path, file: String, path: ModulePath) {
        let text = std::fs::read_to_string(src.join(&file)).unwrap();
        let items = syn::parse_file(&text).unwrap().items;
        let items: Vec<_> = items.into_iter().filter(|item| !is_test(item)).collect();
        let folder = match file.rsplit_once('/') {
            Some((folder, "mod.rs")) => format!("{folder}/"),
            _ if path.is_empty() => String::new(),
            _ => format!("{}/", file.trim_end_matches(".rs")),
        };
        for item in &items {
            if let Item::Mod(module) = item
                && module.content.is_none()
            {
                let name = module.ident.to_string();
                let file = [
                    format!("{folder}{name}.rs"),
                    format!("{folder}{name}/mod.rs"),
                ]
                .into_iter()
                .find(|file| src.join(file).exists());
                let mut path = path.clone();
                path.push(name);
                self.read_file(src, file.unwrap(), path);
            }
        }
        let module = Module::new(file, items);
        self.modules.insert(path, module);
    }

    /// The file where `path`, written in the module `at`, leads to, and what of the path is a name in there.
    pub(crate) fn resolve(&self, at: &[String], path: &[String]) -> Option<(ModulePath, String)> {
        self.follow(at, path, 0)
    }

    fn follow(&self, at: &[String], path: &[String], depth: usize) -> Option<(ModulePath, String)> {
        if depth > 16 {
            return None;
        }
        let mut module: ModulePath = at.to_vec();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => module.clear(),
            "self" => {}
            "super" => {
                module.pop()?;
            }
            // A module below, or something of another crate.
            first => {
                module.push(first.to_owned());
                if !self.modules.contains_key(&module) {
                    return None;
                }
            }
        }
        rest = &rest[1..];
        while let Some(name) = rest.first() {
            if name == "super" {
                module.pop()?;
                rest = &rest[1..];
                continue;
            }
            let mut below = module.clone();
            below.push(name.clone());
            if self.modules.contains_key(&below) {
                module = below;
                rest = &rest[1..];
                continue;
            }
            let here = self.modules.get(&module)?;
            if here.defined.contains(name) {
                return Some((module, name.clone()));
            }
            if let Some(from) = here.handed_on.get(name) {
                let mut whole = from.clone();
                whole.extend_from_slice(&rest[1..]);
                return self.follow(&module, &whole, depth + 1);
            }
            let found = here.handed_on_whole.iter().find_map(|from| {
                let mut whole = from.clone();
                whole.extend_from_slice(rest);
                self.follow(&module, &whole, depth + 1)
                    .filter(|(_, found)| found == name)
            });
            return found.or_else(|| Some((module.clone(), name.clone())));
        }
        Some((module, String::new()))
    }
}

impl Module {
    fn new(file: String, items: Vec<Item>) -> Self {
        let mut module = Self {
            file,
            items: Vec::new(),
            defined: BTreeSet::new(),
            handed_on: BTreeMap::new(),
            handed_on_whole: Vec::new(),
        };
        for item in &items {
            if let Some(name) = defined(item) {
                module.defined.insert(name);
            }
            if let Item::Use(item) = item {
                let pub_use = !matches!(item.vis, Visibility::Inherited);
                for (path, name) in uses(&item.tree) {
                    match name {
                        Some(name) => {
                            module.handed_on.insert(name, path);
                        }
                        None if pub_use => module.handed_on_whole.push(path),
                        None => {}
                    }
                }
            }
        }
        module.items = items;
        module
    }
}

/// The paths that a `use` names, each with the name that it gets; no name for `*`.
pub(crate) fn uses(tree: &UseTree) -> Vec<(Vec<String>, Option<String>)> {
    let mut found = Vec::new();
    collect(tree, &mut Vec::new(), &mut found);
    found
}

fn collect(tree: &UseTree, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, Option<String>)>) {
    let with = |path: &[String], name: &syn::Ident| {
        let mut path = path.to_vec();
        if name != "self" || path.is_empty() {
            path.push(name.to_string());
        }
        path
    };
    match tree {
        UseTree::Path(inner) => {
            path.push(inner.ident.to_string());
            collect(&inner.tree, path, found);
            path.pop();
        }
        UseTree::Name(name) => {
            let path = with(path, &name.ident);
            let name = path.last().cloned();
            found.push((path, name));
        }
        UseTree::Rename(rename) => {
            found.push((with(path, &rename.ident), Some(rename.rename.to_string())));
        }
        UseTree::Glob(_) => found.push((path.clone(), None)),
        UseTree::Group(group) => {
            for tree in &group.items {
                collect(tree, path, found);
            }
        }
    }
}

fn defined(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// Whether an item is there for tests only.
fn is_test(item: &Item) -> bool {
    let attributes = match item {
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}
