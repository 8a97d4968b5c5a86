//! Chains and the tokens that are known on them.
//!
//! Source of the token facts: the default tables of the x402 SDKs and viem, compared 2026-11.
//! They are defaults only: at start-up the gate reads `name`, `version`, `decimals` and
//! `DOMAIN_SEPARATOR` of every asset it sells for and refuses a mismatch (money rule 20).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Address, Mode};

/// Why a text is not an EVM chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a CAIP-2 name like eip155:8453")]
pub struct ChainIdError;

/// An EVM chain id (EIP-155). Displays as CAIP-2, `eip155:8453`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainId(pub u64);

impl ChainId {
    /// What is known of this chain, if it is in the table.
    #[must_use]
    pub fn known(self) -> Option<&'static KnownNetwork> {
        KNOWN_NETWORKS.iter().find(|network| network.chain == self)
    }

    /// The chain that x402 version 1 calls by this name.
    #[must_use]
    pub fn from_v1_name(name: &str) -> Option<Self> {
        KNOWN_NETWORKS
            .iter()
            .find(|network| network.v1_name == Some(name))
            .map(|network| network.chain)
    }

    /// The chain's name in x402 version 1, whose clients refuse names outside a fixed list.
    #[must_use]
    pub fn v1_name(self) -> Option<&'static str> {
        self.known().and_then(|network| network.v1_name)
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "eip155:{}", self.0)
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ChainId {
    type Err = ChainIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("eip155:").ok_or(ChainIdError)?;
        // One chain has one spelling: a leading zero or sign would make a second identity.
        if !digits.starts_with(|c: char| ('1'..='9').contains(&c)) {
            return Err(ChainIdError);
        }
        digits.parse().map(Self).map_err(|_| ChainIdError)
    }
}

impl Serialize for ChainId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A token and its EIP-712 domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownToken {
    /// The contract.
    pub address: Address,
    /// Domain `name`; `None` where it is read from the chain.
    pub name: Option<&'static str>,
    /// Domain `version`; `None` where it is read from the chain.
    pub version: Option<&'static str>,
    /// Decimals of the smallest unit.
    pub decimals: u8,
}

/// One row of the table of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownNetwork {
    /// The chain.
    pub chain: ChainId,
    /// The name in our configuration (`base-sepolia`).
    pub name: &'static str,
    /// The name in x402 version 1, where there is one.
    pub v1_name: Option<&'static str>,
    /// Play money or real money.
    pub mode: Mode,
    /// Its USDC, where it speaks EIP-3009.
    pub usdc: Option<KnownToken>,
}

impl KnownNetwork {
    /// The row with this configuration name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        KNOWN_NETWORKS.iter().find(|network| network.name == name)
    }
}

const fn usdc(address: &str, name: Option<&'static str>) -> Option<KnownToken> {
    let version = if name.is_some() { Some("2") } else { None };
    Some(KnownToken {
        address: Address(hex20(address)),
        name,
        version,
        decimals: 6,
    })
}

const fn hex20(text: &str) -> [u8; 20] {
    #[expect(
        clippy::panic,
        reason = "evaluated by the compiler only: a bad table does not build"
    )]
    const fn nibble(byte: u8) -> u8 {
        match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => panic!("an address in the table is not hex"),
        }
    }
    let text = text.as_bytes();
    assert!(text.len() == 42);
    let mut bytes = [0; 20];
    let mut index = 0;
    while index < 20 {
        bytes[index] = nibble(text[2 + index * 2]) << 4 | nibble(text[3 + index * 2]);
        index += 1;
    }
    bytes
}

const fn row(
    chain: u64,
    name: &'static str,
    v1_name: Option<&'static str>,
    mode: Mode,
    usdc: Option<KnownToken>,
) -> KnownNetwork {
    KnownNetwork {
        chain: ChainId(chain),
        name,
        v1_name,
        mode,
        usdc,
    }
}

