//! Random worlds of voters: a trip needs as many processes as the rule says, each of which had
//! its streak in that epoch.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};

use super::{super::seeds::play_seeds, *};

const SEEDS: u64 = 400;
const VOTERS: u32 = 3;
const WINDOW: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
enum Op {
    Fail(usize),
    Succeed(usize),
    Pass(u64),
    /// The ballot of a process arrives, and is answered.
    Cast(usize),
    /// It arrives or not, and its answer is lost.
    Lose(usize, bool),
    /// It is given up, and arrives later.
    Delay(usize),
    /// The oldest ballot that was given up arrives.
    Late,
    /// The newest ballot that arrived arrives again.
    Twice,
    /// Others open and close the circuit.
    Close,
}

fn ops() -> impl Strategy<Value = (u32, Vec<Op>)> {
    let process = 0_usize..5;
    let op = prop_oneof![
        8 => process.clone().prop_map(Op::Fail),
        3 => process.clone().prop_map(Op::Succeed),
        3 => (0_u64..20_000).prop_map(Op::Pass),
        6 => process.clone().prop_map(Op::Cast),
        2 => (process.clone(), any::<bool>()).prop_map(|(number, arrives)| Op::Lose(number, arrives)),
        2 => process.prop_map(Op::Delay),
        2 => Just(Op::Late),
        1 => Just(Op::Twice),
        1 => Just(Op::Close),
    ];
    (1_u32..3, vec(op, 20..120))
}

/// A world, and what was true in it.
struct Play {
    poll: Poll,
    streak: u32,
    /// The failures of each process since its last good call, in this epoch of the record.
    failures: BTreeMap<usize, Vec<Moment>>,
    /// Every vote that a process was right to cast.
    true_votes: BTreeSet<(usize, i64, Option<i64>)>,
    voters: BTreeMap<Arc<str>, usize>,
    /// The voters whose withdrawal has arrived.
    withdrawn: BTreeSet<Arc<str>>,
    late: Vec<Arc<Ballot>>,
    newest: Option<Arc<Ballot>>,
    closings: i64,
}

impl Play {
    fn new(streak: u32) -> Self {
        let mut poll = Poll::new(5, VOTERS, streak);
        poll.world.record = Some(closed(START_UNIX + 2_000));
        let (failures, true_votes, voters, withdrawn) = Default::default();
        let (late, newest, closings) = (Vec::new(), None, 0);
        Self { poll, streak, failures, true_votes, voters, withdrawn, late, newest, closings }
    }

