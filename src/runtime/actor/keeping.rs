//! Keeps an actor alive, through panics, for as long as its registry lives.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use super::Actor;
use crate::{
    panics::{caught, drop_each},
    runtime::circuit::Turn,
    runtime::ending::End,
    runtime::log,
};

/// Keeps an actor that panics at every turn from using up its thread.
const PAUSE: Duration = Duration::from_millis(10);

impl Actor {
    /// Runs until it is cancelled, or until the circuit is closed, clean and without
    /// handles. After a turn that panicked the actor starts over with the same mailbox:
    /// handles keep a circuit for the life of the process, and must not go without an actor.
    pub(crate) async fn keep(&mut self) {
        loop {
            let has_ended = {
                let mut run = pin!(self.run());
                poll_fn(|context| match caught(|| run.as_mut().poll(context)) {
                    Some(polled) => polled.map(|()| true),
                    None => Poll::Ready(false),
                })
                .await
            };
            if has_ended {
                self.has_ended = true;
                return;
            }
            self.start_over();
            // Boxed: otherwise the task of every circuit would have room for this sleep.
            Box::pin(self.clock().sleep(Some(PAUSE))).await;
        }
    }

    /// Drops the state that the panic may have left half done. Callers that wait find their
    /// channels closed, and decide by the published state.
    fn start_over(&mut self) {
        self.machine.start_over();
        // None, so that the next turn asks about a contradiction and publishes in any case.
        self.published = None;
        self.offered_probe = None;
        self.release_waiters();
        let Some(circuit) = self.circuit.upgrade() else {
            return;
        };
        log::started_over(&circuit.name);
        // The machine no longer knows this probe: a call that took it would run for nothing.
        let _ = circuit.gate.take_offered_probe();
        // Publish now, not at the next turn: until then callers would be admitted in an epoch
        // that is over. Callers that wait for a trip of that epoch are released below.
        let published = self.machine.published();
        let now = self.clock().now();
        circuit.publish(&published, self.machine.detail());
        let freezes = self.clock().freezes(now);
        let (is_contradicted, thaw, trip) = (false, None, None);
        let turn = Turn { published: &published, is_contradicted, thaw, freezes, trip };
        drop_each(circuit.follow(&turn).settles);
    }

    /// Ends the channels of all that wait for this actor. One by one, since each wakes code
    /// that is not ours and may panic.
    pub(super) fn release_waiters(&mut self) {
        self.awaits_offered_probe = false;
        drop_each(std::mem::take(&mut self.waiters));
        drop_each(std::mem::take(&mut self.settles));
        drop_each(std::mem::take(&mut self.replies));
        self.commands.clear();
        self.observers.clear();
        self.right = None;
        self.is_resigning = false;
    }

    /// Notes that the runtime ended, if this task was dropped before it had ended.
    pub(super) fn note_end(&self) {
        if !self.has_ended && !self.cancelled.is_cancelled() {
            self.environment.pending.ending.note(End::RuntimeEnded);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, SystemTime},
    };

    use tokio::sync::broadcast;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        breaker::Breaker,
        clock::{Clock, VirtualClock},
        config::Config,
        name::CircuitName,
        protocol::machine::{Entropy, Machine},
        protocol::record::LeaseToken,
        runtime::actor::Environment,
        runtime::circuit::Circuit,
        runtime::gate::Gate,
        runtime::reachability::Reachability,
        state::CircuitState,
        store::MemoryStore,
    };

    /// Panics at the first elections: stands for any panic that nothing catches.
    #[derive(Clone, Debug)]
    struct PanicsAtFirst(u32);

    impl Entropy for PanicsAtFirst {
        fn token(&mut self) -> LeaseToken {
            let left = self.0;
            self.0 = left.saturating_sub(1);
            assert_eq!(left, 0, "as the test says");
            LeaseToken::new("a-token")
        }

        fn jitter(&mut self) -> u8 {
            0
        }

        fn boxed(&self) -> Box<dyn Entropy> {
            Box::new(self.clone())
        }
    }

    fn actor(panics: u32) -> (Actor, Breaker, CancellationToken) {
        let wall = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(1_000_000)).unwrap();
        let clock = Clock::from(&VirtualClock::following_tokio(wall));
        let environment = Arc::new(Environment {
            prefix: crate::runtime::key_prefix::KeyPrefix::default(),
            instance: None,
            observed: crate::runtime::metrics::Observed::default(),
            store: Arc::new(MemoryStore::new()),
            reachability: Reachability::new(Box::new(PanicsAtFirst(0))),
            clock: clock.clone(),
            pending: Arc::default(),
            rights: Arc::default(),
            queue: Arc::default(),
            transitions: broadcast::channel(16).0,
        });
        let name = CircuitName::new("payments").unwrap();
        let config = Arc::new(Config::default());
        let pending = Arc::clone(&environment.pending);
        let (circuit, mailbox) =
            Circuit::new(name.clone(), Arc::clone(&config), clock, pending, Gate::new());
        let machine = Machine::new(name, config, Box::new(PanicsAtFirst(panics)));
        let cancel = CancellationToken::new();
        let forget = Box::new(|_: &Arc<Circuit>, _: &dyn Fn() -> bool, _| false);
        let actor = Actor::new(&circuit, mailbox, machine, environment, cancel.clone(), forget);
        (actor, Breaker::new(circuit), cancel)
    }

    async fn fail(breaker: &Breaker) -> bool {
        breaker.call(|| async { Err::<(), _>("down") }).await.is_err_and(|e| e.open().is_none())
    }

    #[tokio::test(start_paused = true)]
    async fn case_164_an_actor_that_panicked_starts_over_for_the_handles_that_are_kept() {
        let panics = 3;
        let (mut actor, breaker, cancel) = actor(panics);
        let pending = Arc::clone(&actor.environment.pending);
        let calls = async {
            for _ in 0..5 {
                assert!(fail(&breaker).await);
            }
            let late = breaker.admit_owned().await;
            assert!(late.is_err());
            tokio::time::sleep(Duration::from_secs(31)).await;
            let mut epoch = breaker.snapshot().epoch();
            for _ in 0..panics {
                // The call asks and its actor panics: the call is answered, and nothing is pending.
                let _ = breaker.admit().await;
                assert_eq!(pending.count(), 0);
                tokio::time::sleep(Duration::from_secs(1)).await;
                assert!(breaker.snapshot().epoch() > epoch, "stale outcomes do not count");
                epoch = breaker.snapshot().epoch();
            }
            for _ in 0..3 {
                let probe = breaker.admit().await.unwrap();
                assert!(probe.is_probe(), "it has read what is stored");
                probe.success().settled().await;
            }
            assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
            for _ in 0..5 {
                assert!(fail(&breaker).await);
            }
            assert!(!fail(&breaker).await, "it counts as before");
            cancel.cancel();
        };
        tokio::join!(actor.keep(), calls);
    }

    #[tokio::test(start_paused = true)]
    async fn case_164_an_actor_that_panics_at_every_turn_leaves_its_thread_to_others() {
        let (mut actor, breaker, cancel) = actor(1_000_000);
        let calls = async {
            for _ in 0..5 {
                assert!(fail(&breaker).await);
            }
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_secs(31)).await;
                let _ = breaker.try_admit();
            }
            cancel.cancel();
        };
        tokio::join!(actor.keep(), calls);
    }
}
