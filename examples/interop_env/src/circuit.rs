//! One circuit of the process, in a registry of its own, so that it can
//! start anew under other settings without the others.

use std::{
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fuseboard::{
    BreakerRegistry, CallError, CircuitInfo, CircuitState, CircuitTransition, ClassifiedBreaker,
    Classifier, Clock, Config, DynamoDbStore, OpenError, Origin, Outcome, Transitions,
};
use futures::FutureExt;
use serde_json::{Value, json};

use crate::{answer::Failure, args::Settings};

/// How a protected function ends that does not end well.
#[derive(Debug)]
pub(crate) enum Fault {
    Counted,
    Ignored,
    /// Tells when to come back.
    Throttled(Duration),
    /// Not the function's, but the answer of the fallback.
    Rejected(CircuitInfo),
}

#[derive(Debug)]
pub(crate) struct Circuit {
    pub(crate) settings: Settings,
    registry: BreakerRegistry,
    breaker: ClassifiedBreaker<Classifier<(), Fault>>,
    transitions: Mutex<Transitions>,
    streak: Mutex<Streak>,
}

/// Failures in a row on a closed circuit, which the crate does not show.
#[derive(Clone, Copy, Debug, Default)]
struct Streak {
    failures: u32,
    /// Those of the circuit before this one, to be counted again.
    owed: u32,
}

impl Circuit {
    pub(crate) fn new(
        name: &str,
        settings: Settings,
        config: Config,
        store: DynamoDbStore,
        clock: Clock,
    ) -> Result<Self, Failure> {
        let judge = Classifier::new(|result: &Result<(), Fault>| match result {
            Ok(()) => Outcome::Success,
            Err(Fault::Ignored) => Outcome::Ignored,
            Err(Fault::Throttled(time)) => Outcome::OpenFor(*time),
            Err(Fault::Counted | Fault::Rejected(_)) => Outcome::Failure,
        });
        let registry = BreakerRegistry::builder(store)
            .config(config)
            .clock(clock)
            .disabled(false)
            .spawn()
            .map_err(|error| Failure::of("SpawnError", error))?;
        let transitions = Mutex::new(registry.subscribe());
        let breaker =
            registry.breaker(name).map_err(|error| Failure::of("RegistryError", error))?;
        let breaker = breaker.classified_by(judge);
        Ok(Self { settings, registry, breaker, transitions, streak: Mutex::default() })
    }

    /// Owes the failures in a row of the circuit that this one replaces, but
    /// none that would trip it by itself.
    pub(crate) fn inherit(&self, forerunner: &Self) {
        let failures = forerunner.streak().failures;
        let failures = failures.min(self.settings.failure_threshold.saturating_sub(1));
        *self.streak() = Streak { failures, owed: failures };
    }

    /// Runs a call, with a fallback or without.
    pub(crate) async fn call<F: Future<Output = Result<(), Fault>>>(
        &self,
        fallback: bool,
        call: impl FnOnce() -> F,
    ) -> Result<(), Fault> {
        if fallback {
            let rejected = |open: OpenError| async { Err(Fault::Rejected(open.into_circuit())) };
            return self.breaker.call_or_else(call, rejected).await;
        }
        self.breaker.call(call).await.map_err(|error| match error {
            CallError::Inner(fault) => fault,
            CallError::TimedOut(_) => Fault::Counted,
            CallError::Open(open) => Fault::Rejected(open.into_circuit()),
        })
    }

    /// Counts again what is owed, from within a call that was admitted.
    pub(crate) async fn count_owed(&self) {
        let owed = std::mem::take(&mut self.streak().owed);
        let breaker = self.breaker.breaker();
        for _ in 0..owed {
            if breaker.snapshot().state() != CircuitState::Closed {
                return;
            }
            if let Ok(permit) = breaker.admit().await {
                permit.failure();
            }
        }
    }

    /// Notes how a call ended that ran, for [`failures`](Self::failures).
    pub(crate) fn note(&self, counted: Option<bool>) {
        let mut streak = self.streak();
        streak.failures = match counted {
            Some(true) if self.info().state == CircuitState::Closed => {
                streak.failures.saturating_add(1)
            }
            Some(_) => 0,
            None => streak.failures,
        };
    }

    pub(crate) fn failures(&self) -> u32 {
        self.streak().failures
    }

    pub(crate) fn info(&self) -> CircuitInfo {
        self.breaker.breaker().snapshot().circuit().clone()
    }

    /// Waits for what calls have left behind them.
    pub(crate) async fn settle(&self) {
        // What takes longer is made later.
        let _ = self.registry.flush(Duration::from_secs(5)).await;
    }

    /// Ends without a farewell to anybody.
    pub(crate) async fn kill(&self) {
        // Nothing is waited for, so there is nothing to be told.
        let _ = self.registry.shutdown(Duration::ZERO).await;
    }

    /// The transitions that were made here since this was asked last.
    pub(crate) fn drain(&self) -> Vec<Value> {
        let mut transitions = self.transitions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut made = Vec::new();
        while let Some(Some(heard)) = tokio::task::unconstrained(transitions.recv()).now_or_never()
        {
            made.extend(heard.ok().filter(|it| it.origin != Origin::Observed).map(show));
        }
        made
    }

    fn streak(&self) -> MutexGuard<'_, Streak> {
        self.streak.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn show(transition: CircuitTransition) -> Value {
    json!({
        "circuit_name": transition.circuit_name.as_str(),
        "from": transition.from_state.as_str(),
        "to": transition.to_state.as_str(),
        "opened_at": transition.opened_at,
        "cause": format!("{:?}", transition.cause),
        "origin": format!("{:?}", transition.origin),
    })
}
