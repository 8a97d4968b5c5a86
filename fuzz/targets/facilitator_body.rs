//! Bodies that servers send to our facilitator, and facilitators to us.
#![no_main]

use libfuzzer_sys::fuzz_target;
use octroi_x402::facilitator::{FacilitatorRequest, SupportedResponse};
use octroi_x402::{SettleResponse, VerifyResponse};

fuzz_target!(|body: &[u8]| {
    if let Ok(request) = FacilitatorRequest::from_body(body) {
        // Reading the terms judges every field.
        let _ = request.terms();
        let again = FacilitatorRequest::from_body(&request.to_body());
        assert_eq!(again.as_ref(), Ok(&request));
    }
    let _ = SupportedResponse::from_body(body);
    let _ = SettleResponse::from_body(body);
    let _ = VerifyResponse::from_body(body);
});
