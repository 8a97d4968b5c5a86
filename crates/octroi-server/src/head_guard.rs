//! Request heads, looked at before hyper reads them (HTTP/1).
//!
//! hyper's parser lets through what an intermediary must not (lines that end in a bare LF, a length beside
//! chunks), and what it cannot read it answers with a bare status. So the guard follows a connection from head
//! to body to head (RFC 9112), gives every byte on that is in order, and puts a plain request in the place of
//! a head that is not: hyper reads that one, and [`exchange`](crate::exchange) answers it with the reason.
//! Bytes of a head are given on when the head is whole, so hyper never has half of one that is refused.

mod chunks;
mod rules;

use std::io;
use std::sync::Arc;

use octroi_types::ErrorCode;
use tokio::io::ReadBuf;

use crate::activity::Activity;
use crate::options::Limits;
use crate::refusal::Refusal;
use chunks::Chunks;
use rules::{Body, Head};

/// What hyper reads in place of a refused head. Nobody acts on it.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\n\r\n";

/// Empty lines before a request line, which some clients send behind a body (RFC 9112, 2.2).
const EMPTY_LINES_MAX: usize = 2;

/// Follows one connection.
pub(crate) struct HeadGuard {
    stage: Stage,
    /// Read and not given on: first what may be given on, then the beginning of a head.
    held: Vec<u8>,
    /// How much of it may be given on.
    approved: usize,
    scan: Scan,
    /// Heads that were in order.
    heads: u32,
    /// Whether the last of them asks to leave HTTP.
    asks_upgrade: bool,
    line_bytes_max: usize,
    head_bytes_max: usize,
    activity: Arc<Activity>,
}

/// Where in the stream of requests the next byte stands.
enum Stage {
    Head,
    Body(u64),
    Chunked(Chunks),
    /// Behind a request that asks to leave HTTP and is not answered yet.
    Upgrading,
    /// What follows is not HTTP/1, or not for us to look at.
    Free,
    Refused,
    /// In a body that cannot be followed.
    Broken,
}

/// How far a head that is not whole was searched for its end.
#[derive(Default)]
struct Scan {
    searched: usize,
    line_start: usize,
    empty_lines: usize,
}

impl HeadGuard {
    /// A guard for an HTTP/1 connection.
    pub(crate) fn new(limits: &Limits, activity: Arc<Activity>) -> Self {
        Self {
            stage: Stage::Head,
            held: Vec::new(),
            approved: 0,
            scan: Scan::default(),
            heads: 0,
            asks_upgrade: false,
            line_bytes_max: limits.uri_bytes_max * 2,
            head_bytes_max: limits.head_bytes_max(),
            activity,
        }
    }

    /// One that lets everything through, for HTTP/2.
    pub(crate) fn idle(limits: &Limits, activity: Arc<Activity>) -> Self {
        Self {
            stage: Stage::Free,
            ..Self::new(limits, activity)
        }
    }

    /// Gives on what was held back and may go on; whether there was any.
    ///
    /// # Errors
    /// When chunks are malformed: the body breaks, and the connection with it.
    pub(crate) fn give(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
        self.notice_upgrade();
        self.notice_lateness();
        if self.approved == 0 {
            return match self.stage {
                Stage::Broken => Err(io::ErrorKind::InvalidData.into()),
                _ => Ok(false),
            };
        }
        let count = self.approved.min(buf.remaining());
        buf.put_slice(&self.held[..count]);
        self.held.drain(..count);
        self.approved -= count;
        Ok(true)
    }

    /// Whether there is a use in reading on.
    pub(crate) fn wants_more(&self) -> bool {
        !matches!(self.stage, Stage::Refused | Stage::Upgrading)
    }

