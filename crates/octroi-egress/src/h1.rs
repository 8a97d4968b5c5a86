//! One HTTP/1.1 connection to an origin: one exchange at a time, driven by whoever waits for it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

use crate::error::{EgressError, Phase};
use crate::exchange::Failure;
use crate::head_wait::HeadWait;
use crate::relay::Relay;
use crate::request_body::RequestBody;
use crate::transport::{SocketControl, Transport};

/// Response head and trailers in bytes. hyper's own limit of 100 header lines applies too.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;

type BoxDriver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// An open connection. Dropping it closes the socket.
pub(crate) struct H1Connection {
    sender: SendRequest<RequestBody>,
    /// Absent once the connection has ended.
    driver: Option<BoxDriver>,
    relay: Arc<Relay>,
    waker: Waker,
    control: Arc<SocketControl>,
    /// Lives as long as the connection: moving a registered timer later is one atomic write, making
    /// a new one takes the timer wheel's lock twice.
    timer: Pin<Box<Sleep>>,
}

impl H1Connection {
    pub(crate) async fn open(transport: Transport) -> hyper::Result<Self> {
        let control = transport.control();
        let (sender, connection) = Builder::new()
            .max_header_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(transport))
            .await?;
        let relay = Arc::new(Relay::default());
        Ok(Self {
            sender,
            driver: Some(Box::pin(connection.with_upgrades())),
            waker: Waker::from(relay.clone()),
            relay,
            control,
            timer: Box::pin(sleep(Duration::ZERO)),
        })
    }

    /// Sends a request and waits for the response head. Dropping the future and the connection with it
    /// abandons the exchange.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<RequestBody>,
        wait: &HeadWait,
    ) -> Result<Response<Incoming>, Failure> {
        self.control.probe_on_next_read();
        self.timer.as_mut().reset(wait.end(Instant::now()));
        let mut response = pin!(self.sender.try_send_request(request));
        let (driver, timer) = (&mut self.driver, &mut self.timer);
        poll_fn(|cx| {
            self.relay.poll(&self.waker, cx, |cx| {
                drive(driver, cx);
                if let Poll::Ready(response) = response.as_mut().poll(cx) {
                    return Poll::Ready(response.map_err(Failure::from));
                }
                while timer.as_mut().poll(cx).is_ready() {
                    let Some(end) = wait.extended(Instant::now()) else {
                        let error = EgressError::after_send(Phase::HeadTimeout);
                        return Poll::Ready(Err(Failure::Lost(error)));
                    };
                    timer.as_mut().reset(end);
                }
                Poll::Pending
            })
        })
        .await
    }

    /// Polls `next`, and the connection in between if there is nothing yet, so that `next` sees what the
    /// connection reads. `stalled` runs only when neither has more to do.
    pub(crate) fn poll_with<T>(
        &mut self,
        cx: &Context<'_>,
        mut next: impl FnMut(&mut Context<'_>) -> Poll<T>,
        mut stalled: impl FnMut(&mut Context<'_>, Pin<&mut Sleep>) -> Poll<T>,
    ) -> Poll<T> {
        let (driver, timer) = (&mut self.driver, &mut self.timer);
        self.relay.poll(&self.waker, cx, |cx| {
            if let Poll::Ready(value) = next(cx) {
                return Poll::Ready(value);
            }
            drive(driver, cx);
            if let Poll::Ready(value) = next(cx) {
                return Poll::Ready(value);
            }
            stalled(cx, timer.as_mut())
        })
    }

    /// Whether the last exchange is over in both directions, nothing came after it, and another may
    /// follow.
    pub(crate) fn is_idle(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Whether anything happened on the idle connection that [`Self::is_alive`] should look into.
    pub(crate) fn was_woken(&self) -> bool {
        self.relay.was_woken()
    }

    /// Looks at an idle connection: closed, or spoken to out of turn, it is of no more use.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.control.probe_on_next_read();
        let driver = &mut self.driver;
        let cx = Context::from_waker(Waker::noop());
        let _ = self.relay.poll(&self.waker, &cx, |cx| {
            drive(driver, cx);
            Poll::Ready(())
        });
        self.is_idle()
    }

    /// Lets the connection finish a protocol switch by itself. The permit goes with the socket.
    pub(crate) fn hand_over(self, permit: Option<OwnedSemaphorePermit>) {
        self.control.keep_permit(permit);
        if let Some(driver) = self.driver {
            tokio::spawn(async move {
                if let Err(error) = driver.await {
                    tracing::debug!(%error, "protocol switch failed");
                }
            });
        }
    }
}

/// Lets the connection read and write what it can. Its failures reach the exchange over hyper's
/// channels, so there is nothing to do with them here.
fn drive(driver: &mut Option<BoxDriver>, cx: &mut Context<'_>) {
    if let Some(connection) = driver
        && connection.as_mut().poll(cx).is_ready()
    {
        *driver = None;
    }
}
