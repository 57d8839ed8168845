//! Makes the snapshots of a circuit from what its machine decided.

use std::sync::Arc;

use super::Circuit;
use crate::{
    name::CircuitName,
    protocol::machine::{Detail, Opened, Published},
    snapshot::{Outage, Snapshot, Tried, Trouble},
    state::{CircuitInfo, CircuitState},
};

impl Circuit {
    /// Publishes what the machine decided. `detail` is the opening that the circuit is in, or the
    /// ramp that it is on. Called by the actor alone.
    pub(crate) fn publish(&self, published: &Published, detail: Detail<'_>) {
        let before = self.snapshot.load_full();
        let ramp = match &detail {
            Detail::Ramping(ramp) => Some(*ramp),
            Detail::Opened(_) | Detail::HeldClosed(_) | Detail::Closed => None,
        };
        let show = || self.snapshot.store(Arc::new(next(&before, published, detail)));
        self.gate.publish(published, ramp, show);
        // Last: a recorder is code of the user, and a slow one must not delay a trip.
        self.counts.drain(&before);
    }
}

/// Makes the snapshot that follows another. How many failures tripped a circuit is carried from
/// one to the next, so that an idle circuit needs no room for it.
fn next(before: &Snapshot, published: &Published, detail: Detail<'_>) -> Snapshot {
    let is_unread = published.is_unread;
    let trouble = match detail {
        Detail::Opened(Opened { outage, hold }) => Some(Trouble::Down(Outage {
            retry_at_ms: published.retry_at_ms,
            since_ms: outage.since_ms,
            cause: outage.cause.clone(),
            hold,
        })),
        Detail::HeldClosed(hold) => Some(Trouble::HeldClosed { hold, is_unread }),
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

impl Snapshot {
    /// Makes the snapshot of a circuit that was never read.
    pub(super) fn of_unread(name: CircuitName, dry_run: bool) -> Self {
        let state = CircuitState::Closed;
        let circuit = CircuitInfo { name, state, failure_count: 0, opened_at: None };
        let tried = Tried::new(dry_run);
        Self { circuit, epoch: 1, as_of_ms: 0, tried, trouble: None }
    }
}
