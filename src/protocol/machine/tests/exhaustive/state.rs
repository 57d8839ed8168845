//! A state of the walk, and the steps that lead on from it.

use std::{
    fmt::{self, Write as _},
    hash::{DefaultHasher, Hasher},
};

use super::super::{process::*, world::*, *};
use crate::{
    config::Backoff,
    protocol::machine::{Command, StoreRequest},
};

/// What may happen, and how often in one walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) processes: usize,
    /// The good probes that close the circuit.
    pub(super) successes: u32,
    /// Calls that come.
    pub(super) calls: u8,
    /// Spans of time that pass, each long enough for something to become due.
    pub(super) leaps: u8,
    /// Operations whose answer waits while other things happen.
    pub(super) delays: u8,
    /// Operations that fail, or that show an older record.
    pub(super) faults: u8,
    pub(super) deletions: u8,
    /// Commands of operators.
    pub(super) commands: u8,
    /// Processes that are frozen.
    pub(super) freezes: u8,
    /// Processes that are gone, and come back without a memory.
    pub(super) restarts: u8,
    /// Whether openings differ in length, by a back-off and as calls ask, and closings begin a ramp.
    pub(super) lengths: bool,
}

/// Nothing goes wrong but the calls.
pub(super) const CALM: Bounds = Bounds {
    processes: 2,
    successes: 1,
    calls: 3,
    leaps: 1,
    delays: 0,
    faults: 0,
    deletions: 0,
    commands: 0,
    freezes: 0,
    restarts: 0,
    lengths: false,
};

/// What happens next; the first number is that of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Call(usize),
    /// The call that began this many calls ago ends.
    End(usize, usize, CallEnd),
    /// The operation in flight is answered.
    Serve(usize),
    /// The operation in flight reaches the store, and its answer waits.
    Arrive(usize),
    Deliver(usize),
    Fail(usize, Trouble),
    Leap(Duration),
    KeepAlive(usize),
    Delete,
    /// An operator holds the circuit open, or releases it.
    Command(usize, Command),
    Freeze(usize),
    Thaw(usize),
    Restart(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    LostRequest,
    LostAnswer,
    Throttled,
    /// A read shows the record of before the last write.
    Stale,
}

const TROUBLES: [Trouble; 4] =
    [Trouble::LostRequest, Trouble::LostAnswer, Trouble::Throttled, Trouble::Stale];

/// The end of one `handoff`, of a cached record in half-open, and of a lease or an opening.
const LEAPS: [Duration; 2] = [Duration::from_millis(2_100), Duration::from_millis(32_100)];

/// The end of an opening after one failed probe, where that lengthens it.
const LONG_LEAP: Duration = Duration::from_millis(62_100);

/// The settings of all processes.
fn settings(bounds: Bounds) -> Config {
    let config = Config::builder().failure_threshold(1).success_threshold(bounds.successes);
    let backoff = Backoff::exponential(2.0).at_most(s(60)).jitter(0.0);
    build(if bounds.lengths { config.open_backoff(backoff).ramp(s(40)) } else { config })
}

/// A state of the walk.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) world: World,
    /// The calls that run, by process.
    passes: Vec<Vec<CallId>>,
    calls: Vec<Vec<Call>>,
    frozen: Vec<bool>,
    /// The record before the last write.
    older: Option<Record>,
    left: Bounds,
}

/// Feeds what is printed to a hash.
struct Digest(DefaultHasher);

impl fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl State {
    pub(super) fn first(bounds: Bounds) -> Self {
        let config = settings(bounds);
        let mut world = World::new(bounds.processes, &config);
        world.watch.is_strict = true;
        Self {
            world,
            passes: vec![Vec::new(); bounds.processes],
            calls: vec![Vec::new(); bounds.processes],
            frozen: vec![false; bounds.processes],
            older: None,
            left: bounds,
        }
    }

    /// Two states with the same key go on alike, but for a collision: one in 10^13 pairs.
    pub(super) fn key(&self) -> u64 {
        let mut digest = Digest(DefaultHasher::new());
        let Self { world, passes, calls, frozen, older, left } = self;
        write!(digest, "{passes:?}{calls:?}{frozen:?}{older:?}{left:?}").expect("it never fails");
        world.print_state(&mut digest).expect("it never fails");
        digest.0.finish()
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for number in 0..self.world.processes.len() {
            if self.frozen[number] {
                steps.push(Step::Thaw(number));
            } else {
                self.steps_of(number, &mut steps);
            }
        }
        if self.left.leaps > 0 {
            let long = self.left.lengths.then_some(LONG_LEAP);
            steps.extend(LEAPS.into_iter().chain(long).map(Step::Leap));
        }
        // Where the item is deleted under a lease, two processes can close the circuit in one
        // second. A closing carries no token, so that both then take it for theirs and tell it.
        let state = self.world.record.as_ref().map(|record| record.state.clone());
        if self.left.deletions > 0
            && state.is_some_and(|state| state != CircuitState::HalfOpen.into())
        {
            steps.push(Step::Delete);
        }
        steps
    }

