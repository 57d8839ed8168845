//! The service: decides in `call`, or lets the future ask.

use std::{
    marker::PhantomData,
    mem,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{body::Watched, future::BreakerFuture, reach::Reach, respond::Respond};
use crate::{
    breaker::{Breaker, Leave},
    classifier::Classify,
};

/// How calls are judged, and how they are rejected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<C, R> {
    pub(super) classify: C,
    pub(super) respond: R,
}

/// Admission may wait, as [`Breaker::admit`] does; the inner service is `Clone`.
#[derive(Clone, Copy, Debug)]
pub struct MayWait;

/// Admission never waits, as with [`Breaker::try_admit`]; the inner service need not be `Clone`.
#[derive(Clone, Copy, Debug)]
pub struct NeverWaits;

/// A service whose calls a circuit admits or rejects. [`BreakerLayer`](super::BreakerLayer) makes it.
#[derive(Debug)]
pub struct BreakerService<S, C, R, V, W> {
    inner: S,
    breaker: Breaker,
    rules: Rules<C, R>,
    /// Whether the inner service said that it is ready, and was not called since.
    is_ready: bool,
    modes: PhantomData<fn() -> (V, W)>,
}

impl<S, C, R, V, W> BreakerService<S, C, R, V, W> {
    pub(super) fn new(inner: S, breaker: Breaker, rules: Rules<C, R>) -> Self {
        Self { inner, breaker, rules, is_ready: false, modes: PhantomData }
    }

    /// Returns the circuit's breaker.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Returns the inner service. It may not be ready.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn poll_inner<Q>(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>>
    where
        S: Service<Q>,
        C: Classify<S::Response, S::Error>,
    {
        // Asked each time: what was ready before an outage may have lost its connection since.
        let polled = self.inner.poll_ready(context);
        self.is_ready = matches!(polled, Poll::Ready(Ok(())));
        match polled {
            Poll::Ready(Err(error)) => Poll::Ready(self.judge_unready(error)),
            Poll::Ready(Ok(())) | Poll::Pending => polled,
        }
    }

    /// Judges an error of the inner service's readiness as the call that the caller cannot make:
    /// there, services that connect fail.
    #[cold]
    fn judge_unready<Q>(&self, error: S::Error) -> Result<(), S::Error>
    where
        S: Service<Q>,
        C: Classify<S::Response, S::Error>,
    {
        let failed: Result<S::Response, S::Error> = Err(error);
        let outcome = self.rules.classify.classify(&failed);
        if let Leave::Admitted(admitted) = self.breaker.leave() {
            // The write of a trip is not awaited: nothing here can wait.
            drop(Watched::new(admitted).report(outcome));
        }
        failed.map(|_| ())
    }
}

impl<S: Clone, C, R, V, W> BreakerService<S, C, R, V, W> {
    /// Takes the inner service, which may be ready, and leaves a clone of it.
    fn take_inner(&mut self) -> S {
        self.is_ready = false;
        let clone = self.inner.clone();
        mem::replace(&mut self.inner, clone)
    }
}

/// A clone has not asked its inner service whether it is ready.
impl<S: Clone, C: Clone, R: Clone, V, W> Clone for BreakerService<S, C, R, V, W> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.breaker.clone(), self.rules.clone())
    }
}

impl<S, Q, C, R, V> Service<Q> for BreakerService<S, C, R, V, MayWait>
where
    S: Service<Q> + Clone,
    C: Classify<S::Response, S::Error> + Clone,
    R: Respond<S::Response, S::Error> + Clone,
    V: Reach<S::Response>,
{
    type Response = V::Response;
    type Error = R::Error;
    type Future = BreakerFuture<S, Q, C, R, V>;

    /// Ready if the inner service is, or if the circuit may reject the call.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), R::Error>> {
        if self.breaker.admits_at_once() {
            return self.poll_inner(context).map_err(R::inner);
        }
        self.is_ready = false;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let rules = self.rules.clone();
        match self.breaker.leave() {
            Leave::Admitted(admitted) if self.is_ready => {
                self.is_ready = false;
                let mut watched = Watched::new(admitted);
                let call = watched.make(|| self.inner.call(request));
                BreakerFuture::calling(watched, call, rules)
            }
            Leave::Rejected(open) => BreakerFuture::rejected(open, rules),
            // The circuit closed since `poll_ready`, which did not ask the inner service.
            Leave::Admitted(admitted) => {
                let inner = self.take_inner();
                BreakerFuture::readying(Watched::new(admitted), inner, request, rules)
            }
            Leave::Ask => {
                let asked = self.breaker.ask_owned();
                BreakerFuture::asking(asked, self.take_inner(), request, rules)
            }
        }
    }
}

impl<S, Q, C, R, V> Service<Q> for BreakerService<S, C, R, V, NeverWaits>
where
    S: Service<Q>,
    C: Classify<S::Response, S::Error> + Clone,
    R: Respond<S::Response, S::Error> + Clone,
    V: Reach<S::Response>,
{
    type Response = V::Response;
    type Error = R::Error;
    type Future = BreakerFuture<S, Q, C, R, V>;

    /// Ready if the inner service is, or if the circuit is not closed.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), R::Error>> {
        let polled = self.poll_inner(context).map_err(R::inner);
        if polled.is_pending() && !self.breaker.is_known_closed() {
            return Poll::Ready(Ok(()));
        }
        polled
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let rules = self.rules.clone();
        if !self.is_ready {
            return BreakerFuture::rejected(self.breaker.rejected_unready(), rules);
        }
        match self.breaker.try_leave() {
            Ok(admitted) => {
                self.is_ready = false;
                let mut watched = Watched::new(admitted);
                let call = watched.make(|| self.inner.call(request));
                BreakerFuture::calling(watched, call, rules)
            }
            Err(open) => BreakerFuture::rejected(open, rules),
        }
    }
}
