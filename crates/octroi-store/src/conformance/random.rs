//! Random calls, compared with the reference: every answer, and all that is stored in the end.

use octroi_claim::{ClaimKey, NodeId, SettleOrder, Step};
use octroi_types::{Amount, B256, ChainId, UnixSeconds};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};

use super::payment::{Payment, START};
use super::suite::{CHAIN, at, attempt, inclusion, settled, settlement_id, wallet};
use super::{Backend, MemoryBackend, check_invariants, invariants};
use crate::{ClaimOutcome, Fact, NewSettlement, Store, refund_credit_id};

const DAY: u64 = 86_400;
const CASES: u32 = 48;
const CALLS_MAX: usize = 80;

/// One call. Numbers are small, so that calls meet; a claim is named by its place among those that
/// were ever asked for, and worked on under the epoch that it has, or an older one.
#[derive(Debug, Clone)]
enum Call {
    Beat {
        node: u8,
        lease: u8,
    },
    Make(Arrival),
    Advance {
        claim: u8,
        stale: bool,
        steps: Vec<Step>,
    },
    Open {
        number: u8,
        wallet: u8,
        nonce: u8,
        stale: bool,
        claims: Vec<u8>,
    },
    Attempt {
        number: u8,
        attempt: u8,
    },
    Include {
        number: u8,
        facts: Vec<(u8, Fact)>,
    },
    Facts(Vec<(u8, Fact)>),
    Final(Vec<u8>),
    ClaimsFinal(Vec<(u8, u8)>),
    Vanish {
        number: u8,
    },
    Recover {
        node: u8,
        limit: u8,
    },
    Prune {
        days: u8,
    },
    Reopen,
}

