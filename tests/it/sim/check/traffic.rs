//! What the cases promise in numbers.

use std::time::Duration;

use fuseboard::CircuitState;

use super::{Findings, Story};
use crate::{
    sim::{
        item::{Kind, State},
        plan::{Span, Traits},
    },
    support::engine::Fate,
};

pub(super) fn check(story: &Story<'_>, found: &mut Findings) {
    healthy(story, found);
    quiet(story, found);
    leaks(story, found);
    refusals(story, found);
    let calm = Traits { crashes: story.plan.traits.crashes, ..Traits::default() };
    if story.plan.traits == calm {
        protection(story, found);
        probes(story, found);
    }
}

/// Case 80: while all is well nobody writes, and each process reads once, and
/// then at most once in 0.8 of an age that is C, cut by up to a tenth where reads are spread.
fn healthy(story: &Story<'_>, found: &mut Findings) {
    let calm = story.plan.calm;
    let age = story.plan.config.local_cache_max_age();
    for client in story.clients() {
        let sent = |operation: &str| {
            let requests = story.run.requests.iter();
            requests
                .filter(|it| it.client == client && it.operation == operation)
                .filter(|it| it.at.saturating_duration_since(story.run.start) < calm)
                .count()
        };
        if sent("UpdateItem") > 0 {
            found.push(format!("{client} writes while all is well"));
        }
        let is_spread = story.plan.config.election_spread() > Duration::ZERO;
        let age = if is_spread { age * 9 / 10 } else { age };
        let most = 1 + calm.as_millis() / (age * 4 / 5).as_millis();
        let reads = sent("GetItem");
        if u128::try_from(reads).unwrap() > most {
            found.push(format!("{client} reads {reads} times in {calm:?}, more than {most}"));
        }
    }
}

/// Once the circuit is closed everywhere, and nothing goes wrong any more,
/// nobody writes.
fn quiet(story: &Story<'_>, found: &mut Findings) {
    let Some(closed_at) = story.run.closed_at else {
        return;
    };
    if let Some(step) = story.steps.iter().find(|step| step.at > closed_at) {
        found.push(format!("a write after everything was over: {step:?}"));
    }
}

/// Case 65: a process lets through T calls, and those that run beside the last
/// of them, each time that it takes the circuit to be closed.
fn leaks(story: &Story<'_>, found: &mut Findings) {
    let traits = story.plan.traits;
    if traits.operator || traits.deletions {
        return;
    }
    let threshold = usize::try_from(story.plan.config.failure_threshold().get()).unwrap();
    for outage in &story.plan.outages {
        for client in story.clients() {
            let width = story.plan.process_of(client).map_or(1, |process| process.width);
            // A success that had begun before resets the count.
            let reset = story
                .calls(client)
                .filter(|call| call.good && call.begun.is_some_and(|at| at < outage.from));
            let reset = reset.filter_map(|call| call.ended).max().unwrap_or_default();
            let leaked = story.calls(client).filter(|call| {
                let counts = call.ended.is_none_or(|at| at > reset);
                counts && !call.probe && !call.good && call.begun.is_some_and(|at| outage.has(at))
            });
            let times = 1 + closings(story, client, *outage);
            let (leaked, most) = (leaked.count(), (threshold + width - 1) * times);
            if leaked > most {
                found.push(format!("{leaked} calls of {client} leak in {outage:?}, not {most}"));
            }
        }
    }
}

/// How often a process may have begun to count anew in an outage: whenever it
/// told that the circuit is closed, and for every closing that it may have
/// learned of late.
fn closings(story: &Story<'_>, client: &str, outage: Span) -> usize {
    let told = story.run.notes.told.iter().filter(|told| {
        told.client == client
            && told.transition.to_state == CircuitState::Closed
            && outage.has(told.at)
    });
    let earlier = outage.from.saturating_sub(Duration::from_secs(30));
    let closed = story
        .steps
        .iter()
        .filter(|step| step.kind == Kind::Close && earlier <= step.at && step.at < outage.until);
    told.count() + closed.count()
}

/// Case 35: a refused write is answered by a change that somebody else made.
fn refusals(story: &Story<'_>, found: &mut Findings) {
    if story.plan.traits.network || story.plan.traits.freezes {
        return;
    }
    for client in story.clients() {
        let requests = story.run.requests.iter().filter(|request| request.client == client);
        let refused =
            requests.filter(|request| matches!(request.fate, Fate::Refused { .. })).count();
        let others = story.steps.iter().filter(|step| step.client != client).count();
        if refused > others {
            found.push(format!("{refused} writes of {client} are refused for {others} changes"));
        }
    }
}

/// Case 17: C after a circuit has opened, nobody admits anything but probes.
fn protection(story: &Story<'_>, found: &mut Findings) {
    let slack = story.plan.config.local_cache_max_age() + Duration::from_millis(100);
    let mut opened: Option<Duration> = None;
    let mut spans = Vec::new();
    for step in &story.steps {
        if step.state_after() == Some(State::Closed) {
            spans.extend(opened.take().map(|from| Span { from: from + slack, until: step.at }));
        } else {
            opened = opened.or(Some(step.at));
        }
    }
    for call in &story.run.notes.calls {
        let admitted = call.begun.is_some() && !call.probe;
        if admitted && spans.iter().any(|span| span.has(call.asked)) {
            found.push(format!("a call is admitted though the circuit is open: {call:?}"));
        }
    }
}

/// Case 65: a dead dependency is probed once per R in the whole fleet; clocks
/// that differ make that up to two seconds less. Calls may ask for less than R.
fn probes(story: &Story<'_>, found: &mut Findings) {
    if story.plan.processes.iter().any(|process| process.lengths.asks > 0) {
        return;
    }
    let recovery = story.plan.config.recovery_timeout();
    let apart = recovery.saturating_sub(Duration::from_secs(2)).max(Duration::from_millis(100));
    for outage in &story.plan.outages {
        let calls = story.run.notes.calls.iter();
        let probes = calls
            .filter(|call| call.probe && !call.good && call.begun.is_some_and(|at| outage.has(at)));
        let most = 1 + (outage.until - outage.from).as_millis() / apart.as_millis();
        let probes = probes.count();
        if u128::try_from(probes).unwrap() > most {
            found.push(format!("{probes} probes of a dead dependency in {outage:?}"));
        }
    }
}
