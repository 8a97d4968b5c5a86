//! `octroi pay` when it must not pay.

use octroi_x402::Version;

use crate::run::{Folder, run};
use crate::seller::{Seller, Selling};

async fn selling(selling: Selling) -> Seller {
    Seller::of(selling, "content").await
}

/// Nothing was paid, and the server was asked once.
#[track_caller]
fn assert_unpaid(seller: &Seller) {
    assert_eq!(seller.got().len(), 1);
    assert!(seller.payments().is_empty());
}

#[tokio::test]
async fn a_price_above_the_limit_is_not_paid() {
    for version in [Version::V1, Version::V2] {
        let seller = selling(Selling {
            price: 100_001,
            version,
            ..Selling::default()
        })
        .await;
        let folder = Folder::new();
        let ran = folder.pay(&[&seller.url()]).await;
        ran.expect(3, "");
        assert!(
            ran.err
                .contains("the price $0.100001 is above the limit $0.10"),
            "{}",
            ran.err
        );
        assert_unpaid(&seller);
        let args = ["--max", "0.100001", &seller.url()];
        folder.pay(&args).await.expect(0, "content");
    }
}

#[tokio::test]
async fn real_money_is_paid_only_when_asked_for() {
    let seller = selling(Selling {
        network: "base",
        ..Selling::default()
    })
    .await;
    let folder = Folder::new();
    let ran = folder.pay(&[&seller.url()]).await;
    ran.expect(3, "");
    assert!(ran.err.contains("--network base or --live"), "{}", ran.err);
    assert_unpaid(&seller);
    for flags in [
        &["--live"][..],
        &["--network", "base"],
        &["--network", "eip155:8453"],
    ] {
        let ran = folder.pay(&[flags, &[&seller.url()]].concat()).await;
        ran.expect(0, "content");
        assert!(ran.err.contains("REAL MONEY"), "{}", ran.err);
    }
    let other = ["--network", "base-sepolia", &seller.url()];
    folder.pay(&other).await.expect(3, "");
}

#[tokio::test]
async fn a_token_that_was_not_named_is_not_paid_with() {
    let seller = selling(Selling::default()).await;
    let other = format!("0x{}", "ab".repeat(20));
    let args = [
        "--network",
        "base-sepolia",
        "--asset",
        &other,
        "--decimals",
        "6",
    ];
    let ran = Folder::new()
        .pay(&[&args[..], &[&seller.url()]].concat())
        .await;
    ran.expect(3, "");
    assert_unpaid(&seller);
}

#[tokio::test]
async fn a_dry_run_shows_what_would_be_signed_and_pays_nothing() {
    let seller = selling(Selling::default()).await;
    let folder = Folder::new();
    let ran = folder.pay(&["--dry-run", &seller.url()]).await;
    ran.expect(0, "");
    for shown in [
        "$0.01",
        "USDC version 2, chain id 84532",
        "0x2c7536E",
        "Nothing was paid",
    ] {
        assert!(ran.err.contains(shown), "{shown}: {}", ran.err);
    }
    assert_unpaid(&seller);

    let story = folder
        .pay(&["--dry-run", "--json", &seller.url()])
        .await
        .json();
    assert_eq!(story["outcome"], "dry_run");
    assert_eq!(story["terms"]["amount"], "10000");
    assert_eq!(story["payment"]["sent"], false);
    // Without a key the terms are shown all the same.
    let ran = run(folder.command(&["pay", "--dry-run", &seller.url()])).await;
    ran.expect(0, "");
    assert!(seller.payments().is_empty());
}

#[tokio::test]
async fn terms_for_another_resource_are_not_paid() {
    for (version, resource) in [
        (Version::V1, "http://127.0.0.1:1/thing"),
        (Version::V2, "https://elsewhere.example/thing"),
        (Version::V2, "/other"),
    ] {
        let seller = selling(Selling {
            resource: Some(resource.to_owned()),
            version,
            ..Selling::default()
        })
        .await;
        let folder = Folder::new();
        let ran = folder.pay(&[&seller.url()]).await;
        ran.expect(3, "");
        assert!(ran.err.contains(resource), "{}", ran.err);
        assert_unpaid(&seller);
        let story = folder.pay(&["--json", &seller.url()]).await.json();
        assert_eq!(story["error"]["code"], "resource_mismatch");
        assert_eq!(story["terms"]["resource"], resource);
        let args = ["--allow-resource-mismatch", &seller.url()];
        folder.pay(&args).await.expect(0, "content");
    }
}

#[tokio::test]
async fn without_a_key_nothing_is_paid() {
    let seller = selling(Selling::default()).await;
    let folder = Folder::new();
    let ran = run(folder.command(&["pay", &seller.url()])).await;
    ran.expect(2, "");
    assert!(ran.err.contains("--key-file"), "{}", ran.err);
    assert_unpaid(&seller);
}

#[tokio::test]
async fn an_output_that_cannot_be_written_is_noticed_before_paying() {
    let seller = selling(Selling::default()).await;
    let folder = Folder::new();
    let args = ["-o", "no/such/folder.txt", &seller.url()];
    folder.pay(&args).await.expect(2, "");
    assert!(seller.got().is_empty());

    folder.write("kept.txt", "kept");
    let refused = ["--max", "0.001", "-o", "kept.txt", &seller.url()];
    folder.pay(&refused).await.expect(3, "");
    assert_eq!(folder.read("kept.txt"), "kept");
    let refused = ["--max", "0.001", "-o", "new.txt", &seller.url()];
    folder.pay(&refused).await.expect(3, "");
    assert!(!folder.path().join("new.txt").exists());
}

#[tokio::test]
async fn arguments_that_make_no_sense_are_refused_before_anything_is_sent() {
    let seller = selling(Selling::default()).await;
    let url = seller.url();
    for args in [
        &["--max", "0"][..],
        &["--network", "nowhere"],
        &["--asset", "0x12"],
        &["--decimals", "6"],
        &["--timeout", "0"],
        &["-H", "no colon"],
        &["-H", "X-Payment: abc"],
        &["-d", "@no-such-file"],
        &["--ca-file", "no-such-file"],
        &["-X", "CONNECT"],
    ] {
        let ran = Folder::new().pay(&[args, &[&url]].concat()).await;
        assert_eq!(ran.exit, 2, "{args:?}: {}", ran.err);
    }
    assert!(seller.got().is_empty());
}
