//! Random operations on several machines over one record. The clocks of processes that
//! run are honest, and differ by no more than is tolerated; everything else may go wrong.

use std::{cell::RefCell, collections::BTreeSet};

use super::{
    super::{phase::*, prober::*},
    process::*,
    random_ops::{Act, LONGEST_RAMP, Meanwhile, Op, Trouble, worlds},
    seeds::play_seeds,
    world::*,
    *,
};
use crate::protocol::machine::Command;

/// The seeds that every test run plays.
const SEEDS: u64 = 300;

struct Play {
    world: World,
    /// The settings with which each process starts, and starts again.
    starts: Vec<Config>,
    /// The newest settings of each process.
    configs: Vec<Config>,
    /// All that any has had.
    all: Vec<Config>,
    passes: Vec<Vec<CallId>>,
    calls: Vec<Vec<Call>>,
    history: Vec<Option<Record>>,
    /// What came about that is rare.
    reached: BTreeSet<&'static str>,
}

impl Play {
    fn new(starts: Vec<Config>, is_skewed: bool) -> Self {
        let processes = starts.len();
        let mut world = World::of(&starts);
        world.watch.is_strict = true;
        for number in 0..processes {
            world.draw_at_random(number);
        }
        if is_skewed {
            world.watch.skew = s(2);
            for (process, by) in world.processes.iter_mut().zip([-1_000, 1_000, 0, 700]) {
                process.now = process.now.moved(0, by);
            }
        }
        let (passes, calls) = (vec![Vec::new(); processes], vec![Vec::new(); processes]);
        let (configs, all) = (starts.clone(), starts.clone());
        let (history, reached) = (vec![None], BTreeSet::new());
        Self { world, starts, configs, all, passes, calls, history, reached }
    }

    fn apply(&mut self, op: Op) {
        let processes = self.world.processes.len();
        match op {
            Op::Arrive(n) => self.arrive(n % processes),
            Op::Restart(n) => self.restart(n % processes),
            Op::Stop(n, stop) => self.world.stop(n % processes, stop),
            Op::GoOn(n, notices) => self.go_on(n % processes, notices),
            Op::Advance(by) => self.world.advance(ms(by)),
            Op::Fault(trouble) => self.trouble(trouble),
            Op::Down(down) => self.world.down = down.then_some(StoreErrorKind::Unavailable),
            Op::Throttle { reads, writes } => {
                self.world.throttle_reads = reads;
                self.world.throttle_writes = writes;
            }
            Op::Deny(kind) => self.world.deny_writes = kind,
            Op::CutOff(n, is_cut) => self.world.cut_off[n % processes] = is_cut,
            Op::Delete => self.delete(),
            Op::Act(n, act) if !self.world.is_stopped(n % processes) => {
                self.act(n % processes, act);
            }
            // Who stands still does nothing.
            Op::Act(..) => {}
        }
        self.after();
    }

    /// What a process that runs does.
    fn act(&mut self, number: usize, act: Act) {
        let process = &mut self.world.processes[number];
        match act {
            Act::Visit(report) => self.visit(number, report),
            Act::Row(report, times) => (0..times).for_each(|_| self.visit(number, Some(report))),
            Act::Recover => self.recover_by(number),
            Act::Slow(other, meanwhile, report) => {
                let other = other % self.world.processes.len();
                self.is_slow(number, other, &meanwhile, report);
            }
            Act::IsContradicted(other, good) => {
                let other = other % self.world.processes.len();
                self.is_contradicted(number, other, good);
            }
            Act::FailsAlone(other) => self.fails_alone(number, other % self.world.processes.len()),
            Act::IsCutOff(other) => self.is_cut_off(number, other % self.world.processes.len()),
            Act::Call => {
                let call = process.call();
                self.calls[number].push(call);
            }
            Act::End(at, report) => {
                let passes = &mut self.passes[number];
                if !passes.is_empty() {
                    let pass = passes.remove(passes.len() - 1 - at % passes.len());
                    process.end(pass, report);
                }
            }
            Act::KeepAlive(at) => {
                let passes = &self.passes[number];
                if !passes.is_empty() {
                    process.keep_alive(passes[passes.len() - 1 - at % passes.len()]);
                }
            }
            Act::Refresh => process.refresh(),
            Act::Tick => process.tick(),
            Act::GiveUpWaiting => process.forget_waiters(),
            Act::Deliver => self.world.deliver(number),
            Act::Settle => self.world.settle(number),
            Act::Command(held) => self.command(number, held),
            Act::Reconfigure(config) => self.reconfigure(number, *config),
        }
    }

