//! What an amount counts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Address, ChainId};

/// An asset of the books: US dollars for balances (scale 9), or one token contract on one chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Asset {
    /// Balances, in nano-dollars.
    Usd,
    /// An ERC-20 token, in its smallest unit.
    Token {
        /// The chain the contract lives on.
        chain: ChainId,
        /// The contract.
        address: Address,
    },
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usd => f.write_str("usd"),
            // CAIP-19.
            Self::Token { chain, address } => write!(f, "{chain}/erc20:{address}"),
        }
    }
}

impl FromStr for Asset {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = "an asset is usd or a CAIP-19 name like eip155:8453/erc20:0x…";
        if text == "usd" {
            return Ok(Self::Usd);
        }
        let (chain, address) = text.split_once("/erc20:").ok_or(error)?;
        Ok(Self::Token {
            chain: chain.parse().map_err(|_| error)?,
            address: address.parse().map_err(|_| error)?,
        })
    }
}

impl Serialize for Asset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Asset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
