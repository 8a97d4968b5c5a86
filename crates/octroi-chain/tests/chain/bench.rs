//! A network, a store, payers, and a chain between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use octroi_chain::{
    AcceptedToken, Chain, ChainOptions, Included, SettleJob, SettleOutcome, Settler, StartError,
    Wallet,
};
use octroi_claim::{Binding, Claim, ClaimKey, NewClaim, NodeId, PaymentState, SettleOrder, Step};
use octroi_devnet::{
    BlockTime, Contract, DevNet, DevNetOptions, TOKEN_ADDRESS, TOKEN_DECIMALS, TOKEN_NAME,
    TOKEN_VERSION, TokenOptions, test_account,
};
use octroi_store::{
    ClaimOutcome, ClaimRequest, ClaimStore as _, MemoryStore, NewTransaction, Settlement,
    SettlementStore as _, Store,
};
use octroi_types::{
    Address, Amount, B256, ChainId, ClaimId, Mode, PaywallId, RequestId, TenantId, TransactionId,
    UnixMicros, UnixSeconds, keccak256,
};
use octroi_x402::{
    Authorization, CheckedAuthorization, Signature, Terms, Token, payment_identity,
    sign_authorization,
};
use secp256k1::SecretKey;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::node::{Node, eventually};

pub(crate) const CHAIN: ChainId = ChainId(31_337);
pub(crate) const PAYEE: Address = Address([0xbe; 20]);
pub(crate) const PRICE: u64 = 10_000;
/// How long authorizations are valid unless a test says otherwise, in seconds.
pub(crate) const WINDOW: u64 = 600;
const OWNER: NodeId = NodeId(1);
/// Payers begin at this test account; those before are wallets.
const FIRST_PAYER: u32 = 4;

pub(crate) struct Bench {
    pub(crate) net: Arc<DevNet>,
    pub(crate) node: Arc<Node>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) options: ChainOptions,
    pub(crate) token: Arc<Token>,
    /// How far the chain's clock is ahead of ours, in seconds.
    ahead: Arc<AtomicI64>,
    nonces: AtomicU64,
}

