//! Nodes, and until when each is believed alive.
//!
//! A lease ends by the clock of whoever looks at it. So that all look alike, a node whose clock is too
//! far off the database's is turned away when it beats and when it asks for dead nodes' claims.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use octroi_claim::NodeId;
use octroi_types::UnixMicros;

use crate::columns::Columns;
use crate::connection::Connection;
use crate::fault::{Fault, unavailable};

const LIST: &str = "SELECT node, lease_until FROM nodes";

const BEAT: &str = "INSERT INTO nodes (node, lease_until)
SELECT * FROM unnest($1::bigint[], $2::bigint[])
ON CONFLICT (node) DO UPDATE SET lease_until = excluded.lease_until";

/// Every process is a node of its own, so that the dead gather.
const FORGET: &str = "DELETE FROM nodes WHERE lease_until < $1";

const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// How long a dead node is remembered. Who is not known is dead.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// Until when nodes are believed alive.
#[derive(Default)]
pub(crate) struct Nodes {
    leases: HashMap<NodeId, UnixMicros>,
    /// Rows that many write are written in one order.
    beaten: BTreeMap<u64, UnixMicros>,
    /// The latest time of a beat.
    now: UnixMicros,
    /// The database's clock, if it was asked for.
    clock: Option<UnixMicros>,
}

impl Nodes {
    pub(crate) async fn load(connection: &Connection, needed: bool) -> Result<Self, Fault> {
        let mut nodes = Self::default();
        if needed {
            for row in connection.query(LIST, &[]).await? {
                let mut columns = Columns::of(&row);
                let node = NodeId(columns.bits()?);
                nodes.leases.insert(node, columns.micros()?);
            }
        }
        Ok(nodes)
    }

    /// Asks for the database's clock.
    pub(crate) async fn load_clock(&mut self, connection: &Connection) -> Result<(), Fault> {
        let row = connection.query_opt(CLOCK, &[]).await?;
        self.clock = row.map(|row| Columns::of(&row).micros()).transpose()?;
        Ok(())
    }

    /// Whether a node's clock agrees with the database's, if that was asked for.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn check_clock(&self, now: UnixMicros, skew_max: Duration) -> Result<(), Fault> {
        let Some(clock) = self.clock else {
            return Ok(());
        };
        let skew = now.since(clock).max(clock.since(now));
        if skew > skew_max {
            let reason = format!(
                "this node's clock is {:.1} s off the database's",
                skew.as_secs_f64()
            );
            return Err(unavailable(&reason).into());
        }
        Ok(())
    }

    /// Whether a node is believed alive; whoever asks is.
    pub(crate) fn is_alive(&self, node: NodeId, caller: NodeId, now: UnixMicros) -> bool {
        let leased = |lease_until: &UnixMicros| *lease_until > now;
        node == caller || self.leases.get(&node).is_some_and(leased)
    }

    pub(crate) fn beat(&mut self, node: NodeId, lease_until: UnixMicros, now: UnixMicros) {
        self.leases.insert(node, lease_until);
        self.beaten.insert(node.0, lease_until);
        self.now = self.now.max(now);
    }

    pub(crate) async fn write(&self, connection: &Connection) -> Result<(), Fault> {
        if self.beaten.is_empty() {
            return Ok(());
        }
        let nodes: Vec<i64> = self.beaten.keys().map(|node| node.cast_signed()).collect();
        let leases: Vec<i64> = self.beaten.values().map(|until| until.0).collect();
        connection.execute(BEAT, &[&nodes, &leases]).await?;
        let remembered = i64::try_from(REMEMBERED.as_micros()).unwrap_or(i64::MAX);
        let forgotten = self.now.0.saturating_sub(remembered);
        connection.execute(FORGET, &[&forgotten]).await?;
        Ok(())
    }
}
