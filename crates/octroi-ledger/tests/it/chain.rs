//! The chain finds every change of what was sealed.

use octroi_ledger::{
    Account, AccountKind, AccountLimit, Batch, BatchRows, ChainFault, Effects, Failure, LaneId,
    MemoryBooks, Reason, Refusal, Seal, Subject, Transfer, TransferKind, checkpoint, verify,
};
use octroi_types::{
    AccountId, Address, Amount, Asset, B256, ChainId, CreditId, Mode, TenantId, TransferId,
    UnixMicros,
};
use proptest::prelude::*;

use crate::workload::{Step, steps};

const LANE: LaneId = LaneId(3);

/// Cuts work into batches of up to eight intents and seals them, as a store does.
fn sealed(steps: &[Step]) -> Vec<(Seal, Effects)> {
    let mut books = MemoryBooks::default();
    let mut last = Seal::genesis(LANE);
    let mut batches = Vec::new();
    for chunk in steps.chunks(8) {
        let mut batch = Batch::new(&books);
        for Step { now_us, intent } in chunk {
            batch.submit(intent, UnixMicros(*now_us)).unwrap();
        }
        let effects = batch.into_effects();
        books.apply(&effects);
        last = last.next(BatchRows::from(&effects));
        batches.push((last, effects));
    }
    batches
}

fn check(batches: &[(Seal, Effects)]) -> Result<Seal, ChainFault> {
    let rows = batches
        .iter()
        .map(|(seal, effects)| (*seal, BatchRows::from(effects)));
    verify(Seal::genesis(LANE), rows)
}

const OTHER: [u8; 16] = [0xee; 16];

/// Every field that is sealed, changed, and every row removed.
fn tamperings(effects: &Effects) -> Vec<Effects> {
    let mut out = Vec::new();
    for (index, change) in effects.accounts.iter().enumerate() {
        if change.replaces.is_some() {
            continue;
        }
        for alter in account_changes() {
            let mut copy = effects.clone();
            alter(&mut copy.accounts[index].after);
            out.push(copy);
        }
        let mut copy = effects.clone();
        copy.accounts.remove(index);
        out.push(copy);
    }
    for index in 0..effects.transfers.len() {
        for alter in transfer_changes() {
            let mut copy = effects.clone();
            alter(&mut copy.transfers[index]);
            out.push(copy);
        }
        let mut copy = effects.clone();
        copy.transfers.remove(index);
        out.push(copy);
    }
    for index in 0..effects.failures.len() {
        for alter in failure_changes() {
            let mut copy = effects.clone();
            alter(&mut copy.failures[index]);
            out.push(copy);
        }
        let mut copy = effects.clone();
        copy.failures.remove(index);
        out.push(copy);
    }
    out
}

fn account_changes() -> [fn(&mut Account); 7] {
    [
        |account| account.id = AccountId::from_bytes(OTHER),
        |account| account.ledger.tenant = TenantId::from_bytes(OTHER),
        |account| {
            account.ledger.mode = match account.ledger.mode {
                Mode::Test => Mode::Live,
                Mode::Live => Mode::Test,
            };
        },
        |account| {
            let (chain, address) = (ChainId(77), Address(Default::default()));
            account.ledger.asset = Asset::Token { chain, address };
        },
        |account| account.kind = AccountKind::Breakage,
        |account| {
            account.limit = match account.limit {
                AccountLimit::None => AccountLimit::DebitsMustNotExceedCredits,
                _ => AccountLimit::None,
            };
        },
        |account| account.created_at.0 += 1,
    ]
}

