//! What fuzz targets reach beyond the public API: the readers of a node's answers. Built with
//! `--cfg fuzzing` alone.

use octroi_types::Amount;
use serde_json::Value;

use crate::abi;
use crate::rpc::{RpcError, in_order};

/// The results in a batch of answers, in the order of its `count` calls.
#[must_use]
pub fn batch_results(answers: Vec<Value>, count: usize) -> Vec<Result<Value, RpcError>> {
    in_order(answers, count)
}

/// What `aggregate3` returned for `count` calls.
#[must_use]
pub fn aggregate3_results(returned: &[u8], count: usize) -> Option<Vec<(bool, Vec<u8>)>> {
    abi::aggregate3_results(returned, count)
}

/// A returned `bool`.
#[must_use]
pub fn read_bool(returned: &[u8]) -> Option<bool> {
    abi::read_bool(returned)
}

/// A returned `uint256`, at most [`Amount::MAX`].
#[must_use]
pub fn read_amount(returned: &[u8]) -> Option<Amount> {
    abi::read_amount(returned)
}

/// A returned `string`.
#[must_use]
pub fn read_string(returned: &[u8]) -> Option<String> {
    abi::read_string(returned)
}

/// Whether a wallet's `isValidSignature` said yes.
#[must_use]
pub fn is_signed(returned: &[u8]) -> bool {
    abi::is_signed(returned)
}
