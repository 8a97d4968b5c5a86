//! Records on disk: a length, a checksum, the record.

use alloy_primitives::Bytes;

/// Length and CRC-32 of the payload, both little-endian.
const HEADER_BYTES: usize = 8;

/// Appends a frame whose payload `write` produces.
pub(crate) fn write_frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    write(out);
    let (header, payload) = out[start..].split_at_mut(HEADER_BYTES);
    // A frame is a block or a few thousand slots: far below the 4 GiB that the length can say.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4..].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
}

/// What comes next in a file of frames.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A whole record.
    Payload(Bytes),
    /// The file ends here, as it should.
    End,
    /// The file ends in the middle of a record: a write that was cut short.
    Torn,
    /// A record that was whole once and is damaged.
    Damaged,
}

/// Reads the frames of a file one after the other.
#[derive(Debug)]
pub(crate) struct Frames {
    bytes: Bytes,
    /// Where the next frame starts.
    pub(crate) position: usize,
}

impl Frames {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { bytes, position: 0 }
    }

    pub(crate) fn next(&mut self) -> Frame {
        let rest = &self.bytes[self.position..];
        if rest.is_empty() {
            return Frame::End;
        }
        let Some((header, rest)) = rest.split_first_chunk::<HEADER_BYTES>() else {
            return Frame::Torn;
        };
        let [l0, l1, l2, l3, c0, c1, c2, c3] = *header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let Some(payload) = usize::try_from(length).ok().and_then(|end| rest.get(..end)) else {
            return Frame::Torn;
        };
        if payload.is_empty() {
            // No record is empty: a power cut left zeros where a record should have been.
            return Frame::Torn;
        }
        if crc32fast::hash(payload) != u32::from_le_bytes([c0, c1, c2, c3]) {
            // After a power cut the length may be there and the last payload not.
            return if payload.len() == rest.len() {
                Frame::Torn
            } else {
                Frame::Damaged
            };
        }
        let start = self.position + HEADER_BYTES;
        self.position = start + payload.len();
        Frame::Payload(self.bytes.slice(start..self.position))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut file = Vec::new();
        for payload in payloads {
            write_frame(&mut file, |out| out.extend_from_slice(payload));
        }
        file
    }

    proptest! {
        #[test]
        fn a_cut_anywhere_leaves_the_whole_frames_before_it(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let file = written(&payloads);
            let cut = cut.index(file.len());
            let mut frames = Frames::new(Bytes::copy_from_slice(&file[..cut]));
            let mut whole = 0;
            let end = loop {
                match frames.next() {
                    Frame::Payload(payload) => {
                        prop_assert_eq!(&payload[..], &payloads[whole][..]);
                        whole += 1;
                    }
                    end => break end,
                }
            };
            let expected = written(&payloads[..whole]).len();
            prop_assert_eq!(frames.position, expected);
            prop_assert!(whole < payloads.len());
            prop_assert_eq!(end, if cut == expected { Frame::End } else { Frame::Torn });
        }

        #[test]
        fn a_flipped_bit_is_noticed(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 2..6),
            bit in any::<prop::sample::Index>(),
        ) {
            let mut file = written(&payloads);
            let bit = bit.index(file.len() * 8);
            file[bit / 8] ^= 1 << (bit % 8);
            let mut frames = Frames::new(Bytes::from(file));
            let mut whole = 0;
            while let Frame::Payload(payload) = frames.next() {
                prop_assert_eq!(&payload[..], &payloads[whole][..]);
                whole += 1;
            }
            prop_assert!(whole < payloads.len());
        }
    }
}
