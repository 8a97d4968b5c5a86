//! Upgraded connections (WebSocket) on free routes: bytes both ways until either side, or the gate,
//! ends.

use http::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use octroi_egress::{EgressBody, hop_by_hop};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::body::GateBody;
use crate::forward;

/// Answers 101 and joins the two connections once the client's side has switched, until `end`.
pub(crate) fn splice(
    tasks: &TaskTracker,
    end: &CancellationToken,
    mut answer: Response<EgressBody>,
    client_side: OnUpgrade,
) -> Response<GateBody> {
    let origin_side = hyper::upgrade::on(&mut answer);
    let mut response = answer.map(|_| GateBody::empty());
    forward::dress_response(&mut response);
    hop_by_hop::set_websocket_upgrade(response.headers_mut());
    let joined = join(client_side, origin_side);
    tasks.spawn(end.clone().run_until_cancelled_owned(joined));
    response
}

async fn join(client_side: OnUpgrade, origin_side: OnUpgrade) {
    match tokio::try_join!(client_side, origin_side) {
        Ok((client, origin)) => {
            let (mut client, mut origin) = (TokioIo::new(client), TokioIo::new(origin));
            // Either side may end first; what it was is nobody's business.
            drop(tokio::io::copy_bidirectional(&mut client, &mut origin).await);
        }
        Err(error) => debug!(error = %error, "an upgrade did not come about"),
    }
}
