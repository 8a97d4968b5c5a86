//! The ten accounts that every anvil node knows, by the part they play here. The keys are printed by the
//! node itself and worth nothing anywhere else.

use octroi_types::Address;

/// An account with its key.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    /// Its address.
    pub address: Address,
    /// Its private key, `0x` and 64 hex digits.
    pub private_key: &'static str,
}

/// Deploys and owns the token, and mints.
pub const OWNER: Account = account(
    "f39fd6e51aad88f6f4ce6ab8827279cfffb92266",
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
);
/// Settles for the official facilitator.
pub const FACILITATOR: Account = account(
    "70997970c51812dc3a010c7d01b50e0d17dc79c8",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
);
/// Settles for the gate.
pub const GATE_WALLET: Account = account(
    "3c44cdddb6a900fa2b585dd299e03d12fa4293bc",
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
);
/// Is paid.
pub const PAYEE: Account = account(
    "90f79bf6eb2c4f870365e785982e1f101e93b906",
    "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
);
/// Buy, and hold a million dollars each on [`crate::BaseSepolia`].
pub const BUYERS: [Account; 6] = [
    account(
        "15d34aaf54267db7d7c367839aaf71a00a2c6a65",
        "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    ),
    account(
        "9965507d1a55bcc2695c58ba16fb37d819b0a4dc",
        "0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    ),
    account(
        "976ea74026e726554db657fa54763abd0c3a0aa9",
        "0x92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    ),
    account(
        "14dc79964da2c08b23698b3d3cc7ca32193d9955",
        "0x4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    ),
    account(
        "23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f",
        "0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    ),
    account(
        "a0ee7a142d267c1f36714e4a8f75612f20a79720",
        "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
    ),
];

const fn account(address: &str, private_key: &'static str) -> Account {
    Account {
        address: Address(hex_bytes(address.as_bytes())),
        private_key,
    }
}

const fn hex_bytes(digits: &[u8]) -> [u8; 20] {
    let mut bytes = [0; 20];
    let mut index = 0;
    while index < bytes.len() {
        bytes[index] = nibble(digits[2 * index]) << 4 | nibble(digits[2 * index + 1]);
        index += 1;
    }
    bytes
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'0',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_that_the_node_prints() {
        assert_eq!(
            OWNER.address.to_string(),
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        );
        assert_eq!(
            BUYERS[5].address.to_string(),
            "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"
        );
    }
}
