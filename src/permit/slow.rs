//! Calls that are a failure before they end, since they take too long.

use std::{
    future::{Future, pending, poll_fn},
    mem::ManuallyDrop,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    clock::Clock,
    protocol::machine::{CallEnd, CallId},
    protocol::moment::Moment,
    runtime::circuit::{Circuit, GRACE},
};

/// The timers of a call that is not ready, all in one box. Few calls have any, so that a call that
/// is ready at once has no room for them.
#[derive(Default)]
pub(crate) struct Timers(ManuallyDrop<Option<Timer>>);

type Timer = Pin<Box<dyn Future<Output = Due> + Send>>;

impl Drop for Timers {
    /// By hand, since a box that is dropped by the compiler's code is dropped by a function, which
    /// every call would call.
    #[inline]
    fn drop(&mut self) {
        if self.0.is_some() {
            end(&mut self.0);
        }
    }
}

#[cold]
#[inline(never)]
fn end(timer: &mut Option<Timer>) {
    drop(timer.take());
}

/// What a timer has come to.
enum Due {
    /// It is known whether the call is slow.
    Judged { is_slow: bool },
    /// The lease of the probe is to be renewed. The call may be slow later.
    Renewal(Option<Slowness>),
}

impl Timers {
    /// Notes that a poll of a call was not its last. Reports the call as a failure once it has run
    /// for `slow_after`, and returns `true` then; its end says nothing more. Renews a probe's
    /// lease, each third of it: without that, another process takes the probe over from a call
    /// that outlasts the lease.
    ///
    /// It takes parts of the call, and not the call: what a pointer to it reaches would be kept in
    /// memory from the beginning of each call.
    #[cold]
    #[inline(never)]
    pub(crate) fn poll(
        &mut self,
        circuit: &Circuit,
        call: CallId,
        context: &mut Context<'_>,
    ) -> bool {
        let slow_after = circuit.config().slow_after();
        if call.probe.is_none() && slow_after.is_none() {
            return false;
        }
        let timer = self.0.get_or_insert_with(|| {
            let slowness = slow_after.map(|length| Slowness::new(&circuit.clock, length));
            next(circuit, call, slowness)
        });
        while let Poll::Ready(due) = timer.as_mut().poll(context) {
            match due {
                Due::Renewal(slowness) => {
                    circuit.keep_alive(call);
                    let slowness = slowness.map(|slowness| slowness.measured(&circuit.clock));
                    *timer = next(circuit, call, slowness);
                }
                Due::Judged { is_slow: false } => *timer = next(circuit, call, None),
                Due::Judged { is_slow: true } => {
                    // Of no size, it allocates nothing.
                    *timer = Box::pin(pending());
                    // The call goes on: it cannot wait for the write of the trip that it may
                    // cause. The lease of a slow probe is over: it has failed.
                    drop(circuit.report(call, CallEnd::Failure));
                    return true;
                }
            }
        }
        false
    }
}

/// Makes the timer of what is due next.
fn next(circuit: &Circuit, call: CallId, slowness: Option<Slowness>) -> Timer {
    let third = call.probe.and_then(|_| circuit.probe_lease().checked_div(3));
    let clock = circuit.clock.clone();
    match (slowness, third) {
        (None, None) => Box::pin(pending()),
        (Some(slowness), None) => {
            Box::pin(async move { Due::Judged { is_slow: slowness.is_slow(&clock).await } })
        }
        (slowness, third) => Box::pin(async move {
            let mut judged = pin!(async {
                match &slowness {
                    Some(slowness) => slowness.is_slow(&clock).await,
                    None => pending().await,
                }
            });
            let mut renewal = pin!(clock.sleep(third));
            let is_slow = poll_fn(|context| match judged.as_mut().poll(context) {
                Poll::Ready(is_slow) => Poll::Ready(Some(is_slow)),
                Poll::Pending => renewal.as_mut().poll(context).map(|()| None),
            });
            match is_slow.await {
                Some(is_slow) => Due::Judged { is_slow },
                None => Due::Renewal(slowness),
            }
        }),
    }
}

/// A timer that is later than this is late.
const LATE: Duration = Duration::from_millis(20);

/// When a call is slow.
#[derive(Clone, Copy, Debug)]
struct Slowness {
    begun_at: Moment,
    slow_after: Duration,
    /// How much of that is left.
    left: Duration,
    /// The number of freezes of this process when the call began.
    freezes: u64,
}

impl Slowness {
    fn new(clock: &Clock, slow_after: Duration) -> Self {
        let begun_at = clock.now();
        clock.watch_for_freezes(begun_at);
        Self { begun_at, slow_after, left: slow_after, freezes: clock.freezes(begun_at) }
    }

    fn measured(self, clock: &Clock) -> Self {
        let left = self.slow_after.saturating_sub(clock.now().since(self.begun_at));
        Self { left, ..self }
    }

    /// Waits until the call has run for so long. Returns `false` if it is not slow all the same:
    /// while the process is frozen no call runs, and the freeze may have cut it off.
    async fn is_slow(&self, clock: &Clock) -> bool {
        let Self { begun_at, slow_after, left, freezes } = *self;
        let was_frozen = || clock.freezes(clock.now()) != freezes;
        clock.sleep_in_place(left).await;
        // A timer that is late, as this process was frozen or its runtime blocked, may fire when
        // the answer already lies in the socket: the tasks that read it get a moment to run.
        if clock.now().since(begun_at) > slow_after.saturating_add(LATE) || was_frozen() {
            clock.sleep_in_place(GRACE).await;
        }
        !was_frozen()
    }
}
