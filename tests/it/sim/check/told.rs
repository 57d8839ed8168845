//! Every transition that is told as this process's own is one applied write.

use std::{sync::Arc, time::Duration};

use fuseboard::{Cause, CircuitState, Config, Origin};
use serde_json::json;
use tokio::task::JoinSet;

use super::{Findings, Story};
use crate::{
    sim::{
        item::Kind,
        plan::Plan,
        process,
        world::{CIRCUIT, Run, START, Told, World},
    },
    support::engine::Event,
};

pub(super) fn check(story: &Story<'_>, found: &mut Findings) {
    let mut told_of = vec![false; story.steps.len()];
    for told in &story.run.notes.told {
        if told.transition.origin != Origin::Local {
            continue;
        }
        if let Some(number) = write_of(story, told, &told_of) {
            told_of[number] = true;
        } else {
            found.push(format!("told as ours without a write of its own: {told:?}"));
        }
    }
    chains(story, found);
}

/// The latest applied write that an announcement can be about and that nobody
/// was told of yet.
fn write_of(story: &Story<'_>, told: &Told, told_of: &[bool]) -> Option<usize> {
    let kinds: &[Kind] = match &told.transition.cause {
        Cause::FailureThreshold | Cause::Rule(_) => &[Kind::Trip],
        Cause::OpenFor => &[Kind::Trip, Kind::Reopen],
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

/// What was seen of a holder whose closing lands behind a release of the same
/// second.
async fn closing_behind_a_release() -> Run {
    let mut plan = Plan::empty(0);
    plan.config = Config::builder().success_threshold(1).build().unwrap();
    let world = Arc::new(World::new(plan).await);
    let open = json!({"state": "OPEN", "failure_count": 5, "opened_at": START - 60,
        "expiration": START + 3_570});
    world.engine.put_item(CIRCUIT, &open);
    let holder = world.registry("E", &world.clock(0));
    let operator = world.registry("operator", &world.clock(0));
    let mut ears = JoinSet::new();
    ears.spawn(process::listen(Arc::clone(&world), "E".to_owned(), holder.subscribe()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let permit = holder.breaker(CIRCUIT).unwrap().admit_owned().await.unwrap();
    let late = Event::DelayBefore(Duration::from_millis(300));
    world.engine.network("E").on("UpdateItem", 1, late);
    let settling = permit.success();
    tokio::time::sleep(Duration::from_millis(100)).await;
    operator.breaker(CIRCUIT).unwrap().release().await.unwrap();
    settling.settled().await;
    drop((holder, operator));
    ears.join_all().await;
    world.seen()
}

fn found_in(run: &Run) -> Findings {
    let mut found = Findings::new();
    check(&Story::new(run), &mut found);
    found
}

#[tokio::test(start_paused = true)]
async fn a_release_of_the_same_second_is_not_told_as_the_closing_it_came_before() {
    let mut run = closing_behind_a_release().await;
    assert_eq!(found_in(&run), Findings::new());
    let told = run.notes.told.last().unwrap().clone();
    assert_eq!(
        (&told.transition.cause, told.transition.origin, told.transition.to_state),
        (&Cause::Release, Origin::Observed, CircuitState::Closed)
    );
    // As it was told once: as the holder's own closing, which was refused.
    let mut own = told;
    (own.transition.cause, own.transition.origin) = (Cause::ProbesSucceeded, Origin::Local);
    run.notes.told.pop();
    run.notes.told.push(own);
    assert_eq!(found_in(&run).len(), 1);
}
