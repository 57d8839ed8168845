//! The time after a closing in which a process admits only a share of its calls.
//!
//! A dependency that comes back with a part of its capacity fails again if the whole fleet calls it
//! at once. Each process lets its share grow by itself: nothing is written for it, since the item
//! of a closed circuit tells when it was closed.

use std::time::Duration;

use super::{Machine, phase::Phase};
use crate::{
    protocol::{
        moment::{Moment, millis},
        record::{Field, Record},
    },
    state::CircuitState,
};

/// The number of steps in which the admitted share grows to all.
pub(crate) const STEPS: u32 = 20;

/// The ramp that a circuit is on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ramp {
    /// The epoch that the closing began. A freeze begins a new epoch, but no new ramp.
    epoch: u64,
    /// When this process learned of the closing.
    seen_at: Moment,
    /// How long the circuit had been closed by then.
    closed_for: Duration,
    first_credit: u32,
}

impl Ramp {
    fn age(&self, now: Moment) -> Duration {
        self.closed_for.saturating_add(now.since(self.seen_at))
    }
}

/// A ramp, as the gate and observers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PublishedRamp {
    /// Tells the ramps of a circuit apart: the epoch that the closing began.
    pub(crate) id: u64,
    /// When the circuit closed, by the wall clock, in milliseconds since the Unix epoch.
    pub(crate) from_ms: u64,
    /// The length of the ramp, in milliseconds.
    pub(crate) length_ms: u32,
    /// The part of a call that the process has to its credit when the ramp begins, in [`STEPS`]ths.
    pub(crate) first_credit: u32,
}

/// A step of a ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The share of the calls that are admitted, in [`STEPS`]ths: fewer than all of them.
    pub(crate) share: u32,
    /// The number of milliseconds until the next step.
    pub(crate) left_ms: u64,
}

impl PublishedRamp {
    /// Returns the step at this wall clock; `None` where all calls are admitted.
    pub(crate) fn step(self, now_ms: u64) -> Option<Step> {
        let (steps, length_ms) = (u64::from(STEPS), u64::from(self.length_ms));
        let age_ms = now_ms.saturating_sub(self.from_ms);
        let steps_before = age_ms.saturating_mul(steps).checked_div(length_ms)?;
        // Not more than the number of steps, or all calls are admitted.
        let share = u32::try_from(steps_before).ok()?.checked_add(1).filter(|of| *of < STEPS)?;
        // Rounded up, so that a caller that comes back then finds the next step.
        let ends_ms = u64::from(share).saturating_mul(length_ms).div_ceil(steps);
        let left_ms = self.from_ms.saturating_add(ends_ms).saturating_sub(now_ms);
        Some(Step { share, left_ms })
    }

    /// Returns when all calls are admitted, in milliseconds since the Unix epoch.
    pub(crate) fn until_ms(self) -> u64 {
        self.from_ms.saturating_add(millis(all_after(Duration::from_millis(self.length_ms.into()))))
    }
}

/// Returns after how long a ramp of this length admits all calls: its last step does.
fn all_after(length: Duration) -> Duration {
    let step = length.checked_div(STEPS).unwrap_or_default();
    length.saturating_sub(step)
}

impl Machine {
    /// Begins a ramp in the current epoch, whose circuit has been closed for so long. Begins none
    /// if that is longer than a ramp.
    pub(super) fn start_ramp(&mut self, closed_for: Duration) {
        if self.config.ramp().is_none() {
            return;
        }
        let first_credit = self.draw_credit();
        let began = Ramp { epoch: self.epoch, seen_at: self.now, closed_for, first_credit };
        if let Phase::Closed { ramp, .. } = &mut self.phase {
            *ramp = Some(Box::new(began));
        }
        self.keep_ramp();
    }

    /// Draws the part of a call that this process begins with. Many processes of a few calls each
    /// then admit their share from the first call on: without it, none before its calls add up to a
    /// whole one.
    fn draw_credit(&mut self) -> u32 {
        let (high, low) = (self.entropy.jitter(), self.entropy.jitter());
        let drawn = u32::from(u16::from_be_bytes([high, low]));
        drawn.saturating_mul(STEPS) >> u16::BITS
    }

    /// Begins a ramp after a closing of others, which the record shows. `last_seen_not_closed` is
    /// when this process last knew that the circuit was not closed, or was of an older epoch.
    pub(super) fn start_ramp_of(&mut self, record: &Record, last_seen_not_closed: Option<Moment>) {
        // An unreadable state counts as closed, but nobody has closed it. One who holds a circuit
        // closed asks for all calls.
        if record.state != Field::Valid(CircuitState::Closed)
            || record.held_closed_until().is_some()
        {
            return;
        }
        // Held closed until then, the circuit has admitted all calls. An older version of this crate
        // does not note that in the item: then only a process that has seen the hold knows.
        if record.is_released() && (self.cache.was_held_closed || record.was_held_closed()) {
            return;
        }
        let stamped = record.expires_at.valid().map(|expires_at| {
            let closed_at = expires_at.saturating_sub(self.life());
            self.now.elapsed_since_stamp(closed_at)
        });
        let most = last_seen_not_closed.map(|at| self.now.since(at));
        match (stamped, most) {
            // The closer's recovery timeout may be shorter than this process's: by the stamp the
            // circuit would have been closed before this process saw it open.
            (Some(stamped), Some(most)) => self.start_ramp(stamped.min(most)),
            (Some(stamped), None) => self.start_ramp(stamped),
            (None, Some(_)) => self.start_ramp(Duration::ZERO),
            // Closed at any time: most likely long ago.
            (None, None) => {}
        }
    }

    /// Ends a ramp that is over. Goes on from here where the wall clock was set, since the gate
    /// counts from a time of that clock.
    pub(super) fn keep_ramp(&mut self) {
        let Phase::Closed { ramp, .. } = &mut self.phase else {
            return;
        };
        let length = self.config.ramp().unwrap_or_default();
        ramp.take_if(|ramp| ramp.age(self.now) >= all_after(length));
        if let Some(ramp) = ramp
            && self.now.clocks_disagree_since(ramp.seen_at)
        {
            (ramp.closed_for, ramp.seen_at) = (ramp.age(self.now), self.now);
        }
    }

    /// Returns the ramp that the circuit is on, and the length of ramps.
    fn ramp(&self) -> Option<(&Ramp, Duration)> {
        match &self.phase {
            Phase::Closed { ramp, .. } => ramp.as_deref().zip(self.config.ramp()),
            Phase::Open(_) | Phase::HalfOpen(_) => None,
        }
    }

    /// Returns how long until all calls are admitted; `None` without a ramp.
    pub(super) fn ramp_left(&self) -> Option<Duration> {
        let (ramp, length) = self.ramp()?;
        Some(all_after(length).saturating_sub(ramp.age(self.now)))
    }

    pub(super) fn published_ramp(&self) -> Option<PublishedRamp> {
        let (ramp, length) = self.ramp()?;
        Some(PublishedRamp {
            id: ramp.epoch,
            from_ms: ramp.seen_at.wall_ms().saturating_sub(millis(ramp.closed_for)),
            length_ms: u32::try_from(length.as_millis()).unwrap_or(u32::MAX),
            first_credit: ramp.first_credit,
        })
    }
}
