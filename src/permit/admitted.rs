//! What the two kinds of permits have in common: one call, reported once.

#[cfg(feature = "tower")]
mod pieces;

use std::{
    future::Future,
    ops::Deref,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use super::{
    Rare, Settling, Timers,
    limited::{self, until_limit},
};
use crate::{
    classifier::Classify,
    error::CallError,
    limit::Limit,
    outcome::Outcome,
    protocol::machine::{CallEnd, CallId},
    runtime::circuit::{Awaited, Circuit, Outstanding},
};

/// A wait that few calls have.
pub(crate) type Wait<'a> = Option<Rare<dyn Future<Output = ()> + Send + 'a>>;

/// What holds a circuit: a reference that borrows it, or one that owns a share of it.
pub(crate) trait Holder: Deref<Target = Circuit> + Send + Unpin {}

impl<C: Deref<Target = Circuit> + Send + Unpin> Holder for C {}

/// How far an admitted call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is being made or polled, by its caller or by [`Admitted::poll`]: what panics now
    /// is the call.
    InCall,
    /// It waits to be polled, or its output is judged: what panics now is other code.
    BesideCall,
    /// It has panicked, and its future still exists: the code that caught the panic drops it.
    #[cfg(feature = "tower")]
    Panicked,
    /// Its end was reported.
    Reported,
}

/// A call that was admitted: what a permit is, and what runs a call. Dropped without a
/// report it says nothing about the dependency, unless it was armed, the circuit counts
/// cancelled calls, or the call has panicked: then it is a failure.
pub(crate) struct Admitted<C: Holder> {
    circuit: C,
    id: CallId,
    stage: Stage,
    /// Whether a drop without a report is a failure, whatever the stage.
    is_armed: bool,
    /// How long the call has waited for its admission. In milliseconds, for which there is room
    /// in here.
    waited_ms: u32,
}

impl<C: Holder> Admitted<C> {
    #[inline]
    pub(crate) fn new(circuit: C, id: CallId) -> Self {
        Self { circuit, id, stage: Stage::InCall, is_armed: false, waited_ms: 0 }
    }

    /// A call that was asked for. What it waits in all is bounded, so that how long it has waited
    /// for that is kept.
    pub(crate) fn asked(circuit: C, (id, waited): (CallId, Duration)) -> Self {
        let waited_ms = u32::try_from(waited.as_millis()).unwrap_or(u32::MAX);
        let mut admitted = Self::new(circuit, id);
        admitted.waited_ms = waited_ms;
        admitted
    }

    pub(super) fn arm(mut self) -> Self {
        self.is_armed = true;
        self
    }

    pub(super) fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    #[inline]
    pub(crate) fn is_probe(&self) -> bool {
        self.id.probe.is_some()
    }

    pub(crate) fn keep_alive(&self) {
        if self.is_probe() {
            self.circuit.keep_alive(self.id);
        }
    }

    /// Always inlined: out of line the permit would be stored and read back for each call.
    #[inline(always)]
    pub(super) fn end(mut self, end: CallEnd) -> Settling {
        Settling::new(self.report(end))
    }

    #[inline]
    fn report(&mut self, end: CallEnd) -> Outstanding {
        // Before the report: if code of others panics in there, this is dropped, and the
        // call must not be counted twice.
        self.stage = Stage::Reported;
        self.circuit.report(self.id, end)
    }

    /// Reports the output of a call that was run, if that says and causes nothing: the
    /// path of nearly all calls. Where it is false nothing was reported.
    #[inline]
    pub(crate) fn report_silently(&mut self, outcome: Outcome) -> bool {
        let is_reported = self.circuit.report_silently(self.id, outcome.into());
        if is_reported {
            self.stage = Stage::Reported;
        }
        is_reported
    }

