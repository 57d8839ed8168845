//! Votes of several machines over one circuit: cast, lost, late, doubled and withdrawn.

mod random;

use super::{process::*, world::*, *};
use crate::{
    config::Rule,
    protocol::machine::BallotAnswer,
    protocol::votes::{Ballot, Vote, Votes, is_standing},
};

/// Processes that vote.
struct Poll {
    world: World,
    votes: Votes,
    ballots: usize,
}

impl Poll {
    fn new(processes: usize, voters: u32, streak: u32) -> Self {
        let rule = Rule::votes(voters, streak).within(s(60));
        let config = build(Config::builder().failure_threshold(5).also_trip(rule));
        Self { world: World::new(processes, &config), votes: Votes::new(), ballots: 0 }
    }

    /// The ballot of a process reaches the store.
    fn arrive(&mut self, number: usize) -> Arc<Ballot> {
        let ballot = self.world.processes[number].ballot.clone().expect("a ballot");
        ballot.apply(&mut self.votes);
        self.ballots += 1;
        ballot
    }

    /// Answers the ballot of a process.
    fn answer(&mut self, number: usize, answer: BallotAnswer) {
        self.world.processes[number].answer_ballot(answer);
        self.world.settle(number);
        self.world.check();
    }

    /// The votes of a process are cast and withdrawn until it has none to send.
    fn settle(&mut self, number: usize) {
        for _ in 0..10 {
            if self.world.processes[number].ballot.is_none() {
                return;
            }
            self.arrive(number);
            self.answer(number, BallotAnswer::Shown(self.votes.clone()));
        }
        panic!("a process votes without end");
    }

    fn fail(&mut self, number: usize, times: u64) {
        for _ in 0..times {
            self.world.fail(number, 1);
            self.settle(number);
        }
    }

    fn succeed(&mut self, number: usize) {
        self.world.succeed(number);
        self.settle(number);
    }

    fn pass(&mut self, by: Duration) {
        self.world.pass(by);
        for number in 0..self.world.processes.len() {
            self.settle(number);
        }
    }

    fn trips(&self) -> usize {
        self.world.applied.iter().filter(|(_, name)| *name == "trip").count()
    }

    /// The votes that are not withdrawn.
    fn standing(&self) -> usize {
        self.votes.keys().filter(|voter| is_standing(&self.votes, voter)).count()
    }

    #[track_caller]
    fn is_closed(&self) {
        assert_eq!((self.trips(), self.world.record.as_ref()), (0, None), "nothing is written");
    }
}

#[test]
fn case_152_the_vote_that_is_missing_trips_and_no_other() {
    let mut poll = Poll::new(4, 3, 2);
    poll.fail(0, 2);
    poll.fail(1, 2);
    poll.fail(2, 1);
    poll.fail(3, 1);
    assert_eq!(poll.ballots, 2, "only a streak votes");
    poll.is_closed();
    poll.pass(s(1));
    poll.fail(2, 1);
    assert_eq!((poll.trips(), poll.ballots), (1, 3));
    assert_eq!(poll.world.applied, [(2, "trip")]);
    assert_eq!(poll.world.stored().failure_count, 3.into(), "the votes");
    let told = poll.world.processes[2].transitions.first().unwrap();
    let rule = Rule::votes(3, 2).within(s(60));
    assert_eq!((&told.cause, told.origin), (&Cause::Rule(rule.into()), Origin::Local));
    // Nobody votes on an open circuit, nor withdraws.
    poll.pass(s(10));
    assert_eq!(poll.world.call(3), Call::Rejected);
    assert_eq!(poll.ballots, 3);
}

#[test]
fn case_152_failures_of_one_process_trip_as_ever() {
    let mut poll = Poll::new(1, 2, 2);
    poll.fail(0, 4);
    assert_eq!((poll.trips(), poll.ballots), (0, 1), "one process is one vote");
    poll.fail(0, 1);
    assert_eq!(poll.trips(), 1);
    assert_eq!(poll.world.processes[0].transitions[0].cause, Cause::FailureThreshold);
}

#[test]
fn case_152_after_a_good_call_a_vote_is_withdrawn_once() {
    let mut poll = Poll::new(3, 3, 2);
    poll.fail(0, 2);
    assert_eq!(poll.votes.len(), 1);
    poll.succeed(0);
    assert_eq!((poll.ballots, poll.standing()), (2, 0));
    poll.succeed(0);
    poll.fail(0, 1);
    poll.succeed(0);
    assert_eq!(poll.ballots, 2, "who has not voted withdraws nothing");
    poll.fail(1, 2);
    poll.fail(2, 2);
    poll.is_closed();
    poll.pass(s(2));
    poll.fail(0, 2);
    assert_eq!(poll.trips(), 1);
}

