//! What admission costs on the paths that every call takes.
//!
//! `cargo bench --bench admission`. The floor is measured in the same run, so
//! that a reader sees what is left; compare ratios, not nanoseconds of
//! different days.

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use criterion::{Criterion, criterion_group, criterion_main};
use fuseboard::{Breaker, BreakerRegistry, Config, MemoryStore};
use futures::executor::block_on;

/// A breaker that stays fresh for as long as the benchmark runs.
fn breaker(registry: &BreakerRegistry, name: &str) -> Option<Breaker> {
    let config = Config::builder()
        .local_cache_max_age(Duration::from_secs(86_400))
        .recovery_timeout(Duration::from_secs(86_400))
        .build()
        .ok()?;
    registry.breaker_with(name, config).ok()
}

fn floor(c: &mut Criterion) {
    let mut group = c.benchmark_group("floor");
    let word = AtomicU64::new(7);
    group.bench_function("atomic load", |b| b.iter(|| black_box(&word).load(Ordering::Acquire)));
    let shared = arc_swap::ArcSwap::from_pointee(7_u64);
    group.bench_function("ArcSwap::load", |b| b.iter(|| **black_box(&shared).load()));
    group.finish();
}

fn admission(c: &mut Criterion) {
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        return;
    };
    let _entered = runtime.enter();
    let Ok(registry) = BreakerRegistry::builder(MemoryStore::new()).disabled(false).spawn() else {
        return;
    };
    let (Some(closed), Some(open)) = (breaker(&registry, "closed"), breaker(&registry, "open"))
    else {
        return;
    };
    runtime.block_on(async {
        if let Ok(permit) = closed.admit().await {
            permit.success().settled().await;
        }
        for _ in 0..5 {
            if let Ok(permit) = open.admit().await {
                permit.failure().settled().await;
            }
        }
    });

    let mut group = c.benchmark_group("closed");
    group.bench_function("try_admit and success", |b| {
        b.iter(|| black_box(&closed).try_admit().map(|permit| permit.success()).is_ok());
    });
    group.bench_function("call around a ready future", |b| {
        b.iter(|| block_on(black_box(&closed).call(|| async { Ok::<_, ()>(7) })));
    });
    group.bench_function("admit_owned and success", |b| {
        b.iter(|| {
            block_on(black_box(&closed).admit_owned()).map(|permit| permit.success()).is_ok()
        });
    });
    group.finish();

    let mut group = c.benchmark_group("open");
    group.bench_function("try_admit, retry_after", |b| {
        b.iter(|| {
            black_box(&open).try_admit().map_err(|rejection| rejection.retry_after()).is_err()
        });
    });
    group.bench_function("admit, with the circuit", |b| {
        b.iter(|| block_on(black_box(&open).admit()).is_err());
    });
    group.finish();
}

criterion_group!(benches, floor, admission);
criterion_main!(benches);
