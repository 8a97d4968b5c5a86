//! Circle's own token contract, FiatTokenV2_2, at whatever address a chain has it.

use anyhow::{Context as _, Result, ensure};
use octroi_types::{Address, B256};
use serde_json::Value;

use crate::{Anvil, Arg, OWNER, Rpc, calldata, installed};

/// USDC on Base Sepolia (chain 84532).
pub const BASE_SEPOLIA_USDC: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";

const OWNER_ADDRESS: Arg<'_> = Arg::Address(OWNER.address);

/// The token on one chain.
#[derive(Debug, Clone)]
pub struct Usdc {
    rpc: Rpc,
    address: Address,
}

impl Usdc {
    /// Puts the compiled contract at `address`, runs its initialisers as its owner would, and lets the
    /// owner mint. `name` is the token's name on that chain: part of what every payment signs.
    ///
    /// # Errors
    /// When the contract is not installed or a transaction fails.
    pub async fn deploy(anvil: &Anvil, address: Address, name: &str) -> Result<Self> {
        let library = installed::circle_artifact("util/SignatureChecker.sol")?;
        let library = anvil
            .transact(
                OWNER.address,
                None,
                &artifact_code(&library["bytecode"], "")?,
            )
            .await?
            .contract
            .context("no library address")?;
        let token = installed::circle_artifact("v2/FiatTokenV2_2.sol")?;
        anvil
            .set_code(address, &linked_code(&token, library)?)
            .await?;

        let usdc = Self {
            rpc: Rpc::clone(anvil),
            address,
        };
        let lost_and_found = Arg::Address(Address([0xde; 20]));
        let text = Arg::Text;
        for (signature, args) in [
            (
                "initialize(string,string,string,uint8,address,address,address,address)",
                &[
                    text(name),
                    text("USDC"),
                    text("USD"),
                    Arg::Uint(6),
                    OWNER_ADDRESS,
                    OWNER_ADDRESS,
                    OWNER_ADDRESS,
                    OWNER_ADDRESS,
                ][..],
            ),
            ("initializeV2(string)", &[text(name)]),
            ("initializeV2_1(address)", &[lost_and_found]),
            (
                "initializeV2_2(address[],string)",
                &[Arg::Addresses(&[]), text("USDC")],
            ),
            (
                "configureMinter(address,uint256)",
                &[OWNER_ADDRESS, Arg::Uint(u128::MAX)],
            ),
        ] {
            usdc.as_owner(signature, args).await.context(signature)?;
        }
        Ok(usdc)
    }

    /// The token's address.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// Creates `units` millionths of a dollar for `holder`.
    ///
    /// # Errors
    /// When the transaction fails.
    pub async fn mint(&self, holder: Address, units: u128) -> Result<()> {
        let args = [Arg::Address(holder), Arg::Uint(units)];
        self.as_owner("mint(address,uint256)", &args).await
    }

    /// What `holder` holds, in millionths of a dollar.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn balance(&self, holder: Address) -> Result<u128> {
        let data = calldata("balanceOf(address)", &[Arg::Address(holder)]);
        self.rpc.call_uint(self.address, &data).await
    }

    /// Stops `holder` from sending and receiving.
    ///
    /// # Errors
    /// When the transaction fails.
    pub async fn blacklist(&self, holder: Address) -> Result<()> {
        self.as_owner("blacklist(address)", &[Arg::Address(holder)])
            .await
    }

    /// Stops every transfer.
    ///
    /// # Errors
    /// When the transaction fails.
    pub async fn pause(&self) -> Result<()> {
        self.as_owner("pause()", &[]).await
    }

    /// The name in the token's signing domain.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn name(&self) -> Result<String> {
        self.rpc
            .call_text(self.address, &calldata("name()", &[]))
            .await
    }

    /// The version in the token's signing domain.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn version(&self) -> Result<String> {
        self.rpc
            .call_text(self.address, &calldata("version()", &[]))
            .await
    }

    /// The EIP-712 domain separator.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn domain_separator(&self) -> Result<B256> {
        let word = self
            .rpc
            .call(self.address, &calldata("DOMAIN_SEPARATOR()", &[]))
            .await?;
        let word = word.try_into().ok().context("not one word")?;
        Ok(B256(word))
    }

    async fn as_owner(&self, signature: &str, args: &[Arg<'_>]) -> Result<()> {
        let data = calldata(signature, args);
        self.rpc
            .transact(OWNER.address, Some(self.address), &data)
            .await
            .map(drop)
    }
}

/// The artifact's runtime code with the library's address in every place that refers to it.
fn linked_code(artifact: &Value, library: Address) -> Result<Vec<u8>> {
    let places = artifact["deployedLinkReferences"]
        .as_object()
        .context("no link references")?
        .values()
        .flat_map(|libraries| libraries.as_object().into_iter().flatten())
        .flat_map(|(_, places)| places.as_array().into_iter().flatten());
    let mut digits = artifact["deployedBytecode"]
        .as_str()
        .context("no code")?
        .to_owned();
    let address = hex::encode(library.0);
    let mut linked = 0;
    for place in places {
        let byte = place["start"].as_u64().context("no offset")?;
        let start = 2 + 2 * usize::try_from(byte)?;
        ensure!(
            digits.len() >= start + address.len(),
            "an offset beyond the code"
        );
        digits.replace_range(start..start + address.len(), &address);
        linked += 1;
    }
    ensure!(linked > 0, "nothing to link");
    artifact_code(&Value::String(digits), "linked code")
}

fn artifact_code(code: &Value, what: &'static str) -> Result<Vec<u8>> {
    let digits = code.as_str().and_then(|code| code.strip_prefix("0x"));
    hex::decode(digits.context("no code")?).context(what)
}
