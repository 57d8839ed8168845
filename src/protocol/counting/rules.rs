//! The rules that trip a circuit, each with the failures that stand for it.
//!
//! Exact without a list of good calls: a window knows the places of its failures, and the
//! distance of two places is the number of good calls between them.

mod following;

use std::{collections::VecDeque, time::Duration};

use super::{COUNT_MASK, distance, voting::VotingStreak};
use crate::{
    config::{Config, Rule, RuleKind, Share},
    protocol::moment::Moment,
    transition::Cause,
};

/// A rule that tripped, and the failures that it counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tripped {
    pub(super) cause: Cause,
    pub(super) count: u64,
}

/// All rules of a circuit.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    in_a_row: InARow,
    others: Vec<(Rule, Window)>,
    /// Trips nothing by itself. Boxed: few circuits vote.
    voting: Option<Box<VotingStreak>>,
}

impl Rules {
    /// The rules of these settings.
    pub(crate) fn new(config: &Config) -> Self {
        let threshold = config.failure_threshold().get();
        let in_a_row = InARow::new(threshold, config.failure_window());
        let window = |rule: &Rule| Some((*rule, Window::new(*rule)?));
        let others = config.also_trip().iter().filter_map(window).collect();
        let voting = config.votes().map(|votes| Box::new(VotingStreak::new(votes)));
        Self { in_a_row, others, voting }
    }

    /// Makes the rule `failure_threshold` alone.
    #[cfg(test)]
    pub(super) fn in_a_row(threshold: u64) -> Self {
        Self { in_a_row: InARow::new(threshold, None), others: Vec::new(), voting: None }
    }

    /// Counts a failure towards the vote of this process. Returns `true` if it is to vote.
    pub(super) fn vote(&mut self, failure: Failure) -> bool {
        self.voting.as_mut().is_some_and(|voting| voting.failure(failure))
    }

    /// Returns `true` if one of the rules is of votes.
    pub(super) fn has_votes(&self) -> bool {
        self.voting.is_some()
    }

    /// Returns when the last failure came of a streak that votes, and that still stands.
    pub(super) fn votes_since(&self) -> Option<Moment> {
        self.voting.as_ref()?.reached_at()
    }

    /// Counts a failure in every window. Returns the first rule that trips.
    pub(super) fn failure(&mut self, failure: Failure) -> Option<Tripped> {
        let in_a_row = self.in_a_row.failure(failure);
        let threshold = in_a_row.map(|count| Tripped { cause: Cause::FailureThreshold, count });
        self.others.iter_mut().fold(threshold, |tripped, (rule, window)| {
            let count = window.failure(failure);
            tripped.or_else(|| Some(Tripped { cause: Cause::Rule(*rule), count: count? }))
        })
    }

    /// Drops failures that cannot count any more if the next failure has this place, or a later
    /// one, and comes at this moment or later.
    pub(super) fn forget_past(&mut self, next: Failure) {
        self.in_a_row.forget_past(next);
        for (_, window) in &mut self.others {
            window.forget_past(next);
        }
        if let Some(voting) = &mut self.voting {
            voting.forget_past(next);
        }
    }

    /// Goes on with a count of good calls that begins at zero again.
    pub(super) fn carry_over(&mut self, last_place: u64) {
        // A thread that counts in the next epoch already is missing from the last sum. No failure
        // lies ahead of it.
        let newest = self.in_a_row.newest_place().into_iter();
        let newest =
            newest.chain(self.others.iter().filter_map(|(_, window)| window.newest_place()));
        let newest = newest.chain(self.voting.iter().filter_map(|voting| voting.newest_place()));
        let last_place = newest.fold(last_place, |last_place, place| {
            if distance(last_place, place) > COUNT_MASK / 2 { place } else { last_place }
        });
        self.in_a_row.carry_over(last_place);
        for (_, window) in &mut self.others {
            window.carry_over(last_place);
        }
        if let Some(voting) = &mut self.voting {
            voting.carry_over(last_place);
        }
    }

    /// Returns `true` if a failure stands in any window.
    pub(super) fn stands(&self) -> bool {
        self.in_a_row.stands()
            || self.others.iter().any(|(_, window)| window.stands())
            || self.voting.as_ref().is_some_and(|voting| voting.stands())
    }