/// A chain that runs, with the means to stop it.
pub(crate) struct Running {
    pub(crate) chain: Chain,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Running {
    /// Lets go of the chain and waits for the tasks to end by themselves.
    pub(crate) async fn drop_chain(self) {
        drop(self.chain);
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Stops as a process that is killed: nothing is waited for but the end of the tasks.
    pub(crate) async fn kill(self) {
        self.cancel.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// A payment that is signed and not claimed.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) authorization: CheckedAuthorization,
    pub(crate) terms: Terms,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_, _| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut DevNetOptions, &mut ChainOptions)) -> Self {
        Self::with_pushes(true, change)
    }

    /// With this contract as the token that is accepted.
    pub(crate) fn with_token(
        contract: Contract,
        change: impl FnOnce(&mut DevNetOptions, &mut ChainOptions),
    ) -> Self {
        let mut bench = Self::with(change);
        let token = TokenOptions {
            address: Address([0x70; 20]),
            name: "Hostile".to_owned(),
            version: "1".to_owned(),
            owner: wallet(0).address(),
        };
        let holders: Vec<_> = (0..4)
            .map(|payer| (payer_address(payer), amount(PRICE * 1_000)))
            .collect();
        bench.net.deploy_token(contract, &token, &holders).unwrap();
        bench.token = Arc::new(Token::new(CHAIN, token.address, token.name, token.version));
        let token = Arc::clone(&bench.token);
        bench.options.tokens = vec![AcceptedToken {
            token,
            decimals: TOKEN_DECIMALS,
        }];
        bench
    }

    pub(crate) fn with_pushes(
        pushes: bool,
        change: impl FnOnce(&mut DevNetOptions, &mut ChainOptions),
    ) -> Self {
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = Arc::clone(&ahead);
        let mut net = DevNetOptions::new(CHAIN);
        net.clock = Arc::new(move || chain_time(&clock));
        net.genesis_time = (net.clock)();
        let token = Arc::new(Token::new(CHAIN, TOKEN_ADDRESS, TOKEN_NAME, TOKEN_VERSION));
        let accepted = AcceptedToken {
            token: Arc::clone(&token),
            decimals: TOKEN_DECIMALS,
        };
        let settler = Settler::Wallets(vec![wallet(0)]);
        let mut options = ChainOptions::new("devnet", CHAIN, vec![accepted], settler);
        options.block_time = Duration::from_millis(50);
        // Fees are raised where a test is about that.
        options.bump_after_blocks = 1_000_000;
        change(&mut net, &mut options);
        let net = Arc::new(DevNet::open(net).unwrap());
        Self {
            node: Node::new(Arc::clone(&net), pushes),
            net,
            store: Arc::new(MemoryStore::new()),
            options,
            token,
            ahead,
            nonces: AtomicU64::new(0),
        }
    }

    pub(crate) async fn try_start(&self) -> Result<Running, StartError> {
        self.start_with(self.options.clone()).await
    }

    pub(crate) async fn start_settled_by(&self, settler: Settler) -> Result<Running, StartError> {
        self.start_with(ChainOptions {
            settler,
            ..self.options.clone()
        })
        .await
    }

    pub(crate) async fn start_as(&self, options: ChainOptions) -> Running {
        self.start_with(options).await.unwrap()
    }

    /// On a store that is not as good as it seems.
    pub(crate) async fn start_on(&self, store: Arc<dyn Store>) -> Running {
        self.start_all(self.options.clone(), store).await.unwrap()
    }

    async fn start_with(&self, options: ChainOptions) -> Result<Running, StartError> {
        self.start_all(options, Arc::clone(&self.store) as _).await
    }

    pub(crate) async fn start_all(
        &self,
        options: ChainOptions,
        store: Arc<dyn Store>,
    ) -> Result<Running, StartError> {
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let chain = Chain::start(
            options,
            Arc::clone(&self.node) as _,
            store,
            tasks.clone(),
            cancel.clone(),
        )
        .await?;
        Ok(Running {
            chain,
            tasks,
            cancel,
        })
    }

    pub(crate) async fn start(&self) -> Running {
        self.try_start().await.unwrap()
    }

    pub(crate) fn now(&self) -> u64 {
        chain_time(&self.ahead).0
    }

    /// Lets time pass on the chain, and a block see it.
    pub(crate) fn pass(&self, seconds: u64) {
        self.set_clock_ahead(self.ahead.load(Ordering::Relaxed) + i64::try_from(seconds).unwrap());
        self.mine(1);
    }

    /// Lets the chain's clock differ from ours.
    pub(crate) fn set_clock_ahead(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::Relaxed);
    }

