//! One connection of a load.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::response::{Response, ResponseReader};

/// Loopback answers at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection and the request on it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    reader: ResponseReader,
    /// The request that is not answered yet.
    pub(super) asked: Option<Asked>,
}

/// A request on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Its index among all requests of the load.
    pub(super) index: u64,
    /// When it was due to be sent.
    pub(super) due: Instant,
    /// How much of it has been sent.
    sent_bytes: usize,
}

/// How far sending has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    Done,
    /// The socket takes no more for now.
    Waits,
}

/// What reading brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The answer goes on, or has not begun.
    Waits,
    Answered {
        response: Response,
        asked_due: Instant,
        closed: bool,
    },
    /// The server closed the connection while nothing was asked.
    Closed,
    /// The connection ended within an answer or before it.
    Broken,
    /// Not HTTP/1.1, or an answer to nothing.
    Malformed,
}

impl Connection {
    /// Connects, and leaves the socket non-blocking.
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        let stream =
            TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).context("cannot connect")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            reader: ResponseReader::default(),
            asked: None,
        })
    }

    /// Begins to send a request.
    pub(super) fn ask(
        &mut self,
        index: u64,
        due: Instant,
        request: &[u8],
    ) -> std::io::Result<Sending> {
        self.asked = Some(Asked {
            index,
            due,
            sent_bytes: 0,
        });
        self.send(request)
    }

    /// Goes on with sending the request.
    pub(super) fn send(&mut self, request: &[u8]) -> std::io::Result<Sending> {
        let Some(asked) = &mut self.asked else {
            return Ok(Sending::Done);
        };
        while asked.sent_bytes < request.len() {
            match self.stream.write(&request[asked.sent_bytes..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => asked.sent_bytes += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Sending::Waits),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Sending::Done)
    }

    /// Reads what has arrived, at most `buffer` full; more is reported again.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Reading {
        let input = match self.stream.read(buffer) {
            Ok(0) => return self.read_end(),
            Ok(length) => &buffer[..length],
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                return Reading::Waits;
            }
            Err(_) if self.asked.is_none() => return Reading::Closed,
            Err(_) => return Reading::Broken,
        };
        match self.reader.read(input) {
            Ok(None) if self.asked.is_some() => Reading::Waits,
            Ok(Some((response, used))) if used == input.len() => self.answered(response, false),
            _ => Reading::Malformed,
        }
    }

    fn read_end(&mut self) -> Reading {
        match self.reader.close() {
            Ok(Some(response)) => self.answered(response, true),
            Ok(None) if self.asked.is_none() => Reading::Closed,
            Ok(None) | Err(_) => Reading::Broken,
        }
    }

    fn answered(&mut self, response: Response, closed: bool) -> Reading {
        match self.asked.take() {
            Some(asked) => Reading::Answered {
                response,
                asked_due: asked.due,
                closed: closed || !response.keep_alive,
            },
            None => Reading::Malformed,
        }
    }
}
