//! Every applied write landed on what its sender had seen, and on nothing newer.

use std::{collections::HashMap, time::Duration};

use fuseboard::CircuitState;

use super::{Findings, Story};
use crate::{
    protocol::rows,
    sim::{
        item::{Item, Kind, State, Step},
        weather::LATEST,
        world::START,
    },
};

pub(super) fn check(story: &Story<'_>, found: &mut Findings) {
    // Who won each token, and when.
    let mut holders: HashMap<String, (String, Duration)> = HashMap::new();
    for (number, step) in story.steps.iter().enumerate() {
        let holder = step.owner_before().and_then(|owner| holders.get(owner)).cloned();
        let problem = match step.kind {
            Kind::Trip => trip(story, number, step),
            Kind::Elect => elect(story, number, step),
            Kind::TakeOver => take_over(story, number, step),
            Kind::Renew | Kind::Rest | Kind::Close | Kind::Reopen => {
                leave(story, step, holder.as_ref())
            }
            Kind::Hold | Kind::Release => order(story, number, step),
            Kind::Delete => None,
        };
        // Whatever the row was before, the reference has to get on from this one.
        let row = story.run.history.writes[number].after.as_ref();
        for problem in problem.into_iter().chain(row.and_then(rows::fault)) {
            found.push(format!("write {number}: {problem}: {step:?}"));
        }
        if matches!(step.kind, Kind::Elect | Kind::TakeOver)
            && let Some(token) = step.after.as_ref().and_then(|item| item.owner.clone())
        {
            holders.insert(token, (step.client.clone(), step.at));
        }
    }
}

/// Since when a client has known of an item like the one before a step.
fn known_since(
    story: &Story<'_>,
    number: usize,
    step: &Step,
    like: impl Fn(&Item, &Item) -> bool,
) -> Option<Duration> {
    let is_like = |shown: Option<&Item>| match (shown, &step.before) {
        (None, None) => true,
        (Some(shown), Some(before)) => shown.state == before.state && like(shown, before),
        (Some(_) | None, Some(_) | None) => false,
    };
    let mut shown = story.shown(&step.client, number);
    shown.find(|(_, _, shown)| is_like(*shown)).map(|(at, _, _)| at)
}

