//! A call that a breaker makes and polls itself.

use std::{
    future::{Future, poll_fn},
    mem::ManuallyDrop,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    outcome::Outcome,
    permit::{Settling, report_of_drop},
    protocol::machine::CallId,
    runtime::circuit::{Awaited, Circuit},
};

/// A wait that few calls have: boxed, so that every call's future stays small.
pub(super) type Wait<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A call under way. Dropped before its end it says nothing about the dependency,
/// unless the circuit counts cancelled calls; a panic is a failure if it came out of
/// the call, and not if it is of other code in the same task, which drops the call.
pub(super) struct Running<'a> {
    circuit: &'a Circuit,
    pass: CallId,
    /// Whether the call is being made or polled.
    is_in_call: bool,
}

impl<'a> Running<'a> {
    /// A call that is admitted, and about to be made.
    #[inline]
    pub(super) fn new(circuit: &'a Circuit, pass: CallId) -> Self {
        Self { circuit, pass, is_in_call: true }
    }

    #[inline]
    pub(super) fn poll<F: Future>(
        &mut self,
        call: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        // Stored only where it changes: most calls are ready when they are polled first.
        if !self.is_in_call {
            self.is_in_call = true;
        }
        let polled = call.poll(context);
        if polled.is_pending() {
            self.is_in_call = false;
        }
        polled
    }

    /// What panics from here on is not the call.
    #[inline]
    pub(super) fn leave(&mut self) {
        self.is_in_call = false;
    }

    /// Runs the call, keeping a probe's lease alive.
    pub(super) async fn run<F: Future>(&mut self, call: F) -> F::Output {
        let mut call = pin!(call);
        let (circuit, pass) = (self.circuit, self.pass);
        let third = pass.probe.and(circuit.config.probe_lease().checked_div(3));
        loop {
            tokio::select! {
                biased;
                output = poll_fn(|context| self.poll(call.as_mut(), context)) => return output,
                () = circuit.clock.sleep(third) => circuit.keep_alive(pass),
            }
        }
    }

    /// Reports how the call ended; returns the wait for what that caused, if the
    /// circuit wants that to be waited for. `waited` is how long the call has waited
    /// already: what it waits in all is bounded.
    #[inline]
    pub(super) fn report(self, outcome: Outcome, waited: Duration) -> Option<Wait<'a>> {
        // A call that was reported is not dropped.
        let running = ManuallyDrop::new(self);
        let outstanding = running.circuit.report(running.pass, outcome.into());
        outstanding.and_then(|awaited| wait_for(running.circuit, awaited, waited))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let report = report_of_drop(self.circuit, self.is_in_call);
        let _ = self.circuit.report(self.pass, report);
    }
}

#[cold]
#[inline(never)]
fn wait_for(circuit: &Circuit, awaited: Box<Awaited>, waited: Duration) -> Option<Wait<'_>> {
    // One caller that waits for an actor that does not run is enough.
    if !circuit.config.await_trip_write() || circuit.is_stalled() {
        return None;
    }
    let turns = awaited.turns;
    let settling = Settling::new(Some(awaited));
    Some(Box::pin(async move {
        if !settling.settled_after(waited).await {
            circuit.mark_stalled(turns);
        }
    }))
}
