//! The store of the environments: one record and its votes, 5 to 20 ms away. What is asked for
//! while its environment stands still waits until that runs again.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use fuseboard::{
    CircuitName,
    store::{Ballot, Consistency, Operation, Record, Store, StoreError, Votes, Written},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use crate::plan::between;

/// What all environments share.
#[derive(Default)]
pub(super) struct Table {
    /// When a trip was last written, since the start.
    pub(super) opened_at: Option<Duration>,
    pub(super) record: Option<Record>,
    pub(super) votes: Votes,
    pub(super) trips: usize,
    pub(super) ballots: usize,
    pub(super) reads: usize,
    /// Requests that were begun while their environment stood still.
    pub(super) unawaited: usize,
}

/// Whether an environment runs a call.
#[derive(Default)]
pub(super) struct Running {
    is_running: Mutex<bool>,
    begins: Notify,
}

impl Running {
    pub(super) fn set(&self, is_running: bool) {
        *self.is_running.lock().unwrap() = is_running;
        if is_running {
            self.begins.notify_waiters();
        }
    }

    fn is(&self) -> bool {
        *self.is_running.lock().unwrap()
    }
}

pub(super) struct Client {
    table: Arc<Mutex<Table>>,
    start: Instant,
    running: Arc<Running>,
    rng: Mutex<fastrand::Rng>,
}

impl Client {
    pub(super) fn new(
        table: Arc<Mutex<Table>>,
        start: Instant,
        running: Arc<Running>,
        rng: fastrand::Rng,
    ) -> Self {
        Self { table, start, running, rng: Mutex::new(rng) }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap()
    }

    /// A request goes out.
    async fn send(&self) {
        if !self.running.is() {
            self.table().unawaited += 1;
            while !self.running.is() {
                self.running.begins.notified().await;
            }
        }
        self.travel().await;
    }

    async fn travel(&self) {
        let (least, most) = (Duration::from_millis(2), Duration::from_millis(10));
        let takes = between(&mut self.rng.lock().unwrap(), least, most);
        sleep(takes).await;
    }
}

impl Store for Client {
    async fn read(&self, _: &CircuitName, _: Consistency) -> Result<Option<Record>, StoreError> {
        self.send().await;
        let record = {
            let mut table = self.table();
            table.reads += 1;
            table.record.clone()
        };
        self.travel().await;
        Ok(record)
    }

    async fn write(&self, _: &CircuitName, operation: &Operation) -> Result<Written, StoreError> {
        self.send().await;
        let written = {
            let mut table = self.table();
            match operation.apply(table.record.as_ref()) {
                Some(record) => {
                    if operation.name() == "trip" {
                        table.trips += 1;
                        table.opened_at = Some(self.start.elapsed());
                    }
                    table.record = Some(record.clone());
                    Written::Applied(record)
                }
                None => Written::Refused(table.record.clone()),
            }
        };
        self.travel().await;
        Ok(written)
    }

    async fn vote(&self, _: &CircuitName, ballot: &Ballot) -> Result<Option<Votes>, StoreError> {
        self.send().await;
        let votes = {
            let mut table = self.table();
            table.ballots += 1;
            ballot.apply(&mut table.votes);
            table.votes.clone()
        };
        self.travel().await;
        Ok(Some(votes))
    }
}
