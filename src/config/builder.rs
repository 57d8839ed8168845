//! Builds settings, and checks them.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use super::{Backoff, Config, OnStoreOutage, Rule, SECOND, check::check};
use crate::error::ConfigError;

/// Builds a [`Config`]; settings that are not set keep their defaults.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ConfigBuilder {
    failure_threshold: u32,
    success_threshold: u32,
    probe_lease: Option<Duration>,
    handoff: Option<Duration>,
    config: Config,
}

impl Default for ConfigBuilder {
    fn default() -> Self {
        Self {
            failure_threshold: 5,
            success_threshold: 3,
            probe_lease: None,
            handoff: None,
            config: Config::default(),
        }
    }
}

impl ConfigBuilder {
    /// Sets the number of consecutive counted failures in one process that trip the circuit.
    /// Default 5; at least 1.
    pub fn failure_threshold(mut self, failures: u32) -> Self {
        self.failure_threshold = failures;
        self
    }

    /// Sets the time within which the `failure_threshold` failures in a row have to lie. Default
    /// none: however far apart they are, as in the reference. 1 ms to 1 day; with it
    /// `failure_threshold` is at most 10,000.
    pub fn failure_window(mut self, window: Duration) -> Self {
        self.config.failure_window = Some(window);
        self
    }

    /// Adds a rule that trips the circuit as well. The circuit trips as soon as
    /// `failure_threshold` or any rule says so: for a rule alone, set that to `u32::MAX`. Default
    /// none; at most 4.
    pub fn also_trip(mut self, rule: impl Into<Rule>) -> Self {
        self.config.also_trip.push(rule.into());
        self
    }

    /// Sets the time after which a call that runs is a failure, at that moment and not when it
    /// ends. Default none: a call that hangs is no failure until it ends. 1 ms to 1 day.
    ///
    /// The call goes on, and its caller gets its result. Its end says nothing more: a good end does
    /// not end the row of failures. A call that is dropped later has counted; one that is dropped
    /// before is what [`count_cancelled`](Self::count_cancelled) says. A probe that is slow has
    /// failed, and reopens the circuit. A call during which the process was
    /// frozen, for 3 s or more and within its first minute, is not slow.
    ///
    /// It holds for every call that the crate runs: [`call`](crate::Breaker::call) and its
    /// variants, [`call_within`](crate::Breaker::call_within), which cuts the call at its own
    /// limit, [`Permit::run`](crate::Permit::run), and the layer for tower. It counts from when the
    /// call is polled for the first time and is not ready. A permit whose outcome you report has no
    /// timer. The caller of a call that trips the circuit by being slow does not wait for the write
    /// of that trip: [`flush`](crate::BreakerRegistry::flush) does.
    ///
    /// T calls that hang one after the other take T times as long: a
    /// [`failure_window`](Self::failure_window), or the window of a rule, that is shorter than that
    /// is logged as a warning, once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use fuseboard::{BreakerRegistry, CircuitState, Config, MemoryStore};
    ///
    /// let config = Config::builder().slow_after(Duration::from_secs(2)).build()?;
    /// let registry = BreakerRegistry::builder(MemoryStore::new()).config(config).spawn()?;
    /// let payments = registry.breaker("payment-backend")?;
    ///
    /// let mut calls = tokio::task::JoinSet::new();
    /// for _ in 0..20 {
    ///     let payments = payments.clone();
    ///     calls.spawn(async move {
    ///         payments.call(|| std::future::pending::<Result<(), std::io::Error>>()).await
    ///     });
    /// }
    /// tokio::time::sleep(Duration::from_millis(2_050)).await;
    /// assert_eq!(payments.state(), CircuitState::Open); // and all of them still hang
    /// # Ok(()) }
    /// ```
    pub fn slow_after(mut self, time: Duration) -> Self {
        self.config.slow_after = Some(time);
        self
    }

    /// Sets the time for which the circuit stays open before a probe may run. Default 30 s; 1 s to
    /// 365 days, because the shared item counts whole seconds.
    pub fn recovery_timeout(mut self, timeout: Duration) -> Self {
        self.config.recovery_timeout = timeout;
        self
    }

