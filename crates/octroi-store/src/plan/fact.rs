//! What the chain told.

use octroi_claim::{AdvanceError, Claim, PaymentState, Step, WorkState};
use octroi_ledger::{Books, Record};
use octroi_types::{ClaimId, UnixMicros};

use super::{Change, CreditChange, ledger_of, refund_credit_id};
use crate::credit::Credit;
use crate::settlement::{Fact, FactOutcome};

/// What the store knows beside the claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// For [`Fact::Settled`]: the claim that the log settled already.
    pub log_settled: Option<ClaimId>,
    /// For [`Fact::Failed`]: whether the claim's settlement is in the books ([`was_settled`]).
    pub was_settled: bool,
    /// For [`Fact::Failed`]: the refund credit that the claim led to.
    pub refund: Option<Credit>,
}

/// What becomes of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Learned {
    /// It is applied. A fact that names a log takes that log for the claim.
    Applied(Box<Change>),
    /// The log settled another claim; the change makes this one's fate unknown.
    LogTaken {
        /// The other claim.
        by: ClaimId,
        /// What to write of this one.
        change: Box<Change>,
    },
    /// The claim cannot take it.
    Refused,
}

impl Learned {
    /// The answer to the caller. `claim` is the claim as it was.
    #[must_use]
    pub fn outcome(&self, claim: &Claim) -> FactOutcome {
        match self {
            Self::Applied(change) if change.is_empty() => {
                FactOutcome::Unchanged(Box::new(claim.clone()))
            }
            Self::Applied(change) => FactOutcome::Applied(Box::new(change.claim.clone())),
            Self::LogTaken { by, .. } => FactOutcome::LogTaken { by: *by },
            Self::Refused => FactOutcome::Refused(Box::new(claim.clone())),
        }
    }
}

/// Whether a claim's settlement is in the books. It stays there while a settled payment that
/// vanished is of unknown fate (money rule 18).
///
/// # Errors
/// The books'.
pub fn was_settled<B: Books>(books: &B, claim: &Claim) -> Result<bool, B::Error> {
    let settlement = ledger_of(claim).settlement(claim.terms.id, claim.terms.amount);
    for transfer in settlement.transfers {
        if !matches!(books.record(transfer.id)?, Some(Record::Applied(_))) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Decides on a fact, whoever owns the claim.
#[must_use]
pub fn learn(claim: &Claim, fact: &Fact, known: &Known, now: UnixMicros) -> Learned {
    let mut change = Change::of(claim.clone());
    let taken = match fact {
        Fact::Settled { inclusion, .. } => match known.log_settled {
            Some(by) if by != claim.terms.id => {
                // A claim that cannot be lost keeps its state; the log is not its proof.
                if change.take(Step::Lose, now).is_err() {
                    change = Change::of(claim.clone());
                }
                return Learned::LogTaken {
                    by,
                    change: Box::new(change),
                };
            }
            Some(_) | None => change.settle(
                Step::Settle {
                    tx_hash: inclusion.tx_hash,
                },
                now,
            ),
        },
        Fact::Unknown => change.take(Step::Lose, now),
        Fact::Failed => change.fail(known, now),
        Fact::Vanished => change.take(Step::Vanish, now),
    };
    match taken {
        Ok(()) => Learned::Applied(Box::new(change)),
        Err(AdvanceError::Fenced | AdvanceError::NoSuchStep { .. }) => Learned::Refused,
    }
}

impl Change {
    /// Money that arrives for work that was given up becomes a credit at once, or it would wait
    /// for somebody to notice.
    fn settle(&mut self, step: Step, now: UnixMicros) -> Result<(), AdvanceError> {
        self.take(step, now)?;
        let claim = &self.claim;
        if claim.work == WorkState::Broken && claim.credit.is_none() {
            let credit = Some(refund_credit_id(claim.terms.id));
            self.take(Step::Break { credit }, now)?;
        }
        Ok(())
    }

    /// Money that had arrived and is gone for good is a loss; a credit that was opened for it is
    /// taken back if nothing of it was used (money rule 18).
    fn fail(&mut self, known: &Known, now: UnixMicros) -> Result<(), AdvanceError> {
        let failed_before = self.claim.payment == PaymentState::Failed;
        self.take(Step::Fail, now)?;
        if failed_before || !known.was_settled {
            return Ok(());
        }
        let terms = &self.claim.terms;
        let ledger = ledger_of(&self.claim);
        if let Some(refund) = known
            .refund
            .as_ref()
            .filter(|refund| refund.available == terms.amount)
        {
            self.intents
                .push(ledger.credit_revocation(terms.id, terms.payer, terms.amount));
            self.credit = Some(CreditChange::Revoke { id: refund.id });
        }
        self.intents
            .push(ledger.settlement_reversal(terms.id, terms.amount));
        Ok(())
    }
}
