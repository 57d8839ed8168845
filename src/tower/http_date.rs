//! The dates of HTTP, in the three forms that RFC 9110 has recipients read (section 5.6.7).

/// Days from the first of March of the year 0 to the first of January of 1970.
const DAYS_TO_1970: u64 = 719_468;
const SECONDS_OF_A_DAY: u64 = 86_400;
const SECONDS_TO_1970: u64 = DAYS_TO_1970 * SECONDS_OF_A_DAY;
/// 365.2425 days: exact over 400 years, off by a day or two else.
const SECONDS_OF_A_YEAR: u64 = 31_556_952;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A second of the calendar, counted from the first of March of the year 0. Unlike a Unix time it
/// has room for each year of four digits without a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HttpDate(u64);

impl HttpDate {
    /// Returns the date of these seconds since the Unix epoch.
    pub(super) fn of_unix(seconds: u64) -> Self {
        Self(seconds.saturating_add(SECONDS_TO_1970))
    }

    /// Returns the number of seconds since another date; 0 if this one is not later.
    pub(super) fn seconds_since(self, other: Self) -> u64 {
        self.0.saturating_sub(other.0)
    }

    /// Reads a date. A year of two digits is the one that is at most 50 years after `now`. The name
    /// of the weekday is not compared with the date.
    pub(super) fn read(text: &str, now: Self) -> Option<Self> {
        match text.split_once(", ") {
            Some((weekday, rest)) if WEEKDAYS.contains(&weekday) => rfc_850(rest, now),
            Some((weekday, rest)) if is_short(weekday) => imf_fixdate(rest),
            Some(_) => None,
            None => asctime(text),
        }
    }

    fn new(year: u64, month: &str, day: u64, time: &str) -> Option<Self> {
        let month = u64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()?;
        // Years that begin in March end with the day that some have more. January and February
        // are of the year before: a year 0 has none, and nothing is lost by that.
        let months = month.checked_add(10)?.checked_rem(12)?;
        let year = if months < 10 { year } else { year.checked_sub(1)? };
        let before = days_before(months)?;
        // The last month is February, of the next year of the calendar.
        let length = match days_before(months.checked_add(1)?)?.checked_sub(before)? {
            length if months < 11 => length,
            _ if is_leap(year.checked_add(1)?) => 29,
            _ => 28,
        };
        if day == 0 || day > length {
            return None;
        }
        let of_year = before.checked_add(day)?.checked_sub(1)?;
        let leap_days = (year / 4).checked_sub(year / 100)?.checked_add(year / 400)?;
        let days = year.checked_mul(365)?.checked_add(leap_days)?.checked_add(of_year)?;
        days.checked_mul(SECONDS_OF_A_DAY)?.checked_add(time_of_day(time)?).map(Self)
    }
}

/// Returns the number of days of a year that begins in March before its month of this number.
fn days_before(months: u64) -> Option<u64> {
    Some(months.checked_mul(153)?.checked_add(2)? / 5)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Reads what follows the weekday in `Sun, 06 Nov 1994 08:49:37 GMT`.
fn imf_fixdate(text: &str) -> Option<HttpDate> {
    let [day, month, year, time, "GMT"] = fields(text, ' ')? else { return None };
    HttpDate::new(number(year, 4)?, month, number(day, 2)?, time)
}

/// Reads what follows the weekday in `Sunday, 06-Nov-94 08:49:37 GMT`.
fn rfc_850(text: &str, now: HttpDate) -> Option<HttpDate> {
    let [date, time, "GMT"] = fields(text, ' ')? else { return None };
    let [day, month, year] = fields(date, '-')?;
    let (of_century, day) = (number(year, 2)?, number(day, 2)?);
    // The centuries around `now`, the latest first.
    let century = (now.0 / SECONDS_OF_A_YEAR) / 100;
    let latest = now.0.saturating_add(SECONDS_OF_A_YEAR * 50);
    let centuries = [century.saturating_add(1), century, century.saturating_sub(1)];
    let mut dates = centuries.iter().filter_map(|century| {
        let year = century.saturating_mul(100).saturating_add(of_century);
        HttpDate::new(year, month, day, time)
    });
    dates.find(|date| date.0 <= latest)
}

/// Reads `Sun Nov  6 08:49:37 1994`.
fn asctime(text: &str) -> Option<HttpDate> {
    let (weekday, rest) = text.split_once(' ')?;
    let (month, rest) = rest.split_once(' ')?;
    // A day of one digit comes after a blank.
    let (day, rest) = match rest.strip_prefix(' ') {
        Some(rest) => (number(rest.get(..1)?, 1)?, rest.get(1..)?),
        None => (number(rest.get(..2)?, 2)?, rest.get(2..)?),
    };
    let [time, year] = fields(rest.strip_prefix(' ')?, ' ')?;
    if is_short(weekday) { HttpDate::new(number(year, 4)?, month, day, time) } else { None }
}

/// Reads `08:49:37` as seconds. A leap second is the first of the next minute.
fn time_of_day(text: &str) -> Option<u64> {
    let [hour, minute, second] = fields(text, ':')?;
    let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    hour.checked_mul(3_600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)
}

/// Whether this is the short name of a weekday.
fn is_short(name: &str) -> bool {
    name.len() == 3 && WEEKDAYS.iter().any(|weekday| weekday.starts_with(name))
}

/// Splits a text into exactly so many fields.
fn fields<const N: usize>(text: &str, separator: char) -> Option<[&str; N]> {
    let mut parts = text.split(separator);
    // A field that is missing is empty, which is no field of any date.
    let fields = std::array::from_fn(|_| parts.next().unwrap_or_default());
    parts.next().is_none().then_some(fields)
}

/// Reads a number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
