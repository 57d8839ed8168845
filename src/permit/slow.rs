//! Calls that are a failure before they end, since they take too long.

use std::{
    future::{Future, pending},
    mem::ManuallyDrop,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    clock::Clock,
    protocol::machine::{CallEnd, CallId},
    runtime::circuit::{Circuit, GRACE},
};

type Timer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The timers of a call that is not ready. Few calls have any: they are in a box, so that a call
/// that is ready at once has no room for them.
#[derive(Default)]
pub(crate) struct Timers(ManuallyDrop<Option<Box<Running>>>);

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
fn end(running: &mut Option<Box<Running>>) {
    drop(running.take());
}

#[derive(Default)]
struct Running {
    /// Renews the lease of a probe.
    renewal: Option<Timer<()>>,
    /// Ends once it is known whether the call is slow, where the circuit counts slow calls.
    slowness: Option<Timer<bool>>,
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
        let Running { renewal, slowness } = &mut **self.0.get_or_insert_default();
        let clock = || circuit.clock.clone();
        if let Some(slow_after) = slow_after {
            let slow = slowness.get_or_insert_with(|| Box::pin(is_slow(clock(), slow_after)));
            if let Poll::Ready(is_slow) = slow.as_mut().poll(context) {
                // It is known, and not asked again. Of no size, it allocates nothing.
                *slow = Box::pin(pending());
                if is_slow {
                    // The call goes on: it cannot wait for the write of the trip that it may
                    // cause. The lease of a slow probe is over: it has failed.
                    drop(circuit.report(call, CallEnd::Failure));
                    return true;
                }
            }
        }
        while call.probe.is_some() {
            let third = circuit.probe_lease().checked_div(3);
            let timer = renewal.get_or_insert_with(|| {
                let clock = clock();
                Box::pin(async move { clock.sleep(third).await })
            });
            if timer.as_mut().poll(context).is_pending() {
                break;
            }
            *renewal = None;
            circuit.keep_alive(call);
        }
        false
    }
}

/// A timer that is later than this is late.
const LATE: Duration = Duration::from_millis(20);

/// Waits until a call has run for so long. Says `false` if it is not slow all the same: while the
/// process is frozen no call runs, and the freeze may have cut it off.
async fn is_slow(clock: Clock, slow_after: Duration) -> bool {
    let begun_at = clock.now();
    clock.watch_for_freezes(begun_at);
    let freezes = clock.freezes(begun_at);
    let was_frozen = || clock.freezes(clock.now()) != freezes;
    clock.sleep_in_place(slow_after).await;
    // A timer that is late, as this process was frozen or its runtime blocked, may fire when the
    // answer already lies in the socket: the tasks that read it get a moment to run.
    if clock.now().since(begun_at) > slow_after.saturating_add(LATE) || was_frozen() {
        clock.sleep_in_place(GRACE).await;
    }
    !was_frozen()
}
