//! How many payments a second the engine settles: on the development network in this process, EVM
//! included, or on an anvil (`anvil --chain-id 31337`) over HTTP.
//!
//! `cargo run --release -p octroi-chain --example settling_rate -- PAYMENTS IN_FLIGHT [simulate] [URL]`

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use octroi_chain::{
    AcceptedToken, Chain, ChainOptions, HttpTransport, HttpTransportOptions, RpcError, SettleJob,
    SettleOutcome, Settler, Transport, Wallet,
};
use octroi_claim::{Binding, NewClaim, NodeId, SettleOrder};
use octroi_devnet::{
    DevNet, DevNetOptions, MULTICALL_ADDRESS, TOKEN_ADDRESS, TOKEN_DECIMALS, TOKEN_NAME,
    TOKEN_VERSION, test_account,
};
use octroi_egress::{AddressPolicy, Client, ClientOptions};
use octroi_store::{ClaimOutcome, ClaimRequest, MemoryStore, NewTransaction, Store};
use octroi_types::{
    Address, Amount, B256, ChainId, ClaimId, Mode, PaywallId, Redacted, RequestId, TenantId,
    TransactionId, UnixMicros, UnixSeconds, keccak256,
};
use octroi_x402::{
    Authorization, CheckedAuthorization, Signature, Terms, Token, payment_identity,
    sign_authorization,
};
use secp256k1::SecretKey;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const CHAIN: ChainId = ChainId(31_337);
const PAYEE: Address = Address([0xbe; 20]);

/// The network in this process.
struct Node(Arc<DevNet>);

#[async_trait]
impl Transport for Node {
    async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError> {
        let net = Arc::clone(&self.0);
        let answer = if matches!(method, "eth_call" | "eth_sendRawTransaction") {
            let answer = tokio::task::spawn_blocking(move || net.handle(method, &params));
            answer.await.map_err(|_panicked| RpcError::Silent)?
        } else {
            net.handle(method, &params)
        };
        answer.map_err(|error| RpcError::Refused {
            code: error.code,
            message: error.message,
            data: None,
        })
    }

    fn blocks(&self) -> Option<tokio::sync::watch::Receiver<u64>> {
        Some(self.0.subscribe_blocks())
    }
}

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().map_or(Ok(5_000), |text| text.parse())?;
    let in_flight: usize = arguments.next().map_or(Ok(5_000), |text| text.parse())?;
    let rest: Vec<_> = arguments.collect();
    let simulate = rest.iter().any(|text| text == "simulate");
    let url = rest.iter().find(|text| text.starts_with("http"));

    let net = Arc::new(DevNet::open(DevNetOptions::new(CHAIN))?);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let token = Arc::new(Token::new(CHAIN, TOKEN_ADDRESS, TOKEN_NAME, TOKEN_VERSION));
    let mut jobs = Vec::new();
    for index in 0..count {
        jobs.push(job(&*store, &token, index).await?);
    }
    let transport: Arc<dyn Transport> = match url {
        None => Arc::new(Node(net)),
        Some(url) => anvil(url, &net).await?,
    };
    let wallet = Wallet::from_hex(&hex::encode(test_account(0).secret_key.expose()))?;
    let accepted = AcceptedToken {
        token,
        decimals: TOKEN_DECIMALS,
    };
    let settler = Settler::Wallets(vec![wallet]);
    let mut options = ChainOptions::new("devnet", CHAIN, vec![accepted], settler);
    options.simulate = simulate;
    options.simulate_single = simulate;
    options.block_time = Duration::from_secs(1);
    let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
    let chain = Chain::start(options, transport, store, tasks, cancel).await?;

    let (started, cpu) = (Instant::now(), cpu_seconds());
    let settling = jobs.into_iter().map(|job| {
        let chain = chain.clone();
        async move { tokio::spawn(async move { chain.settle(job).await }).await }
    });
    let mut settling = futures_util::stream::iter(settling).buffer_unordered(in_flight);
    let mut settled = 0_u32;
    while let Some(outcome) = settling.next().await {
        settled += u32::from(matches!(outcome?, SettleOutcome::Settled { .. }));
    }
    let seconds = started.elapsed().as_secs_f64();
    let rate = f64::from(settled) / seconds;
    let cpu = cpu_seconds() - cpu;
    writeln!(
        std::io::stdout(),
        "{settled} of {count} settled in {seconds:.2} s: {rate:.0}/s wall, {:.0}/s of CPU",
        f64::from(settled) / cpu
    )?;
    Ok(())
}

