//! At most one probe at a time runs under a lease that is live.

use std::time::Duration;

use super::{Findings, Story, leases};
use crate::sim::{
    item::{Item, Kind, Step},
    plan::Traits,
    world::Call,
};

/// A probe that runs under a lease which the item shows.
struct Leased<'a> {
    call: &'a Call,
    from: Duration,
    until: Duration,
    token: String,
}

pub(super) fn check(story: &Story<'_>, found: &mut Findings) {
    if story.plan.traits == Traits::default() {
        alone(story, found);
    }
    if !story.plan.clocks_agree() {
        return;
    }
    let probes = leased(story);
    let Traits { network, freezes, operator, deletions, .. } = story.plan.traits;
    if !(network || freezes || operator || deletions) {
        rested(story, &probes, found);
    }
    for (number, first) in probes.iter().enumerate() {
        for second in probes.iter().skip(number + 1).take_while(|probe| probe.from < first.until) {
            let live = first.token != second.token && lives(story, first, second.from);
            if live || first.token == second.token && first.call.client != second.call.client {
                found.push(format!("two probes at a time: {:?} {:?}", first.call, second.call));
            }
        }
    }
}

/// The item at an instant.
fn item_at<'a>(story: &'a Story<'_>, at: Duration) -> Option<&'a Item> {
    let after = story.steps.partition_point(|step| step.at <= at);
    after.checked_sub(1).and_then(|last| story.steps[last].after.as_ref())
}

fn leased<'a>(story: &Story<'a>) -> Vec<Leased<'a>> {
    let mut probes: Vec<_> = story.run.notes.calls.iter().filter(|call| call.probe).collect();
    probes.sort_by_key(|call| call.begun);
    let leased = probes.into_iter().filter_map(|call| {
        let from = call.begun?;
        let token = item_at(story, from)?.owner.clone()?;
        let won = story.steps.iter().any(|step| {
            step.client == call.client
                && matches!(step.kind, Kind::Elect | Kind::TakeOver)
                && step.after.as_ref().and_then(|item| item.owner.as_ref()) == Some(&token)
        });
        let until = call.ended.unwrap_or(Duration::MAX);
        won.then_some(Leased { call, from, until, token })
    });
    leased.collect()
}

/// Whether the lease of a probe still holds when another begins, though
/// neither an operator nor a deletion ended it.
fn lives(story: &Story<'_>, first: &Leased<'_>, at: Duration) -> bool {
    let between = || story.steps.iter().filter(|step| first.from <= step.at && step.at <= at);
    let ended = |kind| matches!(kind, Kind::Hold | Kind::Release | Kind::Delete);
    if between().any(|step| ended(step.kind)) {
        return false;
    }
    // The last write that left its token.
    let owner = |step: &&Step| {
        step.after.as_ref().is_some_and(|item| item.owner.as_ref() == Some(&first.token))
    };
    let last = story.steps.iter().take_while(|step| step.at <= at).filter(owner).last();
    let ends = last.and_then(|step| leases::ends_at(story, step, &first.call.client));
    ends.is_some_and(|ends| at < ends)
}

/// Whoever handed over renews before it probes again, which takes the count off
/// the item.
fn rested(story: &Story<'_>, probes: &[Leased<'_>], found: &mut Findings) {
    for probe in probes {
        let item = item_at(story, probe.from);
        if item.and_then(|item| item.good).is_some_and(|good| good > 0) {
            found.push(format!("a probe under a lease that was handed over: {:?}", probe.call));
        }
    }
}

/// Where nothing goes wrong but the dependency, probes never overlap at all.
fn alone(story: &Story<'_>, found: &mut Findings) {
    let mut probes: Vec<_> = story.run.notes.calls.iter().filter(|call| call.probe).collect();
    probes.sort_by_key(|call| call.begun);
    for pair in probes.windows(2) {
        if pair[1].begun < pair[0].ended {
            found.push(format!("two probes at a time, in a calm fleet: {pair:?}"));
        }
    }
}
