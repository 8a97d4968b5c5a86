//! Accepting goes on whatever accept returns.

use std::process::Command;

use tokio::net::TcpStream;

use crate::gate::{GET, Gate, Raw};

/// Set in the process that runs short of descriptors.
const STARVED: &str = "OCTROI_TEST_STARVED";

#[test]
fn running_out_of_descriptors_is_survived() {
    let test = std::env::current_exe().unwrap();
    let script =
        format!("ulimit -n 48; exec {test:?} --exact accept::starved --ignored --nocapture");
    let output = Command::new("sh")
        .args(["-c", &script])
        .env(STARVED, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

/// Takes every descriptor the process has, sees that accept fails, gives them back and is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test above, in a process that may open few files"]
async fn starved() {
    assert!(std::env::var_os(STARVED).is_some());
    let gate = Gate::plain();
    let mut taken = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file);
    }
    // One descriptor for the client's end, none for the server's.
    taken.pop();
    let stream = TcpStream::connect(gate.addresses[0]).await.unwrap();
    while octroi_telemetry::metrics::render().contains("octroi_accept_failures_total 0") {
        tokio::task::yield_now().await;
    }
    taken.clear();
    assert_eq!(Raw(stream).ask(GET).await.status, 200);
    gate.stop().await;
}