fn transfer_changes() -> [fn(&mut Transfer); 10] {
    [
        |transfer| transfer.id = TransferId::from_bytes(OTHER),
        |transfer| transfer.debit = AccountId::from_bytes(OTHER),
        |transfer| transfer.credit = AccountId::from_bytes(OTHER),
        |transfer| std::mem::swap(&mut transfer.debit, &mut transfer.credit),
        |transfer| transfer.amount = Amount::new(transfer.amount.units() ^ 1).unwrap(),
        |transfer| {
            transfer.kind = match transfer.kind {
                TransferKind::Void { hold } => TransferKind::Expire { hold },
                TransferKind::Expire { hold } | TransferKind::Capture { hold } => {
                    TransferKind::Void { hold }
                }
                TransferKind::Hold { .. } => TransferKind::Post,
                TransferKind::Post => TransferKind::Hold {
                    expires_at: UnixMicros(1),
                },
            };
        },
        |transfer| {
            let hold = TransferId::from_bytes(OTHER);
            transfer.kind = match transfer.kind {
                TransferKind::Hold { expires_at } => TransferKind::Hold {
                    expires_at: UnixMicros(expires_at.0 + 1),
                },
                TransferKind::Void { .. } => TransferKind::Void { hold },
                TransferKind::Expire { .. } => TransferKind::Expire { hold },
                TransferKind::Capture { .. } | TransferKind::Post => TransferKind::Capture { hold },
            };
        },
        |transfer| transfer.cause.reason = Reason::CreditIssue,
        |transfer| transfer.cause.subject = Subject::Credit(CreditId::from_bytes(OTHER)),
        |transfer| transfer.created_at.0 += 1,
    ]
}

fn failure_changes() -> [fn(&mut Failure); 3] {
    [
        |failure| failure.id = TransferId::from_bytes(OTHER),
        |failure| {
            failure.refusal = match failure.refusal {
                Refusal::ExceedsHold => Refusal::ExceedsCredits,
                _ => Refusal::ExceedsHold,
            };
        },
        |failure| failure.failed_at.0 += 1,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_changed_row_is_found_in_its_batch(steps in steps(40)) {
        let batches = sealed(&steps);
        prop_assert_eq!(check(&batches), Ok(batches.last().unwrap().0));
        for (index, (seal, effects)) in batches.iter().enumerate() {
            for changed in tamperings(effects) {
                let mut tampered = batches.clone();
                tampered[index].1 = changed;
                let fault = ChainFault::Altered { sequence: seal.sequence };
                prop_assert_eq!(check(&tampered), Err(fault));
            }
        }
    }

    #[test]
    fn the_order_of_rows_in_storage_does_not_matter(steps in steps(40)) {
        let mut batches = sealed(&steps);
        for (_, effects) in &mut batches {
            effects.accounts.reverse();
            effects.transfers.reverse();
            effects.failures.reverse();
        }
        prop_assert!(check(&batches).is_ok());
    }

    #[test]
    fn batches_cannot_be_dropped_swapped_or_forged(steps in steps(40)) {
        let batches = sealed(&steps);
        let head = batches.last().unwrap().0;
        for index in 0..batches.len() {
            let mut dropped = batches.clone();
            dropped.remove(index);
            // The last one's absence shows against the head.
            prop_assert!(check(&dropped) != Ok(head));
            let mut forged = batches.clone();
            forged[index].0.previous = B256([1; 32]);
            prop_assert_eq!(check(&forged), Err(ChainFault::Broken { sequence: forged[index].0.sequence }));
        }
        // Rewriting a batch and sealing everything after it again shows against a checkpoint.
        let rewritten = sealed(&steps[..steps.len() - 1]);
        let forged_head = rewritten.last().unwrap().0;
        if rewritten.last().unwrap().1 != batches.last().unwrap().1 {
            prop_assert_ne!(checkpoint(&[head]), checkpoint(&[forged_head]));
        }
    }
}

#[test]
fn lanes_and_heads_are_told_apart() {
    let empty = BatchRows::default();
    let first = Seal::genesis(LANE).next(empty.clone());
    let other = Seal {
        hash: B256([1; 32]),
        ..Seal::genesis(LANE)
    }
    .next(empty.clone());
    assert_ne!(first.hash, other.hash, "a batch seals the one before it");
    let a = Seal::genesis(LaneId(1)).next(empty.clone());
    let b = Seal::genesis(LaneId(2)).next(empty.clone());
    assert_ne!(a.hash, b.hash);
    assert_eq!(
        verify(Seal::genesis(LaneId(1)), [(b, empty)]),
        Err(ChainFault::Gap { sequence: 1 })
    );
    assert_eq!(checkpoint(&[a, b]), checkpoint(&[b, a]));
    assert_ne!(checkpoint(&[a, b]), checkpoint(&[a]));
    assert_ne!(checkpoint(&[a]), checkpoint(&[a, a]));
}
