//! One machine, driven as its actor drives it, and checked after every step.

use std::{cmp::Ordering, collections::VecDeque};

use super::{super::phase::*, super::storage::Want, *};
use crate::{
    counting::Counting,
    machine::{Answer, Arrival, Effect, Job, Order},
};

/// A call, as its caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Runs(Pass),
    Rejected,
    Waits(u64),
}

pub(super) struct Node {
    pub(super) machine: Machine,
    pub(super) now: Moment,
    /// The store operation in flight.
    pub(super) job: Option<Job>,
    pub(super) transitions: Vec<CircuitTransition>,
    pub(super) defects: Vec<&'static str>,
    /// What the last step asked for.
    pub(super) effects: Vec<Effect>,
    counting: Counting,
    /// How many good calls of which epoch were counted, as the slots have it.
    good: (u64, u64),
    /// The last epoch that the counting was told of.
    counted: u64,
    waiting: VecDeque<(u64, Arrival)>,
    /// The call that has begun a look, and waits a moment for it.
    looker: Option<u64>,
    decided: Vec<(u64, Call)>,
    calls: u64,
    last: (u64, CircuitState),
    pub(super) last_probe: Option<ProbeId>,
    /// An arrival from before the first read.
    first: Arrival,
}

impl Node {
    pub(super) fn new(number: usize, config: Config) -> Self {
        let failures = config.failure_threshold().get();
        let counting = Counting::new(failures, config.success_threshold().get());
        let machine = machine(number, config);
        let last = (machine.epoch(), machine.phase.state());
        let first = machine.arrival(false);
        Self {
            machine,
            now: START,
            job: None,
            transitions: Vec::new(),
            defects: Vec::new(),
            effects: Vec::new(),
            counting,
            good: (0, 0),
            counted: 0,
            waiting: VecDeque::new(),
            looker: None,
            decided: Vec::new(),
            calls: 0,
            last,
            last_probe: None,
            first,
        }
    }

    pub(super) fn state(&self) -> CircuitState {
        self.machine.phase.state()
    }

    /// A call comes.
    pub(super) fn call(&mut self) -> Call {
        let arrival = self.machine.arrival(self.counting.hurts());
        self.call_with(arrival)
    }

    /// A call for which the store was read already.
    pub(super) fn call_looked(&mut self) -> Call {
        self.call_with(self.first)
    }

    fn call_with(&mut self, arrival: Arrival) -> Call {
        self.calls += 1;
        let call = self.judge(self.calls, arrival);
        self.after();
        call
    }

    fn judge(&mut self, number: u64, arrival: Arrival) -> Call {
        match self.machine.admit(self.now, arrival) {
            Admission::Admitted(pass) => {
                assert_eq!(pass.epoch, self.machine.epoch(), "a pass is of the current epoch");
                if let Some(probe) = pass.probe {
                    assert_eq!(self.state(), CircuitState::HalfOpen, "only half-open is probed");
                    assert!(self.last_probe < Some(probe), "a probe's number came twice");
                    self.last_probe = Some(probe);
                    let own = matches!(
                        &self.machine.phase,
                        Phase::HalfOpen(Recovery { right: Right::Ours(_), .. })
                    );
                    assert!(!own || self.probes_under_lease(), "a probe on a lease that ran out");
                } else {
                    assert_eq!(self.state(), CircuitState::Closed, "calls flow while closed only");
                }
                Call::Runs(pass)
            }
            Admission::Rejected => {
                assert_ne!(self.state(), CircuitState::Closed, "a closed circuit rejects nobody");
                let digest = self.machine.digest();
                assert!(
                    digest.retry_at_ms >= self.machine.now.wall_ms(),
                    "retry_at lies in the past"
                );
                Call::Rejected
            }
            Admission::Wait => {
                self.waiting.push_back((number, arrival));
                Call::Waits(number)
            }
            Admission::Look => {
                assert_ne!(self.state(), CircuitState::Closed, "it would be rejected otherwise");
                self.looker = Some(number);
                self.waiting.push_back((number, arrival.looking()));
                Call::Waits(number)
            }
        }
    }

    /// The caller's decision, once there is one.
    pub(super) fn decision(&mut self, call: Call) -> Option<Call> {
        match call {
            Call::Runs(_) | Call::Rejected => Some(call),
            Call::Waits(number) => {
                let at = self.decided.iter().position(|(decided, _)| *decided == number)?;
                Some(self.decided.swap_remove(at).1)
            }
        }
    }

    /// Whether a call waits a moment only, for the look that it has begun.
    pub(super) fn looks(&self, call: Call) -> bool {
        self.looker.is_some_and(|number| call == Call::Waits(number))
    }

    /// The calls that wait for the store.
    pub(super) fn waiters(&self) -> Vec<Call> {
        self.waiting.iter().map(|(number, _)| Call::Waits(*number)).collect()
    }

    /// The callers give up waiting.
    pub(super) fn forget_waiters(&mut self) {
        self.waiting.clear();
    }

    /// The store answers: everyone who waits is asked again.
    pub(super) fn answer(&mut self, answer: Answer) {
        self.job = None;
        self.machine.stored(self.now, answer);
        self.machine.reopen_claims();
        for (number, arrival) in std::mem::take(&mut self.waiting) {
            match self.judge(number, arrival) {
                Call::Waits(_) => {}
                call @ (Call::Runs(_) | Call::Rejected) => self.decided.push((number, call)),
            }
        }
        self.machine.settle_claim(self.now);
        self.after();
    }

    /// The store answers, and nobody is asked again yet.
    pub(super) fn answer_only(&mut self, answer: Answer) {
        self.job = None;
        self.machine.stored(self.now, answer);
        self.machine.reopen_claims();
        self.after();
    }

