//! Several machines over one record, on one virtual clock, with scripted faults.
//! [`watch`](super::watch) judges every write and every step.

use std::{collections::VecDeque, fmt};

use super::{process::*, watch::Watch, *};
use crate::protocol::machine::{StoreRequest, StoreResponse};

/// What befalls the next store operation.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a test makes few of them")]
pub(super) enum Fault {
    /// It is applied, and its answer lost.
    LostAnswer,
    /// It never arrives; given up after a timeout.
    LostRequest,
    /// It is refused with an error, at once.
    Fails(StoreErrorKind),
    /// It is a write, and is refused, even if the record permits it.
    Refused,
    /// It is a read, and shows what was there before.
    Stale(Option<Record>),
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) record: Option<Record>,
    pub(super) processes: Vec<Process>,
    pub(super) faults: VecDeque<Fault>,
    /// Every operation fails, until the store is mended.
    pub(super) down: Option<StoreErrorKind>,
    /// Every write fails, and reads are answered.
    pub(super) deny_writes: Option<StoreErrorKind>,
    /// Every write is throttled.
    pub(super) throttle_writes: bool,
    /// Every read is throttled.
    pub(super) throttle_reads: bool,
    /// The processes that no answer of the store reaches, nor their requests the store.
    pub(super) cut_off: Vec<bool>,
    /// The answers to so many writes get lost.
    pub(super) lost_answers: u32,
    pub(super) throttled: u64,
    pub(super) reads: u64,
    /// Writes that were asked for.
    pub(super) writes: u64,
    /// Writes that were applied: by whom, and what.
    pub(super) applied: Vec<(usize, &'static str)>,
    /// What every write and every step is judged by.
    pub(super) watch: Watch,
    /// Answers on their way.
    delayed: Vec<Option<Delayed>>,
    /// The processes that stand still.
    stops: Vec<Option<Stop>>,
    lives: usize,
}

#[derive(Clone, Debug)]
struct Delayed {
    answer: StoreResponse,
    /// A read that showed what was there before.
    is_stale: bool,
}

/// How a process stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its monotonic clock stands still as well: its clocks disagree afterwards.
    Frozen,
    /// Both clocks go on.
    Paused,
}

impl World {
    pub(super) fn new(processes: usize, config: &Config) -> Self {
        Self::of(&vec![config.clone(); processes])
    }

    /// One process for each of these settings.
    pub(super) fn of(configs: &[Config]) -> Self {
        let processes = configs.len();
        let start = |(number, config): (usize, &Config)| Process::new(number, config.clone());
        Self {
            record: None,
            processes: configs.iter().enumerate().map(start).collect(),
            faults: VecDeque::new(),
            down: None,
            deny_writes: None,
            throttle_writes: false,
            throttle_reads: false,
            cut_off: vec![false; processes],
            lost_answers: 0,
            throttled: 0,
            reads: 0,
            writes: 0,
            applied: Vec::new(),
            watch: Watch::new(configs),
            delayed: (0..processes).map(|_| None).collect(),
            stops: vec![None; processes],
            lives: processes,
        }
    }

    /// Prints all that what happens next, and its judgement, depend on.
    pub(super) fn print_state(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let Self { record, processes, watch, delayed, stops, applied, lives, .. } = self;
        processes.iter().try_for_each(|process| process.print_state(out))?;
        watch.print_state(out)?;
        write!(out, "{record:?}{delayed:?}{stops:?}{applied:?}{lives:?}")
    }

    /// Time passes, for everyone.
    pub(super) fn advance(&mut self, by: Duration) {
        self.watch.advance(by);
        for (process, stop) in self.processes.iter_mut().zip(&self.stops) {
            let (mono, now) = (process.now.mono(), later(process.now, by));
            let is_frozen = *stop == Some(Stop::Frozen);
            process.now = if is_frozen { Moment::new(mono, now.wall(), 0) } else { now };
            process.clock = self.watch.clock;
        }
        self.check();
    }

    /// A process stands still: requests of it that are under way may reach the store.
    pub(super) fn stop(&mut self, number: usize, stop: Stop) {
        if self.stops[number].is_none() {
            self.stops[number] = Some(stop);
            self.processes[number].stop();
        }
    }

    pub(super) fn go_on(&mut self, number: usize) {
        if self.stops[number].take().is_some() {
            self.processes[number].go_on();
        }
    }

    pub(super) fn is_stopped(&self, number: usize) -> bool {
        self.stops[number].is_some()
    }

    /// Somebody deletes the item.
    pub(super) fn delete(&mut self) {
        self.watch.ends_tokens_of(self.record.as_ref());
        self.record = None;
    }

