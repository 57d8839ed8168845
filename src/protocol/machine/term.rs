//! How long an opening lasts: by the settings, by the hints of the record, or as a call asked.

use std::{num::NonZeroU32, time::Duration};

use super::{
    Machine,
    phase::{Before, Phase, Recovery, Term},
    prober::Prober,
    storage::{TTL_SLACK, seconds_up},
};
use crate::{
    config::Config,
    protocol::record::{MOST_FAILED_PROBES, Record},
    state::CircuitState,
};

impl Machine {
    /// Returns the term of a trip at this stamp, after the failed probes that the cached record
    /// tells of.
    pub(super) fn term_of_trip(&self, opened_at: i64, open_for: Option<NonZeroU32>) -> Term {
        let failed_probes = self
            .cache
            .record()
            .and_then(|record| goes_on_from(record, opened_at, &self.config))
            .map_or(0, one_more);
        self.term(failed_probes, opened_at, open_for, None)
    }

    /// Counts the failed probes of the cached record in the term of a trip that is about to be
    /// written. Its call may have tripped before the record was read for the first time.
    pub(super) fn go_on_from_cached(&mut self) {
        let Phase::Open(opening) = &self.phase else {
            return;
        };
        let (term, opened_at) = (opening.term, opening.opened_at.unwrap_or_default());
        let shown = self.term_of_trip(opened_at, None);
        if shown.failed_probes > term.failed_probes
            && let Phase::Open(opening) = &mut self.phase
        {
            let length = if term.until.is_some() { term.length } else { shown.length };
            opening.term = Term { length, failed_probes: shown.failed_probes, ..term };
        }
    }

    /// Returns the term of an opening that follows a failed probe of this process.
    pub(super) fn term_of_reopening(&self, opened_at: i64, open_for: Option<NonZeroU32>) -> Term {
        let (failed_probes, stood_until) = match &self.phase {
            Phase::HalfOpen(recovery) => {
                (recovery.before.failed_probes, recovery.before.stood_until)
            }
            Phase::Open(opening) => (opening.term.failed_probes, None),
            Phase::Closed { .. } => (0, None),
        };
        self.term(one_more(failed_probes), opened_at, open_for, stood_until)
    }

    /// Returns the term of an opening of this process.
    ///
    /// What a call asks for may be shorter than what the settings say, but does not cut short the
    /// opening before: a process with a shorter recovery timeout may have probed in the middle
    /// of it. Both within this process's own limit.
    fn term(
        &self,
        failed_probes: u64,
        opened_at: i64,
        open_for: Option<NonZeroU32>,
        stood_until: Option<i64>,
    ) -> Term {
        let Some(seconds) = open_for else {
            let length = self.config.open_time(failed_probes, self.name.as_str(), opened_at);
            return Term { length, failed_probes, until: None };
        };
        let most = seconds_up(self.config.open_for_at_most());
        let left = stood_until.map_or(0, |until| until.saturating_sub(opened_at));
        let seconds = i64::from(seconds.get()).max(left).clamp(1, most.max(1));
        let length = Duration::from_secs(seconds.unsigned_abs());
        Term { length, failed_probes, until: Some(opened_at.saturating_add(seconds)) }
    }

    /// Returns the term of an opening that the record shows: as its hints say, within the limits
    /// of this process's own settings.
    pub(super) fn term_shown(&self, record: &Record) -> Term {
        let failed_probes = failed_probes(record);
        let opened_at = record.opened_at.valid().copied();
        let stamp = opened_at.unwrap_or_default();
        if record.is_held() {
            return Term { length: self.config.recovery_timeout(), failed_probes, until: None };
        }
        let until = record.open_until.valid().copied();
        let asked_for = until.zip(opened_at).map(|(until, at)| until.saturating_sub(at));
        let seconds = asked_for.and_then(|seconds| u64::try_from(seconds).ok());
        match seconds.filter(|seconds| *seconds > 0) {
            Some(seconds) => {
                let length = Duration::from_secs(seconds).min(self.config.open_for_at_most());
                Term { length, failed_probes, until }
            }
            None => {
                let length = self.config.open_time(failed_probes, self.name.as_str(), stamp);
                Term { length, failed_probes, until: None }
            }
        }
    }

    /// Makes the recovery that follows the current phase. `record` shows it, if the store has.
    pub(super) fn recovery(
        &self,
        opened_at: Option<i64>,
        prober: Prober,
        record: Option<&Record>,
    ) -> Recovery {
        let (known, stood_until) = match &self.phase {
            Phase::Closed { .. } => (0, None),
            Phase::Open(opening) => (opening.term.failed_probes, opening.ends_at()),
            Phase::HalfOpen(recovery) => {
                (recovery.before.failed_probes, recovery.before.stood_until)
            }
        };
        // An election of another program leaves the end of the opening where it was.
        let left = record.and_then(|record| record.open_until.valid().copied());
        let failed_probes = record.map_or(known, failed_probes);
        let (stood_until, outage) = (stood_until.max(left), self.outage_shown(record));
        let before = Box::new(Before { opened_at, failed_probes, stood_until, outage });
        Recovery { prober, before }
    }
}

/// Returns the failed probes in a row that a record tells of.
pub(super) fn failed_probes(record: &Record) -> u64 {
    record.failed_probes.valid().map_or(0, |probes| (*probes).min(MOST_FAILED_PROBES))
}

/// Counts one more failed probe. Bounded, so that the count of no record grows to one that is
/// warned of.
fn one_more(failed_probes: u64) -> u64 {
    failed_probes.saturating_add(1).min(MOST_FAILED_PROBES)
}

/// Returns the failed probes that a trip at this stamp goes on from: those of a closed record,
/// if the circuit closed a short time before. Otherwise the back-off begins again.
fn goes_on_from(record: &Record, opened_at: i64, config: &Config) -> Option<u64> {
    let backoff = config.open_backoff()?;
    record.failed_probes.valid()?;
    // Every closing sets `expiration` to a recovery timeout and an hour after it. With the
    // timeout of another writer this is off by the difference.
    let life = seconds_up(config.recovery_timeout()).saturating_add(seconds_up(TTL_SLACK));
    let closed_at = record.expires_at.valid()?.saturating_sub(life);
    let is_closed = record.state == CircuitState::Closed.into();
    let age = opened_at.saturating_sub(closed_at);
    let is_recent = age <= seconds_up(backoff.remembers_for());
    (is_closed && is_recent).then(|| failed_probes(record))
}
