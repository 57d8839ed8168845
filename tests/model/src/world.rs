//! The model: processes, the store, the network, and all that may happen.
//!
//! Not abstracted: an answer may come long after the write was applied; a request
//! may be applied after its sender gave up, and twice; reads may be stale, and are
//! acted upon; the store may throttle an operation, of which an earlier attempt may
//! arrive yet; a process may freeze, or restart and forget; the store may fail
//! a process until it answers again; the item may be deleted; an operator may
//! hold and release.
//! Abstracted: a stale read is one write behind, and there are few of them but for
//! first reads; one that may be behind the own last write is a consistent one;
//! operators have no process, and their second to themselves. The item is deleted
//! an hour after the last write, when nothing is under way and no lease is left, or
//! (`abrupt`) by a person: then messages are under way, but no lease is live, and
//! none arrives a second time afterwards.

pub(crate) mod past;
mod quiet;
mod start;
mod steps;

use std::collections::HashSet;

use stateright::{Model, Property};

use crate::{
    item::Write,
    process::{Answer, Job, Process, Verdict},
    shared::{Breach, Rules, Shared},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) shared: Shared,
    /// In order of themselves: which is which does not matter, since nothing on the
    /// item or on its way names a process.
    pub(crate) processes: Vec<Process>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A call fails that was admitted while closed; whether the store is out.
    Fail {
        who: usize,
        alone: bool,
    },
    /// A call comes while the circuit is not closed.
    Call(usize),
    Probe {
        who: usize,
        verdict: Verdict,
        alone: bool,
    },
    KeepAlive(usize),
    /// The store fails this process, though it has not written.
    LoseTheStore(usize),
    FallOpen(usize),
    ProbeAlone(usize),
    Read {
        who: usize,
        stale: bool,
    },
    Receive(usize),
    TimeOut(usize),
    Arrive {
        wire: usize,
        answered: bool,
        again: bool,
    },
    /// Leases that were stamped until then run out.
    Lapse(u8),
    Crash(usize),
    Delete,
    Hold,
    /// An operator holds the circuit closed: in any second, also in that of another write.
    HoldClosed,
    Release,
    /// The store refuses to do what it is asked; whether an earlier attempt of it may
    /// arrive yet.
    Throttle {
        who: usize,
        lost: bool,
    },
    Freeze(usize),
    /// A recovery time passes over a trip that is owed.
    Age(usize),
    /// So many good calls in a row that it is heard again.
    GoodCalls(usize),
}

impl Model for Rules {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        self.starts()
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        if world.shared.breach.is_some() {
            return;
        }
        for who in 0..world.processes.len() {
            world.steps_of(who, self, steps);
        }
        world.steps_of_others(self, steps);
    }

    fn next_state(&self, last: &World, step: Step) -> Option<World> {
        let mut world = last.clone();
        world.take(step, self);
        world.settle(self);
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn no(world: &World, breach: Breach) -> bool {
            world.shared.breach != Some(breach)
        }
        vec![
            Property::always("only the holder of the lease leaves half-open", |_, world| {
                no(world, Breach::NotTheHolder)
            }),
            Property::always("no write lands on a newer state", |_, world| {
                no(world, Breach::NewerState)
            }),
            Property::always("a trip lands in the epoch that was counted", |_, world| {
                no(world, Breach::AnotherEpoch)
            }),
            Property::always("a circuit closes after K good probes", |_, world| {
                no(world, Breach::Unproven)
            }),
            Property::always("a token that saw a failure never closes", |_, world| {
                no(world, Breach::Spent)
            }),
            Property::always("no count stands on the item during a probe", |_, world: &World| {
                let item = world.shared.item;
                !world.processes.iter().any(|env| env.probes_under_a_count(item))
            }),
            Property::always("at most one lease is live", |_, world: &World| {
                let lapsed = world.shared.lapsed;
                let live = |env: &&Process| env.has_live_lease(lapsed);
                world.processes.iter().filter(live).count() <= 1
            }),
            Property::always("what is told as ours was applied once", |_, world| {
                no(world, Breach::Unfounded)
            }),
            Property::always("no trip is sent for old failures", |_, world| no(world, Breach::Old)),
            Property::always("a refuted process writes no trip", |_, world| {
                no(world, Breach::Heard)
            }),
            Property::always("closings of others alone contradict", |_, world| {
                no(world, Breach::Unjust)
            }),
            Property::always("no trip ends a hold closed", |_, world| no(world, Breach::Held)),
            Property::always("nothing is done alone while the store answers", |_, world| {
                no(world, Breach::Alone)
            }),
            Property::always(
                "a quiet circuit closes by any one alone",
                |rules: &Self, world: &World| {
                    !world.is_quiet()
                        || (0..world.processes.len()).all(|who| world.closes_by(who, rules))
                },
            ),
        ]
    }
}

/// All states that are reached.
pub(crate) fn reached(rules: Rules) -> HashSet<World> {
    let mut todo = rules.init_states();
    let mut reached: HashSet<World> = todo.iter().cloned().collect();
    while let Some(world) = todo.pop() {
        let mut steps = Vec::new();
        rules.actions(&world, &mut steps);
        for next in steps.into_iter().filter_map(|step| rules.next_state(&world, step)) {
            if reached.insert(next.clone()) {
                todo.push(next);
            }
        }
    }
    reached
}

