//! The one store operation that an actor has in flight.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    clock,
    config::Config,
    machine::{Answer, Job},
    name::CircuitName,
    store::{ErasedStore, StoreError, StoreErrorKind},
};

/// A store operation under way.
pub(super) type InFlight = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The store, as one actor uses it.
pub(crate) struct Storage {
    store: Arc<dyn ErasedStore>,
    name: CircuitName,
    config: Arc<Config>,
}

impl Storage {
    pub(crate) fn new(store: Arc<dyn ErasedStore>, name: CircuitName, config: Arc<Config>) -> Self {
        Self { store, name, config }
    }

    /// How long a probe is on offer to calls that do not wait: most of its
    /// lease, so that traffic may be sparse, and not all, so that whoever takes
    /// it late does not run past it.
    pub(super) fn offer(&self) -> Duration {
        let lease = self.config.probe_lease();
        lease.saturating_sub(lease.checked_div(3).unwrap_or_default())
    }

    /// Starts an operation; it ends within `store_timeout`.
    pub(super) fn start(&self, job: Job) -> InFlight {
        let store = Arc::clone(&self.store);
        let name = self.name.clone();
        let limit = self.config.store_timeout();
        Box::pin(async move {
            let what = match &job {
                Job::Read(_) => "read",
                Job::Write { operation, .. } => operation.name(),
            };
            let answer = async {
                match &job {
                    Job::Read(consistency) => {
                        store.read(&name, *consistency).await.map(Answer::Read)
                    }
                    Job::Write { operation, .. } => {
                        store.write(&name, operation).await.map(Answer::Written)
                    }
                }
            };
            match clock::within(limit, Caught(Box::pin(answer))).await {
                Some(Ok(answer)) => answer,
                Some(Err(error)) => failed(&name, what, &error),
                None => {
                    let message = format!("no answer within {limit:?}");
                    failed(&name, what, &StoreError::new(StoreErrorKind::Timeout, message))
                }
            }
        })
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

fn failed(name: &CircuitName, what: &'static str, error: &StoreError) -> Answer {
    let kind = error.kind();
    if kind == StoreErrorKind::Misconfigured {
        tracing::error!(circuit = %name, operation = what, %error,
            "the circuit store is misconfigured; this process protects itself alone");
    } else {
        tracing::warn!(circuit = %name, operation = what, %error, ?kind,
            "the circuit store failed");
    }
    Answer::Failed(kind)
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
