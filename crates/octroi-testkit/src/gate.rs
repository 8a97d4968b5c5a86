//! A gate under test.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use octroi::wire::{WireOptions, wire};
use octroi_config::{Config, Source};
use octroi_store::{MemoryStore, Store};
use octroi_store_sqlite::{OpenError, SqliteOptions, SqliteStore};
use octroi_x402::Version;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::books::Books;
use crate::buyer::{Buyer, Payment};
use crate::client::{Answer, Client, Request};
use crate::net::{CHAIN, Net, PAYEE};
use crate::node::Node;
use crate::origin::Origin;
use crate::patience::{PATIENCE, eventually, within};
use crate::world::World;

type Change = Box<dyn Fn(&mut WireOptions) + Send>;

/// How a gate is to be started.
pub struct Setup {
    world: World,
    changes: Vec<Change>,
    keep: Keep,
}

/// Where a gate keeps its books.
enum Keep {
    Sqlite(Option<Arc<SqliteStore>>, SqliteOptions),
    Memory(Arc<MemoryStore>),
}

impl Setup {
    /// A gate on a chain that makes a block as soon as a transaction arrives.
    pub async fn new() -> Self {
        Self::on(Net::new()).await
    }

    /// A gate on this chain.
    pub async fn on(net: Net) -> Self {
        Self::of(World::around(net).await)
    }

    /// A gate on the chain of another one, with a way to it, an origin and books of its own.
    pub async fn beside(other: &TestGate) -> Self {
        Self::of(World::around_shared(Arc::clone(&other.net)).await)
    }

    fn of(world: World) -> Self {
        let keep = Keep::Sqlite(None, SqliteOptions::default());
        // Answers wait as long as tests do; tests about waiting say otherwise.
        let patient: Change = Box::new(|options| options.payments.settle_wait = PATIENCE);
        Self {
            world,
            changes: vec![patient],
            keep,
        }
    }

    /// With more sections of the configuration; `ORIGIN` stands for the origin's address.
    #[must_use]
    pub fn sections(mut self, toml: &str) -> Self {
        let address = self.world.origin.address().to_string();
        self.world
            .sections
            .push_str(&toml.replace("ORIGIN", &address));
        self
    }

    /// Reached by buyers at this URL.
    #[must_use]
    pub fn public_url(mut self, url: &str) -> Self {
        url.clone_into(&mut self.world.public_url);
        self
    }

    /// Listening at this address.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.world.listen = address.to_string();
        self
    }

    /// With more keys of `[server]`.
    #[must_use]
    pub fn server(mut self, toml: &str) -> Self {
        self.world.server.push_str(toml);
        self
    }

    /// With more keys of the network.
    #[must_use]
    pub fn network(mut self, toml: &str) -> Self {
        self.world.network.push_str(toml);
        self
    }

    /// With more keys of the shop.
    #[must_use]
    pub fn shop(mut self, toml: &str) -> Self {
        self.world.shop.push_str(toml);
        self
    }

    /// With somebody else to settle, in place of its own wallets: the section that says who.
    #[must_use]
    pub fn settled_by(mut self, toml: &str) -> Self {
        self.world.settler = Some(toml.to_owned());
        self
    }

    /// With a file in its folder.
    #[must_use]
    pub fn file(self, name: &str, text: &str) -> Self {
        self.world.write(name, text);
        self
    }

    /// With other times.
    #[must_use]
    pub fn options(mut self, change: impl Fn(&mut WireOptions) + Send + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// With books in memory.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.keep = Keep::Memory(Arc::new(MemoryStore::new()));
        self
    }

    /// With a database opened in this way.
    #[must_use]
    pub fn sqlite(mut self, options: SqliteOptions) -> Self {
        self.keep = Keep::Sqlite(None, options);
        self
    }

    /// The way to the chain that it will have.
    #[must_use]
    pub fn node(&self) -> Arc<Node> {
        Arc::clone(&self.world.node)
    }

    /// Starts it.
    pub async fn start(self) -> TestGate {
        self.try_start()
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts it, if it can.
    ///
    /// # Errors
    /// Why it does not start, as an operator reads it.
    pub async fn try_start(mut self) -> Result<TestGate, String> {
        let (net, node) = (Arc::clone(&self.world.net), Arc::clone(&self.world.node));
        let origin = self.world.origin.clone();
        let (running, store) = self.run().await?;
        Ok(TestGate {
            net,
            node,
            origin,
            client: running.client(),
            addresses: running.addresses.clone(),
            store,
            setup: self,
            running: Some(running),
        })
    }

    async fn run(&mut self) -> Result<(Running, Arc<dyn Store>), String> {
        let text = self.world.configuration("http://127.0.0.1:9");
        let source = Source {
            file: "the test's configuration",
            text: &text,
            directory: self.world.folder(),
            environment: &[],
        };
        let loaded = Config::check(source).unwrap_or_else(|report| panic!("{report}"));
        let mut options = WireOptions::new().unwrap();
        options
            .local_nodes
            .insert(CHAIN, Arc::clone(&self.world.node) as _);
        for change in &self.changes {
            change(&mut options);
        }
        let store = self.open(&loaded.config).await;
        options.store = Some(Arc::clone(&store));
        let wired = wire(loaded.config, options)
            .await
            .map_err(|error| format!("{error:#}"))?;
        let addresses = wired.local_addresses();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(wired.run(shutdown.clone()));
        Ok((
            Running {
                addresses,
                shutdown,
                task,
            },
            store,
        ))
    }

    async fn open(&mut self, config: &Config) -> Arc<dyn Store> {
        match &mut self.keep {
            Keep::Memory(store) => Arc::clone(store) as Arc<dyn Store>,
            Keep::Sqlite(open, options) => {
                // A test beside this one that starts a process has a copy of every lock until
                // that process begins to run.
                let store = eventually("the database is free", async || {
                    match SqliteStore::open(&config.store.path, options.clone()) {
                        Err(OpenError::InUse { .. }) => None,
                        opened => Some(opened.unwrap()),
                    }
                });
                let store = Arc::new(store.await);
                *open = Some(Arc::clone(&store));
                store
            }
        }
    }
}

