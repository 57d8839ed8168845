//! The gauges of circuits, set when somebody looks.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use ::metrics::gauge;

use super::recorded::{DOWN, DOWN_SINCE, FAILING_OPEN, HELD, RETRY_AT, SNAPSHOT_AGE, STATE};
use crate::{
    name::{CircuitName, DRY_RUN_SUFFIX},
    panics::caught,
    snapshot::Snapshot,
    state::CircuitState,
    transition::Cause,
};

/// Whether gauges were ever set: only then must those of a forgotten circuit be.
#[derive(Debug, Default)]
pub(crate) struct Observed(AtomicBool);

impl Observed {
    pub(crate) fn note(&self) {
        self.0.store(true, Relaxed);
    }

    /// Sets the gauges of a circuit that was forgotten: closed, of unknown age. Left alone, they
    /// would tell of an outage for ever.
    pub(crate) fn forget(&self, circuit: &CircuitName) {
        if self.0.load(Relaxed) {
            let nothing = Values {
                state: CircuitState::Closed,
                down_since: None,
                retry_at: None,
                is_held: false,
                age: None,
                is_failing_open: false,
                down: None,
            };
            nothing.set(circuit);
        }
    }
}

struct Values {
    state: CircuitState,
    down_since: Option<SystemTime>,
    retry_at: Option<SystemTime>,
    is_held: bool,
    age: Option<Duration>,
    is_failing_open: bool,
    /// Why calls are rejected, unless an operator says so.
    down: Option<Why>,
}

/// The label of the gauge that alarms ask for: by its values they can tell a dependency that fails
/// from one that asks for fewer calls, and a query of CloudWatch knows nothing but equal labels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Failing,
    Throttled,
}

impl Why {
    fn of(shown: &Snapshot) -> Option<Self> {
        let is_half_open = shown.state() == CircuitState::HalfOpen;
        match (shown.cause()?, shown.hold()) {
            (_, Some(_)) => None,
            // The first probes after a hold say nothing of the dependency yet.
            (Cause::Hold, None) if is_half_open => None,
            (Cause::OpenFor, None) => Some(Self::Throttled),
            (_, None) => Some(Self::Failing),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Throttled => "throttled",
        }
    }
}

/// Sets the gauges of a circuit to what the snapshot tells at `now`.
pub(crate) fn observe(shown: &Snapshot, now: SystemTime) {
    let values = Values {
        state: shown.state(),
        down_since: shown.down_since(),
        retry_at: shown.retry_at(),
        is_held: shown.hold().is_some(),
        age: shown.age(now),
        is_failing_open: shown.is_failing_open(),
        down: Why::of(shown),
    };
    values.set(&shown.label());
}

impl Values {
    fn set(&self, circuit: &CircuitName) {
        let circuit = circuit.to_string();
        let labels = || [("circuit", circuit.clone())];
        caught(|| {
            for state in [CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen] {
                gauge!(STATE, "circuit" => circuit.clone(), "state" => state.as_str())
                    .set(f64::from(state == self.state));
            }
            gauge!(DOWN_SINCE, &labels()).set(unix_seconds(self.down_since));
            gauge!(RETRY_AT, &labels()).set(unix_seconds(self.retry_at));
            gauge!(HELD, &labels()).set(f64::from(self.is_held));
            // Zero would say that it has just been read.
            let age = self.age.map_or(f64::NAN, |age| age.as_secs_f64());
            gauge!(SNAPSHOT_AGE, &labels()).set(age);
            // Every call of a circuit in a dry run runs: these two are alarms.
            if circuit.ends_with(DRY_RUN_SUFFIX) {
                return;
            }
            gauge!(FAILING_OPEN, &labels()).set(f64::from(self.is_failing_open));
            for why in [Why::Failing, Why::Throttled] {
                gauge!(DOWN, "circuit" => circuit.clone(), "why" => why.as_str())
                    .set(f64::from(self.down == Some(why)));
            }
        });
    }
}

/// Zero if there is no such time.
fn unix_seconds(time: Option<SystemTime>) -> f64 {
    let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.unwrap_or_default().as_secs_f64()
}
