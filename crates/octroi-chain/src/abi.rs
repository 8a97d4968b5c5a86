//! The few calls and logs of EIP-3009, ERC-20, ERC-1271 and Multicall3, encoded by hand: fixed
//! layouts of words, on the hot path.

use octroi_types::{Address, Amount, B256, UnixSeconds, keccak256};

use crate::call::{CallSignature, TransferCall};

/// First four bytes of the hash of a signature.
pub(crate) fn selector(signature: &str) -> [u8; 4] {
    let [a, b, c, d, ..] = keccak256(signature.as_bytes()).0;
    [a, b, c, d]
}

/// Selectors that every settlement uses, checked against their signatures by a test.
pub(crate) const TRANSFER_VRS: [u8; 4] = [0xe3, 0xee, 0x16, 0x0e];
pub(crate) const TRANSFER_BYTES: [u8; 4] = [0xcf, 0x09, 0x29, 0x95];
pub(crate) const AGGREGATE3: [u8; 4] = [0x82, 0xad, 0x56, 0xcb];
const AUTHORIZATION_STATE: [u8; 4] = [0xe9, 0x4a, 0x01, 0x02];
const BALANCE_OF: [u8; 4] = [0x70, 0xa0, 0x82, 0x31];
const IS_VALID_SIGNATURE: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];

/// `AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)`.
pub(crate) const AUTHORIZATION_USED: B256 = B256([
    0x98, 0xde, 0x50, 0x35, 0x28, 0xee, 0x59, 0xb5, 0x75, 0xef, 0x0c, 0x0a, 0x25, 0x76, 0xa8, 0x24,
    0x97, 0xbf, 0xc0, 0x29, 0xa5, 0x68, 0x5b, 0x20, 0x9e, 0x9e, 0xc3, 0x33, 0x47, 0x9b, 0x10, 0xa5,
]);
/// `AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce)`.
pub(crate) const AUTHORIZATION_CANCELED: B256 = B256([
    0x1c, 0xdd, 0x46, 0xff, 0x24, 0x27, 0x16, 0xcd, 0xaa, 0x72, 0xd1, 0x59, 0xd3, 0x39, 0xa4, 0x85,
    0xb3, 0x43, 0x83, 0x98, 0x34, 0x8d, 0x68, 0xf0, 0x9d, 0x7c, 0x8c, 0x0a, 0x59, 0x35, 0x3d, 0x81,
]);
/// `Transfer(address indexed from, address indexed to, uint256 value)`.
pub(crate) const TRANSFER: B256 = B256([
    0xdd, 0xf2, 0x52, 0xad, 0x1b, 0xe2, 0xc8, 0x9b, 0x69, 0xc2, 0xb0, 0x68, 0xfc, 0x37, 0x8d, 0xaa,
    0x95, 0x2b, 0xa7, 0xf1, 0x63, 0xc4, 0xa1, 0x16, 0x28, 0xf5, 0x5a, 0x4d, 0xf5, 0x23, 0xb3, 0xef,
]);

fn word_of_usize(value: usize) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&(value as u64).to_be_bytes());
    word
}

fn word_of_u64(value: u64) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&value.to_be_bytes());
    word
}

/// `transferWithAuthorization`, in the overload that fits the signature.
pub(crate) fn transfer(call: &TransferCall) -> Vec<u8> {
    let transfer = &call.transfer;
    let head = [
        transfer.from.to_word(),
        transfer.to.to_word(),
        transfer.value.to_word(),
        word_of_u64(call.valid_after.0),
        word_of_u64(transfer.valid_before.0),
        transfer.nonce.0,
    ];
    let mut data = Vec::with_capacity(4 + 32 * 11);
    match call.signature.expose() {
        CallSignature::Ecdsa { r, s, v } => {
            data.extend_from_slice(&TRANSFER_VRS);
            data.extend_from_slice(head.as_flattened());
            data.extend_from_slice(&word_of_u64(u64::from(*v)));
            data.extend_from_slice(&r.0);
            data.extend_from_slice(&s.0);
        }
        CallSignature::Wallet(signature) => {
            data.extend_from_slice(&TRANSFER_BYTES);
            data.extend_from_slice(head.as_flattened());
            data.extend_from_slice(&word_of_usize(32 * 7));
            push_bytes(&mut data, signature);
        }
    }
    data
}

