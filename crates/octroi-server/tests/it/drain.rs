//! How a server ends.

use octroi_server::DrainReport;
use std::time::Duration;
use tokio::net::TcpStream;

use crate::gate::{GET, Gate, get, options};

#[tokio::test]
async fn requests_at_hand_are_finished_and_nothing_new_is_taken() {
    let mut gate = Gate::plain();
    let address = gate.addresses[0];
    let mut busy = gate.connect().await;
    busy.send(get("/hold")).await;
    gate.held().await;
    let mut idle = gate.connect().await;
    assert_eq!(idle.ask(GET).await.status, 200);
    let mut silent = gate.connect().await;
    // Accepted in order: once this one is served, the silent one is in the server's hands too.
    let mut later = gate.connect().await;
    assert_eq!(later.ask(GET).await.status, 200);

    gate.begin_shutdown();
    assert!(idle.rest().await.is_empty());
    assert!(silent.rest().await.is_empty());
    assert!(later.rest().await.is_empty());
    assert!(TcpStream::connect(address).await.is_err());

    gate.handler.release.add_permits(1);
    let answer = busy.answer().await.unwrap();
    assert_eq!((answer.status, &*answer.body), (200, "GET /hold 0"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(busy.rest().await.is_empty());
    let expected = DrainReport {
        connections_open: 4,
        connections_aborted: 0,
        requests_aborted: 0,
    };
    assert_eq!(gate.finished().await, expected);
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut_off_and_counted() {
    let mut hasty = options();
    hasty.timeouts.drain = Duration::from_millis(50);
    let mut gate = Gate::start(hasty);
    let mut stuck = gate.connect().await;
    stuck.send(get("/hold")).await;
    gate.held().await;
    gate.begin_shutdown();
    assert!(stuck.rest().await.is_empty());
    let expected = DrainReport {
        connections_open: 1,
        connections_aborted: 1,
        requests_aborted: 1,
    };
    assert_eq!(gate.finished().await, expected);
}