    /// Sets the time after a closing in which each process admits only a share of its calls, for a
    /// dependency that comes back with a part of its capacity. Default none: all calls at once, as
    /// in the reference. 1 s to 1 day.
    ///
    /// The share grows in 20 steps of equal length: 1 of 20 calls in the first, 2 of 20 in the
    /// second, all in the last. Of the calls since the closing a process admits as many as the sum
    /// of their shares, rounded up or down: which, each process draws, so that many processes of
    /// few calls admit their share together. The other calls are rejected with
    /// [`Reason::Ramping`](crate::Reason::Ramping), and the time until the next step as
    /// `retry_after`. The circuit is closed meanwhile, failures count as ever, and the rules open
    /// it again.
    ///
    /// Nothing is read or written for it. A process that closes the circuit, or reads that it was
    /// closed, counts from then. One that starts later takes the time of the closing from the item,
    /// by its own `recovery_timeout`: a process with another one ramps for too long or too short,
    /// but never longer than this after it first reads the item. An operator's
    /// [`release`](crate::Breaker::release) is a closing too. A circuit without an item, and one
    /// that is closed only because the store cannot be read, do not ramp.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use fuseboard::{BreakerRegistry, Config, MemoryStore, Reason};
    ///
    /// let config = Config::builder().ramp(Duration::from_secs(60)).build()?;
    /// let registry = BreakerRegistry::builder(MemoryStore::new()).config(config).spawn()?;
    /// let payments = registry.breaker("payment-backend")?;
    /// # for _ in 0..5 { payments.admit().await?.failure().settled().await; }
    /// payments.release().await?;
    ///
    /// // 1 of 20 calls in the first three seconds.
    /// let mut admitted = 0;
    /// for _ in 0..100 {
    ///     match payments.try_admit() {
    ///         Ok(permit) => { permit.success(); admitted += 1; }
    ///         Err(rejection) => assert_eq!(rejection.reason(), Reason::Ramping),
    ///     }
    /// }
    /// assert_eq!(admitted, 5);
    /// # Ok(()) }
    /// ```
    pub fn ramp(mut self, time: Duration) -> Self {
        self.config.ramp = Some(time);
        self
    }

    /// Lengthens the open time with each probe in a row that fails. Default none: each opening
    /// lasts `recovery_timeout`, as in the reference, whose functions keep to their own.
    ///
    /// ```
    /// use std::time::Duration;
    /// use fuseboard::{Backoff, Config};
    ///
    /// // 10 s, 20 s, 40 s and so on, up to 2 minutes, each up to a fifth longer.
    /// let config = Config::builder()
    ///     .recovery_timeout(Duration::from_secs(10))
    ///     .open_backoff(Backoff::exponential(2.0).at_most(Duration::from_secs(120)))
    ///     .build()?;
    /// # Ok::<(), fuseboard::ConfigError>(())
    /// ```
    pub fn open_backoff(mut self, backoff: Backoff) -> Self {
        self.config.open_backoff = Some(backoff);
        self
    }

    /// Sets the longest time for which [`Outcome::OpenFor`](crate::Outcome::OpenFor) opens the
    /// circuit, in whole seconds, rounded up. Default 600 s, or `recovery_timeout` if that is
    /// longer; `recovery_timeout` to 365 days. It bounds what this process believes of an opening
    /// that another process made as well.
    pub fn open_for_at_most(mut self, time: Duration) -> Self {
        self.config.open_for_at_most = Some(time);
        self
    }

    /// Sets the number of consecutive good probes, over all processes, that close the circuit.
    /// Default 3; at least 1.
    pub fn success_threshold(mut self, successes: u32) -> Self {
        self.success_threshold = successes;
        self
    }

    /// Sets the maximum age of the cached record. Default 5 s; at most 1 day. Once it is older:
    ///
    /// | the circuit is | the next call |
    /// |---|---|
    /// | closed, or due for a probe | waits for a read |
    /// | open or half-open, so that calls would be rejected | one waits for a read, 0.1 s at most, and goes by its result; the others are rejected at once |
    ///
    /// If `election_spread` is above zero, each age is cut by up to a tenth. A circuit that another
    /// process probes is read again after 2 s.
    ///
    /// Zero reads on every call, which puts the store on the path of every call of a closed
    /// circuit.
    pub fn local_cache_max_age(mut self, age: Duration) -> Self {
        self.config.local_cache_max_age = age;
        self
    }

