//! Circuits that nobody calls, and what it takes to get one.

use std::{
    thread,
    time::{Duration, Instant},
};

use fuseboard::{Breaker, BreakerRegistry, MemoryStore};

use crate::{
    Failed, heap, runtime,
    table::{Table, count, each, time},
};

const SIZES: [usize; 5] = [1, 100, 1_000, 10_000, MOST_CIRCUITS];
const LOOK_UPS: usize = 200_000;

/// The goals: shown, since a busy machine misses the second.
const MOST_BYTES: usize = 2_048;
const MOST_CIRCUITS: usize = 100_000;
const HANDED_OUT_IN: Duration = Duration::from_secs(1);

pub(crate) fn run() -> Result<(), Failed> {
    let goals = format!(
        "at most {} bytes idle, and {} handed out in {}",
        count(MOST_BYTES),
        count(MOST_CIRCUITS),
        time(HANDED_OUT_IN)
    );
    let mut table = Table::new(
        &format!("Circuits of one registry, over a store in memory (goals: {goals})"),
        &[
            "circuits",
            "bytes each, idle",
            "bytes each, called once",
            "all handed out",
            "all actors at rest",
            "look-up",
        ],
    );
    for circuits in SIZES {
        table.row(&of(circuits)?);
    }
    table.show();
    Ok(())
}

fn of(circuits: usize) -> Result<[String; 6], Failed> {
    let runtime = runtime()?;
    let entered = runtime.enter();
    let registry = BreakerRegistry::builder(MemoryStore::new()).disabled(false).spawn()?;
    drop(entered);
    // The names are the user's, and were there before.
    let names: Vec<_> = (0..circuits).map(|number| format!("circuit-{number}")).collect();
    let mut breakers: Vec<Breaker> = Vec::with_capacity(circuits);
    let before = heap::live();

    let started = Instant::now();
    for name in &names {
        breakers.push(registry.breaker(name)?);
    }
    let handed_out = started.elapsed();
    // Each actor has been polled once when it is at rest.
    while runtime.metrics().global_queue_depth() > 0 {
        thread::sleep(Duration::from_micros(100));
    }
    let at_rest = started.elapsed();
    thread::sleep(Duration::from_millis(100));
    let idle = heap::each(before, circuits);

    runtime.block_on(async {
        for breaker in &breakers {
            breaker.admit().await?.success();
        }
        Ok::<_, Failed>(())
    })?;
    thread::sleep(Duration::from_millis(100));
    let called = heap::each(before, circuits);

    let started = Instant::now();
    // A stride that is prime to all sizes visits them in no order that helps.
    for name in names.iter().cycle().step_by(7_919).take(LOOK_UPS) {
        drop(registry.breaker(name)?);
    }
    let look_up = each(started.elapsed(), LOOK_UPS);
    runtime.block_on(registry.shutdown(Duration::from_secs(60)))?;
    Ok([
        count(circuits),
        count(idle),
        count(called),
        time(handed_out),
        time(at_rest),
        time(look_up),
    ])
}
