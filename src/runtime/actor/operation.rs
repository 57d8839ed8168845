//! The one store operation that an actor has in flight.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use super::Environment;
use crate::{
    config::Config,
    name::CircuitName,
    panics::{Caught, caught},
    protocol::health::BackedOff,
    protocol::machine::{Purpose, StoreRequest, StoreResponse},
    protocol::moment::Moment,
    runtime::log,
    runtime::metrics,
    runtime::queue::{Place, Urgency, Waiting},
    store::{ServerTime, StoreError, StoreErrorKind},
};

/// For how long a read is left that did not get its turn.
const PAUSE: Duration = Duration::from_millis(100);

/// A store operation under way, or waiting for its turn.
pub(super) type InFlight = Pin<Box<dyn Future<Output = StoreResponse> + Send>>;

/// The store, as one operation uses it.
pub(super) struct StoreClient {
    pub(super) environment: Arc<Environment>,
    pub(super) name: CircuitName,
    pub(super) config: Arc<Config>,
}

impl StoreClient {
    /// Starts an operation; once it has its turn it ends within `store_timeout`, and at
    /// once if the store is out of reach for every circuit. An operator does not wait for
    /// that.
    pub(super) fn start(self, job: StoreRequest, is_commanded: bool) -> InFlight {
        let Some(place) = self.environment.queue.enter() else {
            let waiting = self.environment.queue.join(urgency(&job));
            return Box::pin(async move { self.run_in_turn(&job, is_commanded, waiting).await });
        };
        match self.ask(&job, is_commanded) {
            Ok(begun_at) => Box::pin(async move { self.run(&job, begun_at, place).await }),
            Err(backed_off) => Box::pin(std::future::ready(StoreResponse::BackedOff(backed_off))),
        }
    }

    /// Waits for the operation's turn, and runs it. A read that callers wait for is given
    /// up when it has not had its turn within `store_timeout`: they are then judged as if
    /// other circuits had kept it from the store. A write goes on waiting, for nobody
    /// waits for its answer any longer, and it would lose its place.
    async fn run_in_turn(
        &self,
        job: &StoreRequest,
        is_commanded: bool,
        mut waiting: Waiting,
    ) -> StoreResponse {
        let place = match job {
            StoreRequest::Read { .. } if !is_commanded => {
                let limit = self.config.store_timeout();
                self.environment.clock.within(limit, waiting.turn()).await
            }
            StoreRequest::Read { .. } | StoreRequest::Write { .. } => Some(waiting.turn().await),
        };
        drop(waiting);
        let Some(place) = place else {
            return StoreResponse::BackedOff(BackedOff { wait: PAUSE, is_outage: false });
        };
        match self.ask(job, is_commanded) {
            Ok(begun_at) => self.run(job, begun_at, place).await,
            Err(backed_off) => StoreResponse::BackedOff(backed_off),
        }
    }

    /// Asks the other circuits for leave to begin now.
    fn ask(&self, job: &StoreRequest, is_commanded: bool) -> Result<Moment, BackedOff> {
        let begun_at = self.environment.clock.now();
        let limit = self.config.store_timeout();
        let (access, is_urgent) = (job.access(), job.is_urgent());
        let leave =
            self.environment.reachability.ask(&self.name, access, is_urgent, begun_at, limit);
        match leave {
            Err(backed_off) if !is_commanded => Err(backed_off),
            Ok(()) | Err(_) => Ok(begun_at),
        }
    }

    async fn run(&self, job: &StoreRequest, begun_at: Moment, _place: Place) -> StoreResponse {
        let limit = self.config.store_timeout();
        let shown = self.server_time();
        let answer = async {
            match job {
                StoreRequest::Read { consistency, .. } => self
                    .environment
                    .store
                    .read(&self.name, *consistency)
                    .await
                    .map(StoreResponse::Read),
                StoreRequest::Write { operation, .. } => self
                    .environment
                    .store
                    .write(&self.name, operation)
                    .await
                    .map(StoreResponse::Written),
            }
        };
        let answered = self.environment.clock.within(limit, Caught::new(answer)).await;
        let now = self.environment.clock.now();
        if let Some(time) = self.server_time()
            && Some(time) != shown
        {
            self.environment.clock.learn(begun_at, now, time);
        }
        let error = match answered {
            Some(Some(Ok(answer))) => {
                self.environment.reachability.answered(job.access());
                self.environment.reachability.works(job.access());
                return answer;
            }
            Some(Some(Err(error))) => error,
            Some(None) => StoreError::new(StoreErrorKind::BadAnswer, "the store panicked"),
            None => {
                let message = format!("no answer in time: store_timeout, {limit:?}, ran out");
                StoreError::new(StoreErrorKind::Timeout, message)
            }
        };
        let kind = error.kind();
        self.fail(job, &error, begun_at, now);
        // It may hold an error of the user's, whose drop is not this crate's code.
        caught(|| drop(error));
        StoreResponse::Failed(kind)
    }

    /// Tells what the other circuits and the operator have to know of a failure.
    fn fail(&self, job: &StoreRequest, error: &StoreError, begun_at: Moment, now: Moment) {
        if now.was_frozen_since(begun_at, self.config.store_timeout()) {
            // A timer that ran out meanwhile blames nobody.
            return log::stood_still(&self.name, error);
        }
        match error.kind() {
            kind @ (StoreErrorKind::Timeout | StoreErrorKind::Unavailable) => {
                self.environment.reachability.failed(&self.name, job.access(), kind, begun_at, now);
            }
            StoreErrorKind::Throttled
            | StoreErrorKind::Misconfigured
            | StoreErrorKind::BadAnswer => {
                self.environment.reachability.refused(job.access(), begun_at, now);
            }
        }
        self.tell(job, error);
    }

    fn server_time(&self) -> Option<ServerTime> {
        caught(|| self.environment.store.server_time()).flatten()
    }

    fn tell(&self, job: &StoreRequest, error: &StoreError) {
        let kind = error.kind();
        let operation = match job {
            StoreRequest::Read { .. } => "read",
            StoreRequest::Write { operation, .. } => operation.name(),
        };
        metrics::store_fault(operation, kind);
        if kind == StoreErrorKind::Misconfigured {
            let should_log = self.environment.reachability.should_log(job.access());
            log::store_misconfigured(&self.name, operation, error, should_log);
        } else {
            log::store_failed(&self.name, operation, error, kind);
        }
    }
}

/// How soon an operation is wanted: others wait for what keeps or ends a lease.
fn urgency(job: &StoreRequest) -> Urgency {
    match job {
        StoreRequest::Read { purpose: Purpose::Lease, .. } => Urgency::First,
        StoreRequest::Read { .. } => Urgency::Then,
        StoreRequest::Write { operation, .. } if operation.can_wait() => Urgency::Then,
        StoreRequest::Write { .. } => Urgency::First,
    }
}

/// Waits for the operation in flight, for ever if there is none.
pub(super) async fn finished(operation: &mut Option<InFlight>) -> StoreResponse {
    match operation {
        Some(running) => {
            let answer = running.await;
            *operation = None;
            answer
        }
        None => std::future::pending().await,
    }
}
