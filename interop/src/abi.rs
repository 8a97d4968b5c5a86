//! Enough of the Solidity ABI to call Circle's token: static words, strings and address lists.

use octroi_types::{Address, B256, keccak256};

/// One argument of a call.
#[derive(Debug, Clone, Copy)]
pub enum Arg<'a> {
    /// `address`
    Address(Address),
    /// `uint256` and every smaller unsigned integer
    Uint(u128),
    /// `bytes32`
    Word(B256),
    /// `string`
    Text(&'a str),
    /// `address[]`
    Addresses(&'a [Address]),
}

/// The input of a call: the selector of `signature`, such as `mint(address,uint256)`, and its arguments.
#[must_use]
pub fn calldata(signature: &str, args: &[Arg<'_>]) -> Vec<u8> {
    let mut heads = keccak256(signature.as_bytes()).0[..4].to_vec();
    let mut tails = Vec::new();
    for arg in args {
        match arg {
            Arg::Address(address) => heads.extend(address.to_word()),
            Arg::Uint(value) => heads.extend(uint_word(*value)),
            Arg::Word(word) => heads.extend(word.0),
            // A dynamic argument's head is where its tail starts, counted from the first head.
            Arg::Text(text) => {
                heads.extend(length_word(args.len() * 32 + tails.len()));
                tails.extend(length_word(text.len()));
                tails.extend(text.as_bytes());
                tails.resize(tails.len().next_multiple_of(32), 0);
            }
            Arg::Addresses(list) => {
                heads.extend(length_word(args.len() * 32 + tails.len()));
                tails.extend(length_word(list.len()));
                tails.extend(list.iter().flat_map(|address| address.to_word()));
            }
        }
    }
    heads.extend(tails);
    heads
}

/// The `string` that a call returned alone.
pub(crate) fn returned_text(output: &[u8]) -> Option<String> {
    let length = usize::try_from(returned_uint(output.get(32..64)?)?).ok()?;
    let text = output.get(64..64_usize.checked_add(length)?)?;
    String::from_utf8(text.to_vec()).ok()
}

/// The unsigned integer in a returned word; `None` where it passes 128 bits.
pub(crate) fn returned_uint(word: &[u8]) -> Option<u128> {
    let (high, low) = word.split_at_checked(16)?;
    if high.iter().any(|&byte| byte != 0) {
        return None;
    }
    Some(u128::from_be_bytes(low.try_into().ok()?))
}

fn uint_word(value: u128) -> [u8; 32] {
    let mut word = [0; 32];
    word[16..].copy_from_slice(&value.to_be_bytes());
    word
}

fn length_word(length: usize) -> [u8; 32] {
    let mut word = [0; 32];
    word[32 - size_of::<usize>()..].copy_from_slice(&length.to_be_bytes());
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_arguments_follow_the_selector() {
        let to = "0x00000000000000000000000000000000000000aa"
            .parse()
            .unwrap();
        assert_eq!(
            hex::encode(calldata(
                "transfer(address,uint256)",
                &[Arg::Address(to), Arg::Uint(258)]
            )),
            concat!(
                "a9059cbb",
                "00000000000000000000000000000000000000000000000000000000000000aa",
                "0000000000000000000000000000000000000000000000000000000000000102",
            )
        );
    }

    /// The layout of the ABI specification's example `f(uint256,uint32[],bytes10,bytes)`, with our types.
    #[test]
    fn dynamic_arguments_are_found_through_their_offsets() {
        let listed = "0x00000000000000000000000000000000000000bb"
            .parse()
            .unwrap();
        let data = calldata(
            "f(address[],string)",
            &[Arg::Addresses(&[listed]), Arg::Text("USDC")],
        );
        let words: Vec<_> = data[4..].chunks(32).map(returned_uint).collect();
        assert_eq!(
            words[..5],
            [Some(64), Some(128), Some(1), Some(0xbb), Some(4)]
        );
        assert_eq!(
            &data[4 + 5 * 32..],
            b"USDC\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        );
    }

    #[test]
    fn a_returned_string_is_read_back() {
        let data = calldata("f(string)", &[Arg::Text("USD Coin")]);
        assert_eq!(returned_text(&data[4..]).unwrap(), "USD Coin");
        assert_eq!(returned_text(&data[4..40]), None);
    }
}
