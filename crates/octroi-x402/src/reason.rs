//! Why a payment is refused or did not settle, in the words of the protocol.

use std::fmt;

/// The longest unknown reason that is kept from a remote facilitator, in bytes.
const REMOTE_BYTES_MAX: usize = 200;

macro_rules! reasons {
    ($($name:ident = $code:literal, $message:literal;)*) => {
        /// A machine-readable reason, spelled as the reference SDKs spell it, so that clients can
        /// switch on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $(
                #[doc = concat!("`", $code, "`: ", $message)]
                $name,
            )*
        }

        impl Reason {
            /// Every reason, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// A sentence for people: what is wrong and, where there is something, what to do.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

reasons! {
    // Offline checks of `exact` with EIP-3009, in the order in which they are made.
    InvalidScheme = "invalid_exact_evm_scheme",
        "The payment is not of the scheme `exact`, which is the only one accepted here.";
    MissingEip712Domain = "invalid_exact_evm_missing_eip712_domain",
        "The requirements lack the token's EIP-712 name and version in `extra`.";
    NetworkMismatch = "invalid_exact_evm_network_mismatch",
        "The payment is for another network than the ones offered.";
    UnsupportedPayloadType = "unsupported_payload_type",
        "The payload holds no EIP-3009 authorization; Permit2 and others are not accepted here.";
    FailedToParseSignature = "invalid_exact_evm_failed_to_parse_signature",
        "The signature ends like an ERC-6492 wrapper but cannot be unwrapped.";
    InvalidSignature = "invalid_exact_evm_signature",
        "The signature is not one of the payer for this token, amount, payee and window; check the token's EIP-712 name and version.";
    FactoryNotAllowed = "eip6492_factory_not_allowed",
        "The payer's wallet is not deployed and its factory is not on the allow-list.";
    RecipientMismatch = "invalid_exact_evm_recipient_mismatch",
        "The authorization pays somebody else than the payee of the offer.";
    ValidBefore = "invalid_exact_evm_payload_authorization_valid_before",
        "The authorization ends too soon to settle, or its window is longer than accepted; sign with validBefore = now + maxTimeoutSeconds.";
    ValidAfter = "invalid_exact_evm_payload_authorization_valid_after",
        "The authorization is not valid yet; check the signer's clock.";
    ValueMismatch = "invalid_exact_evm_payload_authorization_value_mismatch",
        "The authorized value is not exactly the price.";
    InvalidValue = "invalid_exact_evm_authorization_value",
        "The authorized value does not cover the price.";

    // Chain facts, before the transaction.
    AssetNotDeployed = "asset_not_deployed_contract",
        "There is no contract at the asset's address on this network.";
    Eip3009NotSupported = "invalid_exact_evm_eip3009_not_supported",
        "The token does not support transferWithAuthorization (EIP-3009).";
    NonceAlreadyUsed = "invalid_exact_evm_nonce_already_used",
        "The authorization was already used or cancelled; sign a new one with a fresh nonce.";
    TokenNameMismatch = "invalid_exact_evm_token_name_mismatch",
        "The token's EIP-712 name differs from the one in the offer.";
    TokenVersionMismatch = "invalid_exact_evm_token_version_mismatch",
        "The token's EIP-712 version differs from the one in the offer.";
    InsufficientBalance = "invalid_exact_evm_insufficient_balance",
        "The payer does not hold enough of the token.";
    SimulationFailed = "invalid_exact_evm_transaction_simulation_failed",
        "The transfer fails when simulated against the current state of the chain.";
    UndeployedSmartWallet = "invalid_exact_evm_payload_undeployed_smart_wallet",
        "The payer is a smart wallet that is not deployed yet.";

    // Settlement.
    SmartWalletDeploymentFailed = "smart_wallet_deployment_failed",
        "The transaction that deploys the payer's wallet failed.";
    TransactionFailed = "invalid_exact_evm_transaction_failed",
        "The settlement transaction failed on the chain.";
    TransferEventMismatch = "invalid_exact_evm_transfer_event_mismatch",
        "The settlement transaction did not move the authorized amount.";
    InvalidTransactionState = "invalid_transaction_state",
        "The settlement transaction was reverted or is not known to the chain.";
    SettlementPending = "settlement_pending",
        "The settlement was sent and its outcome is not known yet; repeat the same payment later and do not sign a new one.";
    DuplicateSettlement = "duplicate_settlement",
        "This payment was already settled once; it buys nothing more.";

    // Shape and protocol.
    InvalidVersion = "invalid_x402_version",
        "x402Version is missing or does not fit the header or endpoint.";
    InvalidPayload = "invalid_payload",
        "The payment is malformed: base64 of JSON with all required fields is expected.";
    InvalidRequirements = "invalid_payment_requirements",
        "The payment requirements are malformed, or the accepted terms are not among those offered; fetch fresh terms and sign again.";
    InvalidNetwork = "invalid_network",
        "The network is not known here.";
    UnsupportedScheme = "unsupported_scheme",
        "The scheme is not supported.";
    UnexpectedVerifyError = "unexpected_verify_error",
        "The verification could not be completed; nothing was charged.";
    UnexpectedSettleError = "unexpected_settle_error",
        "The settlement could not be completed.";

    // Our own: the reference has no word for it.
    AddressDenied = "address_denied",
        "The payer or the payee is not served here; signing again does not change that.";

    // Further words that remote facilitators answer with.
    AnyInvalidScheme = "invalid_scheme", "The scheme is not valid.";
    InsufficientFunds = "insufficient_funds",
        "The payer does not hold enough of the token.";
    PayloadSignature = "invalid_exact_evm_payload_signature",
        "The signature is not one of the payer for this authorization.";
    PayloadRecipientMismatch = "invalid_exact_evm_payload_recipient_mismatch",
        "The authorization pays somebody else than the payee of the offer.";
    PayloadValue = "invalid_exact_evm_payload_authorization_value",
        "The authorized value does not cover the price.";
    InvalidPayment = "invalid_payment", "The payment is not valid.";
    PaymentExpired = "payment_expired", "The payment's window has ended.";
    ExtensionEchoMismatch = "extension_echo_mismatch",
        "The payment changed what the server declared in `extensions`.";
    Permit2AllowanceRequired = "permit2_allowance_required",
        "The payer must first allow Permit2 to spend the token.";
}

impl Reason {
    /// The reason with this code, if it is known.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.as_str() == code)
    }

    /// Whether the outcome is open: the same payment may still settle, so it must be neither signed
    /// anew nor counted as failed (money rule 16).
    #[must_use]
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::SettlementPending)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Reason {}

