//! At most one lease is live.
//!
//! A lease of `L` whole seconds of its holder's wall clock ends, for the holder,
//! between `L - 1` and `L` by that clock, which is ahead of the true time by
//! what the plan says; and no later than a whole lease after it was written,
//! which is earlier where a stamp had to be moved on by a second to differ.
//! Whoever takes over has to be later than that in true time, however short its own leases are.
//! This holds while wall clocks are within the tolerated skew; beyond it only the fencing of writes
//! does, which is checked of every run.
//!
//! A count above zero says that the holder rests: it renews, and so is fenced,
//! before it probes again.

use std::{collections::HashMap, time::Duration};

use super::{Findings, Story};
use crate::sim::{
    item::{Kind, Step},
    world::START,
};

pub(super) fn check(story: &Story<'_>, found: &mut Findings) {
    if !story.plan.clocks_agree() {
        return;
    }
    let mut holders: HashMap<String, String> = HashMap::new();
    for (number, step) in story.steps.iter().enumerate() {
        if step.kind == Kind::TakeOver {
            let holder = step.owner_before().and_then(|owner| holders.get(owner));
            let last = number.checked_sub(1).map(|last| &story.steps[last]);
            let ends = holder.zip(last).and_then(|(holder, last)| ends_at(story, last, holder));
            if ends.is_some_and(|ends| step.at < ends) {
                found.push(format!("write {number}: a live lease is taken over: {step:?}"));
            }
        }
        if let Some(token) = step.after.as_ref().and_then(|item| item.owner.clone()) {
            holders.entry(token).or_insert_with(|| step.client.clone());
        }
    }
}

/// When the holder of the lease that a write left may no longer probe, at the
/// latest; `None` if it rests.
pub(super) fn ends_at(story: &Story<'_>, step: &Step, holder: &str) -> Option<Duration> {
    let item = step.after.as_ref()?;
    if item.good.is_some_and(|good| good > 0) {
        return None;
    }
    let process = story.plan.process_of(holder)?;
    // A correction leaves at most a second of an error, and never turns it.
    let corrected = story.plan.tells_time;
    let ahead_ms = if corrected { process.ahead_ms.clamp(0, 1_000) } else { process.ahead_ms };
    let seconds = u64::try_from(item.lease? - START - 1).ok()?;
    let stamped = i64::try_from(seconds * 1_000).ok()? - ahead_ms;
    let stamped = Duration::from_millis(u64::try_from(stamped).ok()?);
    let ends = stamped.min(step.at + story.plan.settings_of(process).probe_lease());
    // For the rounding of timers.
    Some(ends.saturating_sub(Duration::from_millis(1)))
}
