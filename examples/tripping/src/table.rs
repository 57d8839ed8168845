//! The tables: what each rule makes of outages, background failures and bursts.

use std::{io, time::Duration};

use crate::{
    rules::{Setting, for_few_calls, for_many_calls},
    traffic::Traffic,
    weather::Weather,
};

const DAY: Duration = Duration::from_secs(86_400);
const MINUTES: Duration = Duration::from_secs(600);
/// The outages of each kind.
const SEEDS: u64 = 21;
/// The bursts of each size.
const BURSTS: u64 = 5;

/// Prints all of them.
pub(crate) fn print() {
    for (rate, title, settings) in [
        (1_000.0, "1,000 calls a second", for_many_calls()),
        (1.0, "1 call a second", for_few_calls()),
    ] {
        println!("## {title}\n\n{HEAD}");
        for setting in &settings {
            println!("{}", row(rate, setting).unwrap_or_else(|error| error.to_string()));
        }
        println!();
    }
}

const HEAD: &str = "| opens by | all fail | half fail | a fifth fails | openings a day, if 0.1 %, 1 %, 3 % fail | smallest burst |\n\
     |---|---|---|---|---|---|";

/// A line of a table: the middle of what the seeds came to, with the least and the most.
fn row(rate: f64, setting: &Setting) -> io::Result<String> {
    let mut openings = Vec::new();
    for failing in [1, 10, 30] {
        openings.push(openings_a_day(rate, setting, failing)?);
    }
    let [all, half, fifth] = outages(rate, setting)?;
    let (name, openings) = (setting.name, openings.join(", "));
    let burst = smallest_burst(rate, setting)?;
    Ok(format!("| {name} | {all} | {half} | {fifth} | {openings} | {burst} |"))
}

/// How often the circuit opens in a day in which nothing but single calls fails.
fn openings_a_day(rate: f64, setting: &Setting, failing: u32) -> io::Result<String> {
    let mut openings = Vec::new();
    for seed in setting.days.clone() {
        let day = Traffic { rate, lasting: DAY, seed, until_opened: false };
        let run = day.run(&setting.config, Weather::Background(failing), |_, _| {})?;
        openings.push(run.openings);
    }
    Ok(spread(openings, |count| thousands(*count)))
}

/// What the setting makes of outages in which all, half and a fifth of the calls fail.
fn outages(rate: f64, setting: &Setting) -> io::Result<[String; 3]> {
    Ok([noticed(rate, setting, 1_000)?, noticed(rate, setting, 500)?, noticed(rate, setting, 200)?])
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
        opened.extend(traffic.run(&setting.config, weather, |_, _| {})?.opened);
    }
    Ok(told(opened, from))
}

/// The outages that opened the circuit, in words.
fn told(opened: Vec<(u32, Duration)>, from: Duration) -> String {
    let seen = u64::try_from(opened.len()).unwrap_or(SEEDS);
    let (calls, times): (Vec<_>, Vec<_>) = opened.into_iter().unzip();
    let times = times.into_iter().map(|at| at.saturating_sub(from)).collect();
    let told = format!("{} calls, {}", spread(calls, |it| thousands(*it)), spread(times, time));
    match seen {
        0 => "not in 10 min".to_owned(),
        SEEDS => told,
        _ => format!("{seen} of {SEEDS}: {told}"),
    }
}

/// The smallest burst of failures in a row that opens it, amid calls that are all good.
fn smallest_burst(rate: f64, setting: &Setting) -> io::Result<String> {
    let from = Duration::from_secs(30);
    let mut smallest = Vec::new();
    for seed in 0..BURSTS {
        for calls in [2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 75, 100, 150, 200, 500, 1_000] {
            let lasting = from.saturating_add(MINUTES);
            let traffic = Traffic { rate, lasting, seed, until_opened: true };
            let run = traffic.run(&setting.config, Weather::Burst { calls, from }, |_, _| {})?;
            if run.opened.is_some() {
                smallest.push(calls);
                break;
            }
        }
    }
    Ok(spread(smallest, |calls| thousands(*calls)))
}

/// The middle one, and in brackets the least and the most, if they differ.
fn spread<T: Ord>(mut all: Vec<T>, shown: impl Fn(&T) -> String) -> String {
    all.sort_unstable();
    let middle = all.get(all.len().div_euclid(2));
    let [middle, least, most] =
        [middle, all.first(), all.last()].map(|it| it.map_or_else(String::new, &shown));
    if least == most { middle } else { format!("{middle} ({least} to {most})") }
}

fn thousands(count: u32) -> String {
    match (count.div_euclid(1_000), count.rem_euclid(1_000)) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{thousands},{rest:03}"),
    }
}

fn time(time: &Duration) -> String {
    if *time < Duration::from_secs(1) {
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

    /// The rows of a section of the page, by the name of the rule.
    fn rows(page: &str, title: &str) -> Vec<String> {
        let section = page.split("\n## ").find(|section| section.starts_with(title)).unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
        rows.map(str::to_owned).collect()
    }

    /// The whole of one table, and of the other what does not take minutes: its first row, without
    /// the days.
    #[test]
    fn the_page_has_the_figures_that_the_program_prints() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tripping.md");
        let page = std::fs::read_to_string(page).unwrap();
        let printed: Vec<_> = for_few_calls().iter().map(|it| row(1.0, it).unwrap()).collect();
        assert_eq!(rows(&page, "1 call a second"), printed);

        let default = for_many_calls().remove(0);
        let [all, half, fifth] = outages(1_000.0, &default).unwrap();
        let begins = format!("| {} | {all} | {half} | {fifth} | ", default.name);
        let first = rows(&page, "1,000 calls a second").remove(0);
        assert!(first.starts_with(&begins), "{begins}\n{first}");
    }

    #[test]
    fn figures_are_written_as_people_read_them() {
        assert_eq!([7, 999, 1_000, 12_045].map(thousands), ["7", "999", "1,000", "12,045"]);
        assert_eq!(time(&Duration::from_millis(7)), "7 ms");
        assert_eq!(time(&Duration::from_millis(1_260)), "1.3 s");
        assert_eq!(spread(vec![3, 1, 2], |it| thousands(*it)), "2 (1 to 3)");
        assert_eq!(spread(vec![3, 3], |it| thousands(*it)), "3");
        let at = |seconds| Duration::from_secs(seconds);
        assert_eq!(told(Vec::new(), at(1)), "not in 10 min");
        let seen = vec![(7, at(3)), (5, at(2)), (1_000, at(9))];
        assert_eq!(told(seen, at(1)), "3 of 21: 7 (5 to 1,000) calls, 2.0 s (1.0 s to 8.0 s)");
    }
}
