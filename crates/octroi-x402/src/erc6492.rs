//! The wrapper of ERC-6492: a signature by a contract wallet that is not deployed yet.
//!
//! `abi.encode(address factory, bytes calldata, bytes signature) ‖ 0x6492…6492`. The wrapper asks
//! whoever settles to make an arbitrary call at the factory, so nothing but the exact canonical
//! encoding is read; anything else is refused and never taken for another kind of signature.

use std::fmt;

use octroi_types::Address;

const WORD: usize = 32;
/// Address, offset of the calldata, offset of the signature.
const HEAD: usize = 3 * WORD;
const MAGIC: [u8; WORD] = magic();

/// The wrapper is not the canonical encoding, or names no factory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed ERC-6492 wrapper")]
pub struct WrapperError;

/// What the wrapper holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Counterfactual {
    /// The contract to call for the deployment; only ever called when it is on the allow-list.
    pub factory: Address,
    /// What to call it with.
    pub calldata: Vec<u8>,
    /// The signature for the wallet's `isValidSignature` once it is deployed.
    pub signature: Vec<u8>,
}

impl fmt::Debug for Counterfactual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counterfactual")
            .field("factory", &self.factory)
            .finish_non_exhaustive()
    }
}

impl Counterfactual {
    /// Whether a signature claims to be wrapped.
    #[must_use]
    pub fn is_wrapped(signature: &[u8]) -> bool {
        signature.ends_with(&MAGIC)
    }

    /// Takes the wrapper apart.
    ///
    /// # Errors
    /// [`WrapperError`] unless it is what [`Counterfactual::wrap`] writes, with a factory.
    pub fn unwrap_signature(wrapped: &[u8]) -> Result<Self, WrapperError> {
        let encoded = wrapped.strip_suffix(&MAGIC).ok_or(WrapperError)?;
        let word = |index: usize| encoded.get(index * WORD..(index + 1) * WORD);
        let factory = word(0)
            .and_then(|word| word.last_chunk::<20>())
            .ok_or(WrapperError)?;
        let read = Self {
            factory: Address(*factory),
            calldata: dynamic_bytes(encoded, word(1))
                .ok_or(WrapperError)?
                .to_vec(),
            signature: dynamic_bytes(encoded, word(2))
                .ok_or(WrapperError)?
                .to_vec(),
        };
        // One meaning has one encoding: overlapping, reordered or padded parts are refused here.
        if read.factory == Address::ZERO || read.wrap() != wrapped {
            return Err(WrapperError);
        }
        Ok(read)
    }

    /// Writes the wrapper.
    #[must_use]
    pub fn wrap(&self) -> Vec<u8> {
        let signature_offset = HEAD + WORD + padded(self.calldata.len());
        let mut wrapped = Vec::with_capacity(
            signature_offset + WORD + padded(self.signature.len()) + MAGIC.len(),
        );
        wrapped.extend_from_slice(&self.factory.to_word());
        push_length(&mut wrapped, HEAD);
        push_length(&mut wrapped, signature_offset);
        for part in [&self.calldata, &self.signature] {
            push_length(&mut wrapped, part.len());
            wrapped.extend_from_slice(part);
            wrapped.resize(wrapped.len() + padded(part.len()) - part.len(), 0);
        }
        wrapped.extend_from_slice(&MAGIC);
        wrapped
    }
}

const fn magic() -> [u8; WORD] {
    let mut bytes = [0x64; WORD];
    let mut index = 1;
    while index < WORD {
        bytes[index] = 0x92;
        index += 2;
    }
    bytes
}

/// The bytes at the offset that a word of the head holds.
fn dynamic_bytes<'e>(encoded: &'e [u8], offset: Option<&[u8]>) -> Option<&'e [u8]> {
    let tail = encoded.get(length(offset?)?..)?;
    let (size, rest) = tail.split_at_checked(WORD)?;
    rest.get(..length(size)?)
}

/// A word as a length. Four bytes are far more than any header can hold.
fn length(word: &[u8]) -> Option<usize> {
    let (high, low) = word.split_last_chunk::<4>()?;
    if high.iter().any(|byte| *byte != 0) {
        return None;
    }
    usize::try_from(u32::from_be_bytes(*low)).ok()
}

