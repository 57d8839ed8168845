//! What may happen next.

use super::{Step, World};
use crate::{
    item::{FULL, Item, State},
    process::{Job, Phase, Process, Stage, Verdict},
    shared::Rules,
    weak::Weak,
};

impl World {
    pub(super) fn steps_of(&self, who: usize, rules: &Rules, steps: &mut Vec<Step>) {
        let process = &self.processes[who];
        let shared = &self.shared;
        let idle = process.job.is_none();
        if process.is_answered() {
            steps.push(Step::Receive(who));
        }
        if !idle && shared.faults > 0 {
            steps.push(Step::TimeOut(who));
        }
        let seen = process.seen.is_some() || process.out;
        for alone in [false, true].into_iter().filter(|alone| !alone || idle && process.out) {
            if matches!(process.phase, Phase::Closed { .. }) && seen {
                steps.push(Step::Fail { who, alone });
            }
            if process.is_probing() {
                for verdict in [Verdict::Good, Verdict::Bad, Verdict::None] {
                    steps.push(Step::Probe { who, verdict, alone });
                }
            }
        }
        if idle {
            self.steps_alone(who, steps);
            let closed = matches!(process.phase, Phase::Closed { .. });
            if !closed || process.want.is_some() {
                steps.push(Step::Call(who));
            }
            if process.ours().is_some_and(|ours| ours.stage == Stage::Probing) {
                steps.push(Step::KeepAlive(who));
            }
            if process.ours().is_none() && (process.seen != Some(shared.item) || !process.certain) {
                steps.push(Step::Read { who, stale: false });
            }
            if self.may_read_stale(process, rules) {
                steps.push(Step::Read { who, stale: true });
            }
        }
        if !idle && process.probes_meanwhile() {
            steps.push(Step::Call(who));
        }
        if shared.crashes > 0 && *process != Process::new() {
            steps.push(Step::Crash(who));
        }
        self.strikes(who, steps);
    }

    /// What may come upon a process from without.
    fn strikes(&self, who: usize, steps: &mut Vec<Step>) {
        let process = &self.processes[who];
        let shared = &self.shared;
        if process.contradicted && matches!(process.phase, Phase::Closed { .. }) {
            steps.push(Step::GoodCalls(who));
        }
        if let Some(opened) = process.owed_since() {
            if shared.freezes > 0 {
                steps.push(Step::Freeze(who));
            }
            if shared.ages > 0 && opened > shared.lapsed {
                steps.push(Step::Age(who));
            }
        }
        if shared.throttles > 0 && process.may_be_throttled() {
            steps.push(Step::Throttle { who, lost: false });
            if shared.faults > 0 && matches!(process.job, Some(Job::Write { .. })) {
                steps.push(Step::Throttle { who, lost: true });
            }
        }
    }

    /// A read that is not the first may be stale where what is known was read, too,
    /// and no consistent one is asked for.
    fn may_read_stale(&self, process: &Process, rules: &Rules) -> bool {
        let known = self.shared.stale > 0
            && process.certain
            && process.ours().is_none()
            && process.seen != Some(self.shared.older)
            && (!process.wrote || rules.weak == Weak::BehindOwnWrite);
        self.shared.older != self.shared.item && (process.seen.is_none() || known)
    }

    /// What a process may do while the store is out, or comes to be so.
    fn steps_alone(&self, who: usize, steps: &mut Vec<Step>) {
        let process = &self.processes[who];
        if self.shared.alone == 0 {
            return;
        }
        if self.shared.faults > 0 && !process.out {
            steps.push(Step::LoseTheStore(who));
        }
        if process.may_fall_open() {
            steps.push(Step::FallOpen(who));
        }
        if process.may_probe_alone(self.shared.lapsed) {
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
        let leases = self.processes.iter().filter_map(|env| Some(env.ours()?.leased));
        let held = shared.item.filter(|item| item.state == State::Closed).and_then(|it| it.held);
        let mut ends: Vec<u8> =
            leases.chain(lease).chain(held).filter(|end| *end > shared.lapsed).collect();
        ends.sort_unstable();
        ends.dedup();
        steps.extend(ends.into_iter().map(Step::Lapse));
        if shared.deletions > 0 && shared.item.is_some() && self.may_be_deleted(lease, rules) {
            steps.push(Step::Delete);
        }
        if shared.orders > 0 && shared.writes < rules.writes {
            steps.push(Step::Hold);
            if rules.closed_holds {
                steps.push(Step::HoldClosed);
            }
            let is_held = Item::is_held_closed(shared.item, shared.lapsed);
            if !Item::is_closed(shared.item) || is_held {
                steps.push(Step::Release);
            }
        }
    }

    fn may_be_deleted(&self, lease: Option<u8>, rules: &Rules) -> bool {
        let lapsed = self.shared.lapsed;
        let live = lease.is_some_and(|lease| lease > lapsed)
            || self.processes.iter().any(|env| env.has_live_lease(lapsed));
        let idle = self.processes.iter().all(|env| env.job.is_none());
        if rules.abrupt { !live } else { idle }
    }

    pub(super) fn awaits(&self, sent: u8) -> Option<usize> {
        self.processes.iter().position(|env| {
            matches!(env.job, Some(Job::Write { number, answer: None, .. }) if number == sent)
        })
    }
}
