//! Where a world begins.

use super::{Step, World};
use crate::{
    item::{FULL, Item, OPENED, Seen, State},
    process::{CLOSED, Phase, Process},
    shared::{Rules, Shared},
};

impl Rules {
    /// A new circuit, one that is closed, and one that is open, known to all or to none;
    /// or one that was open, and whose first election all know; or one that is closed
    /// after a trip of one whom others contradicted.
    pub(super) fn starts(&self) -> Vec<World> {
        let closed = Item {
            state: State::Closed,
            failures: Some(0),
            opened: None,
            owner: None,
            lease: None,
            expires: 0,
            count: None,
            released: None,
            held: None,
            epoch: FULL,
        };
        let open = Item { state: State::Open, opened: Some(0), epoch: OPENED, ..closed };
        let unknown = Process::new();
        let known = |seen: Seen, phase, told| Process {
            seen: Some(seen),
            certain: true,
            phase,
            told,
            ..unknown
        };
        let waiting = Phase::Open { opened: 0, stored: true, counted: 0 };
        let world = |item, process| World {
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
                throttles: self.throttles,
                freezes: self.freezes,
                ages: self.ages,
                stale: self.stale,
                network: Vec::new(),
                good: 0,
                failed: false,
                breach: None,
            },
            processes: vec![process; self.processes],
        };
        let opened = world(Some(open), known(Some(open), waiting, State::Open));
        if self.elected {
            return vec![self.elect(opened)];
        }
        let known_closed = world(Some(closed), known(Some(closed), CLOSED, State::Closed));
        if self.contradicted {
            let mut world = known_closed;
            world.processes[0].contradicted = true;
            return vec![world];
        }
        vec![world(None, unknown), known_closed, opened]
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
            let seen = |env: &Process| env.seen == Some(world.shared.item);
            world.processes.iter().position(|env| !seen(env))
        };
        while let Some(who) = is_behind(&world) {
            world.take(Step::Read { who, stale: false }, self);
            world.settle(self);
        }
        world
    }
}
