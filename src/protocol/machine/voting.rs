//! The vote of this process: cast when its calls fail in a row, and withdrawn after a good call.
//!
//! Votes lie beside the record, and are written beside the one store operation: no read, trip or
//! lease waits for a vote. They are idempotent, so that a ballot without an answer is sent again.
//! Only the answer to a vote of this process can trip, and only if the streak still stands. A
//! withdrawal leaves a mark, and the next vote is of another voter: a vote that arrives late finds
//! the mark.

use std::{sync::Arc, time::Duration};

use super::{
    Effect, Machine, Phase,
    cache::is_closed,
    storage::{AGE_BEFORE_A_TRIP, TTL_SLACK},
};
use crate::{
    protocol::answer::{Consistency, StoreErrorKind},
    protocol::counting::Trip,
    protocol::health::{Access, BackedOff},
    protocol::moment::Moment,
    protocol::votes::{Ballot, Vote, Votes, is_standing, withdrawal_of},
    transition::Cause,
};

/// A process votes at most once in this time.
const BETWEEN_VOTES: Duration = Duration::from_secs(1);
/// The first back-off after a ballot that failed; doubled each time.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);
const MISCONFIGURED_BACK_OFF: Duration = Duration::from_secs(60);
/// From this number of expired votes on, a voter sends a ballot only to remove them. Fewer are
/// removed by its next ballot.
const TOO_MANY_OVER: usize = 32;

/// What the counting says of the vote of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// The epoch that is counted.
    pub(crate) epoch: u64,
    /// When the last failure came of the streak that is voted for; `None` if none stands.
    pub(crate) since: Option<Moment>,
}

/// The end of a ballot.
#[derive(Clone, Debug)]
pub(crate) enum BallotAnswer {
    /// All votes, after this ballot.
    Shown(Votes),
    /// The store keeps no votes.
    Unsupported,
    /// The store failed: the ballot may or may not have been taken.
    Failed(StoreErrorKind),
    /// Nothing was sent: other circuits have found the store out.
    BackedOff(BackedOff),
}

/// The vote of this process. Boxed, and made at its first vote.
#[derive(Clone, Debug)]
pub(super) struct Voting {
    /// Who votes, and in which epoch. Another one in each, and after each withdrawal: a restored
    /// image of a process must not speak for long for the process that it was made of.
    voter: Option<(Arc<str>, Option<i64>)>,
    wish: Wish,
    /// The vote that the store may show.
    cast: Option<Cast>,
    in_flight: Option<InFlight>,
    /// Voters whose votes are over.
    over: Vec<Arc<str>>,
    /// When a vote was last sent.
    voted_at: Option<Moment>,
    /// No ballot is sent for this long since then.
    back_off: Option<(Moment, Duration)>,
    failures: u32,
    /// True if the record was read for the vote that is to be sent.
    has_looked: bool,
    /// True if the store keeps no votes.
    is_unsupported: bool,
    /// When this process was last found to have been frozen.
    thawed_at: Option<Moment>,
}

#[derive(Clone, Copy, Debug)]
struct Cast {
    at: Moment,
    epoch: Option<i64>,
    is_answered: bool,
    /// True if its withdrawal was sent: the voter has left, whatever comes.
    is_leaving: bool,
    /// True if the votes that are over were removed for it.
    has_cleaned: bool,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    started_at: Moment,
    /// The `store_timeout` that it was started under.
    limit: Duration,
    is_vote: bool,
}

/// The ballot that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Vote(Moment),
    Withdrawal,
}

impl Voting {
    fn new(wish: Wish) -> Self {
        Self {
            voter: None,
            wish,
            cast: None,
            in_flight: None,
            over: Vec::new(),
            voted_at: None,
            back_off: None,
            failures: 0,
            has_looked: false,
            is_unsupported: false,
            thawed_at: None,
        }
    }

