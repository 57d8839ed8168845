//! What a process knows of a circuit, as a value.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use crate::{
    hold::info::HoldInfo,
    name::CircuitName,
    reason::Reason,
    state::{CircuitInfo, CircuitState},
    transition::Cause,
};

/// What this process knows of a circuit.
///
/// A snapshot is a value: it does not change, and may be outdated as soon as
/// it is loaded. Admission does not need it.
///
/// A process reads the shared item when calls need it. In a process without calls a snapshot
/// grows old: [`age`](Self::age) says how old, and [`Breaker::refresh`](crate::Breaker::refresh)
/// reads now.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fuseboard::{BreakerRegistry, Cause, MemoryStore};
/// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
/// # let payments = registry.breaker("payment-backend")?;
/// # for _ in 0..5 { payments.admit().await?.failure().settled().await; }
/// use std::time::SystemTime;
///
/// let snapshot = payments.snapshot();
/// if let Some(since) = snapshot.down_since() {
///     let down_for = SystemTime::now().duration_since(since).unwrap_or_default();
///     println!("{} for {down_for:?}: {:?}", snapshot.state(), snapshot.cause());
/// }
/// # assert_eq!(snapshot.cause(), Some(&Cause::FailureThreshold));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub(crate) circuit: CircuitInfo,
    pub(crate) epoch: u64,
    /// Milliseconds since the Unix epoch; zero before the first read.
    pub(crate) as_of_ms: u64,
    pub(crate) tried: Tried,
    /// `None` while all is well. Boxed: most circuits of a process are.
    pub(crate) trouble: Option<Box<Trouble>>,
}

/// The number of calls that would have been rejected, where the circuit is in a dry run. Handed from
/// one snapshot to the next, so that other circuits need no room for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tried(Option<Arc<AtomicU64>>);

impl Tried {
    pub(crate) fn new(dry_run: bool) -> Self {
        Self(dry_run.then(Arc::default))
    }

    pub(crate) fn count(&self) {
        if let Some(count) = &self.0 {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn counted(&self) -> u64 {
        self.0.as_ref().map_or(0, |count| count.load(Relaxed))
    }
}

/// Snapshots are equal that show the same, however many calls have come since.
impl PartialEq for Tried {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_some() == other.0.is_some()
    }
}

impl Eq for Tried {}

/// What a snapshot of a circuit that is not well has beside the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The circuit is closed here, and the last read of its item failed.
    Unread,
    /// The circuit has closed, and admits a share of the calls.
    Ramping {
        /// Milliseconds since the Unix epoch.
        until_ms: u64,
        is_unread: bool,
    },
    /// An operator holds the circuit closed.
    HeldClosed { hold: HoldInfo, is_unread: bool },
    /// The circuit is open or half-open.
    Down(Outage),
}

/// The time from an opening of the circuit to the closing after it, reopenings included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    /// Milliseconds since the Unix epoch.
    pub(crate) retry_at_ms: u64,
    pub(crate) since_ms: u64,
    /// The cause of the first opening.
    pub(crate) cause: Cause,
    /// The operator's hold, if the circuit is held open.
    pub(crate) hold: Option<HoldInfo>,
}

