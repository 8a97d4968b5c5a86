//! The storage of `TestUsd.sol`, for money that appears without a transaction.

use alloy_primitives::{Address, B256, U256, keccak256};

const OWNER: u8 = 0;
const NAME: u8 = 1;
const VERSION: u8 = 2;
const TOTAL_SUPPLY: u8 = 3;
const BALANCE_OF: u8 = 4;

/// The storage slot of the sum of all balances.
pub(crate) const TOTAL_SUPPLY_SLOT: U256 = U256::from_limbs([TOTAL_SUPPLY as u64, 0, 0, 0]);

/// The longest name or version, bytes: longer strings take more than their own storage slot.
pub(crate) const TEXT_BYTES_MAX: usize = 31;

/// The storage slot of a holder's balance.
pub(crate) fn balance_slot(holder: Address) -> U256 {
    // A mapping's entry lies at the hash of its key and the mapping's own slot.
    let mut preimage = [0; 64];
    preimage[..32].copy_from_slice(holder.into_word().as_slice());
    preimage[63] = BALANCE_OF;
    keccak256(preimage).into()
}

/// The slots of a token without holders, or `None` if a text is too long.
pub(crate) fn initial_slots(
    owner: Address,
    name: &str,
    version: &str,
) -> Option<[(U256, U256); 3]> {
    Some([
        (U256::from(OWNER), owner.into_word().into()),
        (U256::from(NAME), short_string(name)?),
        (U256::from(VERSION), short_string(version)?),
    ])
}

/// A string as Solidity keeps it in one slot: the bytes from the left, twice their number at the
/// right.
fn short_string(text: &str) -> Option<U256> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let mut word = B256::ZERO;
    word[..text.len()].copy_from_slice(text.as_bytes());
    word[31] = u8::try_from(text.len() * 2).ok()?;
    Some(word.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_where_the_compiler_put_them() {
        for artifact in [
            include_str!("../contracts/artifacts/TestUsd.json"),
            include_str!("../contracts/artifacts/SilentReuseToken.json"),
            include_str!("../contracts/artifacts/FeeOnTransferToken.json"),
            include_str!("../contracts/artifacts/GasBurnerToken.json"),
        ] {
            let artifact: serde_json::Value = serde_json::from_str(artifact).unwrap();
            for (label, slot) in [
                ("owner", OWNER),
                ("name", NAME),
                ("version", VERSION),
                ("totalSupply", TOTAL_SUPPLY),
                ("balanceOf", BALANCE_OF),
            ] {
                assert_eq!(artifact["storage"][label], slot, "{label}");
            }
        }
    }

    #[test]
    fn long_texts_are_refused() {
        assert!(short_string(&"x".repeat(31)).is_some());
        assert!(short_string(&"x".repeat(32)).is_none());
    }
}
