//! The oracle for admissions: what the crate promises of one circuit whose
//! dependency is dead, judged by what callers saw. It knows nothing of the
//! crate's own view of the circuit.
//!
//! An *episode* is the time in which a dependency that was well is dead. All
//! instants are the callers' own, taken so that no admission is judged wrong for
//! having been measured: a start before asking, an end before reporting, a return
//! after the report has settled. T, R and C are the failure threshold, the
//! recovery timeout and the age of the cache.
//!
//! *Strict*, when every store operation of every registry was answered for
//! longer than a back-off lasts, before and during the episode:
//!
//! 1. After the T-th failing call returned in a registry, no ordinary call that
//!    starts there is admitted, until the end of the episode: nothing but good
//!    probes could close the circuit.
//! 2. C and the store's limit after the first of these, none is admitted in any
//!    registry.
//! 3. No two probes run at once, in the whole fleet.
//! 4. No probe is admitted before R is over since the first T-th failure, nor
//!    since an earlier failed probe.
//!
//! *Otherwise* streaks may be dropped for a newer epoch, but not often:
//!
//! 5. A registry that fails open lets through no more than T failing calls for
//!    each age of the cache, and T more at either end.
//! 6. One that protects lets through T for itself, and T more for each registry
//!    whose closing may have been written late.
//! 7. In an outage, from the store's limit after it began, a registry knows
//!    nothing new: it lets through T failing calls at most, and failing probes
//!    R apart.
//! 8. If it protects, and has rejected a call in that time, it lets none through
//!    that is no probe.
//!
//! In 5 to 7, calls of other tasks that run when the T-th ends come on top.

pub(crate) mod judged;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use crate::plan::Plan;

/// How an admitted call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Answered,
    Failed,
    NoVerdict,
}

/// An admitted call, as its caller saw it.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) registry: usize,
    /// Whether it was a probe; `None` where the caller is not told.
    pub(crate) probe: Option<bool>,
    /// Before it asked.
    pub(crate) started: Duration,
    /// After it was admitted.
    pub(crate) admitted: Duration,
    /// Before it reported.
    pub(crate) ended: Duration,
    /// After what it reported had settled.
    pub(crate) returned: Duration,
    pub(crate) ending: Ending,
}

/// A call that a protecting registry rejected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rejection {
    pub(crate) registry: usize,
    pub(crate) started: Duration,
    pub(crate) returned: Duration,
}

/// On one line, in milliseconds.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let probe = match self.probe {
            Some(true) => "probe",
            Some(false) => "call",
            None => "call or probe",
        };
        let [started, admitted, ended, returned] =
            [self.started, self.admitted, self.ended, self.returned]
                .map(|at| at.as_secs_f64() * 1_000.0);
        write!(
            f,
            "{probe} in {}: {started:.1} {admitted:.1} {ended:.1} {returned:.1} {:?}",
            self.registry, self.ending
        )
    }
}

/// One death of a dependency.
#[derive(Clone)]
pub(crate) struct Episode {
    pub(crate) from: Duration,
    pub(crate) until: Duration,
    pub(crate) entries: Vec<Entry>,
    pub(crate) rejections: Vec<Rejection>,
    /// The registries that call this circuit.
    pub(crate) registries: Vec<usize>,
    /// Whether all their stores were healthy for long enough.
    pub(crate) strict: bool,
    /// Each registry's outages, in the same order.
    pub(crate) outages: Vec<Vec<(Duration, Duration)>>,
}

impl fmt::Debug for Episode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Episode")
            .field("from", &self.from)
            .field("until", &self.until)
            .field("strict", &self.strict)
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) rule: u8,
    pub(crate) count: usize,
    pub(crate) registry: usize,
}

/// Failing calls that may still run when the T-th one ends.
const ALSO_RUNNING: usize = Plan::CALLERS - 1;

