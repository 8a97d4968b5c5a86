//! Changes over every state of a claim.

use octroi_claim::{
    Binding, Claim, NewClaim, NodeId, PaymentState as P, SettleOrder, Step, WorkState as W,
};
use octroi_ledger::{Action, Reason};
use octroi_types::{
    Address, Amount, B256, ChainId, ClaimId, CreditId, Mode, PaywallId, TenantId, TransactionId,
    UnixMicros, UnixSeconds,
};

use super::{Change, CreditChange, Known, Learned, abandon, advance, learn, recover};
use crate::event::EventKind;
use crate::settlement::{Fact, Inclusion};
use crate::{Credit, refund_credit_id};

const NOW: UnixMicros = UnixMicros(7);
const INCLUSION: Inclusion = Inclusion {
    tx_hash: B256([1; 32]),
    block_number: 1,
    block_hash: B256([2; 32]),
};

/// A claim in a pair of states, as the rules let it be there.
fn claim(order: SettleOrder, payment: P, work: W) -> Claim {
    let id = ClaimId::from_bytes([1; 16]);
    let covered = payment == P::Covered || (payment == P::Released && work == W::Broken);
    Claim {
        terms: NewClaim {
            id,
            identity: B256([2; 32]),
            tenant: TenantId::from_bytes([3; 16]),
            mode: Mode::Test,
            paywall: PaywallId::from_bytes([4; 16]),
            transaction: TransactionId::from_bytes([5; 16]),
            binding: Binding(B256([6; 32])),
            secret: None,
            order,
            chain: ChainId(1),
            asset: Address([7; 20]),
            payer: Address([8; 20]),
            pay_to: Address([9; 20]),
            amount: Amount::new(100).unwrap(),
            nonce: B256([10; 32]),
            valid_before: UnixSeconds(1_000),
            owner: NodeId(1),
            created_at: UnixMicros(0),
        },
        payment,
        work,
        epoch: 3,
        covered_by: covered.then(|| CreditId::from_bytes([11; 16])),
        credit: (payment == P::Settled && work == W::Broken).then(|| refund_credit_id(id)),
        tx_hash: None,
    }
}

fn claims() -> impl Iterator<Item = Claim> {
    [
        SettleOrder::ResponseHead,
        SettleOrder::BeforeOrigin,
        SettleOrder::Facilitated,
    ]
    .into_iter()
    .flat_map(|order| {
        P::ALL
            .iter()
            .flat_map(move |payment| W::ALL.iter().map(move |work| claim(order, *payment, *work)))
    })
}

fn steps() -> [Step; 9] {
    [
        Step::Execute,
        Step::Answer,
        Step::Delegate,
        Step::Withdraw,
        Step::Lose,
        Step::Release,
        Step::Deliver,
        Step::Break { credit: None },
        Step::Break {
            credit: Some(CreditId::from_bytes([99; 16])),
        },
    ]
}

fn facts() -> [Fact; 4] {
    let settled = Fact::Settled {
        inclusion: INCLUSION,
        log_index: 0,
    };
    [settled, Fact::Unknown, Fact::Failed, Fact::Vanished]
}

/// Every change that anything leads to, with the claim before.
fn changes() -> Vec<(Claim, Change)> {
    let mut changes = Vec::new();
    for claim in claims() {
        for step in steps() {
            changes.extend(
                advance(&claim, 3, &[step], NOW)
                    .ok()
                    .map(|next| (claim.clone(), next)),
            );
        }
        for fact in facts() {
            for log_settled in [
                None,
                Some(claim.terms.id),
                Some(ClaimId::from_bytes([77; 16])),
            ] {
                let known = Known {
                    log_settled,
                    was_settled: true,
                    refund: None,
                };
                match learn(&claim, &fact, &known, NOW) {
                    Learned::Applied(change) | Learned::LogTaken { change, .. } => {
                        changes.push((claim.clone(), *change));
                    }
                    Learned::Refused => {}
                }
            }
        }
        let left = [recover(&claim, NodeId(2), NOW), abandon(&claim, false)];
        changes.extend(
            left.into_iter()
                .flatten()
                .map(|change| (claim.clone(), change)),
        );
    }
    changes
}

fn reasons(change: &Change) -> Vec<(Reason, Option<Amount>)> {
    let transfers = change.intents.iter().flat_map(|intent| &intent.transfers);
    transfers
        .map(|transfer| {
            let amount = match transfer.action {
                Action::Post { amount, .. }
                | Action::Hold { amount, .. }
                | Action::Capture { amount, .. } => Some(amount),
                Action::Void { .. } | Action::Expire { .. } => None,
            };
            (transfer.cause.reason, amount)
        })
        .collect()
}

