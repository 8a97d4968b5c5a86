//! The compiled contracts (`contracts/`, reproduced by `npm run build` there).

use alloy_primitives::hex;

/// A contract that the network can put at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contract {
    /// The well-behaved token: EIP-3009 in both forms, EIP-1271 payers, low `s` only.
    TestUsd,
    /// `aggregate3` and the small reads of Multicall3.
    Multicall,
    /// Deploys EIP-1271 wallets at addresses that are known beforehand (ERC-6492).
    SmartWalletFactory,
    /// A token that does not revert when an authorization is used twice.
    SilentReuseToken,
    /// A token that keeps one percent of every transfer for its owner.
    FeeOnTransferToken,
    /// A token whose transfers burn all the gas they are given.
    GasBurnerToken,
}

impl Contract {
    /// The code as it lies at the contract's address.
    #[must_use]
    pub fn runtime_code(self) -> &'static [u8] {
        match self {
            Self::TestUsd => &TEST_USD,
            Self::Multicall => &MULTICALL,
            Self::SmartWalletFactory => &SMART_WALLET_FACTORY,
            Self::SilentReuseToken => &SILENT_REUSE_TOKEN,
            Self::FeeOnTransferToken => &FEE_ON_TRANSFER_TOKEN,
            Self::GasBurnerToken => &GAS_BURNER_TOKEN,
        }
    }

    /// Whether it is a token with the storage of `TestUsd.sol`.
    pub(crate) fn is_token(self) -> bool {
        match self {
            Self::TestUsd
            | Self::SilentReuseToken
            | Self::FeeOnTransferToken
            | Self::GasBurnerToken => true,
            Self::Multicall | Self::SmartWalletFactory => false,
        }
    }
}

#[expect(
    clippy::panic,
    reason = "evaluated by the compiler only: a damaged artifact does not build"
)]
const fn decode<const LEN: usize>(text: &str) -> [u8; LEN] {
    match hex::const_decode_to_array(text.as_bytes()) {
        Ok(bytes) => bytes,
        Err(_) => panic!("the artifact is not hex"),
    }
}

macro_rules! runtime_code {
    ($($name:ident = $file:literal;)*) => {
        $(static $name: [u8; include_str!(concat!("../contracts/artifacts/", $file)).len() / 2] =
            decode(include_str!(concat!("../contracts/artifacts/", $file)));)*
    };
}

runtime_code! {
    TEST_USD = "TestUsd.bin-runtime";
    MULTICALL = "Multicall.bin-runtime";
    SMART_WALLET_FACTORY = "SmartWalletFactory.bin-runtime";
    SILENT_REUSE_TOKEN = "SilentReuseToken.bin-runtime";
    FEE_ON_TRANSFER_TOKEN = "FeeOnTransferToken.bin-runtime";
    GAS_BURNER_TOKEN = "GasBurnerToken.bin-runtime";
}
