//! The phases of the machine, and the times at which they let a probe run.

use std::time::Duration;

use super::{
    outage::Outage,
    prober::{OurLease, Prober, Turn},
    ramp::Ramp,
    storage::seconds_up,
};
use crate::{
    config::Config, protocol::moment::Moment, protocol::record::Hints, state::CircuitState,
    transition::Cause,
};

/// The state of the circuit, as this process acts on it.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Calls run, and are counted: see [`counting`](crate::protocol::counting).
    Closed {
        /// True if this process's own probes closed the circuit without the store. The record
        /// still says open or half-open, and is not adopted while it cannot be written:
        /// otherwise the next read would reopen a circuit whose dependency has recovered.
        by_offline_probes: bool,
        /// Boxed: few circuits have closed lately.
        ramp: Option<Box<Ramp>>,
    },
    /// Calls are rejected. Boxed: few circuits are open.
    Open(Box<Opening>),
    /// One probe at a time.
    HalfOpen(Recovery),
}

impl Phase {
    pub(super) const CLOSED: Self = Self::Closed { by_offline_probes: false, ramp: None };

    pub(super) fn state(&self) -> CircuitState {
        match self {
            Self::Closed { .. } => CircuitState::Closed,
            Self::Open(_) => CircuitState::Open,
            Self::HalfOpen(_) => CircuitState::HalfOpen,
        }
    }

    pub(super) fn opened_at(&self) -> Option<i64> {
        match self {
            Self::Closed { .. } => None,
            Self::Open(opening) => opening.opened_at,
            Self::HalfOpen(recovery) => recovery.before.opened_at,
        }
    }

    pub(super) fn failure_count(&self) -> u64 {
        match self {
            Self::Open(opening) => opening.failure_count,
            Self::Closed { .. } | Self::HalfOpen(_) => 0,
        }
    }

    /// Returns the outage that the circuit is in; `None` while it is closed.
    pub(super) fn outage(&self) -> Option<&Outage> {
        match self {
            Self::Closed { .. } => None,
            Self::Open(opening) => Some(&opening.outage),
            Self::HalfOpen(recovery) => Some(&recovery.before.outage),
        }
    }

    /// Returns the lease of this process, if it is the prober.
    pub(super) fn our_lease(&self) -> Option<&OurLease> {
        match self {
            Self::HalfOpen(Recovery { prober: Prober::Us(lease), .. }) => Some(lease),
            Self::HalfOpen(_) | Self::Closed { .. } | Self::Open(_) => None,
        }
    }

    pub(super) fn our_lease_mut(&mut self) -> Option<&mut OurLease> {
        match self {
            Self::HalfOpen(Recovery { prober: Prober::Us(lease), .. }) => Some(lease),
            Self::HalfOpen(_) | Self::Closed { .. } | Self::Open(_) => None,
        }
    }

    /// Replaces the prober of a half-open circuit.
    pub(super) fn set_prober(&mut self, prober: Prober) {
        if let Self::HalfOpen(recovery) = self {
            recovery.prober = prober;
        }
    }
}

/// The relation of an opening to the record in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The record shows it.
    Stored,
    /// This process decided it, and has still to write it.
    Owed,
    /// This process decided it, did not write it in time, and never will. Its time still runs
    /// here, if it is longer than the recovery timeout; where it `is_over`, since the process
    /// was frozen, the next call probes.
    Lapsed { is_over: bool },
    /// Open in this process only, which fails where others do not. Never written: it would
    /// reject the good calls of the whole fleet.
    Refuted,
}

/// The most by which a stamp was rounded up.
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// One opening of the circuit.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    /// The cause that subscribers are told. Kept, since they may be told only when the write
    /// was applied.
    pub(super) cause: Cause,
    pub(super) opened_at: Option<i64>,
    pub(super) failure_count: u64,
    /// When this process first knew of the opening.
    pub(super) first_seen: Moment,
    /// When this process last knew that the circuit was not open.
    pub(super) last_seen_not_open_at: Option<Moment>,
    pub(super) standing: Standing,
    pub(super) turn: Turn,
    /// True if an operator holds it open. Its stamp is then taken as it stands, since an
    /// operator chose it.
    pub(super) held: bool,
    /// The end of the hold, where the record tells it.
    pub(super) held_until: Option<i64>,
    pub(super) term: Term,
    /// The outage that it belongs to.
    pub(super) outage: Outage,
}

/// How long an opening lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Term {
    /// The time from the opening until a probe may run.
    pub(super) length: Duration,
    /// Failed probes in a row before the opening.
    pub(super) failed_probes: u64,
    /// The end that a call has asked for.
    pub(super) until: Option<i64>,
}

impl Term {
    /// Returns this term, or the one that the record of an unchanged opening shows where that is
    /// longer. The record may be older than what this process has seen since, without the store.
    pub(super) fn or_longer(self, shown: Self) -> Self {
        Self {
            length: self.length.max(shown.length),
            failed_probes: self.failed_probes.max(shown.failed_probes),
            until: shown.until,
        }
    }

