//! The store of one process: a partition that all share, at the end of a path of its own.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use fuseboard::{
    CircuitName,
    store::{Consistency, Operation, Record, Store, StoreError, StoreErrorKind, Written},
};
use tokio::time::sleep;

use crate::{
    partition::Asked,
    plan::{Path, between},
    world::World,
};

/// How often a request is tried, as the SDK is told to.
const ATTEMPTS: u32 = 3;
/// The longest pause before the second attempt; twice that before the third.
const PAUSE: Duration = Duration::from_millis(25);

pub(crate) struct Client {
    world: Arc<World>,
    number: usize,
    rng: Mutex<fastrand::Rng>,
}

impl Client {
    pub(crate) fn new(world: Arc<World>, number: usize, rng: fastrand::Rng) -> Self {
        Self { world, number, rng: Mutex::new(rng) }
    }

    fn path(&self) -> &Path {
        &self.world.plan.processes[self.number].path
    }

    /// Some time between two; a timer has whole milliseconds, and rounds up.
    fn some(&self, least: Duration, most: Duration) -> Duration {
        let between = between(&mut self.rng.lock().unwrap(), least, most);
        between.saturating_sub(Duration::from_micros(500))
    }

    /// One way of a request, or of its answer.
    async fn travel(&self) {
        let (least, most) = self.path().takes;
        sleep(self.some(least / 2, most / 2)).await;
    }

    /// Waits until the request is served.
    async fn pass(&self, asked: Asked) -> Result<(), StoreError> {
        let path = self.path();
        for attempt in 0..ATTEMPTS {
            self.travel().await;
            self.world.thawed(self.number).await;
            let at = self.world.at();
            if path.cut.iter().any(|cut| cut.has(at)) {
                if path.hangs {
                    self.world.state().lives[self.number].unheard_at = Some(at);
                    return std::future::pending().await;
                }
                self.world.state().lives[self.number].unheard_at = Some(at);
                return Err(StoreError::new(StoreErrorKind::Unavailable, "out of reach"));
            }
            if asked.is_write() && path.denied.iter().any(|denied| denied.has(at)) {
                self.travel().await;
                return Err(StoreError::new(StoreErrorKind::Misconfigured, "access denied"));
            }
            if self.world.state().partition.take(at, self.number, asked) {
                return Ok(());
            }
            self.travel().await;
            if attempt + 1 < ATTEMPTS {
                sleep(self.some(Duration::ZERO, PAUSE * (1 << attempt))).await;
            }
        }
        Err(StoreError::new(StoreErrorKind::Throttled, "throughput exceeded"))
    }
}

impl Store for Client {
    async fn read(
        &self,
        _: &CircuitName,
        consistency: Consistency,
    ) -> Result<Option<Record>, StoreError> {
        let is_strong = consistency == Consistency::Strong;
        let asked = if is_strong { Asked::Strong } else { Asked::Eventual };
        self.pass(asked).await?;
        let at = self.world.at();
        let (record, view) = self.world.state().partition.read(at, self.number, asked);
        self.travel().await;
        self.world.thawed(self.number).await;
        self.world.showed(self.number, view);
        Ok(record)
    }

    async fn write(&self, _: &CircuitName, operation: &Operation) -> Result<Written, StoreError> {
        self.pass(Asked::Write(operation.name())).await?;
        let at = self.world.at();
        let (written, view) = self.world.state().partition.write(at, self.number, operation);
        self.travel().await;
        self.world.thawed(self.number).await;
        self.world.showed(self.number, view);
        Ok(written)
    }
}
