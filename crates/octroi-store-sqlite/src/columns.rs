//! Columns to words and back.

use octroi_claim::{PaymentState, SettleOrder, WorkState};
use octroi_store::{SettlementState, TransactionState};
use octroi_types::{Address, Amount, B256, ChainId, Mode, UnixMicros, UnixSeconds};
use rusqlite::Row;
use rusqlite::types::{FromSql, Type};

/// A stored value that no version of the program has written.
#[derive(Debug, thiserror::Error)]
#[error("a stored value means nothing")]
pub(crate) struct Meaningless;

/// Reads the columns of a row in the order in which they were selected.
pub(crate) struct Columns<'r, 's> {
    row: &'r Row<'s>,
    next: usize,
}

impl<'r, 's> Columns<'r, 's> {
    pub(crate) const fn of(row: &'r Row<'s>) -> Self {
        Self { row, next: 0 }
    }

    pub(crate) fn get<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        let value = self.row.get(self.next)?;
        self.next += 1;
        Ok(value)
    }

    /// Reads a column whose values do not all mean something.
    pub(crate) fn read<T: FromSql, U>(
        &mut self,
        meaning: impl FnOnce(T) -> Option<U>,
    ) -> rusqlite::Result<U> {
        meaning(self.get()?).ok_or_else(|| meaningless(self.next - 1))
    }

    pub(crate) fn id<T>(&mut self, from_bytes: fn([u8; 16]) -> T) -> rusqlite::Result<T> {
        self.get().map(from_bytes)
    }

    pub(crate) fn id_or_null<T>(
        &mut self,
        from_bytes: fn([u8; 16]) -> T,
    ) -> rusqlite::Result<Option<T>> {
        Ok(self.get::<Option<[u8; 16]>>()?.map(from_bytes))
    }

    pub(crate) fn hash(&mut self) -> rusqlite::Result<B256> {
        self.get().map(B256)
    }

    pub(crate) fn hash_or_null(&mut self) -> rusqlite::Result<Option<B256>> {
        Ok(self.get::<Option<[u8; 32]>>()?.map(B256))
    }

    pub(crate) fn address(&mut self) -> rusqlite::Result<Address> {
        self.get().map(Address)
    }

    pub(crate) fn amount(&mut self) -> rusqlite::Result<Amount> {
        self.read(Amount::from_i64)
    }

    pub(crate) fn micros(&mut self) -> rusqlite::Result<UnixMicros> {
        self.get().map(UnixMicros)
    }

    /// An unsigned number that keeps its bits.
    pub(crate) fn bits(&mut self) -> rusqlite::Result<u64> {
        self.get::<i64>().map(i64::cast_unsigned)
    }

    pub(crate) fn chain(&mut self) -> rusqlite::Result<ChainId> {
        self.bits().map(ChainId)
    }

    pub(crate) fn seconds(&mut self) -> rusqlite::Result<UnixSeconds> {
        self.bits().map(UnixSeconds)
    }

    pub(crate) fn mode(&mut self) -> rusqlite::Result<Mode> {
        self.read(read_mode)
    }

    pub(crate) fn mode_or_null(&mut self) -> rusqlite::Result<Option<Mode>> {
        self.read(|code: Option<u8>| match code {
            None => Some(None),
            Some(code) => read_mode(code).map(Some),
        })
    }

    pub(crate) fn payment(&mut self) -> rusqlite::Result<PaymentState> {
        self.read(PaymentState::from_code)
    }

    pub(crate) fn work(&mut self) -> rusqlite::Result<WorkState> {
        self.read(WorkState::from_code)
    }

    pub(crate) fn order(&mut self) -> rusqlite::Result<SettleOrder> {
        self.read(|code: u8| match code {
            0 => Some(SettleOrder::ResponseHead),
            1 => Some(SettleOrder::BeforeOrigin),
            2 => Some(SettleOrder::Facilitated),
            _ => None,
        })
    }

    pub(crate) fn transaction_state(&mut self) -> rusqlite::Result<TransactionState> {
        self.read(|code: u8| TransactionState::ALL.get(usize::from(code)).copied())
    }

    pub(crate) fn settlement_state(&mut self) -> rusqlite::Result<SettlementState> {
        self.read(|code: u8| match code {
            0 => Some(SettlementState::Open),
            1 => Some(SettlementState::Included),
            2 => Some(SettlementState::Final),
            _ => None,
        })
    }
}

fn meaningless(column: usize) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Null, Box::new(Meaningless))
}

const fn read_mode(code: u8) -> Option<Mode> {
    match code {
        0 => Some(Mode::Test),
        1 => Some(Mode::Live),
        _ => None,
    }
}

pub(crate) const fn mode_code(mode: Mode) -> u8 {
    match mode {
        Mode::Test => 0,
        Mode::Live => 1,
    }
}

pub(crate) const fn order_code(order: SettleOrder) -> u8 {
    match order {
        SettleOrder::ResponseHead => 0,
        SettleOrder::BeforeOrigin => 1,
        SettleOrder::Facilitated => 2,
    }
}

/// The place in [`TransactionState::ALL`].
pub(crate) const fn transaction_state_code(state: TransactionState) -> u8 {
    match state {
        TransactionState::Pending => 0,
        TransactionState::Completed => 1,
        TransactionState::Failed => 2,
        TransactionState::Unknown => 3,
    }
}

pub(crate) const fn settlement_state_code(state: SettlementState) -> u8 {
    match state {
        SettlementState::Open => 0,
        SettlementState::Included => 1,
        SettlementState::Final => 2,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// Reads back what a code was stored as.
    fn stored<T>(code: u8, read: fn(&mut Columns<'_, '_>) -> rusqlite::Result<T>) -> Option<T> {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .query_row("SELECT ?1", [code], |row| read(&mut Columns::of(row)))
            .ok()
    }

    #[test]
    fn codes_are_read_back_and_others_mean_nothing() {
        for mode in [Mode::Test, Mode::Live] {
            assert_eq!(stored(mode_code(mode), |c| c.mode()), Some(mode));
            let or_null = stored(mode_code(mode), |c| c.mode_or_null());
            assert_eq!(or_null, Some(Some(mode)));
        }
        for order in [
            SettleOrder::ResponseHead,
            SettleOrder::BeforeOrigin,
            SettleOrder::Facilitated,
        ] {
            assert_eq!(stored(order_code(order), |c| c.order()), Some(order));
        }
        for state in TransactionState::ALL {
            let code = transaction_state_code(*state);
            assert_eq!(stored(code, |c| c.transaction_state()), Some(*state));
        }
        for state in [
            SettlementState::Open,
            SettlementState::Included,
            SettlementState::Final,
        ] {
            assert_eq!(
                stored(settlement_state_code(state), |c| c.settlement_state()),
                Some(state)
            );
        }
        assert_eq!(stored(9, |c| c.mode()), None);
        assert_eq!(stored(9, |c| c.mode_or_null()), None);
        assert_eq!(stored(9, |c| c.order()), None);
        assert_eq!(stored(9, |c| c.transaction_state()), None);
        assert_eq!(stored(9, |c| c.settlement_state()), None);
        assert_eq!(stored(9, |c| c.payment()), None);
        assert_eq!(stored(9, |c| c.work()), None);
    }
}
