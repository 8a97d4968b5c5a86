//! Nothing that is printed shows a secret.
#![expect(clippy::unwrap_used, reason = "a test may stop")]

mod setup;

use proptest::prelude::*;
use setup::{TOKEN, WALLET_KEY, check};

const WITH_SECRETS: &str = r#"
[tenant]
pay_to = "0x1111111111111111111111111111111111111111"

[network.base]
rpc_urls = ["https://rpc.example/v2/QZXJKWVQZXJKWV"]
wallet_key_files = ["wallet.key"]
wallet_key_variables = ["SECOND_KEY"]

[network.base-sepolia]
rpc_urls = ["https://rpc.example/?key=QZXJKWVQZXJKWV"]

[network.base-sepolia.facilitator]
url = "https://facilitator.example/QZXJKWVQZXJKWV"
bearer_file = "token.txt"

[[service]]
name = "api"
origin = "http://127.0.0.1:3000"
networks = ["base"]
auth = { bearer_file = "token.txt" }

[[service.paywall]]
slug = "a"
price = "0.01"
"#;

/// What stands in the file where a URL may carry a key.
const PLANTED: &str = "QZXJKWVQZXJKWV";
const SECOND_KEY: &str = "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba";

#[test]
fn a_loaded_configuration_prints_no_secret() {
    let loaded = check(WITH_SECRETS, &[("SECOND_KEY", SECOND_KEY)]);
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    let printed = format!(
        "{loaded:?} {:#?} {} {}",
        loaded.config, loaded.effective, loaded.warnings
    );
    for secret in [PLANTED, TOKEN, SECOND_KEY, &WALLET_KEY[2..]] {
        assert!(!printed.contains(secret), "{printed}");
    }
    // It was really there.
    assert!(
        loaded.config.networks[0].rpc_urls[0]
            .expose()
            .contains(PLANTED)
    );
    assert!(
        loaded
            .effective
            .contains("rpc_urls = [\"https://rpc.example/…\"]")
    );
    assert!(
        loaded
            .effective
            .contains("wallet_key_variables = [\"[redacted]\"]")
    );
}

#[test]
fn misplaced_secrets_are_not_repeated() {
    for text in [
        "[tenant]\nsecret = \"QZXJKWVQZXJKWV\"",
        "[network.base]\nbearer = \"QZXJKWVQZXJKWV\"",
        "[network.base]\nrpc_urls = \"QZXJKWVQZXJKWV\"",
        "[network.base]\nrpc_urls = 5 # QZXJKWVQZXJKWV",
        "[network.base]\nrpc_urls = QZXJKWVQZXJKWV",
        "[network.base]\nrpc_urls = \"\"\"\nQZXJKWVQZXJKWV",
        "[network.base]\nurl = { a = [\"x\",\n \"QZXJKWVQZXJKWV\", 5 5] }",
        "[[service]]\nauth = { bearer_fil = 'QZXJKWVQZXJKWV', header = 5 }",
    ] {
        let report = check(text, &[]).unwrap_err();
        let json = serde_json::to_string(&report).unwrap();
        let printed = format!("{report} {report:?} {json}");
        assert!(!printed.contains(PLANTED), "{printed}");
    }
}

/// A keystroke at a place of the text.
#[derive(Debug, Clone)]
enum Slip {
    Delete(usize),
    Insert(usize, char),
}

fn slip() -> impl Strategy<Value = Slip> {
    let typed = proptest::sample::select(vec![
        '"', '\'', '[', ']', '{', '=', '\n', '#', '.', 'x', '5', ',',
    ]);
    prop_oneof![
        any::<usize>().prop_map(Slip::Delete),
        (any::<usize>(), typed).prop_map(|(at, c)| Slip::Insert(at, c)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_slip_of_the_keyboard_shows_a_secret(slips in proptest::collection::vec(slip(), 1..4)) {
        let mut text: Vec<char> = WITH_SECRETS.chars().collect();
        for slip in slips {
            match slip {
                Slip::Delete(at) => drop(text.remove(at % text.len())),
                Slip::Insert(at, c) => text.insert(at % text.len(), c),
            }
        }
        let text: String = text.into_iter().collect();
        let printed = match check(&text, &[("SECOND_KEY", SECOND_KEY)]) {
            Ok(loaded) => format!("{loaded:?} {}", loaded.warnings),
            Err(report) => format!("{report} {report:?}"),
        };
        // Slips may cut the planted text; either half gives it away.
        for part in [&PLANTED[..7], TOKEN, SECOND_KEY, &WALLET_KEY[2..]] {
            prop_assert!(!printed.contains(part), "{text}\n{printed}");
        }
    }

    #[test]
    fn any_text_is_checked_without_panic(text in "\\PC{0,200}", tail in "[\\[\\]a-z.=\" \n]{0,80}") {
        drop(check(&text, &[]));
        drop(check(&tail, &[]));
    }
}