fn push_length(out: &mut Vec<u8>, length: usize) {
    let bytes = length.to_be_bytes();
    out.resize(out.len() + WORD - bytes.len(), 0);
    out.extend_from_slice(&bytes);
}

const fn padded(length: usize) -> usize {
    length.next_multiple_of(WORD)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Written by viem's `serializeErc6492Signature`.
    const BY_VIEM: &str = "0000000000000000000000000ba5ed0c6aa8c49038f819e587e2633c4a9f428a\
        0000000000000000000000000000000000000000000000000000000000000060\
        00000000000000000000000000000000000000000000000000000000000000a0\
        0000000000000000000000000000000000000000000000000000000000000008\
        3ffba36f00112233000000000000000000000000000000000000000000000000\
        0000000000000000000000000000000000000000000000000000000000000005\
        deadbeef01000000000000000000000000000000000000000000000000000000\
        6492649264926492649264926492649264926492649264926492649264926492";

    fn by_viem() -> Vec<u8> {
        hex::decode(BY_VIEM).unwrap()
    }

    #[test]
    fn the_reference_encoding_is_read_and_written() {
        let read = Counterfactual::unwrap_signature(&by_viem()).unwrap();
        assert_eq!(
            read.factory.to_string().to_lowercase(),
            "0x0ba5ed0c6aa8c49038f819e587e2633c4a9f428a"
        );
        assert_eq!(hex::encode(&read.calldata), "3ffba36f00112233");
        assert_eq!(hex::encode(&read.signature), "deadbeef01");
        assert_eq!(read.wrap(), by_viem());
        assert!(!format!("{read:?}").contains("deadbeef"));
    }

    #[test]
    fn only_the_canonical_encoding_is_read() {
        let edits: &[(&str, usize, u8)] = &[
            ("dirty address", 0, 1),
            ("offset into the head", 63, 0x40),
            ("unaligned offset", 63, 0x61),
            ("offset beyond the end", 62, 0xff),
            ("offset beyond four bytes", 40, 1),
            ("calldata longer than there is", 127, 0xff),
            ("calldata running into the signature", 127, 0x28),
            ("both offsets equal", 95, 0x60),
            ("dirty padding", 159, 1),
            ("length beyond four bytes", 96, 0x80),
        ];
        for (what, index, byte) in edits {
            let mut wrapped = by_viem();
            wrapped[*index] = *byte;
            assert_eq!(
                Counterfactual::unwrap_signature(&wrapped),
                Err(WrapperError),
                "{what}"
            );
        }
        let mut nobody = by_viem();
        nobody[..WORD].fill(0);
        assert_eq!(
            Counterfactual::unwrap_signature(&nobody),
            Err(WrapperError),
            "no factory"
        );
        let mut longer = by_viem();
        longer.splice(..0, [0; WORD]);
        assert_eq!(
            Counterfactual::unwrap_signature(&longer),
            Err(WrapperError),
            "shifted"
        );
        for cut in 1..by_viem().len() {
            assert!(
                Counterfactual::unwrap_signature(&by_viem()[cut..]).is_err(),
                "cut {cut}"
            );
        }
        assert!(Counterfactual::unwrap_signature(b"").is_err());
    }

    proptest! {
        #[test]
        fn wrappers_round_trip(
            factory in any::<[u8; 20]>().prop_filter("some factory", |bytes| *bytes != [0; 20]),
            calldata in prop::collection::vec(any::<u8>(), 0..100),
            signature in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let written = Counterfactual { factory: Address(factory), calldata, signature };
            let read = Counterfactual::unwrap_signature(&written.wrap());
            prop_assert_eq!(read, Ok(written));
        }

        #[test]
        fn any_other_bytes_are_refused(index in 0_usize..256, flip in 1_u8..=255) {
            let mut wrapped = by_viem();
            wrapped[index] ^= flip;
            if let Ok(read) = Counterfactual::unwrap_signature(&wrapped) {
                // What still reads must be another meaning, written canonically.
                prop_assert_eq!(read.wrap(), wrapped);
            }
        }
    }
}