impl Episode {
    /// Everything in it that should not have been.
    pub(crate) fn judge(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        if self.strict {
            self.after_the_threshold(&mut wrong);
            self.late_in_the_fleet(&mut wrong);
            self.probes_at_once(&mut wrong);
            self.early_probes(&mut wrong);
        } else {
            self.too_many(&mut wrong);
        }
        self.in_outages(&mut wrong);
        wrong
    }

    /// The calls of the dead time, of one registry or all.
    fn calls(&self, registry: Option<usize>) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |call| {
            call.started >= self.from
                && call.admitted <= self.until
                && registry.is_none_or(|one| one == call.registry)
        })
    }

    /// Whether a call surely was no probe. Before R has passed there is none.
    fn is_ordinary(&self, call: &Entry) -> bool {
        let before_any =
            self.strict && call.admitted < self.from.saturating_add(Plan::RECOVERY_TIMEOUT);
        call.probe.map_or(before_any, |probe| !probe)
    }

    /// When a registry's T-th failing call in a row had surely returned.
    fn tripped(&self, registry: usize) -> Option<Duration> {
        // A call of before may still have answered, and have ended a streak.
        let answered = self
            .entries
            .iter()
            .filter(|call| call.registry == registry && call.ending == Ending::Answered)
            .filter(|call| call.started < self.from)
            .map(|call| call.returned)
            .max()
            .unwrap_or(self.from);
        let failures = self.calls(Some(registry)).filter(|call| {
            call.ending == Ending::Failed && self.is_ordinary(call) && call.ended > answered
        });
        let mut failures: Vec<_> = failures.collect();
        failures.sort_by_key(|call| call.returned);
        let last = failures.get(Plan::FAILURE_THRESHOLD - 1)?;
        // What took as long as the store's limit may not have waited for the actor.
        let waited = |call: &&Entry| call.returned.saturating_sub(call.ended) < Plan::STORE_LIMIT;
        failures.iter().take(Plan::FAILURE_THRESHOLD).all(waited).then_some(last.returned)
    }

    /// The earliest that a registry can have tripped. Calls of before count, as
    /// far as they failed.
    fn may_have_tripped(&self, registry: usize) -> Option<Duration> {
        let failures = self
            .entries
            .iter()
            .filter(|call| call.registry == registry && call.ending == Ending::Failed);
        let mut ends: Vec<_> = failures.map(|call| call.ended).collect();
        ends.sort();
        ends.get(Plan::FAILURE_THRESHOLD - 1).copied()
    }

    fn first_opening(&self) -> Option<Duration> {
        self.registries.iter().filter_map(|one| self.may_have_tripped(*one)).min()
    }

    /// Rule 1. A call that may have been a probe is judged where none may run.
    fn after_the_threshold(&self, wrong: &mut Vec<Wrong>) {
        let no_probe_before =
            self.first_opening().map(|at| at.saturating_add(Plan::RECOVERY_TIMEOUT));
        for registry in self.registries.iter().copied() {
            let Some(tripped) = self.tripped(registry) else {
                continue;
            };
            let calls = self.calls(Some(registry)).filter(|call| call.started > tripped);
            let calls = calls.filter(|call| match call.probe {
                Some(probe) => !probe,
                None => no_probe_before.is_some_and(|before| call.admitted < before),
            });
            note(1, registry, calls.count(), wrong);
        }
    }

    /// Rule 2.
    fn late_in_the_fleet(&self, wrong: &mut Vec<Wrong>) {
        let Some(first) = self.registries.iter().filter_map(|one| self.tripped(*one)).min() else {
            return;
        };
        let known = first.saturating_add(Plan::CACHE_AGE).saturating_add(Plan::STORE_LIMIT);
        for registry in self.registries.iter().copied() {
            let calls = self.calls(Some(registry));
            let late = calls.filter(|call| call.started > known && call.probe == Some(false));
            note(2, registry, late.count(), wrong);
        }
    }

    /// Rule 3.
    fn probes_at_once(&self, wrong: &mut Vec<Wrong>) {
        let mut probes: Vec<_> = self.calls(None).filter(|call| call.probe == Some(true)).collect();
        probes.sort_by_key(|call| call.admitted);
        let mut busy_until = Duration::ZERO;
        for probe in probes {
            note(3, probe.registry, usize::from(probe.admitted < busy_until), wrong);
            busy_until = busy_until.max(probe.ended);
        }
    }

    /// Rule 4.
    fn early_probes(&self, wrong: &mut Vec<Wrong>) {
        let Some(mut opened) = self.first_opening() else {
            return;
        };
        let mut probes: Vec<_> = self.calls(None).filter(|call| call.probe == Some(true)).collect();
        probes.sort_by_key(|call| call.admitted);
        for probe in probes {
            let is_early = probe.admitted < opened.saturating_add(Plan::RECOVERY_TIMEOUT);
            note(4, probe.registry, usize::from(is_early), wrong);
            if probe.ending == Ending::Failed {
                opened = opened.max(probe.ended);
            }
        }
    }

    /// Rules 5 and 6.
    fn too_many(&self, wrong: &mut Vec<Wrong>) {
        let length = self.until.saturating_sub(self.from);
        let ages = length.as_nanos().div_ceil(Plan::CACHE_AGE.as_nanos());
        let ages = usize::try_from(ages).unwrap_or(usize::MAX);
        for registry in self.registries.iter().copied() {
            let (rule, streaks) = match Plan::protects(registry) {
                true => (6, self.registries.len().saturating_add(1)),
                false => (5, ages.saturating_add(2)),
            };
            let most = streaks.saturating_mul(Plan::FAILURE_THRESHOLD + ALSO_RUNNING);
            let failed = self.ordinary_failures(registry, self.from, self.until);
            note(rule, registry, failed.saturating_sub(most), wrong);
        }
    }

    fn ordinary_failures(&self, registry: usize, from: Duration, until: Duration) -> usize {
        let calls = self.calls(Some(registry)).filter(|call| {
            call.probe == Some(false)
                && call.ending == Ending::Failed
                && call.started >= from
                && call.admitted <= until
        });
        calls.count()
    }

    /// Ordinary calls that started after a call was rejected.
    fn let_through(&self, registry: usize, from: Duration, until: Duration) -> usize {
        let rejected = self
            .rejections
            .iter()
            .filter(|call| call.registry == registry && call.started >= from.max(self.from));
        let Some(rejected) = rejected.map(|call| call.returned).min() else {
            return 0;
        };
        let calls = self.calls(Some(registry)).filter(|call| {
            call.probe == Some(false) && call.started > rejected && call.admitted <= until
        });
        calls.count()
    }

    /// Rules 7 and 8.
    fn in_outages(&self, wrong: &mut Vec<Wrong>) {
        for (registry, outages) in self.registries.iter().copied().zip(&self.outages) {
            for (began, ended) in outages.iter().copied() {
                let (from, until) =
                    (began.saturating_add(Plan::STORE_LIMIT), ended.min(self.until));
                let failed = self.ordinary_failures(registry, from, until);
                let most = Plan::FAILURE_THRESHOLD + ALSO_RUNNING;
                note(7, registry, failed.saturating_sub(most), wrong);
                if Plan::protects(registry) {
                    note(8, registry, self.let_through(registry, from, until), wrong);
                }
                let mut probes: Vec<_> = self
                    .calls(Some(registry))
                    .filter(|call| call.probe == Some(true) && call.ending == Ending::Failed)
                    .filter(|call| call.started >= from && call.admitted <= until)
                    .collect();
                probes.sort_by_key(|call| call.admitted);
                for (earlier, later) in probes.iter().zip(probes.iter().skip(1)) {
                    let is_early =
                        later.admitted < earlier.ended.saturating_add(Plan::RECOVERY_TIMEOUT);
                    note(7, registry, usize::from(is_early), wrong);
                }
            }
        }
    }
}

fn note(rule: u8, registry: usize, count: usize, wrong: &mut Vec<Wrong>) {
    if count > 0 {
        wrong.push(Wrong { rule, count, registry });
    }
}
