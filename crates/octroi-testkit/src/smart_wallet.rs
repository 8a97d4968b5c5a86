//! A payer that is a contract.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use octroi_devnet::Contract;
use octroi_types::{Address, B256, KnownNetwork, keccak256};
use octroi_x402::client::Required;
use octroi_x402::{Counterfactual, Token, sign_authorization};
use serde_json::{Value, json};

use crate::buyer::{Buyer, Payment};
use crate::net::{CHAIN, Net, TOKEN, amount};

/// Where wallets get some money; each of its owner's.
const WALLET_UNITS: u64 = 1_000_000_000;

/// A contract wallet (ERC-1271) with one owner, deployed or only foreseen (ERC-6492).
pub struct SmartWallet {
    /// Where it is or would be.
    pub address: Address,
    owner: Buyer,
    salt: B256,
}

impl SmartWallet {
    /// Who deploys wallets.
    pub const FACTORY: Address = Address([0xfa; 20]);

    /// Where the factory would put a wallet of this owner, with a thousand dollars there already.
    #[must_use]
    pub fn foresee(net: &Net, owner: &Buyer) -> Self {
        let devnet = net.devnet();
        devnet
            .deploy(Contract::SmartWalletFactory, Self::FACTORY)
            .unwrap();
        let mut wallet = Self {
            address: Address::ZERO,
            owner: owner.clone(),
            salt: keccak256(&owner.address.to_word()),
        };
        let data = hex::encode(wallet.call("walletOf(address,bytes32)"));
        let call = json!([{ "to": Self::FACTORY, "data": format!("0x{data}") }, "latest"]);
        let word: B256 = net
            .rpc("eth_call", &call)
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        wallet.address = Address(*word.0.last_chunk().unwrap());
        devnet
            .fund(wallet.address, amount(WALLET_UNITS), 0)
            .unwrap();
        wallet
    }

    fn call(&self, signature: &str) -> Vec<u8> {
        let selector = &keccak256(signature.as_bytes()).0[..4];
        [selector, &self.owner.address.to_word(), &self.salt.0].concat()
    }

    /// The call of the factory that deploys it.
    #[must_use]
    pub fn deployment(&self) -> Vec<u8> {
        self.call("deploy(address,bytes32)")
    }

    /// Whether it is deployed.
    #[must_use]
    pub fn exists(&self, net: &Net) -> bool {
        net.rpc("eth_getCode", &json!([self.address, "latest"])) != json!("0x")
    }

    /// Pays what is asked for, signed by its owner.
    #[must_use]
    pub fn sign(&self, required: &Required) -> Payment {
        self.sign_by(&self.owner, required, false)
    }

    /// As [`Self::sign`], with what it takes to deploy the wallet first.
    #[must_use]
    pub fn sign_undeployed(&self, required: &Required) -> Payment {
        self.sign_by(&self.owner, required, true)
    }

    /// Pays what is asked for, signed by whoever should not or should own the wallet.
    #[must_use]
    pub fn sign_by(&self, signer: &Buyer, required: &Required, is_wrapped: bool) -> Payment {
        let mut payment = self.owner.sign(required);
        payment.authorization.from = self.address;
        let usdc = KnownNetwork::by_name("base-sepolia").unwrap().usdc.unwrap();
        let token = Token::new(CHAIN, TOKEN, usdc.name.unwrap(), usdc.version.unwrap());
        let mut signature =
            sign_authorization(signer.key(), &token, &payment.authorization).to_vec();
        if is_wrapped {
            let wrapper = Counterfactual {
                factory: Self::FACTORY,
                calldata: self.deployment(),
                signature,
            };
            signature = wrapper.wrap();
        }
        let header = STANDARD.decode(&payment.header_value).unwrap();
        let mut message: Value = serde_json::from_slice(&header).unwrap();
        message["payload"] = json!({
            "signature": format!("0x{}", hex::encode(signature)),
            "authorization": payment.authorization,
        });
        payment.header_value = STANDARD.encode(message.to_string());
        payment
    }
}
