//! What holds after every step of a machine, and of every write that it sends.

use std::fmt;

use super::*;
use crate::protocol::machine::{PublishedRamp, STEPS};

/// The ramps of one process, as a test has watched them.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Ramps {
    /// The present ramp: the ramp, how much of it was left, and at which time.
    pub(in super::super) now: Option<(PublishedRamp, Duration, Moment)>,
    pub(in super::super) has_tripped: bool,
}

impl Process {
    /// Whether this process fails where others do not, and is not closed for itself.
    pub(in super::super) fn is_refuted(&self) -> bool {
        match &self.machine.phase {
            Phase::Open(opening) => opening.standing == Standing::Refuted,
            Phase::HalfOpen(Recovery { prober: Prober::Offline(alone), .. }) => alone.refuted,
            Phase::HalfOpen(_) | Phase::Closed { .. } => false,
        }
    }

    /// Prints all that what happens next, and its judgement, depend on.
    pub(in super::super) fn print_state(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let Machine { entropy, now, epoch, phase, used_at, failures_stand, .. } = &self.machine;
        write!(out, "{entropy:?}{now:?}{epoch}{phase:?}{used_at:?}{failures_stand}")?;
        let Machine { announced, cache, reputation, request, pending, command, .. } = &self.machine;
        write!(out, "{announced:?}{cache:?}{reputation:?}{request:?}{pending:?}{command:?}")?;
        let Machine { health, probe_claimed, probes, has_thawed, has_told_would_open, .. } =
            &self.machine;
        write!(out, "{health:?}{probe_claimed}{probes:?}{has_thawed}{has_told_would_open}")?;
        let Self { now, failed, probe_began, since_contradicted, is_heard_again, .. } = self;
        write!(out, "{now:?}{failed:?}{probe_began:?}{since_contradicted:?}{is_heard_again}")?;
        let Self { contradicted_by, stands, transitions, counting, good, counted, .. } = self;
        write!(out, "{contradicted_by:?}{stands:?}{transitions:?}{counting:?}{good:?}{counted}")?;
        let Self { waiting, brief_waiter, last, last_probe, cut_off, .. } = self;
        write!(out, "{waiting:?}{brief_waiter:?}{last:?}{last_probe:?}{cut_off:?}")
    }

    /// The holder of a probe says that it is alive.
    pub(in super::super) fn keep_alive(&mut self, pass: CallId) {
        let renews = |machine: &Machine| {
            machine.pending == Some(PendingWrite::Renew { starts_probe: false })
        };
        let renewed = renews(&self.machine);
        self.machine.keep_alive(self.now, pass);
        if !renewed && renews(&self.machine) {
            let runs_for = self.machine.now.since(self.probe_began);
            assert!(runs_for < self.machine.config.probe_limit(), "renewed after {runs_for:?}");
        }
        self.after();
    }

    /// What a write may not be sent for, whatever the machine has made of it.
    pub(super) fn check_sent(&self, operation: &Operation) {
        if let Operation::Hold { .. } | Operation::HoldClosed { .. } | Operation::Release { .. } =
            operation
        {
            return;
        }
        assert!(!self.is_refuted(), "a refuted process writes: {}", operation.name());
        if !matches!(operation, Operation::Trip { .. }) {
            return;
        }
        assert!(self.since_contradicted.is_none(), "who was contradicted trips for all");
        let now = self.machine.now;
        let failed = self.failed.expect("a trip stands for failures");
        let age = now.since(failed.at);
        assert!(age < self.machine.config.recovery_timeout(), "a trip for failures {age:?} old");
        assert!(!failed.stood_still, "a trip for failures from before a standstill");
    }

    pub(super) fn check(&mut self) {
        let (epoch, state) = (self.machine.epoch(), self.state());
        assert!(epoch >= self.last.0, "an epoch ran back");
        assert!(epoch > self.last.0 || state == self.last.1, "a new state in the old epoch");
        self.last = (epoch, state);
        let threshold = self.machine.config.failure_threshold().get();
        // A lower threshold trips at the next failure.
        if self.streak() < threshold {
            self.stood = 0;
        }
        assert!(self.streak() < threshold.max(self.stood + 1), "a streak without a trip");
        assert_eq!(self.counting.trip(), None, "a trip that the machine neither took nor refused");
        assert_eq!(self.machine.request.in_flight.as_deref(), self.job.as_ref());
        if self.job.is_none() && self.machine.pending.is_none() {
            assert_eq!(self.machine.announced, state, "a state that nobody was told of");
        }
        let told = self.transitions.last().map_or(CircuitState::Closed, |last| last.to_state);
        assert_eq!(told, self.machine.announced);
        if let Phase::HalfOpen(Recovery { prober: Prober::Us(ours), .. }) = &self.machine.phase
            && ours.stage == Stage::Settling
        {
            assert!(self.machine.pending.is_some(), "a verdict that nobody writes: stuck for ever");
        }
        if let Phase::Open(opening) = &self.machine.phase
            && opening.standing == Standing::Owed
        {
            let owed = matches!(
                self.machine.pending,
                Some(PendingWrite::Trip | PendingWrite::Reopen { .. })
            );
            assert!(owed, "a local opening that nobody publishes");
        }
        self.check_ramp();
        let soon = self.machine.deadline() == Some(Duration::ZERO);
        let answered = self.job.is_some() || soon || self.waiting.is_empty();
        assert!(answered, "a call waits and nothing is under way");
    }

    /// A ramp is of a closed circuit, admits some calls at any time, and ends: with time, and
    /// whether calls come or not.
    fn check_ramp(&mut self) {
        let now = self.machine.now;
        let before = self.ramps.now.take();
        self.ramps.has_tripped |= before.is_some() && self.state() == CircuitState::Open;
        let Some((ramp, left)) = self.machine.published_ramp().zip(self.machine.ramp_left()) else {
            return;
        };
        assert_eq!(self.state(), CircuitState::Closed, "only a closed circuit ramps");
        if let Some(step) = ramp.step(now.wall_ms()) {
            assert!((1..STEPS).contains(&step.share), "a ramp admits {} of {STEPS}", step.share);
        }
        assert!(left > Duration::ZERO, "a ramp that is over");
        let wakes = self.machine.deadline().is_some_and(|deadline| deadline <= left);
        assert!(wakes, "nothing ends a ramp that has {left:?} left");
        if let Some((before, was_left, at)) = before
            && (before.id, before.length_ms) == (ramp.id, ramp.length_ms)
        {
            let passed = now.mono().saturating_sub(at.mono());
            // A wall clock that was set by a second or less is believed.
            let most = was_left.saturating_sub(passed).saturating_add(s(1));
            assert!(left <= most, "a ramp grew: {left:?}, and {most:?} were left");
        }
        self.ramps.now = Some((ramp, left, now));
    }
}

/// What no write may say, whatever is known.
pub(super) fn check_operation(operation: &Operation) {
    if let Operation::Trip { seen: Some(seen), .. } = operation {
        let opened = matches!(
            seen.state,
            Field::Valid(CircuitState::Open) | Field::Valid(CircuitState::HalfOpen)
        );
        assert!(!opened, "a trip over a record that is not closed");
    }
}