#[test]
fn a_change_has_events_exactly_if_the_claim_changed() {
    let changes = changes();
    assert!(changes.len() > 100);
    for (before, change) in changes {
        assert_eq!(
            change.is_empty(),
            change.claim == before,
            "{before:?} {change:?}"
        );
        if change.is_empty() {
            assert!(
                change.intents.is_empty() && change.credit.is_none(),
                "{change:?}"
            );
        }
    }
}

#[test]
fn money_moves_with_the_state_that_says_so() {
    let amount = Some(Amount::new(100).unwrap());
    for (before, change) in changes() {
        let after = &change.claim;
        let mut expected = Vec::new();
        let covered = before.payment == P::Covered;
        if before.payment != P::Settled && after.payment == P::Settled {
            expected.push((Reason::Settlement, amount));
        }
        if before.credit.is_none() && after.credit.is_some() {
            expected.push((Reason::CreditIssue, amount));
        }
        if covered && before.work != W::Delivered && after.work == W::Delivered {
            expected.push((Reason::CreditRedemption, amount));
        }
        if covered && after.payment == P::Released {
            expected.push((Reason::CreditRedemption, None));
        }
        if before.payment != P::Failed && after.payment == P::Failed {
            expected.push((Reason::SettlementReversal, amount));
        }
        assert_eq!(reasons(&change), expected, "{before:?} {change:?}");
        match change.credit {
            None => assert_eq!(before.credit, after.credit),
            Some(CreditChange::Open(credit)) => {
                assert_eq!((after.credit, before.credit), (Some(credit.id), None));
                assert_eq!(credit.id, refund_credit_id(after.terms.id));
            }
            Some(CreditChange::Return { id, .. }) => {
                assert_eq!(Some(id), before.covered_by);
                assert_eq!(after.payment, P::Released);
            }
            Some(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn only_an_untouched_credit_is_revoked() {
    let claim = Claim {
        credit: Some(CreditId::from_bytes([1; 16])),
        ..{ claim(SettleOrder::ResponseHead, P::Unknown, W::Broken) }
    };
    let credit = |available| Credit {
        id: CreditId::from_bytes([1; 16]),
        tenant: claim.terms.tenant,
        mode: Mode::Test,
        payer: claim.terms.payer,
        chain: claim.terms.chain,
        asset: claim.terms.asset,
        amount: claim.terms.amount,
        available: Amount::new(available).unwrap(),
        transaction: claim.terms.transaction,
        created_at: NOW,
    };
    for (available, was_settled, expected) in [
        (
            100,
            true,
            &[Reason::CreditRevocation, Reason::SettlementReversal][..],
        ),
        (99, true, &[Reason::SettlementReversal]),
        (100, false, &[]),
    ] {
        let known = Known {
            was_settled,
            refund: Some(credit(available)),
            log_settled: None,
        };
        let Learned::Applied(change) = learn(&claim, &Fact::Failed, &known, NOW) else {
            panic!("an unknown payment may fail")
        };
        let reasons: Vec<_> = reasons(&change)
            .into_iter()
            .map(|(reason, _)| reason)
            .collect();
        assert_eq!(reasons, expected, "{available} {was_settled}");
        assert_eq!(change.credit.is_some(), expected.len() == 2);
        assert_eq!(change.events, [EventKind::Failed]);
    }
}

#[test]
fn a_credit_never_has_more_or_less_than_it_can() {
    let id = CreditId::from_bytes([1; 16]);
    let amount = |units| Amount::new(units).unwrap();
    let terms = claim(SettleOrder::ResponseHead, P::Settled, W::Answered).terms;
    let credit = Credit {
        id,
        tenant: terms.tenant,
        mode: terms.mode,
        payer: terms.payer,
        chain: terms.chain,
        asset: terms.asset,
        amount: amount(100),
        available: amount(40),
        transaction: terms.transaction,
        created_at: NOW,
    };
    let hold = |units| {
        CreditChange::Hold {
            id,
            amount: amount(units),
        }
        .available_after(&credit)
    };
    let give = |units| {
        CreditChange::Return {
            id,
            amount: amount(units),
        }
        .available_after(&credit)
    };
    assert_eq!((hold(40), hold(41)), (Some(amount(0)), None));
    assert_eq!((give(60), give(61)), (Some(amount(100)), None));
    assert_eq!(
        CreditChange::Revoke { id }.available_after(&credit),
        Some(amount(0))
    );
}
