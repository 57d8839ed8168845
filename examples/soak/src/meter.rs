//! Memory and tasks, once a second.

use std::{
    error::Error,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use peak_alloc::PeakAlloc;
use tokio::{runtime::Handle, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    engine::{Engine, line::Counted},
    fleet::Fleet,
    load::Tally,
    stopwatch::Stopwatch,
};

/// A scheduler that is this late may make anything late.
const STALL: Duration = Duration::from_millis(250);
const PULSE: Duration = Duration::from_millis(25);

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// What is allocated and not freed, in bytes: what a leak would add to, whatever
/// the allocator keeps back for connections and calls that are gone.
pub(crate) fn allocated() -> u64 {
    u64::try_from(HEAP.current_usage()).unwrap_or(u64::MAX)
}

/// Resident memory of a process in bytes, as the system counts it; zero where it
/// does not say.
pub(crate) fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default().saturating_mul(1_024)
}

/// One look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) allocated: u64,
    pub(crate) resident: u64,
    /// Resident memory of the engine's process.
    pub(crate) engine: u64,
    pub(crate) tasks: usize,
    /// What the tasks may be at most.
    pub(crate) most: usize,
}

/// Tasks that one connection of the SDK has: hyper's, and one that waits for it.
/// They outlive the relay's end by a moment, so the most that ever stood count.
const OF_A_CONNECTION: usize = 2;
/// Actors that have left the registry and are about to return, and the SDK's own.
const ABOUT_TO_END: usize = 32;

/// Looks once; `own` are the tasks that were alive before anything was spawned,
/// and the load's. Actors come and go meanwhile, so circuits are counted twice.
pub(crate) async fn sample(
    fleet: &Fleet,
    engine: &mut Engine,
    at: Duration,
    own: usize,
) -> Result<(Sample, Counted), Box<dyn Error>> {
    let before = fleet.circuits();
    let tasks = Handle::current().metrics().num_alive_tasks();
    let circuits = before.max(fleet.circuits());
    let (allocated, resident) = (allocated(), resident(std::process::id()));
    let counted = engine.counted().await?;
    let connections = counted.most_connections.saturating_mul(OF_A_CONNECTION);
    let most =
        [circuits, connections, own, ABOUT_TO_END].into_iter().fold(0, usize::saturating_add);
    let sample = Sample { at, allocated, resident, engine: engine.resident(), tasks, most };
    Ok((sample, counted))
}

/// Watches the scheduler. What it is late with may break any promise that names
/// a time, as a store that is late may.
pub(crate) async fn pulse(fleet: Arc<Fleet>, tally: Arc<Tally>, stop: CancellationToken) {
    let mut beats = tokio::time::interval(PULSE);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stopwatch = Stopwatch::started();
    let mut last = stopwatch.now();
    while !stop.is_cancelled() {
        beats.tick().await;
        let now = stopwatch.now();
        if now.saturating_sub(last) > STALL {
            tally.stalls.fetch_add(1, Ordering::Relaxed);
            fleet.0.iter().for_each(|one| one.books.note_trouble());
        }
        last = now;
    }
}

/// Tasks that are alive once those that are ending have ended.
pub(crate) async fn tasks_left(before: usize) -> usize {
    let metrics = Handle::current().metrics();
    for _ in 0..500 {
        if metrics.num_alive_tasks() == before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    metrics.num_alive_tasks()
}