    pub(crate) fn mine(&self, blocks: u64) {
        self.rpc("anvil_mine", json!([blocks]));
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "the caller writes the parameters in place"
    )]
    pub(crate) fn rpc(&self, method: &str, params: Value) -> Value {
        self.net
            .handle(method, &params)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    pub(crate) fn terms(&self) -> Terms {
        Terms {
            token: Arc::clone(&self.token),
            pay_to: PAYEE,
            amount: amount(PRICE),
            max_timeout_seconds: 600,
        }
    }

    /// A payment by a payer, valid for the usual window.
    pub(crate) fn sign(&self, payer: u32) -> Signed {
        self.sign_with(payer, |_| {})
    }

    pub(crate) fn sign_with(&self, payer: u32, change: impl FnOnce(&mut Authorization)) -> Signed {
        let key = payer_key(payer);
        let authorization = self.authorization(octroi_x402::address_of(&key), change);
        let bytes = sign_authorization(&key, &self.token, &authorization);
        self.checked(&authorization, &bytes)
    }

    pub(crate) fn authorization(
        &self,
        from: Address,
        change: impl FnOnce(&mut Authorization),
    ) -> Authorization {
        let nonce = self.nonces.fetch_add(1, Ordering::Relaxed);
        let mut authorization = Authorization {
            from,
            to: PAYEE,
            value: PRICE.into(),
            valid_after: 0.into(),
            valid_before: (self.now() + WINDOW).into(),
            nonce: keccak256(&nonce.to_be_bytes()),
        };
        change(&mut authorization);
        authorization
    }

    /// As the offline checks would have it.
    pub(crate) fn checked(&self, authorization: &Authorization, signature: &[u8]) -> Signed {
        let digest = self.token.digest(authorization);
        let value = amount(authorization.value.to_u64().unwrap());
        let authorization = CheckedAuthorization {
            payer: authorization.from,
            to: authorization.to,
            value,
            valid_after: UnixSeconds(authorization.valid_after.to_u64().unwrap()),
            valid_before: UnixSeconds(authorization.valid_before.to_u64().unwrap()),
            nonce: authorization.nonce,
            digest,
            signature: Signature::classify(signature, digest, authorization.from).unwrap(),
        };
        Signed {
            authorization,
            terms: Terms {
                amount: value,
                ..self.terms()
            },
        }
    }

    /// Somebody else sends a payment's authorization, from wallet `sender`.
    pub(crate) fn submit(&self, signed: &Signed, sender: u32) -> B256 {
        let CheckedAuthorization {
            payer,
            to,
            value,
            valid_after,
            valid_before,
            nonce,
            ..
        } = signed.authorization;
        let Signature::Eoa { r, s, v } = &signed.authorization.signature else {
            panic!("not an account's signature");
        };
        let word = |number: u64| amount(number).to_word();
        let selector = &keccak256(
            b"transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,\
              bytes32)",
        )
        .0[..4];
        let arguments = [
            payer.to_word(),
            to.to_word(),
            value.to_word(),
            word(valid_after.0),
            word(valid_before.0),
            nonce.0,
            word(u64::from(*v)),
            r.0,
            s.0,
        ];
        self.send(
            sender,
            signed.terms.asset(),
            [selector, arguments.as_flattened()].concat(),
        )
    }

    /// A transaction by a wallet, outside of the engine.
    pub(crate) fn send(&self, sender: u32, to: Address, data: Vec<u8>) -> B256 {
        use alloy_consensus::{SignableTransaction as _, TxEip1559};
        use alloy_eips::eip2718::Encodable2718 as _;
        let account = test_account(sender);
        let key = SecretKey::from_byte_array(*account.secret_key.expose()).unwrap();
        let transaction = TxEip1559 {
            chain_id: CHAIN.0,
            nonce: self.nonce(account.address),
            gas_limit: 3_000_000,
            max_fee_per_gas: 1_000_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to: alloy_primitives::TxKind::Call(to.0.into()),
            input: data.into(),
            ..TxEip1559::default()
        };
        let message = secp256k1::Message::from_digest(transaction.signature_hash().0);
        let signature = secp256k1::SECP256K1.sign_ecdsa_recoverable(message, &key);
        let (parity, compact) = signature.serialize_compact();
        let odd = i32::from(parity) == 1;
        let signature = alloy_primitives::Signature::from_bytes_and_parity(&compact, odd);
        let signed = transaction.into_signed(signature);
        let raw = format!("0x{}", hex::encode(signed.encoded_2718()));
        let hash = self.rpc("eth_sendRawTransaction", json!([raw]));
        hash.as_str().unwrap().parse().unwrap()
    }

    /// Until our clock is past the newest block's time, so that a claim made then is later.
    pub(crate) async fn wait_for_the_next_second(&self) {
        let head = self.rpc("eth_getBlockByNumber", json!(["latest", false]));
        let time = number(&head["timestamp"]);
        eventually("the clock goes on", || async {
            (UnixMicros::now().seconds().0 > time).then_some(())
        })
        .await;
    }

    /// Claims a payment, ready to be settled.
    pub(crate) async fn claim(&self, signed: &Signed) -> SettleJob {
        let Signed {
            authorization,
            terms,
        } = signed.clone();
        let now = UnixMicros::now();
        self.store
            .node_beat(OWNER, now.plus(Duration::from_secs(3_600)), now)
            .await
            .unwrap();
        let transaction = NewTransaction {
            id: TransactionId::generate(),
            request: RequestId::generate(),
            service: None,
            method: "GET".to_owned(),
            path: "/".to_owned(),
            rail: "x402-v2",
        };
        let claim = NewClaim {
            id: ClaimId::generate(),
            identity: payment_identity(
                CHAIN,
                terms.asset(),
                authorization.payer,
                authorization.nonce,
            ),
            tenant: TenantId::derived(&Default::default(), "seller"),
            mode: Mode::Test,
            paywall: PaywallId::derived(&Default::default(), "paywall"),
            transaction: transaction.id,
            binding: Binding(authorization.nonce),
            secret: None,
            order: SettleOrder::BeforeOrigin,
            chain: CHAIN,
            asset: terms.asset(),
            payer: authorization.payer,
            pay_to: authorization.to,
            amount: authorization.value,
            nonce: authorization.nonce,
            valid_before: authorization.valid_before,
            owner: OWNER,
            created_at: now,
        };
        let failed_since = now;
        let request = ClaimRequest {
            claim,
            transaction,
            payer_balance: None,
            failed_since,
            now,
        };
        match self.store.claim_make(request).await.unwrap() {
            ClaimOutcome::Granted(claim) => SettleJob {
                claim,
                authorization,
                terms,
            },
            ClaimOutcome::Refused(refused) => panic!("not granted: {refused:?}"),
        }
    }

    /// A claimed payment of the usual kind.
    pub(crate) async fn job(&self, payer: u32) -> SettleJob {
        self.claim(&self.sign(payer)).await
    }

    pub(crate) async fn stored(&self, key: ClaimKey) -> Claim {
        self.store
            .claim_get(key)
            .await
            .unwrap()
            .expect("the claim is stored")
    }

    /// As a caller does that has waited long enough.
    pub(crate) async fn lose(&self, key: ClaimKey) {
        let epoch = self.stored(key).await.epoch;
        let now = UnixMicros::now();
        let lost = self
            .store
            .claim_advance(key, epoch, vec![Step::Lose], now)
            .await
            .unwrap();
        assert_eq!(lost.unwrap().payment, PaymentState::Unknown);
    }

    pub(crate) async fn payment(&self, key: ClaimKey) -> PaymentState {
        self.stored(key).await.payment
    }

    pub(crate) async fn reaches(&self, key: ClaimKey, state: PaymentState) {
        eventually(&format!("a claim is {state:?}"), || async {
            (self.payment(key).await == state).then_some(())
        })
        .await;
    }

    pub(crate) async fn unfinished(&self) -> Vec<Settlement> {
        self.store.settlements_unfinished(CHAIN).await.unwrap()
    }

    /// Makes blocks until something is so.
    pub(crate) async fn mine_until<T, F>(&self, what: &str, mut look: impl FnMut() -> F) -> T
    where
        F: Future<Output = Option<T>>,
    {
        let mut round = 0;
        eventually(what, || {
            round += 1;
            // The engine has a moment between two blocks.
            if round % 8 == 0 {
                self.mine(1);
            }
            look()
        })
        .await
    }

    /// Settles in the background.
    pub(crate) fn settling(&self, running: &Running, job: SettleJob) -> JoinHandle<SettleOutcome> {
        let chain = running.chain.clone();
        tokio::spawn(async move { chain.settle(job).await })
    }

    /// Makes blocks until a settlement is over.
    pub(crate) async fn outcome(&self, settling: JoinHandle<SettleOutcome>) -> SettleOutcome {
        self.mine_until("it is over", || async {
            settling.is_finished().then_some(())
        })
        .await;
        settling.await.unwrap()
    }

    /// Once a settlement is durable.
    pub(crate) async fn opened(&self) -> Settlement {
        eventually("a settlement is durable", || async {
            self.unfinished().await.pop()
        })
        .await
    }

    pub(crate) fn tokens(&self, holder: Address) -> u64 {
        self.tokens_of(TOKEN_ADDRESS, holder)
    }

    pub(crate) fn tokens_of(&self, token: Address, holder: Address) -> u64 {
        let data = [&keccak256(b"balanceOf(address)").0[..4], &holder.to_word()].concat();
        let call = json!([{ "to": token, "data": format!("0x{}", hex::encode(data)) }, "latest"]);
        let word = self.rpc("eth_call", call);
        number(&word)
    }

    /// A payer takes an authorization back.
    pub(crate) fn cancel(&self, payer: u32, nonce: B256) {
        let type_hash = keccak256(b"CancelAuthorization(address authorizer,bytes32 nonce)");
        let from = payer_address(payer);
        let message = keccak256(&[type_hash.0, from.to_word(), nonce.0].concat());
        let domain = self.token.domain_separator();
        let digest = keccak256(&[b"\x19\x01", &domain.0[..], &message.0].concat());
        let (id, rs) = secp256k1::SECP256K1
            .sign_ecdsa_recoverable(secp256k1::Message::from_digest(digest.0), &payer_key(payer))
            .serialize_compact();
        let v = amount(27 + u64::try_from(i32::from(id)).unwrap()).to_word();
        let selector =
            &keccak256(b"cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)").0[..4];
        let data = [selector, &from.to_word(), &nonce.0, &v, &rs].concat();
        self.send(3, self.token.address(), data);
    }

    pub(crate) fn wei(&self, account: Address) -> u128 {
        let balance = self.rpc("eth_getBalance", json!([account, "latest"]));
        u128::from_str_radix(balance.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    }

    pub(crate) fn height(&self) -> u64 {
        number(&self.rpc("eth_blockNumber", json!([])))
    }

    pub(crate) fn nonce(&self, account: Address) -> u64 {
        let count = self.rpc("eth_getTransactionCount", json!([account, "latest"]));
        number(&count)
    }
}

fn chain_time(ahead: &AtomicI64) -> UnixSeconds {
    let now = UnixMicros::now().seconds().0;
    UnixSeconds(now.saturating_add_signed(ahead.load(Ordering::Relaxed)))
}

/// A quantity of JSON-RPC.
fn number(quantity: &Value) -> u64 {
    u64::from_str_radix(quantity.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

pub(crate) fn amount(units: u64) -> Amount {
    Amount::new(units).unwrap()
}

pub(crate) fn wallet(index: u32) -> Wallet {
    assert!(index < FIRST_PAYER);
    Wallet::from_hex(&hex::encode(test_account(index).secret_key.expose())).unwrap()
}

pub(crate) fn payer_key(payer: u32) -> SecretKey {
    SecretKey::from_byte_array(*test_account(FIRST_PAYER + payer).secret_key.expose()).unwrap()
}

pub(crate) fn payer_address(payer: u32) -> Address {
    test_account(FIRST_PAYER + payer).address
}

pub(crate) fn settled(outcome: SettleOutcome) -> (Box<Claim>, Included) {
    match outcome {
        SettleOutcome::Settled { claim, settlement } => (claim, settlement),
        other => panic!("not settled: {other:?}"),
    }
}

/// A network that makes blocks only when it is told to.
pub(crate) fn by_hand(net: &mut DevNetOptions, _: &mut ChainOptions) {
    net.block_time = BlockTime::Manual;
}

/// What cannot succeed is found out by sending it.
pub(crate) fn unsimulated(_: &mut DevNetOptions, options: &mut ChainOptions) {
    options.simulate = false;
    options.simulate_single = false;
}

/// Who signed a raw transaction.
pub(crate) fn sender_of(raw: &str) -> Option<Address> {
    use alloy_consensus::{TxEnvelope, transaction::SignableTransaction as _};
    use alloy_eips::eip2718::Decodable2718 as _;
    let bytes = hex::decode(raw.strip_prefix("0x")?).ok()?;
    let TxEnvelope::Eip1559(signed) = TxEnvelope::decode_2718(&mut &bytes[..]).ok()? else {
        return None;
    };
    let digest = B256(signed.tx().signature_hash().0);
    octroi_x402::recover(&signed.signature().as_bytes(), digest)
}
