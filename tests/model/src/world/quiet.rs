//! What is left of a state once nothing is under way: liveness, and states told
//! apart by nothing that matters made one.

use super::World;
use crate::{
    item::{FULL, Item, Seen, State},
    process::{Answer, Job, Phase, Verdict},
    shared::Rules,
};

impl World {
    /// Lets arrive what does not linger, and forgets what nothing can ask for.
    pub(super) fn settle(&mut self, rules: &Rules) {
        let Self { shared, processes } = self;
        for process in processes.iter_mut().filter(|_| !rules.slow) {
            while process.is_answered() {
                process.receive(shared, rules);
            }
        }
        let unknown = processes.iter().any(|process| process.seen.is_none());
        if !unknown && shared.crashes == 0 && shared.stale == 0 {
            shared.older = shared.item;
        }
        for process in processes.iter_mut().filter(|it| it.job.is_none()) {
            process.election.take_if(|election| {
                let owner = shared.item.and_then(|item| item.owner);
                let travels = shared.network.iter().any(|wire| wire.number == election.token);
                owner != Some(election.token) && !travels
            });
        }
        if !rules.apart {
            processes.sort_unstable();
        }
        self.forget_lapses();
    }

    /// Of the leases and holds that have run out, the last that anything still names is enough.
    fn forget_lapses(&mut self) {
        let full = |seen: Seen| seen?.lease?.checked_sub(FULL);
        let mut last = 0;
        let mut name = |lease: Option<u8>| {
            last =
                lease.filter(|lease| *lease <= self.shared.lapsed).map_or(last, |it| it.max(last));
        };
        name(full(self.shared.item));
        name(full(self.shared.older));
        let held = |seen: Seen| seen.filter(|item| item.state == State::Closed)?.held;
        name(held(self.shared.item));
        name(held(self.shared.older));
        for process in &self.processes {
            name(process.ours().map(|ours| ours.leased));
            name(process.election.map(|election| election.at));
            name(process.owed_since());
            name(process.seen.and_then(full));
            name(process.seen.and_then(held));
            match process.job {
                Some(
                    Job::Read(found) | Job::Write { answer: Some(Answer::Refused(found)), .. },
                ) => {
                    name(full(found));
                    name(held(found));
                }
                Some(Job::Write { answer: Some(Answer::Applied(item)), .. }) => {
                    name(held(Some(item)));
                    name(full(Some(item)));
                }
                Some(Job::Write { answer: None, .. }) | None => {}
            }
            if let Some(Job::Write { write, .. }) = process.job {
                name(write.lease());
            }
        }
        for wire in &self.shared.network {
            name(wire.write.lease());
        }
        self.shared.lapsed = last;
    }

    /// Whether nothing is under way but what may be lost.
    pub(super) fn is_quiet(&self) -> bool {
        self.shared.breach.is_none() && self.processes.iter().all(|env| env.job.is_none())
    }

    /// Whether this process, alone, with a healthy dependency, a healthy store
    /// and time, closes the circuit in a bounded number of steps.
    pub(super) fn closes_by(&self, who: usize, rules: &Rules) -> bool {
        let rules = Rules { writes: u8::MAX, ..*rules };
        let mut world = self.clone();
        world.shared.network.clear();
        world.shared.clock += 20;
        world.shared.lapse(world.shared.clock, &rules);
        for _ in 0..40 {
            let shared = &mut world.shared;
            let process = &mut world.processes[who];
            let current = process.certain && process.seen == Some(shared.item);
            let closed = matches!(process.phase, Phase::Closed { .. });
            match process.job {
                Some(Job::Write { answer: None, .. }) => world.arrive(0, true, false, &rules),
                Some(_) => process.receive(shared, &rules),
                None if closed
                    && current
                    && process.want.is_none()
                    && Item::is_closed(shared.item) =>
                {
                    return true;
                }
                None if closed && process.want.is_none() => {
                    process.job = Some(Job::Read(shared.item));
                }
                None if process.is_probing() => {
                    process.end(Verdict::Good, false, shared, &rules);
                }
                None => process.call(shared, &rules),
            }
        }
        false
    }
}
