//! How long openings last, and what the item tells of it.
//!
//! That nobody is elected before its time is held by [`writes`](super::writes).

use std::time::Duration;

use fuseboard::CircuitState;

use super::{Findings, Story};
use crate::sim::{
    item::{self, Item, Kind, State, Step},
    plan::{Plan, PlannedProcess, Traits},
    world::{Call, play},
};

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn check(story: &Story<'_>, found: &mut Findings) {
    for (number, step) in story.steps.iter().enumerate() {
        let process = story.plan.process_of(&step.client);
        for problem in [until(story, step, process), failed_probes(story, number, process)] {
            found.extend(problem.map(|it| format!("write {number}: {it}: {step:?}")));
        }
        found.extend(too_long(story, number).map(|it| format!("write {number}: {it}: {step:?}")));
    }
    if story.plan.traits == Traits::default() {
        obeyed(story, found);
    }
}

/// `open_until` is on an open item alone, and says what a call of its writer asked for.
fn until(story: &Story<'_>, step: &Step, process: Option<&PlannedProcess>) -> Option<&'static str> {
    let after = step.after.as_ref()?;
    let until = after.open_until?;
    if after.state != Some(State::Open) || !matches!(step.kind, Kind::Trip | Kind::Reopen) {
        return Some("an open_until that no opening has set");
    }
    let asked = until - after.opened_at?;
    let recoveries = [story.plan.config.recovery_timeout(), story.plan.longest_recovery()];
    let lengths = &process?.lengths;
    let limits = recoveries.map(|recovery| lengths.longest_ask(recovery).as_secs());
    let Ok(seconds) = u64::try_from(asked) else {
        return Some("an open_until before the opening");
    };
    if seconds == 0 || limits.iter().all(|limit| *limit < seconds) {
        return Some("an open_until that is out of bounds");
    }
    // By what a call asked for, cut to the limit of the process, which settings may have moved.
    // From a probe it may be longer, since what stood is not cut short.
    let is_asked = |call: &Call| {
        let ended = call.ended.is_some_and(|ended| ended <= step.at);
        let whole = call.asked_for.map(|it| it.as_secs() + u64::from(it.subsec_nanos() > 0));
        let cut = limits.iter().filter_map(|limit| Some(whole?.clamp(1, *limit)));
        ended && { cut }.any(|cut| cut == seconds || call.probe && cut < seconds)
    };
    let is_asked = story.calls(&step.client).any(is_asked);
    (!is_asked).then_some("an open_until that no call has asked for")
}

/// `failed_probes` counts what failed in a row, over closings of a short time ago.
fn failed_probes(
    story: &Story<'_>,
    number: usize,
    process: Option<&PlannedProcess>,
) -> Option<&'static str> {
    let step = &story.steps[number];
    let before = step.before.as_ref().and_then(|item| item.failed_probes);
    let after = step.after.as_ref().and_then(|item| item.failed_probes);
    let counts = process.is_some_and(|process| process.lengths.backoff.is_some());
    let expected = match step.kind {
        Kind::Trip => return failed_before(story, number, process),
        Kind::Reopen if counts => Some(before.unwrap_or(0) + 1),
        Kind::Hold | Kind::Release | Kind::Delete => None,
        Kind::Elect | Kind::TakeOver | Kind::Renew | Kind::Rest | Kind::Close | Kind::Reopen => {
            before
        }
    };
    (after != expected).then_some("a failed_probes that is not as it was, or one more")
}

/// The count of a trip.
fn failed_before(
    story: &Story<'_>,
    number: usize,
    process: Option<&PlannedProcess>,
) -> Option<&'static str> {
    let step = &story.steps[number];
    let (before, after) = (step.before.as_ref(), step.after.as_ref()?);
    let Some(backoff) = process.and_then(|process| process.lengths.backoff) else {
        return after.failed_probes.map(|_| "a failed_probes of a process without a back-off");
    };
    let Some(count) = after.failed_probes else {
        return Some("a trip without failed_probes");
    };
    // A probe without the store that fails counts too.
    let alone = story.calls(&step.client).filter(|call| {
        call.probe && !call.good && call.ended.is_some_and(|ended| ended <= step.at)
    });
    let alone = i64::try_from(alone.count()).unwrap();
    let goes_on = before.and_then(|item| item.failed_probes).map(|before| before + 1);
    let recent = goes_on.is_some() && is_recent(story, number, backoff.forget_after)?;
    let least = if recent { goes_on.unwrap_or(0) } else { 0 };
    (!(least..=least + alone).contains(&count)).then_some("a failed_probes that nothing explains")
}

