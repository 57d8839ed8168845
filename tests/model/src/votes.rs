//! Votes, beside the record: which processes trip a circuit together.
//!
//! Not abstracted: [`fuseboard::store::Ballot::apply`]; a ballot may arrive after its process gave
//! it up, and twice; what is shown is acted upon later, by when calls have ended and others have
//! opened and closed the circuit. Abstracted: a trip lands if and only if the record is the closed
//! one that its process counted in (`a trip lands in the epoch that was counted` holds that); time
//! is a number of windows, and a vote is over in the next.

use std::collections::BTreeSet;

use fuseboard::store::{Ballot, Vote, Votes};
use stateright::{Checker, HasDiscoveries, Model, Property};

/// The bounds, and what is weakened.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    processes: usize,
    voters: usize,
    streak: u8,
    ballots: u8,
    /// Answers that are lost, and ballots that arrive twice.
    faults: u8,
    /// How often others open and close the circuit.
    closings: u8,
    /// How many windows pass.
    windows: u8,
    /// True if others contradict the first process.
    contradicted: bool,
    lax: Lax,
}

/// What the protocol does not look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lax {
    Nothing,
    Withdrawals,
    GoodCalls,
    Epochs,
    Age,
    Contradictions,
    Voters,
}

const BOUNDS: Bounds = Bounds {
    processes: 3,
    voters: 2,
    streak: 1,
    ballots: 4,
    faults: 1,
    closings: 0,
    windows: 0,
    contradicted: false,
    lax: Lax::Nothing,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Poll {
    /// How often the circuit has been closed.
    epoch: u8,
    is_open: bool,
    window: u8,
    votes: Votes,
    /// Ballots on their way, or that may arrive again.
    network: Vec<Wire>,
    voters: Vec<Voter>,
    /// The withdrawals that have arrived.
    withdrawn: BTreeSet<String>,
    ballots: u8,
    faults: u8,
    is_breached: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wire {
    voter: String,
    vote: Vote,
    over: Vec<String>,
    who: usize,
    number: u8,
}

/// One process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Voter {
    epoch: u8,
    knows_open: bool,
    streak: u8,
    cast: Option<Cast>,
    /// How many voters it has been.
    names: u8,
    flight: Option<Flight>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Cast {
    epoch: u8,
    window: u8,
    is_answered: bool,
    is_leaving: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flight {
    number: u8,
    is_vote: bool,
    /// The votes that were shown, and which voters had withdrawn by then.
    shown: Option<(Votes, BTreeSet<String>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Fail(usize),
    Good(usize),
    Read(usize),
    Send(usize),
    Arrive { wire: usize, again: bool },
    Receive(usize),
    TimeOut(usize),
    Close,
    Pass,
}

impl Model for Bounds {
    type State = Poll;
    type Action = Step;

    fn init_states(&self) -> Vec<Poll> {
        let voters = vec![Voter::default(); self.processes];
        vec![Poll {
            epoch: 0,
            is_open: false,
            window: 0,
            votes: Votes::new(),
            network: Vec::new(),
            voters,
            withdrawn: BTreeSet::new(),
            ballots: self.ballots,
            faults: self.faults,
            is_breached: false,
        }]
    }

    fn actions(&self, poll: &Poll, steps: &mut Vec<Step>) {
        for (who, voter) in poll.voters.iter().enumerate() {
            if !voter.knows_open {
                steps.extend([Step::Fail(who), Step::Good(who)]);
            }
            steps.push(Step::Read(who));
            match &voter.flight {
                None if poll.ballots > 0 => steps.push(Step::Send(who)),
                None => {}
                Some(flight) if flight.shown.is_some() => steps.push(Step::Receive(who)),
                Some(_) => {}
            }
            if voter.flight.is_some() && poll.faults > 0 {
                steps.push(Step::TimeOut(who));
            }
        }
        for wire in 0..poll.network.len() {
            steps.push(Step::Arrive { wire, again: false });
            if poll.faults > 0 {
                steps.push(Step::Arrive { wire, again: true });
            }
        }
        if poll.epoch < self.closings {
            steps.push(Step::Close);
        }
        if poll.window < self.windows {
            steps.push(Step::Pass);
        }
    }

    fn next_state(&self, last: &Poll, step: Step) -> Option<Poll> {
        let mut poll = last.clone();
        match step {
            Step::Fail(who) => {
                let voter = &mut poll.voters[who];
                voter.streak = self.streak.min(voter.streak + 1);
            }
            Step::Good(who) => poll.voters[who].streak = 0,
            Step::Read(who) => poll.show(who),
            Step::Send(who) => poll.send(who, self),
            Step::Arrive { wire, again } => poll.arrive(wire, again),
            Step::Receive(who) => poll.receive(who, self),
            Step::TimeOut(who) => {
                poll.faults -= 1;
                poll.voters[who].flight = None;
            }
            Step::Close => (poll.epoch, poll.is_open) = (poll.epoch + 1, false),
            Step::Pass => {
                // What failed before is too old to count.
                poll.window += 1;
                poll.voters.iter_mut().for_each(|voter| voter.streak = 0);
            }
        }
        (poll != *last).then_some(poll)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a trip has its voters", |_, poll: &Poll| !poll.is_breached),
            Property::sometimes("voters trip", |_, poll: &Poll| poll.is_open),
        ]
    }
}

impl Bounds {
    fn may_vote(self, who: usize) -> bool {
        !self.contradicted || who > 0 || self.lax == Lax::Contradictions
    }

    /// Whether the rule counts an entry of what was shown.
    fn counts(self, shown: &Votes, name: &str, own: Cast) -> bool {
        let vote = shown[name];
        let mark = format!("{name}!");
        let is_withdrawn = shown.contains_key(mark.as_str()) && self.lax != Lax::Withdrawals;
        let is_of_epoch = vote.epoch == Some(own.epoch.into()) || self.lax == Lax::Epochs;
        let is_young = vote.at_ms == i64::from(own.window) || self.lax == Lax::Age;
        !name.ends_with('!') && !is_withdrawn && is_of_epoch && is_young
    }
}

/// The process that a voter is.
fn process_of(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

impl Poll {
    /// A process learns what the record is. A new epoch begins from nothing.
    fn show(&mut self, who: usize) {
        let voter = &mut self.voters[who];
        if voter.epoch != self.epoch || voter.knows_open != self.is_open {
            voter.streak = 0;
        }
        (voter.epoch, voter.knows_open) = (self.epoch, self.is_open);
    }

    fn send(&mut self, who: usize, bounds: &Bounds) {
        let voter = &mut self.voters[who];
        let wishes = voter.streak == bounds.streak && bounds.may_vote(who) && !voter.knows_open;
        let window = self.window;
        let cast = voter.cast.filter(|cast| cast.epoch == voter.epoch && cast.window == window);
        let is_vote = match (wishes, cast) {
            (false, None) => return,
            (false, Some(_)) | (true, Some(Cast { is_leaving: true, .. })) => false,
            (true, Some(Cast { is_answered: true, .. })) => return,
            (true, None | Some(_)) => true,
        };
        if voter.knows_open {
            return;
        }
        if is_vote && (cast.is_none() || bounds.lax == Lax::Voters) {
            voter.names += 1;
        }
        let name = format!("{who}.{}", voter.names);
        let (epoch, is_answered) = (voter.epoch, cast.is_some_and(|cast| cast.is_answered));
        voter.cast = Some(Cast { epoch, window, is_answered, is_leaving: !is_vote });
        let number = self.ballots;
        voter.flight = Some(Flight { number, is_vote, shown: None });
        let vote = Vote { at_ms: window.into(), epoch: Some(epoch.into()) };
        let (voter, over) =
            if is_vote { (name, Vec::new()) } else { (format!("{name}!"), vec![name]) };
        self.network.push(Wire { voter, vote, over, who, number });
        self.ballots -= 1;
    }

    fn arrive(&mut self, index: usize, again: bool) {
        let wire = self.network[index].clone();
        if again {
            self.faults -= 1;
        } else {
            self.network.remove(index);
        }
        let over = wire.over.iter().map(|name| name.as_str().into()).collect();
        let voter = wire.voter.as_str().into();
        Ballot { voter, vote: wire.vote, over, expires_at: 0 }.apply(&mut self.votes);
        if let Some(name) = wire.voter.strip_suffix('!') {
            self.withdrawn.insert(name.to_owned());
        }
        let shown = Some((self.votes.clone(), self.withdrawn.clone()));
        if let Some(flight) = &mut self.voters[wire.who].flight
            && flight.number == wire.number
            && flight.shown.is_none()
        {
            flight.shown = shown;
        }
    }

    fn receive(&mut self, who: usize, bounds: &Bounds) {
        let voter = &mut self.voters[who];
        let Some(Flight { is_vote, shown: Some((votes, withdrawn)), .. }) = voter.flight.take()
        else {
            return;
        };
        let Some(cast) = &mut voter.cast else { return };
        if !is_vote {
            voter.cast = None;
            return;
        }
        cast.is_answered = true;
        let cast = Cast { window: self.window, ..*cast };
        let fails = voter.streak == bounds.streak || bounds.lax == Lax::GoodCalls;
        if !fails || voter.knows_open || voter.epoch != cast.epoch {
            return;
        }
        let counted: Vec<_> =
            votes.keys().filter(|name| bounds.counts(&votes, name, cast)).collect();
        if counted.len() < bounds.voters {
            return;
        }
        // What is true of them, whatever the rule looked at.
        let true_voters = votes.iter().filter(|(name, vote)| {
            !name.ends_with('!')
                && !withdrawn.contains(&***name)
                && vote.epoch == Some(cast.epoch.into())
                && vote.at_ms == i64::from(self.window)
                && !(bounds.contradicted && process_of(name) == "0")
        });
        let processes: BTreeSet<_> = true_voters.map(|(name, _)| process_of(name)).collect();
        let is_failing = voter.streak == bounds.streak;
        self.is_breached |= processes.len() < bounds.voters || !is_failing;
        if voter.epoch == self.epoch && !self.is_open {
            self.is_open = true;
        }
        voter.knows_open = true;
    }
}

fn holds(bounds: Bounds) {
    let checker = bounds.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "{} states, {} steps, depth {}: {bounds:?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
    );
    assert!(checker.is_done());
    checker.assert_properties();
}

fn is_refuted(bounds: Bounds) {
    let lax = bounds.lax;
    let enough = HasDiscoveries::AnyOf(BTreeSet::from(["a trip has its voters"]));
    let checker = bounds.checker().finish_when(enough).spawn_bfs().join();
    let steps = checker.assert_any_discovery("a trip has its voters").into_actions();
    println!("without {lax:?}: refuted in {} steps: {steps:?}", steps.len());
}

#[test]
fn case_152_a_trip_by_votes_has_that_many_voters() {
    let large = u8::from(crate::is_large());
    holds(Bounds { faults: 0, ballots: 5 + large, ..BOUNDS });
    holds(Bounds { faults: 0, streak: 2, ballots: 4 + large, ..BOUNDS });
    holds(Bounds { faults: 0, voters: 3, ballots: 4 + large, ..BOUNDS });
}

#[test]
fn case_153_votes_that_are_lost_late_doubled_and_withdrawn_late_trip_nothing() {
    let large = u8::from(crate::is_large());
    holds(Bounds { ballots: 3 + large, ..BOUNDS });
    holds(Bounds { processes: 2, ballots: 4 + large, faults: 2, ..BOUNDS });
}

#[test]
fn case_153_votes_of_an_older_epoch_or_window_trip_nothing() {
    let large = u8::from(crate::is_large());
    let two = Bounds { processes: 2, ballots: 4 + large, ..BOUNDS };
    holds(Bounds { closings: 1, ..two });
    holds(Bounds { windows: 1, ..two });
}

#[test]
fn case_153_a_refuted_process_has_no_vote() {
    holds(Bounds { contradicted: true, ..BOUNDS });
}

#[test]
fn case_153_what_a_vote_is_has_to_be_looked_at() {
    let two = Bounds { processes: 2, ballots: 4, ..BOUNDS };
    // It is given up, withdrawn, and arrives.
    is_refuted(Bounds { lax: Lax::Withdrawals, ..two });
    is_refuted(Bounds { lax: Lax::GoodCalls, ..two });
    is_refuted(Bounds { lax: Lax::Epochs, closings: 1, ..two });
    is_refuted(Bounds { lax: Lax::Age, windows: 1, ..two });
    is_refuted(Bounds { lax: Lax::Contradictions, contradicted: true, ..two });
    // A ballot without an answer is cast again, by another voter.
    is_refuted(Bounds { lax: Lax::Voters, ..two });
}
