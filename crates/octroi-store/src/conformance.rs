//! The suite that every backend must pass: what the port promises, rule by rule, and random calls
//! compared with the reference.
//!
//! A backend's tests implement [`Backend`] and name it in [`conformance_tests!`](crate::conformance_tests).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "these are tests; a failing one panics, and its name says what it shows"
)]

mod advancing;
mod claiming;
mod credits;
mod facts;
mod history;
mod invariants;
mod offering;
mod payment;
mod posting;
mod pruning;
mod random;
mod recovery;
mod settling;
mod suite;

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::{MemoryStore, Store};

pub use advancing::*;
pub use claiming::*;
pub use credits::*;
pub use facts::*;
pub use history::*;
pub use invariants::check_invariants;
pub use offering::*;
pub use payment::{Payment, START};
pub use posting::*;
pub use pruning::*;
pub use random::random_calls_agree;
pub use recovery::*;
pub use settling::*;
pub use suite::{CHAIN, Suite, attempt, inclusion, settled, settlement, settlement_id};

/// A place where one store lives. Each test gets a fresh one.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Opens the store.
    async fn open(&self) -> Arc<dyn Store>;

    /// Closes the store and opens it again, as a process does that starts after another ended.
    async fn reopen(&self) -> Arc<dyn Store>;
}

/// The reference backend.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    store: Mutex<Arc<MemoryStore>>,
}

#[async_trait]
impl Backend for MemoryBackend {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::clone(&*self.store.lock()) as Arc<dyn Store>
    }

    async fn reopen(&self) -> Arc<dyn Store> {
        let mut store = self.store.lock();
        *store = Arc::new(store.reopened());
        Arc::clone(&*store) as Arc<dyn Store>
    }
}

/// Makes a test of every rule. The argument makes a fresh [`Backend`].
#[macro_export]
macro_rules! conformance_tests {
    ($backend:expr) => {
        $crate::conformance_tests!(@each $backend;
            a_new_payment_is_granted_and_read_back
            an_arrival_is_refused_by_what_became_of_the_first
            sixty_four_copies_get_one_grant
            sixty_four_copies_from_many_threads_get_one_grant
            a_nonce_signed_again_is_the_same_payment
            a_released_payment_may_be_claimed_again
            the_same_call_is_granted_again_while_nothing_happened
            a_payer_is_trusted_up_to_the_balance
            a_payer_who_does_not_have_the_price_is_refused
            what_a_payer_owes_ends_with_the_claim
            a_payer_whose_payment_failed_settles_first
            invalid_claims_store_nothing
            steps_are_taken_all_or_none
            a_stale_epoch_is_fenced
            what_the_chain_decides_is_no_step_of_an_owner
            repeated_steps_change_nothing
            one_of_many_takes_the_same_steps
            a_settlement_opens_whole_or_not_at_all
            a_settlement_is_of_one_mode
            a_wallets_nonce_is_used_once
            one_of_many_settlements_gets_a_nonce
            signed_bytes_are_kept_until_final
            a_replaced_block_opens_its_settlement_again
            a_claim_that_somebody_else_settled_is_watched_by_itself
            unfinished_settlements_come_in_the_order_of_nonces
            settled_payments_are_posted_once
            each_log_settles_one_claim
            facts_are_taken_by_the_state_of_the_claim
            money_that_arrives_for_broken_work_becomes_a_credit
            a_payment_that_vanished_can_settle_again
            a_credit_covers_while_its_own_payment_has_arrived
            an_arrival_is_final_when_it_is_watched_no_longer
            a_payment_that_vanished_for_good_is_a_loss
            a_spent_credit_is_not_revoked
            a_delegated_payment_that_was_not_sent_is_withdrawn
            a_delegated_payment_settles_by_fact
            a_credit_covers_the_next_request
            a_broken_answer_gives_the_credit_back
            the_oldest_credit_that_suffices_covers
            credits_and_books_of_tenants_are_apart
            an_unknown_payment_holds_the_next_one_back
            every_state_is_recovered_by_table
            only_claims_of_dead_nodes_are_recovered
            recovery_is_limited_and_takes_the_oldest_first
            a_dead_nodes_unsent_payment_may_be_claimed_at_once
            a_facilitated_payment_is_recovered_to_be_collected
            all_is_there_after_a_restart
            a_price_is_honoured_after_its_change
            a_clock_that_was_ahead_honours_no_longer
            a_price_that_comes_back_is_in_force
            offers_outlive_the_process
            old_days_are_dropped_and_their_transactions_stay
            days_with_unfinished_claims_are_kept
            days_with_watched_claims_are_kept
            the_history_of_a_transaction_is_told_in_order
            transactions_are_listed_newest_first_in_pages
            transactions_are_listed_by_filter
            an_intent_is_posted_once
            a_refused_id_stays_refused
            linked_transfers_happen_together_or_not_at_all
            a_grant_is_never_overspent
            random_intents_agree_with_the_books_in_memory
        );
        #[test]
        fn random_calls_agree() {
            $crate::conformance::random_calls_agree(|| $backend);
        }
    };
    (@each $backend:expr; $($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $crate::conformance::$name(&$backend).await;
            }
        )*
    };
}