    /// The epoch that processes know which have not heard of an opening.
    fn epoch(&self) -> Option<i64> {
        Some(START_UNIX + 2_000 + 50 * self.closings)
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Fail(number) => self.end(number, CallEnd::Failure),
            Op::Succeed(number) => self.end(number, CallEnd::Success),
            Op::Pass(by) => self.poll.world.pass(ms(by)),
            Op::Cast(number) => {
                if let Some(ballot) = self.ballot(number) {
                    self.take(&ballot);
                    let before = self.poll.trips();
                    let votes = self.poll.votes.clone();
                    self.poll.answer(number, BallotAnswer::Shown(votes));
                    self.judge(before, number);
                }
            }
            Op::Lose(number, arrives) => {
                if let Some(ballot) = self.ballot(number) {
                    if arrives {
                        self.take(&ballot);
                    }
                    self.poll.answer(number, BallotAnswer::Failed(StoreErrorKind::Timeout));
                }
            }
            Op::Delay(number) => {
                if let Some(ballot) = self.ballot(number) {
                    self.late.push(ballot);
                    self.poll.answer(number, BallotAnswer::Failed(StoreErrorKind::Timeout));
                }
            }
            Op::Late if !self.late.is_empty() => {
                let ballot = self.late.remove(0);
                self.take(&ballot);
            }
            Op::Twice => {
                if let Some(ballot) = self.newest.clone() {
                    self.take(&ballot);
                }
            }
            Op::Close if self.poll.world.record.as_ref().is_some_and(is_closed) => {
                self.closings += 1;
                self.poll.world.record = self.epoch().map(closed);
                self.failures.clear();
                // All learn of it: failures of who has not are of the older epoch.
                self.poll.world.pass(s(6));
                for number in 0..5 {
                    self.poll.world.succeed(number);
                }
            }
            Op::Late | Op::Close => {}
        }
    }

    fn ballot(&mut self, number: usize) -> Option<Arc<Ballot>> {
        let ballot = self.poll.world.processes[number].ballot.clone()?;
        if ballot.voter.ends_with('!') {
            return Some(ballot);
        }
        let known = self.voters.insert(Arc::clone(&ballot.voter), number);
        assert!(known.is_none_or(|known| known == number), "two processes of one name");
        let vote = ballot.vote;
        let is_true = self.true_votes.contains(&(number, vote.at_ms, vote.epoch));
        assert!(is_true, "{number} votes without a streak: {vote:?}");
        Some(ballot)
    }

    fn take(&mut self, ballot: &Arc<Ballot>) {
        ballot.apply(&mut self.poll.votes);
        if let Some(voter) = ballot.voter.strip_suffix('!') {
            self.withdrawn.insert(voter.into());
        }
        self.newest = Some(Arc::clone(ballot));
    }

    fn end(&mut self, number: usize, end: CallEnd) {
        let Call::Runs(pass) = self.poll.world.call(number) else { return };
        if pass.probe.is_some() {
            return self.poll.world.end(number, pass, CallEnd::Dropped);
        }
        let (now, epoch) = (self.poll.world.processes[number].now, self.epoch());
        let failures = self.failures.entry(number).or_default();
        match end {
            CallEnd::Failure | CallEnd::OpenFor(_) => {
                failures.push(now);
                let recent = failures.iter().filter(|at| now.since(**at) <= WINDOW).count();
                if recent >= usize::try_from(self.streak).unwrap() {
                    let vote = Vote::new(now, epoch);
                    self.true_votes.insert((number, vote.at_ms, epoch));
                }
            }
            CallEnd::Success | CallEnd::Ignored | CallEnd::Dropped => failures.clear(),
        }
        self.poll.world.end(number, pass, end);
    }

    /// A trip by votes: of enough processes, whose votes lay there when it was decided.
    fn judge(&mut self, before: usize, number: usize) {
        if self.poll.trips() == before {
            return;
        }
        let process = &self.poll.world.processes[number];
        let told = process.transitions.last().unwrap();
        assert!(matches!(told.cause, Cause::Rule(_)), "{told:?}");
        let (now, epoch) = (process.now, self.poll.votes_epoch(number));
        let standing = self.poll.votes.iter().filter(|(voter, vote)| {
            let is_withdrawn = voter.ends_with('!') || self.withdrawn.contains(*voter);
            vote.epoch == epoch && vote.is_within(WINDOW, now) && !is_withdrawn
        });
        let processes: BTreeSet<_> = standing.map(|(voter, _)| self.voters[voter]).collect();
        assert!(processes.len() >= usize::try_from(VOTERS).unwrap(), "{processes:?} tripped");
    }
}

impl Poll {
    /// The epoch of the own vote of a process that has just tripped.
    fn votes_epoch(&self, number: usize) -> Option<i64> {
        let voters = format!("node{number}-");
        let own = self
            .votes
            .iter()
            .filter(|(voter, _)| voter.starts_with(&voters) && !voter.ends_with('!'));
        own.max_by_key(|(_, vote)| vote.at_ms).and_then(|(_, vote)| vote.epoch)
    }
}

fn is_closed(record: &Record) -> bool {
    record.state == CircuitState::Closed.into()
}

#[test]
fn case_153_whatever_is_lost_late_or_doubled_a_trip_has_its_voters() {
    let trips = std::cell::Cell::new(0);
    let all = play_seeds("case_153_whatever", SEEDS, &ops(), |(streak, ops)| {
        let mut play = Play::new(streak);
        for op in ops {
            play.apply(op);
        }
        trips.set(trips.get() + play.poll.trips());
    });
    assert!(!all || trips.get() > 50, "only {} trips", trips.get());
}
