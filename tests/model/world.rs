//! The model: environments, the store, the network, and all that may happen.
//!
//! Not abstracted: an answer may come long after the write was applied; a request
//! may be applied after its sender gave up, and twice; a first read may be stale;
//! an environment may restart and forget; the store may fail an environment until
//! it answers again; the item may be deleted; an operator may hold and release.
//! Abstracted: a stale read is one write behind; a read that is not the first and
//! shows a change is followed by a consistent one (as in the machine), so that only
//! first reads are stale here; operators have no environment, and their second to
//! themselves; the deletion comes an hour after the last write, so that nothing is
//! under way then, and no lease is left.

pub(crate) mod past;
mod quiet;

use std::collections::HashSet;

use stateright::{Model, Property};

use crate::{
    environment::{Answer, CLOSED, Environment, Job, Phase, Stage, Verdict},
    item::{FULL, Item, OPENED, Seen, State, Write},
    shared::{Breach, Rules, Shared},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) shared: Shared,
    /// In order of themselves: which is which does not matter, since nothing on the
    /// item or on its way names an environment.
    pub(crate) environments: Vec<Environment>,
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
    /// The store fails this environment, though it has not written.
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
    Release,
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
        for who in 0..world.environments.len() {
            world.steps_of(who, steps);
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
                !world.environments.iter().any(|env| env.probes_under_a_count(item))
            }),
            Property::always("at most one lease is live", |_, world: &World| {
                let lapsed = world.shared.lapsed;
                let live = |env: &&Environment| env.has_live_lease(lapsed);
                world.environments.iter().filter(live).count() <= 1
            }),
            Property::always("what is told as ours was applied once", |_, world| {
                no(world, Breach::Unfounded)
            }),
            Property::always(
                "a quiet circuit closes by any one alone",
                |rules: &Self, world: &World| {
                    !world.is_quiet()
                        || (0..world.environments.len()).all(|who| world.closes_by(who, rules))
                },
            ),
        ]
    }
}

impl Rules {
    /// A new circuit, one that is closed, and one that is open, known to all or to none;
    /// or one that was open, and whose first election all know.
    fn starts(&self) -> Vec<World> {
        let closed = Item {
            state: State::Closed,
            failures: Some(0),
            opened: None,
            owner: None,
            lease: None,
            expires: 0,
            count: None,
            epoch: FULL,
        };
        let open = Item { state: State::Open, opened: Some(0), epoch: OPENED, ..closed };
        let unknown = Environment::new();
        let known = |seen: Seen, phase, told| Environment {
            seen: Some(seen),
            certain: true,
            phase,
            told,
            ..unknown
        };
        let waiting = Phase::Open { opened: 0, stored: true, counted: 0 };
        let world = |item, environment| World {
            shared: Shared {
                item,
                older: item,
                clock: 1,
                lapsed: 0,
                writes: 0,
                faults: self.faults,
                alone: self.alone,
                crashes: self.crashes,
                deletions: self.deletions,
                orders: self.orders,
                network: Vec::new(),
                good: 0,
                failed: false,
                breach: None,
            },
            environments: vec![environment; self.environments],
        };
        let opened = world(Some(open), known(Some(open), waiting, State::Open));
        if self.elected {
            return vec![self.elect(opened)];
        }
        vec![
            world(None, unknown),
            world(Some(closed), known(Some(closed), CLOSED, State::Closed)),
            opened,
        ]
    }

