//! A store that fails for all circuits at once: how many calls wait for it before
//! none does, and how many operations are begun.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use fuseboard::{
    Breaker, BreakerRegistry, CircuitName,
    store::{Consistency, Operation, Record, Store, StoreError, StoreErrorKind, Written},
};
use tokio::task::JoinSet;

use crate::{
    Failed, runtime,
    table::{Table, count, time},
};

const SIZES: [usize; 5] = [1, 100, 1_000, 10_000, 100_000];
/// Callers that are under way at a time.
const TASKS: usize = 64;
/// The default `store_timeout` is twice that: whoever waited for it took longer.
const A_WAIT: Duration = Duration::from_millis(500);

/// What a store does with every request.
#[derive(Clone, Copy)]
enum Fault {
    /// It accepts it, and never answers.
    Hangs,
    /// It fails at once, as by a refused connection.
    Fails,
}

/// A store that is out, and how many operations were begun.
struct Out {
    fault: Fault,
    begun: AtomicUsize,
}

impl Out {
    async fn answer<T>(&self) -> Result<T, StoreError> {
        self.begun.fetch_add(1, Relaxed);
        match self.fault {
            Fault::Hangs => pending().await,
            Fault::Fails => Err(StoreError::new(StoreErrorKind::Unavailable, "out")),
        }
    }
}

impl Store for Out {
    async fn read(&self, _: &CircuitName, _: Consistency) -> Result<Option<Record>, StoreError> {
        self.answer().await
    }

    async fn write(&self, _: &CircuitName, _: &Operation) -> Result<Written, StoreError> {
        self.answer().await
    }
}

/// The waits of some callers.
#[derive(Default)]
struct Waits {
    count: usize,
    last_ended: Duration,
}

pub(crate) fn run() -> Result<(), Failed> {
    show("A store that hangs: 64 callers go through all circuits, twice", Fault::Hangs)?;
    show("A store that fails at once: the same", Fault::Fails)
}

fn show(title: &str, fault: Fault) -> Result<(), Failed> {
    let mut table = Table::new(
        title,
        &[
            "circuits",
            "calls that waited, of the first round",
            "from the first call to the end of the last such wait",
            "first round in all",
            "processor time",
            "calls that waited, of the second round",
            "second round in all",
            "processor time",
            "operations begun",
        ],
    );
    for circuits in SIZES {
        table.row(&of(circuits, fault)?);
    }
    table.show();
    Ok(())
}

fn of(circuits: usize, fault: Fault) -> Result<[String; 9], Failed> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let store = Arc::new(Out { fault, begun: AtomicUsize::new(0) });
        let registry = BreakerRegistry::builder(Arc::clone(&store)).disabled(false).spawn()?;
        let breakers = (0..circuits).map(|number| registry.breaker(format!("circuit-{number}")));
        let breakers: Arc<[Breaker]> = breakers.collect::<Result<Vec<_>, _>>()?.into();
        let (started, used) = (Instant::now(), processor());
        let first = round(&breakers, started).await?;
        let (first_in_all, first_used) = (started.elapsed(), processor().saturating_sub(used));
        let (again, used) = (Instant::now(), processor());
        let second = round(&breakers, again).await?;
        let (second_in_all, second_used) = (again.elapsed(), processor().saturating_sub(used));
        let begun = store.begun.load(Relaxed);
        // Its outcomes are lost with it; the tasks end all the same.
        let _ = registry.shutdown(Duration::from_secs(1)).await;
        Ok([
            count(circuits),
            count(first.count),
            time(first.last_ended),
            time(first_in_all),
            time(first_used),
            count(second.count),
            time(second_in_all),
            time(second_used),
            count(begun),
        ])
    })
}

/// What all threads have computed for: tells a machine that is busy with other things
/// from one that has much to do.
fn processor() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(used).unwrap_or_default()
}

/// Each circuit is called once.
async fn round(breakers: &Arc<[Breaker]>, started: Instant) -> Result<Waits, Failed> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..TASKS {
        let (breakers, next) = (Arc::clone(breakers), Arc::clone(&next));
        callers.spawn(async move {
            let mut waits = Waits::default();
            while let Some(breaker) = breakers.get(next.fetch_add(1, Relaxed)) {
                let asked = Instant::now();
                // The store never replaces the result of a call.
                let result = breaker.call(|| async { Ok::<_, ()>(7) }).await;
                if asked.elapsed() > A_WAIT {
                    waits.count = waits.count.saturating_add(1);
                    waits.last_ended = started.elapsed();
                }
                result.map_err(|_| "a call was rejected")?;
            }
            Ok::<_, &str>(waits)
        });
    }
    let mut all = Waits::default();
    while let Some(waits) = callers.join_next().await {
        let waits = waits??;
        all.count = all.count.saturating_add(waits.count);
        all.last_ended = all.last_ended.max(waits.last_ended);
    }
    Ok(all)
}
