//! What a restart finds.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use alloy_primitives::{Address, U256};
use octroi_devnet::{DevNetError, StoreError};
use octroi_types::{Amount, ChainId};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::*;

fn open(directory: &Path) -> Net {
    Net::with(|options| options.persist_path = Some(directory.to_owned()))
}

fn pay(net: &Net, salt: u64) -> Value {
    let call = payment(&Wallet::of(2), Wallet::of(77).address, 1, salt);
    net.transact(&Wallet::of(1), token(), call)
}

/// Everything that a client could compare.
fn picture(net: &Net) -> Value {
    let blocks: Vec<_> = (0..=net.head())
        .map(|number| {
            let id = format!("{number:#x}");
            json!([
                net.rpc("eth_getBlockByNumber", json!([id, true])),
                net.rpc("eth_getBlockReceipts", json!([id])),
            ])
        })
        .collect();
    let accounts: Vec<_> = (0..10)
        .chain([77])
        .map(|index| {
            let address = Wallet::of(index).address;
            let named = json!([address.to_string(), "latest"]);
            json!([
                net.rpc("eth_getBalance", named.clone()),
                net.rpc("eth_getTransactionCount", named),
                net.tokens(address).to_string(),
            ])
        })
        .collect();
    let logs = net.rpc(
        "eth_getLogs",
        json!([{ "fromBlock": "0x0", "toBlock": "latest" }]),
    );
    json!([blocks, accounts, logs])
}

fn busy(net: &Net) {
    for salt in 0..5 {
        pay(net, salt);
    }
    net.rpc("anvil_reorg", json!([2]));
    let somebody = octroi_types::Address([0x33; 20]);
    net.node.fund(somebody, Amount::new(9).unwrap(), 5).unwrap();
    net.rpc(
        "anvil_setCode",
        json!([Address::repeat_byte(0x44).to_string(), "0x6001600055"]),
    );
    net.transact(&Wallet::of(1), Address::repeat_byte(0x44), Vec::new());
    net.rpc("evm_increaseTime", json!([1000]));
    net.rpc("evm_mine", json!([]));
}

fn journal(directory: &Path) -> PathBuf {
    let mut journals: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("journal")
        })
        .collect();
    journals.sort();
    journals.pop().unwrap()
}

#[test]
fn a_killed_network_comes_back_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let net = open(directory.path());
    busy(&net);
    let before = picture(&net);
    // Dropping it writes nothing, as a kill would not.
    drop(net);
    let net = open(directory.path());
    assert_eq!(picture(&net), before);
    // It goes on from there: time, forks, nonces.
    net.rpc("evm_mine", json!([]));
    let latest = net.rpc("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(quantity(&latest["timestamp"]), START + 1000);
    let storage = json!([Address::repeat_byte(0x44).to_string(), "0x0", "latest"]);
    assert_eq!(
        U256::from_be_slice(&bytes(&net.rpc("eth_getStorageAt", storage))),
        U256::ONE
    );
    net.rpc("anvil_reorg", json!([3]));
    pay(&net, 100);
    let before = picture(&net);
    drop(net);
    assert_eq!(picture(&open(directory.path())), before);
}

#[test]
fn a_closed_network_comes_back_as_it_was_and_can_still_take_blocks_back() {
    let directory = tempfile::tempdir().unwrap();
    let net = open(directory.path());
    busy(&net);
    net.node.close().unwrap();
    pay(&net, 50);
    let before = picture(&net);
    net.node.close().unwrap();
    drop(net);
    let net = open(directory.path());
    assert_eq!(picture(&net), before);
    let payee = Wallet::of(77).address;
    let tokens = net.tokens(payee);
    net.rpc("anvil_reorg", json!([1]));
    assert_eq!(net.tokens(payee), tokens - U256::ONE);
}

