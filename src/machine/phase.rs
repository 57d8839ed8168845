//! The phases of the machine: what this process takes the circuit to be.

use std::{num::NonZeroU64, time::Duration};

use crate::{config::Config, moment::Moment, record::LeaseToken, state::CircuitState};

/// One probe of this process; numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProbeId(NonZeroU64);

impl ProbeId {
    pub(crate) const FIRST: Self = Self(NonZeroU64::MIN);

    pub(super) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number, for the places that can only hold a number.
    pub(crate) fn get(self) -> u64 {
        self.0.get()
    }

    /// Reads a number back; zero is no probe.
    pub(crate) fn from_number(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }
}

/// Whether the store has a record that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// A record was read, or a write was applied.
    Stored,
    /// Decided here; the store does not know, or does not know yet.
    Local,
}

/// What this process takes the circuit to be.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Calls flow, and are counted: see [`counting`](crate::counting).
    Closed { basis: Basis },
    /// Calls are rejected.
    Open(Opening),
    /// One probe at a time.
    HalfOpen(Recovery),
}

impl Phase {
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
            Self::HalfOpen(recovery) => recovery.opened_at,
        }
    }

    pub(super) fn failure_count(&self) -> u64 {
        match self {
            Self::Closed { .. } => 0,
            Self::Open(opening) => opening.failure_count,
            Self::HalfOpen(recovery) => recovery.failure_count,
        }
    }
}

/// One opening of the circuit.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub(super) opened_at: Option<i64>,
    pub(super) failure_count: u64,
    /// When this process first knew of it.
    pub(super) first_seen: Moment,
    /// When this process last knew that it was otherwise.
    pub(super) otherwise_at: Option<Moment>,
    pub(super) basis: Basis,
    /// An operator keeps it open; its time is then believed as it stands.
    pub(super) held: bool,
}

impl Opening {
    /// How long the circuit has been open: by the stamp, but never less than
    /// since this process saw it (so that nobody waits longer than the recovery
    /// timeout after first sight), nor more than since it last knew otherwise
    /// (so that a stamp from a wrong clock cannot shorten the wait).
    pub(super) fn age(&self, now: Moment) -> Duration {
        let seen = now.since(self.first_seen);
        let Some(opened_at) = self.opened_at else {
            return seen;
        };
        let stamped = now.past(opened_at);
        if self.held {
            return stamped;
        }
        let most = self.otherwise_at.map_or(Duration::MAX, |at| now.since(at));
        seen.max(stamped.min(most))
    }

    /// How long until a probe may run; zero when it may.
    pub(super) fn wait(&self, now: Moment, config: &Config) -> Duration {
        let timeout = config.recovery_timeout();
        match self.opened_at {
            // The stamp may lie far ahead, where an age cannot show it.
            Some(opened_at) if self.held => u64::try_from(opened_at).map_or(Duration::ZERO, |at| {
                Duration::from_secs(at).saturating_add(timeout).saturating_sub(now.shared())
            }),
            Some(_) | None => timeout.saturating_sub(self.age(now)),
        }
    }
}

/// A circuit that is being probed.
#[derive(Clone, Debug)]
pub(super) struct Recovery {
    pub(super) opened_at: Option<i64>,
    pub(super) failure_count: u64,
    pub(super) right: Right,
}

/// Who may probe.
#[derive(Clone, Debug)]
pub(super) enum Right {
    /// This process, under a lease that the store knows. Boxed: few circuits have one.
    Ours(Box<Ours>),
    /// Another process. The lease as the record shows it stands since then.
    Theirs { since: Moment },
    /// Nobody: this process gave the right back.
    Free,
    /// This process, without the store.
    Local { successes: u64, stage: Stage },
}

/// A lease of this process.
#[derive(Clone, Debug)]
pub(super) struct Ours {
    pub(super) token: LeaseToken,
    /// When the write that set the lease was sent.
    pub(super) written_at: Moment,
    /// From when its length counts: then, or later if the stamp, which was
    /// rounded up, reaches as far.
    pub(super) leased_at: Moment,
    /// Good probes in a row, of the circuit.
    pub(super) successes: u64,
    pub(super) stage: Stage,
}

/// How far the holder of the right has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The next call may be the probe.
    Ready,
    /// A probe runs since then.
    Probing { id: ProbeId, since: Moment },
    /// A verdict is being written.
    Settling,
    /// Handed over: the lease must be renewed before the next probe.
    Resting,
}