    /// The machine learns what time it is.
    pub(super) fn pass_time(&mut self) {
        self.machine.advance(self.now);
    }

    /// A call ends. One that is no probe is counted beside the machine.
    pub(super) fn end(&mut self, pass: Pass, report: Report) {
        let place = self.place();
        match (pass.probe, report) {
            (Some(_), Report::Success) => self.counting.probe(place, true),
            (Some(_), Report::Failure) => self.counting.probe(place, false),
            (None, Report::Success) if self.counting.stands() => self.count_good(pass.epoch),
            (None, Report::Failure) => self.count_failure(pass.epoch),
            (_, Report::Success | Report::Ignored | Report::NoVerdict) => {}
        }
        if pass.probe.is_some() {
            self.machine.report(self.now, pass, report);
        }
        self.after();
    }

    fn count_good(&mut self, epoch: u64) {
        let (of, count) = self.good;
        match epoch.cmp(&of) {
            Ordering::Less => {}
            Ordering::Equal => self.good = (of, count + 1),
            Ordering::Greater => self.good = (epoch, 1),
        }
    }

    fn count_failure(&mut self, epoch: u64) {
        assert!(epoch <= self.counting.epoch(), "an epoch begins in the counting as well");
        if epoch == self.counting.epoch() {
            self.counting.failure(self.place(), self.now);
        }
        if let Some(trip) = self.counting.trip().cloned() {
            self.machine.trip(self.now, &trip);
        }
    }

    /// How many good calls of the epoch that is counted have ended.
    fn place(&self) -> u64 {
        let (of, count) = self.good;
        if of == self.counting.epoch() { count } else { 0 }
    }

    /// How many failures in a row stand.
    pub(super) fn streak(&self) -> u64 {
        self.counting.in_a_row()
    }

    /// The counting follows the machine, as it does after each turn of an actor.
    fn follow(&mut self) {
        let epoch = self.machine.epoch();
        let contradicted = epoch > self.counted && self.machine.is_contradicted();
        self.counted = epoch;
        let is_refused = self.counting.trip().is_some_and(|trip| trip.epoch == epoch);
        self.counting.start_epoch(epoch, self.place(), contradicted);
        if is_refused {
            self.counting.restart();
        }
        self.counting.forget_past(self.place());
        self.machine.learn_whether_failures_stand(self.counting.stands());
    }

    pub(super) fn keep_alive(&mut self, pass: Pass) {
        self.machine.keep_alive(self.now, pass);
        self.after();
    }

    pub(super) fn refresh(&mut self) {
        self.machine.refresh(self.now);
        self.after();
    }

    pub(super) fn tick(&mut self) {
        self.machine.tick(self.now);
        self.after();
    }

    /// An operator orders something.
    pub(super) fn order(&mut self, order: Order) {
        self.machine.order(self.now, order);
        self.after();
    }

    /// The right that this node holds and probes under, if its lease is live.
    pub(super) fn probes_under_lease(&self) -> bool {
        let Phase::HalfOpen(Recovery { right: Right::Ours(ours), .. }) = &self.machine.phase else {
            return false;
        };
        // An event that was overtaken is judged by the machine's own time.
        let overtaken = self.now.mono() < self.machine.now.mono();
        let now = if overtaken { self.machine.now } else { self.now };
        let live = now.is_within(ours.leased_at, self.machine.config.probe_lease());
        live && matches!(ours.stage, Stage::Probing { .. })
    }

    fn collect(&mut self) {
        for effect in self.machine.take_effects() {
            match &effect {
                Effect::Announce(transition) => self.transitions.push(transition.clone()),
                Effect::Defective(attribute) => self.defects.push(attribute),
                Effect::Ordered(_) => {}
                Effect::Start(job) => {
                    assert_eq!(self.job, None, "a second store operation was started");
                    if let Job::Write { operation, .. } = job {
                        check_operation(operation);
                    }
                    self.job = Some(job.clone());
                }
            }
            self.effects.push(effect);
        }
    }

    /// Takes the effects of a step, and checks what must hold after each.
    fn after(&mut self) {
        self.effects = Vec::new();
        self.collect();
        self.follow();
        self.check();
    }

    fn check(&mut self) {
        let (epoch, state) = (self.machine.epoch(), self.state());
        assert!(epoch >= self.last.0, "an epoch ran back");
        assert!(epoch > self.last.0 || state == self.last.1, "a new state in the old epoch");
        self.last = (epoch, state);
        let threshold = self.machine.config.failure_threshold().get();
        assert!(self.streak() < threshold, "a streak without a trip");
        assert_eq!(self.counting.trip(), None, "a trip that the machine neither took nor refused");
        assert_eq!(self.machine.job, self.job);
        if let Phase::HalfOpen(Recovery { right: Right::Ours(ours), .. }) = &self.machine.phase
            && ours.stage == Stage::Settling
        {
            assert!(self.machine.want.is_some(), "a verdict that nobody writes: stuck for ever");
        }
        if let Phase::Open(opening) = &self.machine.phase
            && opening.standing == Standing::Owed
        {
            let owed = matches!(self.machine.want, Some(Want::Trip | Want::Reopen { .. }));
            assert!(owed, "a local opening that nobody publishes");
        }
        let soon = self.machine.deadline() == Some(Duration::ZERO);
        let answered = self.job.is_some() || soon || self.waiting.is_empty();
        assert!(answered, "a call waits and nothing is under way");
    }
}

/// What no write may say, whatever is known.
fn check_operation(operation: &Operation) {
    if let Operation::Trip { seen: Some(seen), .. } = operation {
        let opened = matches!(
            seen.state,
            Field::Valid(CircuitState::Open) | Field::Valid(CircuitState::HalfOpen)
        );
        assert!(!opened, "a trip over a record that is not closed");
    }
}