    /// One order at a time, as its actor gives them.
    fn command(&mut self, number: usize, held: Option<(HoldKind, i64)>) {
        let process = &mut self.world.processes[number];
        if process.machine.command.is_none() {
            let until = |end: i64| process.now.unix_ceil(Duration::ZERO) + end;
            process.command(match held {
                Some((kind, end)) => hold(kind, until(end)),
                None => Command::Release,
            });
        }
    }

    fn reconfigure(&mut self, number: usize, config: Config) {
        let process = &self.world.processes[number];
        let shrinks = config.probe_lease() < process.machine.config().probe_lease();
        let is_held = process.token_probed_under().is_some();
        self.reach(shrinks && is_held, "a lease is shorter than that of a running probe");
        self.world.watch.has_settings(&config);
        self.world.processes[number].reconfigure(config.clone());
        self.all.push(config.clone());
        self.configs[number] = config;
    }

    /// The most of what the settings of all processes say.
    fn most<T: Ord>(&self, of: impl Fn(&Config) -> T) -> T {
        self.all.iter().map(of).max().expect("the first one")
    }

    /// Long enough for whoever is the last to probe.
    fn until_due(&self) -> Duration {
        self.most(Config::recovery_timeout) + self.most(Config::handoff) + s(3)
    }

    fn trips(&mut self, number: usize) {
        for _ in 0..self.configs[number].failure_threshold().get() {
            self.visit(number, Some(CallEnd::Failure));
        }
    }

    fn is_contradicted(&mut self, number: usize, other: usize, good: u32) {
        self.trips(number);
        self.world.advance(self.until_due());
        if !self.world.is_stopped(other) {
            self.recover_by(other);
        }
        self.world.advance(s(6));
        (0..=good).for_each(|_| self.visit(number, Some(CallEnd::Success)));
        self.trips(number);
    }

    fn fails_alone(&mut self, number: usize, other: usize) {
        if self.world.is_stopped(other) || other == number {
            return;
        }
        self.trips(other);
        self.world.advance(s(6));
        (0..2).for_each(|_| self.visit(number, None));
        self.world.deny_writes = Some(StoreErrorKind::Unavailable);
        self.world.advance(self.until_due());
        for _ in 0..5 {
            self.visit(number, Some(CallEnd::Failure));
            self.world.advance(s(1));
        }
        self.world.deny_writes = None;
        self.delete();
        self.world.advance(s(1));
        self.world.processes[number].tick();
        self.visit(number, None);
    }

    fn is_cut_off(&mut self, number: usize, other: usize) {
        if self.world.is_stopped(other) || other == number {
            return;
        }
        self.trips(other);
        self.world.advance(self.configs[other].recovery_timeout().saturating_sub(s(1)));
        self.world.cut_off[number] = true;
        self.trips(number);
        self.recover_by(other);
        self.world.cut_off[number] = false;
        self.visit(number, None);
    }

    fn is_slow(&mut self, slow: usize, other: usize, meanwhile: &Meanwhile, report: CallEnd) {
        self.world.settle(slow);
        if self.world.state(slow) == CircuitState::Open {
            self.world.advance(self.until_due());
        }
        let Call::Runs(pass) = self.world.call(slow) else {
            return;
        };
        if !self.world.is_stopped(other) && other != slow {
            let lease = self.most(Config::probe_lease);
            match meanwhile {
                Meanwhile::Calls => {
                    self.world.advance(lease + s(4));
                    self.visit(other, None);
                }
                Meanwhile::Recovers => {
                    self.world.advance(lease + s(4));
                    self.recover_by(other);
                }
                Meanwhile::Commands(hold) => {
                    self.world.settle(other);
                    self.command(other, *hold);
                    self.world.settle(other);
                }
                Meanwhile::Deletes => self.delete(),
            }
        }
        self.world.end(slow, pass, report);
    }

    fn arrive(&mut self, number: usize) {
        if !self.world.is_arrived(number) {
            self.world.arrive(number);
        }
    }

    fn restart(&mut self, number: usize) {
        self.configs[number] = self.starts[number].clone();
        self.world.restart(number, &self.starts[number]);
        self.passes[number].clear();
        self.calls[number].clear();
    }

