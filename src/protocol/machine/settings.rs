//! New settings for a circuit that runs.
//!
//! What is computed from stamps follows at once: waits, the age of the cache, the time that an
//! opening lasts. Three things were begun under the settings before, and end under them:
//!
//! | while | these stay | otherwise |
//! |---|---|---|
//! | this process holds the right to probe, or has asked for it | `probe_lease`, `probe_limit`, `handoff`, `election_spread` | a lease that is written for longer than its holder knows of is taken for free too early or too late |
//! | a store operation is in flight | `store_timeout` | an operation that takes longer than the new limit looks like a freeze |
//! | a ballot is under way | its `store_timeout` | the same |
//!
//! What that ballot shows is judged by the rule of votes that is in force when its answer comes. If
//! there is none any more, it trips nothing, and the vote is withdrawn.

use std::{sync::Arc, time::Duration};

use super::{
    Machine, StoreRequest,
    phase::{Phase, Recovery},
    prober::{OtherLease, Prober},
    storage::seconds_up,
};
use crate::{config::Config, protocol::moment::Moment, protocol::record::Operation};

/// What a machine knows of settings that are not in force. Most machines know of none.
#[derive(Clone, Debug)]
pub(super) struct Followed {
    /// The newest settings, which are in force as soon as nothing is under way that was begun
    /// under others.
    wanted: Arc<Config>,
    /// The longest `probe_lease` until now, in seconds.
    longest_lease: u32,
    /// The longest `recovery_timeout` until now, in seconds.
    longest_recovery: u32,
}

impl Followed {
    /// Keeps the longest lease and recovery timeout of the settings that are replaced.
    fn leave(&mut self, config: &Config) {
        self.longest_lease = self.longest_lease.max(seconds(config.probe_lease()));
        self.longest_recovery = self.longest_recovery.max(seconds(config.recovery_timeout()));
    }
}

/// Returns whole seconds, rounded up. No setting is longer than a year.
fn seconds(duration: Duration) -> u32 {
    u32::try_from(seconds_up(duration)).unwrap_or(u32::MAX)
}

impl Machine {
    /// Takes new settings. Changes no state, and loses no outcome: what they say of failures is
    /// the counting's to follow.
    pub(crate) fn reconfigure(&mut self, now: Moment, config: Arc<Config>) {
        // By the settings before: the time until now has passed under them.
        self.advance(now);
        match &mut self.followed {
            Some(followed) => followed.wanted = config,
            None => {
                let followed = Followed { wanted: config, longest_lease: 0, longest_recovery: 0 };
                self.followed = Some(Box::new(followed));
            }
        }
        self.follow_settings();
        // By a shorter recovery timeout a pending trip may be too old.
        self.advance(now);
        self.dispatch();
    }

    /// Returns the settings in force.
    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Returns the newest settings, of which some may not be in force yet.
    pub(crate) fn wanted_config(&self) -> &Arc<Config> {
        self.followed.as_ref().map_or(&self.config, |followed| &followed.wanted)
    }

    /// Brings as much of the newest settings into force as nothing speaks against.
    pub(super) fn follow_settings(&mut self) {
        let wanted = self.wanted_config();
        if Arc::ptr_eq(&self.config, wanted) {
            return;
        }
        let (is_prober, is_operating) = (self.is_or_may_be_prober(), self.is_operating());
        let config = if is_prober || is_operating {
            let mut config = Config::clone(wanted);
            if is_prober {
                config.keep_probe_settings(&self.config);
            }
            if is_operating {
                config.keep_store_timeout(&self.config);
            }
            if config == *self.config {
                return;
            }
            if config == **wanted { Arc::clone(wanted) } else { Arc::new(config) }
        } else {
            Arc::clone(wanted)
        };
        let before = std::mem::replace(&mut self.config, config);
        if let Some(followed) = &mut self.followed {
            followed.leave(&before);
        }
        self.measure_opening_anew(&before);
        self.keep_ramp();
    }

    /// Remembers what the machine before has remembered of settings.
    pub(super) fn follow_from(&mut self, before: &Self) {
        self.followed.clone_from(&before.followed);
        if let Some(followed) = &mut self.followed {
            followed.leave(&before.config);
        }
    }

    /// Returns `true` if this process holds the right to probe, or the store may give it to it.
    fn is_or_may_be_prober(&self) -> bool {
        let holds = matches!(
            &self.phase,
            Phase::HalfOpen(Recovery { prober: Prober::Us(_) | Prober::Offline(_), .. })
        );
        let asks = match self.request.in_flight.as_deref() {
            Some(StoreRequest::Write { operation, .. }) => matches!(
                **operation,
                Operation::Elect { .. }
                    | Operation::ElectAbsent { .. }
                    | Operation::TakeOver { .. }
            ),
            Some(StoreRequest::Read { .. }) | None => false,
        };
        holds || asks
    }

    /// Has an opening last as long as the settings say now, counted from its stamp.
    fn measure_opening_anew(&mut self, before: &Config) {
        if self.config.has_open_times_of(before) {
            return;
        }
        let (config, name) = (&self.config, self.name.as_str());
        let Phase::Open(opening) = &mut self.phase else {
            return;
        };
        let term = opening.term;
        opening.term.length = match (term.until, opening.opened_at) {
            _ if opening.held => config.recovery_timeout(),
            (Some(until), Some(opened_at)) => {
                let asked_for = u64::try_from(until.saturating_sub(opened_at)).unwrap_or(0).max(1);
                Duration::from_secs(asked_for).min(config.open_for_at_most())
            }
            (Some(_), None) => term.length,
            (None, opened_at) => {
                config.open_time(term.failed_probes, name, opened_at.unwrap_or_default())
            }
        };
    }

    /// Returns for how long an unchanged lease of another process is taken for live. Its length
    /// is that of its holder's settings, which may not be those of this process: while new ones
    /// come to one process after the other, either may have the longer one.
    ///
    /// So it is taken for live until its stamp is past, but for no longer than this process's
    /// `probe_limit`, nor than the longest lease that it has had itself. A stamp from a clock that
    /// is ahead then keeps the circuit half-open for as long as a probe that hangs, and no longer.
    pub(super) fn lease_of_other(&self, other: OtherLease, until: i64) -> Duration {
        let own = self.config.probe_lease();
        let longest = self.followed.as_ref().map_or(0, |followed| followed.longest_lease);
        let longest = self.config.probe_limit().max(Duration::from_secs(longest.into()));
        let until = Duration::from_secs(u64::try_from(until).unwrap_or(0));
        let until = until.saturating_add(self.config.max_clock_skew());
        own.max(until.saturating_sub(other.since.fleet_time()).min(longest))
    }

    /// Returns how long a record lives at the most that no lease or hold lengthens, in whole
    /// seconds, if it was written under settings of now or before.
    pub(super) fn longest_life(&self) -> i64 {
        let longest = self.followed.as_ref().map_or(0, |followed| followed.longest_recovery);
        self.life().max(self.life_after(Duration::from_secs(longest.into())))
    }
}
