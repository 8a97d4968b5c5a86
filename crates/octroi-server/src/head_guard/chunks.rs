//! Where a body in chunks ends (RFC 9112, 7.1).

/// Most bytes of a chunk's extension, and of all trailers. hyper has limits of its own, which are closer.
const FILLER_BYTES_MAX: usize = 64 * 1_024;

/// The bytes are no chunks.
pub(super) struct Malformed;

/// A place in a body of chunks. What hyper must read alike is only where it ends.
#[derive(Default)]
pub(super) struct Chunks {
    place: Place,
    size: u64,
    filler: usize,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first digit of a size.
    #[default]
    Start,
    Size,
    Extension,
    SizeFeed,
    Data,
    DataReturn,
    DataFeed,
    /// At the start of a trailer's line, or of the last empty one.
    TrailerStart,
    Trailer,
    TrailerFeed,
    LastFeed,
    Done,
}

impl Chunks {
    pub(super) fn is_done(&self) -> bool {
        self.place == Place::Done
    }

    /// How many of the bytes belong to the body: all of them unless it ends.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if self.place == Place::Done {
                break;
            }
            if self.place == Place::Data {
                let left = usize::try_from(self.size).unwrap_or(usize::MAX);
                let count = left.min(bytes.len() - at);
                self.size -= count as u64;
                at += count;
                if self.size == 0 {
                    self.place = Place::DataReturn;
                }
                continue;
            }
            self.place = self.next(*byte).ok_or(Malformed)?;
            at += 1;
        }
        Ok(at)
    }

    /// The place behind one byte that is not data.
    fn next(&mut self, byte: u8) -> Option<Place> {
        let digit = char::from(byte).to_digit(16);
        Some(match (self.place, byte) {
            (Place::Start, _) => {
                (self.size, self.filler) = (u64::from(digit?), 0);
                Place::Size
            }
            (Place::Size, b'\r') | (Place::Extension, b'\r') => Place::SizeFeed,
            (Place::Size, b';' | b' ' | b'\t') => Place::Extension,
            (Place::Size, _) => {
                self.size = self.size.checked_mul(16)?.checked_add(u64::from(digit?))?;
                Place::Size
            }
            (Place::Extension, b'\n') => return None,
            (Place::Extension, _) => self.fill(Place::Extension)?,
            (Place::SizeFeed, b'\n') if self.size == 0 => Place::TrailerStart,
            (Place::SizeFeed, b'\n') => Place::Data,
            (Place::DataReturn, b'\r') => Place::DataFeed,
            (Place::DataFeed, b'\n') => Place::Start,
            (Place::TrailerStart, b'\r') => Place::LastFeed,
            (Place::Trailer, b'\r') => Place::TrailerFeed,
            (Place::TrailerStart | Place::Trailer, b'\n') => return None,
            (Place::TrailerStart | Place::Trailer, _) => self.fill(Place::Trailer)?,
            (Place::TrailerFeed, b'\n') => Place::TrailerStart,
            (Place::LastFeed, b'\n') => Place::Done,
            _ => return None,
        })
    }

    fn fill(&mut self, place: Place) -> Option<Place> {
        self.filler += 1;
        (self.filler <= FILLER_BYTES_MAX).then_some(place)
    }
}
