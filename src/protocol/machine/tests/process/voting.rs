//! The vote of one machine, as its actor drives it.

use super::Process;
use crate::protocol::machine::{BallotAnswer, Wish};

impl Process {
    /// The ballot ends.
    pub(in super::super) fn answer_ballot(&mut self, answer: BallotAnswer) {
        self.ballot = None;
        self.show_wish();
        self.machine.on_ballot(self.now, answer);
        self.after();
    }

    /// The machine learns whether this process votes, as in each turn of an actor.
    pub(super) fn show_wish(&mut self) {
        if self.machine.config.votes().is_some() || self.machine.voting.is_some() {
            self.counting.forget_past(self.place(), self.now);
            let (epoch, since) = (self.counting.epoch(), self.counting.votes_since());
            self.machine.learn_wish(self.now, Wish { epoch, since });
        }
    }
}
