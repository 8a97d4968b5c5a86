//! Columns to words and back.

use octroi_claim::{PaymentState, SettleOrder, WorkState};
use octroi_store::{SettlementState, TransactionState};
use octroi_types::{Address, Amount, B256, ChainId, Mode, UnixMicros, UnixSeconds};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use crate::fault::Fault;

/// Reads the columns of a row in the order in which they were selected.
pub(crate) struct Columns<'r> {
    row: &'r Row,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(crate) const fn of(row: &'r Row) -> Self {
        Self { row, next: 0 }
    }

    pub(crate) fn get<T: FromSql<'r>>(&mut self) -> Result<T, Fault> {
        let value = self.row.try_get(self.next).map_err(|_| meaningless())?;
        self.next += 1;
        Ok(value)
    }

    /// Reads a column whose values do not all mean something.
    pub(crate) fn read<T: FromSql<'r>, U>(
        &mut self,
        meaning: impl FnOnce(T) -> Option<U>,
    ) -> Result<U, Fault> {
        meaning(self.get()?).ok_or_else(meaningless)
    }

    pub(crate) fn id<T>(&mut self, from_uuid: fn(Uuid) -> T) -> Result<T, Fault> {
        self.get().map(from_uuid)
    }

    pub(crate) fn id_or_null<T>(&mut self, from_uuid: fn(Uuid) -> T) -> Result<Option<T>, Fault> {
        Ok(self.get::<Option<Uuid>>()?.map(from_uuid))
    }

    pub(crate) fn hash(&mut self) -> Result<B256, Fault> {
        self.read(|bytes: &[u8]| bytes.try_into().ok().map(B256))
    }

    pub(crate) fn hash_or_null(&mut self) -> Result<Option<B256>, Fault> {
        self.read(|bytes: Option<&[u8]>| match bytes {
            None => Some(None),
            Some(bytes) => bytes.try_into().ok().map(|hash| Some(B256(hash))),
        })
    }

    pub(crate) fn address(&mut self) -> Result<Address, Fault> {
        self.read(|bytes: &[u8]| bytes.try_into().ok().map(Address))
    }

    pub(crate) fn address_or_null(&mut self) -> Result<Option<Address>, Fault> {
        self.read(|bytes: Option<&[u8]>| match bytes {
            None => Some(None),
            Some(bytes) => bytes.try_into().ok().map(|address| Some(Address(address))),
        })
    }

    pub(crate) fn amount(&mut self) -> Result<Amount, Fault> {
        self.read(Amount::from_i64)
    }

    pub(crate) fn micros(&mut self) -> Result<UnixMicros, Fault> {
        self.get().map(UnixMicros)
    }

    /// An unsigned number that keeps its bits.
    pub(crate) fn bits(&mut self) -> Result<u64, Fault> {
        self.get::<i64>().map(i64::cast_unsigned)
    }

    pub(crate) fn chain(&mut self) -> Result<ChainId, Fault> {
        self.bits().map(ChainId)
    }

    pub(crate) fn seconds(&mut self) -> Result<UnixSeconds, Fault> {
        self.bits().map(UnixSeconds)
    }

    /// A number that a wider column keeps.
    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        self.read(|number: i64| u32::try_from(number).ok())
    }

    /// A number that only counts up, and is far from its end.
    pub(crate) fn count(&mut self) -> Result<u32, Fault> {
        self.read(|number: i32| u32::try_from(number).ok())
    }

    /// A small number that means something else.
    pub(crate) fn code<T>(&mut self, meaning: impl FnOnce(u8) -> Option<T>) -> Result<T, Fault> {
        self.read(|code: i16| u8::try_from(code).ok().and_then(meaning))
    }

    pub(crate) fn mode(&mut self) -> Result<Mode, Fault> {
        self.code(read_mode)
    }

    pub(crate) fn mode_or_null(&mut self) -> Result<Option<Mode>, Fault> {
        self.read(|code: Option<i16>| match code {
            None => Some(None),
            Some(code) => u8::try_from(code).ok().and_then(read_mode).map(Some),
        })
    }

    pub(crate) fn payment(&mut self) -> Result<PaymentState, Fault> {
        self.code(PaymentState::from_code)
    }

    pub(crate) fn work(&mut self) -> Result<WorkState, Fault> {
        self.code(WorkState::from_code)
    }

    pub(crate) fn order(&mut self) -> Result<SettleOrder, Fault> {
        self.code(|code| match code {
            0 => Some(SettleOrder::ResponseHead),
            1 => Some(SettleOrder::BeforeOrigin),
            2 => Some(SettleOrder::Facilitated),
            _ => None,
        })
    }

    pub(crate) fn transaction_state(&mut self) -> Result<TransactionState, Fault> {
        self.code(|code| TransactionState::ALL.get(usize::from(code)).copied())
    }

    pub(crate) fn settlement_state(&mut self) -> Result<SettlementState, Fault> {
        self.code(|code| match code {
            0 => Some(SettlementState::Open),
            1 => Some(SettlementState::Included),
            2 => Some(SettlementState::Final),
            _ => None,
        })
    }
}

/// A stored value that no version of the program has written.
pub(crate) fn meaningless() -> Fault {
    Fault::inconsistent("a stored value means nothing")
}

const fn read_mode(code: u8) -> Option<Mode> {
    match code {
        0 => Some(Mode::Test),
        1 => Some(Mode::Live),
        _ => None,
    }
}

pub(crate) const fn mode_code(mode: Mode) -> i16 {
    match mode {
        Mode::Test => 0,
        Mode::Live => 1,
    }
}

pub(crate) const fn order_code(order: SettleOrder) -> i16 {
    match order {
        SettleOrder::ResponseHead => 0,
        SettleOrder::BeforeOrigin => 1,
        SettleOrder::Facilitated => 2,
    }
}

/// The place in [`TransactionState::ALL`].
pub(crate) const fn transaction_state_code(state: TransactionState) -> i16 {
    match state {
        TransactionState::Pending => 0,
        TransactionState::Completed => 1,
        TransactionState::Failed => 2,
        TransactionState::Unknown => 3,
    }
}

pub(crate) const fn settlement_state_code(state: SettlementState) -> i16 {
    match state {
        SettlementState::Open => 0,
        SettlementState::Included => 1,
        SettlementState::Final => 2,
    }
}

/// A number that only counts up, for a column that is wide enough for any that is reached.
pub(crate) fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// One column of many rows.
pub(crate) fn column<'r, R, T>(rows: &'r [R], value: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
