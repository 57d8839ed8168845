//! The phases of the machine: what this process takes the circuit to be.

use std::{num::NonZeroU64, time::Duration};

use crate::{
    config::Config, protocol::moment::Moment, protocol::record::LeaseToken, state::CircuitState,
    transition::Cause,
};

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

/// The numbers of this process's probes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probes {
    last: ProbeId,
    /// The last one that a freeze of the process may have cut off.
    cut_off: Option<ProbeId>,
}

impl Probes {
    pub(super) const NONE: Self = Self { last: ProbeId::FIRST, cut_off: None };

    pub(super) fn next(&mut self) -> ProbeId {
        self.last = self.last.next();
        self.last
    }

    /// The process was frozen.
    pub(super) fn cut_off(&mut self) {
        self.cut_off = Some(self.last);
    }

    pub(super) fn is_cut_off(&self, probe: Option<ProbeId>) -> bool {
        probe <= self.cut_off
    }
}

/// What this process takes the circuit to be.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Calls flow, and are counted: see [`counting`](crate::protocol::counting).
    Closed {
        /// Whether this process's own probes closed it without the store, whose record says
        /// otherwise: that record is not believed while it cannot be written.
        by_offline_probes: bool,
    },
    /// Calls are rejected. Boxed: few circuits are open.
    Open(Box<Opening>),
    /// One probe at a time.
    HalfOpen(Recovery),
}

impl Phase {
    pub(super) const CLOSED: Self = Self::Closed { by_offline_probes: false };

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
            Self::Open(opening) => opening.failure_count,
            Self::Closed { .. } | Self::HalfOpen(_) => 0,
        }
    }
}

/// What the store knows of an opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The record says so.
    Stored,
    /// Decided here, and still to be written.
    Owed,
    /// Decided here, never written, and by now too old to be: a probe comes first.
    Lapsed,
    /// Open in this process alone, which fails where others do not. Never written.
    Refuted,
}

/// When this process may elect itself, beside the others that are due by the same stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// After this many 65,536ths of `election_spread`.
    Drawn(u16),
    /// After all others: this process wrote the opening, or fails where others do not.
    Last,
}

impl Turn {
    /// How long after the others' first moment.
    pub(super) fn wait(self, config: &Config) -> Duration {
        let spread = config.election_spread();
        match self {
            Self::Drawn(share) => {
                let share = spread.saturating_mul(u32::from(share));
                share.checked_div(1 << 16).unwrap_or_default()
            }
            Self::Last if spread == Duration::ZERO => Duration::ZERO,
            // Nobody's share is longer than that.
            Self::Last => config.handoff(),
        }
    }
}

/// By how much a stamp may have been rounded up.
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// One opening of the circuit.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    /// Why, as subscribers are told.
    pub(super) cause: Cause,
    pub(super) opened_at: Option<i64>,
    pub(super) failure_count: u64,
    /// When this process first knew of it.
    pub(super) first_seen: Moment,
    /// When this process last knew that it was otherwise.
    pub(super) last_seen_not_open_at: Option<Moment>,
    pub(super) standing: Standing,
    pub(super) turn: Turn,
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
        let stamped = now.elapsed_since_stamp(opened_at);
        if self.held {
            return stamped;
        }
        let most = self.last_seen_not_open_at.map_or(Duration::MAX, |at| now.since(at));
        seen.max(stamped.min(most))
    }

    /// How long until a probe may run; zero when it may.
    pub(super) fn wait(&self, now: Moment, config: &Config) -> Duration {
        let timeout = config.recovery_timeout();
        if let Some(opened_at) = self.opened_at.filter(|_| self.held) {
            // The stamp may lie far ahead, where an age cannot show it.
            return until(opened_at, timeout, now);
        }
        match self.standing {
            Standing::Lapsed => Duration::ZERO,
            Standing::Owed | Standing::Refuted => timeout.saturating_sub(self.age(now)),
            Standing::Stored => {
                let turn = self.turn.wait(config);
                if self.turn == Turn::Last && turn > Duration::ZERO {
                    return self.wait_of_the_last(timeout.saturating_add(turn), now);
                }
                timeout.saturating_add(turn).saturating_sub(self.age(now))
            }
        }
    }

    /// Others count from the stamp, which was rounded up, and this process from the
    /// moment before it: to be last, it counts from the stamp as well, which it
    /// believes for a second at most.
    fn wait_of_the_last(&self, timeout: Duration, now: Moment) -> Duration {
        let rounded = timeout.saturating_add(SECOND).saturating_sub(now.since(self.first_seen));
        let stamped = self.opened_at.map_or(Duration::ZERO, |at| until(at, timeout, now));
        timeout.saturating_sub(self.age(now)).max(stamped.min(rounded))
    }
}

