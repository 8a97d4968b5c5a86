//! Vectors made by other implementations: viem 2.54 and `@x402/evm` 2.27 with the key of
//! [`sample::buyer`].

use octroi_types::KNOWN_NETWORKS;
use octroi_x402::{
    Authorization, ExactPayload, Payment, Token, Version, address_of, payment_identity,
    sign_authorization, v2, verify_exact,
};

use crate::sample::{self, NOW, RULES, address};

/// What `ExactEvmScheme` and `encodePaymentSignatureHeader` made of the sample's terms at
/// [`NOW`], with a resource.
pub(crate) const V2_HEADER: &str = "eyJ4NDAyVmVyc2lvbiI6MiwicmVzb3VyY2UiOnsidXJsIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZS5jb20vd2VhdGhlciIsImRlc2NyaXB0aW9uIjoiV2VhdGhlciIsIm1pbWVUeXBlIjoiYXBwbGljYXRpb24vanNvbiJ9LCJhY2NlcHRlZCI6eyJzY2hlbWUiOiJleGFjdCIsIm5ldHdvcmsiOiJlaXAxNTU6ODQ1MzIiLCJhbW91bnQiOiIxMDAwMCIsImFzc2V0IjoiMHgwMzZDYkQ1Mzg0MmM1NDI2NjM0ZTc5Mjk1NDFlQzIzMThmM2RDRjdlIiwicGF5VG8iOiIweDIwOTY5M0JjNmFmYzBDNTMyOGJBMzZGYUYwM0M1MTRFRjMxMjI4N0MiLCJtYXhUaW1lb3V0U2Vjb25kcyI6MzAwLCJleHRyYSI6eyJuYW1lIjoiVVNEQyIsInZlcnNpb24iOiIyIn19LCJwYXlsb2FkIjp7ImF1dGhvcml6YXRpb24iOnsiZnJvbSI6IjB4MmM3NTM2RTM2MDVEOUMxNmE3YTNEN2IxODk4ZTUyOTM5NmE2NWMyMyIsInRvIjoiMHgyMDk2OTNCYzZhZmMwQzUzMjhiQTM2RmFGMDNDNTE0RUYzMTIyODdDIiwidmFsdWUiOiIxMDAwMCIsInZhbGlkQWZ0ZXIiOiIwIiwidmFsaWRCZWZvcmUiOiIxNzYzNzY5OTAwIiwibm9uY2UiOiIweDBiODIyMzE0ZjY0OTZhZDlkOWRkYWE4NDk4NWNkMDYyZDgzMjM4ZjFiNGMxOTdmYWIwMWEzOTFhZmY5YmYyYTgifSwic2lnbmF0dXJlIjoiMHg1NWU5MGEyZTdmOGI2MTk5OTFlMzUwZmY1NGFmMGU0YTZlOTI4NjZlYjlmNmYxNjBmM2VkNmI4NjViYmFhMWNhMzRiM2I4YjFiOGY0NjRkYjcyODI0MDBiNjIzMGUzMGI1OGMzYzU4ZjQyNjA4NjllYzNjZjczZjJjZGFjMTJmYjFjIn19";

/// The same encoder's version 1 header around [`VIEM_SIGNATURE`].
pub(crate) const V1_HEADER: &str = "eyJ4NDAyVmVyc2lvbiI6MSwic2NoZW1lIjoiZXhhY3QiLCJuZXR3b3JrIjoiYmFzZS1zZXBvbGlhIiwicGF5bG9hZCI6eyJzaWduYXR1cmUiOiIweDMxZDM3NzYzYWNjNTA3MGVlODdhY2JhZDJhOWExYTczMzFkNTc1ZGVjNjEyNzMyOGY3NDZkZjc3MjczN2I1ZGUzNWY5YzkwYWQ2Zjg3YjFlZjEwMzM0NDEzMDQ4NDUyOWI1ZDRlNzdhNzRkNGE2NzZiMjM1ZTFkYjc2NDY3NmQxMWIiLCJhdXRob3JpemF0aW9uIjp7ImZyb20iOiIweDJjNzUzNkUzNjA1RDlDMTZhN2EzRDdiMTg5OGU1MjkzOTZhNjVjMjMiLCJ0byI6IjB4MjA5NjkzQmM2YWZjMEM1MzI4YkEzNkZhRjAzQzUxNEVGMzEyMjg3QyIsInZhbHVlIjoiMTAwMDAiLCJ2YWxpZEFmdGVyIjoiMCIsInZhbGlkQmVmb3JlIjoiMTc2Mzc2OTkwMCIsIm5vbmNlIjoiMHhmMzc0NjYxM2MyZDkyMGI1ZmRhYmMwODU2ZjJhZWIyZDRmODhlZTYwMzdiOGNjNWQwNGE3MWE0NDYyZjEzNDgwIn19fQ==";

/// `signTypedData` over the sample's authorization.
const VIEM_SIGNATURE: &str = "31d37763acc5070ee87acbad2a9a1a7331d575dec6127328f746df772737b5de35f9c90ad6f87b1ef103344130484529b5d4e77a74d4a676b235e1db764676d11b";