    /// Returns the ballot that makes the votes say what this process wishes, in this epoch of the
    /// record.
    fn due(&self, window: Duration, epoch: Option<i64>, now: Moment) -> Option<Due> {
        let is_within = |at: Moment| now.since(at) <= window;
        let cast = self.cast.filter(|cast| cast.epoch == epoch && is_within(cast.at));
        match (self.wish.since.filter(|at| is_within(*at)), cast) {
            (None, None) => None,
            (None, Some(_)) | (Some(_), Some(Cast { is_leaving: true, .. })) => {
                Some(Due::Withdrawal)
            }
            (Some(at), None) => Some(Due::Vote(at)),
            (Some(at), Some(cast)) => {
                // A vote must not grow too old while its process goes on failing.
                let half = window.checked_div(2).unwrap_or(window);
                let is_aging = at.since(cast.at) >= half;
                let cleans = self.over.len() >= TOO_MANY_OVER && !cast.has_cleaned;
                (is_aging || !cast.is_answered || cleans).then_some(Due::Vote(at))
            }
        }
    }

    /// Returns when the last failure came that is voted for, if it is young enough for a trip: no
    /// older than that, and not from before a freeze. A vote that was cast for an older one
    /// stands, but is not cast again.
    fn young(&self, most: Duration, now: Moment) -> Option<Moment> {
        let since_thaw = |at: &Moment| self.thawed_at.is_none_or(|thaw| at.mono() > thaw.mono());
        self.wish.since.filter(|at| now.since(*at) < most).filter(since_thaw)
    }

    /// Returns how long until this ballot may be sent, by what the voter knows.
    fn wait(&self, due: Due, now: Moment) -> Duration {
        let rest = |since: Moment, span: Duration| span.saturating_sub(now.since(since));
        let backed_off = self.back_off.map_or(Duration::ZERO, |(since, span)| rest(since, span));
        let cleans = self.over.len() >= TOO_MANY_OVER;
        let paced = match due {
            Due::Vote(_) if !cleans => {
                self.voted_at.map_or(Duration::ZERO, |at| rest(at, BETWEEN_VOTES))
            }
            Due::Vote(_) | Due::Withdrawal => Duration::ZERO,
        };
        backed_off.max(paced)
    }

    fn fail(&mut self, now: Moment, kind: StoreErrorKind) {
        let doubled = FIRST_BACK_OFF.saturating_mul(1_u32 << self.failures.min(5));
        let span = match kind {
            StoreErrorKind::Misconfigured => MISCONFIGURED_BACK_OFF,
            StoreErrorKind::Timeout
            | StoreErrorKind::Unavailable
            | StoreErrorKind::Throttled
            | StoreErrorKind::BadAnswer => doubled.min(LONGEST_BACK_OFF),
        };
        self.failures = self.failures.saturating_add(1);
        self.back_off = Some((now, span));
    }
}

impl Machine {
    /// Takes what the counting says of the vote of this process. The owner says so at each turn in
    /// which it knows.
    pub(crate) fn learn_wish(&mut self, now: Moment, wish: Wish) {
        self.advance(now);
        // The counting has yet to follow the machine: the streak is one of before.
        if wish.epoch != self.epoch {
            return;
        }
        match &mut self.voting {
            Some(voting) => voting.wish = wish,
            None if wish.since.is_some() => self.voting = Some(Box::new(Voting::new(wish))),
            None => return,
        }
        if wish.since.is_none() {
            self.forget_look();
        }
        self.dispatch_votes();
    }

    /// Takes the end of a ballot.
    pub(crate) fn on_ballot(&mut self, now: Moment, answer: BallotAnswer) {
        self.advance(now);
        let Some(voting) = &mut self.voting else { return };
        let Some(sent) = voting.in_flight.take() else { return };
        // What was shown before a freeze is too old to count, and a failure blames nobody.
        let was_frozen = self.now.was_frozen_since(sent.started_at, sent.limit);
        match answer {
            _ if was_frozen => {}
            BallotAnswer::Shown(votes) => self.take_votes(&votes, sent.is_vote),
            BallotAnswer::Unsupported => {
                voting.is_unsupported = true;
            }
            BallotAnswer::Failed(kind) => voting.fail(self.now, kind),
            BallotAnswer::BackedOff(backed_off) => {
                voting.back_off = Some((self.now, backed_off.wait.max(BETWEEN_VOTES)));
            }
        }
        self.dispatch_votes();
    }

