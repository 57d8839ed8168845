//! Calls that are a failure before they end, since they take too long.

use std::{
    borrow::Borrow,
    future::{Future, poll_fn},
    mem,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};
#[cfg(feature = "tower")]
use std::{future::pending, task::Context};

use super::{Admitted, admitted::Holder};
use crate::{
    clock::Clock,
    protocol::machine::{CallEnd, CallId},
    runtime::circuit::GRACE,
};

/// Ends once it is known whether a call is slow.
#[cfg(feature = "tower")]
pub(crate) type Slowness = Pin<Box<dyn Future<Output = bool> + Send>>;

impl<C: Holder> Admitted<C> {
    /// Returns the output of a call that has timers. Reports the call as a failure once it has run
    /// for `slow_after`; its end then says nothing more. Keeps the lease of a probe alive:
    /// without that, another process takes the probe over from a call that outlasts the lease.
    ///
    /// `was_polled`: the call was polled just now, by this task, and is not ready. Boxed and out of
    /// line, so that a call that is ready at once has no room for it.
    #[cold]
    #[inline(never)]
    pub(crate) fn watch<'a, F: Future>(
        &'a mut self,
        call: Pin<&'a mut F>,
        was_polled: bool,
    ) -> Pin<Box<impl Future<Output = F::Output> + 'a>> {
        Box::pin(self.watched(call, was_polled))
    }

    /// Whether a call that is not ready is to be watched.
    #[cold]
    #[inline(never)]
    pub(super) fn is_to_be_watched(&self) -> bool {
        self.circuit().config.slow_after().is_some()
    }

    async fn watched<F: Future>(
        &mut self,
        mut call: Pin<&mut F>,
        mut was_polled: bool,
    ) -> F::Output {
        let (clock, config) = (self.circuit().clock.clone(), &self.circuit().config);
        let third = config.probe_lease().checked_div(3);
        let mut slow = pin!(config.slow_after().map(|after| is_slow(&clock, after)));
        let mut renewal = pin!(self.is_probe().then(|| clock.sleep(third)));
        poll_fn(|context| {
            // The call first: one that is ready as a timer fires has no need of it.
            if !mem::take(&mut was_polled)
                && let Poll::Ready(output) = self.poll_once(call.as_mut(), context)
            {
                return Poll::Ready(output);
            }
            if let Some(timer) = slow.as_mut().as_pin_mut()
                && let Poll::Ready(is_slow) = timer.poll(context)
            {
                slow.set(None);
                if is_slow {
                    self.report_slow();
                    // A slow probe has failed: its lease is over.
                    renewal.set(None);
                }
            }
            while let Some(timer) = renewal.as_mut().as_pin_mut()
                && timer.poll(context).is_ready()
            {
                self.keep_alive();
                renewal.set(Some(clock.sleep(third)));
            }
            Poll::Pending
        })
        .await
    }

    /// Notes that a poll of the call was not its last, for a future that is named. Reports the call
    /// as a failure as [`watch`](Self::watch) does.
    #[cfg(feature = "tower")]
    pub(crate) fn note_pending(
        &mut self,
        slowness: &mut Option<Slowness>,
        context: &mut Context<'_>,
    ) {
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
async fn is_slow(clock: impl Borrow<Clock>, slow_after: Duration) -> bool {
    let clock = clock.borrow();
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
