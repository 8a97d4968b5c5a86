//! Accounts whose keys everybody knows.

use alloy_primitives::{Address, B256, keccak256};
use octroi_types::Redacted;
use secp256k1::{PublicKey, SecretKey};

/// An account of the development network. Its key follows from its index, so money that is worth
/// anything must never be sent to it on any chain.
#[derive(Debug, Clone)]
pub struct TestAccount {
    /// The account's address.
    pub address: octroi_types::Address,
    /// The secret key, secp256k1.
    pub secret_key: Redacted<[u8; 32]>,
}

/// The test account with this index. The first ten are funded in a new network, and number 0
/// owns the token.
#[must_use]
pub fn test_account(index: u32) -> TestAccount {
    let mut key = keccak256(format!("octroi development account {index}"));
    let secret = loop {
        match SecretKey::from_byte_array(key.0) {
            Ok(secret) => break secret,
            // Zero or above the order of the curve: possible, though nobody has seen it.
            Err(_) => key = keccak256(key),
        }
    };
    let address = address_of_key(&PublicKey::from_secret_key_global(&secret));
    TestAccount {
        address: octroi_types::Address(address.into_array()),
        secret_key: Redacted::new(secret.secret_bytes()),
    }
}

/// The account that a public key controls.
pub(crate) fn address_of_key(key: &PublicKey) -> Address {
    // The first byte only says that the point is uncompressed.
    let point = key.serialize_uncompressed();
    Address::from_word(B256::new(keccak256(&point[1..]).0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_give_the_addresses_that_every_wallet_derives() {
        // Key 1 is the generator of the curve; its address is widely published.
        let one = SecretKey::from_byte_array(B256::with_last_byte(1).0).unwrap();
        assert_eq!(
            address_of_key(&PublicKey::from_secret_key_global(&one)).to_string(),
            "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"
        );
    }

    #[test]
    fn accounts_differ_and_stay() {
        assert_eq!(test_account(3).address, test_account(3).address);
        assert_ne!(test_account(3).address, test_account(4).address);
        assert!(!format!("{:?}", test_account(0)).contains("secret_key: \"0x"));
    }
}
