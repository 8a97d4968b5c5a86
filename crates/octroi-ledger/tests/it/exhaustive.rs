//! Every sequence of five moves in the life of one hold, against the model.

use std::time::Duration;

use octroi_ledger::{Action, Intent, NewTransfer};

use crate::properties::Pair;
use crate::workload::{account_id, accounts, amount, cause, transfer_id};

const MOVES: usize = 9;
const LENGTH: u32 = 5;

#[test]
fn every_short_life_of_a_hold() {
    let everything = MOVES.pow(LENGTH);
    for mut code in 0..everything {
        let mut pair = Pair::default();
        pair.submit(&opening(), 0);
        let mut now_us = 0;
        for step in 0..LENGTH as usize {
            let what = code % MOVES;
            code /= MOVES;
            match what {
                0 => now_us += 3,
                what => {
                    pair.submit(&only(what, step), now_us);
                }
            }
        }
    }
}

/// Account 2 may spend ten.
fn opening() -> Intent {
    let (debit, credit) = (account_id(0), account_id(2));
    let action = Action::Post {
        debit,
        credit,
        amount: amount(10),
    };
    let transfers = vec![NewTransfer {
        id: transfer_id(0),
        action,
        cause: cause(0),
    }];
    Intent {
        accounts: accounts(),
        transfers,
    }
}

/// The hold keeps its id whenever it is made; every resolution has the id of its step, except the
/// expiry, whose id is derived and repeats.
fn only(what: usize, step: usize) -> Intent {
    let (debit, credit) = (account_id(2), account_id(1));
    let hold = transfer_id(1);
    let fresh = transfer_id(10 + step);
    let timeout = Duration::from_micros(6);
    let (id, action) = match what {
        1 => (
            hold,
            Action::Hold {
                debit,
                credit,
                amount: amount(6),
                timeout,
            },
        ),
        2 => (
            fresh,
            Action::Hold {
                debit,
                credit,
                amount: amount(6),
                timeout,
            },
        ),
        3 => (
            fresh,
            Action::Capture {
                hold,
                amount: amount(6),
            },
        ),
        4 => (
            fresh,
            Action::Capture {
                hold,
                amount: amount(2),
            },
        ),
        5 => (fresh, Action::Void { hold }),
        6 => (transfer_id(2), Action::Expire { hold }),
        7 => (
            fresh,
            Action::Post {
                debit,
                credit,
                amount: amount(5),
            },
        ),
        _ => (
            transfer_id(3),
            Action::Capture {
                hold,
                amount: amount(0),
            },
        ),
    };
    Intent {
        accounts: Vec::new(),
        transfers: vec![NewTransfer {
            id,
            action,
            cause: cause(0),
        }],
    }
}
