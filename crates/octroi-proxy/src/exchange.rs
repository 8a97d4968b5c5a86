//! The part of a sale that no client can stop: claim, origin, settlement, delivery.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use octroi_app::{
    Checked, GivenUp, Grant, Payments, Purchase, Receipt, Refusal, SettleFailure, Underway,
};
use octroi_claim::RefusedClaim;
use octroi_egress::{EgressBody, EgressError, RequestBody};
use octroi_telemetry::chain;
use octroi_telemetry::metrics::Outcome;
use octroi_types::ErrorCode;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::warn;

use crate::answers::{AnswerMemory, Bought, Recorder};
use crate::body::{BoxError, DigestMismatch, GateBody, PaidSender, paid_body};
use crate::bound_body::{BoundBody, DIGEST_MISMATCH};
use crate::forward::Ask;
use crate::refused::Via;
use crate::respond::Problem;
use crate::sale::Sale;
use crate::{caching, cors, forward, measure, refused, respond};

/// Frames that may wait between origin and buyer. Few: the buyer's pace is the origin's.
const FRAMES_WAITING: usize = 2;

pub(crate) struct Exchange {
    pub(crate) payments: Payments,
    pub(crate) answers: Arc<AnswerMemory>,
    pub(crate) sale: Sale,
    pub(crate) parts: Parts,
    pub(crate) via: Via,
    pub(crate) underway: Underway,
}

/// Where the head of an answer goes: to the client's connection, if it is still there.
type Head = oneshot::Sender<Response<GateBody>>;

impl Exchange {
    pub(crate) async fn run(
        self,
        body: BoundBody,
        checked: Checked,
        purchase: Purchase,
        head: Head,
    ) {
        let bought = Bought::of(&checked, &purchase);
        let mut grant = match self
            .payments
            .claim(&self.sale.paywall.deal, checked, purchase)
            .await
        {
            Ok(grant) => grant,
            Err(refusal) => {
                send(head, self.refuse(&refusal));
                return;
            }
        };
        if grant.settles_first()
            && let Err(failure) = grant.settle_first().await
        {
            self.refuse_unsettled(grant, &failure, head).await;
            return;
        }
        match self.call_origin(body).await {
            Ok(answer) if answer.status() < StatusCode::BAD_REQUEST => {
                self.charge(grant, answer, head, bought).await;
            }
            Ok(answer) => self.pass_failure(grant, answer, head).await,
            Err(failure) => {
                if let OriginFailure::Egress(error) = &failure {
                    warn!(error = %chain(error), request_id = %self.sale.caller.request, "the origin failed");
                }
                let given_up = grant.give_up().await;
                send(
                    head,
                    refused::problem(&self.sale, failure.problem(), given_up),
                );
            }
        }
    }

    async fn refuse_unsettled(&self, grant: Grant, failure: &SettleFailure, head: Head) {
        let refusal = |given_up| {
            let (sale, method) = (&self.sale, &self.parts.method);
            refused::settlement(sale, method, self.via, failure, given_up)
        };
        if matches!(failure, SettleFailure::TooEarly { .. }) {
            self.underway.leave();
            send(head, refusal(GivenUp::Open));
            grant.give_up_when_sure().await;
            return;
        }
        let given_up = grant.give_up().await;
        send(head, refusal(given_up));
    }

    /// The answer to a payment that is not granted. One that bought its answer before, and comes with
    /// the secret that only its payer knows, gets that answer again while it is remembered.
    fn refuse(&self, refusal: &Refusal) -> Response<GateBody> {
        if let Refusal::Claim(RefusedClaim::AlreadyUsed {
            transaction,
            same_secret: true,
            ..
        }) = refusal
            && let Some(answer) = self.answers.recall(*transaction, Instant::now())
        {
            return answer.response();
        }
        refused::admission(&self.sale, &self.parts.method, self.via, refusal)
    }