#[test]
fn case_152_votes_older_than_the_window_count_for_nothing() {
    let mut poll = Poll::new(3, 3, 2);
    poll.fail(0, 2);
    poll.pass(s(30));
    poll.fail(1, 2);
    poll.pass(s(31));
    poll.fail(2, 2);
    poll.is_closed();
    // A process that goes on failing votes again before its vote is too old, and not before.
    let before = poll.ballots;
    poll.fail(1, 1);
    poll.fail(2, 1);
    assert_eq!(poll.ballots, before + 1, "the vote of process 1 is half its window old");
    poll.pass(s(31));
    poll.fail(0, 2);
    assert_eq!(poll.trips(), 1);
}

#[test]
fn case_153_a_vote_without_an_answer_is_cast_again_and_counts_once() {
    for arrives in [false, true] {
        let mut poll = Poll::new(2, 2, 2);
        poll.world.fail(0, 2);
        if arrives {
            poll.arrive(0);
        }
        poll.answer(0, BallotAnswer::Failed(StoreErrorKind::Timeout));
        assert!(poll.world.processes[0].ballot.is_none(), "it backs off");
        poll.pass(s(2));
        assert_eq!(poll.votes.len(), 1);
        poll.is_closed();
        poll.fail(1, 2);
        assert_eq!(poll.trips(), 1);
    }
}

#[test]
fn case_153_a_doubled_or_late_ballot_does_no_harm() {
    let mut poll = Poll::new(2, 2, 2);
    poll.world.fail(0, 2);
    let late = poll.arrive(0);
    poll.answer(0, BallotAnswer::Shown(poll.votes.clone()));
    late.apply(&mut poll.votes);
    poll.fail(0, 1);
    assert_eq!(poll.votes.len(), 1);
    poll.is_closed();
    poll.succeed(0);
    // A withdrawal that arrives again takes at most the vote of its own process.
    poll.pass(s(2));
    poll.fail(1, 2);
    poll.is_closed();
}

#[test]
fn case_153_a_good_call_while_the_last_vote_is_under_way_keeps_it_from_tripping() {
    let mut poll = Poll::new(2, 2, 2);
    poll.fail(0, 2);
    poll.world.fail(1, 2);
    poll.arrive(1);
    let shown = poll.votes.clone();
    poll.world.succeed(1);
    poll.answer(1, BallotAnswer::Shown(shown));
    poll.settle(1);
    poll.is_closed();
    assert_eq!(poll.standing(), 1, "it has withdrawn");
}

#[test]
fn case_153_a_vote_of_an_older_epoch_counts_for_nothing() {
    let mut poll = Poll::new(3, 2, 2);
    poll.world.record = Some(closed(START_UNIX + 3_000));
    poll.fail(0, 2);
    assert_eq!(poll.votes.values().next().unwrap().epoch, Some(START_UNIX + 3_000));
    // Others have opened and closed it since.
    poll.world.record = Some(closed(START_UNIX + 3_050));
    poll.pass(s(6));
    poll.fail(1, 2);
    assert_eq!((poll.trips(), poll.votes.len()), (0, 2));
    poll.fail(2, 2);
    assert_eq!(poll.trips(), 1, "two of the new epoch");
}

#[test]
fn case_153_who_others_contradict_does_not_vote() {
    let mut poll = Poll::new(3, 2, 2);
    poll.fail(0, 5);
    assert_eq!(poll.world.applied, [(0, "trip")]);
    poll.world.record = Some(closed(START_UNIX + 3_700));
    poll.pass(s(6));
    let before = poll.ballots;
    poll.fail(0, 4);
    assert_eq!(poll.ballots, before, "it fails where others do not");
    poll.fail(1, 2);
    assert_eq!(poll.trips(), 1);
    poll.fail(2, 2);
    assert_eq!(poll.trips(), 2);
}

#[test]
fn nobody_votes_while_the_store_is_left_alone_or_keeps_no_votes() {
    let mut poll = Poll::new(1, 2, 2);
    poll.world.succeed(0);
    poll.world.down = Some(StoreErrorKind::Unavailable);
    poll.pass(s(10));
    poll.fail(0, 4);
    assert_eq!(poll.ballots, 0);

    let mut poll = Poll::new(1, 2, 1);
    poll.world.fail(0, 1);
    poll.answer(0, BallotAnswer::Unsupported);
    poll.pass(s(3_600));
    poll.fail(0, 3);
    assert_eq!(poll.ballots, 0, "it is asked once");
}

