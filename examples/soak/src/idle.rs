//! What a circuit costs that nobody calls.

use std::{error::Error, time::Duration};

use fuseboard::{Breaker, BreakerRegistry, MemoryStore};
use tokio::runtime::Handle;

use crate::{meter, stopwatch::Stopwatch, terminal::Terminal};

/// Spawns circuits, then calls each once, and says what that took.
pub(crate) async fn run(circuits: u32, terminal: &Terminal) -> Result<(), Box<dyn Error>> {
    let registry = BreakerRegistry::builder(MemoryStore::new()).disabled(false).spawn()?;
    // The names are the user's, and were there before.
    let names: Vec<_> = (0..circuits).map(|number| format!("circuit-{number}")).collect();
    let mut breakers: Vec<Breaker> = Vec::with_capacity(names.len());
    let before = meter::resident(std::process::id());

    let stopwatch = Stopwatch::started();
    for name in &names {
        breakers.push(registry.breaker(name)?);
    }
    let handed_out = stopwatch.now();
    // Each has been polled once when it is at rest.
    let metrics = Handle::current().metrics();
    while metrics.global_queue_depth() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let at_rest = stopwatch.now();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let spawned = meter::resident(std::process::id());
    let tasks = metrics.num_alive_tasks();

    let stopwatch = Stopwatch::started();
    for breaker in &breakers {
        breaker.call(|| async { Ok::<_, ()>(()) }).await.map_err(|error| format!("{error:?}"))?;
    }
    let called_in = stopwatch.now();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let called = meter::resident(std::process::id());

    let each = |bytes: u64| bytes.checked_div(circuits.into()).unwrap_or_default();
    terminal.line(&format!("{circuits} circuits, {tasks} tasks, memory store"));
    terminal.line(&format!(
        "handed out in {handed_out:.2?}, at rest after {at_rest:.2?}; {} bytes each",
        each(spawned.saturating_sub(before)),
    ));
    terminal.line(&format!(
        "called once each in {called_in:.2?}; {} bytes each",
        each(called.saturating_sub(before)),
    ));
    registry.shutdown(Duration::from_secs(60)).await?;
    let left = meter::tasks_left(0).await;
    terminal.line(&format!("after the shutdown {left} tasks are left"));
    if left == 0 { Ok(()) } else { Err("tasks are left".into()) }
}