    /// Calls the origin, and a second time where the route allows it and the first call broke.
    async fn call_origin(&self, body: BoundBody) -> Result<Response<EgressBody>, OriginFailure> {
        let BoundBody {
            body,
            copy,
            mismatch,
            ..
        } = body;
        let first = self
            .origin_request(body)
            .ok_or(OriginFailure::Unbuildable)?;
        let error = match self.send(first).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if let Some(mut mismatch) = mismatch
            && mismatch.try_recv() == Ok(DigestMismatch)
        {
            return Err(OriginFailure::Digest);
        }
        let Some(copy) = copy.filter(|_| self.sale.paywall.idempotent) else {
            return Err(OriginFailure::Egress(error));
        };
        let second = self
            .origin_request(copy.into())
            .ok_or(OriginFailure::Unbuildable)?;
        self.send(second).await.map_err(OriginFailure::Egress)
    }

    async fn send(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Response<EgressBody>, EgressError> {
        let begun = Instant::now();
        let answer = self.sale.origin.upstream.send(request).await;
        measure::origin(&answer, begun.elapsed());
        answer
    }

    fn origin_request(&self, body: RequestBody) -> Option<Request<RequestBody>> {
        let sale = &self.sale;
        let ask = Ask {
            method: self.parts.method.clone(),
            path: &sale.path,
            query: sale.query.as_deref(),
            websocket: false,
        };
        forward::request(
            &sale.origin,
            ask,
            self.parts.headers.clone(),
            &sale.caller,
            body,
        )
    }

    /// An answer that is not charged for: what the origin says, and nothing settled or a credit.
    async fn pass_failure(&self, grant: Grant, answer: Response<EgressBody>, head: Head) {
        let given_up = grant.give_up().await;
        let mut response = answer.map(GateBody::Origin);
        forward::dress_response(&mut response);
        caching::mark_paid(response.headers_mut());
        cors::expose(response.headers_mut());
        respond::add_credit(&mut response, given_up);
        measure::mark(&mut response, Outcome::OriginFailed);
        send(head, response);
    }

    /// An answer that is: settled, then streamed.
    async fn charge(
        &self,
        mut grant: Grant,
        answer: Response<EgressBody>,
        head: Head,
        bought: Option<Bought>,
    ) {
        let receipt = match grant.answered().await {
            Ok(receipt) => receipt,
            Err(failure) => {
                // The origin's answer is dropped unread.
                drop(answer);
                self.refuse_unsettled(grant, &failure, head).await;
                return;
            }
        };
        let (answer, body) = answer.into_parts();
        let mut response = Response::from_parts(answer, GateBody::empty());
        forward::dress_response(&mut response);
        caching::mark_paid(response.headers_mut());
        cors::expose(response.headers_mut());
        respond::add_receipt(&mut response, &receipt);
        measure::mark(&mut response, Outcome::Paid);
        let mut recorder = bought.map(|bought| (bought, Recorder::new(&response)));
        if body.is_end_stream() {
            match head.send(response) {
                Ok(()) => self.delivered(grant, &receipt, recorder),
                Err(_) => give_up(grant).await,
            }
            return;
        }
        let (client, pumped) = paid_body(FRAMES_WAITING);
        *response.body_mut() = GateBody::Paid(pumped);
        if head.send(response).is_err() {
            give_up(grant).await;
            return;
        }
        let recording = recorder.as_mut().map(|(_, recorder)| recorder);
        match pump(body, &client, recording).await {
            Delivery::Whole => self.delivered(grant, &receipt, recorder),
            Delivery::Left { begun: true } | Delivery::Broken { begun: true } => grant.break_off(),
            Delivery::Left { begun: false } | Delivery::Broken { begun: false } => {
                give_up(grant).await;
            }
        }
    }

    /// The buyer has all of its answer, and may fetch it again if it is small.
    fn delivered(&self, grant: Grant, receipt: &Receipt, recorder: Option<(Bought, Recorder)>) {
        if let Some((bought, recorder)) = recorder
            && let Some(answer) = recorder.finish()
        {
            let now = Instant::now();
            self.answers.keep(receipt.transaction, bought, answer, now);
        }
        grant.deliver();
    }
}

enum OriginFailure {
    Egress(EgressError),
    Digest,
    Unbuildable,
}

impl OriginFailure {
    fn problem(&self) -> Problem {
        match self {
            Self::Egress(error) => respond::origin_problem(error),
            Self::Digest => DIGEST_MISMATCH,
            Self::Unbuildable => Problem {
                code: ErrorCode::BadRequest,
                message: "The request cannot be put to the origin.",
            },
        }
    }
}

/// How the body of a paid answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    /// The client's connection took all of it.
    Whole,
    /// The client left. `begun` tells whether its connection took a part.
    Left { begun: bool },
    /// The origin broke off.
    Broken { begun: bool },
}

