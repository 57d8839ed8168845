//! A process of this crate, that plays as the reference does.

use std::time::Duration;

use fuseboard::{
    BreakerRegistry, CallError, CircuitInfo, Clock, Config, DynamoDbStore, Hold, Origin,
    OwnedPermit, Transitions, VirtualClock,
};
use futures::FutureExt;

use super::player::Called;

/// A registry with its own SDK client.
pub(super) struct Rust {
    pub(super) registry: BreakerRegistry,
    transitions: Transitions,
    parked: Option<OwnedPermit>,
}

impl Rust {
    pub(super) fn new(store: DynamoDbStore, config: Config, clock: &VirtualClock) -> Self {
        let registry = BreakerRegistry::builder(store)
            .config(config)
            .clock(Clock::from(clock))
            .disabled(false)
            .spawn()
            .unwrap();
        Self { transitions: registry.subscribe(), registry, parked: None }
    }

    pub(super) async fn call(&mut self, circuit: &str, outcome: &str) -> Called {
        let breaker = self.registry.breaker(circuit).unwrap();
        let ends = || async { if outcome == "ok" { Ok(()) } else { Err(()) } };
        let (result, seen) = match breaker.call(ends).await {
            Ok(()) => ("ok", None),
            Err(CallError::TimedOut(_) | CallError::Inner(())) => ("fail", None),
            Err(CallError::Open(open)) => ("rejected", Some(seen(open.circuit()))),
        };
        Called { result: result.to_owned(), seen, made: self.made() }
    }

    pub(super) async fn park(&mut self, circuit: &str) {
        let breaker = self.registry.breaker(circuit).unwrap();
        self.parked = Some(breaker.admit_owned().await.unwrap());
    }

    pub(super) async fn end(&mut self, outcome: &str) -> Called {
        let permit = self.parked.take().unwrap();
        let settling = if outcome == "ok" { permit.success() } else { permit.failure() };
        settling.settled().await;
        Called { result: outcome.to_owned(), seen: None, made: self.made() }
    }

    /// A call that is told when to come back.
    pub(super) async fn is_throttled(&mut self, circuit: &str, open_for: Duration) {
        let breaker = self.registry.breaker(circuit).unwrap();
        let permit = breaker.admit_owned().await.unwrap();
        permit.open_for(open_for).settled().await;
        self.made();
    }

    /// Drops the call that is parked, as a caller's own timeout would.
    pub(super) async fn drop_parked(&mut self) -> Vec<(String, String)> {
        self.parked = None;
        self.registry.flush(Duration::from_secs(30)).await.unwrap();
        self.made()
    }

    pub(super) async fn hold(&mut self, circuit: &str, hold: Hold) {
        let hold = hold.reason("maintenance").by("ops");
        self.registry.breaker(circuit).unwrap().hold(hold).await.unwrap();
        self.made();
    }

    pub(super) async fn release(&mut self, circuit: &str) {
        self.registry.breaker(circuit).unwrap().release().await.unwrap();
        self.made();
    }

    /// Changes of state that this process made. The reference does not
    /// announce a lease that is taken over.
    fn made(&mut self) -> Vec<(String, String)> {
        let mut made = Vec::new();
        while let Some(Some(heard)) = self.transitions.recv().now_or_never() {
            let it = heard.unwrap();
            if it.origin == Origin::Local && it.from_state != it.to_state {
                made.push((it.from_state.to_string(), it.to_state.to_string()));
            }
        }
        made
    }
}

fn seen(circuit: &CircuitInfo) -> (String, u64, Option<i64>) {
    (circuit.state.to_string(), circuit.failure_count, circuit.opened_at)
}
