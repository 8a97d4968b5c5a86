//! EIP-712 typed data of EIP-3009, hashed by hand.
//!
//! A token's domain separator never changes, so it is hashed once, in [`Token::new`]; the digest of
//! an authorization is then two Keccak runs over 224 and 66 bytes.

use std::sync::LazyLock;

use octroi_types::{Address, B256, ChainId, keccak256};
use serde::{Deserialize, Serialize};

use crate::uint256::Uint256;

static DOMAIN_TYPE: LazyLock<B256> = LazyLock::new(|| {
    keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
});

static TRANSFER_TYPE: LazyLock<B256> = LazyLock::new(|| {
    keccak256(
        b"TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,\
          uint256 validBefore,bytes32 nonce)",
    )
});

/// A token contract that speaks EIP-3009, with its EIP-712 domain.
///
/// `name` and `version` are those of the contract on *that* chain: USDC calls itself `USD Coin` on
/// some and `USDC` on others, and a wrong name makes every signature invalid. Compare
/// [`Token::domain_separator`] with the contract's `DOMAIN_SEPARATOR()` before selling (money
/// rule 20).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    chain: ChainId,
    address: Address,
    domain_name: String,
    domain_version: String,
    domain_separator: B256,
}

impl Token {
    /// Describes a token and hashes its domain.
    #[must_use]
    pub fn new(
        chain: ChainId,
        address: Address,
        domain_name: impl Into<String>,
        domain_version: impl Into<String>,
    ) -> Self {
        let (domain_name, domain_version) = (domain_name.into(), domain_version.into());
        let domain_separator = hash_words(&[
            DOMAIN_TYPE.0,
            keccak256(domain_name.as_bytes()).0,
            keccak256(domain_version.as_bytes()).0,
            Uint256::from(chain.0).to_word(),
            address.to_word(),
        ]);
        Self {
            chain,
            address,
            domain_name,
            domain_version,
            domain_separator,
        }
    }

    /// The chain it lives on.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The contract.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The domain's `name`.
    #[must_use]
    pub fn domain_name(&self) -> &str {
        &self.domain_name
    }

    /// The domain's `version`.
    #[must_use]
    pub fn domain_version(&self) -> &str {
        &self.domain_version
    }

    /// The hash of the domain, as the contract's `DOMAIN_SEPARATOR()` answers it.
    #[must_use]
    pub const fn domain_separator(&self) -> B256 {
        self.domain_separator
    }

    /// The digest that the payer signs.
    #[must_use]
    pub fn digest(&self, authorization: &Authorization) -> B256 {
        let message = hash_words(&[
            TRANSFER_TYPE.0,
            authorization.from.to_word(),
            authorization.to.to_word(),
            authorization.value.to_word(),
            authorization.valid_after.to_word(),
            authorization.valid_before.to_word(),
            authorization.nonce.0,
        ]);
        let mut signed = [0; 66];
        signed[..2].copy_from_slice(b"\x19\x01");
        signed[2..34].copy_from_slice(&self.domain_separator.0);
        signed[34..].copy_from_slice(&message.0);
        keccak256(&signed)
    }
}

/// The message of EIP-3009: `from` lets anybody move `value` to `to`, once, within the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    /// Who pays.
    pub from: Address,
    /// Who is paid.
    pub to: Address,
    /// How much, in the token's smallest unit.
    pub value: Uint256,
    /// Valid strictly after this Unix time, in seconds.
    pub valid_after: Uint256,
    /// Valid strictly before this Unix time, in seconds.
    pub valid_before: Uint256,
    /// Unique per payer and token; used once.
    pub nonce: B256,
}

fn hash_words<const N: usize>(words: &[[u8; 32]; N]) -> B256 {
    keccak256(words.as_flattened())
}
