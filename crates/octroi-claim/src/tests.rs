//! The state tables, cell by cell, and random walks through them.

use octroi_types::{
    Address, Amount, B256, ChainId, ClaimId, CreditId, Mode, PaywallId, TenantId, TransactionId,
    UnixMicros, UnixSeconds,
};
use proptest::prelude::*;

use crate::{
    Advance, AdvanceError, Binding, Claim, ClaimDecision, ClaimKey, NewClaim, NodeId,
    PayerStanding, PaymentState, Recovery, RefusedClaim, SecretHash, SettleOrder, Step, WorkState,
    advance, decide_claim, recover,
};

fn new_claim(order: SettleOrder) -> NewClaim {
    NewClaim {
        id: ClaimId::from_bytes([1; 16]),
        identity: B256([2; 32]),
        tenant: TenantId::from_bytes([3; 16]),
        mode: Mode::Test,
        paywall: PaywallId::from_bytes([4; 16]),
        transaction: TransactionId::from_bytes([5; 16]),
        binding: Binding(B256([6; 32])),
        secret: SecretHash::of("0123456789012345678901234567890"),
        order,
        chain: ChainId(84532),
        asset: Address([7; 20]),
        payer: Address([8; 20]),
        pay_to: Address([9; 20]),
        amount: Amount::new(100).unwrap(),
        nonce: B256([10; 32]),
        valid_before: UnixSeconds(2_000_000_000),
        owner: NodeId(1),
        created_at: UnixMicros(0),
    }
}

fn granted(order: SettleOrder) -> Claim {
    match decide_claim(None, new_claim(order), &PayerStanding::default()) {
        ClaimDecision::Grant(claim) => *claim,
        ClaimDecision::Refuse(refused) => panic!("refused: {refused:?}"),
    }
}

fn in_state(payment: PaymentState, work: WorkState) -> Claim {
    Claim {
        payment,
        work,
        ..granted(SettleOrder::ResponseHead)
    }
}

fn walk(mut claim: Claim, steps: &[Step]) -> Claim {
    for step in steps {
        claim = advance(
            &claim,
            Advance {
                epoch: claim.epoch,
                step: *step,
            },
        )
        .unwrap();
    }
    claim
}

const TX: B256 = B256([11; 32]);
const CREDIT: CreditId = CreditId::from_bytes([12; 16]);

#[test]
fn the_usual_ways_end_delivered() {
    let at_head = walk(
        granted(SettleOrder::ResponseHead),
        &[
            Step::Broadcast { tx_hash: TX },
            Step::Settle { tx_hash: TX },
            Step::Deliver,
        ],
    );
    let before = walk(
        granted(SettleOrder::BeforeOrigin),
        &[
            Step::Broadcast { tx_hash: TX },
            Step::Settle { tx_hash: TX },
            Step::Execute,
            Step::Answer,
            Step::Deliver,
        ],
    );
    for claim in [at_head, before] {
        assert_eq!(
            (claim.payment, claim.work),
            (PaymentState::Settled, WorkState::Delivered)
        );
        assert_eq!(recover(&claim), Recovery::Nothing);
    }
}

#[test]
fn nothing_is_sent_before_its_time() {
    let broadcast = Step::Broadcast { tx_hash: TX };
    for order in [
        SettleOrder::ResponseHead,
        SettleOrder::BeforeOrigin,
        SettleOrder::Facilitated,
    ] {
        for work in WorkState::ALL {
            let claim = Claim {
                work: *work,
                ..granted(order)
            };
            let ready = match order {
                SettleOrder::ResponseHead => {
                    matches!(work, WorkState::Executing | WorkState::Answered)
                }
                SettleOrder::BeforeOrigin | SettleOrder::Facilitated => {
                    *work == WorkState::NotStarted
                }
            };
            let result = advance(
                &claim,
                Advance {
                    epoch: 0,
                    step: broadcast,
                },
            );
            assert_eq!(result.is_ok(), ready, "{order:?} {work:?}");
        }
    }
}

