//! Wallets, payments and a network whose clock the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use octroi_devnet::{DevNet, DevNetOptions, MULTICALL_ADDRESS, TOKEN_ADDRESS, test_account};
use octroi_types::{ChainId, UnixSeconds};
use secp256k1::{Message, SECP256K1, SecretKey};
use serde_json::{Value, json};

pub(crate) const CHAIN: u64 = 31_337;
pub(crate) const START: u64 = 1_800_000_000;
pub(crate) const GWEI: u128 = 1_000_000_000;

pub(crate) fn evm(address: octroi_types::Address) -> Address {
    Address::new(address.0)
}

pub(crate) fn token() -> Address {
    evm(TOKEN_ADDRESS)
}

pub(crate) fn multicall() -> Address {
    evm(MULTICALL_ADDRESS)
}

/// A network and the time it is told.
pub(crate) struct Net {
    pub(crate) node: DevNet,
    pub(crate) time: Arc<AtomicU64>,
}

impl Net {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut DevNetOptions)) -> Self {
        Self::try_with(change).unwrap()
    }

    pub(crate) fn try_with(
        change: impl FnOnce(&mut DevNetOptions),
    ) -> Result<Self, octroi_devnet::DevNetError> {
        let time = Arc::new(AtomicU64::new(START));
        let clock = Arc::clone(&time);
        let mut options = DevNetOptions::new(ChainId(CHAIN));
        options.genesis_time = UnixSeconds(START);
        options.clock = Arc::new(move || UnixSeconds(clock.load(Ordering::Relaxed)));
        change(&mut options);
        let node = DevNet::open(options)?;
        Ok(Self { node, time })
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.time.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> u64 {
        self.time.load(Ordering::Relaxed)
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers write json!([…])")]
    pub(crate) fn rpc(&self, method: &str, params: Value) -> Value {
        self.node
            .handle(method, &params)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The message of the error that the call must end with.
    #[expect(clippy::needless_pass_by_value, reason = "callers write json!([…])")]
    pub(crate) fn refusal(&self, method: &str, params: Value) -> String {
        match self.node.handle(method, &params) {
            Ok(answer) => panic!("{method} answered {answer}"),
            Err(error) => error.message,
        }
    }

    pub(crate) fn number(&self, method: &str, params: Value) -> u64 {
        quantity(&self.rpc(method, params))
    }

    pub(crate) fn head(&self) -> u64 {
        self.number("eth_blockNumber", json!([]))
    }

    pub(crate) fn nonce(&self, address: Address) -> u64 {
        self.number(
            "eth_getTransactionCount",
            json!([address.to_string(), "latest"]),
        )
    }

    pub(crate) fn send(&self, raw: &Bytes) -> B256 {
        let hash = self.rpc("eth_sendRawTransaction", json!([raw.to_string()]));
        hash.as_str().unwrap().parse().unwrap()
    }

    /// Sends a call from a wallet and answers with its receipt.
    pub(crate) fn transact(&self, wallet: &Wallet, to: Address, data: Vec<u8>) -> Value {
        let pending = json!([wallet.address.to_string(), "pending"]);
        let nonce = self.number("eth_getTransactionCount", pending);
        let raw = wallet.transaction(nonce, to, data, |_| {});
        self.rpc("eth_sendRawTransactionSync", json!([raw.to_string()]))
    }

    pub(crate) fn receipt(&self, hash: B256) -> Value {
        self.rpc("eth_getTransactionReceipt", json!([hash.to_string()]))
    }

    /// What a call returns at the end of the chain.
    pub(crate) fn call(&self, to: Address, data: Vec<u8>) -> Vec<u8> {
        self.call_at(to, data, "latest")
    }

    pub(crate) fn call_at(&self, to: Address, data: Vec<u8>, block: &str) -> Vec<u8> {
        let call = json!([{ "to": to.to_string(), "data": hex::encode_prefixed(data) }, block]);
        bytes(&self.rpc("eth_call", call))
    }

    pub(crate) fn revert(&self, to: Address, data: Vec<u8>) -> String {
        let call = json!([{ "to": to.to_string(), "data": hex::encode_prefixed(data) }]);
        self.refusal("eth_call", call)
    }

    pub(crate) fn tokens(&self, holder: Address) -> U256 {
        self.tokens_of(token(), holder)
    }

    pub(crate) fn tokens_of(&self, token: Address, holder: Address) -> U256 {
        let balance = self.call(token, abi("balanceOf(address)", &[holder.into_word()]));
        U256::from_be_slice(&balance)
    }

    pub(crate) fn is_used(&self, authorizer: Address, nonce: B256) -> bool {
        let call = abi(
            "authorizationState(address,bytes32)",
            &[authorizer.into_word(), nonce],
        );
        U256::from_be_slice(&self.call(token(), call)) == U256::ONE
    }
}

/// A key and its address.
pub(crate) struct Wallet {
    key: SecretKey,
    pub(crate) address: Address,
}

impl Wallet {
    pub(crate) fn of(index: u32) -> Self {
        let account = test_account(index);
        Self {
            key: SecretKey::from_byte_array(*account.secret_key.expose()).unwrap(),
            address: evm(account.address),
        }
    }

    pub(crate) fn sign(&self, digest: B256) -> Signature {
        let message = Message::from_digest(digest.0);
        let signature = SECP256K1.sign_ecdsa_recoverable(message, &self.key);
        let (parity, compact) = signature.serialize_compact();
        Signature::from_bytes_and_parity(&compact, i32::from(parity) == 1)
    }

    /// A signed EIP-1559 transaction, changed before it is signed.
    pub(crate) fn transaction(
        &self,
        nonce: u64,
        to: Address,
        data: Vec<u8>,
        change: impl FnOnce(&mut TxEip1559),
    ) -> Bytes {
        let mut transaction = TxEip1559 {
            chain_id: CHAIN,
            nonce,
            gas_limit: 15_000_000,
            max_fee_per_gas: 100 * GWEI,
            max_priority_fee_per_gas: GWEI,
            to: TxKind::Call(to),
            input: data.into(),
            ..TxEip1559::default()
        };
        change(&mut transaction);
        self.signed(transaction)
    }

    pub(crate) fn signed<T>(&self, transaction: T) -> Bytes
    where
        T: SignableTransaction<Signature>,
        alloy_consensus::Signed<T>: Into<TxEnvelope>,
    {
        let signature = self.sign(transaction.signature_hash());
        let envelope: TxEnvelope = transaction.into_signed(signature).into();
        envelope.encoded_2718().into()
    }
}

/// What a payer signs (EIP-3009).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Authorization {
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) value: u64,
    pub(crate) valid_after: u64,
    pub(crate) valid_before: u64,
    pub(crate) nonce: B256,
}

