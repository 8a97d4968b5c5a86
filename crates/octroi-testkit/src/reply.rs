//! What a scripted origin answers.

use bytes::Bytes;

use crate::hold::Hold;

/// An answer, step by step.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) before_head: Option<Hold>,
    pub(crate) body: Vec<Part>,
    pub(crate) length: Option<usize>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Answer,
    /// The connection ends without an answer.
    Cut,
    /// The protocol is switched, and what comes is sent back.
    Echo,
}

#[derive(Debug, Clone)]
pub(crate) enum Part {
    Data(Bytes),
    Hold(Hold),
    Cut,
}

impl Reply {
    /// A success with a body of known length.
    #[must_use]
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self::status(200, body)
    }

    /// Any answer with a body of known length.
    #[must_use]
    pub fn status(status: u16, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self {
            length: Some(body.len()),
            ..Self::stream(status).data(body)
        }
    }

    /// An answer whose body comes in chunks.
    #[must_use]
    pub fn stream(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            before_head: None,
            body: Vec::new(),
            length: None,
            trailers: Vec::new(),
            kind: Kind::Answer,
        }
    }

    /// The connection ends without an answer.
    #[must_use]
    pub fn cut() -> Self {
        Self {
            kind: Kind::Cut,
            ..Self::stream(0)
        }
    }

    /// The protocol is switched, and what comes is sent back.
    #[must_use]
    pub fn echo() -> Self {
        Self {
            kind: Kind::Echo,
            ..Self::stream(101)
        }
    }

    /// With a field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a field after the body.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The head waits.
    #[must_use]
    pub fn held(self, hold: &Hold) -> Self {
        Self {
            before_head: Some(hold.clone()),
            ..self
        }
    }

    /// More of the body.
    #[must_use]
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.body.push(Part::Data(data.into()));
        self
    }

    /// What follows of the body waits.
    #[must_use]
    pub fn wait(mut self, hold: &Hold) -> Self {
        self.body.push(Part::Hold(hold.clone()));
        self
    }

    /// The connection ends here.
    #[must_use]
    pub fn broken(mut self) -> Self {
        self.body.push(Part::Cut);
        self
    }
}