#[test]
fn what_a_facilitator_never_got_is_withdrawn() {
    let withdraw = |claim: &Claim| {
        let (epoch, step) = (claim.epoch, Step::Withdraw);
        advance(claim, Advance { epoch, step })
    };
    let begun = [
        (SettleOrder::ResponseHead, WorkState::Executing),
        (SettleOrder::BeforeOrigin, WorkState::NotStarted),
    ];
    for (order, work) in begun {
        let begun = Claim {
            work,
            ..granted(order)
        };
        assert!(withdraw(&begun).is_err(), "it was not handed on");
        let unsure: [&[Step]; 3] = [&[], &[Step::Lose], &[Step::Break { credit: None }]];
        for steps in unsure {
            let delegated = walk(begun.clone(), &[&[Step::Delegate], steps].concat());
            let withdrawn = withdraw(&delegated).unwrap();
            assert_eq!(
                (withdrawn.payment, withdrawn.work),
                (PaymentState::Released, WorkState::Broken)
            );
            assert_eq!(withdraw(&withdrawn).as_ref(), Ok(&withdrawn));
            assert_eq!(recover(&withdrawn), Recovery::Nothing);
            // Who took it over does not know what the other one sent.
            let taken_over = Claim {
                epoch: 1,
                ..delegated
            };
            let late = Advance {
                epoch: 0,
                step: Step::Withdraw,
            };
            assert_eq!(advance(&taken_over, late), Err(AdvanceError::Fenced));

            // Signed bytes may be anywhere.
            let signed = &[Step::Broadcast { tx_hash: TX }];
            let broadcast = walk(begun.clone(), &[signed, steps].concat());
            assert!(withdraw(&broadcast).is_err());
        }
        let settled = walk(begun, &[Step::Delegate, Step::Settle { tx_hash: TX }]);
        assert!(withdraw(&settled).is_err());
        assert!(withdraw(&walk(settled, &[Step::Vanish])).is_err());
    }
}

#[test]
fn an_older_epoch_is_fenced() {
    let claim = Claim {
        epoch: 3,
        ..granted(SettleOrder::ResponseHead)
    };
    for epoch in [0, 2, 4] {
        assert_eq!(
            advance(
                &claim,
                Advance {
                    epoch,
                    step: Step::Answer
                }
            ),
            Err(AdvanceError::Fenced)
        );
    }
}

#[test]
fn recovery_knows_every_cell() {
    for payment in PaymentState::ALL {
        for work in WorkState::ALL {
            let expected = match payment {
                PaymentState::Claimed => Recovery::Release,
                PaymentState::Broadcast | PaymentState::Unknown => Recovery::Reconcile,
                PaymentState::Failed | PaymentState::Released => Recovery::Nothing,
                PaymentState::Settled => match work {
                    WorkState::Delivered => Recovery::Nothing,
                    _ => Recovery::Credit,
                },
                PaymentState::Covered => match work {
                    WorkState::Delivered | WorkState::Broken => Recovery::Nothing,
                    _ => Recovery::Release,
                },
            };
            assert_eq!(
                recover(&in_state(*payment, *work)),
                expected,
                "{payment:?} {work:?}"
            );
        }
    }
    let credited = Claim {
        credit: Some(CREDIT),
        ..in_state(PaymentState::Settled, WorkState::Broken)
    };
    assert_eq!(recover(&credited), Recovery::Nothing);
}

#[test]
fn a_second_arrival_is_never_granted_while_the_first_counts() {
    for payment in PaymentState::ALL {
        for work in WorkState::ALL {
            for owner_alive in [true, false] {
                let claim = in_state(*payment, *work);
                let decision = decide_claim(
                    Some((&claim, owner_alive)),
                    new_claim(SettleOrder::ResponseHead),
                    &PayerStanding::default(),
                );
                let free = match payment {
                    PaymentState::Released => true,
                    PaymentState::Claimed => !owner_alive,
                    PaymentState::Covered => {
                        !owner_alive && !matches!(work, WorkState::Delivered | WorkState::Broken)
                    }
                    _ => false,
                };
                match decision {
                    ClaimDecision::Grant(next) => {
                        assert!(free, "{payment:?} {work:?}");
                        assert_eq!(next.epoch, claim.epoch + 1);
                    }
                    ClaimDecision::Refuse(_) => assert!(!free, "{payment:?} {work:?}"),
                }
            }
        }
    }
}

