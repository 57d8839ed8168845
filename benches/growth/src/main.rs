//! What grows with circuits, tasks, subscribers and failures, and what does not.
//!
//! ```sh
//! cargo bench -p growth
//! cargo bench -p growth -- circuits outage tasks subscribers storm process
//! ```
//!
//! One table for each subject, on real threads and real time. Fails if an outcome
//! is lost, and if a storm of failures is not bounded in memory.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads clocks and spawns tasks")]

mod circuits;
mod heap;
mod outage;
mod process;
mod storm;
mod subscribers;
mod table;
mod tasks;

use std::{env, error::Error, time::Duration};

use fuseboard::{Breaker, BreakerRegistry, Config};
use tokio::runtime::Runtime;

/// Why a subject has none of the figures that it should have.
type Failed = Box<dyn Error>;

const DAY: Duration = Duration::from_secs(86_400);

type Subject = (&'static str, fn() -> Result<(), Failed>);

const SUBJECTS: [Subject; 6] = [
    ("circuits", circuits::run),
    ("outage", outage::run),
    ("tasks", tasks::run),
    ("subscribers", subscribers::run),
    ("storm", storm::run),
    ("process", process::run),
];

fn main() -> Result<(), Failed> {
    // Cargo adds flags of its own.
    let wanted: Vec<_> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for (name, run) in SUBJECTS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            run()?;
        }
    }
    Ok(())
}

/// As many threads as a small machine has processors.
fn runtime() -> Result<Runtime, Failed> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// A breaker that reads once, and relies on it for as long as a subject takes.
async fn fresh(registry: &BreakerRegistry, name: &str, failures: u32) -> Result<Breaker, Failed> {
    let config = Config::builder()
        .failure_threshold(failures)
        .recovery_timeout(DAY)
        .local_cache_max_age(DAY)
        .build()?;
    let breaker = registry.breaker_with(name, config)?;
    breaker.admit().await?.success().settled().await;
    Ok(breaker)
}
