//! Random work: the books and the naive model agree on every outcome and every balance.
//!
//! A failure is shrunk and printed with its seed, and the seed is kept in `tests/regressions.txt`,
//! which every later run replays first. `PROPTEST_CASES` sets how long it searches.

use std::collections::{BTreeMap, BTreeSet};

use octroi_ledger::{
    Batch, Books, Intent, MemoryBooks, Outcome, Record, Refusal, Transfer, decide, trial_balance,
};
use octroi_types::{TransferId, UnixMicros};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, FileFailurePersistence, RngAlgorithm, TestRng, TestRunner};

use crate::model::{Balance, Model};
use crate::workload::{Step, steps};

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/regressions.txt",
        ))),
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

/// The books and the model side by side, checked against each other after every intent.
#[derive(Default)]
pub(crate) struct Pair {
    pub(crate) books: MemoryBooks,
    model: Model,
    transfers: BTreeMap<TransferId, Transfer>,
}

impl Pair {
    pub(crate) fn submit(&mut self, intent: &Intent, now_us: i64) -> Outcome {
        let decision = decide(&self.books, intent, UnixMicros(now_us)).unwrap();
        assert_eq!(
            decision.outcome,
            self.model.submit(intent, now_us),
            "{intent:?}"
        );
        match decision.outcome {
            Outcome::Applied => assert!(decision.effects.failures.is_empty()),
            Outcome::Exists => assert!(decision.effects.is_empty()),
            Outcome::Refused(_) => {
                assert!(decision.effects.accounts.is_empty());
                assert!(decision.effects.transfers.is_empty());
            }
        }
        for change in &decision.effects.accounts {
            let before = self.books.account(change.after.id).unwrap();
            assert_eq!(change.replaces, before.map(|account| account.version));
        }
        for transfer in &decision.effects.transfers {
            assert_eq!(
                self.transfers.insert(transfer.id, *transfer),
                None,
                "inserted twice"
            );
        }
        self.books.apply(&decision.effects);
        self.check();
        decision.outcome
    }

    fn check(&self) {
        assert_eq!(self.books.accounts().count(), self.model.accounts().len());
        for account in self.books.accounts() {
            assert_eq!(
                Balance::of(account),
                self.model.balance(account.id),
                "{account:?}"
            );
            assert!(account.is_within_limit(), "{account:?}");
        }
        for ((mode, asset), totals) in trial_balance(self.books.accounts()) {
            assert!(totals.is_balanced(), "{mode} {asset}: {totals:?}");
        }
        for (id, transfer) in &self.transfers {
            let record = self.books.record(*id).unwrap();
            assert_eq!(
                record,
                Some(Record::Applied(*transfer)),
                "a transfer changed"
            );
        }
        for id in self.model.failed() {
            assert!(matches!(
                self.books.record(*id).unwrap(),
                Some(Record::Failed(_))
            ));
        }
        let held: u128 = self
            .books
            .open_holds()
            .map(|hold| u128::from(hold.amount.units()))
            .sum();
        let pending: u128 = trial_balance(self.books.accounts())
            .values()
            .map(|totals| totals.debits_pending)
            .sum();
        assert_eq!(held, pending, "what is pending is what is on open holds");
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_books_agree_with_the_model(steps in steps(60)) {
        let mut pair = Pair::default();
        for Step { now_us, intent } in &steps {
            pair.submit(intent, *now_us);
        }
    }

    #[test]
    fn a_batch_is_its_intents_one_by_one(steps in steps(60), cuts in prop::collection::vec(1..20_usize, 1..60)) {
        let mut single = MemoryBooks::default();
        let mut batched = MemoryBooks::default();
        let mut rest = steps.as_slice();
        for size in cuts.iter().cycle() {
            let (chunk, after) = rest.split_at((*size).min(rest.len()));
            let mut batch = Batch::new(&batched);
            for Step { now_us, intent } in chunk {
                let decision = decide(&single, intent, UnixMicros(*now_us)).unwrap();
                single.apply(&decision.effects);
                prop_assert_eq!(batch.submit(intent, UnixMicros(*now_us)).unwrap(), decision.outcome);
            }
            let effects = batch.into_effects();
            for change in &effects.accounts {
                let before = batched.account(change.after.id).unwrap();
                prop_assert_eq!(change.replaces, before.map(|account| account.version));
            }
            prop_assert!(effects.accounts.is_sorted_by_key(|change| change.after.id));
            batched.apply(&effects);
            prop_assert_eq!(&batched, &single);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
    }

    #[test]
    fn retries_change_nothing_at_any_later_time(steps in steps(40), delay_us in 0..100_i64) {
        let mut pair = Pair::default();
        let mut applied = Vec::new();
        for Step { now_us, intent } in &steps {
            if pair.submit(intent, *now_us) == Outcome::Applied && !intent.transfers.is_empty() {
                applied.push(intent);
            }
        }
        let end_us = steps.last().map_or(0, |step| step.now_us) + delay_us;
        let before = pair.books.clone();
        for intent in applied.into_iter().rev() {
            prop_assert_eq!(pair.submit(intent, end_us), Outcome::Exists);
        }
        prop_assert_eq!(&pair.books, &before);
    }
}

/// The workload is worth something only if it reaches every outcome.
#[test]
fn the_workload_reaches_every_refusal() {
    let mut seen = BTreeSet::new();
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = steps(60);
    for _ in 0..400 {
        let mut books = MemoryBooks::default();
        for Step { now_us, intent } in strategy.new_tree(&mut runner).unwrap().current() {
            let decision = decide(&books, &intent, UnixMicros(now_us)).unwrap();
            if let Outcome::Refused(refused) = decision.outcome {
                seen.insert(refused.refusal);
            }
            books.apply(&decision.effects);
        }
    }
    let all: BTreeSet<_> = Refusal::ALL.iter().copied().collect();
    let missed: Vec<_> = all.difference(&seen).copied().collect();
    assert!(missed.is_empty(), "never met: {missed:?}");
}
