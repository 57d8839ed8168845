//! Makes the snapshots of a circuit from what its machine decided.

use std::sync::Arc;

use super::Circuit;
use crate::{
    name::CircuitName,
    protocol::machine::{Detail, Opened, Published},
    protocol::moment::{Moment, millis},
    snapshot::{Outage, Snapshot, Tried, Trouble},
    state::{CircuitInfo, CircuitState},
};

impl Circuit {
    /// Publishes what the machine decided. `detail` is the opening that the circuit is in, or the
    /// ramp that it is on. Called by the actor alone.
    pub(crate) fn publish(&self, published: &Published, detail: Detail<'_>, now: Moment) {
        let before = self.snapshot.load_full();
        let ramp = match &detail {
            Detail::Ramping(ramp) => Some(*ramp),
            Detail::Opened(_) | Detail::Closed => None,
        };
        let show = || self.snapshot.store(Arc::new(next(&before, published, detail, now)));
        self.gate.publish(published, ramp, show);
        // Last: a recorder is code of the user, and a slow one must not delay a trip.
        self.counts.drain(&before);
    }
}

/// Makes the snapshot that follows another. What an outage began with is carried from one to
/// the next, so that an idle circuit needs no room for it.
fn next(before: &Snapshot, published: &Published, detail: Detail<'_>, now: Moment) -> Snapshot {
    let is_unread = published.is_unread;
    let trouble = match detail {
        Detail::Opened(opened) => Some(Trouble::Down(outage(before, published, opened, now))),
        Detail::Ramping(ramp) => Some(Trouble::Ramping { until_ms: ramp.until_ms(), is_unread }),
        Detail::Closed => is_unread.then_some(Trouble::Unread),
    };
    let failure_count = match (before.outage(), &trouble) {
        // The item has none after a failed probe: that of the trip stays.
        (Some(_), Some(Trouble::Down(_))) if published.failure_count == 0 => {
            before.circuit.failure_count
        }
        _ => published.failure_count,
    };
    let trouble = trouble.map(Box::new);
    Snapshot {
        circuit: CircuitInfo {
            name: before.circuit.name.clone(),
            state: published.state,
            failure_count,
            opened_at: published.opened_at,
        },
        epoch: published.epoch,
        as_of_ms: published.as_of_ms,
        tried: before.tried.clone(),
        trouble,
    }
}

fn outage(before: &Snapshot, published: &Published, opened: Opened<'_>, now: Moment) -> Outage {
    let Opened { cause, held } = opened;
    let (retry_at_ms, held) = (published.retry_at_ms, held.map(Arc::from));
    match before.outage() {
        Some(outage) => Outage { retry_at_ms, held, ..outage.clone() },
        None => Outage {
            retry_at_ms,
            since_ms: began_at_ms(published, held.is_some(), now),
            cause,
            held,
        },
    }
}

/// Returns when an opening began that this process sees for the first time, by its own clock.
fn began_at_ms(published: &Published, is_held: bool, now: Moment) -> u64 {
    // The stamp of a hold says when it ends.
    let stamp = published.opened_at.filter(|_| !is_held);
    // A stamp is of the clock that the fleet shares, and was rounded up.
    let age = stamp.map(|stamp| now.elapsed_since_stamp(stamp)).unwrap_or_default();
    millis(now.wall().saturating_sub(age))
}

impl Snapshot {
    /// Makes the snapshot of a circuit that was never read.
    pub(super) fn of_unread(name: CircuitName, dry_run: bool) -> Self {
        let state = CircuitState::Closed;
        let circuit = CircuitInfo { name, state, failure_count: 0, opened_at: None };
        let tried = Tried::new(dry_run);
        Self { circuit, epoch: 1, as_of_ms: 0, tried, trouble: None }
    }
}