/// What [`transfer`] wrote about an authorization, beyond what its claim tells.
#[derive(PartialEq, Eq)]
pub(crate) struct SentAuthorization {
    pub(crate) from: Address,
    pub(crate) nonce: B256,
    pub(crate) valid_after: UnixSeconds,
    pub(crate) signature: CallSignature,
}

/// Reads back what [`transfer`] wrote.
pub(crate) fn read_transfer(data: &[u8]) -> Option<SentAuthorization> {
    let (selector, arguments) = data.split_first_chunk::<4>()?;
    let word = |index: usize| arguments.get(index * 32..)?.first_chunk::<32>();
    let signature = match *selector {
        TRANSFER_VRS => CallSignature::Ecdsa {
            v: u8::try_from(word_usize(arguments, 32 * 6)?).ok()?,
            r: B256(*word(7)?),
            s: B256(*word(8)?),
        },
        TRANSFER_BYTES => {
            let bytes = arguments.get(word_usize(arguments, 32 * 6)?..)?;
            let length = word_usize(bytes, 0)?;
            CallSignature::Wallet(bytes.get(32..32_usize.checked_add(length)?)?.to_vec())
        }
        _ => return None,
    };
    Some(SentAuthorization {
        from: Address(*word(0)?.last_chunk()?),
        nonce: B256(*word(5)?),
        valid_after: UnixSeconds(u64::try_from(word_usize(arguments, 32 * 3)?).ok()?),
        signature,
    })
}

/// Length, content, padding.
fn push_bytes(data: &mut Vec<u8>, bytes: &[u8]) {
    data.extend_from_slice(&word_of_usize(bytes.len()));
    data.extend_from_slice(bytes);
    let padding = bytes.len().next_multiple_of(32) - bytes.len();
    data.extend_from_slice(&[0; 32][..padding]);
}

/// `aggregate3((address target, bool allowFailure, bytes callData)[])`, every call allowed to fail.
pub(crate) fn aggregate3<'c>(
    calls: impl ExactSizeIterator<Item = (Address, &'c [u8])> + Clone,
) -> Vec<u8> {
    let count = calls.len();
    let mut data = Vec::with_capacity(4 + 64 + count * 32 * 16);
    data.extend_from_slice(&AGGREGATE3);
    data.extend_from_slice(&word_of_usize(32));
    data.extend_from_slice(&word_of_usize(count));
    let mut offset = count * 32;
    for (_, call) in calls.clone() {
        data.extend_from_slice(&word_of_usize(offset));
        offset += 32 * 4 + call.len().next_multiple_of(32);
    }
    for (target, call) in calls {
        data.extend_from_slice(&target.to_word());
        data.extend_from_slice(&word_of_usize(1));
        data.extend_from_slice(&word_of_usize(32 * 3));
        push_bytes(&mut data, call);
    }
    data
}

/// The results of `aggregate3`: for each call whether it went through, and what it returned.
/// `None` if the answer has another shape.
pub(crate) fn aggregate3_results(returned: &[u8], count: usize) -> Option<Vec<(bool, Vec<u8>)>> {
    let array = returned.get(word_usize(returned, 0)?..)?;
    if word_usize(array, 0)? != count {
        return None;
    }
    let items = array.get(32..)?;
    (0..count)
        .map(|index| {
            let item = items.get(word_usize(items, index * 32)?..)?;
            let success = word_usize(item, 0)? == 1;
            let bytes = item.get(word_usize(item, 32)?..)?;
            let length = word_usize(bytes, 0)?;
            Some((
                success,
                bytes.get(32..32_usize.checked_add(length)?)?.to_vec(),
            ))
        })
        .collect()
}

