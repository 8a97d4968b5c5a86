//! `octroi init` and `octroi check`.

use crate::run::Folder;

#[tokio::test]
async fn what_init_writes_passes_the_check_and_is_never_overwritten() {
    let folder = Folder::new();
    let ran = folder.run(&["init"]).await;
    ran.expect(0, "");
    assert!(
        ran.err.contains("octroi check --config octroi.toml"),
        "{}",
        ran.err
    );
    let ran = folder.run(&["check"]).await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    let url = "http://127.0.0.1:8402/api/x402/pay/demo/hello";
    assert!(
        ran.text().contains(url) && ran.text().contains("$0.01"),
        "{}",
        ran.text()
    );
    assert!(ran.err.contains("pay_to"), "no warning: {}", ran.err);

    folder.write("octroi.toml", "mine");
    let ran = folder.run(&["init"]).await;
    assert_eq!(ran.exit, 1);
    assert!(ran.err.contains("--force"), "{}", ran.err);
    assert_eq!(folder.read("octroi.toml"), "mine");
    folder.run(&["init", "--force"]).await.expect(0, "");
    folder.run(&["init", "other.toml"]).await.expect(0, "");
    assert_eq!(folder.read("octroi.toml"), folder.read("other.toml"));
}

#[tokio::test]
async fn every_problem_is_named_with_its_place() {
    let folder = Folder::new();
    folder.run(&["init"]).await.expect(0, "");
    let wrong = folder
        .read("octroi.toml")
        .replace("price = \"$0.01\"", "price = \"cheap\"\ncolour = \"red\"");
    folder.write("octroi.toml", wrong);
    for command in ["check", "serve"] {
        let ran = folder.run(&[command]).await;
        ran.expect(78, "");
        for shown in ["price", "colour", "octroi.toml:", "2 errors"] {
            assert!(ran.err.contains(shown), "{command} {shown}: {}", ran.err);
        }
    }
    let ran = folder.run(&["check", "--json"]).await;
    assert_eq!((ran.exit, ran.err.as_str()), (78, ""));
    let verdict = ran.json();
    assert_eq!(verdict["valid"], false);
    let errors = verdict["problems"].as_array().unwrap().iter();
    let errors: Vec<_> = errors
        .filter(|problem| problem["severity"] == "error")
        .collect();
    assert_eq!(errors.len(), 2);
    assert!(
        errors.iter().all(|problem| problem["line"].is_u64()),
        "{errors:?}"
    );
}

#[tokio::test]
async fn a_good_configuration_is_summed_up_for_programs() {
    let folder = Folder::new();
    folder.run(&["init"]).await.expect(0, "");
    let verdict = folder.run(&["check", "--json", "--effective"]).await.json();
    assert_eq!(verdict["valid"], true);
    let serves = &verdict["serves"];
    assert_eq!(serves["networks"][0]["name"], "base-sepolia");
    assert_eq!(serves["networks"][0]["mode"], "test");
    assert_eq!(serves["services"][0]["paywalls"][0]["price"], "$0.01");
    assert!(verdict["effective"].as_str().unwrap().contains("[server]"));
    let ran = folder.run(&["check", "--effective"]).await;
    assert_eq!(ran.text(), verdict["effective"].as_str().unwrap());
}

#[tokio::test]
async fn screened_addresses_are_counted() {
    let folder = Folder::new();
    folder.run(&["init"]).await.expect(0, "");
    let sells = folder.read("octroi.toml");
    let verdict = folder.run(&["check", "--json"]).await.json();
    assert_eq!(verdict["serves"]["screenedAddresses"], 0);
    let text = folder.run(&["check"]).await;
    assert!(!text.text().contains("screening"), "{}", text.text());

    let (one, other) = ("1".repeat(40), "2".repeat(40));
    let listed = format!("{sells}\n[screening]\naddresses = [\"0x{one}\"]\n");
    folder.write("octroi.toml", &listed);
    let text = folder.run(&["check"]).await;
    assert!(
        text.text().contains("\nscreening 1 address\n"),
        "{}",
        text.text()
    );

    folder.write("octroi.toml", listed + "file = \"denied.txt\"\n");
    folder.write(
        "denied.txt",
        format!("0x{one}\n0x{other} # again\n0x{other}\n"),
    );
    let text = folder.run(&["check"]).await;
    assert!(
        text.text().contains("\nscreening 2 addresses\n"),
        "{}",
        text.text()
    );
    let verdict = folder.run(&["check", "--json"]).await.json();
    assert_eq!(verdict["serves"]["screenedAddresses"], 2);
}

#[tokio::test]
async fn a_missing_configuration_says_how_to_get_one() {
    for command in ["check", "serve", "books"] {
        let ran = Folder::new().run(&[command]).await;
        ran.expect(78, "");
        assert!(ran.err.contains("octroi init"), "{command}: {}", ran.err);
    }
}

#[tokio::test]
async fn the_version_is_that_of_the_package() {
    let ran = Folder::new().run(&["--version"]).await;
    ran.expect(0, concat!("octroi ", env!("CARGO_PKG_VERSION"), "\n"));
}
