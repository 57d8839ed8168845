//! The owner of a process's circuits, and the one file that spawns.

mod builder;
mod entropy;
mod following;
mod forgotten;
mod listing;
#[cfg(feature = "metrics")]
mod observing;
mod reconfiguring;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak, atomic::Ordering},
    time::Duration,
};

#[cfg(feature = "tower")]
use std::time::SystemTime;

use tokio::runtime::Handle;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use self::{
    builder::DEFAULT_TRANSITION_CAPACITY,
    entropy::{Jitter, Numbers},
    forgotten::Forgotten,
};
pub use self::{
    builder::{DISABLED_ENV, RegistryBuilder},
    reconfiguring::Reconfigured,
};
use crate::{
    breaker::Breaker,
    clock::Clock,
    config::{Config, Settings},
    error::{FlushError, RegistryError},
    name::CircuitName,
    protocol::machine::Machine,
    runtime::actor::{Actor, Environment, LastAnnounced},
    runtime::circuit::Circuit,
    runtime::circuit::message::Message,
    runtime::ending::End,
    runtime::gate::Gate,
    store::Store,
    subscription::Transitions,
};

/// Owns the circuits of one process and their actors.
///
/// Spawn one at cold start and keep it for as long as the process lives. Clones share it. When the
/// last clone is dropped the actors end: breakers that are still in use then admit every call, once
/// their cached state has expired.
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
    jitter: Jitter,
    disabled: bool,
    tracker: TaskTracker,
    cancel: CancellationToken,
    runtime: Handle,
    /// Held for a look-up or an insertion, never across an await, and never to read a circuit's
    /// state.
    circuits: Mutex<Circuits>,
    /// Settings were warned of: once for each registry, and not for each of its circuits.
    has_warned: Once,
    _cancel_on_drop: DropGuard,
}

/// The circuits of a registry.
#[derive(Default)]
struct Circuits {
    running: HashMap<CircuitName, Arc<Circuit>>,
    /// Those of the running ones that were asked for with settings of their own.
    own: HashSet<CircuitName>,
    /// What all others have.
    settings: Settings,
    forgotten: Forgotten,
}

impl BreakerRegistry {
    /// Returns a builder of a registry over this store.
    pub fn builder<S: Store>(store: S) -> RegistryBuilder {
        RegistryBuilder {
            store: Arc::new(store),
            settings: Settings::default(),
            settings_file: None,
            clock: Clock::system(),
            numbers: Numbers::default(),
            prefix: String::new(),
            instance: None,
            disabled: None,
            transition_capacity: DEFAULT_TRANSITION_CAPACITY,
        }
    }

    /// Returns the breaker of a circuit, with the registry's [settings](RegistryBuilder::settings) for
    /// its name; or, if [`breaker_with`](Self::breaker_with) has made the circuit, with those given
    /// there. The first breaker for a
    /// name spawns the circuit's actor; the store is not read before a call. Keep the
    /// breaker: a circuit without handles is forgotten, and with it its failures,
    /// `recovery_timeout` after the last call, or once no rule counts them. Keep the registry as well: without it no
    /// failure is counted, and every call runs once what the breaker knows is older than
    /// `local_cache_max_age`.
    ///
    /// # Errors
    ///
    /// - [`RegistryError::Name`]: the name is empty, or longer than 2,048 bytes with the
    ///   registry's [`prefix`](RegistryBuilder::prefix).
    /// - [`RegistryError::ShutDown`]: the registry was shut down. Spawn another.
    /// - [`RegistryError::RuntimeEnded`]: the tokio runtime that the registry was spawned on
    ///   has ended. Spawn a registry on each runtime (in each `#[tokio::test]`, on each
    ///   worker's runtime), or one on a runtime that outlives all calls.
    pub fn breaker(&self, name: impl AsRef<str>) -> Result<Breaker, RegistryError> {
        self.get_or_spawn(name.as_ref(), None)
    }