    /// Looks at what came. Returns how many of these bytes go on now; the rest is kept.
    pub(crate) fn see(&mut self, bytes: &[u8]) -> usize {
        if self.held.is_empty() {
            let approved = self.walk(bytes);
            self.keep(&bytes[approved..]);
            return approved;
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let approved = self.walk(&held);
        let rest = held.split_off(approved);
        (self.held, self.approved) = (held, approved);
        self.keep(&rest);
        0
    }

    /// Keeps what may not go on yet, or what stands for what may not go on at all.
    fn keep(&mut self, rest: &[u8]) {
        if matches!(self.stage, Stage::Refused) {
            self.held.extend_from_slice(STAND_IN);
            self.approved = self.held.len();
        } else if !matches!(self.stage, Stage::Broken) {
            self.held.extend_from_slice(rest);
        }
    }

    /// Follows the bytes as far as they are in order.
    fn walk(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match &mut self.stage {
                Stage::Free => return bytes.len(),
                Stage::Refused | Stage::Upgrading | Stage::Broken => return at,
                _ if rest.is_empty() => return at,
                Stage::Head => match self.read_head(rest) {
                    Ok(Some(length)) => at += length,
                    Ok(None) => return at,
                    Err(refusal) => self.refuse(refusal),
                },
                Stage::Body(left) => {
                    let count =
                        usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                    *left -= count as u64;
                    at += count;
                    if *left == 0 {
                        self.stage = self.behind_a_request();
                    }
                }
                Stage::Chunked(chunks) => match chunks.advance(rest) {
                    Ok(count) => {
                        at += count;
                        if chunks.is_done() {
                            self.stage = self.behind_a_request();
                        }
                    }
                    Err(chunks::Malformed) => self.stage = Stage::Broken,
                },
            }
        }
    }

    /// The length of the head at the beginning of `bytes`, if it is whole.
    fn read_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        let Some(end) = self.scan.find_end(bytes)? else {
            if self.scan.line_start == 0 && bytes.len() > self.line_bytes_max {
                return Err(Refusal::URI_TOO_LONG);
            }
            if bytes.len() > self.head_bytes_max {
                return Err(Refusal::HEADERS_TOO_LARGE);
            }
            return Ok(None);
        };
        let Head { body, asks_upgrade } = rules::check(&bytes[..end])?;
        self.scan = Scan::default();
        self.heads = self.heads.wrapping_add(1);
        self.asks_upgrade = asks_upgrade;
        self.stage = match body {
            Body::Sized(0) => self.behind_a_request(),
            Body::Sized(length) => Stage::Body(length),
            Body::Chunked => Stage::Chunked(Chunks::default()),
        };
        Ok(Some(end))
    }

    fn behind_a_request(&self) -> Stage {
        if self.asks_upgrade {
            Stage::Upgrading
        } else {
            Stage::Head
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.stage = Stage::Refused;
        self.activity.refuse(self.heads.wrapping_add(1), refusal);
    }

    /// Once the request that asked to leave HTTP is answered, it is known what follows it.
    fn notice_upgrade(&mut self) {
        if !matches!(self.stage, Stage::Upgrading) || self.approved > 0 {
            return;
        }
        if let Some(upgraded) = self.activity.upgraded(self.heads) {
            self.stage = if upgraded { Stage::Free } else { Stage::Head };
            self.see(&[]);
        }
    }

    /// A head that took too long is answered, not only cut off.
    fn notice_lateness(&mut self) {
        if matches!(self.stage, Stage::Head) && self.approved == 0 && self.activity.head_is_late() {
            self.held.clear();
            self.refuse(Refusal::new(
                ErrorCode::RequestTimeout,
                "the request head took too long to come",
            ));
            self.keep(&[]);
        }
    }
}

impl Scan {
    /// The length of the head at the beginning of `bytes`, which are those of the last call and more.
    fn find_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        while let Some(found) = memchr::memchr(b'\n', &bytes[self.searched..]) {
            let feed = self.searched + found;
            let line = &bytes[self.line_start..feed];
            if line.last() != Some(&b'\r') {
                return Err(rules::BARE_LINE_FEED);
            }
            let is_first = self.line_start == self.empty_lines * 2;
            self.searched = feed + 1;
            self.line_start = feed + 1;
            if line.len() > 1 {
                continue;
            }
            if !is_first {
                return Ok(Some(feed + 1));
            }
            self.empty_lines += 1;
            if self.empty_lines > EMPTY_LINES_MAX {
                return Err(rules::MALFORMED_REQUEST_LINE);
            }
        }
        self.searched = bytes.len();
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
