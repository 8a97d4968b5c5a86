//! Connections: how they are made, and the statements that they have prepared.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::debug;

use crate::options::{OpenError, PostgresOptions};

/// What a statement is given.
pub(crate) type Values<'v> = &'v [&'v (dyn ToSql + Sync)];

/// What every connection is set to. Plans are made once for each statement and connection, because
/// planning one for its values takes longer than running it.
const SETTINGS: &str = "SET search_path TO octroi, pg_catalog;
SET default_transaction_isolation TO 'read committed';
SET plan_cache_mode TO force_generic_plan;
SET jit TO off;
SET synchronous_commit TO on;
SET idle_in_transaction_session_timeout TO '15s';
";

/// Rows that a cursor reads at once.
const FETCHED: usize = 1_000;

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    settings: Arc<str>,
    timeout: Duration,
}

impl Connector {
    /// Reads an address: `postgresql://user:password@host:port/database?sslmode=require`, or pairs
    /// `key=value`. Whenever TLS is used the server's certificate is verified.
    pub(crate) fn new(address: &str, options: &PostgresOptions) -> Result<Self, OpenError> {
        let mut config: Config = address.parse().map_err(OpenError::Address)?;
        if config.get_application_name().is_none() {
            config.application_name("octroi");
        }
        config
            .connect_timeout(options.connect_timeout)
            // Half-open connections are noticed, and a lane that waits on one goes on.
            .keepalives_idle(Duration::from_secs(15))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(30));
        let lock_timeout_ms = options.lock_timeout.as_millis();
        let settings = format!("{SETTINGS}SET lock_timeout TO {lock_timeout_ms};");
        Ok(Self {
            config,
            tls: MakeRustlsConnect::new(tls(options.extra_roots_pem.as_deref())?),
            settings: settings.into(),
            timeout: options.connect_timeout,
        })
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> Result<Connection, ConnectError> {
        let connect = async {
            let (client, connection) = self.config.connect(self.tls.clone()).await?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    debug!(reason = crate::fault::reason(&error), "a connection ended");
                }
            });
            client.batch_execute(&self.settings).await?;
            Ok(Connection {
                client,
                statements: Mutex::default(),
            })
        };
        match tokio::time::timeout(self.timeout, connect).await {
            Ok(connected) => connected.map_err(ConnectError::Database),
            Err(_) => Err(ConnectError::Timeout),
        }
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// The server refused, or was not reached.
    Database(tokio_postgres::Error),
    /// Nobody answered.
    Timeout,
}

impl ConnectError {
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Database(error) => crate::fault::reason(error),
            Self::Timeout => "the server does not answer".to_owned(),
        }
    }
}

fn tls(extra_roots: Option<&[u8]>) -> Result<ClientConfig, OpenError> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for root in CertificateDer::pem_slice_iter(extra_roots.unwrap_or_default()) {
        let root = root.map_err(|error| OpenError::Roots(error.into()))?;
        roots
            .add(root)
            .map_err(|error| OpenError::Roots(error.into()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OpenError::Roots(error.into()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// A connection. Requests that are made at once share round trips, and are answered in order.
pub(crate) struct Connection {
    client: Client,
    statements: Mutex<HashMap<String, Statement>>,
}

impl Connection {
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    pub(crate) async fn query(
        &self,
        sql: &str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let statement = self.prepare(sql).await?;
        self.client.query(&statement, values).await
    }

    pub(crate) async fn query_opt(
        &self,
        sql: &str,
        values: Values<'_>,
    ) -> Result<Option<Row>, tokio_postgres::Error> {
        let statement = self.prepare(sql).await?;
        self.client.query_opt(&statement, values).await
    }

    pub(crate) async fn execute(
        &self,
        sql: &str,
        values: Values<'_>,
    ) -> Result<u64, tokio_postgres::Error> {
        let statement = self.prepare(sql).await?;
        self.client.execute(&statement, values).await
    }

    /// Runs statements without values.
    pub(crate) async fn run(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(sql).await
    }

    async fn prepare(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.statements.lock().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        let mut statements = self.statements.lock();
        Ok(statements
            .entry(sql.to_owned())
            .or_insert(statement)
            .clone())
    }
}

/// Rows of a statement without values, some at a time, for more of them than memory has room for. Several
/// can be read beside each other, within one transaction.
pub(crate) struct Cursor<'c> {
    connection: &'c Connection,
    fetch: String,
    rows: VecDeque<Row>,
}

impl<'c> Cursor<'c> {
    pub(crate) async fn open(
        connection: &'c Connection,
        name: &str,
        sql: &str,
    ) -> Result<Self, tokio_postgres::Error> {
        let declare = format!("DECLARE {name} NO SCROLL CURSOR FOR {sql}");
        connection.run(&declare).await?;
        Ok(Self {
            connection,
            fetch: format!("FETCH {FETCHED} FROM {name}"),
            rows: VecDeque::new(),
        })
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Row>, tokio_postgres::Error> {
        if self.rows.is_empty() {
            self.rows = self.connection.query(&self.fetch, &[]).await?.into();
        }
        Ok(self.rows.pop_front())
    }
}
