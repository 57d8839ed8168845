//! Processes of the library: one in the test's own thread, whose log and metrics are read, and
//! others in threads of their own.

use std::time::Duration;

use fuseboard::{Breaker, BreakerRegistry, CallError, Config, DynamoDbStore, Permit};

use super::CIRCUIT;
use crate::world::{World, soon};

/// For how long the end of a process may take.
pub(super) const SHUTDOWN: Duration = Duration::from_secs(20);

/// The least time between two calls of which the first was rejected.
const LEAST: Duration = Duration::from_millis(10);

/// A process that has a breaker.
pub(super) struct Process {
    pub(super) registry: BreakerRegistry,
    pub(super) breaker: Breaker,
}

impl Process {
    /// Starts a process with default settings, or others.
    pub(super) fn start(
        store: DynamoDbStore,
        instance: &str,
        circuit: &str,
        config: Config,
    ) -> Self {
        let builder = BreakerRegistry::builder(store).instance(instance).config(config);
        let registry = builder.disabled(false).spawn().unwrap();
        let breaker = registry.breaker(circuit).unwrap();
        Self { registry, breaker }
    }

    /// One in this thread, with default settings.
    pub(super) fn here(world: &World, instance: &str) -> Self {
        Self::start(world.store(), instance, CIRCUIT, Config::default())
    }

    /// Makes so many calls that run and fail.
    pub(super) async fn fails(&self, calls: usize) {
        for _ in 0..calls {
            assert_eq!(self.runs(Err("down")).await, Err("down"));
        }
    }

    /// Makes so many calls that run and are well.
    pub(super) async fn works(&self, calls: usize) {
        for _ in 0..calls {
            assert_eq!(self.runs(Ok(())).await, Ok(()));
        }
    }

    /// Makes a call, again while it is rejected: a probe may have to wait for its turn.
    async fn runs(&self, result: Result<(), &'static str>) -> Result<(), &'static str> {
        let ends = async {
            loop {
                match self.breaker.call(|| async { result }).await {
                    Ok(()) => return Ok(()),
                    Err(CallError::Inner(error)) => return Err(error),
                    Err(CallError::Open(open)) => {
                        tokio::time::sleep(open.retry_after() + LEAST).await;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        };
        soon("a call runs", ends).await
    }

    /// Waits until a call is admitted, and has it run on.
    pub(super) async fn probe(&self) -> Permit<'_> {
        let admitted = async {
            loop {
                match self.breaker.admit().await {
                    Ok(permit) => return permit,
                    Err(open) => tokio::time::sleep(open.retry_after() + LEAST).await,
                }
            }
        };
        soon("a call is admitted", admitted).await
    }

    /// Makes a call, which is rejected.
    pub(super) async fn is_rejected(&self) {
        let done = self.breaker.call(|| async { Ok::<_, &str>(()) }).await;
        assert!(matches!(done, Err(CallError::Open(_))), "{done:?}");
    }
}

/// A process that starts, makes its calls, and ends.
#[derive(Clone, Copy)]
pub(super) struct Other<'a> {
    pub(super) instance: &'static str,
    pub(super) circuit: &'static str,
    pub(super) world: &'a World,
}

impl<'a> Other<'a> {
    /// One with this name, of the circuit of the page.
    pub(super) fn named(world: &'a World, instance: &'static str) -> Self {
        Self { instance, circuit: CIRCUIT, world }
    }

    pub(super) fn of(self, circuit: &'static str) -> Self {
        Self { circuit, ..self }
    }

    /// Trips the circuit.
    pub(super) async fn trips(self, config: Config) {
        self.runs(config, 5, 0).await;
    }

    /// Makes calls that fail, and then calls that are well.
    #[expect(clippy::disallowed_methods, reason = "a process has a thread of its own")]
    pub(super) async fn runs(self, config: Config, failing: usize, good: usize) {
        let store = self.world.store();
        let life = move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_all().build().unwrap().block_on(async {
                let process = Process::start(store, self.instance, self.circuit, config);
                process.fails(failing).await;
                process.works(good).await;
                process.registry.shutdown(SHUTDOWN).await.unwrap();
            });
        };
        soon("the process ends", tokio::task::spawn_blocking(life)).await.unwrap();
    }
}