/// A gate that listens.
struct Running {
    addresses: Vec<SocketAddr>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn client(&self) -> Client {
        Client {
            address: self.addresses[0],
        }
    }
}

/// A gate under test, and what is around it. Must be [finished](Self::finish).
pub struct TestGate {
    /// The chain.
    pub net: Arc<Net>,
    /// The gate's way to it.
    pub node: Arc<Node>,
    /// Where its paid requests go.
    pub origin: Origin,
    /// The way to the gate.
    pub client: Client,
    /// Where it listens: for buyers first, then for management, then to redirect.
    pub addresses: Vec<SocketAddr>,
    /// Its store.
    pub store: Arc<dyn Store>,
    setup: Setup,
    running: Option<Running>,
}

impl TestGate {
    /// A gate with the usual shop.
    pub async fn start() -> Self {
        Setup::new().await.start().await
    }

    /// Sends a request on a connection of its own.
    pub async fn send(&self, request: &Request) -> Answer {
        self.client.send(request).await
    }

    /// Asks what a request costs, and signs.
    pub async fn sign(&self, buyer: &Buyer, request: &Request) -> Payment {
        self.sign_in(Version::V2, buyer, request).await
    }

    /// Asks what a request costs, and signs in the words of a version.
    pub async fn sign_in(&self, version: Version, buyer: &Buyer, request: &Request) -> Payment {
        buyer.sign(&self.send(request).await.required(version))
    }

    /// Asks what a request costs, pays it, and reads the answer.
    pub async fn buy(&self, buyer: &Buyer, request: &Request) -> Answer {
        let payment = self.sign(buyer, request).await;
        self.send(&payment.on(request.clone())).await
    }

    /// What the gate has written down.
    pub async fn books(&self) -> Books {
        Books::read(&*self.store).await
    }

    /// Where the gate keeps what it keeps.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.setup.world.folder()
    }

    /// A file in the gate's folder.
    #[must_use]
    pub fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder().join(name)).unwrap()
    }

    /// What the payee has on the chain, in the smallest units of all its tokens.
    #[must_use]
    pub fn paid_units(&self) -> u64 {
        self.net.all_tokens(PAYEE)
    }

    /// Until the books say something.
    pub async fn books_say(&self, what: &str, is_so: impl Fn(&Books) -> bool) -> Books {
        eventually(what, async || Some(self.books().await).filter(&is_so)).await
    }

    /// As [`Self::restart`], with these sections in place of those it was set up with; `ORIGIN`
    /// stands for the origin's address.
    pub async fn restart_with(&mut self, sections: &str) {
        let address = self.origin.address().to_string();
        self.setup.world.sections = sections.replace("ORIGIN", &address);
        self.restart().await;
    }

    /// Stops it in order, and tries to start it again with these sections at an address that is in use.
    pub async fn fail_to_restart_with(&mut self, sections: &str, taken: SocketAddr) {
        self.stop().await;
        let address = self.origin.address().to_string();
        self.setup.world.sections = sections.replace("ORIGIN", &address);
        let listen = std::mem::replace(&mut self.setup.world.listen, taken.to_string());
        assert!(self.setup.run().await.is_err(), "{taken} was not in use");
        self.setup.world.listen = listen;
        self.close().await;
    }

    /// Stops it in order and starts it again in the same folder.
    pub async fn restart(&mut self) {
        if self.running.is_some() {
            self.stop().await;
        }
        if let Keep::Memory(store) = &mut self.setup.keep {
            *store = Arc::new(store.reopened());
        }
        let (running, store) = self
            .setup
            .run()
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        (self.client, self.store) = (running.client(), store);
        self.addresses.clone_from(&running.addresses);
        self.running = Some(running);
    }

    /// Stops it and checks the books: nothing is half-done, and the payee has on the chain what the
    /// books say.
    pub async fn finish(mut self) -> Books {
        let books = self.stop().await;
        books.check_at_rest();
        assert_eq!(
            self.paid_units(),
            books.settled_units(),
            "{:#?}",
            books.transactions
        );
        books
    }

    /// As [`Self::finish`], where the test leaves payments of unknown fate behind.
    pub async fn finish_with_open(mut self, open: usize) -> Books {
        let books = self.stop().await;
        books.check();
        assert_eq!(books.open().count(), open, "{:#?}", books.transactions);
        books
    }

    /// Stops it in order: what was begun is finished, and the database is whole.
    async fn stop(&mut self) -> Books {
        let Some(running) = self.running.take() else {
            panic!("the gate does not run")
        };
        running.shutdown.cancel();
        within("the gate stops", running.task).await.unwrap();
        let books = self.books().await;
        self.close().await;
        books
    }

    async fn close(&self) {
        if let Keep::Sqlite(Some(store), _) = &self.setup.keep {
            store.audit().await.unwrap();
            store.close().await;
        }
    }
}

impl Drop for TestGate {
    fn drop(&mut self) {
        if self.running.is_some() && !std::thread::panicking() {
            panic!("a test started a gate and did not finish it");
        }
    }
}
