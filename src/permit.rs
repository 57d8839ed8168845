//! Leave for one call: one report, or a drop.

use std::{fmt, mem::ManuallyDrop, time::Duration};

use crate::{
    breaker::Breaker,
    outcome::Outcome,
    protocol::machine::{CallEnd, CallId},
    runtime::circuit::{Awaited, Circuit, GRACE, Outstanding, Settled},
};

/// What is said of a call that is dropped without a report; a panic of its own is a
/// failure.
pub(crate) fn report_of_drop(circuit: &Circuit, counts_panic: bool) -> CallEnd {
    if (counts_panic && std::thread::panicking()) || circuit.config.count_cancelled() {
        CallEnd::Failure
    } else {
        CallEnd::Dropped
    }
}

impl From<Outcome> for CallEnd {
    #[inline]
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Failure => Self::Failure,
            Outcome::Ignored => Self::Ignored,
        }
    }
}

/// Leave for one call, borrowed from its [`Breaker`].
///
/// Report how the call ended with [`success`](Self::success),
/// [`failure`](Self::failure) or [`ignore`](Self::ignore). A permit that is
/// dropped instead says nothing about the dependency, unless the thread is
/// panicking or the circuit counts cancelled calls: then it is a failure. A
/// permit that is leaked delays recovery until its `probe_lease` has ended.
///
/// A report of a call that was admitted before the circuit changed its state
/// changes nothing.
#[must_use = "a permit that is dropped reports nothing about the call"]
pub struct Permit<'a> {
    circuit: &'a Circuit,
    pass: CallId,
}

impl<'a> Permit<'a> {
    #[inline]
    pub(crate) fn new(circuit: &'a Circuit, pass: CallId) -> Self {
        Self { circuit, pass }
    }

    /// Reports that the dependency answered well.
    ///
    /// Free on a closed circuit without recent failures, and counted by this thread
    /// alone on one with some. Nothing is sent, unless the call is a probe.
    #[inline]
    pub fn success(self) -> Settling {
        self.end(CallEnd::Success)
    }

    /// Reports that the dependency failed. The failure is counted when this returns.
    /// A trip that it causes takes effect, and is written, later: await
    /// [`Settling::settled`] for that.
    pub fn failure(self) -> Settling {
        self.end(CallEnd::Failure)
    }

    /// Reports that the call says nothing about the dependency.
    pub fn ignore(self) -> Settling {
        self.end(CallEnd::Ignored)
    }

    /// Reports an [`Outcome`].
    #[inline]
    pub fn report(self, outcome: Outcome) -> Settling {
        self.end(outcome.into())
    }

    /// Whether this call probes a circuit that is not closed.
    #[inline]
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.pass.probe.is_some()
    }

    /// Says that the call still runs, so that a probe keeps its lease. Call it
    /// at least every third of `probe_lease` for probes that may outlast it;
    /// [`Breaker::call`] does so by itself. Does nothing for other calls.
    pub fn keep_alive(&self) {
        if self.is_probe() {
            self.circuit.keep_alive(self.pass);
        }
    }

    #[inline]
    fn end(self, report: CallEnd) -> Settling {
        // A permit that was reported is not dropped.
        let permit = ManuallyDrop::new(self);
        Settling(permit.circuit.report(permit.pass, report))
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let _ = self.circuit.report(self.pass, report_of_drop(self.circuit, true));
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("circuit", &self.circuit.name)
            .field("is_probe", &self.is_probe())
            .finish_non_exhaustive()
    }
}

/// A [`Permit`] that owns a handle of its breaker, so that it can be moved into
/// a task. It costs two atomic operations more than a borrowed one.
#[must_use = "a permit that is dropped reports nothing about the call"]
pub struct OwnedPermit {
    breaker: Breaker,
    pass: CallId,
    armed: bool,
}

impl OwnedPermit {
    pub(crate) fn new(breaker: Breaker, pass: CallId) -> Self {
        Self { breaker, pass, armed: true }
    }

    /// Reports that the dependency answered well. See [`Permit::success`].
    pub fn success(self) -> Settling {
        self.end(CallEnd::Success)
    }

    /// Reports that the dependency failed. See [`Permit::failure`].
    pub fn failure(self) -> Settling {
        self.end(CallEnd::Failure)
    }

    /// Reports that the call says nothing about the dependency.
    pub fn ignore(self) -> Settling {
        self.end(CallEnd::Ignored)
    }

    /// Reports an [`Outcome`].
    pub fn report(self, outcome: Outcome) -> Settling {
        self.end(outcome.into())
    }

