//! The terms of somebody else's 402, as `octroi pay` reads them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use octroi_fuzz::first_line;
use octroi_types::{Amount, KNOWN_NETWORKS};
use octroi_x402::client::{Choice, Required, SpendingLimit};

fuzz_target!(|text: &[u8]| {
    // The header, if there is one, and the body.
    let (header, body) = first_line(text);
    let Ok(header) = str::from_utf8(header) else {
        return;
    };
    let header = Some(header).filter(|header| !header.is_empty());
    let Ok(required) = Required::read(header, body) else {
        return;
    };
    let amount_max = Amount::new(1_000_000).unwrap();
    let limits: Vec<_> = KNOWN_NETWORKS
        .iter()
        .filter_map(|network| {
            let asset = network.usdc?.address;
            Some(SpendingLimit {
                chain: network.chain,
                asset,
                amount_max,
            })
        })
        .collect();
    if let Ok(choice) = Choice::pick(&required, &limits) {
        assert!(choice.terms().amount <= amount_max);
    }
});
