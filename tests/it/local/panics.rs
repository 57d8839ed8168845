//! Panics: those of a call, and those of other code beside it.

use std::{
    future::{Future, Ready, pending},
    pin::Pin,
    sync::Arc,
    task::{Context, Wake, Waker},
    time::{Duration, SystemTime},
};

use fuseboard::{
    Breaker, BreakerRegistry, CircuitName, CircuitState, Classifier, VirtualClock,
    store::{
        Consistency, Operation, Record, ServerTime, Store, StoreError, StoreErrorKind, Written,
    },
};
use tokio::task::{JoinSet, yield_now};

use crate::support::{
    faulty::Fault,
    memory::{START, World, fail, is_rejected, pass, recover, settle, states, trip},
};

/// Runs a task, which panics.
async fn panics(task: impl Future<Output: Send + 'static> + Send + 'static) {
    let mut tasks = JoinSet::new();
    tasks.spawn(task);
    let Some(ended) = tasks.join_next().await else { panic!("there is one task") };
    assert!(ended.is_err_and(|error| error.is_panic()));
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn case_74_a_panic_of_other_code_in_the_task_of_a_call_is_no_failure() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..5 {
        let breaker = breaker.clone();
        panics(async move {
            let call = breaker.call(|| async {
                pass(1.0).await;
                Ok::<u32, &str>(42)
            });
            futures::join!(call, async {
                settle().await;
                panic!("as the test says")
            })
        })
        .await;
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
    assert_eq!(process.store.log(), ["read"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_at_any_poll_is_a_failure() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for polls in [0, 0, 1, 1, 2] {
        let breaker = breaker.clone();
        panics(async move {
            let call = || async {
                for _ in 0..polls {
                    yield_now().await;
                }
                if polls < 9 { panic!("as the test says") } else { Ok::<u32, &str>(42) }
            };
            breaker.call(call).await
        })
        .await;
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_before_there_is_a_future_is_a_failure() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..5 {
        let breaker = breaker.clone();
        let call = || -> Ready<Result<u32, &str>> { panic!("as the test says") };
        panics(async move { breaker.call(call).await }).await;
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_classifier_that_panics_says_nothing_about_the_dependency() {
    let world = World::new();
    let process = world.process();
    let judge = Classifier::<u32, &str>::builder().count_if(|_| panic!("as the test says"));
    let breaker = process.breaker().classified_by(judge.build().unwrap());
    for _ in 0..5 {
        let breaker = breaker.clone();
        panics(async move { breaker.call(|| async { Ok(42) }).await }).await;
    }
    assert_eq!(breaker.breaker().snapshot().state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn case_53_a_panic_of_other_code_in_the_task_of_a_probe_gives_its_right_back() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    trip(&breaker).await;
    pass(31.0).await;
    let probing = breaker.clone();
    panics(async move {
        let call = probing.call(pending::<Result<u32, &str>>);
        futures::join!(call, async {
            pass(1.0).await;
            panic!("as the test says")
        })
    })
    .await;
    assert_eq!(world.stored_state(), Some(CircuitState::HalfOpen));
    recover(&breaker).await;
}

/// Where a store of the user's panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Panicking {
    BeforeThereIsAFuture,
    WhenPolled,
    WhenDropped,
    WhenItsErrorIsDropped,
    WhenAskedForTheTime,
}

/// Panics when it is dropped, unless its thread panics already.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "as the test says");
    }
}

impl std::fmt::Display for Bomb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a bomb")
    }
}

impl std::error::Error for Bomb {}

impl Panicking {
    fn answer<T: Send>(self) -> impl Future<Output = Result<T, StoreError>> + Send {
        assert!(self != Self::BeforeThereIsAFuture, "as the test says");
        async move {
            match self {
                Self::WhenItsErrorIsDropped => {
                    let error = StoreError::new(StoreErrorKind::Unavailable, "out");
                    Err(error.with_source(Bomb))
                }
                Self::WhenDropped => {
                    let _bomb = Bomb;
                    pending().await
                }
                Self::BeforeThereIsAFuture | Self::WhenPolled | Self::WhenAskedForTheTime => {
                    panic!("as the test says")
                }
            }
        }
    }
}

impl Store for Panicking {
    fn read(
        &self,
        _: &CircuitName,
        _: Consistency,
    ) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send {
        self.answer()
    }

    fn write(
        &self,
        _: &CircuitName,
        _: &Operation,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send {
        self.answer()
    }

    fn server_time(&self) -> Option<ServerTime> {
        assert!(*self != Self::WhenAskedForTheTime, "as the test says");
        None
    }
}

fn registry(store: impl Store) -> BreakerRegistry {
    let clock = VirtualClock::following_tokio(
        SystemTime::UNIX_EPOCH + Duration::from_secs(START.unsigned_abs()),
    );
    BreakerRegistry::builder(store).clock(&clock).disabled(false).spawn().unwrap()
}

/// Over an hour of failing calls, one each second, the circuit is open nearly all the time.
async fn protects(breaker: &Breaker) -> bool {
    let mut ran = 0;
    for _ in 0..3_600 {
        ran += u32::from(!is_rejected(&fail(breaker).await));
        pass(1.0).await;
    }
    ran <= 5 + 3_600 / 30 + 1
}

#[tokio::test(start_paused = true)]
async fn case_163_a_store_that_panics_wherever_it_can_is_a_failed_store() {
    for store in [
        Panicking::BeforeThereIsAFuture,
        Panicking::WhenPolled,
        Panicking::WhenDropped,
        Panicking::WhenItsErrorIsDropped,
        Panicking::WhenAskedForTheTime,
    ] {
        let registry = registry(store);
        let breaker = registry.breaker("payments").unwrap();
        trip(&breaker).await;
        assert!(is_rejected(&fail(&breaker).await), "{store:?}");
        assert!(protects(&breaker).await, "{store:?}");
        // Its operation is under way when the actor is ended.
        let _ = breaker.try_admit();
        registry.shutdown(Duration::from_millis(1)).await.ok();
    }
}

#[tokio::test(start_paused = true)]
async fn case_163_a_log_that_panics_at_every_event_loses_the_events_and_nothing_else() {
    let _logs = tracing::subscriber::set_default(PanickingLog);
    for store in [None, Some(Fault::Hang), Some(Fault::Fail(StoreErrorKind::Misconfigured))] {
        let world = World::new();
        let process = world.process();
        let mut transitions = process.registry.subscribe();
        if let Some(fault) = store {
            process.store.meets(fault);
        }
        let breaker = process.breaker();
        trip(&breaker).await;
        settle().await;
        assert_eq!(states(&mut transitions), [CircuitState::Open], "subscribers hear of it");
        assert!(protects(&breaker).await, "{store:?}");
        process.store.meets(Fault::None);
        pass(61.0).await;
        recover(&breaker).await;
        assert_eq!(process.registry.flush(Duration::from_secs(1)).await, Ok(()));
    }
    // What is told on the thread of a caller.
    let process = World::new().process_with(|builder| builder.disabled(true));
    drop(process);
    let process = World::new().process();
    let breaker = process.breaker();
    drop(process);
    for _ in 0..10 {
        assert!(!is_rejected(&fail(&breaker).await));
    }
}

/// Panics when it is to wake somebody.
struct PanickingWaker;

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        panic!("as the test says");
    }
}

#[track_caller]
fn poll_once<T>(future: &mut Pin<Box<impl Future<Output = T> + ?Sized>>) {
    let waker = Waker::from(Arc::new(PanickingWaker));
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
}

#[tokio::test(start_paused = true)]
async fn case_163_a_waker_that_panics_costs_its_own_task_and_nobody_else() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let mut transitions = process.registry.subscribe();
    process.store.meets(Fault::Delay(Duration::from_millis(50)));
    let mut asks = Box::pin(breaker.admit());
    poll_once(&mut asks);
    let mut other = Box::pin(breaker.admit());
    poll_once(&mut other);
    settle().await;
    let mut flushes = Box::pin(process.registry.flush(Duration::from_secs(60)));
    poll_once(&mut flushes);
    let mut listens = Box::pin(transitions.recv());
    poll_once(&mut listens);
    pass(0.2).await;
    for _ in 0..4 {
        let _ = fail(&breaker).await;
    }
    let mut trips = Box::pin(breaker.admit().await.unwrap().failure().settled());
    poll_once(&mut trips);
    pass(0.2).await;
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
    let mut orders = Box::pin(breaker.release());
    poll_once(&mut orders);
    pass(0.2).await;
    assert_eq!(world.stored_state(), Some(CircuitState::Closed));
    // Before their timers wake them, which is for their runtime to survive.
    drop((asks, other, flushes, trips, orders, listens));
    trip(&breaker).await;
    assert!(is_rejected(&fail(&breaker).await));
    assert!(protects(&breaker).await);
}

/// A subscriber of `tracing` that panics at every event, as one does whose pipe is closed.
struct PanickingLog;

impl tracing::Subscriber for PanickingLog {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        assert!(!event.metadata().target().starts_with("fuseboard"), "as the test says");
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