    /// One is elected, and the others see it.
    fn elect(&self, mut world: World) -> World {
        let mut play = |step| {
            world.take(step, self);
            world.settle(self);
        };
        play(Step::Call(0));
        play(Step::Arrive { wire: 0, answered: true, again: false });
        let is_behind = |world: &World| {
            let seen = |env: &Environment| env.seen == Some(world.shared.item);
            world.environments.iter().position(|env| !seen(env))
        };
        while let Some(who) = is_behind(&world) {
            world.take(Step::Read { who, stale: false }, self);
            world.settle(self);
        }
        world
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
    /// The same state for all that matters, whichever environment is which.
    pub(crate) fn sorted(mut self) -> Self {
        self.environments.sort_unstable();
        self
    }

    fn steps_of(&self, who: usize, steps: &mut Vec<Step>) {
        let environment = &self.environments[who];
        let shared = &self.shared;
        let idle = environment.job.is_none();
        if environment.is_answered() {
            steps.push(Step::Receive(who));
        }
        if !idle && shared.faults > 0 {
            steps.push(Step::TimeOut(who));
        }
        let seen = environment.seen.is_some() || environment.out;
        for alone in [false, true].into_iter().filter(|alone| !alone || idle && environment.out) {
            if matches!(environment.phase, Phase::Closed { .. }) && seen {
                steps.push(Step::Fail { who, alone });
            }
            if environment.is_probing() {
                for verdict in [Verdict::Good, Verdict::Bad, Verdict::None] {
                    steps.push(Step::Probe { who, verdict, alone });
                }
            }
        }
        if idle {
            self.steps_alone(who, steps);
            let closed = matches!(environment.phase, Phase::Closed { .. });
            if !closed || environment.want.is_some() {
                steps.push(Step::Call(who));
            }
            if environment.ours().is_some_and(|ours| ours.stage == Stage::Probing) {
                steps.push(Step::KeepAlive(who));
            }
            if environment.ours().is_none()
                && (environment.seen != Some(shared.item) || !environment.certain)
            {
                steps.push(Step::Read { who, stale: false });
            }
            if environment.seen.is_none() && shared.older != shared.item {
                steps.push(Step::Read { who, stale: true });
            }
        }
        if shared.crashes > 0 && *environment != Environment::new() {
            steps.push(Step::Crash(who));
        }
    }

    /// What an environment may do while the store is out, or comes to be so.
    fn steps_alone(&self, who: usize, steps: &mut Vec<Step>) {
        let environment = &self.environments[who];
        if self.shared.alone == 0 {
            return;
        }
        if self.shared.faults > 0 && !environment.out {
            steps.push(Step::LoseTheStore(who));
        }
        if environment.may_fall_open() {
            steps.push(Step::FallOpen(who));
        }
        if environment.may_probe_alone(self.shared.lapsed) {
            steps.push(Step::ProbeAlone(who));
        }
    }

    fn steps_of_others(&self, rules: &Rules, steps: &mut Vec<Step>) {
        let shared = &self.shared;
        for wire in 0..shared.network.len() {
            let awaited = self.awaits(shared.network[wire].number).is_some();
            let doubled = shared.faults > 0;
            for (answered, again) in [(true, false), (false, false), (true, true), (false, true)] {
                let kind = if awaited { answered || doubled } else { !answered };
                if kind && (!again || doubled) {
                    steps.push(Step::Arrive { wire, answered, again });
                }
            }
        }
        let lease = shared.item.and_then(|item| item.lease).and_then(|it| it.checked_sub(FULL));
        let leases = self.environments.iter().filter_map(|env| Some(env.ours()?.leased));
        let mut ends: Vec<u8> = leases.chain(lease).filter(|end| *end > shared.lapsed).collect();
        ends.sort_unstable();
        ends.dedup();
        steps.extend(ends.into_iter().map(Step::Lapse));
        let idle = self.environments.iter().all(|env| env.job.is_none());
        if shared.deletions > 0 && shared.item.is_some() && idle {
            steps.push(Step::Delete);
        }
        if shared.orders > 0 && shared.writes < rules.writes {
            steps.push(Step::Hold);
            if !Item::is_closed(shared.item) {
                steps.push(Step::Release);
            }
        }
    }

    fn awaits(&self, sent: u8) -> Option<usize> {
        self.environments.iter().position(|env| {
            matches!(env.job, Some(Job::Write { number, answer: None, .. }) if number == sent)
        })
    }

    fn take(&mut self, step: Step, rules: &Rules) {
        let Self { shared, environments } = self;
        match step {
            Step::Fail { who, alone } => environments[who].fail(alone, shared, rules),
            Step::Call(who) => environments[who].call(shared, rules),
            Step::Probe { who, verdict, alone } => {
                environments[who].end(verdict, alone, shared, rules);
            }
            Step::KeepAlive(who) => environments[who].keep_alive(shared, rules),
            Step::LoseTheStore(who) => {
                shared.faults -= 1;
                environments[who].lose_the_store();
            }
            Step::FallOpen(who) => {
                shared.alone -= 1;
                environments[who].fall_open();
            }
            Step::ProbeAlone(who) => {
                shared.alone -= 1;
                environments[who].probe_alone(shared, rules);
            }
            Step::Read { who, stale } => {
                let found = if stale { shared.older } else { shared.item };
                environments[who].job = Some(Job::Read(found));
            }
            Step::Receive(who) => environments[who].receive(shared, rules),
            Step::TimeOut(who) => {
                shared.faults -= 1;
                environments[who].time_out();
            }
            Step::Arrive { wire, answered, again } => self.arrive(wire, answered, again, rules),
            Step::Lapse(until) => shared.lapse(until, rules),
            Step::Crash(who) => {
                shared.crashes -= 1;
                environments[who] = Environment::new();
            }
            Step::Delete => {
                shared.deletions -= 1;
                shared.lapse(shared.clock, rules);
                shared.network.clear();
                shared.older = shared.item.take();
            }
            Step::Hold => {
                let seen = shared.item;
                self.order(|at| Write::Hold { seen, at }, rules);
            }
            Step::Release => {
                if let Some(seen) = shared.item {
                    self.order(|at| Write::Release { seen, at }, rules);
                }
            }
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
        if let Some(Job::Write { landed, answer, .. }) = &mut self.environments[who].job {
            *landed = wire.landed;
            let shown = self.shared.item;
            *answer = answered.then(|| after.map_or(Answer::Refused(shown), Answer::Applied));
        }
    }
}
