//! Every transition that is told as this process's own is one applied write.

use std::time::Duration;

use fuseboard::{Cause, CircuitState, Origin};

use super::{Findings, Story};
use crate::sim::{item::Kind, stage::Told};

pub(super) fn check(story: &Story<'_>, found: &mut Findings) {
    let mut told_of = vec![false; story.steps.len()];
    for told in &story.run.notes.told {
        if told.transition.origin != Origin::Local {
            continue;
        }
        match write_of(story, told, &told_of) {
            Some(number) => told_of[number] = true,
            None if is_release(story, told) => {}
            None => found.push(format!("told as ours without a write of its own: {told:?}")),
        }
    }
    chains(story, found);
}

/// The latest applied write that an announcement can be about and that nobody
/// was told of yet.
fn write_of(story: &Story<'_>, told: &Told, told_of: &[bool]) -> Option<usize> {
    let kinds: &[Kind] = match &told.transition.cause {
        Cause::FailureThreshold => &[Kind::Trip],
        Cause::RecoveryTimeout => &[Kind::Elect],
        Cause::TakeOver { .. } => &[Kind::TakeOver],
        Cause::ProbesSucceeded => &[Kind::Close],
        // A circuit whose item was gone is probed, and opened, without a lease.
        Cause::ProbeFailed => &[Kind::Reopen, Kind::Trip],
        Cause::Hold => &[Kind::Hold],
        Cause::Release => &[Kind::Release],
        Cause::RecordGone | Cause::StoreUnreadable | Cause::Elsewhere | _ => &[],
    };
    let opened = told.transition.to_state == CircuitState::Open;
    (0..story.steps.len()).rev().find(|number| {
        let step = &story.steps[*number];
        let after = step.after.as_ref();
        let same_token = if let Cause::TakeOver { owner, .. } = &told.transition.cause {
            after.and_then(|item| item.owner.as_deref()) == Some(owner)
        } else {
            true
        };
        let same_opening =
            !opened || after.and_then(|item| item.opened_at) == told.transition.opened_at;
        !told_of[*number]
            && step.client == told.client
            && step.at <= told.at
            && kinds.contains(&step.kind)
            && same_token
            && same_opening
    })
}

/// A release in the second of a closing leaves the very item that the closing
/// would have left: a holder whose closing is refused takes it for its own.
fn is_release(story: &Story<'_>, told: &Told) -> bool {
    let last = story.steps.iter().rev().find(|step| step.at <= told.at);
    matches!(told.transition.cause, Cause::ProbesSucceeded)
        && last.is_some_and(|step| {
            step.kind == Kind::Release && told.at < step.at + Duration::from_secs(1)
        })
}

/// What a process tells is one story: each transition starts where the last ended.
fn chains(story: &Story<'_>, found: &mut Findings) {
    for client in story.clients() {
        let mut state = CircuitState::Closed;
        for told in story.run.notes.told.iter().filter(|told| told.client == client) {
            if told.transition.from_state != state {
                found.push(format!("the chain of transitions is broken at {told:?}"));
            }
            state = told.transition.to_state;
        }
    }
}
