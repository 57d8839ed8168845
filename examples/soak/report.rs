//! What a run came to, as a table, and whether all held.

use std::{collections::BTreeMap, fmt::Write as _, sync::PoisonError, time::Duration};

use crate::{
    announced::Announced, booked::Counts, checker::Checks, judge::bench::Findings, load::Tally,
    meter::Sample, plan::Plan, relay::Traffic,
};

/// By how much the least of the last third may be above that of the second, per cent.
const GROWTH_PERCENT: u64 = 5;

/// A run in which outages must be seen under a healthy store.
const LONG_ENOUGH: Duration = Duration::from_secs(60);

/// Tasks of the registries' runtime, and of the engine's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tasks {
    pub(crate) before: usize,
    pub(crate) after: usize,
    pub(crate) engine_after: usize,
}

/// Everything that was counted.
pub(crate) struct Report {
    pub(crate) plan: Plan,
    pub(crate) samples: Vec<Sample>,
    pub(crate) tally: std::sync::Arc<Tally>,
    pub(crate) findings: std::sync::Arc<Findings>,
    pub(crate) checks: std::sync::Arc<Checks>,
    pub(crate) announced: std::sync::Arc<Announced>,
    pub(crate) traffic: std::sync::Arc<Traffic>,
    pub(crate) operations: BTreeMap<&'static str, Counts>,
    pub(crate) tasks: Tasks,
    pub(crate) spawned_in: Duration,
    pub(crate) warmed_in: Duration,
    pub(crate) whole: Duration,
}

impl Report {
    /// The table, and why the run is a failure; nothing if it is none.
    pub(crate) fn render(&self) -> (String, Vec<String>) {
        let mut text = String::new();
        let mut faults = Vec::new();
        self.calls(&mut text, &mut faults);
        self.transitions(&mut text);
        self.store(&mut text);
        self.outcomes(&mut text, &mut faults);
        self.admissions(&mut text, &mut faults);
        self.memory(&mut text, &mut faults);
        self.tasks(&mut text, &mut faults);
        let times = format!(
            "spawned in {:.2?}, called first in {:.1?}, load {:.0?}, all {:.1?}",
            self.spawned_in, self.warmed_in, self.plan.duration, self.whole
        );
        row(&mut text, "time", &times);
        (text, faults)
    }

    fn calls(&self, text: &mut String, faults: &mut Vec<String>) {
        let tally = &self.tally;
        let counts = [
            ("answered", read(&tally.answered)),
            ("failed", read(&tally.failed)),
            ("panicked", read(&tally.panicked)),
            ("dropped", read(&tally.dropped)),
            ("cancelled", read(&tally.cancelled)),
        ];
        let admitted = counts.iter().map(|(_, count)| *count).fold(0, u64::saturating_add);
        let rejected = read(&tally.rejected);
        let all = admitted.saturating_add(rejected);
        row(text, "calls", &format!("{all}: {admitted} admitted, {rejected} rejected"));
        row(text, "  admitted", &list(counts.into_iter()));
        row(text, "  handles made for a call", &read(&tally.handles).to_string());
        let wrong = read(&tally.wrong_results);
        row(text, "  results not the call's own", &wrong.to_string());
        if wrong > 0 {
            faults.push(format!("{wrong} calls had a result that was not their own"));
        }
    }

    fn transitions(&self, text: &mut String) {
        let mut rows: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
        for ((what, by), count) in self.announced.counts() {
            rows.entry(what).or_default().push((by, count));
        }
        row(text, "transitions", "");
        for (what, counts) in rows {
            row(text, &format!("  {what}"), &list(counts.into_iter()));
        }
    }

    fn store(&self, text: &mut String) {
        row(text, "store operations", "");
        for (name, counts) in &self.operations {
            let counts =
                [("done", counts.done), ("refused", counts.refused), ("failed", counts.failed)];
            let counts = counts.into_iter().filter(|(_, count)| *count > 0);
            row(text, &format!("  {name}"), &list(counts));
        }
        let requests = self.traffic.requests();
        let requests = requests.iter().map(|(name, count)| (name.as_str(), *count));
        row(text, "DynamoDB requests", &list(requests));
        let most = self.traffic.most_connections();
        row(text, "  connections at once", &format!("{most} at most"));
        row(text, "faults injected", &list(self.traffic.faults().into_iter()));
    }

