//! The one store operation that an actor has in flight.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{Environment, Event, balloting::BallotInFlight};
use crate::{
    config::Config,
    name::CircuitName,
    panics::{Caught, caught},
    protocol::health::{Access, BackedOff},
    protocol::machine::{Purpose, StoreRequest, StoreResponse},
    protocol::moment::Moment,
    runtime::log,
    runtime::metrics,
    runtime::queue::{Place, Urgency, Waiting},
    store::{ServerTime, StoreError, StoreErrorKind},
};

/// The back-off of a read that did not get its turn in the queue.
const PAUSE: Duration = Duration::from_millis(100);

/// A store operation that is under way, or that waits for its turn in the queue.
pub(super) type InFlight = Pin<Box<dyn Future<Output = StoreResponse> + Send>>;

/// What an actor has under way at the store. Boxed: an idle circuit has nothing.
#[derive(Default)]
pub(super) struct UnderWay(Option<Box<Requests>>);

#[derive(Default)]
struct Requests {
    operation: Option<InFlight>,
    ballot: Option<BallotInFlight>,
    event: Option<Event>,
}

/// A request, as the log and the metrics name it.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) name: &'static str,
    pub(super) access: Access,
}

/// Runs one store operation.
pub(super) struct StoreClient {
    pub(super) environment: Arc<Environment>,
    pub(super) name: CircuitName,
    /// The key of the item: the name, after the registry's prefix.
    pub(super) key: CircuitName,
    pub(super) config: Arc<Config>,
}

impl StoreClient {
    /// Starts an operation. Once it has its turn it ends within `store_timeout`; it ends at
    /// once, as [`StoreResponse::BackedOff`], if other circuits have found the store out of
    /// reach. A command ignores that: its operator gets the store's own answer.
    pub(super) fn start(self, request: StoreRequest, is_commanded: bool) -> InFlight {
        // Join the queue now, not when the future is first polled: operations must wait in the
        // order in which their actors began them.
        let Some(place) = self.environment.queue.enter() else {
            let waiting = self.environment.queue.join(urgency(&request));
            return Box::pin(
                async move { self.run_in_turn(&request, is_commanded, waiting).await },
            );
        };
        // Ask only with a place in hand: the answer of `reachability` is of this moment, and an
        // operation that is allowed to try the store must not then wait in the queue.
        match self.ask(&request, is_commanded) {
            Ok(begun_at) => Box::pin(async move { self.run(&request, begun_at, place).await }),
            Err(backed_off) => Box::pin(std::future::ready(StoreResponse::BackedOff(backed_off))),
        }
    }

    /// Waits for the operation's turn, and runs it. Callers wait for a read, so it gives up
    /// after `store_timeout`, and is answered as backed off. A write goes on waiting: its
    /// callers have left by then, and it would lose its place in the queue.
    async fn run_in_turn(
        &self,
        request: &StoreRequest,
        is_commanded: bool,
        mut waiting: Waiting,
    ) -> StoreResponse {
        let place = match request {
            StoreRequest::Read { .. } if !is_commanded => {
                let limit = self.config.store_timeout();
                self.environment.clock.within(limit, waiting.turn()).await
            }
            StoreRequest::Read { .. } | StoreRequest::Write { .. } => Some(waiting.turn().await),
        };
        drop(waiting);
        let Some(place) = place else {
            // Not an outage: a long queue shows nothing about the store.
            return StoreResponse::BackedOff(BackedOff { wait: PAUSE, is_outage: false });
        };
        // Again: the store may have gone out, or come back, while the operation waited.
        match self.ask(request, is_commanded) {
            Ok(begun_at) => self.run(request, begun_at, place).await,
            Err(backed_off) => StoreResponse::BackedOff(backed_off),
        }
    }

    /// Asks `reachability`, which knows the failures of all circuits, whether to begin now.
    fn ask(&self, request: &StoreRequest, is_commanded: bool) -> Result<Moment, BackedOff> {
        let begun_at = self.environment.clock.now();
        match self.ask_for(request.access(), request.is_urgent(), begun_at) {
            Err(backed_off) if !is_commanded => Err(backed_off),
            Ok(()) | Err(_) => Ok(begun_at),
        }
    }

    pub(super) fn ask_for(
        &self,
        access: Access,
        is_urgent: bool,
        begun_at: Moment,
    ) -> Result<(), BackedOff> {
        let limit = self.config.store_timeout();
        self.environment.reachability.ask(&self.name, access, is_urgent, begun_at, limit)
    }

    async fn run(&self, request: &StoreRequest, begun_at: Moment, place: Place) -> StoreResponse {
        let running = async {
            match request {
                StoreRequest::Read { consistency, .. } => self
                    .environment
                    .store
                    .read(&self.key, *consistency)
                    .await
                    .map(StoreResponse::Read),
                StoreRequest::Write { operation, .. } => self
                    .environment
                    .store
                    .write(&self.key, operation)
                    .await
                    .map(StoreResponse::Written),
            }
        };
        let asked = Asked { name: name_of(request), access: request.access() };
        self.run_within(asked, begun_at, place, running).await.unwrap_or_else(StoreResponse::Failed)
    }