impl World {
    /// The same state for all that matters, whichever process is which.
    pub(crate) fn sorted(mut self) -> Self {
        self.processes.sort_unstable();
        self
    }

    fn take(&mut self, step: Step, rules: &Rules) {
        let Self { shared, processes } = self;
        match step {
            Step::Fail { who, alone } => processes[who].fail(alone, shared, rules),
            Step::Call(who) => processes[who].call(shared, rules),
            Step::Probe { who, verdict, alone } => {
                processes[who].end(verdict, alone, shared, rules);
            }
            Step::KeepAlive(who) => processes[who].keep_alive(shared, rules),
            Step::LoseTheStore(who) => {
                shared.faults -= 1;
                processes[who].lose_the_store(shared);
            }
            Step::FallOpen(who) => {
                shared.alone -= 1;
                processes[who].fall_open();
            }
            Step::ProbeAlone(who) => {
                shared.alone -= 1;
                processes[who].probe_alone(shared, rules);
            }
            Step::Read { who, stale } => {
                let found = if stale { shared.older } else { shared.item };
                shared.stale -= u8::from(stale && processes[who].seen.is_some());
                processes[who].job = Some(Job::Read(found));
            }
            Step::GoodCalls(who) => processes[who].has_good_calls(),
            Step::Receive(who) => processes[who].receive(shared, rules),
            Step::TimeOut(who) => {
                shared.faults -= 1;
                processes[who].time_out(shared);
            }
            Step::Arrive { wire, answered, again } => self.arrive(wire, answered, again, rules),
            Step::Lapse(until) => shared.lapse(until, rules),
            Step::Crash(_)
            | Step::Delete
            | Step::Hold
            | Step::HoldClosed
            | Step::Release
            | Step::Throttle { .. }
            | Step::Freeze(_)
            | Step::Age(_) => self.strike(step, rules),
        }
    }

    /// Something comes from without.
    fn strike(&mut self, step: Step, rules: &Rules) {
        let Self { shared, processes } = self;
        match step {
            Step::Crash(who) => {
                shared.crashes -= 1;
                processes[who] = Process::new();
            }
            Step::Delete if rules.abrupt => {
                shared.deletions -= 1;
                shared.network.retain(|wire| wire.landed == 0);
                shared.older = shared.item.take();
            }
            Step::Delete => {
                shared.deletions -= 1;
                shared.lapse(shared.clock, rules);
                shared.network.clear();
                shared.older = shared.item.take();
            }
            Step::Throttle { who, lost } => {
                shared.throttles -= 1;
                shared.faults -= u8::from(lost);
                if let Some(Job::Write { number, .. }) = processes[who].job {
                    shared.network.retain(|wire| lost || wire.number != number);
                }
                processes[who].throttle(shared, rules);
            }
            Step::Freeze(who) => {
                shared.freezes -= 1;
                processes[who].freeze(shared, rules);
            }
            Step::Age(who) => {
                shared.ages -= 1;
                if let Some(opened) = processes[who].owed_since() {
                    shared.lapse(opened, rules);
                    processes[who].drops_old_trip(shared, rules);
                }
            }
            Step::Hold | Step::HoldClosed | Step::Release => self.command(step, rules),
            Step::Fail { .. }
            | Step::Call(_)
            | Step::Probe { .. }
            | Step::KeepAlive(_)
            | Step::LoseTheStore(_)
            | Step::FallOpen(_)
            | Step::ProbeAlone(_)
            | Step::Read { .. }
            | Step::Receive(_)
            | Step::TimeOut(_)
            | Step::Arrive { .. }
            | Step::Lapse(_)
            | Step::GoodCalls(_) => {}
        }
    }

    /// An operator decides.
    fn command(&mut self, step: Step, rules: &Rules) {
        let shared = &mut self.shared;
        if step == Step::HoldClosed {
            shared.orders -= 1;
            let (seen, at) = (shared.item, shared.tick(rules));
            shared.send(Write::HoldClosed { seen, at });
            return;
        }
        match (step, shared.item) {
            (Step::Hold, seen) => self.order(|at| Write::Hold { seen, at }, rules),
            (_, Some(seen)) => self.order(|at| Write::Release { seen, at }, rules),
            (_, None) => {}
        }
    }

    /// An operator's write has a second to itself.
    fn order(&mut self, write: impl FnOnce(u8) -> Write, rules: &Rules) {
        self.shared.orders -= 1;
        self.shared.clock += 1;
        self.shared.send(write(self.shared.clock));
        self.shared.clock += u8::from(rules.coarse);
    }

    fn arrive(&mut self, index: usize, answered: bool, again: bool, rules: &Rules) {
        let mut wire = self.shared.network[index];
        let awaiting = self.awaits(wire.number);
        let after = self.shared.arrive(&mut wire, rules);
        if again {
            self.shared.faults -= 1;
            self.shared.network[index] = wire;
        } else {
            self.shared.network.remove(index);
        }
        let Some(who) = awaiting else { return };
        if let Some(Job::Write { landed, answer, .. }) = &mut self.processes[who].job {
            *landed = wire.landed;
            let shown = self.shared.item;
            *answer = answered.then(|| after.map_or(Answer::Refused(shown), Answer::Applied));
        }
    }
}
