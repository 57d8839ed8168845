//! Subscribers to transitions, and what they cost the call that trips.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use fuseboard::{BreakerRegistry, CircuitState, MemoryStore};
use tokio::task::JoinSet;

use crate::{
    Failed, fresh, heap, runtime,
    table::{Table, count, percentile, time},
};

const SIZES: [usize; 5] = [0, 1, 8, 32, 64];
const TRIPS: usize = 300;

pub(crate) fn run() -> Result<(), Failed> {
    let mut table = Table::new(
        "Subscribers, each a task; medians (90th percentile) of 300 trips",
        &["subscribers", "bytes each", "the call that trips", "until all have heard of it"],
    );
    for subscribers in SIZES {
        table.row(&of(subscribers)?);
    }
    table.show();
    Ok(())
}

fn of(subscribers: usize) -> Result<[String; 4], Failed> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let registry = BreakerRegistry::builder(MemoryStore::new()).disabled(false).spawn()?;
        let breaker = fresh(&registry, "shared", 1).await?;
        let heard = Arc::new(AtomicUsize::new(0));
        let before = heap::live();
        let mut listeners = JoinSet::new();
        for _ in 0..subscribers {
            let (mut transitions, heard) = (registry.subscribe(), Arc::clone(&heard));
            listeners.spawn(async move {
                while let Some(Ok(transition)) = transitions.recv().await {
                    if transition.to_state == CircuitState::Open {
                        heard.fetch_add(1, Ordering::AcqRel);
                    }
                }
            });
        }
        let bytes = heap::each(before, subscribers);
        let (mut calls, mut hearings) = (Vec::new(), Vec::new());
        for _ in 0..TRIPS {
            heard.store(0, Ordering::Release);
            let started = Instant::now();
            let _ = breaker.call(|| async { Err::<(), _>("down") }).await;
            calls.push(started.elapsed());
            while heard.load(Ordering::Acquire) < subscribers {
                tokio::task::yield_now().await;
            }
            hearings.push(started.elapsed());
            breaker.release().await?;
            breaker.admit().await?.success().settled().await;
        }
        drop(breaker);
        drop(registry);
        while let Some(ended) = listeners.join_next().await {
            ended?;
        }
        Ok([count(subscribers), count(bytes), of_trips(calls), of_trips(hearings)])
    })
}

fn of_trips(mut times: Vec<Duration>) -> String {
    times.sort();
    format!("{} ({})", time(percentile(&times, 50)), time(percentile(&times, 90)))
}
