//! Books that cannot be read lead to an error and to no outcome.

use std::cell::Cell;
use std::time::Duration;

use octroi_ledger::{
    Account, Action, Books, Intent, LedgerError, MemoryBooks, NewTransfer, Outcome, Record,
    Resolution, decide,
};
use octroi_types::{AccountId, TransferId, UnixMicros};

use crate::workload::{account_id, accounts, amount, cause, transfer_id};

/// Answers a number of reads and fails from then on.
struct Failing<'a> {
    books: &'a MemoryBooks,
    reads_left: Cell<u32>,
}
impl Failing<'_> {
    fn read<T>(&self, value: T) -> Result<T, std::fmt::Error> {
        match self.reads_left.get().checked_sub(1) {
            Some(left) => {
                self.reads_left.set(left);
                Ok(value)
            }
            None => Err(std::fmt::Error),
        }
    }
}
impl Books for Failing<'_> {
    type Error = std::fmt::Error;
    fn account(&self, id: AccountId) -> Result<Option<Account>, Self::Error> {
        self.read(self.books.account(id).unwrap())
    }
    fn record(&self, id: TransferId) -> Result<Option<Record>, Self::Error> {
        self.read(self.books.record(id).unwrap())
    }
    fn resolution(&self, hold: TransferId) -> Result<Option<Resolution>, Self::Error> {
        self.read(self.books.resolution(hold).unwrap())
    }
}

#[test]
fn whichever_read_fails_nothing_is_decided() {
    let mut books = MemoryBooks::default();
    let (debit, credit, cause) = (account_id(0), account_id(1), cause(0));
    let timeout = Duration::from_secs(1);
    let hold = Action::Hold {
        debit,
        credit,
        amount: amount(5),
        timeout,
    };
    let transfers = vec![NewTransfer {
        id: transfer_id(1),
        action: hold,
        cause,
    }];
    let first = Intent {
        accounts: accounts(),
        transfers,
    };
    books.apply(&decide(&books, &first, UnixMicros(0)).unwrap().effects);

    let capture = Action::Capture {
        hold: transfer_id(1),
        amount: amount(5),
    };
    let transfers = vec![NewTransfer {
        id: transfer_id(2),
        action: capture,
        cause,
    }];
    let second = Intent {
        accounts: Vec::new(),
        transfers,
    };
    // Two records, one resolution, two accounts.
    for reads in 0..5 {
        let failing = Failing {
            books: &books,
            reads_left: Cell::new(reads),
        };
        let result = decide(&failing, &second, UnixMicros(1));
        assert!(
            matches!(result, Err(LedgerError::Books(_))),
            "after {reads} reads"
        );
    }
    let enough = Failing {
        books: &books,
        reads_left: Cell::new(5),
    };
    assert_eq!(
        decide(&enough, &second, UnixMicros(1)).unwrap().outcome,
        Outcome::Applied
    );
}
