//! The service: decides in `call`, or lets the future ask.

use std::{
    marker::PhantomData,
    mem,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{body::Watched, future::BreakerFuture, reach::Reach, respond::Respond};
use crate::{
    breaker::{Breaker, Shared},
    classifier::Classify,
    runtime::gate::Decision,
};

/// How calls are judged, how they are rejected, and at which point they are judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ways<C, R, V> {
    pub(super) classify: C,
    pub(super) respond: R,
    pub(super) reach: V,
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
    breaker: Shared,
    ways: Ways<C, R, V>,
    /// Whether the inner service said that it is ready, and was not called since.
    is_ready: bool,
    mode: PhantomData<fn() -> W>,
}

impl<S, C, R, V, W> BreakerService<S, C, R, V, W> {
    pub(super) fn new(inner: S, breaker: Shared, ways: Ways<C, R, V>) -> Self {
        Self { inner, breaker, ways, is_ready: false, mode: PhantomData }
    }

    /// Returns the circuit's breaker.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        self.breaker.breaker()
    }

    /// Returns the inner service. It may not be ready.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    #[inline]
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
        let outcome = self.ways.classify.classify(&failed);
        if let Ok(admitted) = self.breaker.without_waiting(self.breaker.check()) {
            // The write of a trip is not awaited: nothing here can wait.
            drop(Watched::new(admitted).report(outcome));
        }
        failed.map(|_| ())
    }
}

impl<S, C, R, V, W> BreakerService<S, C, R, V, W> {
    /// Makes a call that the gate admitted.
    #[inline]
    fn make_call<Q>(&mut self, epoch: u64, request: Q) -> S::Future
    where
        S: Service<Q>,
    {
        self.is_ready = false;
        let making = self.breaker.making(epoch);
        let call = self.inner.call(request);
        making.let_go();
        call
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
impl<S: Clone, C: Clone, R: Clone, V: Clone, W> Clone for BreakerService<S, C, R, V, W> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.breaker.clone(), self.ways.clone())
    }
}

impl<S, Q, C, R, V> Service<Q> for BreakerService<S, C, R, V, MayWait>
where
    S: Service<Q> + Clone,
    C: Classify<S::Response, S::Error> + Clone,
    R: Respond<S::Response, S::Error> + Clone,
    V: Reach<S::Response> + Clone,
{
    type Response = V::Response;
    type Error = R::Error;
    type Future = BreakerFuture<S, Q, C, R, V>;

    /// Ready if the inner service is, or if the circuit may reject the call.
    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), R::Error>> {
        if self.breaker.admits_while_fresh() || self.breaker.admits_at_once() {
            let polled = self.poll_inner(context).map_err(R::inner);
            // By the clock only where the inner service has its caller wait.
            if polled.is_ready() || self.breaker.admits_at_once() {
                return polled;
            }
        }
        self.is_ready = false;
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Q) -> Self::Future {
        let ways = self.ways.clone();
        match self.breaker.check() {
            Decision::Admit { epoch } if self.is_ready => {
                let call = self.make_call(epoch, request);
                BreakerFuture::calling(Watched::made(&self.breaker, epoch), call, ways)
            }
            // The circuit closed since `poll_ready`, which did not ask the inner service.
            Decision::Admit { epoch } => {
                let watched = Watched::new(self.breaker.admitted(epoch));
                BreakerFuture::readying(watched, self.take_inner(), request, ways)
            }
            Decision::Reject { retry_after_ms } => {
                BreakerFuture::rejected(self.breaker.rejected(retry_after_ms), ways)
            }
            Decision::AskActor { share } => {
                let asked = self.breaker.ask_owned(share);
                BreakerFuture::asking(asked, self.take_inner(), request, ways)
            }
        }
    }
}

impl<S, Q, C, R, V> Service<Q> for BreakerService<S, C, R, V, NeverWaits>
where
    S: Service<Q>,
    C: Classify<S::Response, S::Error> + Clone,
    R: Respond<S::Response, S::Error> + Clone,
    V: Reach<S::Response> + Clone,
{
    type Response = V::Response;
    type Error = R::Error;
    type Future = BreakerFuture<S, Q, C, R, V>;

    /// Ready if the inner service is, or if the circuit is not closed, unless it is a dry run.
    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), R::Error>> {
        if self.breaker.is_known_closed() || self.breaker.is_dry_run() {
            return self.poll_inner(context).map_err(R::inner);
        }
        // `call` rejects: an error of readiness is not shown, and judges nothing, as the call
        // would not have been made.
        self.is_ready = matches!(self.inner.poll_ready(context), Poll::Ready(Ok(())));
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Q) -> Self::Future {
        let ways = self.ways.clone();
        if !self.is_ready {
            return BreakerFuture::rejected(self.breaker.rejected_unready(), ways);
        }
        let said = self.breaker.check();
        if let Decision::Admit { epoch } = said {
            let call = self.make_call(epoch, request);
            return BreakerFuture::calling(Watched::made(&self.breaker, epoch), call, ways);
        }
        match self.breaker.without_waiting(said) {
            Ok(admitted) => {
                self.is_ready = false;
                let mut watched = Watched::new(admitted);
                let call = watched.make(|| self.inner.call(request));
                BreakerFuture::calling(watched, call, ways)
            }
            Err(open) => BreakerFuture::rejected(open, ways),
        }
    }
}
