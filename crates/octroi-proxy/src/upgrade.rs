//! Upgraded connections (WebSocket) on free routes: bytes both ways until either side ends.

use http::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use octroi_egress::{EgressBody, hop_by_hop};
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::body::GateBody;
use crate::forward;

/// Answers 101 and joins the two connections once the client's side has switched.
pub(crate) fn splice(
    tasks: &TaskTracker,
    mut answer: Response<EgressBody>,
    client_side: OnUpgrade,
) -> Response<GateBody> {
    let origin_side = hyper::upgrade::on(&mut answer);
    let mut response = answer.map(|_| GateBody::empty());
    forward::strip_response(response.headers_mut());
    hop_by_hop::set_websocket_upgrade(response.headers_mut());
    tasks.spawn(async move {
        match tokio::try_join!(client_side, origin_side) {
            Ok((client, origin)) => {
                let (mut client, mut origin) = (TokioIo::new(client), TokioIo::new(origin));
                // Either side may end first; what it was is nobody's business.
                drop(tokio::io::copy_bidirectional(&mut client, &mut origin).await);
            }
            Err(error) => debug!(error = %error, "an upgrade did not come about"),
        }
    });
    response
}