    /// Returns the breaker of a circuit that has settings of its own, which
    /// [`reconfigure`](Self::reconfigure) does not change.
    ///
    /// # Errors
    ///
    /// As for [`breaker`](Self::breaker), and:
    ///
    /// - [`RegistryError::ConfigMismatch`]: the circuit runs with other settings. The error lists
    ///   those that differ, with both values.
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
        self.get_or_spawn(name.as_ref(), Some(config.for_store(is_shared)))
    }

    /// Subscribes to the transitions of all circuits, from now on.
    ///
    /// A circuit without handles is forgotten even while it is not closed, `recovery_timeout` and
    /// an hour after its last call. Its last transition says so
    /// ([`Cause::Forgotten`](crate::Cause::Forgotten)): changes by other processes are not
    /// announced until it has a breaker and a call again. An opening that was announced
    /// before is not announced twice, unless more than 1,024 circuits were forgotten in between.
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

    /// Waits until no outcome is left that may still lead to a write, for `budget` at most. If
    /// there is none, this costs two atomic loads.
    ///
    /// Gives back a right to probe that this process holds and no call uses. Waits for a running
    /// probe, whose verdict is still to come: report a probe's permit before you flush.
    ///
    /// Call it before an AWS Lambda environment may be frozen: then what no caller has waited
    /// for is written (a dropped probe, a permit reported without
    /// [`settled`](crate::Settling::settled)).
    ///
    /// # Errors
    ///
    /// [`FlushError`]: the budget was spent first. Nothing is lost; the writes go on. `flush` does
    /// not wait for a write that the store has failed: it is made again after the back-off. It
    /// waits for calls that wait for the store, and counts them among the outcomes.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops the waiting: the writes go on.
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

    /// Sends every actor a flush, and waits until nothing is outstanding. The message comes after
    /// all that were sent before, so those are settled too.
    async fn settle_all(&self, budget: Duration) -> Result<(), FlushError> {
        let environment = &self.inner.environment;
        let circuits: Vec<_> = self.inner.circuits().running.values().cloned().collect();
        let settled = async {
            for circuit in circuits {
                let flush = Message::Flush(environment.pending.start());
                // An actor that has ended has nothing to settle.
                let _ = circuit.mailbox.send_async(flush).await;
            }
            while environment.outstanding() > 0 {
                environment.pending.idle().await;
                environment.rights.idle().await;
            }
        };
        // Once all actors have ended, no message leads to a write any more: without this branch
        // an outcome that was sent to the last of them would keep us for the whole budget.
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

    /// Flushes, then ends every actor. Subscriptions end when the last clone of the registry is
    /// dropped. Breakers that are still in use admit every call, once their cached state has
    /// expired; requests for new ones return [`RegistryError::ShutDown`].
    ///
    /// # Errors
    ///
    /// [`FlushError`]: outcomes were still unsettled when the budget was spent. The actors end all
    /// the same.
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
        self.inner.end_circuits();
        let left = budget.saturating_sub(self.inner.environment.clock.now().since(started));
        // Cancelled tasks end at their next poll. Do not wait for more than the budget: a caller
        // may have blocked the runtime that has to poll them.
        let ended = self.inner.tracker.wait();
        let _ =
            self.inner.environment.clock.within(left.max(Duration::from_millis(10)), ended).await;
        flushed
    }

    /// Returns the number of outcomes and rights to probe that may still lead to a write.
    #[cfg(feature = "tower")]
    pub(crate) fn outstanding(&self) -> usize {
        self.inner.environment.outstanding()
    }

    /// Returns the time of the wall clock, as other systems tell deadlines by it.
    #[cfg(feature = "tower")]
    pub(crate) fn wall(&self) -> SystemTime {
        let since = self.inner.environment.clock.now().wall();
        SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn get_or_spawn(&self, name: &str, own: Option<Config>) -> Result<Breaker, RegistryError> {
        let mut circuits = self.inner.circuits();
        // Under the lock, as `shutdown`: a circuit that was added later would keep an actor.
        if self.inner.cancel.is_cancelled() {
            return Err(RegistryError::ShutDown);
        }
        // A circuit whose actor was dropped with its runtime counts as none.
        let known = circuits.running.get(name).filter(|circuit| !circuit.mailbox.is_disconnected());
        if let Some(circuit) = known {
            let circuit = Arc::clone(circuit);
            let Some(own) = own else {
                return Ok(Breaker::new(circuit));
            };
            let differences = circuit.config().differences(&own);
            if !differences.is_empty() {
                let name = circuit.name.clone();
                return Err(RegistryError::ConfigMismatch { name, differences });
            }
            circuits.own.insert(circuit.name.clone());
            return Ok(Breaker::new(circuit));
        }
        let name = CircuitName::new(name)?;
        let has_own = own.is_some();
        let config =
            own.map_or_else(|| Arc::clone(circuits.settings.shared(name.as_str())), Arc::new);
        let shown = Arc::clone(&config);
        // Refused here, where the caller sees it, and not at the first request.
        let key = self.inner.environment.prefix.key(&name, config.dry_run())?;
        if config.votes().is_some() {
            key.check_with_votes()?;
        }
        let announced = circuits.forgotten.take(&name);
        let circuit = self.spawn_circuit(name.clone(), config, announced);
        // Make the handle first: an actor that finds no handle forgets its circuit.
        let breaker = Breaker::new(Arc::clone(&circuit));
        if !self.inner.disabled && circuit.mailbox.is_disconnected() {
            // Its task was dropped as it was spawned: the runtime has ended, and all actors.
            circuits.running.clear();
            circuits.own.clear();
            return Err(RegistryError::RuntimeEnded);
        }
        if self.inner.disabled {
            // Not kept: it has no actor that would ever remove it again.
            return Ok(breaker);
        }
        if has_own {
            circuits.own.insert(name.clone());
        }
        circuits.running.insert(name, circuit);
        drop(circuits); // A subscriber of the log is code of others: not under the lock.
        self.inner.warn_of_a_short_window(&shown);
        Ok(breaker)
    }

    fn spawn_circuit(
        &self,
        name: CircuitName,
        config: Arc<Config>,
        announced: Option<LastAnnounced>,
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
        let forget =
            Box::new(move |circuit: &Arc<Circuit>, is_clean: &dyn Fn() -> bool, announced| {
                forget(&weak, circuit, is_clean, announced)
            });
        let mut actor =
            Actor::new(&circuit, mailbox, machine, environment, inner.cancel.clone(), forget);
        actor.announced_earlier(announced);
        // `keep` borrows the actor: a future that takes it by value holds it twice.
        let run = async move { actor.keep().await };
        inner.spawn(run);
        circuit
    }
}

