//! Random lives of a balance, compared with a model that counts on its fingers.

use octroi_ledger::AccountKind;
use octroi_ledger::Holder;
use octroi_prepaid::{BasisPoints, Category, Grant, Scope};
use octroi_types::{Amount, GrantId, UnixMicros};
use proptest::prelude::*;

use crate::world::{Open, World, amount, ledger, paid, paywall};

#[derive(Debug, Clone)]
enum Step {
    Issue {
        category: Category,
        units: u64,
        priority: u8,
        from: i64,
        lasts: Option<i64>,
        only: Option<u8>,
    },
    Hold {
        paywall: u8,
        units: u64,
    },
    Finish {
        which: usize,
        cost: u64,
    },
    GiveUp {
        which: usize,
    },
    Sweep,
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let category = prop::sample::select(Category::ALL);
    let issue = (
        category,
        1..200_u64,
        0..3_u8,
        0..20_i64,
        prop::option::of(1..60_i64),
        prop::option::of(1..3_u8),
    );
    prop_oneof![
        3 => issue.prop_map(|(category, units, priority, from, lasts, only)| Step::Issue {
            category, units, priority, from, lasts, only,
        }),
        4 => (1..3_u8, 1..150_u64).prop_map(|(paywall, units)| Step::Hold { paywall, units }),
        3 => (any::<prop::sample::Index>(), 0..260_u64)
            .prop_map(|(which, cost)| Step::Finish { which: which.index(64), cost }),
        1 => any::<prop::sample::Index>().prop_map(|which| Step::GiveUp { which: which.index(64) }),
        1 => Just(Step::Sweep),
        3 => (1..25_i64).prop_map(Step::Wait),
    ]
}

/// A grant as a person would keep it on paper.
#[derive(Debug, Clone)]
struct Purse {
    grant: Grant,
    id: GrantId,
    left: u64,
}

/// What was taken from which purse.
type Taken = Vec<(usize, u64)>;

#[derive(Debug, Default)]
struct Paper {
    purses: Vec<Purse>,
    /// Taken from which purse, for each piece of open work.
    open: Vec<Taken>,
    owed: u64,
    earned: u64,
    fees: u64,
    lost: u64,
    broken: u64,
    issued: u64,
}

impl Paper {
    /// The next purse to take from: the first in the words of the rule.
    fn next(&self, paywall: u8, now: UnixMicros) -> Option<usize> {
        let may = |purse: &Purse| {
            let grant = &purse.grant;
            purse.left > 0
                && grant.effective_at <= now
                && grant.expires_at.is_none_or(|end| now < end)
                && match &grant.scope {
                    Scope::Everything => true,
                    Scope::Paywalls(only) => only.contains(&crate::world::paywall(paywall)),
                }
        };
        let mut best: Option<usize> = None;
        for (index, purse) in self
            .purses
            .iter()
            .enumerate()
            .filter(|(_, purse)| may(purse))
        {
            let Some(so_far) = best else {
                best = Some(index);
                continue;
            };
            if goes_before(&purse.grant, &self.purses[so_far].grant) {
                best = Some(index);
            }
        }
        best
    }

    /// Takes up to an amount; what is missing.
    fn take(&mut self, paywall: u8, now: UnixMicros, mut units: u64) -> (Taken, u64) {
        let mut taken = Vec::new();
        while units > 0 {
            let Some(index) = self.next(paywall, now) else {
                break;
            };
            let purse = &mut self.purses[index];
            let part = purse.left.min(units);
            purse.left -= part;
            units -= part;
            taken.push((index, part));
        }
        (taken, units)
    }
}

/// Purses are listed by age, so that equal ones stay in their order.
fn goes_before(one: &Grant, other: &Grant) -> bool {
    if one.priority != other.priority {
        return one.priority < other.priority;
    }
    match (one.expires_at, other.expires_at) {
        (Some(one), Some(other)) if one != other => return one < other,
        (Some(_), None) => return true,
        (None, Some(_)) => return false,
        (Some(_), Some(_)) | (None, None) => {}
    }
    one.category < other.category
}