const COIN: Option<&str> = Some("USD Coin");
const USDC: Option<&str> = Some("USDC");

/// The networks that need no more than their name in a configuration.
#[rustfmt::skip]
pub const KNOWN_NETWORKS: &[KnownNetwork] = &[
    row(8453, "base", Some("base"), Mode::Live, usdc("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", COIN)),
    row(84532, "base-sepolia", Some("base-sepolia"), Mode::Test, usdc("0x036CbD53842c5426634e7929541eC2318f3dCF7e", USDC)),
    row(1, "ethereum", None, Mode::Live, usdc("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", COIN)),
    row(137, "polygon", Some("polygon"), Mode::Live, usdc("0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359", COIN)),
    row(80002, "polygon-amoy", Some("polygon-amoy"), Mode::Test, usdc("0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582", USDC)),
    row(42161, "arbitrum", None, Mode::Live, usdc("0xaf88d065e77c8cC2239327C5EDb3A432268e5831", COIN)),
    row(421614, "arbitrum-sepolia", None, Mode::Test, usdc("0x75faf114eafb1BDbe2F0316DF893fd58CE46AA4d", COIN)),
    row(43114, "avalanche", Some("avalanche"), Mode::Live, usdc("0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E", COIN)),
    row(43113, "avalanche-fuji", Some("avalanche-fuji"), Mode::Test, usdc("0x5425890298aed601595a70AB815c96711a31Bc65", COIN)),
    row(5042, "arc", None, Mode::Live, usdc("0x3600000000000000000000000000000000000000", None)),
    row(5042002, "arc-testnet", None, Mode::Test, usdc("0x3600000000000000000000000000000000000000", None)),
    row(999, "hyperevm", None, Mode::Live, usdc("0xb88339CB7199b77E23DB6E890353E22632Ba630f", None)),
    row(998, "hyperevm-testnet", None, Mode::Test, usdc("0x2B3370eE501B4a559b57D449569354196457D8Ab", USDC)),
    // Tempo's TIP-20 tokens do not speak EIP-3009: the chain is named, no asset is assumed.
    row(4217, "tempo", None, Mode::Live, None),
    row(42431, "tempo-testnet", None, Mode::Test, None),
    row(42220, "celo", None, Mode::Live, usdc("0xcebA9300f2b948710d2653dD7B07f33A8B32118C", USDC)),
    row(11142220, "celo-sepolia", None, Mode::Test, usdc("0x01C5C0122039549AD1493B8220cABEdD739BC44E", USDC)),
    row(1329, "sei", Some("sei"), Mode::Live, usdc("0xe15fC38F6D8c56aF07bbCBe3BAf5708A2Bf42392", USDC)),
    row(1328, "sei-testnet", Some("sei-testnet"), Mode::Test, usdc("0x4fCF1784B31630811181f670Aea7A7bEF803eaED", USDC)),
    row(143, "monad", None, Mode::Live, usdc("0x754704Bc059F8C67012fEd69BC8A327a5aafb603", USDC)),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn table_has_no_duplicates_and_checksummed_addresses_survive() {
        let chains: HashSet<_> = KNOWN_NETWORKS.iter().map(|n| n.chain).collect();
        let names: HashSet<_> = KNOWN_NETWORKS.iter().map(|n| n.name).collect();
        assert_eq!(
            (chains.len(), names.len()),
            (KNOWN_NETWORKS.len(), KNOWN_NETWORKS.len())
        );
        let base = KnownNetwork::by_name("base").unwrap().usdc.unwrap();
        assert_eq!(
            base.address.to_string(),
            "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
        );
    }

    #[test]
    fn caip2_has_one_spelling() {
        assert_eq!("eip155:8453".parse(), Ok(ChainId(8453)));
        for text in [
            "eip155:08453",
            "eip155:+1",
            "eip155:",
            "8453",
            "EIP155:1",
            "eip155:0",
        ] {
            assert_eq!(text.parse::<ChainId>(), Err(ChainIdError), "{text}");
        }
    }
}
