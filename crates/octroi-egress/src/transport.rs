//! The byte stream under a connection: TCP, or TLS over it.

use std::io::{self, IoSlice, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::client::TlsStream;

/// How much one probe takes: on plain TCP a single byte already ends the connection, and a TLS record
/// continues through the ordinary path.
const PROBE_BYTES: usize = 512;

/// What the connection is read from and written to.
pub(crate) enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

/// A TCP stream that can be told to look at the kernel's buffer, whatever the reactor knows.
pub(crate) struct Socket {
    stream: TcpStream,
    control: Arc<SocketControl>,
}

/// The handle on a socket that hyper has swallowed.
#[derive(Default)]
pub(crate) struct SocketControl {
    probe: AtomicBool,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
}

impl SocketControl {
    /// Makes the next read ask the kernel even if the reactor has reported nothing yet.
    ///
    /// Between requests an origin may close the connection or send bytes that no request asked for. The
    /// reactor tells of it on its next turn; under load that can be after the next request was written,
    /// and stray bytes would then be read as its response.
    pub(crate) fn probe_on_next_read(&self) {
        self.probe.store(true, Ordering::Relaxed);
    }

    /// Keeps a permit for as long as the socket is open.
    pub(crate) fn keep_permit(&self, permit: Option<OwnedSemaphorePermit>) {
        *self.permit.lock() = permit;
    }
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            control: Arc::default(),
        }
    }

    fn probe(&self, buf: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        let mut bytes = [0; PROBE_BYTES];
        let len = bytes.len().min(buf.remaining());
        let socket = SockRef::from(&self.stream);
        match (&*socket).read(bytes.get_mut(..len)?) {
            Ok(read) => {
                buf.put_slice(bytes.get(..read)?);
                Some(Ok(()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl Transport {
    pub(crate) fn control(&self) -> Arc<SocketControl> {
        match self {
            Self::Plain(socket) => socket.control.clone(),
            Self::Tls(stream) => stream.get_ref().0.control.clone(),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.control.probe.load(Ordering::Relaxed) {
            self.control.probe.store(false, Ordering::Relaxed);
            if let Some(read) = self.probe(buf) {
                return Poll::Ready(read);
            }
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
