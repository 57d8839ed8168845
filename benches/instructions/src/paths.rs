//! The calls that are counted.

use std::{convert::Infallible, future::poll_fn, hint::black_box, time::Duration};

use fuseboard::{
    Breaker, BreakerRegistry, Config, MemoryStore, Rejection, Rule,
    tower::{BoxError, BreakerLayer},
};
use futures::executor::block_on;
use tower::{Layer as _, Service, service_fn};

use crate::Failed;

const DAY: Duration = Duration::from_secs(86_400);

/// Ends the name of a path whose circuit has four rules beside `failure_threshold`.
pub(crate) const WITH_RULES: &str = ", four rules";

/// Ends the name of a path whose circuit counts slow calls.
pub(crate) const WITH_SLOW: &str = ", slow calls count";

/// Ends the name of a path on whose circuit a failure stands, for which good calls are counted.
const COUNTED: &str = ", counted";

/// Makes a number of calls on one path.
pub(crate) fn run(path: &str, calls: u64) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let Circuits { closed, special, open, registry: _registry } = runtime.block_on(circuits())?;
    let special = special.into_iter().find_map(|(end, breaker)| {
        let path = path.strip_suffix(end)?;
        Some((path, breaker))
    });
    let (path, closed) = special.unwrap_or((path, closed));
    // From here on nothing runs but what is counted.
    match path {
        "try_admit" => calling(calls, || closed.try_admit().map(|permit| permit.success()).is_ok()),
        "rejected, try_admit" => calling(calls, || open.try_admit().is_err()),
        "rejected, with retry_after" => {
            let retry_after = |open: Rejection<'_>| black_box(open.retry_after());
            calling(calls, || open.try_admit().map_err(retry_after).is_err());
        }
        "rejected, with the CircuitInfo" => {
            calling(calls, || open.try_admit().map_err(|open| open.circuit()).is_err());
        }
        _ => block_on(awaiting(path, calls, &closed, &open)),
    }
    Ok(())
}

#[inline(never)]
fn calling<T>(calls: u64, call: impl Fn() -> T) {
    for _ in 0..calls {
        black_box(call());
    }
}

/// Each path in a loop within one future, as callers have it.
async fn awaiting(path: &str, calls: u64, closed: &Breaker, open: &Breaker) {
    macro_rules! repeat {
        ($call:expr) => {
            for _ in 0..calls {
                let _ = black_box($call);
            }
        };
    }
    match path {
        "admit" => repeat!(closed.admit().await.map(|permit| permit.success()).is_ok()),
        "admit_owned" => repeat!(closed.admit_owned().await.map(|permit| permit.success()).is_ok()),
        "call" => repeat!(closed.call(|| async { Ok::<_, ()>(black_box(7)) }).await),
        "call_or_else" => repeat!(
            closed.call_or_else(|| async { Ok::<_, ()>(black_box(7)) }, |_| async { Ok(8) }).await
        ),
        "layer" => {
            let inner = service_fn(|()| async { Ok::<_, Infallible>(black_box(7)) });
            let mut service = BreakerLayer::new(closed.clone()).layer(inner);
            repeat!(through(&mut service).await);
        }
        _ => repeat!(open.admit().await.is_err()),
    }
}

/// A call of a service, as its users make it.
async fn through(
    service: &mut impl Service<(), Response = u64, Error = BoxError>,
) -> Result<u64, BoxError> {
    poll_fn(|context| service.poll_ready(context)).await?;
    service.call(()).await
}

/// The circuits, and what keeps them.
struct Circuits {
    closed: Breaker,
    /// Closed too, by how the names of their paths end.
    special: [(&'static str, Breaker); 3],
    open: Breaker,
    registry: BreakerRegistry,
}

/// Makes circuits that stay as they are.
async fn circuits() -> Result<Circuits, Failed> {
    let registry = BreakerRegistry::builder(MemoryStore::new()).disabled(false).spawn()?;
    let config =
        Config::builder().failure_threshold(1).recovery_timeout(DAY).local_cache_max_age(DAY);
    let minute = Duration::from_secs(60);
    let rules = config
        .clone()
        .also_trip(Rule::of_last(10, 100))
        .also_trip(Rule::within(10, minute))
        .also_trip(Rule::rate(0.5).over(minute).at_least(20))
        .also_trip(Rule::rate(0.2).over(Duration::from_secs(300)).at_least(100))
        .build()?;
    let slow = config.clone().slow_after(minute).build()?;
    let rate = Rule::rate(0.5).over(DAY).at_least(1_000);
    let counted = config.clone().failure_threshold(1_000).also_trip(rate).build()?;
    let special =
        [(WITH_RULES, rules), (WITH_SLOW, slow), (COUNTED, counted)].map(|(end, config)| {
            registry
                .breaker_with(end.trim_start_matches(", "), config)
                .map(|breaker| (end, breaker))
        });
    let [rules, slow, counted] = special;
    let circuits = Circuits {
        closed: registry.breaker_with("closed", config.clone().build()?)?,
        special: [rules?, slow?, counted?],
        open: registry.breaker_with("open", config.build()?)?,
        registry,
    };
    let special = circuits.special.iter().map(|(_, breaker)| breaker);
    for breaker in [&circuits.closed, &circuits.open].into_iter().chain(special) {
        breaker.admit().await?.success().settled().await;
    }
    let [.., (_, counted)] = &circuits.special;
    counted.admit().await?.failure().settled().await;
    circuits.open.admit().await?.failure().settled().await;
    Ok(circuits)
}