impl Authorization {
    /// A payment whose window is open, with a nonce of its own.
    pub(crate) fn new(from: Address, to: Address, value: u64, salt: u64) -> Self {
        Self {
            from,
            to,
            value,
            valid_after: START - 600,
            valid_before: START + 3600,
            nonce: keccak256(salt.to_be_bytes()),
        }
    }

    pub(crate) fn digest(&self) -> B256 {
        self.digest_for(token(), "TransferWithAuthorization")
    }

    /// The EIP-712 digest, built from the words of the standard and not from our own code.
    pub(crate) fn digest_for(&self, token: Address, kind: &str) -> B256 {
        let domain = words(&[
            keccak256(
                "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
            ),
            keccak256("TestUSD"),
            keccak256("1"),
            U256::from(CHAIN).into(),
            token.into_word(),
        ]);
        let fields = "(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)";
        let mut message = vec![keccak256(format!("{kind}{fields}"))];
        message.extend(self.words());
        typed_data_digest(keccak256(domain), keccak256(words(&message)))
    }

    fn words(&self) -> [B256; 6] {
        [
            self.from.into_word(),
            self.to.into_word(),
            U256::from(self.value).into(),
            U256::from(self.valid_after).into(),
            U256::from(self.valid_before).into(),
            self.nonce,
        ]
    }

    /// `transferWithAuthorization` with the signature as v, r, s.
    pub(crate) fn vrs_call(&self, signature: &Signature) -> Vec<u8> {
        self.vrs_call_of("transferWithAuthorization", signature)
    }

    pub(crate) fn vrs_call_of(&self, method: &str, signature: &Signature) -> Vec<u8> {
        let mut arguments = self.words().to_vec();
        let v = 27 + u64::from(signature.v());
        arguments.extend([U256::from(v), signature.r(), signature.s()].map(B256::from));
        let types = "(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)";
        abi(&format!("{method}{types}"), &arguments)
    }

    /// `transferWithAuthorization` with the signature as bytes.
    pub(crate) fn bytes_call(&self, signature: &[u8]) -> Vec<u8> {
        let mut arguments = self.words().to_vec();
        arguments.push(U256::from(7 * 32).into());
        arguments.push(U256::from(signature.len()).into());
        let mut call = abi(
            "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
            &arguments,
        );
        call.extend_from_slice(signature);
        call.resize(call.len().next_multiple_of(32) + 4, 0);
        call
    }
}

/// The digest of a message under a domain (EIP-712).
pub(crate) fn typed_data_digest(separator: B256, message: B256) -> B256 {
    keccak256([&[0x19, 0x01][..], separator.as_slice(), message.as_slice()].concat())
}

/// A signed payment from one wallet, as the call that settles it.
pub(crate) fn payment(payer: &Wallet, to: Address, value: u64, salt: u64) -> Vec<u8> {
    let authorization = Authorization::new(payer.address, to, value, salt);
    authorization.vrs_call(&payer.sign(authorization.digest()))
}

/// `aggregate3`: every call may fail on its own.
pub(crate) fn aggregate(calls: &[(Address, Vec<u8>)]) -> Vec<u8> {
    let mut offset = calls.len() * 32;
    let mut heads = Vec::new();
    let mut tails = Vec::new();
    for (target, data) in calls {
        heads.push(B256::from(U256::from(offset)));
        let start = tails.len();
        tails.extend(words(&[
            target.into_word(),
            U256::ONE.into(),
            U256::from(96).into(),
            U256::from(data.len()).into(),
        ]));
        tails.extend_from_slice(data);
        tails.resize(tails.len().next_multiple_of(32), 0);
        offset += tails.len() - start;
    }
    let mut call = abi(
        "aggregate3((address,bool,bytes)[])",
        &[U256::from(32).into(), U256::from(calls.len()).into()],
    );
    call.extend(words(&heads));
    call.extend(tails);
    call
}

/// The success flags in what `aggregate3` returned.
pub(crate) fn successes(returned: &[u8]) -> Vec<bool> {
    let word = |at: usize| usize::try_from(U256::from_be_slice(&returned[at..at + 32])).unwrap();
    let list = word(0);
    let items = list + 32;
    (0..word(list))
        .map(|index| word(items + word(items + index * 32)) == 1)
        .collect()
}

/// A call: the selector, then the words.
pub(crate) fn abi(signature: &str, arguments: &[B256]) -> Vec<u8> {
    let mut call = keccak256(signature)[..4].to_vec();
    call.extend(words(arguments));
    call
}

pub(crate) fn words(words: &[B256]) -> Vec<u8> {
    words.iter().flat_map(|word| word.0).collect()
}

pub(crate) fn quantity(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

pub(crate) fn topic(event: &str) -> String {
    keccak256(event).to_string()
}