    /// Time passes with running timers: every deadline is kept on the way.
    pub(super) fn pass(&mut self, by: Duration) {
        let mut left = by;
        while left > Duration::ZERO {
            let running = self.processes.iter().zip(&self.stops).filter(|(_, stop)| stop.is_none());
            let next = running.filter_map(|(process, _)| process.machine.deadline()).min();
            let step = next.unwrap_or(left).max(ms(1)).min(left);
            self.advance(step);
            left = left.saturating_sub(step);
            for number in 0..self.processes.len() {
                if !self.is_stopped(number) {
                    self.processes[number].tick();
                    self.settle(number);
                }
            }
        }
    }

    /// The operation of a process in flight reaches the store; its answer waits.
    pub(super) fn arrive(&mut self, number: usize) {
        let Some(job) = self.processes[number].job.clone() else {
            return;
        };
        assert!(self.delayed[number].is_none(), "the operation arrived already");
        self.watch.take_verdicts(&mut self.processes, self.record.as_ref());
        let cut = self.cut_off[number].then_some(Fault::LostRequest);
        let fault = cut.or(self.down.map(Fault::Fails)).or_else(|| self.fault_of(&job));
        let fault = fault.or_else(|| self.faults.pop_front());
        let mut is_stale = false;
        let answer = match (job, fault) {
            (_, Some(Fault::LostRequest)) => StoreResponse::Failed(StoreErrorKind::Timeout),
            (_, Some(Fault::Fails(kind))) => StoreResponse::Failed(kind),
            (
                StoreRequest::Read { consistency: Consistency::Eventual, .. },
                Some(Fault::Stale(record)),
            ) => {
                self.reads += 1;
                is_stale = record != self.record;
                StoreResponse::Read(record)
            }
            (StoreRequest::Read { .. }, fault) => {
                self.reads += 1;
                match fault {
                    Some(Fault::LostAnswer) => StoreResponse::Failed(StoreErrorKind::Timeout),
                    Some(_) | None => StoreResponse::Read(self.record.clone()),
                }
            }
            (StoreRequest::Write { .. }, Some(Fault::Refused)) => {
                self.writes += 1;
                StoreResponse::Written(Written::Refused(self.record.clone()))
            }
            (StoreRequest::Write { operation, .. }, fault) => {
                let written = self.write(number, &operation);
                match fault {
                    Some(Fault::LostAnswer) => StoreResponse::Failed(StoreErrorKind::Timeout),
                    Some(_) | None => StoreResponse::Written(written),
                }
            }
        };
        self.delayed[number] = Some(Delayed { answer, is_stale });
    }

    fn fault_of(&mut self, job: &StoreRequest) -> Option<Fault> {
        if matches!(job, StoreRequest::Read { .. }) {
            return self.throttle_reads.then_some(Fault::Fails(StoreErrorKind::Throttled));
        }
        if self.throttle_writes {
            self.throttled += 1;
            return Some(Fault::Fails(StoreErrorKind::Throttled));
        }
        if self.lost_answers > 0 {
            self.lost_answers -= 1;
            return Some(Fault::LostAnswer);
        }
        self.deny_writes.map(Fault::Fails)
    }

    /// A process draws something else each time, and other things than other processes.
    pub(super) fn draw_at_random(&mut self, number: usize) {
        let draw = u8::try_from(number * 101 % 256).expect("a byte");
        let step = u8::try_from(number * 2 % 256).expect("a byte") | 1;
        let entropy = Counted { process: number, tokens: 1_000, draw, step };
        self.processes[number].machine.entropy = Box::new(entropy);
    }

    /// What a process draws from now on, whatever it draws for.
    pub(super) fn draws(&mut self, number: usize, draw: u8) {
        self.processes[number].machine.entropy =
            Box::new(Counted { process: number, tokens: 1_000, draw, step: 0 });
    }

    fn write(&mut self, number: usize, operation: &Operation) -> Written {
        self.writes += 1;
        self.watch.sent(number, operation);
        match operation.apply(self.record.as_ref()) {
            Some(record) => {
                let process = &self.processes[number];
                self.watch.applied((number, process), operation, self.record.as_ref(), &record);
                self.record = Some(record.clone());
                self.applied.push((number, operation.name()));
                Written::Applied(record)
            }
            None => Written::Refused(self.record.clone()),
        }
    }

    pub(super) fn is_arrived(&self, number: usize) -> bool {
        self.delayed[number].is_some()
    }

    /// A process is gone, and comes back without a memory.
    pub(super) fn restart(&mut self, number: usize, config: &Config) {
        let (now, clock) = (self.processes[number].now, self.processes[number].clock);
        self.processes[number] = Process::new(number, config.clone());
        self.processes[number].now = now;
        self.processes[number].clock = clock;
        self.stops[number] = None;
        self.watch.restarted(number);
        // Tokens are random in earnest: those of a former life never come back.
        self.lives += 1;
        self.processes[number].machine.entropy =
            Box::new(Counted { process: self.lives, tokens: 0, draw: 0, step: 0 });
        self.delayed[number] = None;
        for (by, _) in &mut self.applied {
            *by = if *by == number { usize::MAX } else { *by };
        }
    }

