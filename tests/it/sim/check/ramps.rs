//! A ramp begins when a process learns of a closing, lasts no longer than its settings say, and
//! admits of the calls in it as many as the sum of their shares.

use std::time::Duration;

use fuseboard::{Cause, CircuitState, Origin};

use super::{Findings, Story};
use crate::sim::{
    item::{Item, Kind, State, Step},
    plan::{Plan, PlannedProcess},
    world::{Call, Run, Told, play},
};

/// For timers, and clocks that are moved in ticks.
const SLACK: Duration = Duration::from_millis(20);

/// How much later than it was shown a closing a process may learn of it: its answer is lost, it is
/// frozen, or backs off.
const LATE: Duration = Duration::from_secs(75);

/// Whether nothing goes wrong with a process itself.
fn is_well(process: &PlannedProcess) -> bool {
    let PlannedProcess { weather, freezes, steps, ahead_ms, .. } = process;
    weather.is_empty() && freezes.is_empty() && steps.is_empty() && ahead_ms.abs() <= 1_000
}

/// A process has learned that the circuit was closed.
struct Learned {
    /// When it closed, at the earliest that the process can take it for.
    closed_at: Duration,
    /// When the process learned of it.
    at: Duration,
    /// When it learned of something else.
    until: Duration,
}

pub(super) fn check(story: &Story<'_>, found: &mut Findings) {
    for client in story.clients() {
        let Some(process) = story.plan.process_of(client) else { continue };
        let ramp = process.lengths.ramp;
        let ramped = |call: &&Call| call.rejected.is_some_and(|(_, is_ramp)| is_ramp);
        let Some(ramp) = ramp else {
            if let Some(call) = story.calls(client).find(ramped) {
                found.push(format!("a call is rejected by a ramp that nobody has: {call:?}"));
            }
            continue;
        };
        let learned = learned(story, client);
        if !is_well(process) {
            // It learns of a closing when it is told, which may be late.
            ends(story, client, &learned, ramp + LATE, found);
            continue;
        }
        ends(story, client, &learned, ramp, found);
        for one in &learned {
            found.extend(shared(story, client, one, ramp));
        }
    }
}

/// Whenever what a process knew of the circuit became that it was closed, by another closing than
/// before.
fn learned(story: &Story<'_>, client: &str) -> Vec<Learned> {
    let mut learned: Vec<Learned> = Vec::new();
    let mut before: Option<(Duration, Option<usize>)> = None;
    for (at, version) in story.versions(client) {
        let closing = closing_of(story, version);
        if before.is_some_and(|(_, before)| before == closing) {
            before = Some((at, closing));
            continue;
        }
        if let Some(last) = learned.last_mut() {
            last.until = last.until.min(at);
        }
        if let Some(closing) = closing {
            let step = &story.steps[closing];
            // By stamps of clocks that differ, and of another recovery timeout, but not before what
            // the process has seen.
            let off = Duration::from_secs(3) + story.plan.longest_recovery();
            let agree = story.plan.clocks_agree();
            let stamped = if agree { step.at.saturating_sub(off) } else { Duration::ZERO };
            let own = step.client == client;
            let seen = before.map(|(seen, _)| seen).unwrap_or_default();
            let closed_at = if own { step.at } else { stamped.max(seen) };
            learned.push(Learned { closed_at, at, until: Duration::MAX });
        }
        before = Some((at, closing));
    }
    let told = story.run.notes.told.iter().filter(|told| told.client == client);
    // One that falls open has found nobody well, and begins no ramp.
    let is_alone = |told: &&Told| {
        let it = &told.transition;
        it.to_state == CircuitState::Closed
            && it.origin == Origin::WithoutStore
            && it.cause == Cause::ProbesSucceeded
    };
    let alone = told.filter(is_alone).map(|told| told.at);
    learned.extend(alone.map(|at| Learned { closed_at: at, at, until: Duration::MAX }));
    learned
}