/// The books and the paper, side by side.
struct Both {
    world: World,
    paper: Paper,
    /// Which paywall each piece of open work is for.
    paywalls: Vec<u8>,
}

impl Both {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Issue { .. } => self.issue(step),
            Step::Hold { paywall, units } => self.hold(paywall, units),
            Step::Finish { which, cost } => {
                if let Some((open, taken, number)) = self.close(which) {
                    self.world.finish(&open, amount(cost));
                    let World {
                        now,
                        overdraft_max,
                        fee,
                        ..
                    } = self.world;
                    finish(
                        &mut self.paper,
                        &taken,
                        number,
                        now,
                        cost,
                        overdraft_max,
                        fee,
                    );
                }
            }
            Step::GiveUp { which } => {
                if let Some((open, taken, _)) = self.close(which) {
                    self.world.give_up(&open);
                    for (index, units) in taken {
                        self.paper.purses[index].left += units;
                    }
                }
            }
            Step::Sweep => {
                self.world.sweep();
                for purse in &mut self.paper.purses {
                    if purse.grant.has_expired(self.world.now) {
                        self.paper.broken += std::mem::take(&mut purse.left);
                    }
                }
            }
            Step::Wait(micros) => self.world.now = UnixMicros(self.world.now.0 + micros),
        }
    }

    fn issue(&mut self, step: &Step) {
        let Step::Issue {
            category,
            units,
            priority,
            from,
            lasts,
            only,
        } = *step
        else {
            return;
        };
        let effective_at = UnixMicros(self.world.now.0 + from);
        let scope = only.map_or(Scope::Everything, |only| {
            Scope::Paywalls(vec![paywall(only)])
        });
        let grant = Grant {
            category,
            priority,
            effective_at,
            expires_at: lasts.map(|lasts| UnixMicros(effective_at.0 + lasts)),
            scope,
            ..paid(units)
        };
        let id = self.world.issue(grant.clone());
        let repaid = self.paper.owed.min(units);
        self.paper.owed -= repaid;
        self.paper.issued += units;
        self.paper.purses.push(Purse {
            grant,
            id,
            left: units - repaid,
        });
    }

    fn hold(&mut self, number: u8, units: u64) {
        let before: Vec<_> = self.paper.purses.iter().map(|purse| purse.left).collect();
        let (taken, missing) = self.paper.take(number, self.world.now, units);
        let held = self.world.hold(paywall(number), amount(units));
        if missing == 0 {
            assert_eq!(held, Ok(()));
            self.paper.open.push(taken);
            self.paywalls.push(number);
            return;
        }
        assert_eq!(held, Err(amount(missing)));
        for (purse, left) in self.paper.purses.iter_mut().zip(before) {
            purse.left = left;
        }
    }

    /// Takes a piece of work off the lists, if there is one.
    fn close(&mut self, which: usize) -> Option<(Open, Taken, u8)> {
        let which = which.checked_rem(self.paper.open.len())?;
        Some((
            self.world.open.remove(which),
            self.paper.open.remove(which),
            self.paywalls.remove(which),
        ))
    }
}

fn run(steps: Vec<Step>, overdraft_max: u64, fee: u16) {
    let mut both = Both {
        world: World {
            overdraft_max,
            fee: BasisPoints::new(fee).unwrap(),
            ..World::default()
        },
        paper: Paper::default(),
        paywalls: Vec::new(),
    };
    for step in steps {
        both.take(&step);
        compare(&both.world, &both.paper);
    }
}

