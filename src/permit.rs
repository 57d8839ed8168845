//! Leave for one call: one report, or a drop.

use std::{
    fmt,
    future::Future,
    mem::ManuallyDrop,
    pin::{Pin, pin},
    time::Duration,
};

use crate::{
    breaker::Breaker,
    circuit::{Awaited, Circuit, Outstanding, Settled},
    machine::{Pass, Report},
    outcome::Outcome,
};

/// What a permit does when it is dropped without a report.
fn report_of_drop(circuit: &Circuit) -> Report {
    if std::thread::panicking() || circuit.config.count_cancelled() {
        Report::Failure
    } else {
        Report::NoVerdict
    }
}

impl From<Outcome> for Report {
    #[inline]
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Failure => Self::Failure,
            Outcome::Ignored => Self::NoVerdict,
        }
    }
}

/// Leave for one call, borrowed from its [`Breaker`].
///
/// Report how the call ended with [`success`](Self::success),
/// [`failure`](Self::failure) or [`ignore`](Self::ignore). A permit that is
/// dropped instead says nothing about the dependency, unless the thread is
/// panicking or the circuit counts cancelled calls: then it is a failure. A
/// permit that is leaked delays recovery by one `probe_lease` at most.
///
/// A report of a call that was admitted before the circuit changed its state
/// changes nothing.
#[must_use = "a permit that is dropped reports nothing about the call"]
pub struct Permit<'a> {
    circuit: &'a Circuit,
    pass: Pass,
}

impl<'a> Permit<'a> {
    #[inline]
    pub(crate) fn new(circuit: &'a Circuit, pass: Pass) -> Self {
        Self { circuit, pass }
    }

    /// Reports that the dependency answered well.
    ///
    /// Free on a closed circuit without recent failures: nothing is sent.
    #[inline]
    pub fn success(self) -> Settling {
        self.end(Report::Success)
    }

    /// Reports that the dependency failed. The failure is counted, or on its
    /// way to be counted before any later outcome, when this returns. A trip that it
    /// causes is written later: await [`Settling::settled`] for that.
    pub fn failure(self) -> Settling {
        self.end(Report::Failure)
    }

    /// Reports that the call says nothing about the dependency.
    pub fn ignore(self) -> Settling {
        self.end(Report::NoVerdict)
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

    /// Runs a call under this permit, keeping a probe's lease alive.
    pub(crate) async fn run<F: Future>(&self, call: F) -> F::Output {
        let mut call = pin!(call);
        if !self.is_probe() {
            return call.await;
        }
        let third = self.circuit.config.probe_lease().checked_div(3);
        loop {
            tokio::select! {
                biased;
                output = &mut call => return output,
                () = self.circuit.clock.sleep(third) => self.keep_alive(),
            }
        }
    }

    /// Reports the outcome of a call; returns the wait for what it caused, if the
    /// circuit wants that to be waited for.
    #[inline]
    pub(crate) fn report_and_await(self, outcome: Outcome) -> Option<Wait> {
        let circuit = self.circuit;
        let mut settling = self.report(outcome);
        settling.0.take().and_then(|awaited| wait_for(circuit, awaited))
    }

    #[inline]
    fn end(self, report: Report) -> Settling {
        // A permit that was reported is not dropped.
        let permit = ManuallyDrop::new(self);
        Settling(permit.circuit.report(permit.pass, report))
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let _ = self.circuit.report(self.pass, report_of_drop(self.circuit));
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
    pass: Pass,
    armed: bool,
}

impl OwnedPermit {
    pub(crate) fn new(breaker: Breaker, pass: Pass) -> Self {
        Self { breaker, pass, armed: true }
    }

    /// Reports that the dependency answered well. See [`Permit::success`].
    pub fn success(self) -> Settling {
        self.end(Report::Success)
    }

    /// Reports that the dependency failed. See [`Permit::failure`].
    pub fn failure(self) -> Settling {
        self.end(Report::Failure)
    }

    /// Reports that the call says nothing about the dependency.
    pub fn ignore(self) -> Settling {
        self.end(Report::NoVerdict)
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

    fn end(mut self, report: Report) -> Settling {
        self.armed = false;
        Settling(self.breaker.circuit().report(self.pass, report))
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        if self.armed {
            let circuit = self.breaker.circuit();
            let _ = circuit.report(self.pass, report_of_drop(circuit));
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

/// A wait that few calls have: boxed, so that every call's future stays small.
pub(crate) type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a report may still cause: the write of a trip, or of a probe's verdict.
///
/// May be dropped; the write is then made in the background, which a frozen
/// AWS Lambda environment delays until it is thawed, or for ever.
#[derive(Debug)]
pub struct Settling(Outstanding);

impl Settling {
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
    /// long before: what a call waits in all is bounded.
    pub(crate) async fn settled_after(mut self, waited: Duration) {
        let Some(awaited) = self.0.take() else {
            return;
        };
        let limit = awaited.limit.saturating_sub(waited);
        // Not settled in time, or nobody left to settle it.
        match awaited.settled {
            Settled::Answered(settled) => {
                let _ = awaited.clock.within(limit, settled).await;
            }
            Settled::Idle(pending) => {
                let _ = awaited.clock.within(limit, pending.idle()).await;
            }
        }
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
fn wait_for(circuit: &Circuit, awaited: Box<Awaited>) -> Option<Wait> {
    let settling = Settling(Some(awaited));
    circuit.config.await_trip_write().then(|| -> Wait { Box::pin(settling.settled()) })
}

#[cold]
#[inline(never)]
fn forget(awaited: Box<Awaited>) {
    drop(awaited);
}