    /// Returns `true` if a failure stands for a rule that has to know of good calls.
    pub(super) fn need_good_calls(&self) -> bool {
        let needs = |window: &Window| window.stands() && !matches!(window, Window::Within { .. });
        self.in_a_row.stands()
            || self.others.iter().any(|(_, window)| needs(window))
            || self.voting.as_ref().is_some_and(|voting| voting.stands())
    }

    /// Returns the number of failures in a row; those of a `failure_window` alone, if there is one.
    pub(super) fn streak(&self) -> u64 {
        self.in_a_row.len()
    }

    /// Returns the number of entries that are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        let others = self.others.iter().map(|(_, window)| match window {
            Window::OfLast { standing, .. } | Window::Within { standing, .. } => standing.len(),
            Window::Rate { buckets, .. } => buckets.len(),
        });
        others.sum::<usize>().saturating_add(1)
    }

    pub(super) fn clear(&mut self) {
        self.in_a_row.clear();
        for (_, window) in &mut self.others {
            window.clear();
        }
        if let Some(voting) = &mut self.voting {
            voting.clear();
        }
    }
}

/// The place and the moment of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) place: u64,
    pub(super) at: Moment,
}

impl Failure {
    /// Returns the same failure, where places are counted from `zero`. It may lie before it.
    pub(super) fn seen_from(self, zero: u64) -> Self {
        Self { place: self.place.wrapping_sub(zero) & COUNT_MASK, ..self }
    }
}

/// `failure_threshold` failures in a row: all that stand have the same place.
#[derive(Clone, Debug)]
pub(super) enum InARow {
    /// However far apart.
    AnyTime { threshold: u64, run: Option<(u64, u64)> },
    /// Within a time: the latest failures of one place, no more than can trip.
    WithinTime { threshold: u64, window: Duration, run: VecDeque<Failure> },
}

impl InARow {
    pub(super) fn new(threshold: u64, window: Option<Duration>) -> Self {
        match window {
            None => Self::AnyTime { threshold, run: None },
            Some(window) => Self::WithinTime { threshold, window, run: VecDeque::new() },
        }
    }

    pub(super) fn failure(&mut self, failure: Failure) -> Option<u64> {
        self.forget_past(failure);
        let threshold = match self {
            Self::AnyTime { threshold, run } => {
                let before = run.map_or(0, |(_, count)| count);
                *run = Some((failure.place, before.saturating_add(1)));
                *threshold
            }
            Self::WithinTime { threshold, run, .. } => {
                run.push_back(failure);
                // A streak that votes goes on, and needs no more than its last failures.
                if length(run) > *threshold {
                    run.pop_front();
                }
                *threshold
            }
        };
        Some(self.len()).filter(|count| *count >= threshold)
    }

    pub(super) fn forget_past(&mut self, next: Failure) {
        match self {
            Self::AnyTime { run, .. } => *run = run.filter(|(place, _)| *place == next.place),
            Self::WithinTime { window, run, .. } => {
                drop_while(run, |past| {
                    past.place != next.place || next.at.since(past.at) > *window
                });
            }
        }
    }

    pub(super) fn carry_over(&mut self, last_place: u64) {
        match self {
            Self::AnyTime { run, .. } => {
                *run = run.filter(|(place, _)| *place == last_place).map(|(_, count)| (0, count));
            }
            Self::WithinTime { run, .. } => {
                run.retain(|failure| failure.place == last_place);
                run.iter_mut().for_each(|failure| *failure = failure.seen_from(last_place));
            }
        }
    }

    pub(super) fn newest_place(&self) -> Option<u64> {
        match self {
            Self::AnyTime { run, .. } => run.map(|(place, _)| place),
            Self::WithinTime { run, .. } => run.back().map(|failure| failure.place),
        }
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::AnyTime { run, .. } => run.map_or(0, |(_, count)| count),
            Self::WithinTime { run, .. } => length(run),
        }
    }

    pub(super) fn stands(&self) -> bool {
        self.len() > 0
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::AnyTime { run, .. } => *run = None,
            Self::WithinTime { run, .. } => run.clear(),
        }
    }
}

/// What a [`Rule`] remembers.
#[derive(Clone, Debug)]
enum Window {
    OfLast { failures: u64, good_between: u64, standing: VecDeque<Failure> },
    Within { failures: u64, window: Duration, standing: VecDeque<Failure> },
    Rate { share: Share, window: Duration, at_least: u64, buckets: VecDeque<Bucket> },
}

