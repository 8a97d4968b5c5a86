//! When which certificate is ordered. Pure: the time is an argument.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

/// The first pause after a failed order, doubled with each further one. Authorities count failures
/// by the hour and block hosts that fail often.
const RETRY_FIRST: Duration = Duration::from_secs(10 * 60);
/// The longest pause.
const RETRY_LAST: Duration = Duration::from_secs(24 * 60 * 60);

/// The hosts and when their next orders are due.
#[derive(Default)]
pub(crate) struct Schedule {
    hosts: BTreeMap<String, Entry>,
}

struct Entry {
    due: SystemTime,
    failures: u32,
    running: bool,
}

impl Schedule {
    /// Sets the hosts. Those that stay keep their state; a new one is due at once, unless
    /// `validity` knows a certificate for it.
    pub(crate) fn set_hosts(
        &mut self,
        hosts: impl IntoIterator<Item = String>,
        now: SystemTime,
        validity: impl Fn(&str) -> Option<(SystemTime, SystemTime)>,
    ) {
        let mut before = std::mem::take(&mut self.hosts);
        for host in hosts {
            let entry = before.remove(&host).unwrap_or_else(|| Entry {
                due: validity(&host).map_or(now, |(from, until)| renewal(&host, from, until)),
                failures: 0,
                running: false,
            });
            self.hosts.insert(host, entry);
        }
    }

    /// A host whose order is due, if there is one; it counts as running until its end is told.
    pub(crate) fn start_due(&mut self, now: SystemTime) -> Option<String> {
        let due = |entry: &Entry| !entry.running && entry.due <= now;
        let (host, entry) = self.hosts.iter_mut().find(|(_, entry)| due(entry))?;
        entry.running = true;
        Some(host.clone())
    }

    /// When the next order is due, leaving out those that run.
    pub(crate) fn next_due(&self) -> Option<SystemTime> {
        let waiting = self.hosts.values().filter(|entry| !entry.running);
        waiting.map(|entry| entry.due).min()
    }

    /// An order brought a certificate.
    pub(crate) fn succeeded(&mut self, host: &str, not_before: SystemTime, not_after: SystemTime) {
        let due = renewal(host, not_before, not_after);
        self.end(host, |entry| {
            entry.failures = 0;
            entry.due = due;
        });
    }

    /// An order failed.
    pub(crate) fn failed(&mut self, host: &str, now: SystemTime) {
        self.end(host, |entry| {
            entry.failures = entry.failures.saturating_add(1);
            entry.due = now + retry_pause(host, entry.failures);
        });
    }

    fn end(&mut self, host: &str, change: impl FnOnce(&mut Entry)) {
        if let MapEntry::Occupied(mut entry) = self.hosts.entry(host.to_owned()) {
            entry.get_mut().running = false;
            change(entry.get_mut());
        }
    }
}

/// When a certificate is renewed: at two thirds of its life, or up to a twentieth of it earlier,
/// so that hosts that began together do not stay together.
fn renewal(host: &str, not_before: SystemTime, not_after: SystemTime) -> SystemTime {
    let life = not_after.duration_since(not_before).unwrap_or_default();
    let earlier = spread(host, 0, life / 20);
    not_before + (life * 2 / 3).saturating_sub(earlier)
}

fn retry_pause(host: &str, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let pause = RETRY_FIRST.saturating_mul(1 << doublings).min(RETRY_LAST);
    pause + spread(host, failures, pause / 4)
}

/// A duration below `range` that depends on the host and the occasion.
fn spread(host: &str, occasion: u32, range: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    (host, occasion).hash(&mut hasher);
    let seconds = range.as_secs().max(1);
    Duration::from_secs(hasher.finish() % seconds)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn schedule(hosts: &[&str]) -> Schedule {
        let mut schedule = Schedule::default();
        let hosts = hosts.iter().map(|host| (*host).to_owned());
        schedule.set_hosts(hosts, at(0), |_| None);
        schedule
    }

    #[test]
    fn a_host_without_a_certificate_is_due_at_once_and_runs_once() {
        let mut schedule = schedule(&["a", "b"]);
        assert_eq!(schedule.start_due(at(0)).as_deref(), Some("a"));
        assert_eq!(schedule.start_due(at(0)).as_deref(), Some("b"));
        assert_eq!(schedule.start_due(at(0)), None);
        assert_eq!(schedule.next_due(), None);
        schedule.failed("a", at(100));
        assert_eq!(schedule.start_due(at(100)), None);
        assert!(schedule.next_due().unwrap() >= at(100) + RETRY_FIRST);
    }

    #[test]
    fn a_known_certificate_is_renewed_and_not_ordered_anew() {
        let mut schedule = Schedule::default();
        let life = Some((at(0), at(0) + 90 * DAY));
        schedule.set_hosts(["a".to_owned()], at(0), |_| life);
        let due = schedule.next_due().unwrap();
        assert!(
            due <= at(0) + 60 * DAY && due >= at(0) + 55 * DAY,
            "{due:?}"
        );
        assert_eq!(schedule.start_due(at(0)), None);
        assert_eq!(schedule.start_due(due).as_deref(), Some("a"));
        schedule.succeeded("a", due, due + 90 * DAY);
        assert!(schedule.next_due().unwrap() >= due + 55 * DAY);
    }

    #[test]
    fn hosts_that_stay_keep_their_back_off() {
        let mut schedule = schedule(&["a"]);
        schedule.start_due(at(0));
        schedule.failed("a", at(0));
        let due = schedule.next_due();
        let hosts = ["a", "b"].map(str::to_owned);
        schedule.set_hosts(hosts, at(1), |_| None);
        assert_eq!(schedule.start_due(at(1)).as_deref(), Some("b"));
        assert_eq!(schedule.next_due(), due);
        schedule.set_hosts([], at(2), |_| None);
        schedule.succeeded("b", at(2), at(3));
        assert_eq!(schedule.next_due(), None);
    }

    proptest! {
        #[test]
        fn renewal_leaves_a_third_of_the_life_for_trying(
            host in "[a-z]{1,20}", from in 0_u64..2_000_000_000, life in 3_600_u64..400 * 86_400
        ) {
            let due = renewal(&host, at(from), at(from + life));
            prop_assert!(due <= at(from) + Duration::from_secs(life) * 2 / 3);
            prop_assert!(due >= at(from) + Duration::from_secs(life) * 3 / 5);
        }

        #[test]
        fn pauses_grow_up_to_a_day_and_a_quarter(host in "[a-z]{1,20}", failures in 1_u32..100) {
            let pause = retry_pause(&host, failures);
            prop_assert!(pause >= RETRY_FIRST && pause <= RETRY_LAST * 5 / 4);
            let floor = RETRY_FIRST.saturating_mul(1 << (failures - 1).min(7)).min(RETRY_LAST);
            prop_assert!(pause >= floor);
        }
    }
}
