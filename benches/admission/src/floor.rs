//! What the machine does at best: the parts that any breaker is made of.

use std::{
    hint::black_box,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use criterion::Criterion;
use futures::executor::block_on;
use tokio::sync::oneshot;

use crate::{
    timed::{in_one_future, two_threads},
    world::World,
};

pub(crate) fn one_thread(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("floor");
    let word = AtomicU64::new(7);
    group.bench_function("atomic load", |b| b.iter(|| black_box(&word).load(Ordering::Acquire)));
    group.bench_function("atomic addition", |b| {
        b.iter(|| black_box(&word).fetch_add(1, Ordering::Relaxed));
    });
    group.bench_function("coarse wall clock, in milliseconds", |b| b.iter(coarse_wall_ms));
    group.bench_function("Instant::now", |b| b.iter(Instant::now));
    let shared = arc_swap::ArcSwap::from_pointee(7_u64);
    group.bench_function("ArcSwap::load", |b| b.iter(|| **black_box(&shared).load()));
    let mutex = Mutex::new(7_u64);
    group.bench_function("mutex", |b| b.iter(|| black_box(&mutex).lock().map(|word| *word).ok()));
    group.finish();
}

/// The wall clock of the kernel's last tick, as the crate reads it.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
fn coarse_wall_ms() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    let nanos = time.tv_nsec.unsigned_abs();
    time.tv_sec.unsigned_abs().wrapping_mul(1_000).wrapping_add(nanos / 1_000_000)
}

/// The wall clock, where there is no coarse one.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[inline]
fn coarse_wall_ms() -> u64 {
    let wall = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    wall.ok().and_then(|wall| u64::try_from(wall.as_millis()).ok()).unwrap_or(0)
}

/// What it costs that two threads write one cache line.
pub(crate) fn two_threads_on_one_line(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("floor, two threads on one line");
    let word = AtomicU64::new(7);
    group.bench_function("atomic load", |b| {
        two_threads(b, |times| {
            for _ in 0..times {
                black_box(black_box(&word).load(Ordering::Acquire));
            }
        });
    });
    group.bench_function("atomic addition", |b| {
        two_threads(b, |times| {
            for _ in 0..times {
                black_box(black_box(&word).fetch_add(1, Ordering::Relaxed));
            }
        });
    });
    let mutex = Mutex::new(7_u64);
    group.bench_function("mutex", |b| {
        two_threads(b, |times| {
            for _ in 0..times {
                let _ = black_box(black_box(&mutex).lock().map(|word| *word).ok());
            }
        });
    });
    group.finish();
}

/// What a mailbox costs: one that is not asleep, and a task that is.
pub(crate) fn messages(criterion: &mut Criterion, world: &World) {
    let mut group = criterion.benchmark_group("floor, messages");
    let (sender, receiver) = flume::bounded::<u64>(1_024);
    group.bench_function("channel: send and receive", |b| {
        b.iter(|| sender.try_send(black_box(7)).is_ok() && receiver.try_recv().is_ok());
    });
    let (ask, asked) = flume::bounded::<oneshot::Sender<u64>>(1_024);
    let actor = world.runtime.spawn(async move {
        while let Ok(reply) = asked.recv_async().await {
            // Who asked waits for it.
            let _ = reply.send(7);
        }
    });
    group.bench_function("a question to a task that sleeps, and its answer", |b| {
        in_one_future!(b, {
            let (reply, answer) = oneshot::channel();
            let _ = ask.try_send(reply);
            answer.await
        });
    });
    group.finish();
    drop(ask);
    // It ends when nobody can ask any more.
    let _ = block_on(actor);
}