    /// The answer that waits reaches its process.
    pub(super) fn deliver(&mut self, number: usize) {
        if let Some(Delayed { answer, is_stale }) = self.delayed[number].take() {
            let job = self.processes[number].job.clone();
            self.watch.answered(number, job.as_ref(), &answer, is_stale);
            let is_shown = matches!(answer, StoreResponse::Read(_) | StoreResponse::Written(_));
            let before =
                (self.processes[number].state(), self.processes[number].machine.command.is_some());
            self.processes[number].answer(answer);
            if is_shown {
                self.watch.has_learned(number, &self.processes[number], before, job.as_ref());
            }
            self.check();
        }
    }

    /// Serves a process until it has no operation in flight and none to make now.
    pub(super) fn settle(&mut self, number: usize) {
        for _ in 0..50 {
            if self.processes[number].job.is_none() {
                if self.processes[number].machine.deadline() != Some(Duration::ZERO) {
                    return;
                }
                self.processes[number].tick();
            }
            if self.delayed[number].is_none() {
                self.arrive(number);
            }
            self.deliver(number);
        }
        panic!("a process never comes to rest");
    }

    /// A call, decided; the store answers as fast as it is asked.
    pub(super) fn call(&mut self, number: usize) -> Call {
        let call = self.processes[number].call();
        self.settle(number);
        let decision = self.processes[number].decision(call);
        self.check();
        decision.expect("every call is decided once the store has answered")
    }

    pub(super) fn admit(&mut self, number: usize) -> CallId {
        match self.call(number) {
            Call::Runs(pass) => pass,
            other @ (Call::Rejected | Call::Waits(_)) => panic!("not admitted: {other:?}"),
        }
    }

    pub(super) fn end(&mut self, number: usize, pass: CallId, report: CallEnd) {
        self.processes[number].end(pass, report);
        self.settle(number);
        self.check();
    }

    /// Calls and fails, so many times.
    pub(super) fn fail(&mut self, number: usize, times: u64) {
        for _ in 0..times {
            let pass = self.admit(number);
            self.end(number, pass, CallEnd::Failure);
        }
    }

    /// Calls and ends well.
    pub(super) fn succeed(&mut self, number: usize) {
        let pass = self.admit(number);
        self.end(number, pass, CallEnd::Success);
    }

    pub(super) fn state(&self, number: usize) -> CircuitState {
        self.processes[number].state()
    }

    pub(super) fn stored(&self) -> &Record {
        self.record.as_ref().expect("there is a record")
    }

    /// The transitions of a process that its own writes made.
    pub(super) fn local(&self, number: usize) -> Vec<(CircuitState, CircuitState)> {
        self.of_origin(number, Origin::Local)
    }

    pub(super) fn of_origin(
        &self,
        number: usize,
        origin: Origin,
    ) -> Vec<(CircuitState, CircuitState)> {
        let transitions = self.processes[number].transitions.iter();
        let of = transitions.filter(|transition| transition.origin == origin);
        of.map(|transition| (transition.from_state, transition.to_state)).collect()
    }

    /// What holds in every world whose clocks are honest.
    pub(super) fn check(&mut self) {
        self.watch.take_verdicts(&mut self.processes, self.record.as_ref());
        self.watch.check(&mut self.processes);
        for (number, process) in self.processes.iter().enumerate() {
            for kind in ["open", "elect", "take over", "close", "hold", "release"] {
                let is = |name: &str| {
                    name == kind
                        // A failed probe of a circuit without record is written as a trip.
                        || (kind == "open" && matches!(name, "trip" | "reopen"))
                        || (kind == "elect" && name == "elect absent")
                        || (kind == "hold" && name == "hold closed")
                };
                let made =
                    self.applied.iter().filter(|made| made.0 == number && is(made.1)).count();
                let told = process.transitions.iter().filter(|told| is_told_of(told, kind)).count();
                assert!(told <= made, "{told} {kind}s told by {number}, {made} made");
            }
        }
    }
}

/// Whether a transition says that its own process made such a write.
fn is_told_of(transition: &CircuitTransition, kind: &str) -> bool {
    let cause = match &transition.cause {
        Cause::FailureThreshold | Cause::Rule(_) | Cause::OpenFor | Cause::ProbeFailed => "open",
        Cause::RecoveryTimeout => "elect",
        Cause::TakeOver { .. } => "take over",
        Cause::ProbesSucceeded => "close",
        Cause::Hold => "hold",
        Cause::Release => "release",
        Cause::RecordGone
        | Cause::StoreUnreadable
        | Cause::Refuted
        | Cause::WouldOpen
        | Cause::HoldEnded
        | Cause::Elsewhere
        | Cause::Forgotten => return false,
    };
    cause == kind && transition.origin == Origin::Local
}
