//! A client's socket as hyper sees it: with or without TLS, counted, and closed with patience.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use octroi_telemetry::metrics::{self, Direction};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::activity::Activity;
use crate::connection_cap::Permit;
use crate::head_guard::HeadGuard;

/// How much a closing connection reads on at most.
const LINGER_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// The transport.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A client's socket.
pub(crate) struct Io {
    stream: Stream,
    /// What was read in order to tell the protocol.
    prefix: Prefix,
    guard: HeadGuard,
    activity: Arc<Activity>,
    /// Unread bytes that may still be thrown away; `None` while the connection is not closing.
    linger_left: Option<usize>,
    _permit: Permit,
}

/// The first bytes of a connection, at most as many as the HTTP/2 preface has.
#[derive(Default)]
pub(crate) struct Prefix {
    pub(crate) bytes: [u8; Self::LEN],
    pub(crate) filled: usize,
    taken: usize,
}

impl Prefix {
    pub(crate) const LEN: usize = 24;

    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Moves what fits to `buf`.
    fn take(&mut self, buf: &mut ReadBuf<'_>) {
        let rest = &self.bytes[self.taken..self.filled];
        let count = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..count]);
        self.taken += count;
    }
}

impl Io {
    pub(crate) fn new(
        stream: Stream,
        prefix: Prefix,
        guard: HeadGuard,
        activity: Arc<Activity>,
        permit: Permit,
    ) -> Self {
        Self {
            stream,
            prefix,
            guard,
            activity,
            linger_left: None,
            _permit: permit,
        }
    }

    /// Reads what came, whatever it is.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.prefix.taken < self.prefix.filled {
            self.prefix.take(buf);
        } else {
            ready!(match &mut self.stream {
                Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
                Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            })?;
        }
        let count = buf.filled().len() - before;
        if count > 0 {
            self.activity.received();
            metrics::bytes_moved(Direction::Received, count as u64);
        }
        Poll::Ready(Ok(()))
    }

    fn note_write(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Pending => self.activity.write_blocked(),
            Poll::Ready(Ok(count)) => {
                self.activity.write_moved();
                metrics::bytes_moved(Direction::Sent, *count as u64);
            }
            Poll::Ready(Err(_)) => {}
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while !this.guard.give(buf)? {
            if !this.guard.wants_more() {
                return Poll::Pending;
            }
            let before = buf.filled().len();
            ready!(this.poll_receive(cx, buf))?;
            let received = &buf.filled()[before..];
            if received.is_empty() {
                break;
            }
            let approved = this.guard.see(received);
            buf.set_filled(before + approved);
            if approved > 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        this.note_write(&result);
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        this.note_write(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Stream::Tls(stream) = &mut this.stream else {
            return Poll::Ready(Ok(()));
        };
        let result = Pin::new(stream).poll_flush(cx);
        match &result {
            Poll::Pending => this.activity.write_blocked(),
            Poll::Ready(_) => this.activity.write_moved(),
        }
        result
    }

    /// Closes our direction and then, if the client may still be sending, reads on for a while:
    /// closing a socket with unread bytes resets the connection, and the reset can overtake the
    /// answer that told the client to stop.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger_left.is_none() {
            ready!(match &mut this.stream {
                Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
                Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            })?;
            let unread = this.activity.unread_input();
            this.linger_left = Some(if unread { LINGER_BYTES_MAX } else { 0 });
            this.activity.closing();
        }
        let mut scratch = [0; 8 * 1_024];
        while this.linger_left.is_some_and(|left| left > 0) {
            let mut buf = ReadBuf::new(&mut scratch);
            ready!(match &mut this.stream {
                Stream::Plain(stream) => Pin::new(stream).poll_read(cx, &mut buf),
                Stream::Tls(stream) => Pin::new(stream).poll_read(cx, &mut buf),
            })?;
            let count = buf.filled().len();
            let left = this.linger_left.filter(|_| count > 0).unwrap_or(0);
            this.linger_left = Some(left.saturating_sub(count));
        }
        Poll::Ready(Ok(()))
    }
}
