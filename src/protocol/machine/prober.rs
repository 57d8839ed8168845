//! The holder of the right to probe, and its lease.

use std::{num::NonZeroU64, time::Duration};

use crate::{config::Config, protocol::moment::Moment, protocol::record::LeaseToken};

/// One probe of this process; numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProbeId(NonZeroU64);

impl ProbeId {
    pub(crate) const FIRST: Self = Self(NonZeroU64::MIN);

    pub(super) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number, for the places that can only hold a number.
    pub(crate) fn get(self) -> u64 {
        self.0.get()
    }

    /// Reads a number back; `None` for zero.
    pub(crate) fn from_number(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }
}

/// The numbers of this process's probes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probes {
    last: ProbeId,
    /// The last probe that a freeze of the process may have cut off.
    cut_off: Option<ProbeId>,
}

impl Probes {
    pub(super) const NONE: Self = Self { last: ProbeId::FIRST, cut_off: None };

    pub(super) fn next(&mut self) -> ProbeId {
        self.last = self.last.next();
        self.last
    }

    /// Marks all probes that were started so far as cut off by a freeze.
    pub(super) fn cut_off(&mut self) {
        self.cut_off = Some(self.last);
    }

    pub(super) fn is_cut_off(&self, probe: Option<ProbeId>) -> bool {
        // Numbers grow, and `None` is less than all of them.
        probe <= self.cut_off
    }
}

/// The moment at which this process may elect itself, among all that are due by one stamp.
///
/// Without a spread, 8,000 processes would elect themselves in the same second. Most of them
/// read first and find the winner; the spread keeps them from reading before it has won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// After this many 65,536ths of `election_spread`.
    Drawn(u16),
    /// After all others: this process wrote the opening, or fails where others do not. It
    /// is the one whose own way to the dependency is most likely broken, and its probe would
    /// then fail for the fleet.
    Last,
}

impl Turn {
    /// Returns the delay after the first moment at which a process may be elected.
    pub(super) fn wait(self, config: &Config) -> Duration {
        let spread = config.election_spread();
        match self {
            Self::Drawn(share) => {
                let share = spread.saturating_mul(u32::from(share));
                share.checked_div(1 << 16).unwrap_or_default()
            }
            Self::Last if spread == Duration::ZERO => Duration::ZERO,
            // The configuration refuses a spread longer than one `handoff`.
            Self::Last => config.handoff(),
        }
    }
}

/// The holder of the right to probe. Boxed: few circuits are probed.
#[derive(Clone, Debug)]
pub(super) enum Prober {
    /// This process, under a lease that the store knows.
    Us(Box<OurLease>),
    /// Another process.
    Other(Box<OtherLease>),
    /// No process: this one gave the right back, or the record is gone.
    Nobody {
        /// When this process gave it back.
        gave_back_at: Option<Box<Moment>>,
    },
    /// This process, without the store.
    Offline(Box<OfflineProbes>),
}

/// The lease of another process. Its length is measured by this process's own clock, since
/// the clock of the other may be wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct OtherLease {
    /// Since when the record shows the lease unchanged.
    pub(super) since: Moment,
    /// Since when the circuit is known to be half-open under this owner.
    pub(super) first_seen: Moment,
    pub(super) turn: Turn,
}

/// The probes that this process runs without the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfflineProbes {
    pub(super) successes: u64,
    /// The probe that runs.
    pub(super) probe: Option<RunningProbe>,
    /// True if the store works, but this process fails where others do not.
    pub(super) refuted: bool,
}

/// The lease of this process.
///
/// Its length counts from the sending of the write, and not from the response: the store may
/// have applied the write at once, and others count from then. Counted from a response that
/// took a second, this process would still probe after another has taken over.
#[derive(Clone, Debug)]
pub(super) struct OurLease {
    pub(super) token: LeaseToken,
    /// When the write that set the lease was sent.
    pub(super) written_at: Moment,
    /// From when its length counts: `written_at`, or later where the stamp, which was rounded
    /// up, covers a whole lease from later on.
    pub(super) leased_at: Moment,
    /// Good probes in a row, those of earlier holders included.
    pub(super) successes: u64,
    pub(super) stage: Stage,
    /// Since when the right is kept for the next call, without a probe that counted. After
    /// one `handoff` it is given back.
    pub(super) kept_since: Option<Moment>,
    /// When this process last gave the right back, under an older token.
    pub(super) gave_back_at: Option<Moment>,
}

impl OurLease {
    /// Makes the lease that an election or a take-over has won.
    pub(super) fn won(token: LeaseToken, leased_at: Moment, successes: u64) -> Self {
        Self {
            token,
            written_at: leased_at,
            leased_at,
            successes,
            stage: Stage::Ready,
            kept_since: None,
            gave_back_at: None,
        }
    }

    /// Makes the lease that this process held before the store was out. It may have ended
    /// meanwhile, so that it is renewed before the next probe.
    pub(super) fn resumed(token: LeaseToken, leased_at: Moment, successes: u64) -> Self {
        Self { stage: Stage::HandedOver, ..Self::won(token, leased_at, successes) }
    }

    /// Returns `true` if the lease has not ended, by both clocks of this process: one that was
    /// frozen must not take a lease that has ended for its own.
    pub(super) fn is_live(&self, now: Moment, config: &Config) -> bool {
        now.is_within(self.leased_at, config.probe_lease())
    }

