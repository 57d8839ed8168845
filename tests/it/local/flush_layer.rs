//! `FlushLayer`: what is outstanding is written after each request, whatever came of it.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use fuseboard::{
    Breaker, CircuitState, OwnedPermit,
    tower::{Flush, FlushLayer},
};
use futures::FutureExt as _;
use tower_layer::Layer as _;
use tower_service::Service;
use tracing::Level;

use crate::support::{
    faulty::Fault,
    log::Lines,
    memory::{CIRCUIT, Process, World, fail, pass, succeed, timed, trip},
};

const BUDGET: Duration = Duration::from_millis(500);
const SLOW: Fault = Fault::Delay(Duration::from_millis(200));

/// A request, as a runtime tells its deadline.
struct Request {
    deadline: Option<SystemTime>,
}

/// A service that is a function, and that is ready when it is told so.
#[derive(Clone)]
struct Handler<F> {
    handle: F,
    readiness: Poll<Result<(), &'static str>>,
}

fn handler<F>(handle: F) -> Handler<F> {
    Handler { handle, readiness: Poll::Ready(Ok(())) }
}

impl<F, H> Service<Request> for Handler<H>
where
    F: Future<Output = Result<u32, &'static str>>,
    H: FnMut(Request) -> F,
{
    type Response = u32;
    type Error = &'static str;
    type Future = F;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.readiness
    }

    fn call(&mut self, request: Request) -> F {
        (self.handle)(request)
    }
}

/// Waits for readiness, and makes a request.
async fn serve<S: Service<Request, Error = &'static str>, D>(
    service: &mut Flush<S, D>,
    deadline: Option<SystemTime>,
) -> Result<S::Response, &'static str>
where
    Flush<S, D>: Service<Request, Response = S::Response, Error = &'static str>,
{
    poll_fn(|context| service.poll_ready(context)).await?;
    service.call(Request { deadline }).await
}

/// A world whose calls await no write.
fn unawaited() -> (World, Process) {
    let world = World::with(|config| config.await_trip_write(false));
    let process = world.process();
    (world, process)
}

/// A probe that runs on: a flush would wait for it.
async fn probed() -> (World, Process, OwnedPermit) {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    trip(&breaker).await;
    pass(31.0).await;
    let probe = breaker.admit_owned().await.unwrap();
    (world, process, probe)
}

/// One failure before the circuit trips, with writes that meet this.
async fn about_to_trip(process: &Process, writes: Fault) -> Breaker {
    let breaker = process.breaker();
    for _ in 0..4 {
        let _ = fail(&breaker).await;
    }
    process.store.writes_meet(writes);
    breaker
}

