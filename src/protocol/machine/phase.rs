//! The phases of the machine, and the times at which they let a probe run.

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

    /// Reads a number back; `None` for zero.
    pub(crate) fn from_number(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }
}

/// The numbers of this process's probes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probes {
    last: ProbeId,
    /// The last probe that a freeze of the process may have cut off.
    cut_off: Option<ProbeId>,
}

impl Probes {
    pub(super) const NONE: Self = Self { last: ProbeId::FIRST, cut_off: None };

    pub(super) fn next(&mut self) -> ProbeId {
        self.last = self.last.next();
        self.last
    }

    /// Marks all probes that were started so far as cut off by a freeze.
    pub(super) fn cut_off(&mut self) {
        self.cut_off = Some(self.last);
    }

    pub(super) fn is_cut_off(&self, probe: Option<ProbeId>) -> bool {
        // Numbers grow, and `None` is less than all of them.
        probe <= self.cut_off
    }
}

/// The state of the circuit, as this process acts on it.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Calls run, and are counted: see [`counting`](crate::protocol::counting).
    Closed {
        /// True if this process's own probes closed the circuit without the store. The record
        /// still says open or half-open, and is not adopted while it cannot be written:
        /// otherwise the next read would reopen a circuit whose dependency has recovered.
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

/// The relation of an opening to the record in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The record shows it.
    Stored,
    /// This process decided it, and has still to write it.
    Owed,
    /// This process decided it, did not write it in time, and never will: the next call
    /// probes.
    Lapsed,
    /// Open in this process only, which fails where others do not. Never written: it would
    /// reject the good calls of the whole fleet.
    Refuted,
}

/// The moment at which this process may elect itself, among all that are due by one stamp.
///
/// Without a spread, 8,000 processes would elect themselves in the same second. Most of them
/// read first and find the winner; the spread keeps them from reading before it has won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// After this many 65,536ths of `election_spread`.
    Drawn(u16),
    /// After all others: this process wrote the opening, or fails where others do not. It
    /// is the one whose own way to the dependency is most likely broken, and its probe would
    /// then fail for the fleet.
    Last,
}

impl Turn {
    /// Returns the delay after the first moment at which a process may be elected.
    pub(super) fn wait(self, config: &Config) -> Duration {
        let spread = config.election_spread();
        match self {
            Self::Drawn(share) => {
                let share = spread.saturating_mul(u32::from(share));
                share.checked_div(1 << 16).unwrap_or_default()
            }
            Self::Last if spread == Duration::ZERO => Duration::ZERO,
            // The configuration refuses a spread longer than one `handoff`.
            Self::Last => config.handoff(),
        }
    }
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
        let timeout = config.recovery_timeout();
        if let Some(opened_at) = self.opened_at.filter(|_| self.held) {
            // The stamp of a hold may be far ahead, where an age would be zero for long.
            return until(opened_at, timeout, now);
        }
        match self.standing {
            Standing::Lapsed => Duration::ZERO,
            // No other process is due by this stamp, so there is no turn to wait for.
            Standing::Owed | Standing::Refuted => timeout.saturating_sub(self.age(now)),
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

/// The holder of the right to probe. Boxed: few circuits are probed.
#[derive(Clone, Debug)]
pub(super) enum Prober {
    /// This process, under a lease that the store knows.
    Us(Box<OurLease>),
    /// Another process.
    Other(Box<OtherLease>),
    /// No process: this one gave the right back, or the record is gone.
    Nobody {
        /// When this process gave it back.
        gave_back_at: Option<Box<Moment>>,
    },
    /// This process, without the store.
    Offline(Box<OfflineProbes>),
}

/// The lease of another process. Its length is measured by this process's own clock, since
/// the clock of the other may be wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct OtherLease {
    /// Since when the record shows the lease unchanged.
    pub(super) since: Moment,
    /// Since when the circuit is known to be half-open under this owner.
    pub(super) first_seen: Moment,
    pub(super) turn: Turn,
}

/// The probes that this process runs without the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfflineProbes {
    pub(super) successes: u64,
    /// The probe that runs.
    pub(super) probe: Option<RunningProbe>,
    /// True if the store works, but this process fails where others do not.
    pub(super) refuted: bool,
}

/// The lease of this process.
///
/// Its length counts from the sending of the write, and not from the response: the store may
/// have applied the write at once, and others count from then. Counted from a response that
/// took a second, this process would still probe after another has taken over.
#[derive(Clone, Debug)]
pub(super) struct OurLease {
    pub(super) token: LeaseToken,
    /// When the write that set the lease was sent.
    pub(super) written_at: Moment,
    /// From when its length counts: `written_at`, or later where the stamp, which was rounded
    /// up, covers a whole lease from later on.
    pub(super) leased_at: Moment,
    /// Good probes in a row, those of earlier holders included.
    pub(super) successes: u64,
    pub(super) stage: Stage,
    /// Since when the right is kept for the next call, without a probe that counted. After
    /// one `handoff` it is given back.
    pub(super) kept_since: Option<Moment>,
    /// When this process last gave the right back, under an older token.
    pub(super) gave_back_at: Option<Moment>,
}

/// The stage of the holder of the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The next call may be the probe.
    Ready,
    /// A probe runs.
    Probing(RunningProbe),
    /// A verdict is being written.
    Settling,
    /// The right is handed over to the process that is first: others may take it over after
    /// one `handoff`, so that this process renews its lease before it probes again.
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
    /// Returns the probe that this process runs.
    pub(super) fn running(&self) -> Option<RunningProbe> {
        match self {
            Self::Us(lease) => match lease.stage {
                Stage::Probing(probe) => Some(probe),
                Stage::Ready | Stage::Settling | Stage::HandedOver => None,
            },
            Self::Offline(offline) => offline.probe,
            Self::Other(_) | Self::Nobody { .. } => None,
        }
    }
}
