//! Calls that are a failure before they end, since they take too long.

use std::{
    future::{Future, pending},
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use super::{Admitted, admitted::Holder};
use crate::{
    clock::Clock,
    protocol::machine::{CallEnd, CallId},
    runtime::circuit::GRACE,
};

type Timer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The timers of a call that is not ready. Few calls have any.
#[derive(Default)]
pub(crate) struct Timers {
    /// Renews the lease of a probe.
    renewal: Option<Timer<()>>,
    /// Ends once it is known whether the call is slow, where the circuit counts slow calls.
    slowness: Option<Timer<bool>>,
}

impl<C: Holder> Admitted<C> {
    /// Whether a call that is not ready has timers to be polled.
    #[inline]
    pub(crate) fn has_timers(&self) -> bool {
        self.is_probe() || self.circuit().config.slow_after().is_some()
    }

    /// Notes that a poll of the call was not its last. Reports the call as a failure once it has
    /// run for `slow_after`; its end then says nothing more. Renews a probe's lease, each third of
    /// it: without that, another process takes the probe over from a call that outlasts the lease.
    ///
    /// Out of line, and the timers in a box, so that a call that is ready at once has no room
    /// for them.
    #[cold]
    #[inline(never)]
    pub(crate) fn poll_timers(
        &mut self,
        timers: &mut Option<Box<Timers>>,
        context: &mut Context<'_>,
    ) {
        let Timers { renewal, slowness } = &mut **timers.get_or_insert_default();
        self.poll_slowness(slowness, context);
        // A slow probe has failed: its lease is over.
        while self.is_probe() {
            let timer = renewal.get_or_insert_with(|| self.third_of_lease());
            if timer.as_mut().poll(context).is_pending() {
                return;
            }
            *renewal = None;
            self.keep_alive();
        }
    }

    /// Sleeps until a probe's lease is to be renewed.
    fn third_of_lease(&self) -> Timer<()> {
        let clock = self.circuit().clock.clone();
        let third = self.circuit().config.probe_lease().checked_div(3);
        Box::pin(async move { clock.sleep(third).await })
    }

    fn poll_slowness(&mut self, slowness: &mut Option<Timer<bool>>, context: &mut Context<'_>) {
        let Some(slow_after) = self.circuit().config.slow_after() else {
            return;
        };
        let clock = || self.circuit().clock.clone();
        let slow = slowness.get_or_insert_with(|| Box::pin(is_slow(clock(), slow_after)));
        let Poll::Ready(is_slow) = slow.as_mut().poll(context) else {
            return;
        };
        // It is known, and not asked again. Of no size, it allocates nothing.
        *slow = Box::pin(pending());
        if is_slow {
            self.report_slow();
        }
    }

    fn report_slow(&mut self) {
        let id = mem::replace(&mut self.id, CallId::REPORTED);
        // The call goes on: it cannot wait for the write of the trip that it may cause.
        drop(self.circuit().report(id, CallEnd::Failure));
    }
}

/// Waits until a call has run for so long. Says `false` if it is not slow all the same: while the
/// process is frozen no call runs, and the freeze may have cut it off.
async fn is_slow(clock: Clock, slow_after: Duration) -> bool {
    let begun_at = clock.now();
    clock.watch_for_freezes(begun_at);
    let freezes = clock.freezes(begun_at);
    let was_frozen = || clock.freezes(clock.now()) != freezes;
    clock.sleep_in_place(slow_after).await;
    // A timer that is late may fire when the answer already lies in the socket: the tasks that
    // read it get a moment to run.
    if clock.now().was_frozen_since(begun_at, slow_after) || was_frozen() {
        clock.sleep_in_place(GRACE).await;
    }
    !was_frozen()
}