    /// Returns the hints that a write of the opening leaves for others. Without `open_backoff` the
    /// count is not named, so that the item is as it was before there were hints.
    pub(super) fn hints(&self, config: &Config) -> Hints {
        let failed_probes = config.open_backoff().map(|_| self.failed_probes);
        Hints { failed_probes, open_until: self.until, ..Hints::NONE }
    }
}

impl Opening {
    /// Returns how long the circuit has been open: by the stamp, between two limits by this
    /// process's own clock.
    ///
    /// | limit | so that |
    /// |---|---|
    /// | at least since `first_seen` | a stamp from a clock that is ahead cannot make this process wait longer than the recovery timeout |
    /// | at most since `last_seen_not_open_at` | a stamp from a clock that is behind cannot make it probe too soon |
    pub(super) fn age(&self, now: Moment) -> Duration {
        let seen = now.since(self.first_seen);
        let Some(opened_at) = self.opened_at else {
            return seen;
        };
        let stamped = now.elapsed_since_stamp(opened_at);
        if self.held {
            return stamped;
        }
        // Unset where this process's first sight of the circuit was this opening.
        let most = self.last_seen_not_open_at.map_or(Duration::MAX, |at| now.since(at));
        seen.max(stamped.min(most))
    }

    /// Returns how long until a probe may run; zero when it may.
    pub(super) fn wait(&self, now: Moment, config: &Config) -> Duration {
        if let Some(end) = self.held_until.filter(|_| self.held) {
            // Every process ends it then, whatever its own recovery timeout.
            return until(end, Duration::ZERO, now);
        }
        if let Some(opened_at) = self.opened_at.filter(|_| self.held) {
            // The stamp of a hold may be far ahead, where an age would be zero for long.
            return until(opened_at, config.recovery_timeout(), now);
        }
        let timeout = self.term.length;
        match self.standing {
            Standing::Lapsed { is_over: true } => Duration::ZERO,
            // No other process is due by this stamp, so there is no turn to wait for.
            Standing::Owed | Standing::Lapsed { is_over: false } | Standing::Refuted => {
                timeout.saturating_sub(self.age(now))
            }
            Standing::Stored => {
                let turn = self.turn.wait(config);
                // Without a spread all are due at once, and the last one as well.
                if self.turn == Turn::Last && turn > Duration::ZERO {
                    return self.wait_of_the_last(timeout.saturating_add(turn), now);
                }
                timeout.saturating_add(turn).saturating_sub(self.age(now))
            }
        }
    }

    /// Returns how long a trip may still be written. Its failures are evidence for one recovery
    /// timeout, however long the circuit stays open, and it opens nothing once its time is over.
    pub(super) fn wait_to_lapse(&self, now: Moment, config: &Config) -> Duration {
        let longest = self.term.length.min(config.recovery_timeout());
        longest.saturating_sub(self.age(now))
    }

    /// Returns the stamp at which the opening ends; `None` for a hold, whose end is past once
    /// a probe runs.
    pub(super) fn ends_at(&self) -> Option<i64> {
        let opened_at = self.opened_at.filter(|_| !self.held)?;
        Some(opened_at.saturating_add(seconds_up(self.term.length)))
    }

    /// Returns the wait of the process that is to be last. All others count from the stamp,
    /// which was rounded up, while this process saw the opening up to a second before it. If
    /// it counted from its own moment, the process that tripped would win the first election.
    fn wait_of_the_last(&self, timeout: Duration, now: Moment) -> Duration {
        // It goes by the stamp for a second at most: a clock that is set back later must not
        // make it wait without end.
        let rounded = timeout.saturating_add(SECOND).saturating_sub(now.since(self.first_seen));
        let stamped = self.opened_at.map_or(Duration::ZERO, |at| until(at, timeout, now));
        timeout.saturating_sub(self.age(now)).max(stamped.min(rounded))
    }
}

/// Returns how long until a time after a stamp, by the clock that the fleet shares.
pub(super) fn until(stamp: i64, after: Duration, now: Moment) -> Duration {
    u64::try_from(stamp).map_or(Duration::ZERO, |at| {
        Duration::from_secs(at).saturating_add(after).saturating_sub(now.fleet_time())
    })
}

/// A circuit that is being probed.
#[derive(Clone, Debug)]
pub(super) struct Recovery {
    pub(super) prober: Prober,
    /// Boxed, since each idle circuit has room for a recovery.
    pub(super) before: Box<Before>,
}

/// What came before a recovery.
#[derive(Clone, Debug)]
pub(super) struct Before {
    pub(super) opened_at: Option<i64>,
    /// Failed probes in a row.
    pub(super) failed_probes: u64,
    /// When the opening would have ended, as far as this process knows.
    pub(super) stood_until: Option<i64>,
    /// The outage that it is to end.
    pub(super) outage: Outage,
}
