//! The terms of somebody else's 402, as `octroi pay` reads them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use octroi_types::{Amount, KNOWN_NETWORKS};
use octroi_x402::client::{Choice, Required, SpendingLimit};

fuzz_target!(|input: (Option<&str>, &[u8])| {
    let (header, body) = input;
    let Ok(required) = Required::read(header, body) else { return };
    let amount_max = Amount::new(1_000_000).unwrap();
    let limits: Vec<_> = KNOWN_NETWORKS
        .iter()
        .filter_map(|network| {
            let asset = network.usdc?.address;
            Some(SpendingLimit { chain: network.chain, asset, amount_max })
        })
        .collect();
    if let Ok(choice) = Choice::pick(&required, &limits) {
        assert!(choice.terms().amount <= amount_max);
    }
});
