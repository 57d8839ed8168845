//! One machine, driven as its actor drives it, and checked after every step.

mod checks;
mod voting;

use std::{cmp::Ordering, collections::VecDeque};

use super::super::{phase::*, prober::*, storage::PendingWrite};
use super::*;
use crate::{
    protocol::counting::{Counting, Rules},
    protocol::machine::{Arrival, Command, Effect, StoreRequest, StoreResponse},
    protocol::votes::Ballot,
};

/// A call, as its caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Runs(CallId),
    Rejected,
    Waits(u64),
}

/// A probe that was begun without a lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lone {
    /// By the world's clock, when its call came.
    pub(super) came: Duration,
    /// Whether its process is open for itself alone.
    pub(super) refuted: bool,
    /// Whether it was for the store to say who probes.
    pub(super) was_stored: bool,
}

/// The last failure that counted: what a trip stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    at: Moment,
    /// By the world's clock.
    pub(super) clock: Duration,
    /// The record was never seen before.
    pub(super) blind: bool,
    /// This process stood still since.
    stood_still: bool,
}

impl Failed {
    /// What an opening for this failure is stamped with.
    pub(super) fn stamp(&self) -> i64 {
        self.at.unix_ceil(Duration::ZERO)
    }
}

/// A process that stands still.
#[derive(Clone, Copy, Debug)]
struct Stands {
    since: Duration,
    /// For how long nothing would have happened anyway.
    idle_for: Duration,
}

/// The number of a waiting call, what was known when it came, and when it came.
type Waiting = (u64, Arrival, Duration);

#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) machine: Machine,
    pub(super) now: Moment,
    /// The world's clock, which no process sees.
    pub(super) clock: Duration,
    /// The probes without a lease whose outcome was not yet reported.
    pub(super) lone: Vec<Lone>,
    pub(super) failed: Option<Failed>,
    /// The verdicts of probes under a lease, with its token, that the watch has not taken.
    pub(super) verdicts: Vec<(LeaseToken, bool)>,
    /// The last probe that was begun before the last freeze.
    cut_off: Option<ProbeId>,
    /// When the probe that was admitted last began.
    probe_began: Moment,
    /// The outcomes since others contradicted this process, until enough are good.
    pub(super) since_contradicted: Option<Vec<bool>>,
    /// It was contradicted once, and had enough good calls since.
    pub(super) is_heard_again: bool,
    /// The record that contradicted it just now.
    pub(super) contradicted_by: Option<Option<Record>>,
    stands: Option<Stands>,
    /// The store operation in flight.
    pub(super) job: Option<StoreRequest>,
    /// The ballot in flight.
    pub(super) ballot: Option<Arc<Ballot>>,
    pub(super) transitions: Vec<CircuitTransition>,
    pub(super) defects: Vec<&'static str>,
    /// What the last step asked for.
    pub(super) effects: Vec<Effect>,
    pub(super) counting: Counting,
    pub(super) stood: u64, // the streak when settings last changed
    /// How many good calls of which epoch were counted, as the slots have it.
    good: (u64, u64),
    /// The last epoch that the counting was told of.
    counted: u64,
    waiting: VecDeque<Waiting>,
    /// The call that has begun a look, and waits a moment for it.
    brief_waiter: Option<u64>,
    decided: Vec<(u64, Call)>,
    calls: u64,
    last: (u64, CircuitState),
    pub(super) last_probe: Option<ProbeId>,
    pub(super) ramps: checks::Ramps,
    /// An arrival from before the first read.
    first: Arrival,
}

