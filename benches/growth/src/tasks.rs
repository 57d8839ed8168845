//! Many tasks that share one circuit.

use std::time::{Duration, Instant};

use fuseboard::{Breaker, BreakerRegistry, MemoryStore};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{
    Failed, fresh, runtime,
    table::{Table, count, each, median_difference, nanos, percentile, time},
};

const SIZES: [usize; 4] = [1, 10, 100, 1_000];
const CALLS: usize = 200_000;
/// As many that begin with the breaker as without.
const ROUNDS: usize = 24;

pub(crate) fn run() -> Result<(), Failed> {
    let runtime = runtime()?;
    let entered = runtime.enter();
    let registry = BreakerRegistry::builder(MemoryStore::new()).disabled(false).spawn()?;
    drop(entered);
    let breaker = runtime.block_on(fresh(&registry, "shared", 5))?;
    let mut table = Table::new(
        "Tasks on one circuit, two threads; a call yields to the scheduler once",
        &["tasks", "a call without the breaker", "with it", "more than without, in the same round"],
    );
    for tasks in SIZES {
        let (mut without, mut with, mut more) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            // Neither is always the one that finds the machine warm.
            let (bare, guarded) = if round.is_multiple_of(2) {
                let bare = one_round(&runtime, tasks, None)?;
                (bare, one_round(&runtime, tasks, Some(&breaker))?)
            } else {
                let guarded = one_round(&runtime, tasks, Some(&breaker))?;
                (one_round(&runtime, tasks, None)?, guarded)
            };
            more.push(nanos(guarded) - nanos(bare));
            without.push(bare);
            with.push(guarded);
        }
        let median = |times: &mut Vec<Duration>| {
            times.sort();
            time(percentile(times, 50))
        };
        let more = median_difference(more);
        table.row(&[count(tasks), median(&mut without), median(&mut with), more]);
    }
    table.show();
    runtime.block_on(registry.shutdown(Duration::from_secs(5)))?;
    Ok(())
}

/// The mean of a call, all tasks together.
fn one_round(
    runtime: &Runtime,
    tasks: usize,
    breaker: Option<&Breaker>,
) -> Result<Duration, Failed> {
    let calls = CALLS.checked_div(tasks).unwrap_or_default();
    let started = Instant::now();
    runtime.block_on(async {
        let mut callers = JoinSet::new();
        for _ in 0..tasks {
            let breaker = breaker.cloned();
            callers.spawn(async move {
                for _ in 0..calls {
                    let call = || async {
                        tokio::task::yield_now().await;
                        Ok::<_, ()>(7)
                    };
                    match &breaker {
                        Some(breaker) => breaker.call(call).await.is_ok(),
                        None => call().await.is_ok(),
                    };
                }
            });
        }
        while let Some(ended) = callers.join_next().await {
            ended?;
        }
        Ok(each(started.elapsed(), CALLS))
    })
}
