//! The dates that are read, and those that are not.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use proptest::prelude::*;

use super::*;

/// The date that RFC 9110 shows in each form.
const EXAMPLE: u64 = 784_111_777;

fn read(text: &str) -> Option<u64> {
    HttpDate::read(text, HttpDate::of_unix(EXAMPLE)).map(|date| date.0 - SECONDS_TO_1970)
}

/// A time in each of the three forms, by a calendar that counts years and months.
fn written(seconds: u64) -> [String; 3] {
    let (mut days, of_day) = (seconds / 86_400, seconds % 86_400);
    // The first of January of 1970 was a Thursday.
    let weekday = WEEKDAYS[usize::try_from((days + 3) % 7).unwrap()];
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 0;
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = |month: usize| lengths[month] + u64::from(month == 1 && is_leap(year));
    while days >= length(month) {
        days -= length(month);
        month += 1;
    }
    let (day, month, short) = (days + 1, MONTHS[month], weekday.split_at(3).0);
    let time = format!("{:02}:{:02}:{:02}", of_day / 3_600, of_day / 60 % 60, of_day % 60);
    [
        format!("{short}, {day:02} {month} {year:04} {time} GMT"),
        format!("{weekday}, {day:02}-{month}-{:02} {time} GMT", year % 100),
        format!("{short} {month} {day:2} {time} {year:04}"),
    ]
}

#[test]
fn the_three_forms_are_read() {
    for text in [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ] {
        assert_eq!(read(text), Some(EXAMPLE), "{text}");
    }
    assert_eq!(read("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
    assert_eq!(read("Sat, 31 Dec 2016 23:59:60 GMT"), Some(1_483_228_800), "a leap second");
    assert_eq!(read("Fri, 31 Dec 9999 23:59:59 GMT"), Some(253_402_300_799));
}

#[test]
fn what_is_nearly_a_date_is_none() {
    for text in [
        "",
        " ",
        "GMT",
        "Sun",
        "Sun, ",
        "Sun ",
        "Sun Nov ",
        "Sun Nov 6",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT GMT",
        "Sun,  06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov +994 08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Tue, 29 Feb 1994 08:49:37 GMT",
        "Mon, 29 Feb 1900 08:49:37 GMT",
        "Day, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sun Nov 06 08:49:37 1994 GMT",
        "Sun Nov é6 08:49:37 1994",
        "1994-11-06T08:49:37Z",
    ] {
        assert_eq!(read(text), None, "{text:?}");
    }
    assert_eq!(read("Tue, 29 Feb 2000 00:00:00 GMT"), Some(951_782_400));
}

#[test]
fn a_year_of_two_digits_is_at_most_fifty_years_ahead() {
    let year = |now: &str, digits: u64| {
        let now = HttpDate::read(now, HttpDate(0)).unwrap();
        let text = format!("Monday, 01-Jul-{digits:02} 12:00:00 GMT");
        HttpDate::read(&text, now).unwrap().0 / SECONDS_OF_A_YEAR
    };
    let now = "Mon, 30 Nov 2026 12:00:00 GMT";
    assert_eq!(year(now, 26), 2026);
    assert_eq!(year(now, 76), 2076);
    assert_eq!(year(now, 77), 1977);
    assert_eq!(year(now, 99), 1999);
    let now = "Fri, 31 Dec 1999 23:59:59 GMT";
    assert_eq!(year(now, 0), 2000);
    assert_eq!(year(now, 49), 2049);
    assert_eq!(year(now, 51), 1951);
}

proptest! {
    #[test]
    fn every_second_of_ten_thousand_years_is_read(
        seconds in 0_u64..253_402_300_800,
        shift in -49_i64..49,
    ) {
        let [fixdate, rfc_850, asctime] = written(seconds);
        prop_assert_eq!(read(&fixdate), Some(seconds), "{}", fixdate);
        prop_assert_eq!(read(&asctime), Some(seconds), "{}", asctime);
        let now = HttpDate::of_unix(seconds);
        let years = SECONDS_OF_A_YEAR * shift.unsigned_abs();
        let now = HttpDate(if shift < 0 { now.0 - years } else { now.0 + years });
        let read = HttpDate::read(&rfc_850, now);
        prop_assert_eq!(read, Some(HttpDate::of_unix(seconds)), "{} at {:?}", rfc_850, now);
    }

    #[test]
    fn no_text_is_too_strange_to_read(text in any::<String>(), now in any::<u64>()) {
        let _ = HttpDate::read(&text, HttpDate(now));
    }

    #[test]
    fn no_date_that_was_changed_is_too_strange_to_read(
        seconds in 0_u64..253_402_300_800,
        form in 0..3_usize,
        at in any::<prop::sample::Index>(),
        letter in any::<char>(),
        now in any::<u64>(),
    ) {
        let mut letters: Vec<_> = written(seconds)[form].chars().collect();
        let at = at.index(letters.len());
        letters[at] = letter;
        let _ = HttpDate::read(&letters.into_iter().collect::<String>(), HttpDate(now));
    }
}