#[test]
fn another_request_is_refused_in_every_state() {
    for payment in PaymentState::ALL {
        let claim = in_state(*payment, WorkState::Executing);
        let other = NewClaim {
            binding: Binding(B256([99; 32])),
            ..new_claim(SettleOrder::ResponseHead)
        };
        assert_eq!(
            decide_claim(Some((&claim, false)), other, &PayerStanding::default()),
            ClaimDecision::Refuse(RefusedClaim::BoundElsewhere)
        );
    }
}

#[test]
fn trust_ends_at_the_balance() {
    let order = |balance, open, failed_lately| {
        let standing = PayerStanding {
            balance: Some(Amount::new(balance).unwrap()),
            open: Amount::new(open).unwrap(),
            failed_lately,
            ..PayerStanding::default()
        };
        match decide_claim(None, new_claim(SettleOrder::ResponseHead), &standing) {
            ClaimDecision::Grant(claim) => claim.terms.order,
            ClaimDecision::Refuse(refused) => panic!("{refused:?}"),
        }
    };
    assert_eq!(order(100, 0, false), SettleOrder::ResponseHead);
    assert_eq!(order(100, 1, false), SettleOrder::BeforeOrigin);
    assert_eq!(order(199, 100, false), SettleOrder::BeforeOrigin);
    assert_eq!(order(200, 100, false), SettleOrder::ResponseHead);
    assert_eq!(order(1000, 0, true), SettleOrder::BeforeOrigin);
}

#[test]
fn a_payer_who_has_nothing_left_is_looked_at_last() {
    let poor = PayerStanding {
        balance: Amount::new(99).ok(),
        ..PayerStanding::default()
    };
    fn decide(existing: Option<(&Claim, bool)>, standing: &PayerStanding) -> ClaimDecision {
        decide_claim(existing, new_claim(SettleOrder::ResponseHead), standing)
    }
    let unfunded = ClaimDecision::Refuse(RefusedClaim::Unfunded);
    assert_eq!(decide(None, &poor), unfunded);
    // The payment itself may be where the money went,
    for payment in [
        PaymentState::Unknown,
        PaymentState::Settled,
        PaymentState::Failed,
    ] {
        let claim = in_state(payment, WorkState::Broken);
        assert_ne!(decide(Some((&claim, true)), &poor), unfunded);
    }
    let released = in_state(PaymentState::Released, WorkState::Broken);
    assert_eq!(decide(Some((&released, true)), &poor), unfunded);
    // or an earlier one, of unknown fate or with a credit.
    let earlier = in_state(PaymentState::Unknown, WorkState::Broken).key();
    let waiting = PayerStanding {
        unknown_earlier: Some(earlier),
        ..poor
    };
    assert_eq!(
        decide(None, &waiting),
        ClaimDecision::Refuse(RefusedClaim::AwaitEarlier { earlier })
    );
    let credited = PayerStanding {
        credit: Some(CREDIT),
        ..poor
    };
    assert!(matches!(decide(None, &credited), ClaimDecision::Grant(_)));
    // A facilitator's client is not asked for its purse here.
    let facilitated = decide_claim(None, new_claim(SettleOrder::Facilitated), &poor);
    assert!(matches!(facilitated, ClaimDecision::Grant(_)));
}

#[test]
fn a_credit_covers_and_an_unknown_earlier_payment_holds_back() {
    let earlier = ClaimKey {
        valid_before: UnixSeconds(1_999_999_999),
        identity: B256([77; 32]),
    };
    let waiting = PayerStanding {
        unknown_earlier: Some(earlier),
        ..PayerStanding::default()
    };
    assert_eq!(
        decide_claim(None, new_claim(SettleOrder::ResponseHead), &waiting),
        ClaimDecision::Refuse(RefusedClaim::AwaitEarlier { earlier })
    );
    let credited = PayerStanding {
        credit: Some(CREDIT),
        ..waiting
    };
    match decide_claim(None, new_claim(SettleOrder::BeforeOrigin), &credited) {
        ClaimDecision::Grant(claim) => {
            assert_eq!(claim.payment, PaymentState::Covered);
            assert_eq!(claim.covered_by, Some(CREDIT));
            // A covered payment is never sent.
            for work in WorkState::ALL {
                let claim = Claim {
                    work: *work,
                    ..*claim.clone()
                };
                let sent = advance(
                    &claim,
                    Advance {
                        epoch: claim.epoch,
                        step: Step::Broadcast { tx_hash: TX },
                    },
                );
                assert!(sent.is_err());
            }
        }
        ClaimDecision::Refuse(refused) => panic!("{refused:?}"),
    }
}

