//! The one store operation that an actor has in flight.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::Environment;
use crate::{
    config::Config,
    machine::{Answer, Job},
    metrics,
    moment::Moment,
    name::CircuitName,
    store::{ServerTime, StoreError, StoreErrorKind},
};

/// A store operation under way.
pub(super) type InFlight = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The store, as one operation uses it.
pub(super) struct Storage {
    pub(super) environment: Arc<Environment>,
    pub(super) name: CircuitName,
    pub(super) config: Arc<Config>,
}

impl Storage {
    /// Starts an operation; it ends within `store_timeout`, and at once if the
    /// store is out of reach for every circuit. An operator does not wait for that.
    pub(super) fn start(self, job: Job, is_ordered: bool) -> InFlight {
        let begun_at = self.environment.clock.now();
        let limit = self.config.store_timeout();
        let (access, is_urgent) = (job.access(), job.is_urgent());
        let leave =
            self.environment.reachability.ask(&self.name, access, is_urgent, begun_at, limit);
        if let Err(withheld) = leave
            && !is_ordered
        {
            return Box::pin(std::future::ready(Answer::Withheld(withheld)));
        }
        Box::pin(async move { self.run(&job, begun_at).await })
    }

    async fn run(&self, job: &Job, begun_at: Moment) -> Answer {
        let limit = self.config.store_timeout();
        let shown = self.server_time();
        let answer = async {
            match job {
                Job::Read { consistency, .. } => {
                    self.environment.store.read(&self.name, *consistency).await.map(Answer::Read)
                }
                Job::Write { operation, .. } => {
                    self.environment.store.write(&self.name, operation).await.map(Answer::Written)
                }
            }
        };
        let answered = self.environment.clock.within(limit, Caught(Box::pin(answer))).await;
        let now = self.environment.clock.now();
        if let Some(time) = self.server_time()
            && Some(time) != shown
        {
            self.environment.clock.learn(begun_at, now, time);
        }
        let error = match answered {
            Some(Ok(answer)) => {
                self.environment.reachability.answered(job.access());
                self.environment.reachability.works(job.access());
                return answer;
            }
            Some(Err(error)) => error,
            None => {
                let message = format!("no answer in time: store_timeout, {limit:?}, ran out");
                StoreError::new(StoreErrorKind::Timeout, message)
            }
        };
        if now.stood_still_since(begun_at, limit) {
            // A timer that ran out meanwhile blames nobody.
            tracing::debug!(circuit = %self.name, %error, "this process stood still");
            return Answer::Failed(error.kind());
        }
        match error.kind() {
            kind @ (StoreErrorKind::Timeout | StoreErrorKind::Unavailable) => {
                self.environment.reachability.failed(&self.name, job.access(), kind, begun_at, now);
            }
            StoreErrorKind::Throttled
            | StoreErrorKind::Misconfigured
            | StoreErrorKind::BadAnswer => self.environment.reachability.answered(job.access()),
        }
        self.tell(job, &error);
        Answer::Failed(error.kind())
    }

    fn server_time(&self) -> Option<ServerTime> {
        catch_unwind(AssertUnwindSafe(|| self.environment.store.server_time())).unwrap_or_default()
    }

    fn tell(&self, job: &Job, error: &StoreError) {
        let kind = error.kind();
        let operation = match job {
            Job::Read { .. } => "read",
            Job::Write { operation, .. } => operation.name(),
        };
        metrics::store_fault(operation, kind);
        let circuit = &self.name;
        if kind != StoreErrorKind::Misconfigured {
            tracing::warn!(%circuit, operation, %error, ?kind, "the circuit store failed");
        } else if self.environment.reachability.is_news(job.access()) {
            tracing::error!(%circuit, operation, %error,
                "the circuit store is misconfigured; this process protects itself alone");
        } else {
            tracing::debug!(%circuit, operation, %error, "the circuit store is still misconfigured");
        }
    }
}

/// Waits for the operation in flight, for ever if there is none.
pub(super) async fn finished(operation: &mut Option<InFlight>) -> Answer {
    match operation {
        Some(running) => {
            let answer = running.await;
            *operation = None;
            answer
        }
        None => std::future::pending().await,
    }
}

/// A future whose panic is an error: a store is not this crate's code, and must
/// not take an actor with it.
struct Caught<'a, T>(Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>);

impl<T> Future for Caught<'_, T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context)));
        polled.unwrap_or_else(|_| {
            let message = "the store panicked";
            Poll::Ready(Err(StoreError::new(StoreErrorKind::BadAnswer, message)))
        })
    }
}