#[test]
fn an_unfinished_record_is_dropped_with_what_it_said() {
    let directory = tempfile::tempdir().unwrap();
    let net = open(directory.path());
    pay(&net, 1);
    let before = picture(&net);
    let whole = fs::metadata(journal(directory.path())).unwrap().len();
    pay(&net, 2);
    drop(net);
    let torn = fs::metadata(journal(directory.path())).unwrap().len();
    for length in [whole + 1, whole + 7, whole + 9, torn - 1] {
        let file = OpenOptions::new()
            .write(true)
            .open(journal(directory.path()))
            .unwrap();
        file.set_len(length).unwrap();
        let net = open(directory.path());
        assert_eq!(picture(&net), before, "cut at {length} of {torn}");
        pay(&net, 2);
        drop(net);
        assert_eq!(fs::metadata(journal(directory.path())).unwrap().len(), torn);
    }
}

#[test]
fn a_damaged_record_is_an_error_and_not_a_loss() {
    let directory = tempfile::tempdir().unwrap();
    let net = open(directory.path());
    pay(&net, 1);
    pay(&net, 2);
    drop(net);
    let path = journal(directory.path());
    let mut file = fs::read(&path).unwrap();
    file[20] ^= 1;
    fs::write(&path, file).unwrap();
    let opened = Net::try_with(|options| options.persist_path = Some(directory.path().into()));
    assert!(matches!(
        opened.err(),
        Some(DevNetError::Store(StoreError::Damaged { .. }))
    ));
}

#[test]
fn a_directory_belongs_to_one_process_and_one_network() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let net = open(&path);
    let failure = |change: &dyn Fn(&mut octroi_devnet::DevNetOptions)| {
        let opened = Net::try_with(|options| {
            options.persist_path = Some(path.clone());
            change(options);
        });
        opened.err().unwrap()
    };
    assert!(matches!(
        failure(&|_| {}),
        DevNetError::Store(StoreError::InUse { .. })
    ));
    drop(net);
    assert!(matches!(
        failure(&|options| options.chain_id = ChainId(5)),
        DevNetError::Store(StoreError::WrongChain {
            found: CHAIN,
            wanted: 5,
            ..
        })
    ));
    assert!(matches!(
        failure(&|options| options.token.version = "2".to_owned()),
        DevNetError::TokenDiffers
    ));
}

#[test]
fn the_journal_is_cut_behind_snapshots() {
    let directory = tempfile::tempdir().unwrap();
    let net = Net::with(|options| {
        options.persist_path = Some(directory.path().to_owned());
        options.retention.bytes = 8 << 20;
    });
    let settler = Wallet::of(1);
    let filler = vec![7; 120 << 10];
    let fill = |blocks: usize| {
        for _ in 0..blocks {
            let nonce = net.nonce(settler.address);
            net.send(&settler.transaction(nonce, Address::ZERO, filler.clone(), |_| {}));
            net.node.tick().unwrap();
        }
    };
    // 120 KiB a block: enough for several segments and for a snapshot.
    fill(560);
    let written = 560 * u64::try_from(filler.len()).unwrap();
    let files = fs::read_dir(directory.path()).unwrap();
    let kept: u64 = files
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(kept < written * 2 / 3, "{kept} of {written} bytes stayed");
    // Taking back blocks that the snapshot contains works on the other side as well.
    net.rpc("anvil_reorg", json!([200]));
    fill(10);
    let head = net.block("latest");
    drop(net);
    let net = open(directory.path());
    assert_eq!(net.block("latest"), head);
    assert_eq!(net.nonce(settler.address), 370);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_story_survives_kills_and_closes(story in prop::collection::vec(0..8_u8, 1..20)) {
        let directory = tempfile::tempdir().unwrap();
        let mut net = open(directory.path());
        for (salt, step) in (0_u64..).zip(story) {
            match step {
                0 => { net.rpc("evm_mine", json!([])); }
                1 => { let _ = net.node.handle("anvil_reorg", &json!([salt % 3, salt % 2 == 0])); }
                2 => net.node.fund(octroi_types::Address([7; 20]), Amount::new(salt).unwrap(), 3).unwrap(),
                3 => { net.node.close().unwrap(); }
                4 | 5 => {
                    let before = picture(&net);
                    drop(net);
                    net = open(directory.path());
                    prop_assert_eq!(picture(&net), before);
                }
                _ => { pay(&net, salt); }
            }
        }
    }
}
