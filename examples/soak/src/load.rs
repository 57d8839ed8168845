//! Tasks that call random circuits in every way there is.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fuseboard::{Breaker, CallError};
use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

use crate::{
    chance::{Chance, part},
    dependency::{Dependencies, Down},
    fleet::{Fleet, Process},
    plan::Plan,
};

/// How calls ended.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) panicked: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) rejected: AtomicU64,
    /// Calls whose result was not the call's own, or that ran though rejected.
    pub(crate) wrong_results: AtomicU64,
    /// Times at which the runtime was a quarter of a second late.
    pub(crate) stalls: AtomicU64,
    /// Handles made for one visit.
    pub(crate) handles: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One task under load.
pub(crate) struct Driver {
    plan: Plan,
    fleet: Arc<Fleet>,
    registry: usize,
    chance: Chance,
    dependencies: Dependencies,
    tally: Arc<Tally>,
}

impl Driver {
    pub(crate) fn new(
        plan: Plan,
        fleet: &Arc<Fleet>,
        (registry, stream): (usize, usize),
        dependencies: Dependencies,
        tally: &Arc<Tally>,
    ) -> Self {
        let stream = u64::try_from(stream).unwrap_or_default();
        Self {
            plan,
            fleet: Arc::clone(fleet),
            registry,
            chance: Chance::new(plan.seed, part::DRIVER, stream),
            dependencies,
            tally: Arc::clone(tally),
        }
    }

    /// Visits circuits until it is told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let fleet = Arc::clone(&self.fleet);
        let Some(process) = fleet.0.get(self.registry) else {
            return;
        };
        let kept = process.kept();
        while !stop.is_cancelled() {
            self.visit(process, &kept).await;
            tokio::time::sleep(self.chance.between(10, 40)).await;
        }
    }

    /// Most visits are to few circuits; those without a kept handle get one.
    async fn visit(&mut self, process: &Process, kept: &[Breaker]) {
        let circuits = match self.chance.below(100) {
            0..60 => 0..self.plan.hot(),
            60..90 => self.plan.hot()..self.plan.kept(),
            _ => self.plan.kept()..self.plan.circuits,
        };
        let circuit = circuits.start.saturating_add(self.chance.index(circuits.len()));
        for _ in 0..self.chance.below(24).saturating_add(1) {
            match kept.get(circuit) {
                Some(breaker) => self.call(breaker, circuit).await,
                None => {
                    count(&self.tally.handles);
                    if let Ok(breaker) = process.registry.breaker(Plan::name(circuit)) {
                        self.call(&breaker, circuit).await;
                    }
                }
            }
        }
    }

    async fn call(&mut self, breaker: &Breaker, circuit: usize) {
        let takes = match self.chance.below(100) {
            0..90 => Duration::ZERO,
            _ => self.chance.between(1, 5),
        };
        match self.chance.below(100) {
            0..50 => self.run_call(breaker, circuit, takes).await,
            50..65 => self.admit_and_report(breaker, circuit, takes).await,
            65..70 => self.own_and_report(breaker, circuit).await,
            70..88 => self.try_admit(breaker, circuit),
            88..93 => self.drop_permit(breaker).await,
            93..96 => self.panic(breaker).await,
            _ => self.cancel(breaker, circuit).await,
        }
    }

    async fn run_call(&self, breaker: &Breaker, circuit: usize, takes: Duration) {
        let mut ran = None;
        let result = breaker
            .call(|| async {
                let answer = self.dependencies.answer(circuit, takes).await;
                ran = Some(answer);
                answer
            })
            .await;
        let (counter, is_right) = match result {
            Ok(()) => (&self.tally.answered, ran == Some(Ok(()))),
            Err(CallError::Inner(Down)) => (&self.tally.failed, ran == Some(Err(Down))),
            Err(CallError::Open(_)) => (&self.tally.rejected, ran.is_none()),
            Err(CallError::TimedOut(_)) => (&self.tally.failed, false),
        };
        count(counter);
        if !is_right {
            count(&self.tally.wrong_results);
        }
    }

    async fn admit_and_report(&self, breaker: &Breaker, circuit: usize, takes: Duration) {
        let Ok(permit) = breaker.admit().await else {
            return count(&self.tally.rejected);
        };
        match self.dependencies.answer(circuit, takes).await {
            Ok(()) => {
                count(&self.tally.answered);
                drop(permit.success());
            }
            Err(Down) => {
                count(&self.tally.failed);
                permit.failure().settled().await;
            }
        }
    }

    async fn own_and_report(&self, breaker: &Breaker, circuit: usize) {
        let Ok(permit) = breaker.admit_owned().await else {
            return count(&self.tally.rejected);
        };
        tokio::task::yield_now().await;
        // Nobody waits for what it causes.
        if self.dependencies.is_down(circuit) {
            count(&self.tally.failed);
            drop(permit.failure());
        } else {
            count(&self.tally.answered);
            drop(permit.success());
        }
    }

    fn try_admit(&self, breaker: &Breaker, circuit: usize) {
        match breaker.try_admit() {
            Err(_) => count(&self.tally.rejected),
            Ok(permit) if self.dependencies.is_down(circuit) => {
                count(&self.tally.failed);
                drop(permit.failure());
            }
            Ok(permit) => {
                count(&self.tally.answered);
                drop(permit.success());
            }
        }
    }

    async fn drop_permit(&self, breaker: &Breaker) {
        match breaker.admit().await {
            Ok(permit) => {
                count(&self.tally.dropped);
                drop(permit);
            }
            Err(_) => count(&self.tally.rejected),
        }
    }

    /// A call that panics, without a word on the terminal.
    async fn panic(&self, breaker: &Breaker) {
        let call = breaker.call(|| async { resume_unwind(Box::new(Down)) });
        match AssertUnwindSafe(call).catch_unwind().await {
            Err(_) => count(&self.tally.panicked),
            Ok(Err(CallError::Open(_))) => count(&self.tally.rejected),
            Ok(Ok(()) | Err(CallError::TimedOut(_) | CallError::Inner(Down))) => {
                count(&self.tally.wrong_results);
            }
        }
    }

    /// A call that its caller gives up.
    async fn cancel(&self, breaker: &Breaker, circuit: usize) {
        let slow = Duration::from_secs(5);
        let call = breaker.call(|| self.dependencies.answer(circuit, slow));
        match tokio::time::timeout(Duration::from_millis(2), call).await {
            Err(_) => count(&self.tally.cancelled),
            Ok(Err(CallError::Open(_))) => count(&self.tally.rejected),
            Ok(Ok(()) | Err(CallError::TimedOut(_) | CallError::Inner(Down))) => {
                count(&self.tally.wrong_results);
            }
        }
    }
}