impl Process {
    pub(super) fn new(number: usize, config: Config) -> Self {
        let counting = Counting::new(Rules::new(&config), config.success_threshold().get());
        let machine = machine(number, config);
        let last = (machine.epoch(), machine.phase.state());
        let first = machine.arrival(false);
        Self {
            machine,
            now: START,
            clock: Duration::ZERO,
            lone: Vec::new(),
            failed: None,
            verdicts: Vec::new(),
            cut_off: None,
            probe_began: START,
            since_contradicted: None,
            is_heard_again: false,
            contradicted_by: None,
            stands: None,
            job: None,
            ballot: None,
            transitions: Vec::new(),
            defects: Vec::new(),
            effects: Vec::new(),
            counting,
            stood: 0,
            good: (0, 0),
            counted: 0,
            waiting: VecDeque::new(),
            brief_waiter: None,
            decided: Vec::new(),
            calls: 0,
            last,
            last_probe: None,
            ramps: checks::Ramps::default(),
            first,
        }
    }

    pub(super) fn state(&self) -> CircuitState {
        self.machine.phase.state()
    }

    /// A call comes.
    pub(super) fn call(&mut self) -> Call {
        let arrival = self.machine.arrival(self.counting.is_failing());
        self.call_with(arrival)
    }

    /// A call for which the store was read already.
    pub(super) fn call_looked(&mut self) -> Call {
        self.call_with(self.first)
    }

    fn call_with(&mut self, arrival: Arrival) -> Call {
        self.calls += 1;
        let call = self.judge(self.calls, arrival, self.clock);
        self.after();
        call
    }

    fn judge(&mut self, number: u64, arrival: Arrival, came: Duration) -> Call {
        let was_stored = self.is_for_the_store();
        let admission = self.machine.admit(self.now, arrival);
        self.note((number, arrival, came), was_stored, admission)
    }

