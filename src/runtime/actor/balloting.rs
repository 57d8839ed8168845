//! The ballot that an actor has under way, beside its store operation.

use std::{future::Future, pin::Pin, sync::Arc};

use super::{
    Actor,
    operation::{Asked, StoreClient},
};
use crate::{
    protocol::health::Access,
    protocol::machine::BallotAnswer,
    protocol::moment::Moment,
    protocol::votes::Ballot,
    runtime::circuit::{Circuit, CountedVote},
    runtime::log,
    runtime::queue::Urgency,
};

/// A ballot that is under way, or that waits for its turn in the queue.
pub(super) type BallotInFlight = Pin<Box<dyn Future<Output = BallotAnswer> + Send>>;

impl StoreClient {
    /// Starts to cast or withdraw a vote. Once it has its turn it ends within `store_timeout`.
    pub(super) fn start_ballot(self, ballot: Arc<Ballot>) -> BallotInFlight {
        Box::pin(async move { self.run_ballot(&ballot).await })
    }

    async fn run_ballot(&self, ballot: &Ballot) -> BallotAnswer {
        let place = match self.environment.queue.enter() {
            Some(place) => place,
            None => self.environment.queue.join(Urgency::Then).turn().await,
        };
        let begun_at = self.environment.clock.now();
        if let Err(backed_off) = self.ask_for(Access::Write, false, begun_at) {
            return BallotAnswer::BackedOff(backed_off);
        }
        let asked = Asked { name: "vote", access: Access::Write };
        let running = async { self.environment.store.vote(&self.key, ballot).await };
        match self.run_within(asked, begun_at, place, running).await {
            Ok(Some(votes)) => BallotAnswer::Shown(votes),
            Ok(None) => {
                log::no_votes(&self.name);
                BallotAnswer::Unsupported
            }
            Err(kind) => BallotAnswer::Failed(kind),
        }
    }
}

impl Actor {
    /// Shows the machine whether this process votes, as the counting has it now. Returns `false` if
    /// there is nothing to show, or if the counting has yet to follow the machine.
    pub(super) fn take_vote(&mut self, circuit: &Circuit, now: Moment) -> bool {
        let Some(CountedVote { wish, settle }) = circuit.vote(self.machine.epoch()) else {
            return false;
        };
        self.settles.extend(settle);
        self.machine.learn_wish(now, wish);
        true
    }
}
