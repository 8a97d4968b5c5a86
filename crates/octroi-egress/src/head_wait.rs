//! How long a response head is waited for.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// When an upload last moved; the request body and whoever waits for its response share it.
#[derive(Clone, Debug)]
pub(crate) struct UploadClock {
    moved_at: Arc<Mutex<Instant>>,
}

/// One wait: it ends `timeout` after its start or after the upload last moved, and in any case at the
/// caller's deadline.
pub(crate) struct HeadWait {
    timeout: Duration,
    deadline: Option<Instant>,
    upload: Option<UploadClock>,
}

impl UploadClock {
    pub(crate) fn new() -> Self {
        Self {
            moved_at: Arc::new(Mutex::new(Instant::now())),
        }
    }

    pub(crate) fn moved(&self) {
        *self.moved_at.lock() = Instant::now();
    }
}

impl HeadWait {
    pub(crate) const fn new(
        timeout: Duration,
        deadline: Option<Instant>,
        upload: Option<UploadClock>,
    ) -> Self {
        Self {
            timeout,
            deadline,
            upload,
        }
    }

    /// The end of a wait that starts now.
    pub(crate) fn end(&self, now: Instant) -> Instant {
        self.bounded(now + self.timeout)
    }

    /// The new end of a wait that has reached its end, if the upload has moved since it was set.
    pub(crate) fn extended(&self, now: Instant) -> Option<Instant> {
        let moved_at = *self.upload.as_ref()?.moved_at.lock();
        let end = self.bounded(moved_at + self.timeout);
        (end > now).then_some(end)
    }

    fn bounded(&self, end: Instant) -> Instant {
        self.deadline.map_or(end, |deadline| deadline.min(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn upload_moved(at: Instant) -> UploadClock {
        UploadClock {
            moved_at: Arc::new(Mutex::new(at)),
        }
    }

    #[test]
    fn a_moving_upload_extends_the_wait_and_a_stalled_one_does_not() {
        let start = Instant::now();
        let upload = upload_moved(start + seconds(7));
        let wait = HeadWait::new(TIMEOUT, None, Some(upload));
        assert_eq!(wait.end(start), start + TIMEOUT);
        let extended = start + seconds(17);
        assert_eq!(wait.extended(start + TIMEOUT), Some(extended));
        assert_eq!(wait.extended(extended), None);
    }

    #[test]
    fn the_deadline_beats_the_upload() {
        let start = Instant::now();
        let deadline = start + seconds(12);
        let upload = upload_moved(start + seconds(9));
        let wait = HeadWait::new(TIMEOUT, Some(deadline), Some(upload));
        assert_eq!(wait.extended(start + TIMEOUT), Some(deadline));
        assert_eq!(wait.extended(deadline), None);
        let late = HeadWait::new(TIMEOUT, Some(start + seconds(3)), None);
        assert_eq!(late.end(start), start + seconds(3));
    }

    #[test]
    fn without_a_stream_the_wait_is_fixed() {
        let start = Instant::now();
        let wait = HeadWait::new(TIMEOUT, None, None);
        assert_eq!(wait.end(start), start + TIMEOUT);
        assert_eq!(wait.extended(start + TIMEOUT), None);
    }
}