impl Window {
    /// The window of a rule that counts for one process; `None` for votes.
    fn new(rule: Rule) -> Option<Self> {
        Some(match rule.0 {
            RuleKind::OfLast { failures, calls } => Self::OfLast {
                failures: failures.into(),
                good_between: calls.saturating_sub(failures).into(),
                standing: VecDeque::new(),
            },
            RuleKind::Within { failures, window } => {
                Self::Within { failures: failures.into(), window, standing: VecDeque::new() }
            }
            RuleKind::Rate { share, window, at_least } => {
                Self::Rate { share, window, at_least: at_least.into(), buckets: VecDeque::new() }
            }
            RuleKind::Votes { .. } => return None,
        })
    }

    /// Counts a failure. Returns how many it has counted, if they trip the circuit.
    fn failure(&mut self, failure: Failure) -> Option<u64> {
        self.forget_past(failure);
        match self {
            // As many failures lie within as many calls if and only if no more good calls than
            // the rest came between the first and the last of them: others were forgotten.
            Self::OfLast { failures, standing, .. } | Self::Within { failures, standing, .. } => {
                standing.push_back(failure);
                let counted = length(standing);
                (counted >= *failures).then_some(counted)
            }
            Self::Rate { share, window, at_least, buckets } => {
                Bucket::add(buckets, failure, *window);
                let counted =
                    buckets.iter().fold(0, |sum: u64, bucket| sum.saturating_add(bucket.failures));
                let good =
                    buckets.front().map_or(0, |oldest| distance(failure.place, oldest.first.place));
                let calls = counted.saturating_add(good);
                (calls >= *at_least && share.is_reached(counted, calls)).then_some(counted)
            }
        }
    }

    fn forget_past(&mut self, next: Failure) {
        match self {
            Self::OfLast { good_between, standing, .. } => {
                drop_while(standing, |past| distance(next.place, past.place) > *good_between);
            }
            Self::Within { window, standing, .. } => {
                drop_while(standing, |past| next.at.since(past.at) > *window);
            }
            Self::Rate { window, buckets, .. } => {
                drop_while(buckets, |past| next.at.since(past.first.at) > *window);
            }
        }
    }

    fn carry_over(&mut self, last_place: u64) {
        match self {
            Self::OfLast { standing, .. } | Self::Within { standing, .. } => {
                standing.iter_mut().for_each(|past| *past = past.seen_from(last_place));
            }
            Self::Rate { buckets, .. } => {
                buckets.iter_mut().for_each(|past| past.first = past.first.seen_from(last_place));
            }
        }
    }

    /// Returns the place of the newest failure, or of one that is not much older.
    fn newest_place(&self) -> Option<u64> {
        match self {
            Self::OfLast { standing, .. } | Self::Within { standing, .. } => {
                standing.back().map(|failure| failure.place)
            }
            Self::Rate { buckets, .. } => buckets.back().map(|bucket| bucket.first.place),
        }
    }

    fn stands(&self) -> bool {
        match self {
            Self::OfLast { standing, .. } | Self::Within { standing, .. } => !standing.is_empty(),
            Self::Rate { buckets, .. } => !buckets.is_empty(),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::OfLast { standing, .. } | Self::Within { standing, .. } => standing.clear(),
            Self::Rate { buckets, .. } => buckets.clear(),
        }
    }
}

/// The parts of the window of a rate.
const BUCKETS: u32 = 16;

/// The failures of a sixteenth of the window of a rate.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    first: Failure,
    failures: u64,
}

impl Bucket {
    /// Adds a failure to the last bucket, or to a new one. There are 17 at most, since each begins
    /// a sixteenth after the one before.
    fn add(buckets: &mut VecDeque<Self>, failure: Failure, window: Duration) {
        let span = window.checked_div(BUCKETS).unwrap_or(window);
        match buckets.back_mut().filter(|last| failure.at.since(last.first.at) < span) {
            Some(last) => last.failures = last.failures.saturating_add(1),
            None => buckets.push_back(Self { first: failure, failures: 1 }),
        }
    }
}

fn drop_while<T>(past: &mut VecDeque<T>, is_over: impl Fn(&T) -> bool) {
    while past.front().is_some_and(&is_over) {
        past.pop_front();
    }
}

fn length<T>(failures: &VecDeque<T>) -> u64 {
    u64::try_from(failures.len()).unwrap_or(u64::MAX)
}