#[test]
fn a_facilitated_payment_waits_to_be_collected() {
    let claim = walk(
        granted(SettleOrder::Facilitated),
        &[
            Step::Broadcast { tx_hash: TX },
            Step::Lose,
            Step::Settle { tx_hash: TX },
        ],
    );
    assert_eq!(
        (claim.payment, claim.work),
        (PaymentState::Settled, WorkState::NotStarted)
    );
    assert_eq!(recover(&claim), Recovery::Nothing);
    let collected = walk(claim, &[Step::Execute, Step::Answer, Step::Deliver]);
    let again = advance(
        &collected,
        Advance {
            epoch: 0,
            step: Step::Execute,
        },
    );
    assert!(again.is_err(), "the success is handed out once");
    // Neither credits nor trust change how it is settled.
    let standing = PayerStanding {
        credit: Some(CREDIT),
        failed_lately: true,
        ..Default::default()
    };
    match decide_claim(None, new_claim(SettleOrder::Facilitated), &standing) {
        ClaimDecision::Grant(claim) => {
            assert_eq!(claim.payment, PaymentState::Claimed);
            assert_eq!(claim.terms.order, SettleOrder::Facilitated);
        }
        ClaimDecision::Refuse(refused) => panic!("{refused:?}"),
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Execute),
        Just(Step::Answer),
        Just(Step::Broadcast { tx_hash: TX }),
        Just(Step::Delegate),
        Just(Step::Withdraw),
        Just(Step::Settle { tx_hash: TX }),
        Just(Step::Lose),
        Just(Step::Fail),
        Just(Step::Release),
        Just(Step::Vanish),
        Just(Step::Deliver),
        Just(Step::Break { credit: None }),
        Just(Step::Break {
            credit: Some(CREDIT)
        }),
    ]
}

proptest! {
    /// Whatever is tried in whatever order: delivered work was paid for or covered; a payment that
    /// was sent is never released; a settled payment only becomes unknown again by vanishing.
    #[test]
    fn no_walk_breaks_the_rules(
        before in any::<bool>(),
        steps in proptest::collection::vec(any_step(), 0..24),
    ) {
        let order = if before { SettleOrder::BeforeOrigin } else { SettleOrder::ResponseHead };
        let mut claim = granted(order);
        let mut sent = false;
        for step in steps {
            let was = claim.clone();
            if let Ok(next) = advance(&claim, Advance { epoch: claim.epoch, step }) {
                claim = next;
            }
            sent |= claim.tx_hash.is_some();
            if sent {
                prop_assert!(claim.payment != PaymentState::Released);
                prop_assert!(claim.payment != PaymentState::Claimed);
            }
            // What may have been handed on is taken back by who knows that it was not.
            let was_handed_on = matches!(was.payment, PaymentState::Broadcast | PaymentState::Unknown);
            if was_handed_on && claim.payment == PaymentState::Released {
                prop_assert_eq!(step, Step::Withdraw);
            }
            if was.work != WorkState::Delivered && claim.work == WorkState::Delivered {
                prop_assert_eq!(claim.payment, PaymentState::Settled);
            }
            if was.payment == PaymentState::Settled && claim.payment != PaymentState::Settled {
                prop_assert_eq!(step, Step::Vanish);
            }
            if was.payment == PaymentState::Failed {
                prop_assert_eq!(claim.payment, PaymentState::Failed);
            }
            // Order "before": the origin is not called before the money is there.
            if before && claim.work == WorkState::Executing && was.work == WorkState::NotStarted {
                prop_assert_eq!(claim.payment, PaymentState::Settled);
            }
        }
    }
}