fn finish(
    paper: &mut Paper,
    taken: &[(usize, u64)],
    number: u8,
    now: UnixMicros,
    cost: u64,
    overdraft_max: u64,
    fee: BasisPoints,
) {
    let mut rest = cost;
    let mut given_back = Vec::new();
    for (index, units) in taken {
        let part = rest.min(*units);
        rest -= part;
        given_back.push((*index, units - part));
    }
    // What the holds give back comes after: the books decide on what was free before.
    let (_, beyond) = paper.take(number, now, rest);
    for (index, units) in given_back {
        paper.purses[index].left += units;
    }
    let owed = beyond.min(overdraft_max - paper.owed);
    paper.owed += owed;
    paper.lost += beyond - owed;
    paper.earned += cost;
    let earned = amount(cost - (beyond - owed));
    paper.fees += fee.of(earned).units();
}

fn compare(world: &World, paper: &Paper) {
    let mut left = 0;
    for purse in &paper.purses {
        assert_eq!(world.available(purse.id), amount(purse.left), "{purse:?}");
        left += purse.left;
    }
    let held: u64 = paper.open.iter().flatten().map(|(_, units)| units).sum();
    let own = |kind| world.account(&ledger().account(kind, Holder::Tenant));
    let (to_fees, revenue) = own(AccountKind::TenantRevenue);
    assert_eq!((to_fees, revenue), (paper.fees, paper.earned));
    assert_eq!(own(AccountKind::Fees), (0, paper.fees));
    assert_eq!(own(AccountKind::WriteOff), (paper.lost, 0));
    assert_eq!(own(AccountKind::Breakage), (0, paper.broken));
    assert_eq!(world.owed(), amount(paper.owed));
    assert!(world.owed() <= amount(world.overdraft_max));
    // Every unit that was given is somewhere.
    let spent = paper.earned - paper.lost;
    assert_eq!(
        paper.issued + paper.owed,
        left + held + spent + paper.broken
    );
}

proptest! {
    #[test]
    fn a_balance_is_what_was_given_less_what_was_taken(
        steps in prop::collection::vec(step(), 1..60),
        overdraft_max in prop::sample::select(vec![0, 40, 1_000]),
        fee in prop::sample::select(vec![0, 1, 250, 10_000]),
    ) {
        run(steps, overdraft_max, fee);
    }
}

#[test]
fn work_that_costs_more_takes_what_is_left_then_debt_then_loss() {
    let mut world = World {
        overdraft_max: 30,
        fee: BasisPoints::new(1_000).unwrap(),
        ..World::default()
    };
    world.issue(paid(50));
    world.issue(paid(10));
    world.hold(paywall(1), amount(40)).unwrap();
    let open = world.open.remove(0);
    let parts = world.finish(&open, amount(100));
    assert_eq!(parts.captured, [amount(40)]);
    assert_eq!(
        parts
            .excess
            .iter()
            .map(|draw| draw.amount.units())
            .collect::<Vec<_>>(),
        [10, 10]
    );
    assert_eq!(
        (parts.overdraft, parts.written_off),
        (amount(30), amount(10))
    );
    assert_eq!(parts.fee, amount(9));
    assert_eq!(world.owed(), amount(30));
    // The next money pays the debt first.
    let id = world.issue(paid(50));
    assert_eq!(
        (world.owed(), world.available(id)),
        (Amount::ZERO, amount(20))
    );
}

#[test]
fn holds_pin_their_grants_beyond_the_grants_time() {
    let mut world = World::default();
    let grant = Grant {
        expires_at: Some(UnixMicros(10)),
        ..paid(50)
    };
    let id = world.issue(grant);
    world.hold(paywall(1), amount(30)).unwrap();
    world.now = UnixMicros(10);
    world.sweep();
    assert_eq!(world.available(id), Amount::ZERO, "20 are breakage");
    let open = world.open.remove(0);
    world.finish(&open, amount(25));
    // What is given back after the end expires at once.
    assert_eq!(world.available(id), amount(5));
    world.sweep();
    assert_eq!(world.available(id), Amount::ZERO);
    assert!(world.hold(paywall(1), amount(1)).is_err());
}
