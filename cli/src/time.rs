//! Times: as arguments, as people read them, and as programs do.

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};

/// The longest hold.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// The time now.
#[expect(clippy::disallowed_methods, reason = "the one place of the command that reads a clock")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// A time in whole seconds since the Unix epoch, as items have it.
pub(crate) fn seconds(time: SystemTime) -> i64 {
    DateTime::from(time).secs()
}

/// Reads a length of time: `2h`, `90m`, `1h 30m`, `1d`.
pub(crate) fn length(text: &str) -> Result<Duration, String> {
    if let Some(unit) = calendar_unit(text) {
        let (what, minutes) = match unit {
            "M" => ("months", "2m for minutes, or "),
            "month" | "months" => ("months", ""),
            _ => ("years", ""),
        };
        return Err(format!("{unit} is {what}: write {minutes}days as 60d"));
    }
    let length = humantime::parse_duration(text)
        .map_err(|error| format!("{error}: write it like 2h, 90m or 1h30m"))?;
    if length.is_zero() {
        return Err("must be more than zero".to_owned());
    }
    if length > LONGEST {
        return Err("must be at most 365 days".to_owned());
    }
    Ok(length)
}

/// The first unit of a length that is no fixed time, or is easily taken for another.
fn calendar_unit(text: &str) -> Option<&str> {
    text.split(|letter: char| !letter.is_ascii_alphabetic()).find(|unit| {
        matches!(*unit, "M" | "month" | "months" | "y" | "yr" | "yrs" | "year" | "years")
    })
}

/// Reads a time: RFC 3339, in UTC or with an offset.
pub(crate) fn moment(text: &str) -> Result<SystemTime, String> {
    let advice = "write it like 2030-01-31T14:00:00Z, or with an offset like +01:00";
    let time = DateTime::from_str(text, DateTimeFormat::DateTimeWithOffset)
        .map_err(|_| format!("not a time: {advice}"))?;
    SystemTime::try_from(time).map_err(|_| format!("out of range: {advice}"))
}

/// A second in RFC 3339 and UTC; the number after an `@` if the year has more than four digits.
pub(crate) fn rfc3339(second: i64) -> String {
    let text = DateTime::from_secs(second).fmt(DateTimeFormat::DateTime);
    text.unwrap_or_else(|_| format!("@{second}"))
}

/// How far a second lies from now: `2 min ago`, `in 1 h 30 min`, `now`.
pub(crate) fn distance(now: SystemTime, second: i64) -> String {
    let away = second.saturating_sub(seconds(now));
    match away {
        0 => "now".to_owned(),
        1.. => format!("in {}", in_words(away.unsigned_abs())),
        ..0 => format!("{} ago", in_words(away.unsigned_abs())),
    }
}

/// A length of time in its largest unit, or its two largest: `40 s`, `2 min`, `1 h 30 min`.
pub(crate) fn in_words(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        small => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => two(seconds / HOUR, "h", seconds % HOUR / MINUTE, "min"),
        DAY.. => two(seconds / DAY, "d", seconds % DAY / HOUR, "h"),
    }
}

/// A length of time as it was given: `2 s`, `500 ms`.
pub(crate) fn in_short(length: Duration) -> String {
    match length.subsec_millis() {
        0 => in_words(length.as_secs()),
        _ => format!("{} ms", length.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(second)).unwrap()
    }

    #[test]
    fn a_length_needs_a_unit_and_has_a_bound() {
        for (text, seconds) in
            [("2h", 7_200), ("90m", 5_400), ("1h30m", 5_400), ("1h 30m", 5_400), ("45s", 45)]
        {
            assert_eq!(length(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for (text, told) in [
            ("2", "like 2h"),
            ("", "like 2h"),
            ("soon", "like 2h"),
            ("-2h", "like 2h"),
            ("0s", "more than zero"),
            ("366d", "at most 365 days"),
            ("999999999999999999d", "like 2h"),
            ("2M", "M is months: write 2m for minutes, or days as 60d"),
            ("1h 2M", "M is months"),
            ("2months", "months is months: write days as 60d"),
            ("1y", "y is years: write days as 60d"),
        ] {
            let error = length(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_time_needs_a_date_and_an_offset() {
        assert_eq!(moment("2030-01-31T14:00:00Z"), Ok(at(1_896_098_400)));
        assert_eq!(moment("2030-01-31T15:00:00+01:00"), Ok(at(1_896_098_400)));
        assert_eq!(moment("2030-01-31T14:00:00.5Z").map(seconds), Ok(1_896_098_400));
        for text in
            ["", "14:00", "tomorrow", "2030-01-31", "2030-01-31T14:00:00", "2030-02-31T14:00:00Z"]
        {
            let error = moment(text).unwrap_err();
            assert!(error.contains("like 2030-01-31T14:00:00Z"), "{text}: {error}");
        }
    }

    #[test]
    fn any_second_has_a_text_that_programs_read() {
        assert_eq!(rfc3339(1_896_098_400), "2030-01-31T14:00:00Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        for extreme in [i64::MIN, i64::MAX, 999_999_999_999] {
            assert_eq!(rfc3339(extreme), format!("@{extreme}"));
        }
    }

    #[test]
    fn a_distance_is_told_in_two_units_at_most() {
        let now = at(1_000_000);
        for (second, told) in [
            (1_000_000, "now"),
            (999_999, "1 s ago"),
            (999_880, "2 min ago"),
            (1_000_059, "in 59 s"),
            (1_007_200, "in 2 h"),
            (1_005_460, "in 1 h 31 min"),
            (1_000_000 - 90_000, "1 d 1 h ago"),
            (i64::MIN, "106751991167300 d 15 h ago"),
        ] {
            assert_eq!(distance(now, second), told);
        }
        assert!(distance(now, i64::MAX).starts_with("in 1067519911"));
    }
}