/// Whether the circuit closed a short time before a trip, by the stamps on both items; `None`
/// where that cannot be told, since the one who closed it may have had a longer recovery timeout.
fn is_recent(story: &Story<'_>, number: usize, within: Duration) -> Option<bool> {
    let step = &story.steps[number];
    let recoveries = [story.plan.config.recovery_timeout(), story.plan.longest_recovery()];
    let [least, most] = recoveries.map(|recovery| {
        let closed_at = step.before.as_ref()?.expires_at? - seconds(recovery) - 3_600;
        let age = step.after.as_ref()?.opened_at? - closed_at;
        Some(age <= seconds(within))
    });
    least.filter(|_| least == most)
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap()
}

/// An opening is over as soon as it is for somebody who calls, whose network is well.
fn too_long(story: &Story<'_>, number: usize) -> Option<String> {
    let step = &story.steps[number];
    if !matches!(step.kind, Kind::Trip | Kind::Reopen) {
        return None;
    }
    let item = step.after.as_ref()?;
    // What no write has ended lasts until the run is over.
    let ended = story.steps.get(number + 1).map_or(story.run.ended_at, |next| next.at);
    let (by, most) = story
        .plan
        .processes
        .iter()
        .filter_map(|process| Some((&process.label, ends_at(story, step.at, item, process)?)))
        .min_by_key(|(_, at)| *at)?;
    (ended > most).then(|| format!("open until {ended:?}, though {by} calls until {most:?}"))
}

/// When a process whose network is well has ended an opening at the latest; `None` if it may not
/// live as long, or stands still.
fn ends_at(
    story: &Story<'_>,
    opened: Duration,
    item: &Item,
    process: &PlannedProcess,
) -> Option<Duration> {
    let config = &story.plan.config;
    let (_, length) = process.lengths.open_time(story.plan.longest_recovery(), item);
    // Stamps are rounded up, by a clock that differs, and the one that tripped goes last.
    let turn = 2 * SECOND + config.max_clock_skew() + config.handoff() + config.election_spread();
    // It learns of the opening, and is due, by calls, for which it has to have room.
    let call = process.gap * 3 / 2;
    let room = call + Duration::from_secs(3);
    let most = opened + length + turn + config.local_cache_max_age() + 2 * room;
    let lives = process.lives.iter().any(|life| life.from + room <= opened && most < life.until);
    let is_well = process.weather.is_empty()
        && process.steps.is_empty()
        && !process.is_frozen_within(Duration::ZERO, most);
    (lives && is_well).then_some(most)
}

/// Who was asked for an open time admits no call until it has told that the circuit is closed.
fn obeyed(story: &Story<'_>, found: &mut Findings) {
    for client in story.clients() {
        let told = || story.run.notes.told.iter().filter(|told| told.client == client);
        for ask in story.calls(client).filter(|call| call.asked_for.is_some()) {
            let (Some(begun), Some(ended)) = (ask.begun, ask.ended) else { continue };
            // Where the state has changed meanwhile, it says nothing about it.
            if told().any(|told| begun <= told.at && told.at <= ended) {
                continue;
            }
            let closed = told().filter(|told| told.at > ended);
            let closed = closed.filter(|told| told.transition.to_state == CircuitState::Closed);
            let until = closed.map(|told| told.at).min().unwrap_or(Duration::MAX);
            let late = story.calls(client).find(|call| {
                let admitted = call.begun.is_some() && !call.probe;
                admitted && ended < call.asked && call.asked < until
            });
            if let Some(late) = late {
                found.push(format!("a call is admitted after {ask:?}: {late:?}"));
            }
        }
    }
}

#[test]
fn an_opening_that_nobody_ends_is_too_long() {
    let is_found = |seed| {
        let mut run = play(Plan::new(seed));
        let kinds = item::steps(&run.history).into_iter().map(|step| step.kind);
        let opens = |kind: &Kind| matches!(kind, Kind::Trip | Kind::Reopen);
        let Some(last) = kinds.collect::<Vec<_>>().iter().rposition(opens) else { return false };
        run.history.writes.truncate(last + 1);
        too_long(&Story::new(&run), last).is_some()
    };
    assert!((0..20).any(is_found), "no seed has a process that should have ended it");
}
