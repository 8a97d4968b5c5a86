//! A gate in a process of its own, which can be killed.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use octroi_store_sqlite::SqliteReader;
use octroi_testkit::{Answer, Books, Buyer, Client, PAYEE, Payment, Request, World, eventually};
use octroi_x402::Version;
use serde_json::Value;

/// `octroi serve` in a folder, with a chain and an origin that survive it.
pub(crate) struct GateProcess {
    pub(crate) world: World,
    pub(crate) client: Client,
    child: Child,
    rpc_url: String,
    runs: usize,
}

impl Drop for GateProcess {
    fn drop(&mut self) {
        // It may be dead already, which is what most tests here are about.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl GateProcess {
    pub(crate) async fn start() -> Self {
        Self::start_in(World::around(octroi_testkit::Net::new()).await).await
    }

    pub(crate) async fn start_in(world: World) -> Self {
        let rpc_url = format!("http://{}/", world.node.listen().await);
        let (child, client) = spawn(&world, &rpc_url, 0).await;
        Self {
            world,
            client,
            child,
            rpc_url,
            runs: 1,
        }
    }

    /// SIGKILL: nothing is finished, flushed or said.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts again in the same folder.
    pub(crate) async fn restart(&mut self) {
        (self.child, self.client) = spawn(&self.world, &self.rpc_url, self.runs).await;
        self.runs += 1;
    }

    pub(crate) async fn send(&self, request: &Request) -> Answer {
        self.client.send(request).await
    }

    pub(crate) async fn sign(&self, buyer: &Buyer, request: &Request) -> Payment {
        buyer.sign(&self.send(request).await.required(Version::V2))
    }

    /// What it has written down, read beside it or after it.
    pub(crate) async fn books(&self) -> Books {
        let reader = SqliteReader::open(self.world.folder().join("octroi.db")).unwrap();
        Books::read(&reader).await
    }

    pub(crate) async fn books_say(&self, what: &str, is_so: impl Fn(&Books) -> bool) -> Books {
        eventually(what, async || Some(self.books().await).filter(&is_so)).await
    }

    pub(crate) fn paid_units(&self) -> u64 {
        self.world.net.tokens(PAYEE)
    }

    /// Everything that all runs so far have written to standard error.
    pub(crate) fn logs(&self) -> String {
        (0..self.runs)
            .map(|run| std::fs::read_to_string(log_file(&self.world, run)).unwrap())
            .collect()
    }

    /// Stops it, and checks what it leaves behind.
    pub(crate) async fn finish(mut self) -> Books {
        self.kill();
        let books = self.books().await;
        let reader = SqliteReader::open(self.world.folder().join("octroi.db")).unwrap();
        reader.audit().await.unwrap();
        books.check_at_rest();
        assert_eq!(
            self.paid_units(),
            books.settled_units(),
            "{:#?}",
            books.transactions
        );
        books
    }
}

fn log_file(world: &World, run: usize) -> PathBuf {
    world.folder().join(format!("log-{run}"))
}

async fn spawn(world: &World, rpc_url: &str, run: usize) -> (Child, Client) {
    world.write("octroi.toml", &world.configuration(rpc_url));
    let log = log_file(world, run);
    let mut child = Command::new(env!("CARGO_BIN_EXE_octroi"))
        .args(["serve", "--config", "octroi.toml"])
        .current_dir(world.folder())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let address = eventually("the gate listens", async || {
        let said = std::fs::read_to_string(&log).unwrap();
        if let Some(status) = child.try_wait().unwrap() {
            panic!("the gate ended with {status}: {said}");
        }
        said.lines().find_map(listening)
    })
    .await;
    (child, Client { address })
}

/// Where the gate listens, from a line for people or for programs.
fn listening(line: &str) -> Option<SocketAddr> {
    if let Some(address) = line.trim().strip_prefix("octroi is listening on ") {
        return address.parse().ok();
    }
    let line: Value = serde_json::from_str(line).ok()?;
    let says = |line: &Value| line["message"] == "listening";
    let fields = [&line, &line["fields"]]
        .into_iter()
        .find(|line| says(line))?;
    fields["address"].as_str()?.parse().ok()
}