    fn outcomes(&self, text: &mut String, faults: &mut Vec<String>) {
        let checks = &self.checks;
        let lost = checks.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let figures = format!(
            "{}; {} outcomes on {} circuits checked, {} circuits audited",
            lost.len(),
            read(&checks.outcomes),
            read(&checks.circuits),
            read(&checks.audited),
        );
        row(text, "lost outcomes", &figures);
        faults.extend(lost.iter().map(|lost| format!("lost outcome: {lost}")));
        if read(&checks.circuits) == 0 || read(&checks.audited) == 0 {
            faults.push("no outcome was checked".to_owned());
        }
    }

    fn admissions(&self, text: &mut String, faults: &mut Vec<String>) {
        let findings = &self.findings;
        let wrong = findings.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let figures = format!(
            "{}; {} calls and {} probes in {} outages of dependencies under a healthy store, \
             {} under a faulty one",
            wrong.len(),
            read(&findings.calls),
            read(&findings.probes),
            read(&findings.strict),
            read(&findings.lenient),
        );
        row(text, "wrong admissions", &figures);
        faults.extend(wrong.iter().map(|wrong| format!("wrong admission: {wrong}")));
        let stalls = read(&self.tally.stalls);
        row(text, "  runtime late by 250 ms", &format!("{stalls} times"));
        // A short run on a busy machine may have no healthy time that is long enough.
        if read(&findings.strict) == 0 && self.plan.duration >= LONG_ENOUGH {
            faults.push("no outage was judged under a healthy store".to_owned());
        }
    }

    fn memory(&self, text: &mut String, faults: &mut Vec<String>) {
        let third = self.plan.duration.checked_div(3).unwrap_or_default();
        let last_third = third.saturating_mul(2);
        let of = |from: Duration, until: Duration| {
            let samples = self.samples.iter().filter(move |one| (from..until).contains(&one.at));
            samples.map(|one| one.allocated)
        };
        // The least of each third: what is left between bursts of connections.
        let second = of(third, last_third).min().unwrap_or(0);
        let last = of(last_third, Duration::MAX).min().unwrap_or(0);
        let peak = of(Duration::ZERO, Duration::MAX).max().unwrap_or(0);
        let first = self.samples.first().map_or(0, |one| one.allocated);
        let figures = format!(
            "at first {}, at least {} in the second third, {} in the last, peak {}",
            mib(first),
            mib(second),
            mib(last),
            mib(peak),
        );
        row(text, "allocated (MiB)", &figures);
        let step = self.samples.len().div_ceil(20).max(1);
        let series: Vec<_> =
            self.samples.iter().step_by(step).map(|one| mib(one.allocated)).collect();
        row(text, &format!("  every {step} s"), &series.join(" "));
        let series: Vec<_> =
            self.samples.iter().step_by(step).map(|one| mib(one.resident)).collect();
        row(text, "  resident", &series.join(" "));
        let most = second.saturating_mul(100_u64.saturating_add(GROWTH_PERCENT));
        if last.saturating_mul(100) > most {
            faults.push(format!("allocated memory grew from {} to {} MiB", mib(second), mib(last)));
        }
    }

    fn tasks(&self, text: &mut String, faults: &mut Vec<String>) {
        let Tasks { before, after, engine_after } = self.tasks;
        let peak = self.samples.iter().map(|one| one.tasks).max().unwrap_or(0);
        let figures = format!(
            "{before} before, {peak} at most, {after} after; the engine's {engine_after} after"
        );
        row(text, "tasks", &figures);
        if after != before || engine_after > 0 {
            faults.push("tasks are left".to_owned());
        }
        for one in self.samples.iter().filter(|one| one.tasks > one.most) {
            faults.push(format!("{} tasks at {:.0?}, at most {}", one.tasks, one.at, one.most));
        }
    }
}

fn read(count: &std::sync::atomic::AtomicU64) -> u64 {
    count.load(std::sync::atomic::Ordering::Relaxed)
}

fn row(text: &mut String, label: &str, figures: &str) {
    let line = format!("{label:<30}{figures}");
    // Writing into a string does not fail.
    let _ = writeln!(text, "{}", line.trim_end());
}

fn list<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> String {
    let counts: Vec<_> = counts.map(|(name, count)| format!("{count} {name}")).collect();
    counts.join(", ")
}

/// Mebibytes with one decimal.
pub(crate) fn mib(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{}", tenths / 10, tenths % 10)
}
