//! Payments of both versions: never a panic, and what is read and written again is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use octroi_x402::{Payment, SettleResponse, Version};

fuzz_target!(|text: &str| {
    for version in [Version::V1, Version::V2] {
        if let Ok(payment) = Payment::from_header(version, text) {
            let again = Payment::from_header(version, &payment.to_header());
            assert_eq!(again.as_ref(), Ok(&payment));
        }
    }
    if let Ok(receipt) = SettleResponse::from_header(text) {
        assert_eq!(
            SettleResponse::from_header(&receipt.to_header()).as_ref(),
            Ok(&receipt)
        );
    }
});
