//! Whether this process votes for a trip: its failures in a row, until a good call.

use std::time::Duration;

use super::rules::{Failure, InARow};
use crate::{config::VotesRule, protocol::moment::Moment};

/// The streak of one process that votes.
#[derive(Clone, Debug)]
pub(super) struct VotingStreak {
    run: InARow,
    window: Duration,
    /// The last failure at which the streak was long enough. Stays until a good call, or until
    /// the window has passed.
    reached: Option<Failure>,
}

impl VotingStreak {
    pub(super) fn new(votes: VotesRule) -> Self {
        let run = InARow::new(votes.streak.into(), Some(votes.window));
        Self { run, window: votes.window, reached: None }
    }

    /// Goes on with what another streak has kept.
    pub(super) fn go_on_from(&mut self, before: Self, newest: Option<Moment>) {
        self.run.go_on_from(before.run, newest);
        self.reached = before.reached;
    }

    /// Counts a failure. Returns `true` if the streak is long enough at it.
    pub(super) fn failure(&mut self, failure: Failure) -> bool {
        self.forget_past(failure);
        let is_reached = self.run.failure(failure).is_some();
        if is_reached {
            self.reached = Some(failure);
        }
        is_reached
    }

    pub(super) fn forget_past(&mut self, next: Failure) {
        self.run.forget_past(next);
        self.reached = self.reached.filter(|reached| {
            reached.place == next.place && next.at.since(reached.at) <= self.window
        });
    }

    /// Returns the place of the newest failure that stands.
    pub(super) fn newest_place(&self) -> Option<u64> {
        self.run.newest_place().or_else(|| self.reached.map(|reached| reached.place))
    }

    pub(super) fn carry_over(&mut self, last_place: u64) {
        self.run.carry_over(last_place);
        self.reached = self.reached.map(|reached| reached.seen_from(last_place));
    }

    /// Returns when the last failure came of a streak that is long enough, and that no good call
    /// has ended.
    pub(super) fn reached_at(&self) -> Option<Moment> {
        self.reached.map(|reached| reached.at)
    }

    pub(super) fn stands(&self) -> bool {
        self.run.stands() || self.reached.is_some()
    }

    pub(super) fn clear(&mut self) {
        self.run.clear();
        self.reached = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Rule};

    fn voting(streak: u32) -> VotingStreak {
        let rule = Rule::votes(5, streak).within(Duration::from_secs(60));
        VotingStreak::new(Config::builder().also_trip(rule).build().unwrap().votes().unwrap())
    }

    fn failure(place: u64, second: u64) -> Failure {
        Failure { place, at: Moment::of_seconds(second, second) }
    }

    #[test]
    fn case_152_a_streak_within_the_window_votes_until_a_good_call() {
        let mut voting = voting(2);
        assert!(!voting.failure(failure(0, 0)));
        assert!(!voting.failure(failure(0, 61)), "the first is older than the window");
        assert!(voting.failure(failure(0, 100)));
        // The streak is thinned by time, and no good call has come: the vote stands.
        voting.forget_past(failure(0, 160));
        assert_eq!(voting.reached_at(), Some(failure(0, 100).at));
        voting.forget_past(failure(1, 160));
        assert_eq!(voting.reached_at(), None, "a good call");
        assert!(!voting.failure(failure(1, 161)), "and the streak begins again");
        assert!(voting.failure(failure(1, 162)));
        voting.forget_past(failure(1, 223));
        assert!(!voting.stands(), "what is older than the window counts for nothing");
    }

    #[test]
    fn a_streak_of_one_votes_at_each_failure_and_a_long_one_keeps_no_more_than_it_needs() {
        let mut one = voting(1);
        assert!(one.failure(failure(0, 0)) && one.failure(failure(1, 1)));
        let mut three = voting(3);
        let reached = (0..100).filter(|second| three.failure(failure(0, *second / 10))).count();
        assert_eq!(reached, 98);
        assert_eq!(three.run.len(), 3);
    }

    #[test]
    fn a_freeze_leaves_a_vote_that_no_good_call_has_ended() {
        let mut voting = voting(1);
        voting.failure(failure(7, 0));
        voting.carry_over(7);
        voting.forget_past(failure(0, 1));
        assert!(voting.reached_at().is_some());
        voting.carry_over(2);
        voting.forget_past(failure(0, 1));
        assert!(voting.reached_at().is_none(), "two good calls came before the freeze");
    }
}
