//! What a run came to, as a table, and whether all held.

use std::{collections::BTreeMap, fmt::Write as _, sync::PoisonError, time::Duration};

use crate::{
    booked::Counts, checker::Checks, engine::line::Counted, judge::judged::Findings,
    ledger::Compared, load::Tally, meter::Sample, plan::Plan, quiet::Quiet, run::Measured,
};

/// Bytes for each circuit at rest by which what is allocated then may grow in the
/// first phase, in which everything is used first, and in each later one: queues
/// keep the room that they once needed, and some need a little more each time. The
/// first failure of a circuit makes the lines in which its threads count, 2,432 bytes,
/// which it keeps.
const FIRST_USE: u64 = 4_096 + 2_432;
const GROWTH: u64 = 256;

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
    pub(crate) measured: Measured,
    pub(crate) tally: std::sync::Arc<Tally>,
    pub(crate) findings: std::sync::Arc<Findings>,
    pub(crate) checks: std::sync::Arc<Checks>,
    pub(crate) announced: BTreeMap<(&'static str, &'static str), u64>,
    pub(crate) compared: Compared,
    pub(crate) counted: Counted,
    pub(crate) operations: BTreeMap<&'static str, Counts>,
    pub(crate) tasks: Tasks,
    pub(crate) whole: Duration,
}

impl Report {
    /// The table, and why the run is a failure; nothing if it is none.
    pub(crate) fn render(&self) -> (String, Vec<String>) {
        let mut text = String::new();
        let mut faults = Vec::new();
        self.calls(&mut text, &mut faults);
        self.transitions(&mut text);
        self.comparison(&mut text, &mut faults);
        self.store(&mut text);
        self.outcomes(&mut text, &mut faults);
        self.admissions(&mut text, &mut faults);
        self.memory(&mut text, &mut faults);
        self.tasks(&mut text, &mut faults);
        let times = format!(
            "spawned in {:.2?}, called first in {:.1?}, load {:.0?}, all {:.1?}",
            self.measured.spawned_in, self.measured.called_in, self.plan.duration, self.whole
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
        for ((what, by), count) in &self.announced {
            rows.entry(what).or_default().push((by, *count));
        }
        row(text, "transitions", "");
        for (what, counts) in rows {
            row(text, &format!("  {what}"), &list(counts.into_iter()));
        }
    }

    fn comparison(&self, text: &mut String, faults: &mut Vec<String>) {
        let compared = &self.compared;
        let figures =
            format!("{}; {} told as local, each written once", compared.wrong, compared.matched);
        row(text, "wrongly told", &figures);
        let counts = [
            ("recognised after a lost answer", compared.recognised),
            ("told before, without the store", compared.told_before),
            ("with a lost answer, not told", compared.lost),
            ("with a late answer, not told", compared.late),
        ];
        row(text, "  written", &list(counts.into_iter()));
        let figures = format!(
            "{} written; {} transitions missed by a subscriber that lagged",
            compared.not_judged, compared.missed
        );
        row(text, "  not judged", &figures);
        faults.extend(compared.faults.iter().map(|fault| format!("wrongly told: {fault}")));
        if compared.matched == 0 {
            faults.push("no transition was compared with its write".to_owned());
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
        let requests = self.counted.requests.iter().map(|(name, count)| (name.as_str(), *count));
        row(text, "DynamoDB requests", &list(requests));
        let most = self.counted.most_connections;
        row(text, "  connections at once", &format!("{most} at most"));
        let faults = self.counted.faults.iter().map(|(name, count)| (name.as_str(), *count));
        row(text, "faults injected", &list(faults));
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
        let quiet = &self.measured.quiet;
        let all = |of: fn(&Quiet) -> String| quiet.iter().map(of).collect::<Vec<_>>().join(" ");
        row(text, "at rest (KiB)", &all(|one| one.allocated.div_ceil(1_024).to_string()));
        row(text, "  with all circuits (MiB)", &all(|one| mib(one.with_all)));
        row(text, "  resident (MiB)", &all(|one| mib(one.resident)));
        row(text, "  the engine's (MiB)", &all(|one| mib(one.engine)));
        row(text, "  circuits, tasks", &all(|one| format!("{}, {};", one.circuits, one.tasks)));
        let samples = &self.measured.samples;
        let step = samples.len().div_ceil(20).max(1);
        let every = |of: fn(&Sample) -> u64| {
            let series: Vec<_> = samples.iter().step_by(step).map(|one| mib(of(one))).collect();
            series.join(" ")
        };
        row(text, "allocated (MiB)", &every(|one| one.allocated));
        row(text, "  resident", &every(|one| one.resident));
        row(text, "  the engine's", &every(|one| one.engine));
        for (number, one) in quiet.iter().enumerate() {
            if (one.circuits, one.tasks) != (one.circuits_expected, one.tasks_expected) {
                faults.push(format!("after phase {number} not all came to rest: {one:?}"));
            }
        }
        for (number, (earlier, one)) in quiet.iter().zip(quiet.iter().skip(1)).enumerate() {
            let each = if number == 0 { FIRST_USE } else { GROWTH };
            let circuits = u64::try_from(one.circuits).unwrap_or(u64::MAX);
            let most = earlier.allocated.saturating_add(circuits.saturating_mul(each));
            if one.allocated > most {
                let [from, to] = [earlier.allocated, one.allocated].map(|bytes| bytes >> 10);
                faults.push(format!("phase {number} left {to} KiB at rest, {from} before it"));
            }
        }
    }

    fn tasks(&self, text: &mut String, faults: &mut Vec<String>) {
        let Tasks { before, after, engine_after } = self.tasks;
        let peak = self.measured.samples.iter().map(|one| one.tasks).max().unwrap_or(0);
        let figures = format!(
            "{before} before, {peak} at most, {after} after; the engine's {engine_after} after"
        );
        row(text, "tasks", &figures);
        if after != before || engine_after > 0 {
            faults.push("tasks are left".to_owned());
        }
        for one in self.measured.samples.iter().filter(|one| one.tasks > one.most) {
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