    /// Sets whether a call on a closed circuit starts the next read in the background after 0.8 of
    /// the maximum age, so that no call waits for it. Default `true`. Without traffic nothing
    /// is read either way.
    pub fn refresh_ahead(mut self, on: bool) -> Self {
        self.config.refresh_ahead = on;
        self
    }

    /// Sets the length of a probe's lease. Default: the greater of
    /// `recovery_timeout` and three times `store_timeout`, which is 30 s at the
    /// defaults; 1 s to 365 days. [`Breaker::call`](crate::Breaker::call) renews it while the
    /// probe runs; a permit that you hold does not, unless you keep it alive.
    ///
    /// The lease begins when its write is sent. If it is shorter than three times `store_timeout`
    /// and the store is slow, it may end before a call can use it: then a circuit stays
    /// half-open whose callers do not wait, or wait for less than the store takes.
    ///
    /// Processes that share a circuit should share this setting. While they do not, as during a
    /// deployment, a process waits for the end of a longer lease of another, by the stamp in the
    /// item, but no longer than its [`probe_limit`](Self::probe_limit). A lease that is longer
    /// than that may be taken over early: the circuit stays correct, but two probes run at once.
    pub fn probe_lease(mut self, lease: Duration) -> Self {
        self.probe_lease = Some(lease);
        self
    }

    /// Sets the time after a good probe that did not close the circuit, from which on other
    /// processes may probe. Default 1 s; at most `probe_lease`. A right to probe that no call
    /// takes is kept for 1 s even if this is shorter.
    pub fn handoff(mut self, handoff: Duration) -> Self {
        self.handoff = Some(handoff);
        self
    }

    /// Sets the span of which each process waits a random part before it elects itself or takes a
    /// lease over, so that not all processes of a fleet write in the same instant. The part is
    /// drawn once for each opening or lease. Default: the smaller of `recovery_timeout` / 30
    /// and `handoff` (1 s at the defaults), and zero over a store that is not shared; at most
    /// `handoff`. The process that wrote the opening waits for one `handoff` instead: it may
    /// be the only one that fails, and should not probe first.
    ///
    /// Zero turns all spreading off, also that wait, and the random tenth by which the maximum age
    /// of the cached record is cut. Use it for a fleet of a few processes whose recovery has
    /// to be exact to the millisecond. In a fleet of thousands it makes all of them read and
    /// write the item in the same instant.
    pub fn election_spread(mut self, spread: Duration) -> Self {
        self.config.election_spread = Some(spread);
        self
    }

    /// Sets the total time for which the lease of one probe is renewed while the probe runs.
    /// Default four times `probe_lease`; `probe_lease` to 365 days. After that another process
    /// may probe, so that a probe that hangs does not keep the circuit half-open for ever. If
    /// it still ends, its verdict changes nothing.
    ///
    /// It is also the longest time for which this process takes an unchanged lease of another for
    /// live, whatever its stamp says: set it to the longest `probe_lease` of all processes at least.
    pub fn probe_limit(mut self, limit: Duration) -> Self {
        self.config.probe_limit = Some(limit);
        self
    }

