//! Finds the end of each HTTP/1.1 response on a connection, and keeps nothing of it but the status.

/// The longest response head that is read, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A whole response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// The code of the status line.
    pub status: u16,
    /// Bytes of the body, without the framing of chunks.
    pub body_bytes: u64,
    /// Whether the server lets the connection be used again.
    pub keep_alive: bool,
}

/// The bytes are not a response of HTTP/1.1, or its framing is ambiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads the responses of one connection, in whatever pieces they arrive. It expects answers to
/// requests that have a body in their response, which is all but `HEAD` and `CONNECT`.
#[derive(Clone, Debug)]
pub struct ResponseReader {
    state: State,
    /// The part of a head that has arrived; empty while whole heads arrive at once.
    head: Vec<u8>,
    response: Response,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// So many bytes of the body are to come.
    Sized(u64),
    /// In a chunk's size line, before or after the end of its digits.
    ChunkSize {
        size: u64,
        digits: u8,
        ended: bool,
    },
    /// So many bytes of a chunk are to come, and then its line end.
    ChunkData(u64),
    ChunkEnd,
    /// In the lines after the last chunk.
    Trailer {
        line_is_empty: bool,
    },
    UntilClose,
}

const CHUNK_START: State = State::ChunkSize {
    size: 0,
    digits: 0,
    ended: false,
};

impl Default for ResponseReader {
    fn default() -> Self {
        Self {
            state: State::Head,
            head: Vec::new(),
            response: Response {
                status: 0,
                body_bytes: 0,
                keep_alive: true,
            },
        }
    }
}

