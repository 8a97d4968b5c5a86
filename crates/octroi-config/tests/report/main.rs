//! What is said about wrong configurations, to the letter.
#![expect(clippy::unwrap_used, reason = "a test may stop")]

mod form;
mod network;
mod screening;
mod selling;
mod server;
#[path = "../setup/mod.rs"]
mod setup;
mod site;

/// What is wrong with a text, as people read it, between line breaks.
fn report(text: &str) -> String {
    let report = setup::check(text, &[]).map_or_else(|report| report, |loaded| loaded.warnings);
    let printed = format!("\n{report}\n");
    for secret in [setup::TOKEN, setup::WALLET_KEY] {
        assert!(!printed.contains(secret));
    }
    printed
}
