//! The store of the environments: one record and its votes, 5 to 20 ms away. What is asked for
//! or answered while its environment stands still waits until that runs again.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use fuseboard::{
    CircuitName,
    store::{Ballot, Consistency, Operation, Record, Store, StoreError, Votes, Written},
};
use tokio::time::{Instant, sleep};

use super::freezing::Running;
use crate::plan::between;

/// What all environments share.
#[derive(Default)]
pub(super) struct Table {
    /// When a trip was last written, since the start.
    pub(super) opened_at: Option<Duration>,
    pub(super) first_opened_at: Option<Duration>,
    pub(super) record: Option<Record>,
    pub(super) votes: Votes,
    pub(super) trips: usize,
    pub(super) ballots: usize,
    pub(super) reads: usize,
    /// Requests that were begun while their environment stood still.
    pub(super) unawaited: usize,
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
        if !self.running.is_running() {
            self.table().unawaited += 1;
        }
        self.travel().await;
    }

    /// One way of a request or an answer. Who stands still takes it when it runs again.
    async fn travel(&self) {
        self.running.runs().await;
        let (least, most) = (Duration::from_millis(2), Duration::from_millis(10));
        let takes = between(&mut self.rng.lock().unwrap(), least, most);
        sleep(takes).await;
        self.running.runs().await;
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
                        let at = self.start.elapsed();
                        table.opened_at = Some(at);
                        table.first_opened_at.get_or_insert(at);
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
