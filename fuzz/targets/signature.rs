//! Signatures of every kind over one digest. Only the payer's own counts as computed, and nobody
//! has another than the one below; what is left to a contract is left to it as it came.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use octroi_types::{Address, B256};
use octroi_x402::{Counterfactual, Reason, Signature, recover};

/// What viem signed with the key that the documentation of web3.js shows: the signature, the digest,
/// the account.
const SIGNED: [&str; 3] = [
    "31d37763acc5070ee87acbad2a9a1a7331d575dec6127328f746df772737b5de35f9c90ad6f87b1ef103344130484529b5d4e77a74d4a676b235e1db764676d11b",
    "0xc0006e6febf912f585c8c69025fcecb750e5b9537f57cc57c076d599a1fc9868",
    "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23",
];

static OURS: LazyLock<([u8; 65], B256, Address)> = LazyLock::new(|| {
    let [signature, digest, payer] = SIGNED;
    let signature = hex::decode(signature)
        .expect("hex")
        .try_into()
        .expect("65 bytes");
    (
        signature,
        digest.parse().expect("a digest"),
        payer.parse().expect("an address"),
    )
});

fuzz_target!(|bytes: &[u8]| {
    let (ours, digest, payer) = &*OURS;
    if let Ok(read) = Counterfactual::unwrap_signature(bytes) {
        assert_eq!(read.wrap(), bytes);
        assert_ne!(read.factory, Address::ZERO);
    }
    match Signature::classify(bytes, *digest, *payer) {
        Ok(Signature::Eoa { r, s, v }) => {
            assert_eq!([&r.0[..], &s.0, &[v]].concat(), ours);
            let v = bytes.last().expect("65 bytes");
            assert!(bytes[..64] == ours[..64] && (*v == 27 || *v == 0));
        }
        Ok(Signature::Contract(kept)) => {
            assert_eq!(kept, bytes);
            assert!(!Counterfactual::is_wrapped(bytes));
        }
        Ok(Signature::Counterfactual(wrapped)) => assert_eq!(wrapped.wrap(), bytes),
        Err(Reason::FailedToParseSignature) => assert!(Counterfactual::is_wrapped(bytes)),
        // Nothing, or the mirror image.
        Err(reason) => {
            assert_eq!(reason, Reason::InvalidSignature);
            let mirrored = bytes
                .try_into()
                .is_ok_and(|bytes| recover(bytes, *digest) == Some(*payer));
            assert!(bytes.is_empty() || mirrored);
        }
    }
});
