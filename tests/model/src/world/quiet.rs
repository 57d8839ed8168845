//! What is left of a state once nothing is under way: liveness, and states told
//! apart by nothing that matters made one.

use super::World;
use crate::{
    environment::{Answer, Job, Phase, Verdict},
    item::{FULL, Item, Seen},
    shared::Rules,
};

impl World {
    /// Lets arrive what does not linger, and forgets what nothing can ask for.
    pub(super) fn settle(&mut self, rules: &Rules) {
        let Self { shared, environments } = self;
        for environment in environments.iter_mut().filter(|_| !rules.slow) {
            while environment.is_answered() {
                environment.receive(shared, rules);
            }
        }
        let unknown = environments.iter().any(|environment| environment.seen.is_none());
        if !unknown && shared.crashes == 0 && shared.stale == 0 {
            shared.older = shared.item;
        }
        for environment in environments.iter_mut().filter(|it| it.job.is_none()) {
            environment.election.take_if(|election| {
                let owner = shared.item.and_then(|item| item.owner);
                let travels = shared.network.iter().any(|wire| wire.number == election.token);
                owner != Some(election.token) && !travels
            });
        }
        if !rules.apart {
            environments.sort_unstable();
        }
        self.forget_lapses();
    }

    /// Of the leases that have run out, the last that anything still names is enough.
    fn forget_lapses(&mut self) {
        let full = |seen: Seen| seen?.lease?.checked_sub(FULL);
        let mut last = 0;
        let mut name = |lease: Option<u8>| {
            last =
                lease.filter(|lease| *lease <= self.shared.lapsed).map_or(last, |it| it.max(last));
        };
        name(full(self.shared.item));
        name(full(self.shared.older));
        for environment in &self.environments {
            name(environment.ours().map(|ours| ours.leased));
            name(environment.election.map(|election| election.at));
            name(environment.owed_since());
            name(environment.seen.and_then(full));
            match environment.job {
                Some(
                    Job::Read(found) | Job::Write { answer: Some(Answer::Refused(found)), .. },
                ) => {
                    name(full(found));
                }
                Some(Job::Write { answer: Some(Answer::Applied(item)), .. }) => {
                    name(full(Some(item)));
                }
                Some(Job::Write { answer: None, .. }) | None => {}
            }
            if let Some(Job::Write { write, .. }) = environment.job {
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
        self.shared.breach.is_none() && self.environments.iter().all(|env| env.job.is_none())
    }

    /// Whether this environment, alone, with a healthy dependency, a healthy store
    /// and time, closes the circuit in a bounded number of steps.
    pub(super) fn closes_by(&self, who: usize, rules: &Rules) -> bool {
        let rules = Rules { writes: u8::MAX, ..*rules };
        let mut world = self.clone();
        world.shared.network.clear();
        world.shared.clock += 20;
        world.shared.lapse(world.shared.clock, &rules);
        for _ in 0..40 {
            let shared = &mut world.shared;
            let environment = &mut world.environments[who];
            let current = environment.certain && environment.seen == Some(shared.item);
            let closed = matches!(environment.phase, Phase::Closed { .. });
            match environment.job {
                Some(Job::Write { answer: None, .. }) => world.arrive(0, true, false, &rules),
                Some(_) => environment.receive(shared, &rules),
                None if closed
                    && current
                    && environment.want.is_none()
                    && Item::is_closed(shared.item) =>
                {
                    return true;
                }
                None if closed && environment.want.is_none() => {
                    environment.job = Some(Job::Read(shared.item));
                }
                None if environment.is_probing() => {
                    environment.end(Verdict::Good, false, shared, &rules);
                }
                None => environment.call(shared, &rules),
            }
        }
        false
    }
}
