//! The request that is made, without a payment and then with one.

use std::fs;
use std::io::{self, Read as _};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    ACCEPT, CONTENT_TYPE, Entry, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use http::{Method, Request, Response, Uri};
use octroi_egress::{
    AddressPolicy, Client, ClientOptions, EgressBody, EgressError, HostHeader, Target, TrustRoots,
    Upstream, UpstreamSpec,
};
use octroi_x402::client::SignedPayment;
use sha2::{Digest as _, Sha256};

use super::args::PayArgs;
use super::console::Console;
use super::error::PayError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// A request that can be sent any number of times, always the same.
pub(crate) struct Call {
    upstream: Upstream,
    method: Method,
    path: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    pub(crate) fn new(args: &PayArgs) -> Result<Self, PayError> {
        let body = args.data.as_deref().map(read_data).transpose()?;
        let method = match (&args.method, &body) {
            (Some(method), _) => method.clone(),
            (None, Some(_)) => Method::POST,
            (None, None) => Method::GET,
        };
        let path = args.url.path_and_query().cloned();
        Ok(Self {
            upstream: upstream(args)?,
            method,
            path: path.map_or(Uri::from_static("/"), Uri::from),
            headers: headers(args, body.as_ref()),
            body: body.unwrap_or_default(),
        })
    }

    /// The `Host` that the user asked for, if it is not the URL's.
    pub(crate) fn host(&self) -> Option<&HeaderValue> {
        self.headers.get(HOST)
    }

    /// Sends the request and returns when the response head is there.
    pub(crate) async fn send(
        &self,
        payment: Option<&SignedPayment>,
        console: &Console,
    ) -> Result<Response<EgressBody>, EgressError> {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(payment) = payment
            && let Ok(mut value) = HeaderValue::from_str(payment.header_value.expose())
        {
            value.set_sensitive(true);
            request.headers_mut().insert(payment.header_name, value);
        }
        console.request(&request);
        let response = self.upstream.send(request).await?;
        console.response_head(&response);
        Ok(response)
    }
}

fn upstream(args: &PayArgs) -> Result<Upstream, PayError> {
    let refused = |error: anyhow::Error| PayError::Usage {
        what: "the URL cannot be called".to_owned(),
        help: "",
        source: Some(error),
    };
    let mut roots = TrustRoots::public();
    if let Some(file) = &args.ca_file {
        roots = roots.with_pem_file(file).map_err(|error| PayError::Usage {
            what: format!("--ca-file {} cannot be used", file.display()),
            help: "",
            source: Some(error.into()),
        })?;
    }
    let target = Target::from_uri(&args.url).map_err(|error| refused(error.into()))?;
    // The user typed this address, so it may be a private one. Nothing else may: redirects are
    // not followed.
    let policy = AddressPolicy::public_only().allow_target(target.host().clone(), target.port());
    let options = ClientOptions {
        policy,
        roots,
        ..ClientOptions::default()
    };
    let client = Client::new(options).map_err(|error| refused(error.into()))?;
    let mut spec = UpstreamSpec::new(target);
    let timeout = Duration::from_secs(args.timeout.into());
    spec.connect_timeout = CONNECT_TIMEOUT.min(timeout);
    spec.head_timeout = timeout;
    spec.body_idle_timeout = timeout;
    if args.headers.iter().any(|(name, _)| name == HOST) {
        spec.host_header = HostHeader::FromRequest;
    }
    client.upstream(spec).map_err(|error| refused(error.into()))
}

/// The body as it is typed, or from where `@` points to.
fn read_data(data: &str) -> Result<Bytes, PayError> {
    let Some(file) = data.strip_prefix('@') else {
        return Ok(Bytes::copy_from_slice(data.as_bytes()));
    };
    let read = if file == "-" {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    read.map(Bytes::from).map_err(|error| PayError::Usage {
        what: format!("--data @{file} cannot be read"),
        help: "",
        source: Some(error.into()),
    })
}

fn headers(args: &PayArgs, body: Option<&Bytes>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &args.headers {
        headers.append(name, value.clone());
    }
    let mut default = |name: HeaderName, value: HeaderValue| {
        if let Entry::Vacant(vacant) = headers.entry(name) {
            vacant.insert(value);
        }
    };
    let agent = concat!("octroi/", env!("CARGO_PKG_VERSION"));
    default(USER_AGENT, HeaderValue::from_static(agent));
    default(ACCEPT, HeaderValue::from_static("*/*"));
    if let Some(body) = body {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        default(CONTENT_TYPE, form);
        // A gate binds the payment to the body. It hashes small ones itself, and asks for this
        // with larger ones (RFC 9530).
        let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)));
        if let Ok(digest) = HeaderValue::try_from(digest) {
            default(CONTENT_DIGEST, digest);
        }
    }
    headers
}