impl ResponseReader {
    /// Reads on, up to the end of a response. Returns it with how many bytes of `input` belong to
    /// it, or `None` once all of `input` is read and the response goes on.
    ///
    /// # Errors
    /// [`Malformed`]; the connection is useless then.
    pub fn read(&mut self, input: &[u8]) -> Result<Option<(Response, usize)>, Malformed> {
        let mut rest = input;
        loop {
            let ended = match self.state {
                State::Head => self.read_head(&mut rest)?,
                State::Sized(left) => self.skip(left, &mut rest, State::Sized) == 0,
                State::UntilClose => {
                    self.skip(u64::MAX, &mut rest, |_| State::UntilClose);
                    false
                }
                State::ChunkData(left) => {
                    if self.skip(left, &mut rest, State::ChunkData) == 0 {
                        self.state = State::ChunkEnd;
                    }
                    false
                }
                State::ChunkSize { .. } | State::ChunkEnd | State::Trailer { .. } => {
                    self.read_framing(&mut rest)?
                }
            };
            if ended {
                self.state = State::Head;
                return Ok(Some((self.response, input.len() - rest.len())));
            }
            if rest.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Takes note that the server has closed the connection. Returns the response that ended by
    /// this, or `None` if it came between two.
    ///
    /// # Errors
    /// [`Malformed`] if it cut a response off.
    pub fn close(&mut self) -> Result<Option<Response>, Malformed> {
        match self.state {
            State::UntilClose => Ok(Some(self.response)),
            State::Head if self.head.is_empty() => Ok(None),
            _ => Err(Malformed),
        }
    }

    /// Skips body bytes and returns how many of `left` are still to come.
    fn skip(&mut self, left: u64, rest: &mut &[u8], state: impl Fn(u64) -> State) -> u64 {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
        *rest = &rest[here..];
        let skipped = here as u64;
        self.response.body_bytes += skipped;
        self.state = state(left - skipped);
        left - skipped
    }

    /// Returns whether the response has ended with its head.
    fn read_head(&mut self, rest: &mut &[u8]) -> Result<bool, Malformed> {
        let input = *rest;
        if self.head.is_empty()
            && let Some(end) = find_head_end(input)
        {
            *rest = &input[end..];
            return self.start_body(&input[..end]);
        }
        // The end may lie across two pieces.
        let held = self.head.len();
        let look_from = held.saturating_sub(HEAD_END.len() - 1);
        self.head.extend_from_slice(input);
        match find_head_end(&self.head[look_from..]) {
            Some(end) => {
                let end = look_from + end;
                *rest = &input[end - held..];
                let head = std::mem::take(&mut self.head);
                self.start_body(&head[..end])
            }
            None if self.head.len() > HEAD_BYTES_MAX => Err(Malformed),
            None => {
                *rest = &[];
                Ok(false)
            }
        }
    }

    fn start_body(&mut self, head: &[u8]) -> Result<bool, Malformed> {
        let head = Head::parse(head).ok_or(Malformed)?;
        if matches!(head.status, 100..=199) {
            // An interim response; the one that counts follows.
            return Ok(false);
        }
        self.response = Response {
            status: head.status,
            body_bytes: 0,
            keep_alive: head.keep_alive,
        };
        self.state = match (head.length, head.chunked) {
            _ if matches!(head.status, 204 | 304) => return Ok(true),
            (Some(_), true) => return Err(Malformed),
            (Some(0), false) => return Ok(true),
            (Some(length), false) => State::Sized(length),
            (None, true) => CHUNK_START,
            (None, false) => {
                self.response.keep_alive = false;
                State::UntilClose
            }
        };
        Ok(false)
    }

    /// Reads one byte of what stands around chunks. Returns whether the response has ended.
    fn read_framing(&mut self, rest: &mut &[u8]) -> Result<bool, Malformed> {
        let Some((&byte, after)) = rest.split_first() else {
            return Ok(false);
        };
        *rest = after;
        self.state = match (self.state, byte) {
            (
                State::ChunkSize {
                    size, digits: 1.., ..
                },
                b'\n',
            ) => match size {
                0 => State::Trailer {
                    line_is_empty: true,
                },
                _ => State::ChunkData(size),
            },
            (
                State::ChunkSize {
                    size,
                    digits,
                    ended,
                },
                _,
            ) => match char::from(byte).to_digit(16) {
                _ if ended => State::ChunkSize {
                    size,
                    digits,
                    ended,
                },
                Some(digit) if digits < 15 => State::ChunkSize {
                    size: size << 4 | u64::from(digit),
                    digits: digits + 1,
                    ended,
                },
                // What follows is an extension, or the line's end.
                None if digits > 0 && matches!(byte, b';' | b' ' | b'\t' | b'\r') => {
                    State::ChunkSize {
                        size,
                        digits,
                        ended: true,
                    }
                }
                _ => return Err(Malformed),
            },
            (State::ChunkEnd, b'\r') => State::ChunkEnd,
            (State::ChunkEnd, b'\n') => CHUNK_START,
            (
                State::Trailer {
                    line_is_empty: true,
                },
                b'\n',
            ) => return Ok(true),
            (State::Trailer { .. }, b'\n') => State::Trailer {
                line_is_empty: true,
            },
            (State::Trailer { line_is_empty }, b'\r') => State::Trailer { line_is_empty },
            (State::Trailer { .. }, _) => State::Trailer {
                line_is_empty: false,
            },
            _ => return Err(Malformed),
        };
        Ok(false)
    }
}

/// What a head says about where its response ends.
struct Head {
    status: u16,
    length: Option<u64>,
    chunked: bool,
    keep_alive: bool,
}

impl Head {
    fn parse(head: &[u8]) -> Option<Self> {
        let mut lines = head
            .split(|&byte| byte == b'\n')
            .map(<[u8]>::trim_ascii_end);
        let status_line = lines.next()?.strip_prefix(b"HTTP/1.1 ")?;
        let mut parsed = Self {
            status: number(status_line.get(..3)?)?.try_into().ok()?,
            length: None,
            chunked: false,
            keep_alive: true,
        };
        for line in lines.filter(|line| !line.is_empty()) {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"content-length") {
                let length = number(value)?;
                if parsed.length.is_some_and(|other| other != length) {
                    return None;
                }
                parsed.length = Some(length);
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return None;
                }
                parsed.chunked = true;
            } else if name.eq_ignore_ascii_case(b"connection") {
                parsed.keep_alive = !value.eq_ignore_ascii_case(b"close");
            }
        }
        Some(parsed)
    }
}

/// Decimal digits and nothing else.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Where what follows the head starts.
fn find_head_end(bytes: &[u8]) -> Option<usize> {
    let start = bytes
        .windows(HEAD_END.len())
        .position(|window| window == HEAD_END)?;
    Some(start + HEAD_END.len())
}

#[cfg(test)]
mod tests;