/// viem's `domainSeparator` of every token in the table whose name is known.
const DOMAIN_SEPARATORS: &[(u64, &str)] = &[
    (
        8453,
        "0x02fa7265e7c5d81118673727957699e4d68f74cd74b7db77da710fe8a2c7834f",
    ),
    (
        84532,
        "0x71f17a3b2ff373b803d70a5a07c046c1a2bc8e89c09ef722fcb047abe94c9818",
    ),
    (
        1,
        "0x06c37168a7db5138defc7866392bb87a741f9b3d104deb5094588ce041cae335",
    ),
    (
        137,
        "0xcaa2ce1a5703ccbe253a34eb3166df60a705c561b44b192061e28f2a985be2ca",
    ),
    (
        80002,
        "0x5cddc98319864e897e4469bd1d13c2288c677047b54b8cca12bd342adb6be9eb",
    ),
    (
        42161,
        "0x08d11903f8419e68b1b8721bcbe2e9fc68569122a77ef18c216f10b3b5112c78",
    ),
    (
        421614,
        "0x85944e1292d007732838d6eadfa67589b78ffcededbd4df60488d0af251308bb",
    ),
    (
        43114,
        "0xbbea200329a938bc3438984a49cb0732e66d66d7bd59c127abacc1710e77f7b3",
    ),
    (
        43113,
        "0xfe9fa105a0e9629446730e544caa6b8d05d8d4fc93451750dc50e2ddd6d374b3",
    ),
    (
        998,
        "0xf26c39ac3b2040472381fddbd35212755a23586ffb86e608e151af6caa1d465e",
    ),
    (
        42220,
        "0xb2ce31d2838445fa765a491f550e7c78ac7280ab0f3bc9d6063a86df9c3fb578",
    ),
    (
        11142220,
        "0x23f491197bb8c5ea4fe8dd4c2293b600f073553f9814015e7a5eb57724df9578",
    ),
    (
        1329,
        "0x0a19136106ae98d2c245cbbd451f3cb2bbbb1670e1ee191abacb5a5e255c0255",
    ),
    (
        1328,
        "0x154bb5980ce1d584a1067dc67730720e6046d0364a2ade0b692dd488e71fe653",
    ),
    (
        143,
        "0xfe22123edc0dd4aeb912eb7948c5f0e531592c2053b3067612f427db342c93c6",
    ),
];

#[test]
fn every_known_token_has_the_domain_separator_that_viem_computes() {
    let ours: Vec<_> = KNOWN_NETWORKS
        .iter()
        .filter_map(|network| {
            let usdc = network.usdc?;
            let token = Token::new(network.chain, usdc.address, usdc.name?, usdc.version?);
            Some((network.chain.0, token.domain_separator().to_string()))
        })
        .collect();
    let theirs = DOMAIN_SEPARATORS
        .iter()
        .map(|(chain, separator)| (*chain, (*separator).to_owned()));
    assert_eq!(ours, theirs.collect::<Vec<_>>());
}

#[test]
fn digest_and_signature() {
    let (token, authorization) = (sample::usdc(), sample::authorization());
    assert_eq!(
        address_of(&sample::buyer()),
        address("0x2c7536E3605D9C16a7a3D7b1898e529396a65c23")
    );
    assert_eq!(
        token.digest(&authorization).to_string(),
        "0xc0006e6febf912f585c8c69025fcecb750e5b9537f57cc57c076d599a1fc9868"
    );
    assert_eq!(
        hex::encode(sign_authorization(&sample::buyer(), &token, &authorization)),
        VIEM_SIGNATURE
    );
}

#[test]
fn digest_of_numbers_beyond_64_bits() {
    let authorization = Authorization {
        // 2^256 - 1 and 2^255 + 5.
        value: "115792089237316195423570985008687907853269984665640564039457584007913129639935"
            .parse()
            .unwrap(),
        valid_before:
            "57896044618658097711785492504343953926634992332820282019728792003956564819973"
                .parse()
                .unwrap(),
        ..sample::authorization()
    };
    assert_eq!(
        sample::usdc().digest(&authorization).to_string(),
        "0xdee3159de0ccb33bafb24120fa1cb55a764d4dbccafecf1b85745a2477318f1b"
    );
}

#[test]
fn payments_of_the_reference_clients_verify() {
    for (version, header) in [(Version::V2, V2_HEADER), (Version::V1, V1_HEADER)] {
        let payment = Payment::from_header(version, header).unwrap();
        let checked = verify_exact(&payment, &sample::terms(), NOW, &RULES).unwrap();
        assert!(checked.is_recovered());
        assert_eq!(checked.payer, address_of(&sample::buyer()));
        assert_eq!(checked.value, sample::amount(10_000));
        assert_eq!(
            (checked.valid_after.0, checked.valid_before.0),
            (0, 1_763_769_900)
        );
        // Writing it again loses nothing.
        assert_eq!(
            Payment::from_header(version, &payment.to_header()),
            Ok(payment)
        );
    }
}

#[test]
fn our_version_1_payment_is_theirs() {
    let payload = sample::signed(&sample::terms(), sample::authorization());
    assert_eq!(
        sample::pay_v1(&sample::terms(), payload).to_header(),
        V1_HEADER
    );
}

#[test]
fn the_reference_resource_is_kept() {
    let Ok(Payment::V2(payment)) = Payment::from_header(Version::V2, V2_HEADER) else {
        panic!("version 2");
    };
    assert_eq!(
        payment.resource,
        Some(v2::ResourceInfo {
            url: "https://api.example.com/weather".to_owned(),
            description: Some("Weather".to_owned()),
            mime_type: Some("application/json".to_owned()),
            ..v2::ResourceInfo::default()
        })
    );
    assert!(matches!(payment.payload, ExactPayload::Eip3009 { .. }));
}

#[test]
fn identity_is_frozen() {
    // Claims are stored under it: a change here would let old payments be claimed again.
    let authorization = sample::authorization();
    let identity = payment_identity(
        sample::BASE_SEPOLIA,
        sample::usdc().address(),
        authorization.from,
        authorization.nonce,
    );
    assert_eq!(
        identity.to_string(),
        "0xa05e5add16b9fc3609069bbc4235722a7a0702ea102a5777f093ed73d8d44644"
    );
}
