//! Points in time as people type them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use octroi_types::UnixMicros;

const SYNTAX: &str = "a date like 2026-11-21, a time like 2026-11-21T18:30:00Z, or an age like \
                      30m, 24h, 7d or 4w";

/// Reads a date (its first moment in UTC), a time, or how long ago.
pub(crate) fn parse_moment(text: &str, now: UnixMicros) -> Result<UnixMicros, &'static str> {
    if let Some(age) = parse_age(text) {
        let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        return Ok(UnixMicros(now.0.saturating_sub(micros)));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(UnixMicros(time.as_microsecond()));
    }
    let is_date = text.parse::<Date>().is_ok() && text.len() == "2026-11-21".len();
    let is_local = text.parse::<DateTime>().is_ok() && text.contains(['T', ' ']);
    if !is_date && !is_local {
        return Err(SYNTAX);
    }
    let time = text.parse::<DateTime>().map_err(|_| SYNTAX)?;
    let zoned = time.to_zoned(TimeZone::UTC).map_err(|_| SYNTAX)?;
    Ok(UnixMicros(zoned.timestamp().as_microsecond()))
}

/// A whole number and one of `s`, `m`, `h`, `d`, `w`.
fn parse_age(text: &str) -> Option<Duration> {
    let unit_at = text.len().checked_sub(1)?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMicros = UnixMicros(1_763_769_600_000_000); // 2025-11-22T00:00:00Z

    fn shown(text: &str) -> String {
        parse_moment(text, NOW).map_or_else(str::to_owned, |time| time.to_string())
    }

    #[test]
    fn dates_times_and_ages_are_read() {
        for (text, time) in [
            ("2025-11-21", "2025-11-21T00:00:00.000000Z"),
            ("2025-11-21T18:30:00Z", "2025-11-21T18:30:00.000000Z"),
            ("2025-11-21T18:30:00+02:00", "2025-11-21T16:30:00.000000Z"),
            ("2025-11-21T18:30", "2025-11-21T18:30:00.000000Z"),
            ("2025-11-21 18:30:00", "2025-11-21T18:30:00.000000Z"),
            ("90s", "2025-11-21T23:58:30.000000Z"),
            ("24h", "2025-11-21T00:00:00.000000Z"),
            ("7d", "2025-11-15T00:00:00.000000Z"),
            ("1w", "2025-11-15T00:00:00.000000Z"),
        ] {
            assert_eq!(shown(text), time, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "h",
            "yesterday",
            "-1h",
            "+1h",
            "1.5h",
            "2025-13-01",
            "7",
            "1y",
            "é",
        ] {
            assert_eq!(parse_moment(text, NOW), Err(SYNTAX), "{text}");
        }
        // Far before the beginning of time is the beginning of time.
        assert!(parse_moment("99999999999w", NOW).is_ok_and(|time| time < NOW));
    }
}