/// Moves frames from the origin to the client's connection, at the pace of the slower.
async fn pump<B>(mut body: B, client: &PaidSender, mut recorder: Option<&mut Recorder>) -> Delivery
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    let mut sent = 0_usize;
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            // A client that leaves a silent stream is noticed at once.
            () = client.frames.closed() => return left(client, sent, body.is_end_stream()),
        };
        match frame {
            Some(Ok(frame)) => {
                let frame = forward::response_frame(frame);
                if let Some(recorder) = &mut recorder {
                    recorder.see(frame.data_ref());
                }
                if client.frames.send(Ok(frame)).await.is_err() {
                    return Delivery::Left {
                        begun: client.taken() > 0,
                    };
                }
                sent = sent.saturating_add(1);
            }
            Some(Err(error)) => {
                let error = error.into();
                warn!(error = %chain(&*error), "the origin broke off a paid answer");
                // What was sent so far is taken before the break is told.
                let _ = client.frames.reserve_many(FRAMES_WAITING).await;
                let _ = client.frames.send(Err(error)).await;
                return Delivery::Broken {
                    begun: client.taken() > 0,
                };
            }
            None => {
                // All places free means that every frame was taken.
                let _ = client.frames.reserve_many(FRAMES_WAITING).await;
                return left(client, sent, true);
            }
        }
    }
}

/// The client's connection let the body go, or the body is at its end.
fn left(client: &PaidSender, sent: usize, ended: bool) -> Delivery {
    let taken = client.taken();
    if ended && taken == sent {
        Delivery::Whole
    } else {
        Delivery::Left { begun: taken > 0 }
    }
}

/// Gives a grant up when there is nobody to name a credit to; it covers the payer's next request all
/// the same.
async fn give_up(grant: Grant) {
    grant.give_up().await;
}

fn send(head: Head, response: Response<GateBody>) {
    // A client that has left is not told; the books are right either way.
    drop(head.send(response));
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;

    use super::*;

    /// An origin's body from a script; it is at its end when the script is.
    struct Script(VecDeque<Result<&'static str, &'static str>>);

    impl Body for Script {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Ready(self.0.pop_front().map(|step| match step {
                Ok(text) => Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
                Err(text) => Err(text.into()),
            }))
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_empty()
        }
    }

    /// Pumps a script to a connection that takes so many frames and then drops the body.
    async fn pumped(
        script: &[Result<&'static str, &'static str>],
        frames_taken: usize,
    ) -> Delivery {
        let (client, body) = paid_body(FRAMES_WAITING);
        let connection = async move {
            let mut body = GateBody::Paid(body);
            for _ in 0..frames_taken {
                body.frame().await;
            }
        };
        let script = Script(script.iter().copied().collect());
        // The sender ends with the pump, as it does in an exchange.
        let pumping = async move { pump(script, &client, None).await };
        tokio::join!(pumping, connection).0
    }

    #[tokio::test]
    async fn a_connection_that_has_all_it_needs_was_served() {
        // With Content-Length the connection never asks for the end.
        assert_eq!(pumped(&[Ok("a")], 1).await, Delivery::Whole);
        assert_eq!(pumped(&[Ok("a")], 2).await, Delivery::Whole);
        assert_eq!(
            pumped(&[Ok("a"), Ok("b"), Ok("c"), Ok("d")], 4).await,
            Delivery::Whole
        );
    }

    #[tokio::test]
    async fn a_client_that_leaves_is_told_from_one_that_was_served() {
        assert_eq!(pumped(&[Ok("a")], 0).await, Delivery::Left { begun: false });
        let four = [Ok("a"), Ok("b"), Ok("c"), Ok("d")];
        assert_eq!(pumped(&four, 0).await, Delivery::Left { begun: false });
        assert_eq!(pumped(&four, 1).await, Delivery::Left { begun: true });
    }

    #[tokio::test]
    async fn a_break_is_told_by_what_arrived() {
        assert_eq!(
            pumped(&[Err("cut")], 1).await,
            Delivery::Broken { begun: false }
        );
        assert_eq!(
            pumped(&[Ok("a"), Err("cut")], 2).await,
            Delivery::Broken { begun: true }
        );
    }
}
