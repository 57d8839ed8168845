//! Everything of one test: a store, the processes that share it, and one clock.
//!
//! The same for a store in memory ([`memory`](super::memory)) and for DynamoDB
//! (`dynamodb`), so that a scenario is written once and run over each.

use std::{
    cell::{Cell, OnceCell, RefCell},
    future::Future,
    time::{Duration, SystemTime},
};

use fuseboard::{
    Breaker, BreakerRegistry, CallError, CircuitState, CircuitTransition, Config, ConfigBuilder,
    OpenError, Origin, RegistryBuilder, Transitions, VirtualClock,
    store::{Record, Store},
};
use futures::FutureExt as _;

use super::{faulty::Fault, jitter};

/// The circuit that most tests are about.
pub(crate) const CIRCUIT: &str = "payment-backend";

/// The wall clock at the start of every test, in seconds since the Unix epoch.
pub(crate) const START: i64 = 1_000_000;

/// What keeps the records of a world.
pub(crate) trait Shared {
    /// How one process reaches it.
    type Way: Way;

    /// How a write can fail.
    const FAULTS: &'static [Fault];

    /// How often it sends a request that fails at once.
    const ATTEMPTS: usize;

    /// For how long it tries a request again that is throttled at once.
    const RETRIES: Duration;

    /// One without records.
    fn empty() -> Self;

    /// The way of the so-many-th process, and the store at its end.
    fn way(&self, process: u64) -> (Self::Way, impl Store);

    /// The record of [`CIRCUIT`], past every process.
    fn record(&self) -> Option<Record>;

    /// Replaces the record of [`CIRCUIT`], past every process.
    fn set_record(&self, record: Option<Record>);
}

/// The way of one process to the engine: what happens on it, and how much was asked.
pub(crate) trait Way {
    /// From now on reads meet this fault.
    fn reads_meet(&self, fault: Fault);
    /// From now on writes meet this fault.
    fn writes_meet(&self, fault: Fault);
    /// From now on reads and writes meet this fault.
    fn meets(&self, fault: Fault) {
        self.reads_meet(fault);
        self.writes_meet(fault);
    }
    /// How many reads were sent, those of the store's own retries too.
    fn reads(&self) -> usize;
    /// How many writes were sent, those of the store's own retries too.
    fn writes(&self) -> usize;
}

/// One engine and one clock, which follows tokio's: tests pause it, and move it with
/// [`pass`].
pub(crate) struct World<S> {
    pub(crate) engine: S,
    pub(crate) clock: VirtualClock,
    config: Config,
    processes: Cell<u64>,
}

impl<S: Shared> World<S> {
    /// A world whose processes have default settings, but no spread.
    pub(crate) fn new() -> Self {
        Self::with(|config| config)
    }

    /// A world whose processes have some settings changed; without spread, unless they
    /// say so.
    pub(crate) fn with(settings: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Self {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(START.unsigned_abs());
        Self {
            engine: S::empty(),
            clock: VirtualClock::following_tokio(wall),
            config: settings(Config::builder().election_spread(Duration::ZERO)).build().unwrap(),
            processes: Cell::new(0),
        }
    }

    /// One more process.
    pub(crate) fn process(&self) -> Process<S::Way> {
        self.process_with(|builder| builder)
    }

    /// One more process, spawned in another way.
    pub(crate) fn process_with(
        &self,
        spawn: impl FnOnce(RegistryBuilder) -> RegistryBuilder,
    ) -> Process<S::Way> {
        let (way, store) = self.engine.way(self.processes.get() + 1);
        self.process_over(way, store, spawn)
    }

    /// As many processes more, which spread in the same way in every run.
    pub(crate) fn processes(&self, count: u64) -> Vec<Process<S::Way>> {
        (0..count).map(|seed| self.process_with(|builder| builder.jitter_seed(seed))).collect()
    }

    /// One more process, over a store that the test has made.
    pub(crate) fn process_over<W>(
        &self,
        way: W,
        store: impl Store,
        spawn: impl FnOnce(RegistryBuilder) -> RegistryBuilder,
    ) -> Process<W> {
        self.processes.set(self.processes.get() + 1);
        let builder = BreakerRegistry::builder(store)
            .jitter_seed(jitter::seed(self.processes.get()))
            .config(self.config.clone())
            .clock(&self.clock)
            .disabled(false);
        Process::of(spawn(builder).spawn().unwrap(), way)
    }

    /// The record of the circuit, which has one.
    pub(crate) fn record(&self) -> Record {
        self.engine.record().unwrap()
    }

    /// The state that the record of the circuit shows.
    pub(crate) fn stored_state(&self) -> Option<CircuitState> {
        self.engine.record()?.state.valid().copied()
    }

    /// Replaces the record of the circuit.
    pub(crate) fn write(&self, record: Option<Record>) {
        self.engine.set_record(record);
    }
}

/// One registry, as one process would have it, and its way to the engine.
pub(crate) struct Process<W> {
    pub(crate) registry: BreakerRegistry,
    pub(crate) store: W,
    held: OnceCell<Held>,
}

/// What a process has from when it first asks for [`CIRCUIT`].
struct Held {
    breaker: Breaker,
    transitions: RefCell<Transitions>,
}

impl<W> Process<W> {
    pub(crate) fn of(registry: BreakerRegistry, store: W) -> Self {
        Self { registry, store, held: OnceCell::new() }
    }

