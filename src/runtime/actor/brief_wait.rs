//! The brief wait: one call, which the cached record would reject, has begun a read and waits
//! for it, `LONGEST_BRIEF_WAIT` at most. The calls after it are rejected at once.

use std::time::Duration;

use super::{Actor, Waiter};
use crate::{
    protocol::machine::{Admission, Arrival, LONGEST_BRIEF_WAIT},
    protocol::moment::Moment,
    runtime::circuit::message::Reply,
};

impl Actor {
    /// Keeps a call until its read is answered. A call that does not wait was rejected by its
    /// handle already: then the read only serves the calls to come.
    pub(super) fn wait_briefly(&mut self, since: Moment, reply: Reply, arrival: Arrival) {
        if matches!(reply, Reply::OfferedProbe) {
            return;
        }
        let pending = self.environment.pending.start();
        let (arrival, briefly_since) = (arrival.waiting_briefly(), Some(since));
        self.wait(Waiter { reply, arrival, briefly_since, pending });
    }

    /// Returns the moment at which the call that waits briefly came. It is the first waiter or
    /// there is none: had another call waited before it, a store operation would have been
    /// under way, and this call would have begun none.
    fn briefly_since(&self) -> Option<Moment> {
        self.waiters.first().and_then(|waiter| waiter.briefly_since)
    }

    /// Returns how much longer the call waits, if there is one.
    pub(super) fn brief_wait_ends_in(&self) -> Option<Duration> {
        let since = self.briefly_since()?;
        Some(LONGEST_BRIEF_WAIT.saturating_sub(self.clock().now().since(since)))
    }

    /// Rejects the call if its read takes too long. The read goes on, for the calls to come.
    pub(super) fn end_brief_wait(&mut self, now: Moment) {
        if self.briefly_since().is_some_and(|since| now.since(since) >= LONGEST_BRIEF_WAIT) {
            let Waiter { reply, .. } = self.waiters.remove(0);
            self.replies.push((reply, Admission::Rejected));
        }
    }
}