    /// Returns how much of its length is left, by the clock that moved further.
    pub(super) fn left(&self, now: Moment, config: &Config) -> Duration {
        config.probe_lease().saturating_sub(now.since(self.leased_at))
    }

    /// Takes a renewal that was applied. The lease counts from the sending: a response that
    /// came late must not let this process probe after others may have taken over.
    pub(super) fn renew(&mut self, sent_at: Moment, starts_probe: bool) {
        self.written_at = sent_at;
        self.leased_at = sent_at;
        if starts_probe {
            self.stage = Stage::Ready;
        }
    }

    /// Counts a good probe, and returns the number of them in a row.
    pub(super) fn count_success(&mut self) -> u64 {
        self.kept_since = None;
        self.successes = self.successes.saturating_add(1);
        self.successes
    }

    /// Keeps the right for the next call from now on, if it is not kept already. Returns since
    /// when it is.
    pub(super) fn keep(&mut self, now: Moment) -> Moment {
        *self.kept_since.get_or_insert(now)
    }

    /// Returns how much longer the right is kept for the next call, if it is: `stays_for` in
    /// all. A probe that runs, or a verdict that is being written, keeps it anyway.
    pub(super) fn kept_for(&self, now: Moment, stays_for: Duration) -> Option<Duration> {
        let since = self.kept_since.filter(|_| self.stage == Stage::Ready)?;
        Some(stays_for.saturating_sub(now.since(since)))
    }
}

/// The stage of the holder of the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The next call may be the probe.
    Ready,
    /// A probe runs.
    Probing(RunningProbe),
    /// A verdict is being written.
    Settling,
    /// The right is handed over to the process that is first: others may take it over after
    /// one `handoff`, so that this process renews its lease before it probes again.
    HandedOver,
}

/// A call of this process that runs as a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RunningProbe {
    pub(super) id: ProbeId,
    pub(super) started_at: Moment,
    /// When its holder last said that it is alive.
    pub(super) alive_at: Moment,
}

impl Prober {
    /// Returns the probe that this process runs.
    pub(super) fn running(&self) -> Option<RunningProbe> {
        match self {
            Self::Us(lease) => match lease.stage {
                Stage::Probing(probe) => Some(probe),
                Stage::Ready | Stage::Settling | Stage::HandedOver => None,
            },
            Self::Offline(offline) => offline.probe,
            Self::Other(_) | Self::Nobody { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease() -> OurLease {
        OurLease::won(LeaseToken::new("token"), Moment::of_seconds(500, 1_000), 0)
    }

    #[test]
    fn a_lease_is_live_while_both_clocks_say_so_and_ends_when_one_does() {
        let (lease, config) = (lease(), Config::default());
        let length = config.probe_lease();
        let begun_at = lease.leased_at;
        let almost = begun_at.later(length.saturating_sub(Duration::from_millis(1)));
        assert!(lease.is_live(almost, &config) && lease.left(almost, &config) > Duration::ZERO);
        // The monotonic clock stands still while the process is frozen.
        let thawed = begun_at.moved(0, 3_600_000);
        assert!(!lease.is_live(thawed, &config));
        assert_eq!(lease.left(thawed, &config), Duration::ZERO);
        // A wall clock that was set back shows no age at all.
        assert!(!lease.is_live(begun_at.moved(0, -1), &config));
    }

    #[test]
    fn a_renewal_counts_from_its_sending_and_only_one_that_starts_a_probe_readies_it() {
        let mut lease = OurLease { stage: Stage::HandedOver, ..lease() };
        let sent_at = lease.leased_at.later(Duration::from_secs(7));
        lease.renew(sent_at, false);
        assert_eq!(
            (lease.leased_at, lease.written_at, lease.stage),
            (sent_at, sent_at, Stage::HandedOver)
        );
        lease.renew(sent_at, true);
        assert_eq!(lease.stage, Stage::Ready);
    }

    #[test]
    fn a_right_is_kept_from_the_first_probe_without_a_verdict_until_one_is_good() {
        let mut lease = lease();
        let (begun_at, second) = (lease.leased_at, Duration::from_secs(1));
        assert_eq!(lease.kept_for(begun_at, second), None);
        lease.keep(begun_at);
        lease.keep(begun_at.later(second));
        let later = begun_at.later(Duration::from_millis(400));
        assert_eq!(lease.kept_for(later, second), Some(Duration::from_millis(600)));
        assert_eq!(lease.kept_for(begun_at.later(second * 2), second), Some(Duration::ZERO));
        lease.stage = Stage::Settling;
        assert_eq!(lease.kept_for(later, second), None, "its verdict is being written");
        assert_eq!((lease.count_success(), lease.kept_since), (1, None));
    }

    #[test]
    fn a_probe_is_cut_off_if_it_was_begun_before_the_freeze() {
        let mut probes = Probes::NONE;
        let (first, second) = (probes.next(), probes.next());
        assert!(!probes.is_cut_off(Some(first)));
        probes.cut_off();
        let third = probes.next();
        assert!(probes.is_cut_off(Some(first)) && probes.is_cut_off(Some(second)));
        assert!(!probes.is_cut_off(Some(third)));
    }
}