    fn held(&self) -> &Held {
        self.held.get_or_init(|| Held {
            transitions: RefCell::new(self.registry.subscribe()),
            breaker: self.breaker(),
        })
    }

    /// A handle to [`CIRCUIT`] that is the caller's own.
    pub(crate) fn breaker(&self) -> Breaker {
        self.registry.breaker(CIRCUIT).unwrap()
    }

    /// The handle to [`CIRCUIT`] that the process keeps.
    pub(crate) fn circuit(&self) -> &Breaker {
        &self.held().breaker
    }

    /// A call that succeeds, if it runs.
    pub(crate) async fn ok(&self) -> Call {
        self.call(async { Ok(()) }).await
    }

    /// A call that fails, if it runs.
    pub(crate) async fn fail(&self) -> Call {
        self.call(async { Err("down") }).await
    }

    pub(crate) async fn call(&self, call: impl Future<Output = Result<(), &'static str>>) -> Call {
        match self.circuit().call(|| call).await {
            Ok(()) => Call::Ok,
            Err(CallError::Inner(error)) => {
                assert_eq!(error, "down", "the caller gets its own error");
                Call::Failed
            }
            Err(CallError::TimedOut(_)) => Call::Failed,
            Err(CallError::Open(open)) => Call::Rejected(open),
        }
    }

    /// As many failures as trip a circuit with default settings.
    pub(crate) async fn trip(&self) {
        for _ in 0..5 {
            assert_eq!(self.fail().await, Call::Failed);
        }
    }

    pub(crate) fn state(&self) -> CircuitState {
        self.circuit().snapshot().state()
    }

    /// The transitions since the last time, whole.
    pub(crate) fn transitions(&self) -> Vec<CircuitTransition> {
        heard(&mut self.held().transitions.borrow_mut())
    }

    /// The transitions since the last time, as text: `CLOSED>OPEN local`.
    pub(crate) fn heard(&self) -> Vec<String> {
        let origin = |origin| match origin {
            Origin::Local => "local",
            Origin::WithoutStore => "alone",
            Origin::Observed => "observed",
        };
        self.transitions()
            .iter()
            .map(|t| format!("{}>{} {}", t.from_state, t.to_state, origin(t.origin)))
            .collect()
    }
}

/// What became of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Ok,
    Failed,
    Rejected(OpenError),
}

impl Call {
    pub(crate) fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected(_))
    }

    /// What the rejection says.
    pub(crate) fn rejection(self) -> OpenError {
        match self {
            Self::Rejected(open) => open,
            ran @ (Self::Ok | Self::Failed) => panic!("not rejected: {ran:?}"),
        }
    }
}

/// Lets so much virtual time pass, and everything run that is due in it.
pub(crate) async fn pass(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// Lets everything run that is due now.
pub(crate) async fn settle() {
    pass(0.001).await;
}

/// How much virtual time a future takes.
pub(crate) async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    #[expect(clippy::disallowed_methods, reason = "virtual time")]
    let start = tokio::time::Instant::now();
    let value = future.await;
    (value, start.elapsed())
}

/// The transitions that were broadcast so far.
pub(crate) fn heard(transitions: &mut Transitions) -> Vec<CircuitTransition> {
    let mut heard = Vec::new();
    while let Some(Some(received)) = transitions.recv().now_or_never() {
        heard.push(received.unwrap());
    }
    heard
}
