//! How long openings last, how gently a closing is followed, which calls are slow, and how often a
//! call asks for an open time: what a seed draws of these for each process.

use std::time::Duration;

use fuseboard::{Backoff, Config, ConfigBuilder};

use super::{dice::Dice, item::Item};

const SECOND: Duration = Duration::from_secs(1);

/// The limit on what calls ask for, where none is set.
const DEFAULT_MOST: Duration = Duration::from_secs(600);

/// The numbers of a back-off, which its settings do not show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedBackoff {
    factor: f64,
    at_most: Duration,
    jitter: f64,
    pub(crate) forget_after: Duration,
}

/// What one process has. By default nothing, as before there was any of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lengths {
    pub(crate) backoff: Option<PlannedBackoff>,
    pub(crate) ramp: Option<Duration>,
    open_for_at_most: Option<Duration>,
    pub(crate) slow_after: Option<Duration>,
    /// How many of a hundred failing calls ask for an open time.
    pub(crate) asks: u64,
}

impl Lengths {
    /// Draws what a fleet has. Most fleets of some seeds have nothing.
    pub(crate) fn of_fleet(dice: &mut Dice, recovery: Duration) -> Self {
        if !dice.chance(60) {
            return Self::default();
        }
        // Not much longer than a short recovery time, so that more happens in a run.
        let longest = recovery.max(Duration::from_secs(12));
        let backoff = PlannedBackoff {
            factor: dice.pick(&[1.0, 1.5, 2.0, 2.0, 3.0]),
            at_most: (recovery * dice.pick(&[1, 2, 4, 8])).min(longest),
            jitter: dice.pick(&[0.0, 0.2, 0.5]),
            forget_after: Duration::from_secs(dice.pick(&[0, 2, 5, 600])),
        };
        let most = dice.pick(&[recovery, recovery + 3 * SECOND, longest]);
        let ramp = Duration::from_millis(dice.pick(&[1_000, 2_000, 5_000, 12_000, 40_000]));
        let slow_after = Duration::from_millis(dice.pick(&[300, 800, 2_000]));
        Self {
            backoff: dice.chance(65).then_some(backoff),
            ramp: dice.chance(60).then_some(ramp),
            open_for_at_most: Some(most),
            slow_after: dice.chance(40).then_some(slow_after),
            asks: dice.pick(&[0, 0, 10, 50]),
        }
    }

    /// Draws what one process of a mixed fleet has of it: some have no back-off, no ramp or another
    /// one, or believe longer or shorter asks.
    pub(crate) fn of_one(&self, dice: &mut Dice, recovery: Duration) -> Self {
        let ramp = Duration::from_millis(dice.pick(&[1_000, 3_000, 20_000]));
        let most = recovery + dice.ms(0, 8_000);
        Self {
            backoff: self.backoff.filter(|_| dice.chance(50)),
            ramp: if dice.chance(30) { Some(ramp) } else { self.ramp.filter(|_| dice.chance(50)) },
            open_for_at_most: self.open_for_at_most.map(|own| dice.pick(&[own, most])),
            slow_after: self.slow_after.filter(|_| dice.chance(60)),
            asks: if dice.chance(50) { self.asks } else { 0 },
        }
    }

    /// Draws for how long a failing call asks, if it does.
    pub(crate) fn ask(&self, dice: &mut Dice) -> Option<Duration> {
        let century = Duration::from_secs(100 * 365 * 86_400);
        let ask = [Duration::ZERO, Duration::from_millis(1_500), 3 * SECOND, 8 * SECOND, century];
        (self.asks > 0 && dice.chance(self.asks)).then(|| dice.pick(&ask))
    }

    /// These on other settings.
    pub(crate) fn over(&self, config: &Config) -> Config {
        let recovery = config.recovery_timeout();
        let mut builder = builder_of(config);
        if let Some(backoff) = self.backoff {
            let PlannedBackoff { factor, at_most, jitter, forget_after } = backoff;
            let backoff = Backoff::exponential(factor).at_most(at_most.max(recovery));
            builder = builder.open_backoff(backoff.jitter(jitter).forget_after(forget_after));
        }
        if let Some(ramp) = self.ramp {
            builder = builder.ramp(ramp);
        }
        if let Some(most) = self.open_for_at_most {
            builder = builder.open_for_at_most(most.max(recovery));
        }
        if let Some(slow_after) = self.slow_after {
            builder = builder.slow_after(slow_after);
        }
        builder.build().unwrap()
    }

    /// The longest time in whole seconds that this process believes or writes of what calls ask for.
    pub(crate) fn longest_ask(&self, recovery: Duration) -> Duration {
        let most = self.open_for_at_most.unwrap_or(DEFAULT_MOST).max(recovery);
        Duration::from_secs(most.as_secs() + u64::from(most.subsec_nanos() > 0))
    }

    /// How long an opening lasts for this process, at the least and at the most, if others have not
    /// shown it another one.
    pub(crate) fn open_time(&self, recovery: Duration, item: &Item) -> (Duration, Duration) {
        let asked = item.open_until.zip(item.opened_at).map(|(until, at)| until - at);
        if let Some(seconds) = asked.and_then(|asked| u64::try_from(asked).ok()) {
            let most = self.longest_ask(recovery);
            let asked = Duration::from_secs(seconds);
            // The reader's own limit need not be whole seconds.
            return (
                asked.min(most.saturating_sub(SECOND)).max(asked.min(SECOND)),
                asked.min(most),
            );
        }
        let Some(backoff) = self.backoff else {
            return (recovery, recovery);
        };
        let failed = i32::try_from(item.failed_probes.unwrap_or(0)).unwrap_or(i32::MAX);
        let grown = recovery.as_secs_f64() * backoff.factor.powi(failed);
        let least = grown.min(backoff.at_most.max(recovery).as_secs_f64());
        let most = least * (1.0 + backoff.jitter);
        (Duration::from_secs_f64(least), Duration::from_secs_f64(most) + Duration::from_millis(1))
    }

    /// The longest that an opening lasts for this process, whatever others show it.
    pub(crate) fn longest(&self, recovery: Duration, is_asked: bool) -> Duration {
        let backoff = self.backoff.map(|it| it.at_most.max(recovery).mul_f64(1.0 + it.jitter));
        let asked = if is_asked { self.longest_ask(recovery) } else { Duration::ZERO };
        recovery.max(backoff.unwrap_or_default()).max(asked)
    }
}

/// The settings that a plan draws, to be gone on from.
fn builder_of(config: &Config) -> ConfigBuilder {
    let count = |number: u64| u32::try_from(number).unwrap();
    Config::builder()
        .failure_threshold(count(config.failure_threshold().get()))
        .success_threshold(count(config.success_threshold().get()))
        .recovery_timeout(config.recovery_timeout())
        .probe_lease(config.probe_lease())
        .local_cache_max_age(config.local_cache_max_age())
        .on_store_outage(config.on_store_outage())
}
