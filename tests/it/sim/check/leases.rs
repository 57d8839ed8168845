//! At most one lease is live.
//!
//! A lease of `L` whole seconds of its holder's wall clock ends, for the holder,
//! between `L - 1` and `L` by that clock, which is ahead of the true time by
//! what the plan says. Whoever takes over has to be later than that in true
//! time. This holds while wall clocks are within the tolerated skew; beyond it
//! only the fencing of writes does, which is checked of every run.
//!
//! A count above zero says that the holder rests: it renews, and so is fenced,
//! before it probes again.

use std::{collections::HashMap, time::Duration};

use super::{Findings, Story};
use crate::sim::{
    item::{Item, Kind},
    stage::START,
};

pub(super) fn check(story: &Story<'_>, found: &mut Findings) {
    if story.plan.traits.wild_clocks {
        return;
    }
    let mut holders: HashMap<String, String> = HashMap::new();
    for (number, step) in story.steps.iter().enumerate() {
        if let (Kind::TakeOver, Some(before)) = (step.kind, &step.before) {
            let holder = before.owner.as_ref().and_then(|owner| holders.get(owner));
            let ends = holder.and_then(|holder| ends_at(story, before, holder));
            if ends.is_some_and(|ends| step.at < ends) {
                found.push(format!("write {number}: a live lease is taken over: {step:?}"));
            }
        }
        if let Some(token) = step.after.as_ref().and_then(|item| item.owner.clone()) {
            holders.entry(token).or_insert_with(|| step.client.clone());
        }
    }
}

/// When the holder of a lease may no longer probe at the latest; `None` if it
/// rests.
pub(super) fn ends_at(story: &Story<'_>, item: &Item, holder: &str) -> Option<Duration> {
    if item.good.is_some_and(|good| good > 0) {
        return None;
    }
    let label = holder.split('.').next().unwrap_or_default();
    let process = story.plan.processes.iter().find(|process| process.label == label)?;
    let seconds = u64::try_from(item.lease? - START - 1).ok()?;
    let ends = i64::try_from(seconds * 1_000).ok()? - process.ahead_ms;
    // A millisecond for the rounding of timers.
    Some(Duration::from_millis(u64::try_from(ends - 1).ok()?))
}