#[tokio::test(start_paused = true)]
async fn a_trip_that_nobody_awaited_is_written_whatever_came_of_the_request() {
    for result in [Ok(7), Err("down")] {
        let (world, process) = unawaited();
        let breaker = about_to_trip(&process, SLOW).await;
        let handle = |_| async {
            let _ = fail(&breaker).await;
            assert_eq!(world.engine.record(CIRCUIT), None);
            result
        };
        let mut service = FlushLayer::new(process.registry.clone()).layer(handler(handle));
        let (served, took) = timed(serve(&mut service, None)).await;
        assert_eq!((served, took.as_millis()), (result, 200));
        assert_eq!(world.stored_state(), Some(CircuitState::Open));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_leaves_nothing_outstanding_is_done_at_once() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    assert_eq!(succeed(&breaker).await, Ok(42));
    process.store.meets(Fault::Hang);
    let handle = |_| async { Ok(succeed(&breaker).await.unwrap()) };
    let mut service = FlushLayer::new(process.registry.clone()).layer(handler(handle));
    assert_eq!(serve(&mut service, None).now_or_never(), Some(Ok(42)));
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_spent_is_told_in_the_log_and_not_to_the_caller() {
    let (world, process) = unawaited();
    let breaker = about_to_trip(&process, Fault::Delay(Duration::from_millis(800))).await;
    let handle = |_| async {
        let _ = fail(&breaker).await;
        Ok(7)
    };
    let layer = FlushLayer::new(process.registry.clone()).budget(BUDGET);
    let mut service = layer.layer(handler(handle));
    let warnings = Lines::of(Level::WARN);
    let (served, took) = timed(serve(&mut service, None)).await;
    assert_eq!((served, took), (Ok(7), BUDGET));
    let told = warnings.take_texts();
    assert!(told.len() == 1 && told[0].contains("1 outcomes were still unsettled"), "{told:?}");
    assert_eq!(world.engine.record(CIRCUIT), None);
    pass(0.5).await;
    assert_eq!(world.stored_state(), Some(CircuitState::Open), "the writes go on");
}

#[tokio::test(start_paused = true)]
async fn the_default_budget_is_that_of_a_store_operation() {
    let (_fleet, process, _probe) = probed().await;
    let handle = |_| async { Ok(7) };
    let mut service = FlushLayer::new(process.registry.clone()).layer(handler(handle));
    let (_, took) = timed(serve(&mut service, None)).await;
    assert_eq!(took, Duration::from_secs(1));
}

/// How long a request takes whose flush would never end. Its handler takes 100 ms.
async fn took_with(
    deadline_in: Option<Duration>,
    change: impl Fn(FlushLayer) -> FlushLayer,
) -> Duration {
    let (world, process, _probe) = probed().await;
    let layer = change(FlushLayer::new(process.registry.clone()).budget(BUDGET));
    let handle = |_| async {
        pass(0.1).await;
        Ok(7)
    };
    let mut service = layer.deadline(|request: &Request| request.deadline).layer(handler(handle));
    let deadline = deadline_in.map(|after| world.clock.wall() + after);
    let (served, took) = timed(serve(&mut service, deadline)).await;
    assert_eq!(served, Ok(7));
    took
}

#[tokio::test(start_paused = true)]
async fn a_flush_ends_before_the_deadline_of_its_request() {
    let ms = Duration::from_millis;
    for (deadline, took) in [
        (None, 600),
        (Some(ms(2_000)), 600),
        (Some(ms(400)), 350),
        // Past when the flush begins: it has no time at all.
        (Some(ms(120)), 100),
        (Some(ms(50)), 100),
    ] {
        let waited = took_with(deadline, |layer| layer).await;
        // A timer of zero takes a tick.
        assert!(waited >= ms(took) && waited <= ms(took + 1), "{deadline:?}: {waited:?}");
    }
    assert_eq!(took_with(Some(ms(400)), |layer| layer.margin(ms(200))).await, ms(200));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_past_when_a_request_comes_is_unknown() {
    let (_fleet, process, _probe) = probed().await;
    let layer = FlushLayer::new(process.registry.clone()).budget(BUDGET);
    // A `SystemTime`, as `lambda_runtime::Context::deadline` returns it.
    let mut service =
        layer.deadline(|_: &Request| SystemTime::UNIX_EPOCH).layer(handler(|_| async { Ok(7) }));
    assert_eq!(timed(serve(&mut service, None)).await, (Ok(7), BUDGET));
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_zero_turns_the_layer_off() {
    let warnings = Lines::of(Level::WARN);
    let took = took_with(None, |layer| layer.budget(Duration::ZERO)).await;
    assert_eq!(took, Duration::from_millis(100));
    assert_eq!(warnings.take_texts(), Vec::<String>::new());
}

/// Is done at once, and reports a failure when it is dropped.
struct Holding(Option<OwnedPermit>);

impl Future for Holding {
    type Output = Result<u32, &'static str>;

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(self.0.is_some());
        Poll::Ready(Ok(7))
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        drop(self.0.take().map(OwnedPermit::failure));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_dropped_before_the_flush() {
    let (world, process) = unawaited();
    let breaker = about_to_trip(&process, SLOW).await;
    let mut last = Some(breaker.admit_owned().await.unwrap());
    let layer = FlushLayer::new(process.registry.clone());
    let mut service = layer.layer(handler(|_| Holding(last.take())));
    let (served, took) = timed(serve(&mut service, None)).await;
    assert_eq!((served, took.as_millis()), (Ok(7), 200));
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
}

#[tokio::test(start_paused = true)]
async fn the_readiness_of_the_inner_service_is_passed_on() {
    let world = World::new();
    let layer = FlushLayer::new(world.process().registry);
    for readiness in [Poll::Pending, Poll::Ready(Ok(())), Poll::Ready(Err("worn out"))] {
        let mut inner = handler(|_| async { Ok(7) });
        inner.readiness = readiness;
        let mut service = layer.layer(inner);
        let ready = poll_fn(|context| Poll::Ready(service.poll_ready(context))).await;
        assert_eq!(ready, readiness);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_dropped_request_left_is_flushed_by_the_next() {
    let (world, process) = unawaited();
    let breaker = about_to_trip(&process, SLOW).await;
    let handle = |_| async {
        let _ = fail(&breaker).await;
        Ok(7)
    };
    let mut service = FlushLayer::new(process.registry.clone()).layer(handler(handle));
    {
        let mut dropped = pin!(serve(&mut service, None));
        assert!(dropped.as_mut().now_or_never().is_none(), "it flushes");
    }
    assert_eq!(world.engine.record(CIRCUIT), None);
    let (_, took) = timed(serve(&mut service, None)).await;
    assert_eq!(took.as_millis(), 200);
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
}
