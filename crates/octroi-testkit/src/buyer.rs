//! Somebody who signs payments.

use octroi_devnet::TestAccount;
use octroi_types::{Address, B256, ChainId, UnixSeconds};
use octroi_x402::client::{Choice, Required, SpendingLimit};
use octroi_x402::{Authorization, Version};
use secp256k1::SecretKey;

use crate::client::Request;
use crate::net::{CHAIN, TOKEN, now};

/// A buyer with a key.
#[derive(Clone)]
pub struct Buyer {
    key: SecretKey,
    /// The buyer's account.
    pub address: Address,
}

/// A signed payment.
#[derive(Clone)]
pub struct Payment {
    /// The header that carries it.
    pub header_name: &'static str,
    /// Its value.
    pub header_value: String,
    /// What was signed.
    pub authorization: Authorization,
}

impl Payment {
    /// A request that carries it.
    #[must_use]
    pub fn on(&self, request: Request) -> Request {
        request.header(self.header_name, &self.header_value)
    }
}

impl Buyer {
    pub(crate) fn new(account: &TestAccount) -> Self {
        let key = SecretKey::from_byte_array(*account.secret_key.expose()).unwrap();
        Self {
            key,
            address: account.address,
        }
    }

    /// The buyer's key.
    #[must_use]
    pub const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Pays what is asked for, from now.
    #[must_use]
    pub fn sign(&self, required: &Required) -> Payment {
        self.sign_at(required, now())
    }

    /// Pays what is asked for, from then.
    #[must_use]
    pub fn sign_at(&self, required: &Required, at: UnixSeconds) -> Payment {
        self.sign_in(CHAIN, TOKEN, required, at)
    }

    /// Pays what is asked for with this token, from now.
    #[must_use]
    pub fn sign_with(&self, chain: ChainId, asset: Address, required: &Required) -> Payment {
        self.sign_in(chain, asset, required, now())
    }

    fn sign_in(
        &self,
        chain: ChainId,
        asset: Address,
        required: &Required,
        at: UnixSeconds,
    ) -> Payment {
        let limit = SpendingLimit {
            chain,
            asset,
            amount_max: octroi_types::Amount::MAX,
        };
        let choice = Choice::pick(required, &[limit]).unwrap();
        let signed = choice.sign(&self.key, at, nonce(), None);
        Payment {
            header_name: signed.header_name,
            header_value: signed.header_value.into_exposed(),
            authorization: signed.authorization,
        }
    }
}

/// A nonce that nobody has used.
#[must_use]
pub fn nonce() -> B256 {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).unwrap();
    B256(nonce)
}

/// Both versions of the protocol.
pub const VERSIONS: [Version; 2] = [Version::V2, Version::V1];