    fn go_on(&mut self, number: usize, notices: bool) {
        let notices = notices && self.world.is_stopped(number);
        let owes = self.world.processes[number].owes_trip() && self.world.is_stopped(number);
        self.reach(owes, "a process stood still that owed a trip");
        self.world.go_on(number);
        if notices {
            self.world.processes[number].thaw();
            self.reach(true, "a process notices that it stood still");
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        let fault = match trouble {
            Trouble::LostAnswersOfWrites(many) => {
                self.world.lost_answers = many;
                return;
            }
            Trouble::LostAnswer => Fault::LostAnswer,
            Trouble::LostRequest => Fault::LostRequest,
            Trouble::Fails(kind) => Fault::Fails(kind),
            Trouble::Stale(at) => Fault::Stale(self.history[at % self.history.len()].clone()),
        };
        self.world.faults.push_back(fault);
    }

    fn delete(&mut self) {
        let state = self.world.record.as_ref().and_then(|record| record.state.valid().copied());
        let is_open = state == Some(CircuitState::Open);
        self.reach(is_open, "an open item is deleted");
        self.reach(state == Some(CircuitState::HalfOpen), "a half-open item is deleted");
        self.world.delete();
    }

    fn reach(&mut self, is_reached: bool, what: &'static str) {
        if is_reached {
            self.reached.insert(what);
        }
    }

    fn visit(&mut self, number: usize, report: Option<CallEnd>) {
        self.world.settle(number);
        if let Call::Runs(pass) = self.world.call(number) {
            match report {
                Some(report) => self.world.end(number, pass, report),
                None => self.passes[number].push(pass),
            }
        }
        self.after();
    }

    fn recover_by(&mut self, number: usize) {
        for _ in 0..60 {
            if self.world.state(number) == CircuitState::Closed {
                return;
            }
            self.world.advance(ms(500));
            self.visit(number, Some(CallEnd::Success));
        }
    }

    fn after(&mut self) {
        self.world.check();
        if self.history.last() != Some(&self.world.record) {
            self.history.push(self.world.record.clone());
        }
        for number in 0..self.world.processes.len() {
            self.note(number);
        }
        for (number, calls) in self.calls.iter_mut().enumerate() {
            calls.retain(|call| match self.world.processes[number].decision(*call) {
                Some(Call::Runs(pass)) => {
                    self.passes[number].push(pass);
                    false
                }
                Some(Call::Rejected) => false,
                Some(Call::Waits(_)) | None => true,
            });
        }
    }

    fn note(&mut self, number: usize) {
        let process = &self.world.processes[number];
        let (is_refuted, phase) = (process.is_refuted(), &process.machine.phase);
        let is_local = matches!(
            phase,
            Phase::HalfOpen(Recovery { prober: Prober::Offline(alone), .. }) if !alone.refuted
        );
        let opening = match phase {
            Phase::Open(opening) => Some(opening),
            Phase::HalfOpen(_) | Phase::Closed { .. } => None,
        };
        let is_lapsed = |opening: &Opening| matches!(opening.standing, Standing::Lapsed { .. });
        let has_lapsed = opening.is_some_and(|opening| is_lapsed(opening));
        let has_grown = |opening: &Opening| opening.term.failed_probes > 0;
        let goes_on = opening
            .is_some_and(|opening| has_grown(opening) && opening.cause == Cause::FailureThreshold);
        let asked_for = opening.is_some_and(|opening| opening.term.until.is_some());
        let is_heard_again = process.is_heard_again;
        let waits_longer = self.waits_for_a_longer_lease(process);
        let (ramps, trips_on_ramp) = (process.ramps.now.is_some(), process.ramps.has_tripped);
        self.reach(ramps, "a process ramps");
        self.reach(trips_on_ramp, "a circuit trips on a ramp");
        self.reach(is_refuted, "a process is refuted");
        self.reach(is_local, "a process probes without the store");
        self.reach(has_lapsed, "a trip lapses");
        self.reach(goes_on, "a trip goes on with the back-off");
        self.reach(asked_for, "a call asks for an open time");
        self.reach(is_heard_again, "good calls end a contradiction");
        self.reach(waits_longer, "a process waits for a lease that is longer than its own");
    }

    /// Whether a lease outlasts that of a process which has seen it unchanged for as long.
    fn waits_for_a_longer_lease(&self, process: &Process) -> bool {
        let Phase::HalfOpen(Recovery { prober: Prober::Other(other), .. }) = &process.machine.phase
        else {
            return false;
        };
        let own = process.machine.config().probe_lease();
        let is_over = process.now.since(other.since) > own + s(1);
        let is_longer = |holder: &Process| {
            holder.probes_under_lease() && holder.machine.config().probe_lease() > own
        };
        is_over && self.world.processes.iter().any(is_longer)
    }

    /// Store and dependency are well again, and calls come.
    fn recover(&mut self, timers: bool) {
        let world = &mut self.world;
        world.faults.clear();
        (world.down, world.deny_writes) = (None, None);
        (world.throttle_reads, world.throttle_writes) = (false, false);
        world.lost_answers = 0;
        world.cut_off.fill(false);
        let all: Vec<_> = (0..world.processes.len()).collect();
        let running: Vec<_> =
            all.iter().copied().filter(|number| !world.is_stopped(*number)).collect();
        // Others need nobody who stands still, whatever right or opening is theirs.
        self.closes(&running, timers);
        all.iter().for_each(|number| self.world.go_on(*number));
        self.closes(&all, timers);
        self.world.pass(LONGEST_RAMP);
        let ramping = |process: &Process| process.machine.published_ramp().is_some();
        assert!(!self.world.processes.iter().any(ramping), "a ramp that does not end");
    }

    /// Within a bound the circuit is closed for each of these, and stays so.
    fn closes(&mut self, numbers: &[usize], timers: bool) {
        for number in numbers {
            self.world.settle(*number);
        }
        let bound = self.longest_recovery();
        let started_at = self.world.watch.clock;
        let mut closed_for = 0;
        for number in numbers.iter().copied().cycle() {
            if timers {
                self.world.pass(ms(500));
            } else {
                self.world.advance(ms(500));
            }
            if let Call::Runs(pass) = self.world.call(number) {
                self.world.end(number, pass, CallEnd::Success);
            }
            let record = self.world.record.as_ref();
            let is_closed = record.is_none_or(|record| record.state == CircuitState::Closed.into())
                && numbers.iter().all(|number| self.world.state(*number) == CircuitState::Closed);
            assert!(is_closed || closed_for == 0, "it opened again, and nobody failed");
            closed_for += u32::from(is_closed);
            if closed_for > 20 {
                return;
            }
            let took = self.world.watch.clock - started_at;
            assert!(is_closed || took <= bound, "recovery is guaranteed: {took:?} of {bound:?}");
        }
    }

    /// What a call asks for, or the last step of the back-off and its jitter.
    fn longest_opening(&self) -> Duration {
        let grown = self.most(Config::recovery_timeout) * 4;
        self.most(Config::open_for_at_most).max(grown + grown / 5)
    }

    /// The longest back-off and the longest hold, and then all that is due one after the
    /// other, each a round of calls late.
    fn longest_recovery(&self) -> Duration {
        let round = ms(500).saturating_mul(u32::try_from(self.world.processes.len()).expect("few"));
        let successes = self.most(|config| config.success_threshold().get());
        let turns = u32::try_from(successes).expect("few") + 3;
        let (handoff, age) = (self.most(Config::handoff), self.most(Config::local_cache_max_age));
        let turn = handoff + age + s(2) + round;
        let lease = self.most(Config::probe_lease);
        s(60 + 20) + self.longest_opening() + lease + turn.saturating_mul(turns)
    }
}

/// What the worlds of all seeds together have to come to, so that none of the promises
/// is kept for want of an occasion.
const REACHED: [&str; 14] = [
    "a lease is shorter than that of a running probe",
    "a process waits for a lease that is longer than its own",
    "an open item is deleted",
    "a half-open item is deleted",
    "a process is refuted",
    "good calls end a contradiction",
    "a process probes without the store",
    "a trip lapses",
    "a trip goes on with the back-off",
    "a call asks for an open time",
    "a process stood still that owed a trip",
    "a process notices that it stood still",
    "a process ramps",
    "a circuit trips on a ramp",
];

/// Case 79, as far as a random walk goes.
#[test]
fn case_79_whatever_happens_one_probes_and_health_closes() {
    let reached = RefCell::new(BTreeSet::new());
    let play = |(starts, timers, is_skewed, ops)| {
        let mut play = Play::new(starts, is_skewed);
        for op in ops {
            play.apply(op);
        }
        play.recover(timers);
        reached.borrow_mut().extend(play.reached);
        reached.borrow_mut().extend(play.world.watch.writes());
    };
    let is_whole = play_seeds("random_world", SEEDS, &worlds(), play);
    let reached = reached.into_inner();
    let writes = ["elect absent", "hold", "release", "reopen", "take over", "give back"];
    for what in REACHED.into_iter().chain(writes) {
        assert!(!is_whole || reached.contains(what), "it never came about: {what}");
    }
}
