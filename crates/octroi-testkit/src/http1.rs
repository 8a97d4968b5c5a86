//! HTTP/1.1 as the scripted sides read it: strictly enough to notice what is wrong, and frame by
//! frame, so that a test can stop anywhere.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

const READ_BYTES: usize = 64 * 1_024;

/// A connection with what was read ahead.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    pub(crate) stream: S,
    ahead: BytesMut,
}

/// The first line and the fields of a message.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) first_line: String,
    pub(crate) headers: HeaderMap,
}

/// How much of a body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Nothing,
    Length(u64),
    Chunked,
    ToTheEnd,
}

/// What came next of a body.
#[derive(Debug)]
pub(crate) enum Next {
    Data(Bytes),
    End(HeaderMap),
    /// The connection ended before the body did, or the framing is wrong.
    Broken,
}

/// A body as far as it came.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) data: Bytes,
    pub(crate) trailers: HeaderMap,
    pub(crate) complete: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            ahead: BytesMut::new(),
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The next head; none if the connection ends before it is whole.
    pub(crate) async fn head(&mut self) -> Option<Head> {
        let first_line = self.line().await?;
        Some(Head {
            first_line,
            headers: self.fields().await?,
        })
    }

    async fn fields(&mut self) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Some(headers);
            }
            let (name, value) = line.split_once(':')?;
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            headers.append(name, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?);
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.ahead.split_to(end + 2);
                return String::from_utf8(line[..end].to_vec()).ok();
            }
            self.fill().await?;
        }
    }

    /// Reads what is there; none at the end of the connection.
    async fn fill(&mut self) -> Option<()> {
        self.ahead.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.ahead).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }

    /// What comes next, framed or not; none at the end of the connection.
    pub(crate) async fn bytes(&mut self) -> Option<Bytes> {
        if self.ahead.is_empty() {
            self.fill().await?;
        }
        Some(self.ahead.split().freeze())
    }

    /// The next part of a body.
    pub(crate) async fn next(&mut self, framing: &mut Framing) -> Next {
        match *framing {
            Framing::Nothing | Framing::Length(0) => Next::End(HeaderMap::new()),
            Framing::Length(left) => match self.bytes().await {
                None => Next::Broken,
                Some(mut data) => {
                    let mine = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
                    let ours = data.split_to(mine);
                    self.ahead.extend_from_slice(&data);
                    *framing = Framing::Length(left - ours.len() as u64);
                    Next::Data(ours)
                }
            },
            Framing::Chunked => self.chunk().await.unwrap_or(Next::Broken),
            Framing::ToTheEnd => match self.bytes().await {
                None => Next::End(HeaderMap::new()),
                Some(data) => Next::Data(data),
            },
        }
    }

    async fn chunk(&mut self) -> Option<Next> {
        let line = self.line().await?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(Next::End(self.fields().await?));
        }
        while self.ahead.len() < size + 2 {
            self.fill().await?;
        }
        let data = self.ahead.split_to(size).freeze();
        let end = self.ahead.split_to(2);
        (&end[..] == b"\r\n").then_some(Next::Data(data))
    }

    /// All of a body, as far as it comes.
    pub(crate) async fn whole(&mut self, framing: Framing) -> Whole {
        self.whole_seen(framing, |_| {}).await
    }

    /// All of a body, as far as it comes; `see` is told of each part as it comes.
    pub(crate) async fn whole_seen(
        &mut self,
        mut framing: Framing,
        mut see: impl FnMut(&Bytes),
    ) -> Whole {
        let mut data = BytesMut::new();
        loop {
            match self.next(&mut framing).await {
                Next::Data(part) => {
                    see(&part);
                    data.extend_from_slice(&part);
                }
                Next::End(trailers) => {
                    return Whole {
                        data: data.freeze(),
                        trailers,
                        complete: true,
                    };
                }
                Next::Broken => {
                    return Whole {
                        data: data.freeze(),
                        ..Whole::default()
                    };
                }
            }
        }
    }
}

impl Framing {
    /// Of a request.
    pub(crate) fn of_request(headers: &HeaderMap) -> Self {
        Self::announced(headers).unwrap_or(Self::Nothing)
    }

    /// Of the answer to a request.
    pub(crate) fn of_answer(method: &str, status: u16, headers: &HeaderMap) -> Self {
        if method == "HEAD" || status < 200 || status == 204 || status == 304 {
            return Self::Nothing;
        }
        Self::announced(headers).unwrap_or(Self::ToTheEnd)
    }

    fn announced(headers: &HeaderMap) -> Option<Self> {
        if headers
            .get(TRANSFER_ENCODING)
            .is_some_and(|coding| coding == "chunked")
        {
            return Some(Self::Chunked);
        }
        let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
        Some(Self::Length(length))
    }
}
