//! `octroi dev`: what it prints is true, and what was done is there after a restart.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use octroi_testkit::{Client, Request, eventually};
use octroi_types::keccak256;
use serde_json::{Value, json};

use crate::run::{Folder, Ran, run};

/// What the buyer has at first, in the token's smallest unit.
const BUYER_UNITS: u64 = 1_000_000_000_000;
const CENT: u64 = 10_000;

/// `octroi dev` as a process, and what it said.
struct Dev {
    process: Child,
    said: String,
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It has ended if the test went well.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Dev {
    /// Starts it on a free port, and reads all that it has to say.
    async fn start(folder: &Folder) -> Self {
        Self::start_with(folder, &[]).await
    }

    async fn start_with(folder: &Folder, more: &[&str]) -> Self {
        Self::start_in(folder, more, &[]).await
    }

    async fn start_in(folder: &Folder, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let log = folder.path().join("said");
        let arguments = [&["dev", "--listen", "127.0.0.1:0"], more].concat();
        let mut command = folder.command(&arguments);
        command
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        let mut process = command.spawn().unwrap();
        let said = eventually("octroi dev listens", async || {
            let said = std::fs::read_to_string(&log).unwrap();
            let status = process.try_wait().unwrap();
            assert!(status.is_none(), "octroi dev ended: {said}");
            said.contains("Stop with Ctrl-C").then_some(said)
        })
        .await;
        Self { process, said }
    }

    /// What stands on the line behind a word.
    fn after(&self, word: &str) -> &str {
        let mut lines = self.said.lines().map(str::trim);
        let found = lines.find_map(|line| line.strip_prefix(word));
        found
            .unwrap_or_else(|| panic!("no line says {word:?}: {}", self.said))
            .trim()
    }

    /// Every address with its price.
    fn priced(&self) -> Vec<(&str, &str)> {
        let lines = self
            .said
            .lines()
            .filter(|line| line.contains("/api/x402/pay/"));
        lines
            .filter_map(|line| {
                let words = line.split_whitespace();
                let (url, price) = (
                    words.clone().find(|word| word.starts_with("http"))?,
                    words.last()?,
                );
                let price = match price.starts_with('$') {
                    true => price,
                    false => line.split_whitespace().find(|word| word.starts_with('$'))?,
                };
                Some((url, price.trim_end_matches(',')))
            })
            .collect()
    }

    /// The node's JSON-RPC.
    async fn rpc(&self, method: &str, params: Value) -> Value {
        let (url, _) = self.after("node").split_once(' ').unwrap();
        let (address, path) = url
            .strip_prefix("http://")
            .unwrap()
            .split_once('/')
            .unwrap();
        let address: SocketAddr = address.parse().unwrap();
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = Request::post(&format!("/{path}"), call.to_string())
            .header("content-type", "application/json");
        Client { address }.send(&request).await.json()["result"].clone()
    }

    /// What an account has of the test token.
    async fn balance(&self, holder: &str) -> u64 {
        let selector = hex::encode(&keccak256(b"balanceOf(address)").0[..4]);
        let data = format!("0x{selector}{:0>64}", holder.trim_start_matches("0x"));
        let call = json!([{ "to": octroi_devnet::TOKEN_ADDRESS, "data": data }, "latest"]);
        let word = self.rpc("eth_call", call).await;
        u64::from_str_radix(&word.as_str().unwrap()[50..], 16).unwrap()
    }

    /// Presses Ctrl-C and waits for the end.
    async fn stop(mut self) {
        let interrupt = format!("kill -INT {}", self.process.id());
        let sent = Command::new("sh")
            .args(["-c", &interrupt])
            .status()
            .unwrap();
        assert!(sent.success());
        let ended = eventually("octroi dev ends", async || self.process.try_wait().unwrap()).await;
        assert!(ended.success(), "{ended}");
    }
}

/// Types a line, with `octroi` where the shell looks for it.
async fn typed(folder: &Folder, line: &str) -> Ran {
    let binary = Path::new(env!("CARGO_BIN_EXE_octroi"));
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", line])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", binary.parent().unwrap())
        .stdin(Stdio::null());
    run(command).await
}

/// The command that is shown to be tried.
fn try_it(dev: &Dev) -> &str {
    let (_, below) = dev
        .said
        .split_once("Try it in another terminal, in this folder:")
        .unwrap();
    below
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap()
}

