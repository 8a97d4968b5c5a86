//! The gate's table of networks beside those of other people.

use anyhow::{Context as _, Result};
use octroi_interop::known_assets;
use octroi_types::{Address, ChainId, KNOWN_NETWORKS, KnownToken};
use serde_json::Value;

/// Networks whose token none of the official packages knows with its name and version. What the gate says
/// of them is compared with the contract alone, when it starts.
const UNKNOWN: &[&str] = &["arc", "arc-testnet", "hyperevm", "hyperevm-testnet"];
/// Networks without a token that the gate could sell for.
const WITHOUT: &[&str] = &["tempo", "tempo-testnet"];

#[tokio::test]
async fn tokens_and_names_are_those_of_the_official_packages() -> Result<()> {
    let tables = known_assets().await?;
    let (mut unknown, mut without) = (Vec::new(), Vec::new());
    for network in KNOWN_NETWORKS {
        let v1 = in_v1(&tables, network.chain);
        let name = v1.and_then(|row| row["name"].as_str());
        assert_eq!(network.v1_name, name, "{}", network.name);
        let mut told: Vec<_> = v1.map(|row| &row["asset"]).into_iter().collect();
        told.extend(in_v2(&tables, network.chain));
        let Some(token) = network.usdc else {
            assert!(told.is_empty(), "{}: {told:?}", network.name);
            without.push(network.name);
            continue;
        };
        for asset in &told {
            let is_same = same(&token, asset)?;
            assert!(is_same, "{}: {token:?} and {asset}", network.name);
        }
        if told.is_empty() {
            unknown.push(network.name);
        }
        let viem = &tables["viem"]["addresses"][network.chain.0.to_string()];
        if let Some(address) = viem.as_str() {
            assert_eq!(
                token.address,
                address.parse::<Address>()?,
                "{}",
                network.name
            );
            assert_eq!(tables["viem"]["decimals"], token.decimals);
        }
    }
    assert_eq!(unknown, UNKNOWN);
    assert_eq!(without, WITHOUT);
    Ok(())
}

fn in_v1(tables: &Value, chain: ChainId) -> Option<&Value> {
    let rows = tables["v1"].as_array()?;
    rows.iter().find(|row| row["chain"] == chain.0)
}

/// The first of a network's tokens is the one that its servers sell for by default.
fn in_v2(tables: &Value, chain: ChainId) -> Option<&Value> {
    let rows = tables["v2"].as_array()?;
    let row = rows
        .iter()
        .find(|row| row["network"] == chain.to_string())?;
    row["assets"].get(0)
}

fn same(token: &KnownToken, asset: &Value) -> Result<bool> {
    let address: Address = asset["asset"].as_str().context("no address")?.parse()?;
    Ok(token.address == address
        && token.name == asset["name"].as_str()
        && token.version == asset["version"].as_str()
        && asset["decimals"] == token.decimals)
}