/// A trip lands in the epoch in which its failures were counted.
fn trip(story: &Story<'_>, number: usize, step: &Step) -> Option<&'static str> {
    if matches!(step.state_before(), Some(State::Open | State::HalfOpen)) {
        return Some("a trip lands on a newer state");
    }
    // A closed item stands as it is until it opens: this very one was shown. A
    // missing one is like any other missing one, and like nothing shown yet.
    let mut shown = story.shown(&step.client, number).enumerate();
    let since = match step.before {
        Some(_) => shown.find(|(_, (_, version, _))| *version == number),
        None => shown.find(|(_, (_, _, shown))| shown.is_none()),
    };
    let since = match since {
        None => return Some("a trip lands on an epoch that nobody showed to it"),
        // What failed before the first answer counts, whatever that showed.
        Some((0, _)) => Duration::ZERO,
        Some((_, (since, _, _))) => closed_here_since(story, number, step).unwrap_or(since),
    };
    let ended = |at: Option<Duration>| at.is_some_and(|at| since <= at && at <= step.at);
    let failed = || story.calls(&step.client).filter(|call| !call.good && ended(call.ended));
    // A failed probe without the store, or of a circuit whose item was gone, trips as well; so does
    // one call that asks for an open time.
    let alone = failed().any(|call| call.probe || call.asked_for.is_some());
    let counted = failed().filter(|call| !call.probe).count();
    let enough = usize::try_from(story.plan.config.failure_threshold().get()).unwrap();
    (!alone && counted < enough).then_some("a trip lands in an epoch that was not counted")
}

/// Since when the closing before a step was so for its sender, who had made it while the store was
/// out, and has written it later.
fn closed_here_since(story: &Story<'_>, number: usize, step: &Step) -> Option<Duration> {
    let last = &story.steps[number.checked_sub(1)?];
    if last.kind != Kind::Close || last.client != step.client {
        return None;
    }
    let told = story.run.notes.told.iter().rev();
    let before = { told }.find(|told| told.client == step.client && told.at < last.at)?;
    (before.transition.to_state == CircuitState::Closed).then_some(before.at)
}

/// An election names the opening that was seen, and is not early.
fn elect(story: &Story<'_>, number: usize, step: &Step) -> Option<&'static str> {
    let before = step.before.as_ref();
    if before.is_none() {
        return elect_absent(story, number, step);
    }
    if step.state_before() != Some(State::Open) {
        return Some("an election lands on another state");
    }
    let same = |shown: &Item, before: &Item| {
        shown.opened_at == before.opened_at && shown.owner == before.owner
    };
    if known_since(story, number, step, same).is_none() {
        return Some("an election lands on an opening that nobody showed to it");
    }
    // Both clocks may be off by a second each, and stamps are rounded up.
    let before = before?;
    let since = Duration::from_secs(u64::try_from(before.opened_at? - START).unwrap_or(0));
    let process = story.plan.process_of(&step.client)?;
    let recovery = story.plan.config.recovery_timeout();
    let is_held = before.owner.is_some();
    let length = if is_held { recovery } else { process.lengths.open_time(recovery, before).0 };
    let due = since + length;
    let early = story.plan.clocks_agree() && step.at + Duration::from_millis(2_001) < due;
    early.then_some("an election is early")
}

/// An election on a missing item: it was shown to be missing, to a process that was
/// shown, before that, that the circuit was not closed.
fn elect_absent(story: &Story<'_>, number: usize, step: &Step) -> Option<&'static str> {
    let mut shown = story.shown(&step.client, number).map(|(_, _, shown)| shown);
    let is_not_closed = |shown: &Option<&Item>| {
        shown.is_some_and(|item| matches!(item.state, Some(State::Open | State::HalfOpen)))
    };
    let was_not_closed = shown.by_ref().any(|shown| is_not_closed(&shown));
    let is_missing = shown.any(|shown| shown.is_none());
    (!(was_not_closed && is_missing)).then_some("an election on an item that was not missed")
}

/// A takeover names the lease that was seen.
fn take_over(story: &Story<'_>, number: usize, step: &Step) -> Option<&'static str> {
    if step.state_before() != Some(State::HalfOpen) {
        return Some("a takeover lands on another state");
    }
    let same =
        |shown: &Item, before: &Item| shown.owner == before.owner && shown.lease == before.lease;
    let unseen = known_since(story, number, step, same).is_none();
    unseen.then_some("a takeover lands on a lease that nobody showed to it")
}

/// Only the holder of the lease moves it, or leaves half-open.
fn leave(
    story: &Story<'_>,
    step: &Step,
    holder: Option<&(String, Duration)>,
) -> Option<&'static str> {
    if step.state_before() != Some(State::HalfOpen) {
        return Some("a write of a lease holder lands on another state");
    }
    let Some((holder, since)) = holder else {
        return Some("a write under a token that nobody won");
    };
    // Of two tokens of one process only the request itself can tell.
    let named = step.seen.owner.as_deref();
    if *holder != step.client || named.is_some() && named != step.owner_before() {
        return Some("only the holder of the lease leaves half-open");
    }
    if step.kind == Kind::Close { close(story, step, *since) } else { None }
}

/// A circuit closes after K good probes, and never by a token that saw a failure.
fn close(story: &Story<'_>, step: &Step, since: Duration) -> Option<&'static str> {
    let ended = |from: Duration, until: Duration| {
        let calls = story.run.notes.calls.iter();
        calls.filter(move |call| {
            call.probe && call.ended.is_some_and(|at| from <= at && at <= until)
        })
    };
    // The closing itself may have been on its way for so long.
    let late = if story.plan.traits.network || story.plan.traits.freezes {
        LATEST + story.plan.config.store_timeout()
    } else {
        Duration::ZERO
    };
    let failed = ended(since, step.at.saturating_sub(late)).any(|call| {
        call.client == step.client && !call.good && call.begun.is_some_and(|at| at >= since)
    });
    if failed {
        return Some("a token that saw a failure closes");
    }
    let elected = story.steps.iter().rev().filter(|other| other.at <= step.at);
    let elected =
        elected.skip_while(|other| other.kind != Kind::Elect).map(|other| other.at).next();
    let good = ended(elected.unwrap_or_default(), step.at).filter(|call| call.good).count();
    let enough = usize::try_from(story.plan.config.success_threshold().get()).unwrap();
    (good < enough).then_some("a circuit closes before K good probes")
}

/// An order lands on exactly what the operator saw.
fn order(story: &Story<'_>, number: usize, step: &Step) -> Option<&'static str> {
    let unseen = known_since(story, number, step, |shown, before| shown == before).is_none();
    unseen.then_some("an order lands on an item that nobody showed to the operator")
}
