//! The votes of a circuit: which processes fail now. They lie beside its record, which other
//! programs replace as a whole.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc, time::Duration};

use crate::protocol::moment::{Moment, millis};

/// The vote of one process: its calls failed in a row, and it has seen no good call since.
///
/// As text it is the time and the epoch, `1700000000123 1700003630`, or `-` for no epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vote {
    /// When the last of the failures came, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The `expiration` of the closed record in which the failures were counted; `None` if there
    /// was no record. Each closing sets another.
    pub epoch: Option<i64>,
}

impl Vote {
    /// A vote that counts for nothing, and may be removed: what is stored in place of a vote that
    /// cannot be read.
    pub const OVER: Self = Self { at_ms: i64::MIN, epoch: None };

    /// The vote for failures of which the last came at this moment.
    pub(crate) fn new(at: Moment, epoch: Option<i64>) -> Self {
        Self { at_ms: fleet_ms(at), epoch }
    }

    /// Returns `true` if the vote is not older than the window, nor further ahead than that: by
    /// the clock of the fleet.
    pub(crate) fn is_within(self, window: Duration, now: Moment) -> bool {
        u128::from(fleet_ms(now).abs_diff(self.at_ms)) <= window.as_millis()
    }
}

fn fleet_ms(moment: Moment) -> i64 {
    i64::try_from(millis(moment.fleet_time())).unwrap_or(i64::MAX)
}

impl fmt::Display for Vote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.epoch {
            Some(epoch) => write!(f, "{} {epoch}", self.at_ms),
            None => write!(f, "{} -", self.at_ms),
        }
    }
}

/// The text is no vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a vote is a time and an epoch, as in \"1700000000123 1700003630\"")]
pub struct NotAVote;

impl FromStr for Vote {
    type Err = NotAVote;

    fn from_str(text: &str) -> Result<Self, NotAVote> {
        let (at, epoch) = text.split_once(' ').ok_or(NotAVote)?;
        let number = |text: &str| text.parse::<i64>().map_err(|_| NotAVote);
        let epoch = if epoch == "-" { None } else { Some(number(epoch)?) };
        Ok(Self { at_ms: number(at)?, epoch })
    }
}

/// The votes of a circuit, by voter: text that is random for each vote of a process. A voter
/// followed by `!` is the mark that this voter has withdrawn.
pub type Votes = BTreeMap<Arc<str>, Vote>;

/// Casts the vote of one process, or marks that it has withdrawn, whatever the votes of others
/// are. To do so twice, or late, does what once does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// The voter, or its mark.
    pub voter: Arc<str>,
    /// Its vote from now on; of a mark, when it was made.
    pub vote: Vote,
    /// Voters that have withdrawn or are too old. They are removed, so that votes do not pile up.
    pub over: Vec<Arc<str>>,
    /// When the votes may be deleted if no other ballot follows, in seconds since the Unix epoch.
    pub expires_at: i64,
}

/// What the mark of a voter ends in. Voters do not.
const WITHDRAWN: char = '!';

impl Ballot {
    /// The most votes of others that one ballot removes.
    pub(crate) const MOST_OVER: usize = 100;

    /// Changes the votes as the ballot says.
    ///
    /// ```
    /// use fuseboard::store::{Ballot, Vote, Votes};
    ///
    /// let vote = Vote { at_ms: 1_700_000_000_123, epoch: Some(1_700_003_630) };
    /// let ballot = Ballot { voter: "a".into(), vote, over: Vec::new(), expires_at: 0 };
    /// let mut votes = Votes::new();
    /// ballot.apply(&mut votes);
    /// assert_eq!(votes["a"].to_string(), "1700000000123 1700003630");
    /// ```
    pub fn apply(&self, votes: &mut Votes) {
        for voter in &self.over {
            votes.remove(voter);
        }
        votes.insert(Arc::clone(&self.voter), self.vote);
    }
}

/// Returns the mark of a voter that has withdrawn. A vote that arrives after its withdrawal finds
/// it there, and counts for nothing; so a voter that has withdrawn never votes again.
pub(crate) fn withdrawal_of(voter: &str) -> Arc<str> {
    format!("{voter}{WITHDRAWN}").into()
}

/// Returns `true` if the entry is the vote of a voter that has not withdrawn.
pub(crate) fn is_standing(votes: &Votes, voter: &str) -> bool {
    !voter.ends_with(WITHDRAWN) && !votes.contains_key(&*withdrawal_of(voter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vote_is_read_as_it_is_written_and_nothing_else_is_one() {
        for vote in [
            Vote { at_ms: 1, epoch: None },
            Vote { at_ms: -1, epoch: Some(-2) },
            Vote { at_ms: i64::MAX, epoch: Some(i64::MIN) },
            Vote::OVER,
        ] {
            assert_eq!(vote.to_string().parse(), Ok(vote));
        }
        for text in ["", "1", "1 ", " 1", "1 2 3", "a 1", "1 b", "1  2", "9223372036854775808 1"] {
            assert_eq!(text.parse::<Vote>(), Err(NotAVote), "{text:?}");
        }
    }

    #[test]
    fn case_153_a_vote_that_arrives_after_its_withdrawal_counts_for_nothing() {
        let vote = Vote { at_ms: 1, epoch: None };
        let cast = Ballot { voter: "a".into(), vote, over: Vec::new(), expires_at: 0 };
        let withdrawn =
            Ballot { voter: withdrawal_of("a"), over: vec!["a".into()], ..cast.clone() };
        let mut votes = Votes::new();
        for (ballot, stands) in [(&cast, true), (&withdrawn, false), (&cast, false)] {
            ballot.apply(&mut votes);
            assert_eq!(votes.contains_key("a") && is_standing(&votes, "a"), stands, "{votes:?}");
        }
        assert!(!is_standing(&votes, "a!"), "a mark is no vote");
    }

    #[test]
    fn a_vote_stands_for_its_window_by_the_clock_of_the_fleet() {
        let window = Duration::from_secs(60);
        let vote = Vote::new(Moment::of_seconds(0, 1_000_000), None);
        assert!(vote.is_within(window, Moment::of_seconds(0, 1_000_060)));
        assert!(!vote.is_within(window, Moment::of_seconds(0, 1_000_061)));
        assert!(vote.is_within(window, Moment::of_seconds(0, 999_940)), "a clock that is behind");
        assert!(!vote.is_within(window, Moment::of_seconds(0, 999_939)), "years ahead");
        assert!(!Vote::OVER.is_within(window, Moment::of_seconds(0, 0)));
    }
}
