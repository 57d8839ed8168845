//! Tables as documents have them.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    time::Duration,
};

/// Rows under a title.
pub(crate) struct Table {
    text: String,
}

impl Table {
    pub(crate) fn new(title: &str, columns: &[&str]) -> Self {
        let mut table = Self { text: format!("\n{title}\n\n") };
        table.row(columns);
        table.row(&vec!["---"; columns.len()]);
        table
    }

    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: &[T]) {
        let cells: Vec<_> = cells.iter().map(AsRef::as_ref).collect();
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }

    /// Writes it to the standard output. Nobody is left to be told when nobody
    /// reads it.
    pub(crate) fn show(&self) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(self.text.as_bytes()).and_then(|()| out.flush());
    }
}

/// With a comma between thousands.
pub(crate) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digits.len().saturating_sub(place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// In the unit that suits it.
pub(crate) fn time(duration: Duration) -> String {
    let nanos = duration.as_secs_f64() * 1e9;
    match nanos {
        ..1e3 => format!("{nanos:.0} ns"),
        ..1e6 => format!("{:.1} µs", nanos / 1e3),
        ..1e9 => format!("{:.1} ms", nanos / 1e6),
        _ => format!("{:.2} s", nanos / 1e9),
    }
}

/// The duration for each of so many.
pub(crate) fn each(duration: Duration, count: usize) -> Duration {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    duration.checked_div(count).unwrap_or_default()
}

/// The value below which so many in a hundred lie.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let place = sorted.len().saturating_sub(1).saturating_mul(percent).checked_div(100);
    place.and_then(|place| sorted.get(place)).copied().unwrap_or_default()
}

/// As a number, to be subtracted.
pub(crate) fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// The median of differences, and its 95 % interval, by the ranks that the binomial
/// distribution gives.
pub(crate) fn median_difference(mut nanos: Vec<f64>) -> String {
    nanos.sort_by(f64::total_cmp);
    let middle = nanos.len() / 2;
    let about = nanos.len().isqrt().saturating_add(1);
    let at = |rank: usize| nanos.get(rank).copied().unwrap_or_default();
    let (least, most) = (at(middle.saturating_sub(about)), at(middle.saturating_add(about)));
    format!("{:+.0} ns ({least:+.0} to {most:+.0})", at(middle))
}