    fn note(&mut self, call: Waiting, was_stored: bool, admission: Admission) -> Call {
        let (number, arrival, came) = call;
        match admission {
            Admission::Admitted(pass) => {
                assert_eq!(pass.epoch, self.machine.epoch(), "a pass is of the current epoch");
                if let Some(probe) = pass.probe {
                    assert_eq!(self.state(), CircuitState::HalfOpen, "only half-open is probed");
                    assert!(self.last_probe < Some(probe), "a probe's number came twice");
                    self.last_probe = Some(probe);
                    let own = matches!(
                        &self.machine.phase,
                        Phase::HalfOpen(Recovery { prober: Prober::Us(_), .. })
                    );
                    assert!(!own || self.probes_under_lease(), "a probe on a lease that ran out");
                    if let Phase::HalfOpen(Recovery { prober: Prober::Offline(alone), .. }) =
                        &self.machine.phase
                    {
                        self.lone.push(Lone { came, refuted: alone.refuted, was_stored });
                    }
                    self.probe_began = self.machine.now;
                } else {
                    assert_eq!(self.state(), CircuitState::Closed, "calls flow while closed only");
                }
                Call::Runs(pass)
            }
            Admission::Rejected => {
                assert_ne!(self.state(), CircuitState::Closed, "a closed circuit rejects nobody");
                let published = self.machine.published();
                assert!(
                    published.retry_at_ms >= self.machine.now.wall_ms(),
                    "retry_at lies in the past"
                );
                Call::Rejected
            }
            Admission::Wait => {
                self.waiting.push_back((number, arrival, came));
                Call::Waits(number)
            }
            Admission::WaitBriefly => {
                assert_ne!(self.state(), CircuitState::Closed, "it would be rejected otherwise");
                self.brief_waiter = Some(number);
                self.waiting.push_back((number, arrival.waiting_briefly(), came));
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
        self.brief_waiter.is_some_and(|number| call == Call::Waits(number))
    }

    /// The calls that wait for the store.
    pub(super) fn waiters(&self) -> Vec<Call> {
        self.waiting.iter().map(|(number, ..)| Call::Waits(*number)).collect()
    }

    /// The callers give up waiting.
    pub(super) fn forget_waiters(&mut self) {
        self.waiting.clear();
    }

    /// The store answers: everyone who waits is asked again.
    pub(super) fn answer(&mut self, answer: StoreResponse) {
        let waiting = std::mem::take(&mut self.waiting);
        self.answer_to(answer, waiting);
    }

    /// Feeds the store's answer to the machine, without asking the waiting calls again.
    pub(super) fn answer_only(&mut self, answer: StoreResponse) {
        self.answer_to(answer, VecDeque::new());
    }

    fn answer_to(&mut self, answer: StoreResponse, waiting: VecDeque<Waiting>) {
        self.job = None;
        let was_stored = self.is_for_the_store();
        let arrivals: Vec<_> = waiting.iter().map(|(_, arrival, _)| *arrival).collect();
        let admissions = self.machine.on_response(self.now, answer, &arrivals);
        assert_eq!(admissions.len(), waiting.len());
        for (call, admission) in waiting.into_iter().zip(admissions) {
            match self.note(call, was_stored, admission) {
                Call::Waits(_) => {}
                decided @ (Call::Runs(_) | Call::Rejected) => self.decided.push((call.0, decided)),
            }
        }
        self.after();
    }

    /// The machine learns what time it is.
    pub(super) fn pass_time(&mut self) {
        self.machine.advance(self.now);
    }

    /// A call ends. One that is no probe is counted beside the machine.
    pub(super) fn end(&mut self, pass: CallId, report: CallEnd) {
        let place = self.place();
        self.note_outcome(pass, report);
        match (pass.probe, report) {
            (Some(_), CallEnd::Success) => self.counting.probe(place, true),
            (Some(_), CallEnd::Failure | CallEnd::OpenFor(_)) => self.counting.probe(place, false),
            (None, CallEnd::Success) if self.counting.needs_good_calls() => {
                self.count_good(pass.epoch);
            }
            (None, failure) if failure.is_failure() => self.count_failure(pass.epoch, failure),
            (Some(_) | None, _) => {}
        }
        if pass.probe.is_some() {
            self.machine.report(self.now, pass, report);
        }
        self.after();
    }

    /// Notes what the promises are judged by, in words of its own: the counting and the
    /// machine are not asked what they make of it.
    fn note_outcome(&mut self, pass: CallId, report: CallEnd) {
        let is_good = match report {
            CallEnd::Success => true,
            CallEnd::Failure | CallEnd::OpenFor(_) => false,
            CallEnd::Ignored | CallEnd::Dropped => return,
        };
        let counts = pass.probe.is_some() || pass.epoch == self.counting.epoch();
        if !counts {
            return;
        }
        let judged = pass.probe.is_none() || self.machine.is_probing(pass);
        // What a freeze has cut off is no verdict.
        let is_cut_off = !is_good && pass.probe.is_some() && pass.probe <= self.cut_off;
        if judged
            && !is_cut_off
            && let Some(lease) = self.machine.phase.our_lease()
        {
            self.verdicts.push((lease.token.clone(), is_good));
        }
        if !is_good && judged {
            let at =
                if self.now.mono() < self.machine.now.mono() { self.machine.now } else { self.now };
            let blind = self.machine.cache.at.is_none();
            self.failed = Some(Failed { at, clock: self.clock, blind, stood_still: false });
        }
        let enough = self.machine.config.success_threshold().get().saturating_mul(8);
        if let Some(outcomes) = &mut self.since_contradicted {
            outcomes.push(is_good);
            let good = outcomes.iter().rev().take_while(|is_good| **is_good).count();
            if u64::try_from(good).is_ok_and(|good| good >= enough) {
                self.since_contradicted = None;
                self.is_heard_again = true;
            }
        }
    }

    /// This process stands still from now on.
    pub(super) fn stop(&mut self) {
        let idle_for = if self.job.is_some() {
            self.machine.config.store_timeout()
        } else {
            self.machine.deadline().unwrap_or(Duration::MAX)
        };
        self.stands = Some(Stands { since: self.clock, idle_for });
    }

    /// It goes on: what it had decided before is of another time.
    pub(super) fn go_on(&mut self) {
        if let Some(Stands { since, idle_for }) = self.stands.take()
            && let Some(failed) = &mut self.failed
        {
            failed.stood_still |= self.clock - since > idle_for.saturating_add(s(1));
        }
    }

    /// It has noticed that it stood still.
    pub(super) fn thaw(&mut self) {
        self.cut_off = self.last_probe;
        self.machine.thawed(self.now);
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

    fn count_failure(&mut self, epoch: u64, end: CallEnd) {
        assert!(epoch <= self.counting.epoch(), "an epoch begins in the counting as well");
        if epoch == self.counting.epoch() {
            if let Some(seconds) = end.open_time() {
                self.counting.open_for(self.place(), self.now, seconds);
            } else {
                self.counting.failure(self.place(), self.now);
            }
        }
        if let Some(trip) = self.counting.trip().cloned() {
            assert_eq!(trip.refuted, self.since_contradicted.is_some(), "who is heard");
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
        if contradicted {
            self.contradicted_by = Some(self.machine.cache.record().cloned());
            self.since_contradicted.get_or_insert_default();
        }
        if self.machine.has_thawed() {
            self.counting.renumber(epoch, self.place());
        }
        let is_refused = self.counting.trip().is_some_and(|trip| trip.epoch == epoch);
        self.counting.start_epoch(epoch, self.place(), contradicted);
        if is_refused {
            self.counting.restart();
        }
        self.counting.forget_past(self.place(), self.now);
        self.machine.learn_what_stands(self.counting.remembered());
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
    pub(super) fn command(&mut self, command: Command) {
        self.machine.command(self.now, command);
        self.after();
    }

    /// Whether this process probes under a lease of its own that is live.
    pub(super) fn probes_under_lease(&self) -> bool {
        self.token_probed_under().is_some()
    }

    /// The token that this process probes under, if its lease is live.
    pub(super) fn token_probed_under(&self) -> Option<&LeaseToken> {
        let Phase::HalfOpen(Recovery { prober: Prober::Us(ours), .. }) = &self.machine.phase else {
            return None;
        };
        // An event that was overtaken is judged by the machine's own time.
        let overtaken = self.now.mono() < self.machine.now.mono();
        let now = if overtaken { self.machine.now } else { self.now };
        let live = now.is_within(ours.leased_at, self.machine.config.probe_lease());
        (live && matches!(ours.stage, Stage::Probing(_))).then_some(&ours.token)
    }

    /// Whether the store has said that the circuit is not closed, and says who probes.
    fn is_for_the_store(&self) -> bool {
        match &self.machine.phase {
            Phase::Closed { .. } => false,
            Phase::Open(opening) => opening.standing == Standing::Stored,
            Phase::HalfOpen(recovery) => !matches!(recovery.prober, Prober::Offline(_)),
        }
    }

    pub(super) fn owes_trip(&self) -> bool {
        self.machine.pending == Some(PendingWrite::Trip)
    }

    fn collect(&mut self) {
        for effect in self.machine.take_effects() {
            match &effect {
                Effect::Announce(transition) => self.transitions.push((**transition).clone()),
                Effect::Defective(attribute) => self.defects.push(attribute),
                Effect::CommandResult(_) => {}
                Effect::Start(job) => {
                    assert_eq!(self.job, None, "a second store operation was started");
                    if let StoreRequest::Write { operation, .. } = job {
                        checks::check_operation(operation);
                        self.check_sent(operation);
                    }
                    self.job = Some(job.clone());
                }
                Effect::Vote(ballot) => {
                    assert_eq!(self.ballot, None, "a second ballot was started");
                    self.ballot = Some(Arc::clone(ballot));
                }
            }
            self.effects.push(effect);
        }
    }

    /// Takes the effects of a step, and checks what must hold after each.
    pub(super) fn after(&mut self) {
        self.effects = Vec::new();
        self.show_wish();
        self.collect();
        self.follow();
        self.check();
    }
}
