//! What may happen next.

use super::{Step, World};
use crate::{
    environment::{Environment, Job, Phase, Stage, Verdict},
    item::{FULL, Item},
    shared::Rules,
    weak::Weak,
};

impl World {
    pub(super) fn steps_of(&self, who: usize, rules: &Rules, steps: &mut Vec<Step>) {
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
            if self.may_read_stale(environment, rules) {
                steps.push(Step::Read { who, stale: true });
            }
        }
        if !idle && environment.probes_meanwhile() {
            steps.push(Step::Call(who));
        }
        if shared.crashes > 0 && *environment != Environment::new() {
            steps.push(Step::Crash(who));
        }
        self.strikes(who, steps);
    }

    /// What may come upon an environment from without.
    fn strikes(&self, who: usize, steps: &mut Vec<Step>) {
        let environment = &self.environments[who];
        let shared = &self.shared;
        if environment.contradicted && matches!(environment.phase, Phase::Closed { .. }) {
            steps.push(Step::GoodCalls(who));
        }
        if let Some(opened) = environment.owed_since() {
            if shared.freezes > 0 {
                steps.push(Step::Freeze(who));
            }
            if shared.ages > 0 && opened > shared.lapsed {
                steps.push(Step::Age(who));
            }
        }
        if shared.throttles > 0 && environment.may_be_throttled() {
            steps.push(Step::Throttle { who, lost: false });
            if shared.faults > 0 && matches!(environment.job, Some(Job::Write { .. })) {
                steps.push(Step::Throttle { who, lost: true });
            }
        }
    }

    /// A read that is not the first may be stale where what is known was read, too,
    /// and no consistent one is asked for.
    fn may_read_stale(&self, environment: &Environment, rules: &Rules) -> bool {
        let known = self.shared.stale > 0
            && environment.certain
            && environment.ours().is_none()
            && environment.seen != Some(self.shared.older)
            && (!environment.wrote || rules.weak == Weak::BehindOwnWrite);
        self.shared.older != self.shared.item && (environment.seen.is_none() || known)
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

    pub(super) fn steps_of_others(&self, rules: &Rules, steps: &mut Vec<Step>) {
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
        if shared.deletions > 0 && shared.item.is_some() && self.may_be_deleted(lease, rules) {
            steps.push(Step::Delete);
        }
        if shared.orders > 0 && shared.writes < rules.writes {
            steps.push(Step::Hold);
            if !Item::is_closed(shared.item) {
                steps.push(Step::Release);
            }
        }
    }

    fn may_be_deleted(&self, lease: Option<u8>, rules: &Rules) -> bool {
        let lapsed = self.shared.lapsed;
        let live = lease.is_some_and(|lease| lease > lapsed)
            || self.environments.iter().any(|env| env.has_live_lease(lapsed));
        let idle = self.environments.iter().all(|env| env.job.is_none());
        if rules.abrupt { !live } else { idle }
    }

    pub(super) fn awaits(&self, sent: u8) -> Option<usize> {
        self.environments.iter().position(|env| {
            matches!(env.job, Some(Job::Write { number, answer: None, .. }) if number == sent)
        })
    }
}
