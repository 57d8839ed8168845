//! Every call fails, as fast as threads can report it. The threshold is first the
//! very number of failures, so that one that is lost would show, then one more, so
//! that one that is counted twice would.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use fuseboard::{Breaker, BreakerRegistry, CircuitState, MemoryStore};

use crate::{
    Failed, fresh, heap, runtime,
    table::{Table, count, time},
};

const THREADS: [usize; 4] = [1, 2, 8, 64];
const FAILURES: u32 = 1_920_000;
/// What a storm may allocate, however long it is: many times what it was ever seen to.
const MOST_BYTES: usize = 1 << 20;
/// Many times what an actor was ever seen to be behind.
const LONG_ENOUGH: Duration = Duration::from_millis(300);

pub(crate) fn run() -> Result<(), Failed> {
    let mut table = Table::new(
        "A storm of failures on one circuit; the actor's runtime has two threads",
        &[
            "threads",
            "failures, the last of which has to trip",
            "failures a second",
            "tripped after the last",
            "counted",
            "most memory, beyond the circuit's",
        ],
    );
    let runtime = runtime()?;
    let entered = runtime.enter();
    let registry = BreakerRegistry::builder(MemoryStore::new()).disabled(false).spawn()?;
    drop(entered);
    for threads in THREADS {
        let circuit = |name: &str, threshold: u32| {
            runtime.block_on(fresh(&registry, &format!("{name}-{threads}"), threshold))
        };
        table.row(&none_is_lost(&circuit("exact", FAILURES)?, threads)?);
        let breaker = circuit("one-more", FAILURES.saturating_add(1))?;
        none_is_counted_twice(&breaker, threads)?;
    }
    table.show();
    runtime.block_on(registry.shutdown(Duration::from_secs(5)))?;
    Ok(())
}

fn none_is_lost(breaker: &Breaker, threads: usize) -> Result<[String; 6], Failed> {
    heap::forget_most();
    let before = heap::live();
    let took = storm(breaker, threads)?;
    let ended = Instant::now();
    while breaker.snapshot().state() != CircuitState::Open {
        if ended.elapsed() > Duration::from_secs(60) {
            return Err(format!("{threads} threads: a failure was lost").into());
        }
        thread::yield_now();
    }
    let behind = ended.elapsed();
    let most = heap::most().saturating_sub(before);
    if most > MOST_BYTES {
        return Err(format!("{threads} threads: {} bytes at a time", count(most)).into());
    }
    let rate = f64::from(FAILURES) / took.as_secs_f64() / 1e6;
    Ok([
        count(threads),
        count(usize::try_from(FAILURES)?),
        format!("{rate:.1} M"),
        time(behind),
        count(usize::try_from(breaker.snapshot().circuit().failure_count)?),
        format!("{} KiB", count(most.checked_div(1_024).unwrap_or_default())),
    ])
}

fn none_is_counted_twice(breaker: &Breaker, threads: usize) -> Result<(), Failed> {
    storm(breaker, threads)?;
    thread::sleep(LONG_ENOUGH);
    let before = breaker.snapshot().state();
    let last = breaker.try_admit().map(|permit| permit.failure()).is_ok();
    thread::sleep(LONG_ENOUGH);
    let after = breaker.snapshot().state();
    if (before, last, after) == (CircuitState::Closed, true, CircuitState::Open) {
        return Ok(());
    }
    Err(format!("{threads} threads: one failure too few left it {before}, the last {after}").into())
}

/// For how long threads report failures, which share them evenly.
fn storm(breaker: &Breaker, threads: usize) -> Result<Duration, Failed> {
    let each = usize::try_from(FAILURES)?.checked_div(threads).unwrap_or_default();
    let begin = Barrier::new(threads.saturating_add(1));
    let started = thread::scope(|scope| {
        let callers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    begin.wait();
                    // A call that is rejected would be missing from the count.
                    for permit in (0..each).filter_map(|_| breaker.try_admit().ok()) {
                        permit.failure();
                    }
                })
            })
            .collect();
        begin.wait();
        let started = Instant::now();
        for caller in callers {
            caller.join().map_err(|_| "a thread has panicked")?;
        }
        Ok::<_, Failed>(started)
    })?;
    Ok(started.elapsed())
}
