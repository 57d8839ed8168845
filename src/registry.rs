//! The owner of a process's circuits, and the one file that spawns.

mod builder;
mod entropy;
mod forgotten;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::runtime::Handle;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

pub use self::builder::{DISABLED_ENV, RegistryBuilder};
use self::{builder::DEFAULT_TRANSITION_CAPACITY, entropy::Jitter, forgotten::Forgotten};
use crate::{
    breaker::Breaker,
    clock::Clock,
    config::Config,
    error::{FlushError, RegistryError},
    name::CircuitName,
    protocol::machine::Machine,
    runtime::actor::{Actor, Environment, LastAnnounced, message::Message},
    runtime::circuit::Circuit,
    runtime::ending::End,
    runtime::gate::Gate,
    store::Store,
    subscription::Transitions,
};

/// Owns the circuits of one process and the tasks that keep them.
///
/// Spawn one at cold start and keep it for as long as the process lives. Clones
/// share it. When the last clone is dropped the tasks end, and breakers that
/// are still around let every call through once what they knew is too old.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use fuseboard::{BreakerRegistry, CircuitState, MemoryStore};
///
/// let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
/// let mut transitions = registry.subscribe();
/// let payments = registry.breaker("payment-backend")?;
///
/// for _ in 0..5 {
///     payments.admit().await?.failure().settled().await;
/// }
/// let tripped = transitions.recv().await.expect("the registry lives")?;
/// assert_eq!(tripped.to_state, CircuitState::Open);
///
/// registry.shutdown(Duration::from_secs(1)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct BreakerRegistry {
    inner: Arc<Inner>,
}

struct Inner {
    environment: Arc<Environment>,
    config: Arc<Config>,
    jitter: Jitter,
    disabled: bool,
    tracker: TaskTracker,
    cancel: CancellationToken,
    runtime: Handle,
    /// Held for a look-up or an insertion, never across an await, and never for a
    /// circuit's state.
    circuits: Mutex<Circuits>,
    _cancel_on_drop: DropGuard,
}

/// The circuits of a registry.
#[derive(Default)]
struct Circuits {
    running: HashMap<CircuitName, Arc<Circuit>>,
    forgotten: Forgotten,
}

impl BreakerRegistry {
    /// Starts to build a registry over a store.
    pub fn builder<S: Store>(store: S) -> RegistryBuilder {
        RegistryBuilder {
            store: Arc::new(store),
            config: Config::default(),
            clock: Clock::system(),
            jitter: Jitter::default(),
            disabled: None,
            transition_capacity: DEFAULT_TRANSITION_CAPACITY,
        }
    }

    /// Returns the breaker of a circuit, with the registry's settings. The
    /// first call for a name spawns the circuit's actor; nothing is read before
    /// a call asks. Keep the breaker: a circuit without handles is forgotten; a streak
    /// of failures is kept for `recovery_timeout` after the last call. Keep the registry
    /// as well: without it nobody counts, and every call runs before long.
    ///
    /// # Errors
    ///
    /// - [`RegistryError::Name`]: the name is empty or longer than 2,048 bytes.
    /// - [`RegistryError::ConfigMismatch`]: the circuit runs with other settings (the error
    ///   names them, and both values), given to [`breaker_with`](Self::breaker_with). Clone that breaker, or ask with
    ///   its settings.
    /// - [`RegistryError::ShutDown`]: the registry was shut down. Spawn another.
    /// - [`RegistryError::RuntimeEnded`]: the tokio runtime that the registry was spawned on
    ///   has ended. Spawn a registry on each runtime (in each `#[tokio::test]`, on each
    ///   worker's runtime), or one on a runtime that outlives all calls.
    pub fn breaker(&self, name: impl AsRef<str>) -> Result<Breaker, RegistryError> {
        self.handle(name.as_ref(), &self.inner.config)
    }

    /// Returns the breaker of a circuit that has settings of its own.
    ///
    /// # Errors
    ///
    /// As for [`breaker`](Self::breaker).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// use std::time::Duration;
    /// use fuseboard::Config;
    ///
    /// let slow = Config::builder().recovery_timeout(Duration::from_secs(120)).build()?;
    /// let reports = registry.breaker_with("report-backend", slow)?;
    /// # let _ = reports;
    /// # Ok(()) }
    /// ```
    pub fn breaker_with(
        &self,
        name: impl AsRef<str>,
        config: Config,
    ) -> Result<Breaker, RegistryError> {
        let is_shared = self.inner.environment.store.is_shared();
        self.handle(name.as_ref(), &Arc::new(config.for_store(is_shared)))
    }