/// The closing that the item shows after so many writes. The release of a circuit that is closed
/// leaves its `expiration`, and is no other one.
fn closing_of(story: &Story<'_>, version: usize) -> Option<usize> {
    let mut last = version.checked_sub(1)?;
    while story.steps[last].kind == Kind::Release && is_kept(&story.steps[last]) {
        last = last.checked_sub(1)?;
    }
    (story.steps[last].state_after() == Some(State::Closed)).then_some(last)
}

fn is_kept(step: &Step) -> bool {
    let expires = |item: &Option<Item>| item.as_ref().and_then(|item| item.expires_at);
    step.state_before() == Some(State::Closed) && expires(&step.before) == expires(&step.after)
}

/// No ramp is longer than its settings say, and none begins anew.
fn ends(
    story: &Story<'_>,
    client: &str,
    learned: &[Learned],
    ramp: Duration,
    found: &mut Findings,
) {
    for call in story.calls(client) {
        let Some((rejected, true)) = call.rejected else { continue };
        let is_on_ramp =
            |it: &Learned| it.at <= rejected + SLACK && call.asked < it.at + ramp + SLACK;
        if !learned.iter().any(is_on_ramp) {
            found.push(format!("a call is rejected by a ramp that is over: {call:?}"));
        }
    }
}

/// The share of the calls that are admitted at an age of the ramp, in twentieths.
fn share(age: Duration, ramp: Duration) -> f64 {
    let steps = age.as_secs_f64() / ramp.as_secs_f64() * 20.0;
    (steps.floor() + 1.0).min(20.0) / 20.0
}

/// Of the calls in a ramp as many are admitted as their shares come to, and less than one more or
/// less.
fn shared(story: &Story<'_>, client: &str, learned: &Learned, ramp: Duration) -> Option<String> {
    // The first that the process was told of something else ends it.
    let told = story.run.notes.told.iter();
    let told = told.filter(|told| told.client == client && told.at > learned.at + SLACK);
    let until = told.map(|told| told.at).min().unwrap_or(Duration::MAX).min(learned.until);
    let (mut least, mut most, mut admitted) = (0.0, 0.0, 0_u32);
    let mut asked = 0;
    for call in story.calls(client).filter(|call| call.asked > learned.at + SLACK) {
        let decided = call.begun.or(call.rejected.map(|(at, _)| at));
        let Some(decided) = decided.filter(|at| *at < until) else { break };
        // For a process that goes by an earlier stamp it may be over sooner: all are admitted then.
        let is_over = call.asked >= learned.at + ramp;
        let is_other = call.probe || call.rejected.is_some_and(|(_, is_ramp)| !is_ramp);
        if is_over || is_other {
            break;
        }
        least += share(call.asked.saturating_sub(learned.at + SLACK), ramp);
        most += share((decided + SLACK).saturating_sub(learned.closed_at), ramp);
        admitted += u32::from(call.begun.is_some());
        asked += 1;
        let count = f64::from(admitted);
        if count >= most + 1.0 + 1e-6 || count <= least - 1.0 - 1e-6 {
            return Some(format!(
                "{client} admits {admitted} of {asked} calls of a ramp of {ramp:?} since {:?}, \
                 not {least:.2} to {most:.2}",
                learned.at
            ));
        }
    }
    None
}

#[test]
fn a_process_that_falls_open_has_learned_of_no_closing() {
    let mut run = play(Plan::new(1));
    let mut told = run.notes.told.first().expect("a fleet is told of a trip").clone();
    let client = told.client.clone();
    let learned_in = |run: &Run| learned(&Story::new(run), &client).len();
    let before = learned_in(&run);
    (told.transition.to_state, told.transition.origin) =
        (CircuitState::Closed, Origin::WithoutStore);
    for cause in [Cause::StoreUnreadable, Cause::WouldOpen, Cause::HoldEnded] {
        told.transition.cause = cause;
        run.notes.told.push(told.clone());
        assert_eq!(learned_in(&run), before, "{:?}", told.transition.cause);
    }
    told.transition.cause = Cause::ProbesSucceeded;
    run.notes.told.push(told);
    assert_eq!(learned_in(&run), before + 1);
}