/// Removes a circuit from its registry, unless a handle was made in the meantime. Returns `true`
/// if it did. Handles are made under the same lock: while it is held and no handle exists,
/// nothing is sent to the actor or counted. So `is_clean` is called under the lock: it finds the
/// messages and failures of a handle that was made and dropped since the actor last looked.
fn forget(
    registry: &Weak<Inner>,
    circuit: &Arc<Circuit>,
    is_clean: &dyn Fn() -> bool,
    announced: Option<LastAnnounced>,
) -> bool {
    let Some(inner) = registry.upgrade() else {
        return true;
    };
    let mut circuits = inner.circuits();
    let is_over = circuit.handles.load(Ordering::Acquire) == 0 && is_clean();
    if is_over {
        circuits.running.remove(circuit.name.as_str());
        circuits.own.remove(circuit.name.as_str());
        if let Some(announced) = announced {
            circuits.forgotten.keep(circuit.name.clone(), announced);
        }
    }
    is_over
}

impl Inner {
    /// Locks the circuits. No user code runs under the lock, so a poisoned map is whole.
    fn circuits(&self) -> MutexGuard<'_, Circuits> {
        self.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spawns a task that ends with the registry.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn_on(task, &self.runtime);
    }

    /// Forgets all circuits, and has metrics tell what is left of them.
    fn end_circuits(&self) {
        let ended = std::mem::take(&mut self.circuits().running);
        for circuit in ended.into_values() {
            circuit.counts.drain(&circuit.snapshot.load());
            self.environment.observed.forget(&circuit.label());
        }
    }
}

/// Notes the end of the registry: its actors end with it, and its breakers no longer protect.
impl Drop for Inner {
    fn drop(&mut self) {
        self.environment.pending.ending.note(End::Dropped);
        self.end_circuits();
    }
}

impl fmt::Debug for BreakerRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerRegistry")
            .field("circuits", &self.len())
            .field("disabled", &self.inner.disabled)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