    fn take_votes(&mut self, votes: &Votes, is_vote: bool) {
        let Some(voting) = &mut self.voting else { return };
        (voting.failures, voting.back_off) = (0, None);
        if !is_vote {
            (voting.cast, voting.voter) = (None, None);
        }
        let Some(rule) = self.config.votes() else { return };
        let over = votes.iter().filter(|(_, vote)| !vote.is_within(rule.window, self.now));
        voting.over = over.map(|(voter, _)| Arc::clone(voter)).take(Ballot::MOST_OVER).collect();
        if !is_vote {
            return;
        }
        let Some(mut cast) = voting.cast else { return };
        let is_closed = matches!(self.phase, Phase::Closed { .. });
        // Not known after a freeze or a change of state, until the counting has followed.
        if voting.wish.epoch != self.epoch || !is_closed {
            return;
        }
        cast.is_answered = true;
        voting.cast = Some(cast);
        let stands =
            |vote: &Vote| vote.epoch == cast.epoch && vote.is_within(rule.window, self.now);
        let voter = voting.voter.as_ref().map(|(voter, _)| voter);
        let is_own_shown = voter.and_then(|voter| votes.get(voter)).is_some_and(stands);
        let standing = votes.iter().filter(|(it, vote)| stands(vote) && is_standing(votes, it));
        let standing = u32::try_from(standing.count());
        // Without a wish a good call came meanwhile, and this process is about to withdraw.
        if voting.young(self.config.recovery_timeout(), self.now).is_some()
            && is_own_shown
            && standing.is_ok_and(|standing| standing >= rule.voters)
        {
            let (epoch, at) = (self.epoch, self.now);
            let (cause, count) = (Cause::Rule(rule.rule), rule.voters.into());
            self.trip(at, &Trip { epoch, cause, count, at, refuted: false, open_for: None });
        }
    }

    /// Notes that this process was frozen: failures from before it lead to no trip.
    pub(super) fn thaw_votes(&mut self) {
        if let Some(voting) = &mut self.voting {
            voting.thawed_at = Some(self.now);
        }
    }

    /// Has the next vote look first: a look is for the vote of one streak.
    pub(super) fn forget_look(&mut self) {
        if let Some(voting) = &mut self.voting {
            voting.has_looked = false;
        }
    }

    /// Takes the ballot under way as one without an answer.
    pub(super) fn forget_ballot(&mut self) {
        if let Some(voting) = &mut self.voting {
            voting.in_flight = None;
        }
    }

    /// Sends the ballot that is due, if it may be sent now.
    pub(super) fn dispatch_votes(&mut self) {
        let Some(due) = self.due_ballot() else { return };
        if !self.may_send(due) {
            return;
        }
        if self.looks_before(due) {
            // If an operation is under way, its response brings us here again.
            if self.request.in_flight.is_none() {
                if let Some(voting) = &mut self.voting {
                    // One look for a vote: a slow one shows a record that is old already.
                    voting.has_looked = true;
                }
                self.begin_read(Consistency::Eventual);
            }
            return;
        }
        self.send(due);
    }

    /// Returns the ballot that is due; `None` while one is under way. After an opening nobody
    /// votes or withdraws.
    fn due_ballot(&self) -> Option<Due> {
        let voting = self.voting.as_ref()?;
        let is_known = voting.wish.epoch == self.epoch;
        if !is_known || voting.in_flight.is_some() || voting.is_unsupported {
            return None;
        }
        // Without the rule, which new settings may take away, and while an operator holds the
        // circuit closed, a vote can only be withdrawn.
        let rule = self.config.votes();
        let window = rule.map_or(Duration::MAX, |rule| rule.window);
        let due = voting.due(window, self.vote_epoch()?, self.now)?;
        let is_young = voting.young(self.config.recovery_timeout(), self.now).is_some();
        let may_vote = is_young && rule.is_some() && !self.is_held_closed();
        (due == Due::Withdrawal || may_vote).then_some(due)
    }

