//! The part of the machine that observers and the gate see, and its deadlines.

use std::time::Duration;

use super::{
    Machine,
    outage::Outage,
    phase::{Phase, Standing},
    prober::{Prober, Stage},
    ramp::PublishedRamp,
    storage::{PendingWrite, StoreRequest},
};
use crate::{
    hold::info::HoldInfo,
    protocol::answer::Consistency,
    protocol::health::Access,
    protocol::moment::{Moment, millis},
    state::CircuitState,
};

/// The most by which the gate's coarse clock may lag: one tick of the kernel (10 ms at
/// 100 Hz, the slowest that is common) and some more. A window opens that much earlier;
/// otherwise the gate would ask the machine for calls that come right after a publication.
pub(crate) const CLOCK_TICK_MS: u64 = 16;

/// The shortest wait that a rejection names while a probe runs, where `handoff` is less.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);

/// The state of the circuit, and the time for which the gate may decide by it without asking
/// the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) epoch: u64,
    pub(crate) state: CircuitState,
    pub(crate) failure_count: u64,
    pub(crate) opened_at: Option<i64>,
    /// From when this holds, by the wall clock, in milliseconds since the Unix epoch.
    pub(crate) from_ms: u64,
    /// The number of milliseconds for which it holds; at zero the machine must be asked.
    pub(crate) span_ms: u64,
    /// The number of milliseconds after which traffic should ask for a refresh.
    pub(crate) refresh_ms: u64,
    /// The end of the time in which every call is rejected, in milliseconds since the Unix
    /// epoch.
    pub(crate) retry_at_ms: u64,
    /// When the store last showed the record, in milliseconds since the Unix epoch; zero before
    /// the first time.
    pub(crate) as_of_ms: u64,
    /// True if the circuit is closed and the last read failed: calls run, whatever the record
    /// says.
    pub(crate) is_unread: bool,
    /// True while a closed circuit admits only a share of the calls; [`Machine::published_ramp`]
    /// tells which.
    pub(crate) is_ramping: bool,
    /// True while an operator holds the circuit closed.
    pub(crate) is_held_closed: bool,
}

/// The opening that a circuit is in, for observers.
pub(crate) struct Opened<'a> {
    pub(crate) outage: &'a Outage,
    /// The operator's hold, if the circuit is held open.
    pub(crate) hold: Option<HoldInfo>,
}

/// What a phase has beside the [`Published`].
pub(crate) enum Detail<'a> {
    Closed,
    /// Closed, with a share of the calls.
    Ramping(PublishedRamp),
    /// Closed by an operator, who holds it so.
    HeldClosed(HoldInfo),
    /// Open or half-open.
    Opened(Opened<'a>),
}