/// How long until a time after a stamp, by the clock that the fleet shares.
fn until(stamp: i64, after: Duration, now: Moment) -> Duration {
    u64::try_from(stamp).map_or(Duration::ZERO, |at| {
        Duration::from_secs(at).saturating_add(after).saturating_sub(now.fleet_time())
    })
}

/// A circuit that is being probed.
#[derive(Clone, Debug)]
pub(super) struct Recovery {
    pub(super) opened_at: Option<i64>,
    pub(super) prober: Prober,
}

/// Who may probe. Boxed: few circuits are probed.
#[derive(Clone, Debug)]
pub(super) enum Prober {
    /// This process, under a lease that the store knows.
    Us(Box<OurLease>),
    /// Another process.
    Other(Box<OtherLease>),
    /// Nobody: this process gave the right back, or the record is gone.
    Nobody {
        /// When this process gave it back.
        gave_back_at: Option<Box<Moment>>,
    },
    /// This process, without the store.
    Offline(Box<OfflineProbes>),
}

/// A lease of another process.
#[derive(Clone, Copy, Debug)]
pub(super) struct OtherLease {
    /// Since when the lease stands as the record shows it.
    pub(super) since: Moment,
    /// Since when the circuit is known to be half-open under this owner.
    pub(super) first_seen: Moment,
    pub(super) turn: Turn,
}

/// Probes of this process without the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfflineProbes {
    pub(super) successes: u64,
    /// The one that runs.
    pub(super) probe: Option<RunningProbe>,
    /// Whether the store works, and this process fails where others do not.
    pub(super) refuted: bool,
}

/// A lease of this process.
#[derive(Clone, Debug)]
pub(super) struct OurLease {
    pub(super) token: LeaseToken,
    /// When the write that set the lease was sent.
    pub(super) written_at: Moment,
    /// From when its length counts: then, or later if the stamp, which was
    /// rounded up, reaches as far.
    pub(super) leased_at: Moment,
    /// Good probes in a row, of the circuit.
    pub(super) successes: u64,
    pub(super) stage: Stage,
    /// Since when the right is kept for the next call, without a probe that counted:
    /// after one `handoff` it is given back.
    pub(super) kept_since: Option<Moment>,
    /// When this process last gave the right back, under an older token.
    pub(super) gave_back_at: Option<Moment>,
}

/// How far the holder of the right has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The next call may be the probe.
    Ready,
    /// A probe runs.
    Probing(RunningProbe),
    /// A verdict is being written.
    Settling,
    /// Handed over: the lease must be renewed before the next probe.
    HandedOver,
}

/// A call of this process that runs as a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RunningProbe {
    pub(super) id: ProbeId,
    pub(super) started_at: Moment,
    /// When its holder last said that it is alive.
    pub(super) alive_at: Moment,
}

impl Prober {
    /// The probe that this process runs.
    pub(super) fn running(&self) -> Option<RunningProbe> {
        match self {
            Self::Us(ours) => match ours.stage {
                Stage::Probing(probe) => Some(probe),
                Stage::Ready | Stage::Settling | Stage::HandedOver => None,
            },
            Self::Offline(offline) => offline.probe,
            Self::Other(_) | Self::Nobody { .. } => None,
        }
    }
}
