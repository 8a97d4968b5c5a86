//! Events: the history of a transaction, by its place in it.

use octroi_claim::NewClaim;
use octroi_store::{Event, EventKind};
use octroi_types::{Mode, TenantId, TransactionId, UnixMicros};

use crate::columns::{Columns, column, count, mode_code};
use crate::connection::Connection;
use crate::fault::Fault;

const INSERT: &str = "INSERT INTO events (transaction_id, ordinal, tenant, mode, kind, at)
SELECT * FROM unnest(
    $1::uuid[], $2::integer[], $3::uuid[], $4::smallint[], $5::smallint[], $6::bigint[]
)";

const LIST: &str =
    "SELECT ordinal, kind, at FROM events WHERE transaction_id = $1 ORDER BY ordinal";

/// The events of a batch.
#[derive(Default)]
pub(crate) struct Events {
    new: Vec<NewEvent>,
}

struct NewEvent {
    transaction: TransactionId,
    ordinal: u32,
    tenant: TenantId,
    mode: Mode,
    kind: EventKind,
    at: UnixMicros,
}

impl Events {
    /// Appends to the history of a claim's transaction, which has so many events. Returns how many it
    /// has then.
    pub(crate) fn append(
        &mut self,
        terms: &NewClaim,
        mut events: u32,
        kinds: &[EventKind],
        at: UnixMicros,
    ) -> u32 {
        for kind in kinds {
            self.new.push(NewEvent {
                transaction: terms.transaction,
                ordinal: events,
                tenant: terms.tenant,
                mode: terms.mode,
                kind: *kind,
                at,
            });
            events = events.saturating_add(1);
        }
        events
    }

    pub(crate) async fn write(&self, connection: &Connection) -> Result<(), Fault> {
        let new = &self.new;
        if new.is_empty() {
            return Ok(());
        }
        connection
            .execute(
                INSERT,
                &[
                    &column(new, |event| event.transaction.uuid()),
                    &column(new, |event| count(event.ordinal)),
                    &column(new, |event| event.tenant.uuid()),
                    &column(new, |event| mode_code(event.mode)),
                    &column(new, |event| i16::from(event.kind.code())),
                    &column(new, |event| event.at.0),
                ],
            )
            .await?;
        Ok(())
    }
}

/// The events of a transaction, oldest first.
pub(crate) async fn list(
    connection: &Connection,
    transaction: TransactionId,
) -> Result<Vec<Event>, Fault> {
    let rows = connection.query(LIST, &[&transaction.uuid()]).await?;
    let read = |row| {
        let mut columns = Columns::of(row);
        let ordinal = columns.count()?;
        let kind = columns.code(EventKind::from_code)?;
        Ok(Event::new(transaction, ordinal, kind, columns.micros()?))
    };
    rows.iter().map(read).collect()
}