    /// Reports how a call ended, and waits for what that caused, if the circuit wants that
    /// to be waited for. Boxed, so that every call's future stays small.
    #[cold]
    #[inline(never)]
    pub(crate) fn report_and_wait(&mut self, outcome: Outcome) -> Wait<'_> {
        let awaited = self.report_awaited(outcome)?;
        let settled: Pin<Box<dyn Future<Output = ()> + Send + '_>> =
            Box::pin(settled(&self.circuit, awaited, self.waited()));
        Some(settled.into())
    }

    /// How long the call has waited for its admission.
    fn waited(&self) -> Duration {
        Duration::from_millis(self.waited_ms.into())
    }

    /// Reports how a call ended. Returns what is to be waited for, if anything is.
    fn report_awaited(&mut self, outcome: Outcome) -> Outstanding {
        let outstanding = self.report(outcome.into());
        let awaited = outstanding.filter(|_| self.circuit.config().await_trip_write());
        // One caller that waits for an actor that does not run is enough.
        awaited.filter(|_| !self.circuit.is_stalled())
    }

    /// Runs a call, reports what the judge says of its output, and waits as
    /// [`report_and_wait`](Self::report_and_wait) does.
    pub(crate) fn run<F: Future>(
        mut self,
        call: F,
        judge: impl FnOnce(&F::Output) -> Outcome,
    ) -> impl Future<Output = F::Output> {
        // Now, and not at the first poll: other code of the task may panic before it.
        self.stage = Stage::BesideCall;
        async move {
            let mut underway = Underway::new(self);
            let call = pin!(call);
            let output = underway.poll(call).await;
            let (output, outcome) = judged(output, judge);
            if underway.admitted.report_silently(outcome) {
                return output;
            }
            // Kept under another name, so that only outputs that wait are kept.
            let kept = output;
            if let Some(settled) = underway.admitted.report_and_wait(outcome) {
                settled.await;
            }
            kept
        }
    }

    /// Runs a call that is cut at a limit, as [`run`](Self::run) does.
    pub(super) fn run_within<T, E>(
        self,
        limit: Limit,
        call: impl Future<Output = Result<T, E>>,
        classifier: impl Classify<T, E>,
    ) -> impl Future<Output = Result<T, CallError<E>>> {
        let call = until_limit(self.circuit.clock.clone(), limit, call);
        let judge = move |ran: &_| limited::judge(ran, |result| classifier.classify(result));
        let ran = self.run(call, judge);
        async move { limited::into_call_result(Ok(ran.await)) }
    }

    /// Counts the call if it is slow, and keeps it alive if it is a probe.
    #[inline]
    pub(crate) fn poll_timers(&mut self, timers: &mut Timers, context: &mut Context<'_>) {
        if timers.poll(&self.circuit, self.id, context) {
            self.id = CallId::REPORTED;
        }
    }

    /// Polls the call once: what panics in there is the call.
    #[inline]
    fn poll_once<F: Future>(
        &mut self,
        call: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        // If the poll unwinds, the stage stays, and the drop finds that the call panicked.
        self.stage = Stage::InCall;
        let polled = call.poll(context);
        self.stage = Stage::BesideCall;
        polled
    }
}

impl<C: Holder> Drop for Admitted<C> {
    #[inline]
    fn drop(&mut self) {
        // A load and a comparison are inlined, and nothing for a permit that was reported.
        if self.stage != Stage::Reported {
            report_dropped(&self.circuit, self.id, self.is_armed, self.stage);
        }
    }
}

/// A call that is run, and its timers. Together, and not in the future that polls: what a call
/// drops besides is code that each call runs.
pub(crate) struct Underway<C: Holder> {
    pub(crate) admitted: Admitted<C>,
    timers: Timers,
}

impl<C: Holder> Underway<C> {
    #[inline]
    pub(crate) fn new(admitted: Admitted<C>) -> Self {
        Self { admitted, timers: Timers::default() }
    }

    /// The output of a call, which is noted to be polled while it is.
    #[inline]
    pub(crate) fn poll<'a, F: Future>(&'a mut self, call: Pin<&'a mut F>) -> Polled<'a, C, F> {
        // Admitted calls begin in the call, so that a panic as it is made is a failure.
        // From here on the call waits to be polled.
        self.admitted.stage = Stage::BesideCall;
        Polled { underway: self, call }
    }
}

/// Polls a call. A panic is a failure if it came out of the call, and not if it is of
/// other code in the same task, which drops the call between two polls.
pub(crate) struct Polled<'a, C: Holder, F> {
    underway: &'a mut Underway<C>,
    call: Pin<&'a mut F>,
}

impl<C: Holder, F: Future> Future for Polled<'_, C, F> {
    type Output = F::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { underway: Underway { admitted, timers }, call } = &mut *self;
        let polled = admitted.poll_once(call.as_mut(), context);
        if polled.is_pending() {
            admitted.poll_timers(timers, context);
        }
        polled
    }
}

/// Judges an output, which is taken and given back: a future keeps a variable whose address it
/// took in its memory, and an output that was stored there byte by byte and is read back in words
/// stalls the processor.
#[inline]
pub(crate) fn judged<T>(output: T, judge: impl FnOnce(&T) -> Outcome) -> (T, Outcome) {
    let outcome = judge(&output);
    (output, outcome)
}

/// Waits for what a report has caused, less what the call has waited for its admission.
async fn settled(circuit: &Circuit, awaited: Box<Awaited>, waited: Duration) {
    let turns = awaited.turns;
    if !Settling::new(Some(awaited)).settled_after(waited).await {
        circuit.mark_stalled(turns);
    }
}

/// Reports a call that ended without a report: a panic of its own is a failure.
#[cold]
#[inline(never)]
fn report_dropped(circuit: &Circuit, id: CallId, is_armed: bool, stage: Stage) {
    let has_panicked = match stage {
        Stage::InCall => std::thread::panicking(),
        #[cfg(feature = "tower")]
        Stage::Panicked => true,
        Stage::BesideCall | Stage::Reported => false,
    };
    let is_failure = is_armed || has_panicked || circuit.config().count_cancelled();
    let end = if is_failure { CallEnd::Failure } else { CallEnd::Dropped };
    let _ = circuit.report(id, end);
}
