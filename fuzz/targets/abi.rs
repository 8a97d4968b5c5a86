//! What contracts return: read as it is written, and never more than was returned.
#![no_main]

use libfuzzer_sys::fuzz_target;
use octroi_chain::fuzzing::{aggregate3_results, is_signed, read_amount, read_bool, read_string};
use octroi_types::Amount;

fuzz_target!(|returned: &[u8]| {
    for count in 0..4 {
        let Some(results) = aggregate3_results(returned, count) else {
            continue;
        };
        assert_eq!(results.len(), count);
        for (_, bytes) in &results {
            assert!(is_part(returned, bytes));
        }
        assert_eq!(aggregate3_results(&written(&results), count), Some(results));
    }
    if let Some(text) = read_string(returned) {
        assert!(is_part(returned, text.as_bytes()));
        let mut again = word(32).to_vec();
        push_bytes(&mut again, text.as_bytes());
        assert_eq!(read_string(&again), Some(text));
    }
    let first = returned.first_chunk::<32>();
    let small = first.and_then(|word| {
        let (high, low) = word.split_at(24);
        let low = u64::from_be_bytes(low.try_into().expect("8 bytes"));
        high.iter().all(|byte| *byte == 0).then_some(low)
    });
    let amount = small
        .and_then(|units| Amount::new(units).ok())
        .unwrap_or(Amount::MAX);
    assert_eq!(read_amount(returned), first.map(|_| amount));
    assert_eq!(
        read_bool(returned),
        small.filter(|word| *word <= 1).map(|word| word == 1)
    );
    // The whole word, and nothing after it.
    assert!(!is_signed(returned) || returned == [&[0x16, 0x26, 0xba, 0x7e][..], &[0; 28]].concat());
});

fn is_part(whole: &[u8], part: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}

/// `(bool success, bytes returnData)[]`, encoded.
fn written(results: &[(bool, Vec<u8>)]) -> Vec<u8> {
    let mut data = [word(32), word(results.len())].concat();
    let mut offset = results.len() * 32;
    for (_, bytes) in results {
        data.extend_from_slice(&word(offset));
        offset += 32 * 3 + bytes.len().next_multiple_of(32);
    }
    for (success, bytes) in results {
        data.extend_from_slice(&word(usize::from(*success)));
        data.extend_from_slice(&word(64));
        push_bytes(&mut data, bytes);
    }
    data
}

fn push_bytes(data: &mut Vec<u8>, bytes: &[u8]) {
    data.extend_from_slice(&word(bytes.len()));
    data.extend_from_slice(bytes);
    data.resize(data.len().next_multiple_of(32), 0);
}

fn word(value: usize) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&(value as u64).to_be_bytes());
    word
}