/// The command that lists what was paid, and what it lists.
async fn listed(folder: &Folder, dev: &Dev) -> String {
    let ran = typed(folder, dev.after("What was paid:")).await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    ran.text().to_owned()
}

#[tokio::test]
async fn what_octroi_dev_prints_is_true() {
    let folder = Folder::new();
    let dev = Dev::start(&folder).await;
    let gate = dev.after("gate");
    assert_eq!(
        format!("http://{}", dev.after("octroi dev is listening on")),
        gate
    );
    let priced = dev.priced();
    assert!(priced.len() >= 3, "{priced:?}");
    for (url, price) in priced {
        assert!(url.starts_with(gate), "{url}");
        let story = folder
            .run(&["pay", "--dry-run", "--json", url])
            .await
            .json();
        assert_eq!(story["outcome"], "dry_run", "{url}: {story}");
        let units = story["terms"]["amount"].as_str().unwrap();
        let dollars: f64 = price.trim_start_matches('$').parse().unwrap();
        assert_eq!(units, format!("{:.0}", dollars * 1e6), "{url}");
    }
    let (buyer, holds) = dev.after("test buyer").split_once(',').unwrap();
    assert_eq!(holds.trim(), "holds 1,000,000 TestUSD");
    assert_eq!(dev.balance(buyer).await, BUYER_UNITS);
    let key = folder.read(dev.after("its key"));
    let mut bytes = [0; 32];
    hex::decode_to_slice(key.trim().trim_start_matches("0x"), &mut bytes).unwrap();
    let key = secp256k1::SecretKey::from_byte_array(bytes).unwrap();
    assert_eq!(octroi_x402::address_of(&key).to_string(), buyer);
    let chain = dev
        .after("node")
        .split_once("chain id ")
        .unwrap()
        .1
        .trim_end_matches(')');
    let answered = dev.rpc("eth_chainId", json!([])).await;
    assert_eq!(answered, format!("{:#x}", chain.parse::<u64>().unwrap()));
    assert!(folder.path().join(dev.after("kept in")).is_dir());
    dev.stop().await;
}

/// Who has no binary yet is told a line that works from the source tree.
#[tokio::test]
async fn what_cargo_runs_says_how_cargo_runs_it() {
    let folder = Folder::new();
    let dev = Dev::start_in(&folder, &[], &[("CARGO", "cargo")]).await;
    let by_cargo = try_it(&dev).strip_prefix("cargo run --release -- ");
    let ran = typed(&folder, &format!("octroi {}", by_cargo.unwrap())).await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    dev.stop().await;
}

#[tokio::test]
async fn the_line_to_try_finds_the_key_in_another_folder_too() {
    let folder = Folder::new();
    let dev = Dev::start_with(&folder, &["--data", "elsewhere"]).await;
    let ran = typed(&folder, try_it(&dev)).await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    dev.stop().await;
}

#[tokio::test]
async fn what_was_bought_as_shown_is_there_after_a_restart() {
    let folder = Folder::new();
    let dev = Dev::start(&folder).await;
    let buyer = dev
        .after("test buyer")
        .split_once(',')
        .unwrap()
        .0
        .to_owned();
    let ran = typed(&folder, try_it(&dev)).await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    assert_eq!(ran.json()["line"], "The toll is paid; the gate is open.");
    let receipt = ran.err.split_once("transaction 0x").expect("a receipt").1;
    let hash = format!("0x{}", &receipt[..64]);
    let mined = dev.rpc("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(mined["status"], "0x1");
    assert_eq!(dev.balance(&buyer).await, BUYER_UNITS - CENT);
    let before = listed(&folder, &dev).await;
    assert!(
        before.contains("$0.01") && before.contains("demo/today"),
        "{before}"
    );
    dev.stop().await;

    let dev = Dev::start(&folder).await;
    assert_eq!(dev.after("test buyer").split_once(',').unwrap().0, buyer);
    assert_eq!(dev.balance(&buyer).await, BUYER_UNITS - CENT);
    assert_eq!(
        dev.rpc("eth_getTransactionReceipt", json!([hash])).await,
        mined
    );
    assert_eq!(listed(&folder, &dev).await, before);
    let ran = typed(&folder, try_it(&dev)).await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    assert_eq!(dev.balance(&buyer).await, BUYER_UNITS - 2 * CENT);
    dev.stop().await;
}