    /// Returns `true` while a ballot is under way, or is about to be sent.
    pub(super) fn is_voting(&self) -> bool {
        self.voting.as_ref().is_some_and(|voting| voting.in_flight.is_some())
            || self.due_ballot().is_some_and(|due| self.may_send(due))
    }

    /// Returns `true` if this process has a vote to cast or to withdraw.
    pub(super) fn has_to_vote(&self) -> bool {
        self.voting.as_ref().is_some_and(|voting| voting.in_flight.is_some())
            || self.due_ballot().is_some()
    }

    /// Returns how long until a ballot that is due may be sent.
    pub(super) fn votes_in(&self) -> Option<Duration> {
        let due = self.due_ballot()?;
        let wait = self.voting.as_ref()?.wait(due, self.now);
        Some(wait.max(self.health.wait(Access::Write, self.now))).filter(|wait| !wait.is_zero())
    }

    /// Returns the epoch in which this process votes; `None` if it may not: the circuit is not
    /// closed, or the store has not shown that it is.
    #[expect(clippy::option_option, reason = "a record that is absent is an epoch as well")]
    fn vote_epoch(&self) -> Option<Option<i64>> {
        self.cache.at?;
        if !matches!(self.phase, Phase::Closed { .. }) {
            return None;
        }
        match self.cache.record() {
            None => Some(None),
            Some(record) if is_closed(record) => Some(record.expires_at.valid().copied()),
            Some(_) => None,
        }
    }

    fn may_send(&self, due: Due) -> bool {
        self.health.is_usable(Access::Write, self.now)
            && self.voting.as_ref().is_some_and(|it| it.wait(due, self.now) == Duration::ZERO)
    }

    /// Returns `true` if a vote has to be preceded by a read: most of a fleet finds then that the
    /// circuit is open, and does not vote.
    fn looks_before(&self, due: Due) -> bool {
        let has_looked = self.voting.as_ref().is_some_and(|voting| voting.has_looked);
        if due == Due::Withdrawal || has_looked {
            return has_looked && self.request.in_flight.is_some();
        }
        !self.cache.last_read_unanswered
            && self.cache.is_older_than(AGE_BEFORE_A_TRIP, self.now)
            && self.health.is_usable(Access::Read, self.now)
    }

    fn send(&mut self, due: Due) {
        let Some(epoch) = self.vote_epoch() else { return };
        let window = self.config.votes().map_or(Duration::ZERO, |rule| rule.window);
        let (now, limit) = (self.now, self.config.store_timeout());
        let Some(voting) = &mut self.voting else { return };
        let voter = match &voting.voter {
            Some((voter, its)) if *its == epoch => Arc::clone(voter),
            Some(_) | None => self.entropy.token().as_str().into(),
        };
        voting.voter = Some((Arc::clone(&voter), epoch));
        voting.has_looked = false;
        let mut over = std::mem::take(&mut voting.over);
        // Its own is there if it was shown too old.
        over.retain(|it| *it != voter);
        let (voter, vote) = match due {
            Due::Vote(at) => {
                let has_cleaned = over.len() >= TOO_MANY_OVER;
                let (is_answered, is_leaving) = (false, false);
                voting.cast = Some(Cast { at, epoch, is_answered, is_leaving, has_cleaned });
                voting.voted_at = Some(now);
                (voter, Vote::new(at, epoch))
            }
            Due::Withdrawal => {
                if let Some(cast) = &mut voting.cast {
                    cast.is_leaving = true;
                }
                let mark = withdrawal_of(&voter);
                over.push(voter);
                (mark, Vote::new(now, epoch))
            }
        };
        let is_vote = matches!(due, Due::Vote(_));
        voting.in_flight = Some(InFlight { started_at: now, limit, is_vote });
        let expires_at = now.unix_ceil(window.saturating_add(TTL_SLACK));
        self.effects.push(Effect::Vote(Arc::new(Ballot { voter, vote, over, expires_at })));
    }
}