    fn steps_of(&self, number: usize, steps: &mut Vec<Step>) {
        let process = &self.world.processes[number];
        if self.left.calls > 0 && self.calls[number].is_empty() {
            steps.push(Step::Call(number));
        }
        for index in 0..self.passes[number].len() {
            let asks = self.left.lengths.then(|| CallEnd::open_for(s(2)));
            let ends = [CallEnd::Success, CallEnd::Failure, CallEnd::Dropped].into_iter();
            steps.extend(ends.chain(asks).map(|end| Step::End(number, index, end)));
        }
        if self.world.is_arrived(number) {
            steps.push(Step::Deliver(number));
        } else if let Some(request) = &process.job {
            steps.push(Step::Serve(number));
            if self.left.delays > 0 {
                steps.push(Step::Arrive(number));
            }
            if self.left.faults > 0 {
                let is_read = matches!(request, StoreRequest::Read { .. });
                let may = |trouble: &Trouble| match trouble {
                    Trouble::Stale => is_read && self.older != self.world.record,
                    Trouble::LostAnswer => !is_read,
                    Trouble::LostRequest | Trouble::Throttled => true,
                };
                let troubles = TROUBLES.into_iter().filter(may);
                steps.extend(troubles.map(|trouble| Step::Fail(number, trouble)));
            }
        }
        if process.machine.right_ends_in().is_some() && !self.passes[number].is_empty() {
            steps.push(Step::KeepAlive(number));
        }
        if self.left.commands > 0 && process.machine.command.is_none() {
            let until = process.now.unix_ceil(s(40));
            let holds = [HoldKind::Open, HoldKind::Closed].map(|kind| hold(kind, until));
            let commands = holds.into_iter().chain([Command::Release]);
            steps.extend(commands.map(|command| Step::Command(number, command)));
        }
        if self.left.freezes > 0 {
            steps.push(Step::Freeze(number));
        }
        if self.left.restarts > 0 {
            steps.push(Step::Restart(number));
        }
    }

    pub(super) fn take(&mut self, step: Step) {
        let before = self.world.record.clone();
        match step {
            Step::Call(number) => {
                self.left.calls -= 1;
                let call = self.world.processes[number].call();
                self.calls[number].push(call);
            }
            Step::End(number, index, end) => {
                let pass = self.passes[number].remove(index);
                self.world.processes[number].end(pass, end);
            }
            Step::Serve(number) => self.serve(number),
            Step::Arrive(number) => {
                self.left.delays -= 1;
                self.world.arrive(number);
            }
            Step::Deliver(number) => self.world.deliver(number),
            Step::Fail(number, trouble) => self.fail(number, trouble),
            Step::Leap(by) => self.leap(by),
            Step::KeepAlive(number) => {
                let pass = *self.passes[number].last().expect("a call that runs");
                self.world.processes[number].keep_alive(pass);
            }
            Step::Delete => {
                self.left.deletions -= 1;
                self.world.delete();
            }
            Step::Command(number, command) => {
                self.left.commands -= 1;
                self.world.processes[number].command(command);
            }
            Step::Freeze(number) => {
                self.left.freezes -= 1;
                self.frozen[number] = true;
                self.world.stop(number, Stop::Frozen);
            }
            Step::Thaw(number) => self.thaw(number),
            Step::Restart(number) => self.restart(number),
        }
        self.world.check();
        if self.world.record != before {
            self.older = before;
        }
        self.collect();
    }

    fn serve(&mut self, number: usize) {
        self.world.arrive(number);
        self.world.deliver(number);
    }

    fn fail(&mut self, number: usize, trouble: Trouble) {
        self.left.faults -= 1;
        let fault = match trouble {
            Trouble::LostRequest => Fault::LostRequest,
            Trouble::LostAnswer => Fault::LostAnswer,
            Trouble::Throttled => Fault::Fails(StoreErrorKind::Throttled),
            Trouble::Stale => Fault::Stale(self.older.clone()),
        };
        self.world.faults.push_back(fault);
        self.serve(number);
        self.world.faults.clear();
    }

    fn leap(&mut self, by: Duration) {
        self.left.leaps -= 1;
        self.world.advance(by);
        for number in 0..self.world.processes.len() {
            if !self.frozen[number] {
                self.world.processes[number].tick();
            }
        }
    }

    fn thaw(&mut self, number: usize) {
        self.frozen[number] = false;
        self.world.go_on(number);
        self.world.processes[number].thaw();
        self.world.processes[number].tick();
    }

    fn restart(&mut self, number: usize) {
        self.left.restarts -= 1;
        self.world.restart(number, &settings(self.left));
        self.passes[number].clear();
        self.calls[number].clear();
    }

    /// Notes which calls run by now.
    fn collect(&mut self) {
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
}
