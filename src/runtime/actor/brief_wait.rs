//! The one call that has begun a look, and is rejected without an answer to it.

use std::time::Duration;

use super::{Actor, Waiter, message::Reply};
use crate::{
    protocol::machine::{Admission, Arrival, LONGEST_BRIEF_WAIT},
    protocol::moment::Moment,
};

impl Actor {
    /// Keeps a call for a moment. One that does not wait was rejected by its handle: the
    /// read is made for the calls to come.
    pub(super) fn wait_briefly(&mut self, since: Moment, reply: Reply, arrival: Arrival) {
        if matches!(reply, Reply::OfferedProbe) {
            return;
        }
        let pending = self.environment.pending.start();
        let (arrival, looks_since) = (arrival.waiting_briefly(), Some(since));
        self.wait(Waiter { reply, arrival, looks_since, pending });
    }

    /// The call that looks, since when. No other waits before it, or there would have been
    /// a store operation under way, and it would have begun none: so only the first is
    /// asked, however many there are.
    fn looks_since(&self) -> Option<Moment> {
        self.waiters.first().and_then(|waiter| waiter.looks_since)
    }

    /// How much longer it waits.
    pub(super) fn brief_wait_ends_in(&self) -> Option<Duration> {
        let since = self.looks_since()?;
        Some(LONGEST_BRIEF_WAIT.saturating_sub(self.clock().now().since(since)))
    }

    /// Rejects a call whose look takes too long. What is read later is for the next.
    pub(super) fn end_brief_wait(&mut self, now: Moment) {
        if self.looks_since().is_some_and(|since| now.since(since) >= LONGEST_BRIEF_WAIT) {
            let Waiter { reply, .. } = self.waiters.remove(0);
            self.replies.push((reply, Admission::Rejected));
        }
    }
}
