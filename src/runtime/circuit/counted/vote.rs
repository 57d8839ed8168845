//! The vote of this process, as its calls count it.
//!
//! The failure at which the streak is long enough wakes the actor, and waits as one that trips
//! does: its vote may be the last that is missing. The first good call after it wakes the actor
//! too, and waits likewise, since its withdrawal may be written never if the process is frozen
//! after the response. No other call waits, and none looks at more than one word.

use std::{sync::Arc, time::Duration};

use super::{Circuit, Outstanding, Pending, Tally};
use crate::{protocol::machine::Wish, protocol::moment::Moment, runtime::circuit::message::Settle};

/// The actor is asked at most once in this time to see to the vote of one streak.
const BETWEEN_ASKING: Duration = Duration::from_secs(1);

/// Callers that wait until the vote of this process is cast or withdrawn.
#[derive(Debug)]
pub(super) struct AwaitedVote {
    callers: Arc<Pending>,
    settle: Settle,
}

/// The failure that last asked the actor to vote.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastAsked {
    epoch: u64,
    place: u64,
    at: Moment,
}

/// What the actor learns of the vote.
pub(crate) struct CountedVote {
    pub(crate) wish: Wish,
    /// To be signalled once no ballot is under way.
    pub(crate) settle: Option<Settle>,
}

impl Circuit {
    /// Counts a failure at which this process votes. Returns what its caller waits for, and `true`
    /// if it is the first that waits for it; `None` if the actor was asked just before.
    pub(super) fn count_vote(
        &self,
        tally: &mut Tally,
        place: u64,
        at: Moment,
    ) -> Option<(Arc<Pending>, bool)> {
        let epoch = tally.counting.epoch();
        if let Some(last) = &tally.last_asked
            && (last.epoch, last.place) == (epoch, place)
            && at.since(last.at) < BETWEEN_ASKING
        {
            // One that waits for the vote under way is as good as the one that asked.
            return tally.awaited_vote.as_ref().map(|vote| (Arc::clone(&vote.callers), false));
        }
        tally.last_asked = Some(Box::new(LastAsked { epoch, place, at }));
        Some(self.await_vote(tally))
    }

    /// Counts a good call of a process that may have a vote. Returns something to wait for if the
    /// vote is to be withdrawn.
    #[cold]
    #[inline(never)]
    pub(super) fn count_withdrawal(&self, epoch: u64) -> Outstanding {
        let counted = self.known_count()?;
        counted.slots.count_good(epoch);
        let mut tally = counted.tally();
        if !tally.counting.has_votes() {
            // The rule is gone, as the actor is about to see, which then withdraws the vote.
            return None;
        }
        counted.forget_past(&mut tally, self.clock.now(), &self.gate);
        if tally.counting.votes_since().is_some() {
            // The call is of another epoch, or a failure has come since.
            return None;
        }
        tally.may_vote = false;
        tally.show(&self.gate);
        let (callers, is_first) = self.await_vote(&mut tally);
        drop(tally);
        Some(self.wait_for(callers, is_first))
    }

    fn await_vote(&self, tally: &mut Tally) -> (Arc<Pending>, bool) {
        if let Some(vote) = &tally.awaited_vote {
            return (Arc::clone(&vote.callers), false);
        }
        let callers = Arc::<Pending>::default();
        let settle = Settle::of_trip(self.pending.start(), callers.start());
        let callers_of = Arc::clone(&callers);
        tally.awaited_vote = Some(Box::new(AwaitedVote { callers: callers_of, settle }));
        (callers, true)
    }

    /// Returns whether this process votes, after all good calls that have ended. `None` without a
    /// rule of votes, or without failures, or while another epoch is counted than this one of the
    /// machine, which would drop what is counted of it: its callers then wait on.
    pub(crate) fn vote(&self, epoch: u64) -> Option<CountedVote> {
        let counted = self.known_count()?;
        let has_rule = self.config.load().votes().is_some();
        let mut tally = counted.tally();
        if !has_rule && !tally.may_vote {
            return None;
        }
        tally.follow(&self.config);
        if tally.counting.epoch() != epoch {
            return None;
        }
        if !has_rule {
            // New settings have taken the rule away: a vote for it is withdrawn, once.
            tally.may_vote = false;
        }
        counted.forget_past(&mut tally, self.clock.now(), &self.gate);
        let wish = Wish { epoch, since: tally.counting.votes_since() };
        let settle = tally.awaited_vote.take().map(|vote| vote.settle);
        Some(CountedVote { wish, settle })
    }
}
