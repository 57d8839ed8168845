//! How the table words what a machine is, and what it did.

use super::{
    super::super::storage::PendingWrite,
    super::super::{phase::*, prober::*},
    *,
};
use crate::{
    protocol::health::Access,
    protocol::machine::{CommandResult, Effect},
};

pub(super) struct Words {
    pub(super) state: String,
    epoch: u64,
    now: i64,
    said: Vec<String>,
}

impl Words {
    pub(super) fn before(process: &Process) -> Self {
        let now = process.now.unix_floor(Duration::ZERO);
        Self { state: state(process), epoch: process.machine.epoch(), now, said: Vec::new() }
    }

    pub(super) fn call(&mut self, call: Call, waits_briefly: bool) {
        self.said.push(if waits_briefly { "waits a moment" } else { spell_call(call) }.into());
    }

    pub(super) fn waiter(&mut self, call: Call) {
        self.said.push(format!("the waiting call {}", spell_call(call)));
    }

    pub(super) fn after(mut self, process: &Process) -> String {
        let state = state(process);
        let epochs = process.machine.epoch() - self.epoch;
        if state != self.state || epochs > 0 {
            self.said.push(match epochs {
                0 => state,
                1 => format!("{state} (new epoch)"),
                more => format!("{state} ({more} epochs)"),
            });
        }
        let effects: Vec<_> = process.effects.iter().map(|effect| self.effect(effect)).collect();
        self.said.extend(effects);
        if self.said.is_empty() { "nothing".into() } else { self.said.join("; ") }
    }

    fn effect(&self, effect: &Effect) -> String {
        match effect {
            Effect::CommandResult(CommandResult::Done(_)) => "order: Done".to_owned(),
            Effect::CommandResult(ordered) => format!("order: {ordered:?}"),
            Effect::Defective(attribute) => format!("warn of {attribute}"),
            Effect::Start(StoreRequest::Read { consistency, .. }) => {
                format!("start read {consistency:?}").to_lowercase()
            }
            Effect::Start(StoreRequest::Write { operation, .. }) => {
                format!("start {}", self.operation(operation))
            }
            Effect::Vote(ballot) if !ballot.voter.ends_with('!') => "vote".to_owned(),
            Effect::Vote(_) => "withdraw".to_owned(),
            Effect::Announce(told) => {
                let cause = format!("{:?}", told.cause);
                let cause = cause.split_whitespace().next().unwrap_or_default();
                format!("tell {}->{} {cause} {:?}", told.from_state, told.to_state, told.origin)
            }
        }
    }

    fn operation(&self, operation: &Operation) -> String {
        let at = |stamp: &i64| match stamp - self.now {
            0 => "now".to_owned(),
            by => format!("{by:+}"),
        };
        let name = operation.name();
        match operation {
            Operation::Trip { seen, failure_count, opened_at, expires_at, .. } => {
                let seen = seen.as_ref().map_or("none".into(), |seen| self.record(seen));
                let (o, x) = (at(opened_at), at(expires_at));
                format!("{name} on {seen}: F={failure_count} O={o} X={x}")
            }
            Operation::Elect { seen, token, lease_until, expires_at }
            | Operation::TakeOver { seen, token, lease_until, expires_at } => {
                let (seen, w) = (self.record(seen), token.as_str());
                format!("{name} on {seen}: W={w} L={} X={}", at(lease_until), at(expires_at))
            }
            Operation::ElectAbsent { token, opened_at, lease_until, expires_at, hints: _ } => {
                let (w, o, l) = (token.as_str(), at(opened_at), at(lease_until));
                format!("{name}: W={w} O={o} L={l} X={}", at(expires_at))
            }
            Operation::Renew { token, lease_until, expires_at, starts_probe } => {
                let c = if *starts_probe { " C=0" } else { "" };
                let (w, l) = (token.as_str(), at(lease_until));
                format!("{name} of {w}: L={l} X={}{c}", at(expires_at))
            }
            Operation::HandOver { token, known_lease, success_count, lease_until, expires_at }
            | Operation::GiveBack { token, known_lease, success_count, lease_until, expires_at } => {
                let known = known_lease.valid().map_or("none".into(), at);
                let (w, l, x) = (token.as_str(), at(lease_until), at(expires_at));
                format!("{name} of {w} until {known}: C={success_count} L={l} X={x}")
            }
            Operation::Close { token, expires_at } => {
                format!("{name} of {}: X={}", token.as_str(), at(expires_at))
            }
            Operation::Reopen { token, opened_at, expires_at, .. } => {
                let (o, x) = (at(opened_at), at(expires_at));
                format!("{name} of {}: O={o} X={x}", token.as_str())
            }
            Operation::Hold { seen, terms, opened_at, expires_at, .. } => {
                let seen = seen.as_ref().map_or("none".into(), |seen| self.record(seen));
                let (w, o, x) = (terms.owner(), at(opened_at), at(expires_at));
                format!("{name} on {seen}: W={w} O={o} until {} X={x}", at(&terms.until))
            }
            Operation::HoldClosed { seen, terms, expires_at, .. } => {
                let seen = seen.as_ref().map_or("none".into(), |seen| self.record(seen));
                format!("{name} on {seen}: until {} X={}", at(&terms.until), at(expires_at))
            }
            Operation::Release { seen, expires_at, .. } => {
                format!("{name} on {}: X={}", self.record(seen), at(expires_at))
            }
        }
    }