/// Gives an anvil the contracts, the money and the token's state of the development network.
async fn anvil(url: &str, net: &DevNet) -> Result<Arc<dyn Transport>, Failure> {
    let policy = AddressPolicy::public_only().allow_net("127.0.0.0/8".parse()?);
    let client = Client::new(ClientOptions {
        policy,
        ..ClientOptions::default()
    })?;
    let urls = vec![Redacted::new(url.to_owned())];
    let node: Arc<dyn Transport> =
        Arc::new(HttpTransport::new(HttpTransportOptions::new(urls), client));
    for contract in [TOKEN_ADDRESS, MULTICALL_ADDRESS] {
        let code = net.handle("eth_getCode", &json!([contract, "latest"]))?;
        node.call("anvil_setCode", json!([contract, code])).await?;
    }
    let mut slots: Vec<B256> = (0..4_u8).map(|slot| word(&[slot])).collect();
    for payer in (1..10).map(test_account) {
        // A holder's balance is at the hash of the holder and the mapping's own slot.
        slots.push(keccak256(&[payer.address.to_word(), word(&[4]).0].concat()));
    }
    for slot in slots {
        let value = net.handle("eth_getStorageAt", &json!([TOKEN_ADDRESS, slot, "latest"]))?;
        node.call("anvil_setStorageAt", json!([TOKEN_ADDRESS, slot, value]))
            .await?;
    }
    let (wallet, wei) = (test_account(0).address, "0x3635c9adc5dea00000");
    node.call("anvil_setBalance", json!([wallet, wei])).await?;
    Ok(node)
}

fn word(bytes: &[u8]) -> B256 {
    let mut word = [0; 32];
    word[32 - bytes.len()..].copy_from_slice(bytes);
    B256(word)
}

/// CPU time of this process so far, user and system, at 100 ticks a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse().ok());
    let (user, system): (Option<f64>, Option<f64>) = (ticks(11), ticks(12));
    (user.unwrap_or_default() + system.unwrap_or_default()) / 100.0
}

/// A claimed payment of one of nine payers.
async fn job(store: &dyn Store, token: &Arc<Token>, index: u64) -> Result<SettleJob, Failure> {
    let payer = test_account(1 + u32::try_from(index % 9)?);
    let key = SecretKey::from_byte_array(*payer.secret_key.expose())?;
    let now = UnixMicros::now();
    let valid_before = now.seconds().plus(600);
    let nonce = keccak256(&index.to_be_bytes());
    let authorization = Authorization {
        from: payer.address,
        to: PAYEE,
        value: 100.into(),
        valid_after: 0.into(),
        valid_before: valid_before.0.into(),
        nonce,
    };
    let digest = token.digest(&authorization);
    let signature = sign_authorization(&key, token, &authorization);
    let amount = Amount::new(100)?;
    let transaction = transaction();
    let claim = NewClaim {
        id: ClaimId::generate(),
        identity: payment_identity(CHAIN, TOKEN_ADDRESS, payer.address, nonce),
        tenant: TenantId::derived(&Default::default(), "seller"),
        mode: Mode::Test,
        paywall: PaywallId::derived(&Default::default(), "paywall"),
        transaction: transaction.id,
        binding: Binding(nonce),
        secret: None,
        order: SettleOrder::BeforeOrigin,
        chain: CHAIN,
        asset: TOKEN_ADDRESS,
        payer: payer.address,
        pay_to: PAYEE,
        amount,
        nonce,
        valid_before,
        owner: NodeId(1),
        created_at: now,
    };
    store
        .node_beat(NodeId(1), now.plus(Duration::from_secs(3_600)), now)
        .await?;
    let request = ClaimRequest {
        claim,
        transaction,
        payer_balance: None,
        failed_since: now,
        now,
    };
    let ClaimOutcome::Granted(claim) = store.claim_make(request).await? else {
        return Err("a payment was not granted".into());
    };
    let authorization = CheckedAuthorization {
        payer: payer.address,
        to: PAYEE,
        value: amount,
        valid_after: UnixSeconds(0),
        valid_before,
        nonce,
        digest,
        signature: Signature::classify(&signature, digest, payer.address)?,
    };
    let token = Arc::clone(token);
    let terms = Terms {
        token,
        pay_to: PAYEE,
        amount,
        max_timeout_seconds: 600,
    };
    Ok(SettleJob {
        claim,
        authorization,
        terms,
    })
}

fn transaction() -> NewTransaction {
    NewTransaction {
        id: TransactionId::generate(),
        request: RequestId::generate(),
        service: None,
        method: "GET".to_owned(),
        path: "/".to_owned(),
        rail: "x402-v2",
    }
}