/// The calls inside `aggregate3` data: the inverse of [`aggregate3`].
pub(crate) fn aggregate3_calls(data: &[u8]) -> Option<Vec<(Address, Vec<u8>)>> {
    let arguments = data.strip_prefix(&AGGREGATE3)?;
    let array = arguments.get(word_usize(arguments, 0)?..)?;
    let count = word_usize(array, 0)?;
    let items = array.get(32..)?;
    if count > items.len() / 32 {
        return None;
    }
    (0..count)
        .map(|index| {
            let item = items.get(word_usize(items, index * 32)?..)?;
            let target = Address(item.get(12..32)?.try_into().ok()?);
            let bytes = item.get(word_usize(item, 64)?..)?;
            let length = word_usize(bytes, 0)?;
            Some((
                target,
                bytes.get(32..32_usize.checked_add(length)?)?.to_vec(),
            ))
        })
        .collect()
}

fn word_usize(data: &[u8], at: usize) -> Option<usize> {
    let word = data.get(at..at.checked_add(32)?)?;
    let (high, low) = word.split_at(24);
    if high.iter().any(|byte| *byte != 0) {
        return None;
    }
    usize::try_from(u64::from_be_bytes(low.try_into().ok()?)).ok()
}

/// `authorizationState(authorizer, nonce)`.
pub(crate) fn authorization_state(authorizer: Address, nonce: B256) -> Vec<u8> {
    [&AUTHORIZATION_STATE[..], &authorizer.to_word(), &nonce.0].concat()
}

/// `balanceOf(account)`.
pub(crate) fn balance_of(account: Address) -> Vec<u8> {
    [&BALANCE_OF[..], &account.to_word()].concat()
}

/// `isValidSignature(hash, signature)`.
pub(crate) fn is_valid_signature(hash: B256, signature: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(4 + 96 + signature.len().next_multiple_of(32));
    data.extend_from_slice(&IS_VALID_SIGNATURE);
    data.extend_from_slice(&hash.0);
    data.extend_from_slice(&word_of_usize(64));
    push_bytes(&mut data, signature);
    data
}

/// Whether a wallet's `isValidSignature` answered that it signed (ERC-1271): its own selector, as a
/// whole word, and nothing else.
pub(crate) fn is_signed(returned: &[u8]) -> bool {
    let mut yes = [0; 32];
    yes[..4].copy_from_slice(&IS_VALID_SIGNATURE);
    returned == yes
}