    fn record(&self, record: &Record) -> String {
        let stamp = |name, field: &Field<i64>| {
            field.valid().map(|stamp| format!(" {name}={:+}", stamp - self.now)).unwrap_or_default()
        };
        let owner = record.owner.valid().map(|owner| format!(" W={owner}")).unwrap_or_default();
        match record.state {
            Field::Valid(CircuitState::Closed) => {
                let held = record
                    .held_closed_until()
                    .map(|until| format!(" held until {}", until - self.now));
                format!("CLOSED{}{}", stamp("X", &record.expires_at), held.unwrap_or_default())
            }
            Field::Valid(CircuitState::Open) => {
                format!("OPEN{}{owner}", stamp("O", &record.opened_at))
            }
            Field::Valid(CircuitState::HalfOpen) => {
                format!("HALF_OPEN{owner}{}", stamp("L", &record.lease_until))
            }
            Field::Absent | Field::Malformed(_) => {
                format!("unknown{}", stamp("X", &record.expires_at))
            }
        }
    }
}

fn spell_call(call: Call) -> &'static str {
    match call {
        Call::Runs(CallId { probe: Some(_), .. }) => "probes",
        Call::Runs(_) => "runs",
        Call::Rejected => "rejected",
        Call::Waits(_) => "waits",
    }
}

/// What a machine is, in words.
fn state(process: &Process) -> String {
    let machine = &process.machine;
    let mut state = match &machine.phase {
        Phase::Closed { by_offline_probes: true, .. } => {
            format!("closed alone {}", process.streak())
        }
        Phase::Closed { by_offline_probes: false, .. } => format!("closed {}", process.streak()),
        Phase::Open(opening) if opening.held => "open held".into(),
        Phase::Open(opening) if matches!(opening.standing, Standing::Lapsed { .. }) => {
            "open Lapsed".to_owned()
        }
        Phase::Open(opening) => format!("open {:?}", opening.standing),
        Phase::HalfOpen(recovery) => match &recovery.prober {
            Prober::Us(ours) => format!("ours {} {}", stage(ours.stage), ours.successes),
            Prober::Other(_) => "theirs".into(),
            Prober::Nobody { .. } => "free".into(),
            Prober::Offline(alone) => {
                let refuted = if alone.refuted { ", refuted" } else { "" };
                format!(
                    "local {} {}{refuted}",
                    if alone.probe.is_some() { "probing" } else { "ready" },
                    alone.successes
                )
            }
        },
    };
    if let Some(want) = &machine.pending {
        state += match want {
            PendingWrite::Trip => ", owes trip",
            PendingWrite::Elect => ", owes elect",
            PendingWrite::TakeOver => ", owes take over",
            PendingWrite::Renew { .. } => ", owes renew",
            PendingWrite::HandOver => ", owes hand over",
            PendingWrite::GiveBack => ", owes give back",
            PendingWrite::Close { .. } => ", owes close",
            PendingWrite::Reopen { .. } => ", owes reopen",
        };
    }
    if machine.command.is_some() {
        state += ", under a command";
    }
    if !machine.cache.confirmed && machine.cache.at.is_some() {
        state += ", unsure";
    }
    if !machine.health.is_usable(Access::Write, machine.now) {
        state +=
            &format!(", backs off {} s", machine.health.wait(Access::Write, machine.now).as_secs());
    }
    state.to_lowercase()
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Ready => "ready",
        Stage::Probing(_) => "probing",
        Stage::Settling => "settling",
        Stage::HandedOver => "resting",
    }
}
