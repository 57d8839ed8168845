//! This crate.

use std::{cell::Cell, hint::black_box, time::Duration};

use fuseboard::{Breaker, BreakerRegistry, Config, MemoryStore, Rule, tower::BreakerLayer};
use tokio::runtime::Handle;
use tower::Layer as _;

use crate::{
    layered,
    peer::{Built, Peer},
    subject::{
        LONG, Lane, THRESHOLD, async_lane, failure, is_some_time, lane, pending_success,
        ready_success, success,
    },
};

/// By `try_admit`, whose permit is borrowed.
///
/// What the store said stays fresh for the whole run, which every call checks
/// anew, as it does with shorter ages: the price is the same.
pub(crate) struct Fuseboard {
    registry: BreakerRegistry,
    /// Four rules beside failures in a row.
    ruled: Config,
    runtime: Handle,
    circuits: Cell<u32>,
}

impl Fuseboard {
    pub(crate) fn new(runtime: &Handle) -> Built<Self> {
        let config = Config::builder()
            .failure_threshold(THRESHOLD.into())
            .local_cache_max_age(LONG)
            .recovery_timeout(LONG);
        let minute = Duration::from_secs(60);
        let ruled = config
            .clone()
            .also_trip(Rule::of_last(10, 100))
            .also_trip(Rule::within(10, minute))
            .also_trip(Rule::rate(0.5).over(minute).at_least(20))
            .also_trip(Rule::rate(0.2).over(5 * minute).at_least(100))
            .build()?;
        let registry = BreakerRegistry::builder(MemoryStore::new())
            .disabled(false)
            .config(config.build()?)
            .spawn()?;
        Ok(Self { registry, ruled, runtime: runtime.clone(), circuits: Cell::new(0) })
    }

    /// A circuit of its own, of which the store has been asked.
    fn breaker(&self) -> Built<Breaker> {
        self.breaker_with(None)
    }

    /// The same, with other settings than those of the registry.
    fn breaker_with(&self, config: Option<&Config>) -> Built<Breaker> {
        let number = self.circuits.get();
        self.circuits.set(number + 1);
        let name = format!("circuit {number}");
        let breaker = match config {
            Some(config) => self.registry.breaker_with(name, config.clone())?,
            None => self.registry.breaker(name)?,
        };
        self.runtime.block_on(async {
            let permit = breaker.admit().await?;
            permit.success().settled().await;
            Ok(breaker)
        })
    }

    /// So many users of a circuit, by `try_admit`.
    fn users(&self, breaker: &Breaker, users: usize) -> Vec<Lane> {
        let call = |breaker: &mut Breaker| {
            let Ok(permit) = breaker.try_admit() else { return false };
            let done = success().is_ok();
            permit.success();
            done
        };
        (0..users).map(|_| lane(breaker.clone(), call, self.fail())).collect()
    }

    fn breaker_that_counts_slow_calls(&self) -> Built<Breaker> {
        let config = Config::builder()
            .failure_threshold(THRESHOLD.into())
            .slow_after(Duration::from_secs(60))
            .local_cache_max_age(LONG)
            .recovery_timeout(LONG)
            .build()?;
        self.breaker_with(Some(&config))
    }

    /// Fails one call, and waits until that is counted.
    fn fail(&self) -> impl FnMut(&mut Breaker) + Send + 'static {
        let runtime = self.runtime.clone();
        move |breaker| {
            if let Ok(permit) = breaker.try_admit() {
                runtime.block_on(permit.failure().settled());
            }
        }
    }
}

impl Peer for Fuseboard {
    fn name(&self) -> &'static str {
        "fuseboard"
    }

    fn closed(&self, users: usize) -> Built<Vec<Lane>> {
        Ok(self.users(&self.breaker()?, users))
    }

    fn ruled(&self, users: usize) -> Built<Vec<Lane>> {
        Ok(self.users(&self.breaker_with(Some(&self.ruled))?, users))
    }

    /// The failure stands in a window of a day, of which half of at least four calls have to fail: so
    /// it takes good calls that are counted to stay closed.
    fn watched(&self, users: usize) -> Built<Vec<Lane>> {
        let config = Config::builder()
            .failure_threshold(THRESHOLD.into())
            .also_trip(Rule::rate(0.5).over(LONG).at_least(4))
            .local_cache_max_age(LONG)
            .recovery_timeout(LONG)
            .build()?;
        let mut breaker = self.breaker_with(Some(&config))?;
        self.fail()(&mut breaker);
        Ok(self.users(&breaker, users))
    }

    fn call(&self) -> Built<Lane> {
        let call = async |breaker: &mut Breaker| breaker.call(ready_success).await.is_ok();
        Ok(async_lane(self.breaker()?, call, self.fail()))
    }

    fn call_slow(&self) -> Built<Option<Lane>> {
        // A closure, so that both lanes have a `call` of their own, as two places of a program have:
        // one that both share is not inlined, and takes 1.6 times as long.
        let call = async |breaker: &mut Breaker| breaker.call(|| async { success() }).await.is_ok();
        Ok(Some(async_lane(self.breaker_that_counts_slow_calls()?, call, self.fail())))
    }

    fn pending(&self) -> Built<Option<Lane>> {
        let call = async |breaker: &mut Breaker| breaker.call(pending_success).await.is_ok();
        Ok(Some(async_lane(self.breaker_that_counts_slow_calls()?, call, self.fail())))
    }

    /// By rules that half of the calls do not trip, however fast they come.
    fn failing(&self) -> Built<Option<Lane>> {
        let minute = Duration::from_secs(60);
        let config = Config::builder()
            .failure_threshold(THRESHOLD.into())
            .also_trip(Rule::of_last(60, 100))
            .also_trip(Rule::of_last(600, 1_000))
            .also_trip(Rule::rate(0.9).over(minute).at_least(20))
            .also_trip(Rule::rate(0.8).over(5 * minute).at_least(100))
            .local_cache_max_age(LONG)
            .recovery_timeout(LONG)
            .build()?;
        let call = |breaker: &mut Breaker| {
            let Ok(permit) = breaker.try_admit() else { return false };
            if failure().is_err() {
                // Nothing is waited for: it decides nothing.
                drop(permit.failure());
            }
            let Ok(permit) = breaker.try_admit() else { return false };
            let done = success().is_ok();
            permit.success();
            done
        };
        Ok(Some(lane(self.breaker_with(Some(&config))?, call, self.fail())))
    }

    fn layer(&self) -> Built<Option<Lane>> {
        let layer = BreakerLayer::new(self.breaker()?);
        Ok(Some(layered::user(layer.layer(layered::answering()))))
    }

    fn rejected(&self) -> Built<Lane> {
        let call = |breaker: &mut Breaker| match breaker.try_admit() {
            Ok(permit) => {
                permit.success();
                false
            }
            Err(rejection) => is_some_time(rejection.retry_after()),
        };
        Ok(lane(self.breaker()?, call, self.fail()))
    }

    fn informed(&self) -> Built<Option<Lane>> {
        let call = |breaker: &mut Breaker| match breaker.try_admit() {
            Ok(permit) => {
                permit.success();
                false
            }
            Err(rejection) => {
                let circuit = black_box(rejection.circuit());
                is_some_time(rejection.retry_after()) && circuit.opened_at.is_some()
            }
        };
        Ok(Some(lane(self.breaker()?, call, self.fail())))
    }
}
