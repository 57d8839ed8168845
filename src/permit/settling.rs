//! What a report may still cause, and the wait for it.

use std::time::Duration;

use crate::runtime::circuit::{Awaited, GRACE, Outstanding, Settled};

/// What a report may still cause: the write of a trip, or of a probe's verdict.
///
/// May be dropped; the write is then made in the background, which a frozen
/// AWS Lambda environment delays until it is thawed, or for ever.
#[derive(Debug)]
pub struct Settling(Outstanding);

impl Settling {
    pub(crate) fn new(outstanding: Outstanding) -> Self {
        Self(outstanding)
    }

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
    /// long before: what a call waits in all is bounded. False if the actor gave no
    /// sign of itself, though it had the time to.
    pub(crate) async fn settled_after(mut self, waited: Duration) -> bool {
        let Some(awaited) = self.0.take() else {
            return true;
        };
        let limit = awaited.limit.saturating_sub(waited);
        let since = awaited.clock.now();
        let is_over = match awaited.settled {
            Settled::Answered(settled) => awaited.clock.within(limit, settled).await.is_some(),
            Settled::Tripped(trip) => awaited.clock.within(limit, trip.idle()).await.is_some(),
            Settled::Idle(pending) => {
                // What else is pending says nothing of one actor.
                let _ = awaited.clock.within(limit, pending.idle()).await;
                true
            }
        };
        // Nor does a short wait, or one in which the process stood still.
        is_over || limit < GRACE || awaited.clock.now().was_frozen_since(since, limit)
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
fn forget(awaited: Box<Awaited>) {
    drop(awaited);
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::SystemTime};

    use super::*;
    use crate::{
        clock::{Clock, VirtualClock},
        runtime::circuit::Pending,
        runtime::sync::oneshot,
    };

    /// A wait that never ends by itself, of a call that has waited for so long before.
    async fn has_heard(settled: Settled, limit: Duration, waited: Duration, frozen: bool) -> bool {
        let hands = VirtualClock::following_tokio(SystemTime::UNIX_EPOCH);
        let clock = Clock::from(&hands);
        let awaited = Awaited { settled, limit, clock, turns: 0 };
        let freeze = async {
            if frozen {
                hands.advance(Duration::from_secs(3_600));
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            heard = Settling::new(Some(Box::new(awaited))).settled_after(waited) => heard,
            () = freeze => false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_actor_is_deaf_only_if_it_had_the_time_to_answer() {
        let second = Duration::from_secs(1);
        let (_done, answer) = oneshot::channel();
        assert!(!has_heard(Settled::Answered(answer), second, Duration::ZERO, false).await);
        let (_done, answer) = oneshot::channel();
        assert!(has_heard(Settled::Answered(answer), second, second, false).await, "no time");
        let (_done, answer) = oneshot::channel();
        let frozen = has_heard(Settled::Answered(answer), second, Duration::ZERO, true).await;
        assert!(frozen, "it stood still as well");
        let (done, answer) = oneshot::channel();
        drop(done);
        let gone = has_heard(Settled::Answered(answer), second, Duration::ZERO, false).await;
        assert!(gone, "there is nobody left to wait for");
        let trip = Arc::new(Pending::default());
        let _under_way = trip.start();
        let tripped = || Settled::Tripped(Arc::clone(&trip));
        assert!(!has_heard(tripped(), second, Duration::ZERO, false).await);
        assert!(has_heard(tripped(), second, Duration::ZERO, true).await, "it stood still as well");
        let pending = Arc::new(Pending::default());
        let _others = pending.start();
        let idle = has_heard(Settled::Idle(pending), second, Duration::ZERO, false).await;
        assert!(idle, "others may be what is pending");
    }
}
