//! One authorized transfer on its way to the chain.

use octroi_claim::{Claim, ClaimKey};
use octroi_types::{Address, Amount, B256, Redacted, UnixMicros, UnixSeconds};
use octroi_x402::{CheckedAuthorization, PayerCheck, Signature};

use crate::abi;

/// What the chain must show for a claim to be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) claim: ClaimKey,
    pub(crate) epoch: u32,
    /// When the claim became durable: a transfer mined before that is not ours (money rule 17).
    pub(crate) claimed_at: UnixMicros,
    pub(crate) token: Address,
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) value: Amount,
    pub(crate) valid_before: UnixSeconds,
    pub(crate) nonce: B256,
}

impl Transfer {
    pub(crate) fn of(claim: &Claim) -> Self {
        let terms = &claim.terms;
        Self {
            claim: claim.key(),
            epoch: claim.epoch,
            claimed_at: terms.created_at,
            token: terms.asset,
            from: terms.payer,
            to: terms.pay_to,
            value: terms.amount,
            valid_before: terms.valid_before,
            nonce: terms.nonce,
        }
    }
}

/// How the payer signed, in the form that the token takes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum CallSignature {
    /// A plain account.
    Ecdsa { r: B256, s: B256, v: u8 },
    /// A wallet contract.
    Wallet(Vec<u8>),
}

/// A wallet that must be deployed before it can pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deployment {
    pub(crate) factory: Address,
    pub(crate) calldata: Redacted<Vec<u8>>,
}

/// A transfer with what is needed to make it happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransferCall {
    pub(crate) transfer: Transfer,
    pub(crate) valid_after: UnixSeconds,
    pub(crate) signature: Redacted<CallSignature>,
    pub(crate) deployment: Option<Deployment>,
}

impl TransferCall {
    /// The transfer that settles a claim. `check` is what decided about the payer.
    pub(crate) fn new(
        claim: &Claim,
        authorization: &CheckedAuthorization,
        check: &PayerCheck<'_>,
    ) -> Self {
        let mut deployment = None;
        let signature = match (check, &authorization.signature) {
            (PayerCheck::Proven, Signature::Eoa { r, s, v }) => CallSignature::Ecdsa {
                r: *r,
                s: *s,
                v: *v,
            },
            (PayerCheck::AskWallet { signature }, _) => CallSignature::Wallet(signature.to_vec()),
            (
                PayerCheck::DeployFirst {
                    factory,
                    calldata,
                    signature,
                },
                _,
            ) => {
                let calldata = Redacted::new(calldata.to_vec());
                deployment = Some(Deployment {
                    factory: *factory,
                    calldata,
                });
                CallSignature::Wallet(signature.to_vec())
            }
            // A proven signature is an account's; the others never are.
            (PayerCheck::Proven, Signature::Contract(bytes)) => {
                CallSignature::Wallet(bytes.clone())
            }
            (PayerCheck::Proven, Signature::Counterfactual(wrapped)) => {
                CallSignature::Wallet(wrapped.signature.clone())
            }
        };
        let transfer = Transfer {
            from: authorization.payer,
            to: authorization.to,
            value: authorization.value,
            valid_before: authorization.valid_before,
            nonce: authorization.nonce,
            ..Transfer::of(claim)
        };
        let valid_after = authorization.valid_after;
        Self {
            transfer,
            valid_after,
            signature: Redacted::new(signature),
            deployment,
        }
    }

    /// Whether it may share a transaction with others: plain accounts only, since a wallet's code
    /// runs inside the transfer and may burn what gas it is given (money rule 19).
    pub(crate) fn shares(&self) -> bool {
        matches!(self.signature.expose(), CallSignature::Ecdsa { .. })
    }

    /// The call data for the token.
    pub(crate) fn data(&self) -> Vec<u8> {
        abi::transfer(self)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A transfer of 100 to the account 3, from the account 2.
    pub(crate) fn transfer(nonce: u8) -> Transfer {
        Transfer {
            claim: ClaimKey {
                valid_before: UnixSeconds(9),
                identity: B256([nonce; 32]),
            },
            epoch: 0,
            claimed_at: UnixMicros(0),
            token: Address([1; 20]),
            from: Address([2; 20]),
            to: Address([3; 20]),
            value: Amount::new(100).unwrap(),
            valid_before: UnixSeconds(9),
            nonce: B256([nonce; 32]),
        }
    }

    pub(crate) fn call(nonce: u8) -> TransferCall {
        let signature = CallSignature::Ecdsa {
            r: B256([7; 32]),
            s: B256([8; 32]),
            v: 28,
        };
        TransferCall {
            transfer: transfer(nonce),
            valid_after: UnixSeconds(1),
            signature: Redacted::new(signature),
            deployment: None,
        }
    }
}