impl Machine {
    /// Returns what the phase has beside the [`Published`].
    pub(crate) fn detail(&self) -> Detail<'_> {
        if let Some(outage) = self.phase.outage() {
            return Detail::Opened(Opened { outage, hold: self.hold_shown() });
        }
        if let Some(hold) = self.hold_shown() {
            return Detail::HeldClosed(hold);
        }
        self.published_ramp().map_or(Detail::Closed, Detail::Ramping)
    }

    /// Returns the [`Published`] as of the machine's latest moment.
    pub(crate) fn published(&self) -> Published {
        let (from_ms, span_ms) = self.window();
        // Only a closed circuit is read ahead: on any other, calls are rejected at once, and the
        // read that may change that is begun by a call.
        let refreshes = matches!(self.phase, Phase::Closed { .. })
            && self.config.refresh_ahead()
            && self.is_fresh()
            && self.request.in_flight.is_none();
        let age_ms = millis(self.cache_age());
        // In the last fifth of the age: early enough that the response is there before a call
        // would have to wait for it, and late enough to cost few reads.
        let refresh_ms = age_ms.saturating_mul(4).checked_div(5).unwrap_or(age_ms);
        let refresh_ms = refresh_ms.saturating_add(CLOCK_TICK_MS);
        Published {
            epoch: self.epoch,
            state: self.phase.state(),
            failure_count: self.phase.failure_count(),
            opened_at: self.phase.opened_at(),
            from_ms,
            span_ms,
            refresh_ms: if refreshes { refresh_ms } else { u64::MAX },
            retry_at_ms: match self.phase {
                Phase::Closed { .. } => 0,
                Phase::Open(_) | Phase::HalfOpen(_) => {
                    self.now.wall_ms().saturating_add(millis_up(self.retry_after()))
                }
            },
            as_of_ms: self.cache.at.map_or(0, Moment::wall_ms),
            is_unread: matches!(self.phase, Phase::Closed { .. })
                && self.cache.reads > 0
                && !self.cache.last_read_ok,
            is_ramping: self.published_ramp().is_some(),
            is_held_closed: self.is_held_closed(),
        }
    }

    /// Reads the record for an observer, unless an operation is under way, which will show it as
    /// well. Returns `false` if reads are backed off: nothing is begun then.
    pub(crate) fn look(&mut self, now: Moment) -> bool {
        self.advance(now);
        if self.is_operating() {
            return true;
        }
        let is_usable = self.health.is_usable(Access::Read, self.now);
        if is_usable {
            self.begin_read(Consistency::Strong);
        }
        is_usable
    }

    /// Returns `true` if a store operation is under way.
    pub(crate) fn is_operating(&self) -> bool {
        self.request.in_flight.is_some()
    }

    /// Returns `true` if an eventually consistent read is under way.
    pub(crate) fn is_reading_eventually(&self) -> bool {
        matches!(
            self.request.in_flight.as_deref(),
            Some(StoreRequest::Read { consistency: Consistency::Eventual, .. })
        )
    }

    /// Returns the number of reads that have ended, with or without a record.
    pub(crate) fn reads(&self) -> u64 {
        self.cache.reads
    }

    /// Returns `true` if the last read showed the record, and more than `reads` reads have ended.
    pub(crate) fn has_read_since(&self, reads: u64) -> bool {
        self.cache.reads > reads && self.cache.last_read_ok
    }

    /// Returns how much longer a probe may be offered to calls that do not wait: two thirds
    /// of its lease. With less, sparse traffic would miss it; with all of the lease, a call
    /// that takes it late would run past the end, and another process would probe beside it.
    pub(crate) fn probe_offer(&self) -> Duration {
        let lease_length = self.config.probe_lease();
        let offer = lease_length.saturating_sub(lease_length.checked_div(3).unwrap_or_default());
        let leased_at = self.phase.our_lease().map_or(self.now, |lease| lease.leased_at);
        offer.saturating_sub(self.now.since(leased_at))
    }

    /// Returns how long until a call may be a probe; zero when it may, or when the circuit is
    /// closed. While a probe runs this is one `handoff` at most, since the probe may succeed
    /// at any time.
    pub(crate) fn retry_after(&self) -> Duration {
        // Throttled, this process cannot be elected before its back-off is over. In an outage
        // it probes offline, and waits for nothing.
        let at_least = if self.health.is_outage() {
            Duration::ZERO
        } else {
            self.health.wait(Access::Write, self.now)
        };
        let wait = match &self.phase {
            Phase::Closed { .. } => return Duration::ZERO,
            Phase::Open(opening) => {
                match (opening.standing, opening.wait(self.now, &self.config)) {
                    (Standing::Stored, wait) => wait,
                    // These are probed offline, so that no back-off of writes delays them.
                    (Standing::Owed | Standing::Lapsed { .. } | Standing::Refuted, wait) => {
                        return wait;
                    }
                }
            }
            Phase::HalfOpen(recovery) => {
                let since = match &recovery.prober {
                    Prober::Other(other) => {
                        return self
                            .lease_wait(**other, self.now)
                            .min(self.retry_while_probing())
                            .max(at_least);
                    }
                    Prober::Us(lease) => match lease.stage {
                        Stage::Probing(_) => Some(lease.leased_at),
                        // The right is kept for the next call, which needs no write.
                        Stage::Ready => return Duration::ZERO,
                        Stage::Settling | Stage::HandedOver => None,
                    },
                    Prober::Offline(offline) => {
                        return offline.probe.map_or(Duration::ZERO, |probe| {
                            self.retry_beside_probe(probe.alive_at)
                        });
                    }
                    Prober::Nobody { .. } => None,
                };
                since.map_or(Duration::ZERO, |since| self.retry_beside_probe(since))
            }
        };
        wait.max(at_least)
    }

    /// Returns when to ask again beside a probe of this process whose lease began at `since`.
    fn retry_beside_probe(&self, since: Moment) -> Duration {
        let left = self.config.probe_lease().saturating_sub(self.now.since(since));
        left.min(self.retry_while_probing())
    }

    /// Returns when to ask again while any process probes.
    fn retry_while_probing(&self) -> Duration {
        self.config.handoff().max(SHORTEST_RETRY)
    }

    /// Returns the time from the latest moment until [`Machine::tick`] has something to do;
    /// `None` when only an event can change anything.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let stale = self
            .cache
            .at
            .filter(|_| self.is_fresh())
            .map(|at| self.cache_age().saturating_sub(self.now.since(at)));
        let idle = self.request.in_flight.is_none() && self.pending.is_some();
        // Without this timer a process whose trip was throttled would reject calls, and never
        // write it: its calls are rejected at the gate, and none wakes the machine.
        let pending = idle.then(|| self.wait_to_write());
        // The ends of the back-offs, of the time for which failures keep the machine, of a ramp,
        // after which calls need no second look, and of a hold, which observers then see no more.
        let kept = [Access::Read, Access::Write]
            .map(|access| self.health.wait(access, self.now))
            .into_iter()
            .chain([self.keeps_for(), self.ramp_left().unwrap_or_default()])
            .chain([self.held_closed_for()])
            .filter(|wait| *wait > Duration::ZERO);
        // A trip that was not written in time lapses: its failures are too old by then.
        let lapses = match &self.phase {
            Phase::Open(opening) if self.pending == Some(PendingWrite::Trip) => {
                Some(opening.wait_to_lapse(self.now, &self.config))
            }
            Phase::Open(_) | Phase::Closed { .. } | Phase::HalfOpen(_) => None,
        };
        let gives_back = self.gives_back_in();
        let votes = self.votes_in();
        [stale, pending, lapses, gives_back, votes].into_iter().flatten().chain(kept).min()
    }

    /// Returns how long until the pending write may be made, or the read before it.
    fn wait_to_write(&self) -> Duration {
        let wait = self.health.wait(Access::Write, self.now);
        // A trip is preceded by a read; where reads get no response it is written without one.
        if self.pending == Some(PendingWrite::Trip) && !self.cache.last_read_unanswered {
            wait.max(self.health.wait(Access::Read, self.now))
        } else {
            wait
        }
    }

    /// Returns how long until a right that is kept for the next call is given back.
    pub(super) fn gives_back_in(&self) -> Option<Duration> {
        let lease = self.phase.our_lease().filter(|_| !self.probe_claimed)?;
        lease.kept_for(self.now, self.right_stays_for())
    }

    /// Returns the wall-clock window in which the gate may decide by itself.
    ///
    /// | reads | the next call | window |
    /// |---|---|---|
    /// | usable | waits for a read once the record is old | while the record is fresh |
    /// | backed off | fails open | none: the machine has to close the circuit first |
    /// | backed off | is decided by the old record | until the back-off is over |
    fn window(&self) -> (u64, u64) {
        let (from, span) = if self.health.is_usable(Access::Read, self.now) {
            let fresh = self.cache.at.filter(|_| self.is_fresh());
            (fresh, self.cache_age())
        } else if self.is_about_to_fall_open() {
            (None, Duration::ZERO)
        } else {
            // Until then the machine could not decide otherwise: asking it would only wake it.
            (Some(self.now), self.health.wait(Access::Read, self.now))
        };
        match (from, millis(span)) {
            (None, _) | (Some(_), 0) => (0, 0),
            (Some(from), span_ms) => (
                from.wall_ms().saturating_sub(CLOCK_TICK_MS),
                span_ms.saturating_add(CLOCK_TICK_MS),
            ),
        }
    }
}

/// Returns a wait in whole milliseconds, rounded up, so that no caller comes back too early.
fn millis_up(duration: Duration) -> u64 {
    let up = u64::from(!duration.subsec_nanos().is_multiple_of(1_000_000));
    millis(duration).saturating_add(up)
}
