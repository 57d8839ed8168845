//! The future of a call.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    body::{Timer, Watched},
    reach::Reach,
    respond::Respond,
    service::Rules,
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
        rules: Rules<C, R>,
        reach: PhantomData<fn() -> V>,
    }
}

pin_project! {
    #[project = StageProjected]
    enum Stage<S, Q, F, O> {
        Rejected { open: Option<OpenError> },
        Asking { asked: Asked, waiting: Option<Waiting<S, Q>> },
        Readying { watched: Option<Watched>, waiting: Option<Waiting<S, Q>> },
        Calling { watched: Option<Watched>, #[pin] call: F },
        Settling { timer: Timer, output: Option<O> },
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
    pub(super) fn calling(watched: Watched, call: S::Future, rules: Rules<C, R>) -> Self {
        let stage = Stage::Calling { watched: Some(watched), call };
        Self { stage, rules, reach: PhantomData }
    }

    pub(super) fn rejected(open: OpenError, rules: Rules<C, R>) -> Self {
        Self { stage: Stage::Rejected { open: Some(open) }, rules, reach: PhantomData }
    }

    pub(super) fn asking(asked: Asked, inner: S, request: Q, rules: Rules<C, R>) -> Self {
        let waiting = Some(Waiting { inner, request });
        Self { stage: Stage::Asking { asked, waiting }, rules, reach: PhantomData }
    }

    /// A call that is admitted, and waits for its service.
    pub(super) fn readying(watched: Watched, inner: S, request: Q, rules: Rules<C, R>) -> Self {
        let waiting = Some(Waiting { inner, request });
        let stage = Stage::Readying { watched: Some(watched), waiting };
        Self { stage, rules, reach: PhantomData }
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

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let (result, watched) = match this.stage.as_mut().project() {
                StageProjected::Calling { watched, call } => {
                    // Nothing is left of a call that is over.
                    let Some(called) = watched else { return Poll::Pending };
                    let result = ready!(called.poll(context, |context| call.poll(context)));
                    (result, watched.take())
                }
                StageProjected::Readying { watched, waiting } => {
                    let (Some(called), Some(waits)) = (&mut *watched, &mut *waiting) else {
                        return Poll::Pending;
                    };
                    match ready!(called.poll(context, |context| waits.poll_ready(context))) {
                        Ok(()) => {
                            let (Some(mut called), Some(mut waits)) =
                                (watched.take(), waiting.take())
                            else {
                                return Poll::Pending;
                            };
                            let call = called.make(|| waits.inner.call(waits.request));
                            this.stage.set(Stage::Calling { watched: Some(called), call });
                            continue;
                        }
                        Err(error) => (Err(error), watched.take()),
                    }
                }
                StageProjected::Asking { asked, waiting } => {
                    let asked = ready!(asked.as_mut().poll(context));
                    let waiting = waiting.take();
                    this.stage.set(match asked {
                        Ok(admitted) => {
                            Stage::Readying { watched: Some(Watched::after(admitted)), waiting }
                        }
                        Err(open) => Stage::Rejected { open: Some(open) },
                    });
                    continue;
                }
                StageProjected::Rejected { open } => {
                    let Some(open) = open.take() else { return Poll::Pending };
                    let answer = this.rules.respond.reject(open);
                    return Poll::Ready(answer.map(|answer| V::response(answer, None)));
                }
                StageProjected::Settling { timer, output } => {
                    ready!(timer.as_mut().poll(context));
                    return output.take().map_or(Poll::Pending, Poll::Ready);
                }
            };
            let outcome = this.rules.classify.classify(&result);
            match ended::<_, _, _, V, R>(result, watched, outcome) {
                (output, None) => return Poll::Ready(output),
                (output, Some(timer)) => {
                    this.stage.set(Stage::Settling { timer, output: Some(output) });
                }
            }
        }
    }
}

/// The output of a call that has ended, and a wait for what its report caused.
#[inline]
fn ended<T, E, O, V, R>(
    result: Result<T, E>,
    watched: Option<Watched>,
    outcome: Outcome,
) -> (Result<V::Response, O>, Option<Timer>)
where
    V: Reach<T>,
    R: Respond<T, E, Error = O>,
{
    match result {
        Ok(response) if V::GOES_ON && outcome == Outcome::Success => {
            (Ok(V::response(response, watched)), None)
        }
        result => {
            let timer = watched.and_then(|watched| watched.report(outcome));
            (result.map(|response| V::response(response, None)).map_err(R::inner), timer)
        }
    }
}

impl<S, Q> Waiting<S, Q> {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>>
    where
        S: Service<Q>,
    {
        self.inner.poll_ready(context)
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
