//! Links between pages.

use crate::markdown::{Page, page, pages, root};

#[test]
fn every_link_leads_somewhere() {
    for from in pages() {
        for target in targets(&from) {
            if target.starts_with("https://") {
                continue;
            }
            let (file, anchor) = match target.split_once('#') {
                Some((file, anchor)) => (file, Some(anchor)),
                None => (target, None),
            };
            let folder = from.name.rsplit_once('/').map_or("", |(folder, _)| folder);
            let path = if file.is_empty() {
                root().join(&from.name)
            } else {
                root().join(folder).join(file)
            };
            let link = format!("{} links to {target}", from.name);
            assert!(path.exists(), "{link}, which is not there");
            if let Some(anchor) = anchor {
                let to = path.canonicalize().unwrap();
                let to = to.strip_prefix(root().canonicalize().unwrap()).unwrap();
                let to = page(to.to_str().unwrap());
                let found = anchors(&to).any(|found| found == anchor);
                assert!(found, "{link}, which has no such heading");
            }
        }
    }
}

#[test]
fn every_page_is_linked() {
    let all = pages();
    let linked: Vec<_> = all.iter().flat_map(targets).collect();
    for page in all.iter().filter(|page| page.name != "README.md") {
        let name = page.name.rsplit('/').next().unwrap();
        let found = linked
            .iter()
            .any(|target| target.split('#').next().unwrap().ends_with(name));
        assert!(found, "no page links to {}", page.name);
    }
}

/// What `[text](target)` links to.
fn targets(page: &Page) -> Vec<&str> {
    let ends = page.text.split("](").skip(1);
    ends.filter_map(|rest| rest.split(')').next()).collect()
}

/// The names of a page's headings, as web views of repositories make them.
fn anchors(page: &Page) -> impl Iterator<Item = String> + '_ {
    let headings = page.text.lines().filter(|line| line.starts_with('#'));
    headings.map(|heading| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || "-_".contains(c) => Some(c),
            _ => None,
        });
        kept.collect()
    })
}
