//! The future of a call.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    body::{Timer, Watched},
    reach::Reach,
    respond::Respond,
    service::Ways,
};
use crate::{breaker::Asked, classifier::Classify, error::OpenError, outcome::Outcome};

pin_project! {
    /// The future of one call through a [`BreakerService`](super::BreakerService).
    ///
    /// Dropped, it drops the call: that says nothing about the dependency, unless the circuit counts
    /// cancelled calls, and a probe gives its right back at once.
    pub struct BreakerFuture<S, Q, C, R, V>
    where
        S: Service<Q>,
        V: Reach<S::Response>,
        R: Respond<S::Response, S::Error>,
    {
        #[pin]
        stage: Stage<S, Q, S::Future, Result<V::Response, R::Error>>,
        ways: Ways<C, R, V>,
    }
}

pin_project! {
    #[project = StageProjected]
    enum Stage<S, Q, F, O> {
        Rejected { open: Option<OpenError> },
        Asking { asked: Asked, waiting: Option<Waiting<S, Q>> },
        Readying { watched: Option<Watched>, waiting: Option<Waiting<S, Q>> },
        Calling { watched: Option<Watched>, #[pin] call: F },
        Ended { timer: Option<Timer>, output: Option<O> },
    }
}

/// What waits for admission: a service, and its request.
struct Waiting<S, Q> {
    inner: S,
    request: Q,
}

impl<S, Q, C, R, V> BreakerFuture<S, Q, C, R, V>
where
    S: Service<Q>,
    V: Reach<S::Response>,
    R: Respond<S::Response, S::Error>,
{
    #[inline]
    pub(super) fn calling(watched: Watched, call: S::Future, ways: Ways<C, R, V>) -> Self {
        let stage = Stage::Calling { watched: Some(watched), call };
        Self { stage, ways }
    }

    pub(super) fn rejected(open: OpenError, ways: Ways<C, R, V>) -> Self {
        Self { stage: Stage::Rejected { open: Some(open) }, ways }
    }

    pub(super) fn asking(asked: Asked, inner: S, request: Q, ways: Ways<C, R, V>) -> Self {
        let waiting = Some(Waiting { inner, request });
        Self { stage: Stage::Asking { asked, waiting }, ways }
    }

    /// A call that is admitted, and waits for its service.
    pub(super) fn readying(watched: Watched, inner: S, request: Q, ways: Ways<C, R, V>) -> Self {
        let waiting = Some(Waiting { inner, request });
        let stage = Stage::Readying { watched: Some(watched), waiting };
        Self { stage, ways }
    }
}

impl<S, Q, C, R, V> Future for BreakerFuture<S, Q, C, R, V>
where
    S: Service<Q>,
    C: Classify<S::Response, S::Error>,
    R: Respond<S::Response, S::Error>,
    V: Reach<S::Response>,
{
    type Output = Result<V::Response, R::Error>;

    /// Inlined up to the end of a call that is silent: nearly all calls are. What few calls need
    /// hands its output over in the future's memory, so that that of all others is not written
    /// there first.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.as_mut().project();
        if let StageProjected::Calling { watched, call } = this.stage.project()
            && let Some(called) = watched
            && !called.is_over()
        {
            let result = ready!(called.poll(context, |context| call.poll(context)));
            let outcome = this.ways.classify.classify(&result);
            if V::GOES_ON && outcome == Outcome::Success && result.is_ok() {
                return Poll::Ready(output::<_, _, V, R>(&this.ways.reach, result, watched.take()));
            }
            // Reported where it is: to move a call first costs more than its report.
            if called.report_silently(outcome) {
                return Poll::Ready(output::<_, _, V, R>(&this.ways.reach, result, None));
            }
            self.as_mut().end(result, outcome);
        }
        ready!(self.as_mut().advance(context));
        let StageProjected::Ended { output, .. } = self.project().stage.project() else {
            return Poll::Pending;
        };
        output.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<S, Q, C, R, V> BreakerFuture<S, Q, C, R, V>
where
    S: Service<Q>,
    C: Classify<S::Response, S::Error>,
    R: Respond<S::Response, S::Error>,
    V: Reach<S::Response>,
{
    /// Polls what comes before the call and after it, until it has ended.
    #[cold]
    #[inline(never)]
    fn advance(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut this = self.as_mut().project();
            match this.stage.as_mut().project() {
                StageProjected::Asking { asked, waiting } => {
                    let asked = ready!(asked.as_mut().poll(context));
                    let waiting = waiting.take();
                    this.stage.set(match asked {
                        Ok(admitted) => {
                            Stage::Readying { watched: Some(Watched::new(admitted)), waiting }
                        }
                        Err(open) => Stage::Rejected { open: Some(open) },
                    });
                }
                StageProjected::Readying { watched, waiting } => {
                    let (Some(called), Some(waits)) = (&mut *watched, &mut *waiting) else {
                        return Poll::Pending;
                    };
                    let ready = ready!(called.poll(context, |context| waits.poll_ready(context)));
                    let (Some(mut called), Some(waits)) = (watched.take(), waiting.take()) else {
                        return Poll::Pending;
                    };
                    if let Err(error) = ready {
                        *watched = Some(called);
                        let result = Err(error);
                        let outcome = this.ways.classify.classify(&result);
                        self.as_mut().end(result, outcome);
                        continue;
                    }
                    let call = called.make(move || waits.call());
                    this.stage.set(Stage::Calling { watched: Some(called), call });
                }
                StageProjected::Calling { watched, call } => {
                    // Nothing is left of a call that is over.
                    let Some(called) = watched.as_mut().filter(|called| !called.is_over()) else {
                        return Poll::Pending;
                    };
                    let result = ready!(called.poll(context, |context| call.poll(context)));
                    let outcome = this.ways.classify.classify(&result);
                    self.as_mut().end(result, outcome);
                }
                StageProjected::Rejected { open } => {
                    let Some(open) = open.take() else { return Poll::Pending };
                    let answer = this.ways.respond.reject(open);
                    let output = Some(answer.map(|answer| this.ways.reach.response(answer, None)));
                    this.stage.set(Stage::Ended { timer: None, output });
                }
                StageProjected::Ended { timer, .. } => {
                    if let Some(settled) = timer {
                        ready!(settled.as_mut().poll(context));
                    }
                    *timer = None;
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Ends a call whose end may cause something, or whose body is still to come.
    #[cold]
    #[inline(never)]
    fn end(self: Pin<&mut Self>, result: Result<S::Response, S::Error>, outcome: Outcome) {
        let mut this = self.project();
        let watched = match this.stage.as_mut().project() {
            StageProjected::Readying { watched, .. } | StageProjected::Calling { watched, .. } => {
                watched.take()
            }
            StageProjected::Rejected { .. }
            | StageProjected::Asking { .. }
            | StageProjected::Ended { .. } => None,
        };
        let (timer, left) = if V::GOES_ON && outcome == Outcome::Success && result.is_ok() {
            (None, watched)
        } else {
            (watched.and_then(|watched| watched.report(outcome)), None)
        };
        let output = Some(output::<_, _, V, R>(&this.ways.reach, result, left));
        this.stage.set(Stage::Ended { timer, output });
    }
}

/// What the caller gets of a call, of which this is left for its body.
#[inline]
fn output<T, E, V: Reach<T>, R: Respond<T, E>>(
    reach: &V,
    result: Result<T, E>,
    left: Option<Watched>,
) -> Result<V::Response, R::Error> {
    result.map(|response| reach.response(response, left)).map_err(R::inner)
}

impl<S, Q> Waiting<S, Q> {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>>
    where
        S: Service<Q>,
    {
        self.inner.poll_ready(context)
    }

    fn call(mut self) -> S::Future
    where
        S: Service<Q>,
    {
        self.inner.call(self.request)
    }
}

impl<S, Q, C, R, V> fmt::Debug for BreakerFuture<S, Q, C, R, V>
where
    S: Service<Q>,
    V: Reach<S::Response>,
    R: Respond<S::Response, S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerFuture").finish_non_exhaustive()
    }
}
