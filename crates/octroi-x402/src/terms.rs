//! Our side of a deal.

use std::sync::Arc;

use octroi_types::{Address, Amount, ChainId};
use serde_json::Value;

use crate::codec::JsonObject;
use crate::eip712::Token;
use crate::payment::Version;
use crate::reason::Reason;
use crate::{SCHEME_EXACT, v1, v2};

/// One acceptable way to pay: so much of a token, to this payee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What is paid in; shared between all prices in it.
    pub token: Arc<Token>,
    /// Who is paid.
    pub pay_to: Address,
    /// The price.
    pub amount: Amount,
    /// How long the payment may take, in seconds: clients sign `validBefore` = now + this.
    pub max_timeout_seconds: u32,
}

impl Terms {
    /// The chain that is paid on.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.token.chain()
    }

    /// The token contract.
    #[must_use]
    pub fn asset(&self) -> Address {
        self.token.address()
    }

    /// The requirements of version 2.
    #[must_use]
    pub fn to_v2(&self) -> v2::PaymentRequirements {
        v2::PaymentRequirements {
            scheme: SCHEME_EXACT.to_owned(),
            network: self.chain().to_string(),
            amount: self.amount.to_string(),
            asset: self.asset().to_string(),
            pay_to: self.pay_to.to_string(),
            max_timeout_seconds: self.max_timeout_seconds.into(),
            extra: Some(self.extra()),
        }
    }

    /// The requirements of version 1 for a resource, if the chain has a name there.
    #[must_use]
    pub fn to_v1(&self, resource: &v2::ResourceInfo) -> Option<v1::PaymentRequirements> {
        Some(v1::PaymentRequirements {
            scheme: SCHEME_EXACT.to_owned(),
            network: self.chain().v1_name()?.to_owned(),
            max_amount_required: self.amount.to_string(),
            resource: resource.url.clone(),
            description: resource.description.clone().unwrap_or_default(),
            mime_type: resource.mime_type.clone().unwrap_or_default(),
            pay_to: self.pay_to.to_string(),
            max_timeout_seconds: self.max_timeout_seconds.into(),
            asset: self.asset().to_string(),
            extra: Some(self.extra()),
        })
    }

    /// Reads somebody else's requirements of version 2, as a buyer or as a facilitator.
    ///
    /// # Errors
    /// The [`Reason`] why they are not `exact` with EIP-3009 on an EVM chain.
    pub fn from_v2(requirements: &v2::PaymentRequirements) -> Result<Self, Reason> {
        Self::read(&Foreign {
            version: Version::V2,
            scheme: &requirements.scheme,
            network: &requirements.network,
            amount: &requirements.amount,
            asset: &requirements.asset,
            pay_to: &requirements.pay_to,
            max_timeout_seconds: requirements.max_timeout_seconds,
            extra: requirements.extra.as_ref(),
        })
    }

    /// Reads somebody else's requirements of version 1.
    ///
    /// # Errors
    /// The [`Reason`] why they are not `exact` with EIP-3009 on a chain with a version 1 name.
    pub fn from_v1(requirements: &v1::PaymentRequirements) -> Result<Self, Reason> {
        Self::read(&Foreign {
            version: Version::V1,
            scheme: &requirements.scheme,
            network: &requirements.network,
            amount: &requirements.max_amount_required,
            asset: &requirements.asset,
            pay_to: &requirements.pay_to,
            max_timeout_seconds: requirements.max_timeout_seconds,
            extra: requirements.extra.as_ref(),
        })
    }

    fn read(foreign: &Foreign<'_>) -> Result<Self, Reason> {
        if foreign.scheme != SCHEME_EXACT {
            return Err(Reason::InvalidScheme);
        }
        let (Some(name), Some(version)) = (foreign.extra("name"), foreign.extra("version")) else {
            return Err(Reason::MissingEip712Domain);
        };
        let chain = foreign
            .version
            .chain(foreign.network)
            .ok_or(Reason::InvalidNetwork)?;
        let asset: Address = parse(foreign.asset)?;
        // Permit2 signs another message, and so does a domain that is not the token's own.
        if foreign
            .extra("assetTransferMethod")
            .is_some_and(|method| method != "eip3009")
            || foreign
                .extra("verifyingContract")
                .is_some_and(|contract| contract.parse() != Ok(asset))
        {
            return Err(Reason::UnsupportedPayloadType);
        }
        Ok(Self {
            token: Arc::new(Token::new(chain, asset, name, version)),
            pay_to: parse(foreign.pay_to)?,
            amount: parse(foreign.amount)?,
            max_timeout_seconds: u32::try_from(foreign.max_timeout_seconds)
                .ok()
                .filter(|seconds| *seconds > 0)
                .ok_or(Reason::InvalidRequirements)?,
        })
    }

    /// What clients need in order to sign, and must echo.
    fn extra(&self) -> JsonObject {
        let text = |text: &str| Value::String(text.to_owned());
        JsonObject(
            [
                ("name".to_owned(), text(self.token.domain_name())),
                ("version".to_owned(), text(self.token.domain_version())),
            ]
            .into_iter()
            .collect(),
        )
    }
}

/// The fields that requirements of both versions share.
struct Foreign<'r> {
    version: Version,
    scheme: &'r str,
    network: &'r str,
    amount: &'r str,
    asset: &'r str,
    pay_to: &'r str,
    max_timeout_seconds: u64,
    extra: Option<&'r JsonObject>,
}

impl Foreign<'_> {
    /// A non-empty text in `extra`.
    fn extra(&self, key: &str) -> Option<&str> {
        let text = self.extra?.0.get(key)?.as_str()?;
        (!text.is_empty()).then_some(text)
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, Reason> {
    text.parse().map_err(|_| Reason::InvalidRequirements)
}