impl Snapshot {
    /// Returns `true` if the circuit is in a [dry run](crate::ConfigBuilder::dry_run): what the
    /// snapshot tells is then of the item beside the circuit's own, and no call is rejected.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.tried.0.is_some()
    }

    /// Returns the name under which metrics show the circuit.
    pub(crate) fn label(&self) -> CircuitName {
        let name = &self.circuit.name;
        // A name that is too long for its key has no circuit in a dry run.
        let tried = self.tried.0.as_ref().and_then(|_| name.dry_run_key().ok());
        tried.unwrap_or_else(|| name.clone())
    }

    /// Returns the circuit as it was published.
    #[must_use]
    pub fn circuit(&self) -> &CircuitInfo {
        &self.circuit
    }

    /// Returns the state as it was published.
    #[must_use]
    pub fn state(&self) -> CircuitState {
        self.circuit.state
    }

    /// Returns how many state changes this process has seen, plus one. Only
    /// good for telling two snapshots of one process apart.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the time at which the store last showed this process the item, by the answer to
    /// a read or a write; `None` before the first time. By this process's wall clock.
    #[must_use]
    pub fn as_of(&self) -> Option<SystemTime> {
        (self.as_of_ms > 0).then(|| at(self.as_of_ms))
    }

    /// Returns how old the snapshot is at `now`: the time since [`as_of`](Self::as_of). `None`
    /// before the first read, and zero if `now` is earlier.
    ///
    /// Pass `SystemTime::now()`, or [`VirtualClock::wall`](crate::VirtualClock::wall) where the
    /// registry has a virtual clock: a snapshot is a value, and reads no clock.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Option<Duration> {
        self.as_of().map(|as_of| now.duration_since(as_of).unwrap_or_default())
    }

    /// Returns the time from which on a call may be a probe, as far as this process knows;
    /// `None` while the circuit is closed. While a probe runs, in any process, this is at most
    /// one `handoff` after the snapshot was published.
    #[must_use]
    pub fn retry_at(&self) -> Option<SystemTime> {
        self.outage().map(|outage| at(outage.retry_at_ms))
    }

    /// Returns the time at which the outage began: the first opening, and not the last
    /// reopening. `None` while the circuit is closed.
    ///
    /// The item tells it (`down_since`), so that every process says the same, to a second, also
    /// one that starts during the outage. Powertools (Python) drops it from the item: then it is
    /// what this process saw, or the item's `opened_at`.
    #[must_use]
    pub fn down_since(&self) -> Option<SystemTime> {
        self.outage().map(|outage| at(outage.since_ms))
    }

    /// Returns the cause of the first opening of the outage, in whichever process it was; `None`
    /// while the circuit is closed. [`Cause::Elsewhere`] if this process did not see it and the
    /// item does not tell: Powertools (Python) drops it.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        self.outage().map(|outage| &outage.cause)
    }

    /// Returns the operator's hold that the circuit is under, open or closed, also if another
    /// process was told; `None` if it is not held.
    ///
    /// A hold of an open circuit whose time is over is returned until the first probe: until then
    /// the item carries it.
    #[must_use]
    pub fn hold(&self) -> Option<&HoldInfo> {
        match self.trouble.as_deref()? {
            Trouble::HeldClosed { hold, .. } => Some(hold),
            Trouble::Down(outage) => outage.hold.as_ref(),
            Trouble::Unread | Trouble::Ramping { .. } => None,
        }
    }

    /// Returns `true` if the circuit is closed here and the last read of its item failed. Calls
    /// run, whatever the item says.
    #[must_use]
    pub fn is_failing_open(&self) -> bool {
        matches!(
            self.trouble.as_deref(),
            Some(
                Trouble::Unread
                    | Trouble::Ramping { is_unread: true, .. }
                    | Trouble::HeldClosed { is_unread: true, .. }
            )
        )
    }

    /// Returns the time from which on all calls are admitted, if the circuit has closed and this
    /// process admits only a share of them: see [`ramp`](crate::ConfigBuilder::ramp). `None`
    /// otherwise.
    #[must_use]
    pub fn ramping_until(&self) -> Option<SystemTime> {
        match self.trouble.as_deref() {
            Some(Trouble::Ramping { until_ms, .. }) => Some(at(*until_ms)),
            Some(Trouble::Unread | Trouble::HeldClosed { .. } | Trouble::Down(_)) | None => None,
        }
    }

    /// Why a call is rejected. A circuit that has closed since the rejection, and admits all calls,
    /// counts as tripped.
    pub(crate) fn reason(&self) -> Reason {
        if let Some(Trouble::Ramping { .. }) = self.trouble.as_deref() {
            return Reason::Ramping;
        }
        let held = self.outage().and_then(|outage| outage.hold.as_ref());
        match (self.state(), held) {
            (_, Some(hold)) => Reason::Held { reason: Arc::clone(&hold.reason) },
            (CircuitState::HalfOpen, None) => Reason::Probing,
            (CircuitState::Open | CircuitState::Closed, None) => Reason::Tripped,
        }
    }

    pub(crate) fn outage(&self) -> Option<&Outage> {
        match self.trouble.as_deref() {
            Some(Trouble::Down(outage)) => Some(outage),
            Some(Trouble::Unread | Trouble::Ramping { .. } | Trouble::HeldClosed { .. }) | None => {
                None
            }
        }
    }

    /// Zero while the circuit is closed.
    pub(crate) fn retry_at_ms(&self) -> u64 {
        self.outage().map_or(0, |outage| outage.retry_at_ms)
    }
}

fn at(ms: u64) -> SystemTime {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms));
    at.unwrap_or(SystemTime::UNIX_EPOCH)
}
