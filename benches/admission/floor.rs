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
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;

use crate::{
    stage::Stage,
    timed::{in_one_future, two_threads},
};

pub(crate) fn one_thread(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("floor");
    let word = AtomicU64::new(7);
    group.bench_function("atomic load", |b| b.iter(|| black_box(&word).load(Ordering::Acquire)));
    group.bench_function("atomic addition", |b| {
        b.iter(|| black_box(&word).fetch_add(1, Ordering::Relaxed));
    });
    group
        .bench_function("coarse wall clock", |b| b.iter(|| clock_gettime(ClockId::RealtimeCoarse)));
    group.bench_function("Instant::now", |b| b.iter(Instant::now));
    let shared = arc_swap::ArcSwap::from_pointee(7_u64);
    group.bench_function("ArcSwap::load", |b| b.iter(|| **black_box(&shared).load()));
    let mutex = Mutex::new(7_u64);
    group.bench_function("mutex", |b| b.iter(|| black_box(&mutex).lock().map(|word| *word).ok()));
    group.finish();
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
pub(crate) fn messages(criterion: &mut Criterion, stage: &Stage) {
    let mut group = criterion.benchmark_group("floor, messages");
    let (sender, receiver) = flume::bounded::<u64>(1_024);
    group.bench_function("channel: send and receive", |b| {
        b.iter(|| sender.try_send(black_box(7)).is_ok() && receiver.try_recv().is_ok());
    });
    let (ask, asked) = flume::bounded::<oneshot::Sender<u64>>(1_024);
    let actor = stage.runtime.spawn(async move {
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
