//! The tables: what each rule makes of outages, background failures and bursts.

use std::{io, time::Duration};

use crate::{
    rules::{Setting, for_few_calls, for_many_calls},
    traffic::Traffic,
    weather::Weather,
};

const DAY: Duration = Duration::from_secs(86_400);
const MINUTES: Duration = Duration::from_secs(600);
/// The median of so many runs.
const SEEDS: u64 = 21;

/// Prints all of them.
pub(crate) fn print() {
    for (rate, title, settings) in [
        (1_000.0, "1,000 calls a second", for_many_calls()),
        (1.0, "1 call a second", for_few_calls()),
    ] {
        println!("### {title}\n");
        println!("{HEAD}");
        for setting in &settings {
            let cells = row(rate, setting).unwrap_or_else(|error| vec![error.to_string()]);
            println!("| {} | {} |", setting.name, cells.join(" | "));
        }
        println!();
    }
}

const HEAD: &str = "| opens by | all fail | half fail | a fifth fails | openings a day, if 0.1 %, 1 %, 3 % fail | smallest burst |\n\
     |---|---|---|---|---|---|";

fn row(rate: f64, setting: &Setting) -> io::Result<Vec<String>> {
    let mut cells = Vec::new();
    for failing in [1_000, 500, 200] {
        cells.push(noticed(rate, setting, failing)?);
    }
    let mut openings = Vec::new();
    for failing in [1, 10, 30] {
        let day = Traffic { rate, lasting: DAY, seed: 7, until_opened: false };
        let run = day.run(&setting.config, Weather::Background(failing), |_, _| {})?;
        openings.push(run.openings.to_string());
    }
    cells.push(openings.join(", "));
    cells.push(smallest_burst(rate, setting)?);
    Ok(cells)
}

/// Failing calls until the circuit opens, and the time, of an outage of ten minutes. One call in a
/// hundred failed before it.
fn noticed(rate: f64, setting: &Setting, failing: u32) -> io::Result<String> {
    let from = Duration::from_secs(30);
    let weather = Weather::Spell { failing, else_failing: 10, from, lasting: MINUTES };
    let mut opened = Vec::new();
    for seed in 0..SEEDS {
        let lasting = from.saturating_add(MINUTES);
        let traffic = Traffic { rate, lasting, seed, until_opened: true };
        let run = traffic.run(&setting.config, weather, |_, _| {})?;
        opened.push(run.opened);
    }
    // Those that never open are the last.
    opened.sort_by_key(|opened| (opened.is_none(), *opened));
    Ok(match opened.get(opened.len().div_euclid(2)).copied().flatten() {
        Some((failed, at)) => {
            format!("{} calls, {}", thousands(failed), time(at.saturating_sub(from)))
        }
        None => "not in 10 min".to_owned(),
    })
}

/// The smallest burst of failures in a row that opens it, amid calls that are all good.
fn smallest_burst(rate: f64, setting: &Setting) -> io::Result<String> {
    let from = Duration::from_secs(30);
    for calls in [2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 75, 100, 150, 200, 500, 1_000] {
        let lasting = from.saturating_add(MINUTES);
        let traffic = Traffic { rate, lasting, seed: 3, until_opened: true };
        let run = traffic.run(&setting.config, Weather::Burst { calls, from }, |_, _| {})?;
        if run.opened.is_some() {
            return Ok(thousands(calls));
        }
    }
    Ok("none up to 1,000".to_owned())
}

fn thousands(count: u32) -> String {
    match (count.div_euclid(1_000), count.rem_euclid(1_000)) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{thousands},{rest:03}"),
    }
}

fn time(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        return format!("{} ms", time.as_millis());
    }
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(rate: f64, setting: &Setting, weather: Weather) -> bool {
        let lasting = Duration::from_secs(90);
        let traffic = Traffic { rate, lasting, seed: 1, until_opened: true };
        traffic.run(&setting.config, weather, |_, _| {}).unwrap().opened.is_some()
    }

    #[test]
    fn every_setting_of_the_tables_opens_in_an_outage_and_not_without_one() {
        let from = Duration::from_secs(30);
        let lasting = Duration::from_secs(60);
        let outage = Weather::Spell { failing: 1_000, else_failing: 0, from, lasting };
        for (rate, settings) in [(1_000.0, for_many_calls()), (1.0, for_few_calls())] {
            for setting in settings {
                assert!(opened(rate, &setting, outage), "{}", setting.name);
                assert!(!opened(rate, &setting, Weather::Background(0)), "{}", setting.name);
            }
        }
    }

    #[test]
    fn figures_are_written_as_people_read_them() {
        assert_eq!([7, 999, 1_000, 12_045].map(thousands), ["7", "999", "1,000", "12,045"]);
        assert_eq!(time(Duration::from_millis(7)), "7 ms");
        assert_eq!(time(Duration::from_millis(1_260)), "1.3 s");
    }
}
