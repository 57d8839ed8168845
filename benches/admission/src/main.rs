//! What a circuit costs each call, on every path, beside what the machine could do
//! at best.
//!
//! `cargo bench -p admission`. Floor and crate are measured in the same run:
//! compare ratios, not nanoseconds of different days. What an async path costs is
//! measured in a loop within one future, as callers have it, and not by one
//! `block_on` for each call: moving a future that was just made costs 6 to 9 ns,
//! and would be the harness's.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads clocks")]

mod floor;
mod timed;
mod world;

use std::{error::Error, hint::black_box};

use criterion::Criterion;
use fuseboard::{Breaker, CallError};
use futures::executor::block_on;

use self::{
    timed::{beside, in_one_future, in_turn, two_threads},
    world::World,
};

fn main() -> Result<(), Box<dyn Error>> {
    let world = World::new()?;
    let mut criterion = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1))
        .configure_from_args();
    floor::one_thread(&mut criterion);
    floor::two_threads_on_one_line(&mut criterion);
    floor::messages(&mut criterion, &world);
    closed(&mut criterion, &world);
    on_two_threads(&mut criterion, &world);
    beside_a_thread_that_writes(&mut criterion, &world);
    open(&mut criterion, &world);
    failures(&mut criterion, &world);
    trip(&mut criterion, &world);
    criterion.final_summary();
    Ok(())
}

/// Healthy calls. "Admit" is an admission and the report of a success.
fn closed(criterion: &mut Criterion, world: &World) {
    let closed = &world.closed;
    let mut group = criterion.benchmark_group("closed");
    group.bench_function("try_admit", |b| {
        b.iter(|| black_box(closed).try_admit().map(|permit| permit.success()).is_ok());
    });
    group.bench_function("admit", |b| {
        in_one_future!(b, black_box(closed).admit().await.map(|permit| permit.success()).is_ok());
    });
    group.bench_function("admit_owned", |b| {
        in_one_future!(
            b,
            black_box(closed).admit_owned().await.map(|permit| permit.success()).is_ok()
        );
    });
    group.bench_function("call around a ready future", |b| {
        in_one_future!(b, black_box(closed).call(|| async { Ok::<_, ()>(black_box(7)) }).await);
    });
    group.bench_function("the ready future alone", |b| {
        in_one_future!(b, async { Ok::<_, CallError<()>>(black_box(7)) }.await);
    });
    group.bench_function("call_or_else around a ready future", |b| {
        in_one_future!(
            b,
            black_box(closed)
                .call_or_else(|| async { Ok::<_, ()>(black_box(7)) }, |_| async { Ok(8) })
                .await
        );
    });
    group.bench_function("look-up in the registry", |b| {
        b.iter(|| world.registry.breaker(black_box("closed")).is_ok());
    });
    group.finish();
}

/// The same circuit under two threads. Each thread's own time for each call; a
/// path that writes nothing that is shared takes as long as with one.
fn on_two_threads(criterion: &mut Criterion, world: &World) {
    let closed = &world.closed;
    let mut group = criterion.benchmark_group("closed, two threads on one circuit");
    group.bench_function("try_admit", |b| {
        two_threads(b, |calls| {
            for _ in 0..calls {
                let _ =
                    black_box(black_box(closed).try_admit().map(|permit| permit.success()).is_ok());
            }
        });
    });
    group.bench_function("admit", |b| {
        two_threads(b, |calls| {
            block_on(async {
                for _ in 0..calls {
                    let admitted = black_box(closed).admit().await;
                    let _ = black_box(admitted.map(|permit| permit.success()).is_ok());
                }
            });
        });
    });
    group.bench_function("call around a ready future", |b| {
        two_threads(b, |calls| {
            block_on(async {
                for _ in 0..calls {
                    let called = black_box(closed).call(|| async { Ok::<_, ()>(black_box(7)) });
                    let _ = black_box(called.await);
                }
            });
        });
    });
    group.bench_function("admit_owned", |b| {
        two_threads(b, |calls| {
            block_on(async {
                for _ in 0..calls {
                    let admitted = black_box(closed).admit_owned().await;
                    let _ = black_box(admitted.map(|permit| permit.success()).is_ok());
                }
            });
        });
    });
    group.finish();
}