/// A reason as a remote facilitator gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteReason {
    /// A word of the protocol.
    Known(Reason),
    /// Anything else: at most 200 bytes, without control characters. It is the remote's text, so
    /// it belongs in the operator's log and not in an answer to a buyer.
    Other(String),
}

impl RemoteReason {
    /// Reads a remote's code.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if let Some(reason) = Reason::from_code(text) {
            return Self::Known(reason);
        }
        let mut kept = String::new();
        for character in text.chars().filter(|character| !character.is_control()) {
            if kept.len() + character.len_utf8() > REMOTE_BYTES_MAX {
                break;
            }
            kept.push(character);
        }
        Self::Other(kept)
    }

    /// The protocol's word, if it is one.
    #[must_use]
    pub const fn known(&self) -> Option<Reason> {
        match self {
            Self::Known(reason) => Some(*reason),
            Self::Other(_) => None,
        }
    }
}

impl fmt::Display for RemoteReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(reason) => reason.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_read_back() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(
                RemoteReason::parse(reason.as_str()),
                RemoteReason::Known(*reason)
            );
            assert!(reason.message().ends_with('.'), "{reason}");
        }
    }

    #[test]
    fn unknown_codes_are_kept_short_and_printable() {
        let other = RemoteReason::parse("some_new_code\r\nX: 1");
        assert_eq!(other, RemoteReason::Other("some_new_codeX: 1".to_owned()));
        assert_eq!(other.known(), None);
        let long = RemoteReason::parse(&"é".repeat(500));
        assert_eq!(long.to_string().len(), REMOTE_BYTES_MAX);
    }

    #[test]
    fn only_a_pending_settlement_is_open() {
        let pending: Vec<_> = Reason::ALL
            .iter()
            .filter(|reason| reason.is_pending())
            .collect();
        assert_eq!(pending, [&Reason::SettlementPending]);
    }
}