    /// Sets the time limit of a whole store operation, retries included. Default 1 s; 1 ms to 60 s.
    /// One [`call`](crate::Breaker::call) waits for the store no longer than this and a tenth
    /// of a second, before and after it runs together. A [`DynamoDbStore`](crate::store) has
    /// a limit of its own, of 1 s: to wait longer, raise its `operation_timeout` as well.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.config.store_timeout = timeout;
        self
    }

    /// Sets the policy for an open circuit when the store cannot be read. Default
    /// [`OnStoreOutage::FailOpen`].
    pub fn on_store_outage(mut self, policy: OnStoreOutage) -> Self {
        self.config.on_store_outage = policy;
        self
    }

    /// Sets the time by which another process's lease has to be over, on this process's wall
    /// clock, before it is taken over. Default 2 s; at most 1 hour.
    pub fn max_clock_skew(mut self, skew: Duration) -> Self {
        self.config.max_clock_skew = skew;
        self
    }

    /// Sets whether a call whose outcome leads to a write (a trip, or the verdict of a probe)
    /// returns only after the write landed, or after its `store_timeout`, of which its
    /// admission has used a part. Default `true`: on AWS Lambda a write that no call awaits
    /// lands when the environment is thawed next, or never. If the store may be slow, call
    /// [`flush`](crate::BreakerRegistry::flush) before the response, which waits for the
    /// rest. Permits are not affected: await [`Settling::settled`](crate::Settling::settled).
    pub fn await_trip_write(mut self, on: bool) -> Self {
        self.config.await_trip_write = on;
        self
    }

    /// Sets whether a call that was dropped before it ended, for example by the caller's own
    /// timeout, counts as a failure. Default `false`.
    pub fn count_cancelled(mut self, on: bool) -> Self {
        self.config.count_cancelled = on;
        self
    }

    /// Sets whether the circuit is in a dry run, in which it decides as ever and rejects nothing.
    /// Default `false`. In a dry run:
    ///
    /// - Every call runs. One that would have been rejected is admitted, and its outcome counts for
    ///   nothing. [`Breaker::would_have_rejected`](crate::Breaker::would_have_rejected) says how
    ///   many these were.
    /// - The protocol is the same, between all processes in a dry run, on an item of its own, whose
    ///   key is the circuit's with `#dry-run` at its end. The circuit's own item is neither
    ///   read nor written, so that processes that enforce it see nothing of this.
    /// - Transitions and snapshots say so ([`CircuitTransition::dry_run`](crate::CircuitTransition),
    ///   [`Snapshot::is_dry_run`](crate::Snapshot::is_dry_run)), as does the log. In metrics the
    ///   label `circuit` is the name with `#dry-run` at its end: alarms on the name stay silent.
    /// - [`hold`](crate::Breaker::hold) and [`release`](crate::Breaker::release) write that item
    ///   as well: a hold open rejects nothing.
    ///
    /// The counts are those of a circuit whose calls go on, and fail, while it is open: a rejected call
    /// would have waited for nothing, nor loaded the dependency. What the dependency does under
    /// calls that are rejected, a dry run does not show.
    ///
    /// It cannot change while a circuit runs: the other item says something else, and a right to
    /// probe may be held on this one.
    /// [`reconfigure`](crate::BreakerRegistry::reconfigure) leaves such a circuit as it is, and
    /// names it in [`needs_restart`](crate::Reconfigured::needs_restart).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, CircuitState, Config, MemoryStore};
    /// let config = Config::builder().dry_run(true).build()?;
    /// let registry = BreakerRegistry::builder(MemoryStore::new()).config(config).spawn()?;
    /// let payments = registry.breaker("payment-backend")?;
    ///
    /// for _ in 0..7 {
    ///     payments.admit().await?.failure().settled().await; // never rejected
    /// }
    /// assert_eq!(payments.state(), CircuitState::Open);
    /// assert_eq!(payments.would_have_rejected(), 2);
    /// # Ok(()) }
    /// ```
    pub fn dry_run(mut self, on: bool) -> Self {
        self.config.dry_run = on;
        self
    }

    /// Removes the rules that were added.
    #[cfg(feature = "serde")]
    pub(super) fn without_rules(mut self) -> Self {
        self.config.also_trip.clear();
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] with the first setting that is out of range or contradicts another, and
    /// its value.
    pub fn build(self) -> Result<Config, ConfigError> {
        let mut config = self.config;
        config.failure_threshold = threshold("failure_threshold", self.failure_threshold)?;
        config.success_threshold = threshold("success_threshold", self.success_threshold)?;
        let for_a_slow_store = config.store_timeout.saturating_mul(3);
        let lease = config.recovery_timeout.max(for_a_slow_store);
        config.probe_lease = self.probe_lease.unwrap_or(lease);
        config.handoff = self.handoff.unwrap_or(SECOND);
        check(&config)?;
        Ok(config)
    }
}

fn threshold(field: &'static str, value: u32) -> Result<NonZeroU64, ConfigError> {
    NonZeroU32::new(value)
        .map(NonZeroU64::from)
        .ok_or_else(|| ConfigError::new(field, value, "must be at least 1"))
}