    /// Subscribes to the transitions of all circuits, from now on.
    ///
    /// A circuit that nobody holds is forgotten `recovery_timeout` and an hour after its
    /// last call though it is not closed. Its last transition says so
    /// ([`Cause::Forgotten`](crate::Cause::Forgotten)): what others make of it is not heard
    /// until a call asks for it again. An opening that was told then is not told twice, as
    /// long as no more than 1,024 circuits were forgotten in between.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// use fuseboard::Origin;
    ///
    /// let mut transitions = registry.subscribe();
    /// let mut tasks = tokio::task::JoinSet::new();
    /// tasks.spawn(async move {
    ///     while let Some(heard) = transitions.recv().await {
    ///         match heard {
    ///             Ok(transition) if transition.origin == Origin::Local => { /* count it */ }
    ///             Ok(_) => {}
    ///             Err(lagged) => eprintln!("{lagged}"),
    ///         }
    ///     }
    /// });
    /// # drop(registry);
    /// # tasks.join_all().await;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn subscribe(&self) -> Transitions {
        Transitions::new(self.inner.environment.transitions.subscribe())
    }

    /// Returns how many circuits have a running actor.
    #[must_use]
    pub fn circuits(&self) -> usize {
        self.inner.circuits().running.len()
    }

    /// Waits until no outcome is left that may still lead to a write, at most
    /// for the budget. When there is none this is two atomic loads.
    ///
    /// A right to probe that this process holds and nobody uses is given back. A probe
    /// that runs is waited for: its verdict is still to come, so report a probe's permit
    /// before you flush.
    ///
    /// Call it before an AWS Lambda environment may be frozen: what a caller
    /// did not await (a dropped probe, a permit reported without
    /// [`settled`](crate::Settling::settled)) is written by then.
    ///
    /// # Errors
    ///
    /// [`FlushError`]: the budget was spent first. Nothing is lost; the writes
    /// go on. A write that the store has failed is not waited for: it is made
    /// again after the back-off. Calls that wait for the store to be admitted are
    /// waited for, and counted among the outcomes.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the waiting, and nothing else.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// use std::time::Duration;
    ///
    /// // Before a Lambda function returns its response:
    /// registry.flush(Duration::from_millis(200)).await?;
    /// # Ok(()) }
    /// ```
    pub async fn flush(&self, budget: Duration) -> Result<(), FlushError> {
        if self.inner.environment.outstanding() == 0 {
            return Ok(());
        }
        self.settle_all(budget).await
    }

    /// Has every actor settle what it can, also what was sent to it just now.
    async fn settle_all(&self, budget: Duration) -> Result<(), FlushError> {
        let environment = &self.inner.environment;
        let circuits: Vec<_> = self.inner.circuits().running.values().cloned().collect();
        let settled = async {
            for circuit in circuits {
                let flush = Message::Flush(environment.pending.start());
                // An actor that is gone holds nothing.
                let _ = circuit.mailbox.send_async(flush).await;
            }
            while environment.outstanding() > 0 {
                environment.pending.idle().await;
                environment.rights.idle().await;
            }
        };
        // Where no actor is left, nothing that was sent leads to a write any more.
        let over = async {
            tokio::select! {
                biased;
                () = settled => {}
                () = self.inner.tracker.wait() => {}
            }
        };
        match environment.clock.within(budget, Box::pin(over)).await {
            Some(()) => Ok(()),
            None => Err(FlushError { pending: environment.outstanding(), budget }),
        }
    }

    /// Flushes, then ends every task. Subscriptions end when the last clone of the
    /// registry is dropped. Breakers that are still around let every
    /// call through once what they knew is too old; new ones are refused.
    ///
    /// # Errors
    ///
    /// [`FlushError`]: outcomes were still unsettled when the budget was spent.
    /// The tasks are ended all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave the registry running; dropping the
    /// registry ends it.
    pub async fn shutdown(&self, budget: Duration) -> Result<(), FlushError> {
        let started = self.inner.environment.clock.now();
        let flushed = self.settle_all(budget).await;
        self.inner.environment.pending.ending.note(End::ShutDown);
        self.inner.cancel.cancel();
        self.inner.tracker.close();
        self.inner.circuits().running.clear();
        let left = budget.saturating_sub(self.inner.environment.clock.now().since(started));
        // Cancelled tasks end at their next poll; a blocked runtime is not ours to mend.
        let ended = self.inner.tracker.wait();
        let _ =
            self.inner.environment.clock.within(left.max(Duration::from_millis(10)), ended).await;
        flushed
    }

    fn handle(&self, name: &str, config: &Arc<Config>) -> Result<Breaker, RegistryError> {
        let mut circuits = self.inner.circuits();
        // Under the lock, so that no circuit is added behind a shutdown's back.
        if self.inner.cancel.is_cancelled() {
            return Err(RegistryError::ShutDown);
        }
        // One whose actor was dropped with its runtime is none.
        let known = circuits.running.get(name).filter(|circuit| !circuit.mailbox.is_disconnected());
        if let Some(circuit) = known {
            let is_same = Arc::ptr_eq(&circuit.config, config) || circuit.config == *config;
            let differences = if is_same { Vec::new() } else { circuit.config.differences(config) };
            return if differences.is_empty() {
                Ok(Breaker::new(Arc::clone(circuit)))
            } else {
                Err(RegistryError::ConfigMismatch { name: circuit.name.clone(), differences })
            };
        }
        let name = CircuitName::new(name)?;
        let told = circuits.forgotten.take(&name);
        let circuit = self.spawn_circuit(name.clone(), Arc::clone(config), told);
        // Taken before the actor can find that there is no handle.
        let breaker = Breaker::new(Arc::clone(&circuit));
        if !self.inner.disabled && circuit.mailbox.is_disconnected() {
            // A task that is dropped as it is spawned: there is nothing that would run it,
            // nor any other.
            circuits.running.clear();
            return Err(RegistryError::RuntimeEnded);
        }
        // A disabled circuit has no actor that would ever take it out again.
        if !self.inner.disabled {
            circuits.running.insert(name, circuit);
        }
        Ok(breaker)
    }

    fn spawn_circuit(
        &self,
        name: CircuitName,
        config: Arc<Config>,
        told: Option<LastAnnounced>,
    ) -> Arc<Circuit> {
        let inner = &self.inner;
        let gate = if inner.disabled { Gate::disabled() } else { Gate::new() };
        let (circuit, mailbox) = Circuit::new(
            name.clone(),
            Arc::clone(&config),
            inner.environment.clock.clone(),
            Arc::clone(&inner.environment.pending),
            gate,
        );
        if inner.disabled {
            return circuit;
        }
        let machine = Machine::new(name, config, Box::new(inner.jitter.clone()));
        let environment = Arc::clone(&inner.environment);
        let weak = Arc::downgrade(inner);
        let forget = Box::new(move |circuit: &Arc<Circuit>, is_clean: &dyn Fn() -> bool, told| {
            forget(&weak, circuit, is_clean, told)
        });
        let cancelled = inner.cancel.clone();
        let mut actor = Actor::new(&circuit, mailbox, machine, environment, cancelled, forget);
        actor.announced_earlier(told);
        // Lent, not given: a future that takes its argument by value holds it twice.
        let run = async move { actor.keep().await };
        inner.tracker.spawn_on(run, &inner.runtime);
        circuit
    }
}

