//! One environment: a registry, its breaker, and the calls it offers.

use std::{error::Error, sync::Arc, time::Duration};

use fuseboard::{Breaker, BreakerRegistry, Transitions, store::Store};
use tokio::{sync::mpsc, task::JoinSet, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    dependency::Dependency,
    event::{self, Announced, Call, Ending, Event},
    plan::Plan,
    stopwatch::Stopwatch,
};

/// What stands in for a Lambda environment, or for one task of a service.
#[derive(Debug)]
pub(crate) struct Process {
    number: usize,
    registry: BreakerRegistry,
    breaker: Breaker,
    dependency: Dependency,
    teller: Teller,
}

/// Tells the run what happens. Nobody listens any more once the run is over.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    pub(crate) stopwatch: Stopwatch,
    pub(crate) events: mpsc::UnboundedSender<Event>,
}

impl Process {
    pub(crate) fn new<S: Store>(
        number: usize,
        circuit: &str,
        store: S,
        dependency: Dependency,
        teller: Teller,
    ) -> Result<Self, Box<dyn Error>> {
        let registry =
            BreakerRegistry::builder(store).config(Plan::config()?).disabled(false).spawn()?;
        let breaker = registry.breaker(circuit)?;
        Ok(Self { number, registry, breaker, dependency, teller })
    }

    /// Offers calls at a steady rate until it is told to stop.
    pub(crate) async fn run(self, plan: Plan, stop: CancellationToken) {
        let announcer =
            tokio::spawn(announce(self.number, self.registry.subscribe(), self.teller.clone()));
        let this = Arc::new(self);
        let mut calls = JoinSet::new();
        let mut ticks = tokio::time::interval(plan.period());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        // Environments do not march in step.
        tokio::time::sleep(this.share_of(plan.period(), plan.environments)).await;
        ticks.reset_immediately();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {
                    calls.spawn(Arc::clone(&this).offer());
                }
                Some(_) = calls.join_next() => {}
            }
        }
        while calls.join_next().await.is_some() {}
        // What is not settled by then is not waited for.
        let _ = this.registry.shutdown(Duration::from_secs(1)).await;
        drop(this);
        // Ends with the registry; a panic in it was printed.
        let _ = announcer.await;
    }

    /// Offers one call. [`Breaker::call`] would do the same in one line; a
    /// permit also tells whether the call is a probe.
    async fn offer(self: Arc<Self>) {
        let offered_at = self.teller.stopwatch.elapsed();
        let ending = match self.breaker.admit().await {
            Err(_) => Ending::Rejected,
            Ok(permit) => {
                let probe = permit.is_probe();
                let charged = self.dependency.charge(self.number).await;
                let (ending, settling) = match (charged, probe) {
                    (Ok(()), false) => (Ending::Answered, permit.success()),
                    (Ok(()), true) => (Ending::ProbeAnswered, permit.success()),
                    (Err(_), false) => (Ending::Failed, permit.failure()),
                    (Err(_), true) => (Ending::ProbeFailed, permit.failure()),
                };
                settling.settled().await;
                ending
            }
        };
        self.teller.tell(Event::Call(Call {
            environment: self.number,
            offered_at,
            ended_at: self.teller.stopwatch.elapsed(),
            ending,
        }));
    }

    fn share_of(&self, period: Duration, environments: usize) -> Duration {
        let number = u32::try_from(self.number).unwrap_or_default();
        let of = u32::try_from(environments).unwrap_or(1);
        period.saturating_mul(number).checked_div(of).unwrap_or_default()
    }
}

impl Teller {
    fn tell(&self, event: Event) {
        // A run that is over does not listen.
        let _ = self.events.send(event);
    }
}

/// Passes on every transition that the registry broadcasts.
async fn announce(environment: usize, mut transitions: Transitions, teller: Teller) {
    while let Some(received) = transitions.recv().await {
        teller.tell(match received {
            Ok(transition) => Event::Announced(Announced {
                environment,
                at: teller.stopwatch.at(transition.at),
                from: transition.from_state,
                to: transition.to_state,
                cause: event::cause(&transition.cause),
                origin: transition.origin,
            }),
            Err(lagged) => Event::Lost(lagged.0),
        });
    }
}