    /// Whether this call probes a circuit that is not closed.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.pass.probe.is_some()
    }

    /// Says that the call still runs. See [`Permit::keep_alive`].
    pub fn keep_alive(&self) {
        if self.is_probe() {
            self.breaker.circuit().keep_alive(self.pass);
        }
    }

    fn end(mut self, report: CallEnd) -> Settling {
        self.armed = false;
        Settling(self.breaker.circuit().report(self.pass, report))
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        if self.armed {
            let circuit = self.breaker.circuit();
            let _ = circuit.report(self.pass, report_of_drop(circuit, true));
        }
    }
}

impl fmt::Debug for OwnedPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit")
            .field("circuit", &self.breaker.circuit().name)
            .field("is_probe", &self.is_probe())
            .finish_non_exhaustive()
    }
}

/// What a report may still cause: the write of a trip, or of a probe's verdict.
///
/// May be dropped; the write is then made in the background, which a frozen
/// AWS Lambda environment delays until it is thawed, or for ever.
#[derive(Debug)]
pub struct Settling(Outstanding);

impl Settling {
    pub(crate) fn new(outstanding: Outstanding) -> Self {
        Self(outstanding)
    }

    /// Waits until the outcome is settled: counted, and any write that it
    /// caused answered. At most `store_timeout`; at once for most outcomes.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the outcome was reported already.
    pub async fn settled(self) {
        self.settled_after(Duration::ZERO).await;
    }

    /// Waits as [`settled`](Self::settled) does, for a call that has waited for so
    /// long before: what a call waits in all is bounded. False if the actor gave no
    /// sign of itself, though it had the time to.
    pub(crate) async fn settled_after(mut self, waited: Duration) -> bool {
        let Some(awaited) = self.0.take() else {
            return true;
        };
        let limit = awaited.limit.saturating_sub(waited);
        let since = awaited.clock.now();
        let is_over = match awaited.settled {
            Settled::Answered(settled) => awaited.clock.within(limit, settled).await.is_some(),
            Settled::Tripped(trip) => awaited.clock.within(limit, trip.idle()).await.is_some(),
            Settled::Idle(pending) => {
                // What else is pending says nothing of one actor.
                let _ = awaited.clock.within(limit, pending.idle()).await;
                true
            }
        };
        // Nor does a short wait, or one in which the process stood still.
        is_over || limit < GRACE || awaited.clock.now().was_frozen_since(since, limit)
    }
}

/// Most outcomes have nothing to drop, and say so without a call.
impl Drop for Settling {
    #[inline]
    fn drop(&mut self) {
        if let Some(awaited) = self.0.take() {
            forget(awaited);
        }
    }
}

#[cold]
#[inline(never)]
fn forget(awaited: Box<Awaited>) {
    drop(awaited);
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::SystemTime};

    use super::*;
    use crate::{
        clock::{Clock, VirtualClock},
        runtime::circuit::Pending,
        runtime::sync::oneshot,
    };

    /// A wait that never ends by itself, of a call that has waited for so long before.
    async fn has_heard(settled: Settled, limit: Duration, waited: Duration, frozen: bool) -> bool {
        let hands = VirtualClock::following_tokio(SystemTime::UNIX_EPOCH);
        let clock = Clock::from(&hands);
        let awaited = Awaited { settled, limit, clock, turns: 0 };
        let freeze = async {
            if frozen {
                hands.advance(Duration::from_secs(3_600));
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            heard = Settling::new(Some(Box::new(awaited))).settled_after(waited) => heard,
            () = freeze => false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_actor_is_deaf_only_if_it_had_the_time_to_answer() {
        let second = Duration::from_secs(1);
        let (_done, answer) = oneshot::channel();
        assert!(!has_heard(Settled::Answered(answer), second, Duration::ZERO, false).await);
        let (_done, answer) = oneshot::channel();
        assert!(has_heard(Settled::Answered(answer), second, second, false).await, "no time");
        let (_done, answer) = oneshot::channel();
        let frozen = has_heard(Settled::Answered(answer), second, Duration::ZERO, true).await;
        assert!(frozen, "it stood still as well");
        let (done, answer) = oneshot::channel();
        drop(done);
        let gone = has_heard(Settled::Answered(answer), second, Duration::ZERO, false).await;
        assert!(gone, "there is nobody left to wait for");
        let trip = Arc::new(Pending::default());
        let _under_way = trip.start();
        let tripped = || Settled::Tripped(Arc::clone(&trip));
        assert!(!has_heard(tripped(), second, Duration::ZERO, false).await);
        assert!(has_heard(tripped(), second, Duration::ZERO, true).await, "it stood still as well");
        let pending = Arc::new(Pending::default());
        let _others = pending.start();
        let idle = has_heard(Settled::Idle(pending), second, Duration::ZERO, false).await;
        assert!(idle, "others may be what is pending");
    }
}