    /// Runs one request within `store_timeout`, and tells what came of it to `reachability`, the
    /// log and the metrics.
    pub(super) async fn run_within<T>(
        &self,
        asked: Asked,
        begun_at: Moment,
        _place: Place,
        running: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreErrorKind> {
        // The limit begins here: time in the queue is not the store's fault.
        let limit = self.config.store_timeout();
        let time_before = self.server_time();
        // A store is foreign code. A panic in it is a bad answer, and not the end of the actor.
        let result = self.environment.clock.within(limit, Caught::new(running)).await;
        let now = self.environment.clock.now();
        if !now.was_frozen_since(begun_at, limit) {
            metrics::store_seconds(asked.name, now.since(begun_at));
        }
        // Only a reading from this operation: its begin and end bound the moment of the reading.
        if let Some(time) = self.server_time()
            && Some(time) != time_before
        {
            self.environment.clock.learn(begun_at, now, time);
        }
        let error = match result {
            Some(Some(Ok(response))) => {
                self.environment.reachability.answered(asked.access);
                self.environment.reachability.works(asked.access);
                return Ok(response);
            }
            Some(Some(Err(error))) => error,
            Some(None) => StoreError::new(StoreErrorKind::BadAnswer, "the store panicked"),
            None => {
                let message = format!("no answer in time: store_timeout, {limit:?}, ran out");
                StoreError::new(StoreErrorKind::Timeout, message)
            }
        };
        let kind = error.kind();
        self.fail(asked, &error, begun_at, now);
        // It may hold an error of the user's, whose drop is not our code and may panic.
        caught(|| drop(error));
        Err(kind)
    }

    /// Reports a failure to `reachability`, the log and the metrics.
    fn fail(&self, asked: Asked, error: &StoreError, begun_at: Moment, now: Moment) {
        if now.was_frozen_since(begun_at, self.config.store_timeout()) {
            // The timer ran out while the process was frozen. That shows nothing about the store,
            // and must not keep other circuits from it.
            return log::stood_still(&self.name, error);
        }
        match error.kind() {
            kind @ (StoreErrorKind::Timeout | StoreErrorKind::Unavailable) => {
                self.environment.reachability.failed(&self.name, asked.access, kind, begun_at, now);
            }
            // These are answers: the store can be reached, and other circuits may ask it.
            StoreErrorKind::Throttled
            | StoreErrorKind::Misconfigured
            | StoreErrorKind::BadAnswer => {
                self.environment.reachability.refused(asked.access, begun_at, now);
            }
        }
        self.log_failure(asked, error);
    }

    fn server_time(&self) -> Option<ServerTime> {
        caught(|| self.environment.store.server_time()).flatten()
    }

    fn log_failure(&self, asked: Asked, error: &StoreError) {
        let kind = error.kind();
        let Asked { name: operation, access } = asked;
        metrics::store_fault(operation, kind);
        if kind == StoreErrorKind::Misconfigured {
            let should_log = self.environment.reachability.should_log(access);
            log::store_misconfigured(&self.name, operation, error, should_log);
        } else {
            log::store_failed(&self.name, operation, error, kind);
        }
    }
}

/// Returns the name of an operation in the log and in metrics.
fn name_of(request: &StoreRequest) -> &'static str {
    match request {
        StoreRequest::Read { .. } => "read",
        StoreRequest::Write { operation, .. } => operation.name(),
    }
}

/// Returns the urgency of an operation. Renewals, verdicts and commands come first: while they
/// wait a lease runs out, or the whole fleet stays half-open.
fn urgency(request: &StoreRequest) -> Urgency {
    match request {
        StoreRequest::Read { purpose: Purpose::Lease, .. } => Urgency::First,
        StoreRequest::Read { .. } => Urgency::Then,
        StoreRequest::Write { operation, .. } if operation.can_wait() => Urgency::Then,
        StoreRequest::Write { .. } => Urgency::First,
    }
}

impl UnderWay {
    pub(super) fn start(&mut self, operation: InFlight) {
        self.0.get_or_insert_default().operation = Some(operation);
    }

    pub(super) fn start_ballot(&mut self, ballot: BallotInFlight) {
        self.0.get_or_insert_default().ballot = Some(ballot);
    }

    /// Waits for what is under way; for ever if there is nothing. One future for both, and its
    /// result apart: each has its place in the task of every circuit.
    pub(super) fn finished(&mut self) -> impl Future<Output = ()> {
        std::future::poll_fn(|context| match &mut self.0 {
            Some(requests) => {
                requests.event = Some(ready!(requests.poll(context)));
                Poll::Ready(())
            }
            None => Poll::Pending,
        })
    }

    /// Takes what has finished.
    pub(super) fn take(&mut self) -> Option<Event> {
        let requests = self.0.as_mut()?;
        let event = requests.event.take();
        self.0.take_if(|requests| requests.operation.is_none() && requests.ballot.is_none());
        event
    }
}

impl Requests {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if let Some(running) = &mut self.operation
            && let Poll::Ready(response) = running.as_mut().poll(context)
        {
            self.operation = None;
            return Poll::Ready(Event::Response(Box::new(response)));
        }
        if let Some(running) = &mut self.ballot
            && let Poll::Ready(answer) = running.as_mut().poll(context)
        {
            self.ballot = None;
            return Poll::Ready(Event::Ballot(answer));
        }
        Poll::Pending
    }
}
