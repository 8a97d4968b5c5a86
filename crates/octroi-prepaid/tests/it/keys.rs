//! Who may spend, where, from where, and how much.

use std::net::IpAddr;

use octroi_prepaid::{
    Ask, Caps, Charge, ChargeRefusal as No, Grant, Key, KeySecret, Spending, decide_charge,
};
use octroi_types::{Amount, KeyId, Mode, TenantId, UnixMicros};

use crate::world::{BALANCE, amount, paid, paywall};

const DAY: i64 = 86_400_000_000;
const NOON: UnixMicros = UnixMicros(100 * DAY + DAY / 2);

fn key() -> Key {
    let secret = KeySecret::new(Mode::Test, [5; 32]);
    Key {
        id: KeyId::from_bytes([1; 16]),
        tenant: TenantId::from_bytes([2; 16]),
        mode: Mode::Test,
        balance: BALANCE,
        label: "agent".to_owned(),
        hash: secret.hash(),
        hint: secret.hint(),
        caps: Caps::default(),
        paywalls: Vec::new(),
        networks: Vec::new(),
        created_at: UnixMicros(0),
        expires_at: None,
        revoked_at: None,
        spent: Spending::default(),
    }
}

fn ask(units: u64) -> Ask {
    Ask {
        tenant: TenantId::from_bytes([2; 16]),
        mode: Mode::Test,
        paywall: paywall(1),
        amount: amount(units),
        client: Some("192.0.2.7".parse().unwrap()),
        now: NOON,
    }
}

fn rich() -> Vec<(Grant, Amount)> {
    vec![(paid(1_000), amount(1_000))]
}

fn decide(key: &Key, ask: &Ask) -> Result<Charge, No> {
    decide_charge(key, Amount::ZERO, &rich(), ask)
}

#[test]
fn a_key_is_good_for_its_seller_and_mode() {
    assert!(decide(&key(), &ask(10)).is_ok());
    let other = Ask {
        tenant: TenantId::from_bytes([3; 16]),
        ..ask(10)
    };
    assert_eq!(decide(&key(), &other), Err(No::OtherSeller));
    let live = Ask {
        mode: Mode::Live,
        ..ask(10)
    };
    assert_eq!(decide(&key(), &live), Err(No::OtherSeller));
}

#[test]
fn a_key_has_an_end() {
    let revoked = Key {
        revoked_at: Some(UnixMicros(i64::MAX)),
        ..key()
    };
    assert_eq!(decide(&revoked, &ask(10)), Err(No::Revoked));
    let until = |at| Key {
        expires_at: Some(UnixMicros(at)),
        ..key()
    };
    assert!(decide(&until(NOON.0 + 1), &ask(10)).is_ok());
    assert_eq!(decide(&until(NOON.0), &ask(10)), Err(No::Expired));
}

#[test]
fn a_key_may_be_bound_to_paywalls_and_networks() {
    let here = |paywalls| Key { paywalls, ..key() };
    assert!(decide(&here(vec![paywall(2), paywall(1)]), &ask(10)).is_ok());
    let elsewhere = decide(&here(vec![paywall(2)]), &ask(10));
    assert_eq!(elsewhere, Err(No::PaywallNotAllowed));

    let bound = Key {
        networks: vec![
            "192.0.2.0/28".parse().unwrap(),
            "2001:db8::/64".parse().unwrap(),
        ],
        ..key()
    };
    let from = |client: Option<&str>| {
        let client = client.map(|text| text.parse::<IpAddr>().unwrap());
        decide(&bound, &Ask { client, ..ask(10) }).is_ok()
    };
    assert!(from(Some("192.0.2.15")) && from(Some("2001:db8::1")));
    assert!(
        from(Some("::ffff:192.0.2.1")),
        "the same address in another coat"
    );
    assert!(!from(Some("192.0.2.16")) && !from(Some("2001:db8:0:1::1")) && !from(None));
}

#[test]
fn caps_hold_beside_the_balance() {
    let mut key = Key {
        caps: Caps {
            day: Some(amount(100)),
            total: Some(amount(150)),
        },
        ..key()
    };
    let spend = |key: &mut Key, units, now| {
        let charge = decide(key, &Ask { now, ..ask(units) })?;
        key.spent = charge.spent;
        Ok(charge.day)
    };
    assert_eq!(spend(&mut key, 100, NOON), Ok(100));
    assert_eq!(
        spend(&mut key, 1, NOON),
        Err(No::DayCap { left: Amount::ZERO })
    );
    // What was held and not charged is there again, on its own day.
    key.spent = key.spent.with_settled(100, amount(100), amount(60));
    assert_eq!(
        spend(&mut key, 41, NOON),
        Err(No::DayCap { left: amount(40) })
    );
    let tomorrow = UnixMicros(101 * DAY);
    assert_eq!(spend(&mut key, 80, tomorrow), Ok(101));
    assert_eq!(
        spend(&mut key, 11, tomorrow),
        Err(No::TotalCap { left: amount(10) })
    );
    // A charge of yesterday that is settled today does not count in today.
    let yesterday = key.spent.with_settled(100, amount(60), Amount::ZERO);
    assert_eq!(
        (yesterday.in_day, yesterday.total),
        (amount(80), amount(80))
    );
    // A clock that goes back opens no second day.
    assert_eq!(
        spend(&mut key, 10, NOON),
        Ok(101),
        "counted where the last one was"
    );
    assert_eq!(key.spent.in_day, amount(90));
}

#[test]
fn debt_and_an_empty_balance_stop_it() {
    let owing = decide_charge(&key(), amount(7), &rich(), &ask(10));
    assert_eq!(owing, Err(No::Owing { owed: amount(7) }));
    assert_eq!(
        decide(&key(), &ask(1_001)),
        Err(No::Short { missing: amount(1) })
    );
    let none = decide_charge(&key(), Amount::ZERO, &[], &ask(10));
    assert_eq!(
        none,
        Err(No::Short {
            missing: amount(10)
        })
    );
}