/// A returned `bool`.
pub(crate) fn read_bool(returned: &[u8]) -> Option<bool> {
    match word_usize(returned, 0)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// A returned `uint256`, saturating: a balance above what can be booked is enough for any price.
pub(crate) fn read_amount(returned: &[u8]) -> Option<Amount> {
    let word = returned.get(..32)?;
    let (high, low) = word.split_at(24);
    if high.iter().any(|byte| *byte != 0) {
        return Some(Amount::MAX);
    }
    Some(Amount::new(u64::from_be_bytes(low.try_into().ok()?)).unwrap_or(Amount::MAX))
}

/// A returned `string`.
pub(crate) fn read_string(returned: &[u8]) -> Option<String> {
    let text = returned.get(word_usize(returned, 0)?..)?;
    let length = word_usize(text, 0)?;
    String::from_utf8(text.get(32..32_usize.checked_add(length)?)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use octroi_types::Redacted;
    use proptest::prelude::*;

    use super::*;
    use crate::call::tests::call;

    #[test]
    fn constants_are_hashes_of_their_signatures() {
        for (constant, signature) in [
            (
                TRANSFER_VRS,
                "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,\
                 bytes32,bytes32)",
            ),
            (
                TRANSFER_BYTES,
                "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
            ),
            (AGGREGATE3, "aggregate3((address,bool,bytes)[])"),
            (AUTHORIZATION_STATE, "authorizationState(address,bytes32)"),
            (BALANCE_OF, "balanceOf(address)"),
            (IS_VALID_SIGNATURE, "isValidSignature(bytes32,bytes)"),
        ] {
            assert_eq!(constant, selector(signature), "{signature}");
        }
        assert_eq!(
            AUTHORIZATION_USED,
            keccak256(b"AuthorizationUsed(address,bytes32)")
        );
        assert_eq!(
            AUTHORIZATION_CANCELED,
            keccak256(b"AuthorizationCanceled(address,bytes32)")
        );
        assert_eq!(TRANSFER, keccak256(b"Transfer(address,address,uint256)"));
    }

    #[test]
    fn sent_authorizations_are_read_back() {
        let plain = call(5);
        let signature = CallSignature::Wallet(vec![9; 70]);
        let wallet = TransferCall {
            signature: Redacted::new(signature),
            ..call(6)
        };
        for call in [plain, wallet] {
            let data = transfer(&call);
            let read = read_transfer(&data).unwrap();
            assert_eq!(
                (read.from, read.nonce),
                (call.transfer.from, call.transfer.nonce)
            );
            assert_eq!(read.valid_after, call.valid_after);
            assert!(read.signature == *call.signature.expose());
            for end in 0..data.len() - 31 {
                assert!(read_transfer(&data[..end]).is_none(), "{end}");
            }
        }
    }

    #[test]
    fn aggregated_calls_are_read_back() {
        let calls = [
            (Address([1; 20]), vec![1, 2, 3]),
            (Address([2; 20]), vec![9; 64]),
        ];
        let data = aggregate3(calls.iter().map(|(target, call)| (*target, &call[..])));
        assert_eq!(aggregate3_calls(&data).unwrap(), calls);
        assert_eq!(data.len() % 32, 4);
    }

    proptest! {
        #[test]
        fn any_calls_are_aggregated_and_read_back(
            calls in prop::collection::vec(
                (any::<[u8; 20]>().prop_map(Address), prop::collection::vec(any::<u8>(), 0..200)),
                0..20,
            ),
        ) {
            let data = aggregate3(calls.iter().map(|(target, call)| (*target, &call[..])));
            prop_assert_eq!(aggregate3_calls(&data), Some(calls));
        }

        #[test]
        fn any_authorization_is_read_back(
            from in any::<[u8; 20]>(),
            nonce in any::<[u8; 32]>(),
            valid_after in any::<u32>(),
            wallet in prop::collection::vec(any::<u8>(), 0..200),
            (r, s, v) in (any::<[u8; 32]>(), any::<[u8; 32]>(), 27_u8..=28),
            is_plain in any::<bool>(),
        ) {
            let mut call = call(0);
            call.transfer.from = Address(from);
            call.transfer.nonce = B256(nonce);
            call.valid_after = UnixSeconds(valid_after.into());
            call.signature = Redacted::new(if is_plain {
                CallSignature::Ecdsa { r: B256(r), s: B256(s), v }
            } else {
                CallSignature::Wallet(wallet)
            });
            let read = read_transfer(&transfer(&call)).unwrap();
            prop_assert_eq!((read.from, read.nonce), (call.transfer.from, call.transfer.nonce));
            prop_assert_eq!(read.valid_after, call.valid_after);
            prop_assert!(read.signature == *call.signature.expose());
        }

        /// Whatever a node answers, it is read or refused, and nothing else happens.
        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(0x20), any::<u8>()], 0..400),
            count in 0_usize..8,
        ) {
            if let Some(results) = aggregate3_results(&bytes, count) {
                prop_assert_eq!(results.len(), count);
            }
            let _ = (aggregate3_calls(&bytes), read_transfer(&bytes), read_string(&bytes));
            let _ = (read_amount(&bytes), read_bool(&bytes), is_signed(&bytes));
        }
    }

    #[test]
    fn truncated_or_absurd_answers_are_none() {
        let calls = [(Address([1; 20]), vec![1, 2, 3])];
        let data = aggregate3(calls.iter().map(|(target, call)| (*target, &call[..])));
        for end in 0..data.len() - 29 {
            assert_eq!(aggregate3_calls(&data[..end]), None, "{end}");
        }
        assert_eq!(aggregate3_results(&[0xff; 64], 1), None);
        assert_eq!(read_string(&[0xff; 96]), None);
        assert_eq!(read_amount(&[0xff; 32]), Some(Amount::MAX));
    }
}
