//! A chain that unmodified clients take for Base Sepolia: its id, real USDC code at the real address, and
//! the contracts that everybody expects on every chain.

use std::ops::Deref;

use anyhow::{Context as _, Result};
use octroi_types::Address;

use crate::{Anvil, BASE_SEPOLIA_USDC, BUYERS, Usdc};

/// Where Multicall3 is on every chain.
pub const MULTICALL3: &str = "0xcA11bde05977b3631167028862bE2a173976CA11";
/// Where Permit2 is on every chain.
pub const PERMIT2: &str = "0x000000000022D473030F116dDEE9F6B43aC78BA3";

/// A million dollars in the token's units.
const BUYER_FUNDS: u128 = 1_000_000_000_000;

/// The chain. It dereferences to its node.
#[derive(Debug)]
pub struct BaseSepolia {
    anvil: Anvil,
    /// The dollar that is paid with.
    pub usdc: Usdc,
}

impl BaseSepolia {
    /// Its chain id.
    pub const CHAIN_ID: u64 = 84_532;

    /// Starts the chain with every one of [`BUYERS`] funded.
    ///
    /// # Errors
    /// When something is not installed or a transaction fails.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with command-line options of the node.
    ///
    /// # Errors
    /// When something is not installed or a transaction fails.
    pub async fn start_with(options: &[&str]) -> Result<Self> {
        // The node for Tempo chains has the contracts of other authors in its genesis, with their code.
        let donor = ["--network", "tempo", "--hardfork", "T4"];
        let (anvil, donor) = tokio::try_join!(
            Anvil::start(Self::CHAIN_ID, options),
            Anvil::start(42_431, &donor)
        )?;
        for address in [MULTICALL3, PERMIT2] {
            let address: Address = address.parse()?;
            anvil.set_code(address, &donor.code(address).await?).await?;
        }
        let usdc = Usdc::deploy(&anvil, BASE_SEPOLIA_USDC.parse()?, "USDC")
            .await
            .context("USDC")?;
        for buyer in BUYERS {
            usdc.mint(buyer.address, BUYER_FUNDS).await?;
        }
        Ok(Self { anvil, usdc })
    }
}

impl Deref for BaseSepolia {
    type Target = Anvil;

    fn deref(&self) -> &Anvil {
        &self.anvil
    }
}
