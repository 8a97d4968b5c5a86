//! As much of Markdown as the pages use.

use std::path::{Path, PathBuf};

/// A page of the project.
#[derive(Debug)]
pub(crate) struct Page {
    /// From the root of the checkout, with `/`.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block<'p> {
    pub(crate) language: &'p str,
    pub(crate) text: String,
}

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap().to_owned()
}

/// The pages for users and contributors.
pub(crate) fn pages() -> Vec<Page> {
    let top = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ];
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = docs
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("docs/{name}"))
        .chain(top.map(str::to_owned))
        .collect();
    names.sort();
    names.into_iter().map(page).collect()
}

/// One page.
pub(crate) fn page(name: impl Into<String>) -> Page {
    let name = name.into();
    let text = std::fs::read_to_string(root().join(&name))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    Page { name, text }
}

impl Page {
    /// Its fenced blocks.
    pub(crate) fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks = Vec::new();
        let mut open: Option<Block<'_>> = None;
        for line in self.text.lines() {
            match (line.strip_prefix("```"), &mut open) {
                (Some(language), None) => {
                    let text = String::new();
                    open = Some(Block { language, text });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => block.text.extend([line, "\n"]),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{} leaves a block open", self.name);
        blocks
    }

    /// Its text without fenced blocks.
    pub(crate) fn prose(&self) -> String {
        let mut fenced = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            if line.starts_with("```") {
                fenced = !fenced;
            } else if !fenced {
                prose.extend([line, "\n"]);
            }
        }
        prose
    }
}

/// What stands in code font in a text without fenced blocks, with what stands before it on its line.
pub(crate) fn spans(prose: &str) -> Vec<(&str, &str)> {
    let mut spans = Vec::new();
    for line in prose.lines() {
        let mut parts = line.split('`');
        let mut before = parts.next().unwrap_or_default();
        while let (Some(span), Some(after)) = (parts.next(), parts.next()) {
            spans.push((before, span));
            before = after;
        }
    }
    spans
}

/// The cells of the rows of the first table in `text` whose head begins with `column`.
pub(crate) fn table<'t>(text: &'t str, column: &str) -> Vec<Vec<&'t str>> {
    let head = format!("| {column} |");
    text.lines()
        .skip_while(|line| !line.starts_with(&head))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let cells = line.strip_prefix('|').unwrap().strip_suffix('|').unwrap();
            cells.split('|').map(str::trim).collect()
        })
        .collect()
}

#[test]
fn pages_are_taken_apart() {
    let text = "one `a` two `b c`\n```toml\nx = 1\n```\n| h | i |\n|---|---|\n| `1` | two |\n\n| 3 | 4 |\n";
    let page = Page {
        name: String::new(),
        text: text.to_owned(),
    };
    let text = "x = 1\n".to_owned();
    let language = "toml";
    assert_eq!(page.blocks(), [Block { language, text }]);
    let prose = page.prose();
    let expected = [("one ", "a"), (" two ", "b c"), ("| ", "1")];
    assert_eq!(spans(&prose), expected);
    assert_eq!(table(&prose, "h"), [["`1`", "two"]]);
}