/// Takes a circuit out of its registry, unless a handle was made meanwhile. Handles are
/// made under the same lock: while it is held, and none is left, nothing more is sent to
/// the actor or counted. What a handle did that came and went since the actor looked is
/// found by the last look, which takes place under the lock for that reason.
fn forget(
    registry: &Weak<Inner>,
    circuit: &Arc<Circuit>,
    is_clean: &dyn Fn() -> bool,
    told: Option<LastAnnounced>,
) -> bool {
    let Some(inner) = registry.upgrade() else {
        return true;
    };
    let mut circuits = inner.circuits();
    let is_over = circuit.handles.load(Ordering::Acquire) == 0 && is_clean();
    if is_over {
        circuits.running.remove(circuit.name.as_str());
        if let Some(told) = told {
            circuits.forgotten.keep(circuit.name.clone(), told);
        }
    }
    is_over
}

impl Inner {
    /// No user code runs under the lock, so a poisoned map is whole.
    fn circuits(&self) -> MutexGuard<'_, Circuits> {
        self.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tasks end with the registry, and with them the protection.
impl Drop for Inner {
    fn drop(&mut self) {
        self.environment.pending.ending.note(End::Dropped);
    }
}

impl fmt::Debug for BreakerRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerRegistry")
            .field("circuits", &self.circuits())
            .field("disabled", &self.inner.disabled)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn a_circuit_with_a_new_handle_is_not_forgotten() {
        let builder = BreakerRegistry::builder(MemoryStore::new());
        let registry = builder.disabled(false).spawn().unwrap();
        let breaker = registry.breaker("payments").unwrap();
        let weak = Arc::downgrade(&registry.inner);
        let circuit = Arc::clone(registry.inner.circuits().running.get("payments").unwrap());
        assert!(!forget(&weak, &circuit, &|| true, None));
        assert_eq!(registry.circuits(), 1);
        drop(breaker);
        assert!(!forget(&weak, &circuit, &|| false, None), "it has left something");
        assert_eq!(registry.circuits(), 1);
        assert!(forget(&weak, &circuit, &|| true, None));
        assert_eq!(registry.circuits(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_after_shutdown_waits_for_nobody() {
        let builder = BreakerRegistry::builder(MemoryStore::new());
        let registry = builder.disabled(false).spawn().unwrap();
        let _breaker = registry.breaker("payments").unwrap();
        registry.shutdown(Duration::from_secs(1)).await.unwrap();
        // As of an outcome that was sent when the actor looked for the last time.
        let _pending = registry.inner.environment.pending.start();
        registry.flush(Duration::from_secs(60)).await.unwrap();
    }
}
