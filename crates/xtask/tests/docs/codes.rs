//! The table of error codes, which is written by hand: what to do is known to people only.

use octroi_types::ErrorCode;

use crate::markdown::{page, table};

#[test]
fn every_error_code_is_explained_with_its_status_and_no_other() {
    let page = page("docs/errors.md");
    let rows = table(&page.text, "code");
    let listed: Vec<(String, String)> = rows
        .iter()
        .map(|row| (row[0].replace('`', ""), row[1].to_owned()))
        .collect();
    let codes: Vec<(String, String)> = ErrorCode::ALL
        .iter()
        .map(|code| (code.to_string(), code.status().to_string()))
        .collect();
    assert_eq!(listed, codes, "the table follows the order of ErrorCode");
    for row in rows {
        let [code, _, meaning, advice] = row[..] else {
            panic!("{row:?} has not four cells")
        };
        assert!(meaning.ends_with('.') && advice.ends_with('.'), "{code}");
    }
}