#[test]
fn a_process_votes_once_a_second_at_most_however_often_it_changes_its_mind() {
    let mut poll = Poll::new(1, 2, 1);
    for _ in 0..50 {
        poll.fail(0, 1);
        poll.succeed(0);
        poll.pass(ms(100));
    }
    assert!(poll.ballots <= 2 * 6, "{} ballots in five seconds", poll.ballots);
}

#[test]
fn a_vote_looks_first_and_who_finds_the_circuit_open_does_not_vote() {
    let mut poll = Poll::new(1, 2, 2);
    poll.world.succeed(0);
    poll.pass(s(1));
    let first = poll.world.admit(0);
    let second = poll.world.admit(0);
    poll.world.end(0, first, CallEnd::Failure);
    poll.world.record = Some(open(START_UNIX + 1));
    poll.world.processes[0].end(second, CallEnd::Failure);
    // Turns of other reasons do not hurry it.
    poll.world.processes[0].tick();
    assert_eq!(poll.world.processes[0].ballot, None);
    let reads = poll.world.processes[0].job.is_some();
    poll.world.settle(0);
    poll.settle(0);
    assert!(reads, "it reads before it votes");
    assert_eq!((poll.ballots, poll.world.state(0)), (0, CircuitState::Open));
}

#[test]
fn case_153_throttled_ballots_are_cast_again_and_hold_up_no_trip() {
    let mut poll = Poll::new(2, 2, 2);
    poll.fail(1, 2);
    poll.world.fail(0, 2);
    for wait in [1, 2, 4] {
        poll.answer(0, BallotAnswer::Failed(StoreErrorKind::Throttled));
        poll.world.pass(s(wait) - ms(100));
        assert_eq!(poll.world.processes[0].ballot, None, "left alone for {wait} s");
        poll.world.pass(ms(200));
        assert!(poll.world.processes[0].ballot.is_some(), "after {wait} s");
    }
    poll.answer(0, BallotAnswer::Failed(StoreErrorKind::Throttled));
    poll.is_closed();
    poll.world.fail(0, 3);
    assert_eq!(poll.world.processes[0].transitions[0].cause, Cause::FailureThreshold);
    assert_eq!(poll.trips(), 1);
}

#[test]
fn case_153_votes_that_somebody_deletes_are_cast_again_while_their_process_fails() {
    let mut poll = Poll::new(3, 3, 2);
    poll.fail(0, 2);
    poll.fail(1, 2);
    poll.votes.clear();
    poll.fail(2, 2);
    poll.is_closed();
    // At half their window those who still fail vote again.
    poll.pass(s(31));
    poll.fail(0, 1);
    poll.is_closed();
    poll.fail(1, 1);
    assert_eq!((poll.trips(), poll.standing()), (1, 3));
}

#[test]
fn votes_that_are_over_are_removed_so_that_the_item_stays_small() {
    let mut poll = Poll::new(1, 1_000, 1);
    for number in 0..90 {
        poll.votes.insert(format!("gone{number}").into(), Vote { at_ms: 1, epoch: None });
    }
    poll.fail(0, 1);
    assert_eq!((poll.votes.len(), poll.ballots), (1, 2), "once more, to remove them");
    // Fewer of them wait for the next ballot.
    for number in 0..20 {
        poll.votes.insert(format!("gone{number}").into(), Vote::OVER);
    }
    poll.pass(s(31));
    poll.fail(0, 1);
    assert_eq!((poll.votes.len(), poll.ballots), (21, 3));
    poll.succeed(0);
    assert_eq!((poll.votes.len(), poll.standing()), (1, 0), "only its mark is left");
}

#[test]
fn a_freeze_between_two_failures_leaves_the_vote_and_one_under_way_trips_nothing() {
    let mut poll = Poll::new(2, 2, 2);
    poll.fail(0, 2);
    poll.world.fail(1, 2);
    poll.arrive(1);
    poll.world.stop(1, Stop::Frozen);
    poll.world.advance(s(20));
    poll.world.go_on(1);
    poll.world.processes[1].thaw();
    poll.answer(1, BallotAnswer::Shown(poll.votes.clone()));
    assert_eq!(poll.trips(), 0, "what was shown before a freeze is old");
    poll.pass(s(2));
    assert_eq!(poll.trips(), 0, "nor is it asked again for failures from before it");
    poll.fail(1, 1);
    assert_eq!(poll.trips(), 1, "the streak stood");
}

#[test]
fn a_process_whose_actor_starts_over_has_one_vote() {
    let mut poll = Poll::new(1, 2, 1);
    poll.fail(0, 1);
    poll.world.processes[0].machine.start_over();
    poll.world.processes[0].tick();
    poll.fail(0, 1);
    poll.pass(s(40));
    poll.fail(0, 1);
    assert_eq!(poll.standing(), 1, "{:?}", poll.votes);
}

