//! A server that sells over x402, as strict as a real one about the payments and as odd as a test
//! wants it in its answers.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use octroi_types::{Address, Amount, B256, KnownNetwork, UnixMicros};
use octroi_x402::{
    Offer, OfferDetails, Payment, Reason, SettleResponse, Terms, Token, Version,
    WINDOW_SECONDS_MAX, WindowRules, header,
};
use tokio::sync::mpsc;

/// The hash in every receipt.
pub(crate) const TX_HASH: B256 = B256([0xab; 32]);

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A body of parts that come one by one.
pub(crate) struct Parts(mpsc::UnboundedReceiver<Bytes>);

type Answer = Response<Parts>;
type Respond = dyn Fn(&Got, usize) -> Option<Answer> + Send + Sync;

/// How it sells.
#[derive(Clone)]
pub(crate) struct Selling {
    pub(crate) version: Version,
    pub(crate) network: &'static str,
    pub(crate) price: u64,
    /// What it says that it sells; the URL that is asked for unless set.
    pub(crate) resource: Option<String>,
}

pub(crate) struct Seller {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Default for Selling {
    fn default() -> Self {
        Self {
            version: Version::V2,
            network: "base-sepolia",
            price: 10_000,
            resource: None,
        }
    }
}

impl Selling {
    fn offer(&self) -> Offer {
        let network = KnownNetwork::by_name(self.network).unwrap();
        let usdc = network.usdc.unwrap();
        let (name, version) = (usdc.name.unwrap(), usdc.version.unwrap());
        let terms = Terms {
            token: Token::new(network.chain, usdc.address, name, version).into(),
            pay_to: Address([0xee; 20]),
            amount: Amount::new(self.price).unwrap(),
            max_timeout_seconds: 300,
        };
        let details = OfferDetails {
            description: Some("a test\u{1b}[2J".to_owned()),
            ..OfferDetails::default()
        };
        Offer::new(vec![terms], details).unwrap()
    }

    fn challenge(&self, address: SocketAddr, got: &Got, error: Option<&str>) -> Answer {
        let url = format!("http://{address}{}", got.target);
        let resource = self.resource.as_deref().unwrap_or(&url);
        let offer = self.offer();
        let response = Response::builder().status(StatusCode::PAYMENT_REQUIRED);
        match self.version {
            Version::V1 => response.body(whole(offer.v1_body(resource, error))),
            Version::V2 => response
                .header(
                    header::PAYMENT_REQUIRED,
                    offer.payment_required_header(resource, error),
                )
                .body(whole("{}")),
        }
        .unwrap()
    }

    /// The payment of a request, if it has one, checked as a gate checks it.
    fn verify(&self, got: &Got) -> Option<Result<Receipt, Reason>> {
        let value = got.headers.get(self.version.payment_header())?;
        let payment = Payment::from_header(self.version, value.to_str().unwrap()).unwrap();
        let rules = WindowRules {
            settlement_margin_seconds: 30,
            max_window_seconds: WINDOW_SECONDS_MAX,
        };
        let offer = self.offer();
        let now = UnixMicros::now().seconds();
        Some(offer.verify(&payment, now, &rules).map(|(terms, checked)| {
            assert!(checked.is_recovered(), "the payer did not sign");
            let (version, chain) = (self.version, terms.chain());
            Receipt {
                settled: SettleResponse::settled(version, chain, TX_HASH, checked.payer, None),
                pending: SettleResponse::failed(
                    version,
                    chain,
                    Reason::SettlementPending,
                    Some(TX_HASH),
                    Some(checked.payer),
                ),
                version,
            }
        }))
    }
}

struct Receipt {
    settled: SettleResponse,
    pending: SettleResponse,
    version: Version,
}

impl Seller {
    /// Sells `content`.
    pub(crate) async fn of(selling: Selling, content: &'static str) -> Self {
        Self::start(selling, move |_, _| Some(ok(content))).await
    }

    /// Answers paid requests with what `respond` says, given how many came before; `None` cuts the
    /// connection. Receipts are added to successes, pending ones to 503.
    pub(crate) async fn start(
        selling: Selling,
        respond: impl Fn(&Got, usize) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let shop = Arc::new(Shop {
            selling,
            address,
            got: Arc::clone(&got),
            respond: Box::new(respond),
        });
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shop = Arc::clone(&shop);
                tokio::spawn(async move {
                    let service = service_fn(|request| shop.answer(request));
                    // A connection that is cut is what some tests are about.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, got }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/thing?q=1", self.address)
    }

    /// The requests so far.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// The payment headers so far.
    pub(crate) fn payments(&self) -> Vec<String> {
        let of = |got: &Got| {
            let names = [header::PAYMENT_SIGNATURE, header::X_PAYMENT];
            let value = names.iter().find_map(|name| got.headers.get(*name))?;
            Some(value.to_str().unwrap().to_owned())
        };
        self.got().iter().filter_map(of).collect()
    }
}

struct Shop {
    selling: Selling,
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    respond: Box<Respond>,
}

/// Ends the connection.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct Cut;

impl Shop {
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Cut> {
        let (parts, body) = request.into_parts();
        let got = Got {
            method: parts.method,
            target: parts.uri.to_string(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        };
        let paid_before = {
            let mut all = self.got.lock().unwrap();
            let header = self.selling.version.payment_header();
            let paid = all
                .iter()
                .filter(|got| got.headers.contains_key(header))
                .count();
            all.push(got.clone());
            paid
        };
        let receipt = match self.selling.verify(&got) {
            None if got.target.starts_with("/free") => {
                return (self.respond)(&got, 0).ok_or(Cut);
            }
            None => return Ok(self.selling.challenge(self.address, &got, None)),
            Some(Err(reason)) => {
                let error = Some(reason.as_str());
                return Ok(self.selling.challenge(self.address, &got, error));
            }
            Some(Ok(receipt)) => receipt,
        };
        let mut response = (self.respond)(&got, paid_before).ok_or(Cut)?;
        let outcome = match response.status() {
            status if status.is_success() => receipt.settled,
            StatusCode::SERVICE_UNAVAILABLE => receipt.pending,
            _ => return Ok(response),
        };
        let value = outcome.to_header().parse().unwrap();
        response
            .headers_mut()
            .insert(receipt.version.response_header(), value);
        Ok(response)
    }
}

pub(crate) fn ok(content: &'static str) -> Answer {
    Response::new(whole(content))
}

pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &'static str) -> Answer {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(whole(body)).unwrap()
}

pub(crate) fn whole(content: impl Into<Bytes>) -> Parts {
    let (send, parts) = mpsc::unbounded_channel();
    send.send(content.into()).unwrap();
    Parts(parts)
}

/// A body whose parts are sent by the test.
pub(crate) fn parts() -> (mpsc::UnboundedSender<Bytes>, Parts) {
    let (send, parts) = mpsc::unbounded_channel();
    (send, Parts(parts))
}

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.0.poll_recv(cx);
        part.map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}