/// Calls that only read, while another thread counts the circuit's handles up and
/// down: as long as alone, if what is counted lies on no line that they read.
fn beside_a_thread_that_writes(criterion: &mut Criterion, world: &World) {
    let closed = &world.closed;
    let mut group = criterion.benchmark_group("closed, try_admit while another thread");
    let try_admit = |calls| {
        for _ in 0..calls {
            let _ = black_box(black_box(closed).try_admit().map(|permit| permit.success()).is_ok());
        }
    };
    group.bench_function("does nothing that is shared", |b| {
        beside(b, std::hint::spin_loop, try_admit);
    });
    group.bench_function("clones the handle", |b| {
        beside(b, || drop(black_box(closed.clone())), try_admit);
    });
    group.bench_function("admits owned", |b| {
        let admit_owned = || {
            let _ =
                black_box(block_on(closed.admit_owned()).map(|permit| permit.success()).is_ok());
        };
        beside(b, admit_owned, try_admit);
    });
    group.finish();
}

/// Rejections.
fn open(criterion: &mut Criterion, world: &World) {
    let (open, half_open) = (&world.open, &world.half_open);
    let mut group = criterion.benchmark_group("rejected");
    group.bench_function("open: try_admit, retry_after", |b| {
        b.iter(|| {
            black_box(open).try_admit().map_err(|rejection| rejection.retry_after()).is_err()
        });
    });
    group.bench_function("open: try_admit, with the full CircuitInfo", |b| {
        b.iter(|| black_box(open).try_admit().map_err(|rejection| rejection.circuit()).is_err());
    });
    group.bench_function("open: admit, with an OpenError", |b| {
        in_one_future!(b, black_box(open).admit().await.is_err());
    });
    group.bench_function("open: call_or_else, with a ready fallback", |b| {
        in_one_future!(
            b,
            black_box(open)
                .call_or_else(
                    || async { Ok::<_, ()>(7) },
                    |circuit| async move {
                        black_box(&circuit);
                        Ok(8)
                    },
                )
                .await
        );
    });
    group.bench_function("half-open: try_admit, retry_after", |b| {
        b.iter(|| {
            black_box(half_open).try_admit().map_err(|rejection| rejection.retry_after()).is_err()
        });
    });
    group.finish();
}

/// Failures that do not trip, and the good calls that are counted beside them.
fn failures(criterion: &mut Criterion, world: &World) {
    let mut group = criterion.benchmark_group("failures");
    let succeed =
        |breaker: &Breaker| black_box(breaker).try_admit().map(|permit| permit.success()).is_ok();
    let fail =
        |breaker: &Breaker| black_box(breaker).try_admit().map(|permit| permit.failure()).is_ok();
    group.bench_function("none stands: a good call", |b| b.iter(|| succeed(&world.closed)));
    // It stands for as long as nobody fails, and the actor sleeps.
    let _ = fail(&world.watched);
    group.bench_function("one stands: a good call", |b| b.iter(|| succeed(&world.watched)));
    // Of two in a row each call would want fresher news.
    group.bench_function("one that does not trip, and a good call", |b| {
        b.iter(|| fail(&world.failing) && succeed(&world.failing));
    });
    group.bench_function("one in ten calls fails, mean of all", |b| {
        let mut number = 0_u64;
        b.iter(|| {
            number = number.wrapping_add(1);
            let is_failure = number.is_multiple_of(10);
            world
                .flaky
                .try_admit()
                .map(|permit| if is_failure { permit.failure() } else { permit.success() })
                .is_ok()
        });
    });
    group.finish();
}

/// From the report of the failure that trips until a call is rejected.
fn trip(criterion: &mut Criterion, world: &World) {
    let mut group = criterion.benchmark_group("trip");
    group.bench_function("report to rejection", |b| {
        in_turn(
            b,
            || {
                let _ = world.tripping.try_admit().map(|permit| permit.failure());
                while world.tripping.try_admit().is_ok() {
                    std::thread::yield_now();
                }
            },
            || block_on(world.close(&world.tripping)),
        );
    });
    // With the default `await_trip_write`; the store is in memory.
    group.bench_function("call that trips, until it returns", |b| {
        in_turn(
            b,
            || block_on(world.tripping.call(|| async { Err::<(), _>(7) })).is_err(),
            || block_on(world.close(&world.tripping)),
        );
    });
    group.finish();
}