#[derive(Debug, Clone)]
struct Arrival {
    number: u8,
    tenant: u8,
    payer: u8,
    request: u8,
    amount: u8,
    days: u8,
    node: u8,
    order: u8,
    poor: bool,
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let who = (0..6_u8, 1..3_u8, 1..3_u8, 0..2_u8);
    let how = (1..3_u8, 0..3_u8, 1..4_u8, 0..4_u8, any::<bool>());
    (who, how).prop_map(
        |((number, tenant, payer, request), (amount, days, node, order, poor))| Arrival {
            number,
            tenant,
            payer,
            request,
            amount,
            days,
            node,
            order,
            poor,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let credit = refund_credit_id(octroi_types::ClaimId::from_bytes([1; 16]));
    let tx_hash = B256([1; 32]);
    prop_oneof![
        2 => Just(Step::Execute),
        4 => Just(Step::Answer),
        2 => Just(Step::Delegate),
        1 => Just(Step::Withdraw),
        1 => Just(Step::Lose),
        1 => Just(Step::Release),
        5 => Just(Step::Deliver),
        2 => Just(Step::Break { credit: None }),
        3 => Just(Step::Break { credit: Some(credit) }),
        1 => prop_oneof![
            Just(Step::Broadcast { tx_hash }),
            Just(Step::Settle { tx_hash }),
            Just(Step::Fail),
            Just(Step::Vanish),
        ],
    ]
}

fn fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        6 => (0..8_u32, 0..4_u64).prop_map(|(number, log)| settled(number, log)),
        1 => Just(Fact::Unknown),
        2 => Just(Fact::Failed),
        2 => Just(Fact::Vanished),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let claim = || 0..16_u8;
    let number = || 0..8_u8;
    let facts = || vec((claim(), fact()), 0..4);
    let stale = || proptest::bool::weighted(0.1);
    prop_oneof![
        1 => (1..4_u8, any::<u8>()).prop_map(|(node, lease)| Call::Beat { node, lease }),
        8 => arrival().prop_map(Call::Make),
        8 => (claim(), stale(), vec(step(), 1..4))
            .prop_map(|(claim, stale, steps)| Call::Advance { claim, stale, steps }),
        6 => (number(), 1..3_u8, number(), stale(), vec(claim(), 0..3)).prop_map(
            |(number, wallet, nonce, stale, claims)| {
                Call::Open { number, wallet, nonce, stale, claims }
            }
        ),
        1 => (number(), any::<u8>())
            .prop_map(|(number, attempt)| Call::Attempt { number, attempt }),
        4 => (number(), facts()).prop_map(|(number, facts)| Call::Include { number, facts }),
        4 => facts().prop_map(Call::Facts),
        1 => vec(number(), 0..3).prop_map(Call::Final),
        1 => vec((claim(), number()), 0..3).prop_map(Call::ClaimsFinal),
        2 => number().prop_map(|number| Call::Vanish { number }),
        2 => (1..4_u8, 0..4_u8).prop_map(|(node, limit)| Call::Recover { node, limit }),
        1 => (0..5_u8).prop_map(|days| Call::Prune { days }),
        1 => Just(Call::Reopen),
    ]
}

/// Makes random calls to a backend and to the reference, and compares.
///
/// # Panics
/// If they differ.
pub fn random_calls_agree<B: Backend>(fresh: impl Fn() -> B) {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let calls = vec((call(), proptest::bool::weighted(0.1)), 1..CALLS_MAX);
    let outcome = TestRunner::new(config).run(&calls, |calls| {
        runtime.block_on(compare(&calls, &fresh()));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// `true` beside a call makes it twice.
async fn compare(calls: &[(Call, bool)], backend: &dyn Backend) {
    let reference = MemoryBackend::default();
    let mut expected = reference.open().await;
    let mut tested = backend.open().await;
    let mut keys = Vec::new();
    for ((call, twice), step) in calls.iter().zip(1..) {
        if matches!(call, Call::Reopen) {
            drop((expected, tested));
            expected = reference.reopen().await;
            tested = backend.reopen().await;
            continue;
        }
        let epochs = epochs(&*expected, &keys).await;
        let driver = Driver {
            step,
            keys: &keys,
            epochs: &epochs,
        };
        for _ in 0..=usize::from(*twice) {
            let (expected, asked) = driver.make(&*expected, call).await;
            let (tested, _) = driver.make(&*tested, call).await;
            assert_eq!(tested, expected, "{call:?}");
            if let Some(key) = asked.filter(|key| !keys.contains(key)) {
                keys.push(key);
                break;
            }
        }
    }
    assert_eq!(dump(&*tested, &keys).await, dump(&*expected, &keys).await);
    check_invariants(&*tested).await;
}

async fn epochs(store: &dyn Store, keys: &[ClaimKey]) -> Vec<u32> {
    let mut epochs = Vec::new();
    for key in keys {
        epochs.push(
            store
                .claim_get(*key)
                .await
                .unwrap()
                .map_or(0, |claim| claim.epoch),
        );
    }
    epochs
}

/// Turns a call into the port's words.
struct Driver<'a> {
    step: u32,
    keys: &'a [ClaimKey],
    epochs: &'a [u32],
}

impl Driver<'_> {
    fn claim(&self, number: u8, stale: bool) -> (ClaimKey, u32) {
        let place = usize::from(number) % self.keys.len().max(1);
        let key = self
            .keys
            .get(place)
            .copied()
            .unwrap_or_else(|| Payment::new(99).key());
        let epoch = self.epochs.get(place).copied().unwrap_or(0);
        (key, if stale { epoch.wrapping_sub(1) } else { epoch })
    }

    fn facts(&self, facts: &[(u8, Fact)]) -> Vec<(ClaimKey, Fact)> {
        facts
            .iter()
            .map(|(number, fact)| (self.claim(*number, false).0, *fact))
            .collect()
    }

    /// Claims, each with the block that settlement would be in.
    fn blocks(&self, claims: &[(u8, u8)]) -> Vec<(ClaimKey, B256)> {
        let block = |number: u8| inclusion(u32::from(number)).block_hash;
        claims
            .iter()
            .map(|(claim, number)| (self.claim(*claim, false).0, block(*number)))
            .collect()
    }

    /// Makes the call: the answer as text, and the claim that it asked for.
    async fn make(&self, store: &dyn Store, call: &Call) -> (String, Option<ClaimKey>) {
        let now = at(i64::from(self.step) * 1_000);
        let id = |number: &u8| settlement_id(u32::from(*number));
        let answer = match call {
            Call::Beat { node, lease } => {
                let lease_until = at((i64::from(self.step) + i64::from(*lease)) * 1_000);
                let node = NodeId(u64::from(*node));
                format!("{:?}", store.node_beat(node, lease_until, now).await)
            }
            Call::Make(arrival) => return self.arrive(store, arrival).await,
            Call::Advance {
                claim,
                stale,
                steps,
            } => {
                let (key, epoch) = self.claim(*claim, *stale);
                format!(
                    "{:?}",
                    store.claim_advance(key, epoch, steps.clone(), now).await
                )
            }
            Call::Open {
                number,
                wallet: from,
                nonce,
                stale,
                claims,
            } => {
                let claims = claims.iter().map(|claim| self.claim(*claim, *stale));
                let new = opening(*number, *from, *nonce, claims.collect());
                format!("{:?}", store.settlement_open(new).await)
            }
            Call::Attempt {
                number,
                attempt: bump,
            } => {
                let bump = attempt(100 + u32::from(*bump));
                format!("{:?}", store.settlement_attempt(id(number), bump).await)
            }
            Call::Include { number, facts } => {
                let (block, facts) = (inclusion(u32::from(*number)), self.facts(facts));
                let outcome = store
                    .settlement_included(id(number), block, facts, now)
                    .await;
                format!("{outcome:?}")
            }
            Call::Facts(facts) => {
                format!("{:?}", store.facts_apply(self.facts(facts), now).await)
            }
            Call::Final(numbers) => {
                let ids = numbers.iter().map(id).collect();
                format!("{:?}", store.settlements_final(ids).await)
            }
            Call::ClaimsFinal(claims) => {
                let claims = self.blocks(claims);
                format!("{:?}", store.claims_final(CHAIN, claims).await)
            }
            Call::Vanish { number } => {
                format!("{:?}", store.settlement_vanished(id(number), now).await)
            }
            Call::Recover { node, limit } => {
                let node = NodeId(u64::from(*node));
                format!(
                    "{:?}",
                    store.claims_recover(node, usize::from(*limit), now).await
                )
            }
            Call::Prune { days } => {
                let before = UnixSeconds(START.seconds().0 + u64::from(*days) * DAY);
                format!("{:?}", store.claims_prune(before).await)
            }
            Call::Reopen => String::new(),
        };
        (answer, None)
    }

    async fn arrive(&self, store: &dyn Store, arrival: &Arrival) -> (String, Option<ClaimKey>) {
        let now = at(i64::from(self.step) * 1_000);
        let payment = Payment {
            tenant: arrival.tenant,
            payer: arrival.payer,
            request: u32::from(arrival.request),
            amount: 50 * u64::from(arrival.amount),
            valid_before: START.seconds().plus(DAY * u64::from(arrival.days)),
            owner: NodeId(u64::from(arrival.node)),
            order: match arrival.order {
                0 => SettleOrder::BeforeOrigin,
                1 => SettleOrder::Facilitated,
                _ => SettleOrder::ResponseHead,
            },
            payer_balance: arrival.poor.then_some(120),
            failed_since: at(i64::from(self.step) * 1_000 - 20_000),
            now,
            ..Payment::new(u32::from(arrival.number)).again(self.step)
        };
        let outcome = store.claim_make(payment.arrive()).await;
        let asked = match &outcome {
            Ok(ClaimOutcome::Granted(claim)) => Some(claim.key()),
            Ok(ClaimOutcome::Refused(_)) | Err(_) => None,
        };
        (format!("{outcome:?}"), asked)
    }
}

fn opening(number: u8, from: u8, nonce: u8, claims: Vec<(ClaimKey, u32)>) -> NewSettlement {
    NewSettlement {
        id: settlement_id(u32::from(number)),
        chain: CHAIN,
        wallet: wallet(from),
        nonce: u64::from(nonce),
        attempt: attempt(u32::from(number)),
        claims,
    }
}

/// All that is stored, as text.
pub(super) async fn dump(store: &dyn Store, keys: &[ClaimKey]) -> String {
    let mut lines = Vec::new();
    for transaction in invariants::transactions(store).await {
        lines.push(format!("{transaction:?}"));
        lines.push(format!(
            "{:?}",
            store.transaction_events(transaction.id).await
        ));
        lines.push(format!(
            "{:?}",
            store.transaction_transfers(transaction.id).await
        ));
        if let Some(id) = transaction.refund_credit {
            lines.push(format!("{:?}", store.credit_get(id).await));
        }
    }
    for key in keys {
        lines.push(format!("{:?}", store.claim_get(*key).await));
    }
    lines.push(format!("{:?}", store.claims_unknown(1_000).await));
    for chain in [CHAIN, ChainId(1)] {
        lines.push(format!("{:?}", store.claims_watched(chain).await));
        for settlement in store.settlements_unfinished(chain).await.unwrap() {
            let raw_tx: Vec<_> = settlement
                .attempts
                .iter()
                .map(|attempt| attempt.raw_tx.expose())
                .collect();
            lines.push(format!("{settlement:?} {raw_tx:?}"));
        }
        for number in 1..3 {
            lines.push(format!(
                "{:?}",
                store.settlement_nonce_max(chain, wallet(number)).await
            ));
        }
    }
    lines.push(format!("{:?}", store.accounts_list().await));
    let total: Option<Amount> = store
        .accounts_list()
        .await
        .unwrap()
        .iter()
        .try_fold(Amount::ZERO, |sum, account| {
            sum.checked_add(account.debits.posted)
        });
    lines.push(format!("{total:?}"));
    lines.join("\n")
}
