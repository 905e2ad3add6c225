//! A section, read from the source of its type.

use std::{fs, path::Path};

use syn::{Attribute, Expr, Fields, Item, ItemImpl, ItemStruct, Lit, Meta, Stmt};

use crate::number;

/// A section: its name, as in `[apps.seth]`, and its settings.
pub(crate) struct Section {
    pub(crate) name: String,
    /// Whether it is one of a list, or has a name that is chosen, so that no environment variable sets it.
    pub(crate) is_listed: bool,
    pub(crate) settings: Vec<Setting>,
}

/// A setting.
pub(crate) struct Setting {
    pub(crate) name: String,
    /// What the comment says, but for the default.
    pub(crate) meaning: String,
    /// The default as the comment says it.
    pub(crate) written: Option<String>,
    /// The default as the code has it, where it is a number, a truth value or a text.
    pub(crate) counts: Option<String>,
}

impl Section {
    /// The section of this name in a file.
    pub(crate) fn read(file: &Path, name: &str) -> Self {
        let found = Self::read_all(file, name);
        let found = found.into_iter().find(|section| section.name == name);
        found.unwrap_or_else(|| panic!("{}: there is no [{name}]", file.display()))
    }

    /// The sections in a file whose names begin so.
    pub(crate) fn read_all(file: &Path, prefix: &str) -> Vec<Self> {
        let source = syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap();
        let structs = source.items.iter().filter_map(|item| match item {
            Item::Struct(item) => Some(item),
            _ => None,
        });
        let sections = structs.filter_map(|item| {
            let comment = comment(&item.attrs);
            let title = comment.strip_prefix('`')?.split('`').next()?;
            let name = title.trim_matches(['[', ']']).to_owned();
            let is_ours = title.starts_with('[') && name.starts_with(prefix);
            is_ours.then(|| Self {
                is_listed: title.starts_with("[[") || name.contains("NAME"),
                settings: settings(item, default_of(&source.items, item)),
                name,
            })
        });
        sections.collect()
    }
}

fn settings(item: &ItemStruct, default: Option<&ItemImpl>) -> Vec<Setting> {
    let Fields::Named(fields) = &item.fields else {
        return Vec::new();
    };
    let fields = fields.named.iter().filter_map(|field| {
        let name =
            renamed(&field.attrs).unwrap_or_else(|| field.ident.as_ref().unwrap().to_string());
        let comment = comment(&field.attrs);
        let (meaning, written) = split(&comment);
        // What has a table of its own.
        let is_section = meaning.starts_with("`[");
        (!is_section).then(|| Setting {
            counts: default
                .and_then(|default| value(default, &field.ident.as_ref().unwrap().to_string())),
            name,
            meaning,
            written,
        })
    });
    fields.collect()
}

/// The comment as one line.
fn comment(attributes: &[Attribute]) -> String {
    let lines = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
                Expr::Lit(text) => match &text.lit {
                    Lit::Str(text) => Some(text.value().trim().to_owned()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        });
    lines.collect::<Vec<_>>().join(" ")
}

/// The name that serde reads, where it is another one.
fn renamed(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let mut name = None;
        if attribute.path().is_ident("serde") {
            let _ = attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("rename") {
                    name = Some(meta.value()?.parse::<syn::LitStr>()?.value());
                } else if let Ok(value) = meta.value() {
                    value.parse::<Lit>()?;
                }
                Ok(())
            });
        }
        name
    })
}

/// What a setting means, and the default, which a sentence of its own says: `Default 5.` or `Default: the first one.`
fn split(comment: &str) -> (String, Option<String>) {
    let Some((meaning, default)) = comment.split_once(" Default") else {
        return (comment.to_owned(), None);
    };
    let default = default.trim_start_matches(':').trim().trim_end_matches('.');
    (meaning.to_owned(), Some(default.to_owned()))
}

fn default_of<'i>(items: &'i [Item], of: &ItemStruct) -> Option<&'i ItemImpl> {
    items.iter().find_map(|item| match item {
        Item::Impl(item) => {
            let is_default = item.trait_.as_ref()?.1.is_ident("Default");
            let syn::Type::Path(path) = &*item.self_ty else {
                return None;
            };
            (is_default && path.path.is_ident(&of.ident)).then_some(item)
        }
        _ => None,
    })
}

/// The value of a field in `Self { … }`.
fn value(default: &ItemImpl, field: &str) -> Option<String> {
    let body = default.items.iter().find_map(|item| match item {
        syn::ImplItem::Fn(function) => function.block.stmts.last(),
        _ => None,
    })?;
    let Stmt::Expr(Expr::Struct(made), _) = body else {
        return None;
    };
    let is_field =
        |pair: &&syn::FieldValue| matches!(&pair.member, syn::Member::Named(name) if name == field);
    number::evaluate(&made.fields.iter().find(is_field)?.expr)
}
