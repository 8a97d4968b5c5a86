//! The tokens that the commands know without being told.

use octroi_devnet::{TOKEN_ADDRESS, TOKEN_DECIMALS};
use octroi_types::{Address, Amount, ChainId, KNOWN_NETWORKS, KnownNetwork, Mode};

use crate::dev;

/// What the local test network is called on the command line.
pub(crate) const DEV_NETWORK: &str = "local";

/// A dollar-pegged token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    /// Its chain.
    pub(crate) chain: ChainId,
    /// Its contract.
    pub(crate) address: Address,
    /// What people call it, if that is known.
    pub(crate) symbol: Option<&'static str>,
    /// Decimals of its smallest unit.
    pub(crate) decimals: u8,
}

/// The token of `octroi dev`, then the USDC of every known network.
pub(crate) fn known() -> impl Iterator<Item = Token> {
    let local = Token {
        chain: dev::CHAIN,
        address: TOKEN_ADDRESS,
        symbol: Some("TestUSD"),
        decimals: TOKEN_DECIMALS,
    };
    let usdc = KNOWN_NETWORKS.iter().filter_map(|network| {
        network.usdc.map(|usdc| Token {
            chain: network.chain,
            address: usdc.address,
            symbol: Some("USDC"),
            decimals: usdc.decimals,
        })
    });
    std::iter::once(local).chain(usdc)
}

/// What is known of a token.
pub(crate) fn find(chain: ChainId, address: Address) -> Option<Token> {
    known().find(|token| token.chain == chain && token.address == address)
}

/// The chain with this name: that of a known network, `local`, or CAIP-2.
pub(crate) fn chain_by_name(name: &str) -> Option<ChainId> {
    if name == DEV_NETWORK {
        return Some(dev::CHAIN);
    }
    let known = KnownNetwork::by_name(name).map(|network| network.chain);
    known.or_else(|| name.parse().ok())
}

/// What people call a chain.
pub(crate) fn chain_name(chain: ChainId) -> String {
    match chain.known() {
        Some(network) => network.name.to_owned(),
        None if chain == dev::CHAIN => DEV_NETWORK.to_owned(),
        None => chain.to_string(),
    }
}

/// Play or real money; `None` for a chain that nobody here knows.
pub(crate) fn mode(chain: ChainId) -> Option<Mode> {
    match chain.known() {
        Some(network) => Some(network.mode),
        None => (chain == dev::CHAIN).then_some(Mode::Test),
    }
}

/// An amount of a dollar-pegged token in dollars, exactly, with two decimals or more.
pub(crate) fn dollars(amount: Amount, decimals: u8) -> String {
    let decimal = amount.to_decimal(decimals);
    let fraction = decimal
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    let padding = match fraction {
        0 => ".00",
        1 => "0",
        _ => "",
    };
    format!("${decimal}{padding}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_have_two_decimals_or_more() {
        let shown = |units| dollars(Amount::new(units).unwrap(), 6);
        assert_eq!(shown(10_000), "$0.01");
        assert_eq!(shown(100_000), "$0.10");
        assert_eq!(shown(2_000_000), "$2.00");
        assert_eq!(shown(1), "$0.000001");
        assert_eq!(shown(0), "$0.00");
    }

    #[test]
    fn names_lead_to_chains_and_back() {
        for name in ["base", "base-sepolia", DEV_NETWORK, "eip155:77"] {
            assert_eq!(chain_name(chain_by_name(name).unwrap()), name);
        }
        assert_eq!(chain_by_name("eip155:8453"), chain_by_name("base"));
        assert_eq!(chain_by_name("bsae"), None);
        assert_eq!(mode(ChainId(77)), None);
        assert_eq!(mode(dev::CHAIN), Some(Mode::Test));
        // The local network must not be mistaken for one where money is worth something.
        assert_eq!(dev::CHAIN.known(), None);
    }
}
