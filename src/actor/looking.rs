//! The one call that has begun a look, and is rejected without an answer to it.

use std::time::Duration;

use super::{Actor, message::Reply};
use crate::{
    machine::{Admission, Arrival, LONGEST_LOOK},
    moment::Moment,
};

/// A call that waits a moment for the read that it has begun. While it is under way no
/// other call begins one, so that there is one of these at most.
pub(super) struct Looker {
    reply: Reply,
    arrival: Arrival,
    since: Moment,
}

impl Actor {
    /// Keeps a call for a moment. One that does not wait was rejected by its handle: the
    /// read is made for the calls to come.
    pub(super) fn look(&mut self, since: Moment, reply: Reply, arrival: Arrival) {
        if matches!(reply, Reply::Caller(_)) {
            self.looker = Some(Box::new(Looker { reply, arrival: arrival.looking(), since }));
        }
    }

    /// The store has answered: the call is asked again. If the machine reads once more,
    /// to confirm what it was shown, the call waits for what is left of its moment.
    pub(super) fn resume_look(&mut self, now: Moment) {
        let Some(looker) = self.looker.take().filter(|looker| !looker.reply.is_gone()) else {
            return;
        };
        let Looker { reply, arrival, since } = *looker;
        self.judge(now, reply, arrival);
        if let Some(looker) = &mut self.looker {
            looker.since = since;
        }
    }

    /// How much longer the call waits.
    pub(super) fn look_ends_in(&self) -> Option<Duration> {
        let looker = self.looker.as_ref()?;
        Some(LONGEST_LOOK.saturating_sub(self.clock().now().since(looker.since)))
    }

    /// Rejects a call whose look takes too long. What is read later is for the next.
    pub(super) fn end_look(&mut self, now: Moment) {
        let is_over = |looker: &mut Box<Looker>| now.since(looker.since) >= LONGEST_LOOK;
        if let Some(looker) = self.looker.take_if(is_over) {
            self.replies.push((looker.reply, Admission::Rejected));
        }
    }
}