#[test]
fn case_153_a_vote_that_arrives_after_its_withdrawal_trips_nothing() {
    let mut poll = Poll::new(2, 2, 2);
    poll.world.fail(0, 2);
    let late = poll.world.processes[0].ballot.clone().unwrap();
    poll.answer(0, BallotAnswer::Failed(StoreErrorKind::Timeout));
    poll.pass(s(2));
    poll.succeed(0);
    assert_eq!(poll.standing(), 0);
    late.apply(&mut poll.votes);
    poll.fail(1, 2);
    poll.is_closed();
    // It withdraws before it votes again, as another voter.
    poll.fail(0, 2);
    assert_eq!(poll.trips(), 1);
}

#[test]
fn a_vote_is_withdrawn_when_new_settings_take_the_rule_away() {
    let mut poll = Poll::new(3, 3, 2);
    poll.fail(0, 2);
    poll.fail(1, 2);
    assert_eq!(poll.standing(), 2);
    poll.world.processes[0].reconfigure(Config::default());
    poll.world.settle(0);
    poll.settle(0);
    assert_eq!(poll.standing(), 1);
    let ballots = poll.ballots;
    poll.pass(s(1));
    poll.fail(0, 2);
    assert_eq!(poll.ballots, ballots, "it votes no more");
    poll.fail(2, 2);
    poll.is_closed();
}

#[test]
fn nobody_votes_while_an_operator_holds_the_circuit_closed() {
    let mut poll = Poll::new(3, 2, 2);
    poll.fail(0, 2);
    assert_eq!(poll.ballots, 1);
    poll.world.processes[0].command(hold(HoldKind::Closed, START_UNIX + 60));
    poll.world.settle(0);
    poll.settle(0);
    poll.world.call(1);
    poll.pass(s(6));
    let ballots = poll.ballots;
    poll.fail(1, 4);
    poll.fail(2, 4);
    assert_eq!((poll.trips(), poll.ballots), (0, ballots));
    // After its end the rules apply again.
    poll.succeed(1);
    poll.succeed(2);
    poll.pass(s(60));
    poll.fail(1, 2);
    poll.fail(2, 2);
    assert_eq!(poll.trips(), 1);
}

#[test]
fn each_incident_looks_before_its_first_vote() {
    let mut poll = Poll::new(1, 2, 2);
    poll.world.succeed(0);
    for incident in ["open", "good call", "last"] {
        poll.pass(s(2));
        let calls = [0; 2].map(|number| poll.world.admit(number));
        poll.world.advance(s(1));
        for call in calls {
            poll.world.processes[0].end(call, CallEnd::Failure);
        }
        assert_eq!(poll.world.processes[0].ballot, None, "{incident}");
        assert!(poll.world.processes[0].job.is_some(), "{incident}: it reads before it votes");
        match incident {
            "open" => {
                poll.world.record = Some(open(START_UNIX + 1));
                poll.world.settle(0);
                assert_eq!(poll.world.state(0), CircuitState::Open);
                poll.world.record = Some(closed(START_UNIX + 4_000));
                poll.pass(s(6));
                poll.succeed(0);
            }
            "good call" => {
                let good = CallId { epoch: poll.world.processes[0].machine.epoch(), probe: None };
                poll.world.processes[0].end(good, CallEnd::Success);
                poll.world.settle(0);
            }
            _ => poll.world.settle(0),
        }
        assert_eq!(poll.world.processes[0].ballot.is_some(), incident == "last");
    }
}

#[test]
fn a_withdrawal_removes_its_voter_once_also_where_its_vote_is_over() {
    let mut poll = Poll::new(1, 2, 2);
    poll.world.fail(0, 2);
    let voter = Arc::clone(&poll.arrive(0).voter);
    poll.votes.insert(Arc::clone(&voter), Vote::OVER);
    poll.answer(0, BallotAnswer::Shown(poll.votes.clone()));
    poll.world.succeed(0);
    assert_eq!(poll.arrive(0).over, [voter]);
}

#[test]
fn case_141_a_ballot_under_way_keeps_its_store_timeout() {
    let with_timeout = |seconds| {
        let rule = Rule::votes(2, 2).within(s(60));
        build(Config::builder().failure_threshold(5).also_trip(rule).store_timeout(s(seconds)))
    };
    let mut poll = Poll::new(2, 2, 2);
    poll.world = World::new(2, &with_timeout(10));
    poll.fail(0, 2);
    poll.world.fail(1, 2);
    poll.arrive(1);
    poll.world.processes[1].reconfigure(with_timeout(1));
    poll.world.advance(s(8));
    poll.answer(1, BallotAnswer::Shown(poll.votes.clone()));
    assert_eq!(poll.trips(), 1, "it was not frozen");
}
