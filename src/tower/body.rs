//! A response's body, at whose end the verdict is made.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Buf as _;
use http::{HeaderMap, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::trailers::ClassifyTrailers;
use crate::{
    breaker::Shared,
    outcome::Outcome,
    permit::{Admitted, Timers},
};

/// A wait for a write: few calls have one.
pub(super) type Timer = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A call that is under way, and its timers.
pub struct Watched {
    admitted: Admitted<Shared>,
    timers: Timers,
}

impl Watched {
    #[inline]
    pub(super) fn new(admitted: Admitted<Shared>) -> Self {
        Self { admitted, timers: Timers::default() }
    }

    /// A call that the gate admitted, and that was made.
    #[inline]
    pub(super) fn made(breaker: &Shared, epoch: u64) -> Self {
        Self::new(breaker.admitted(epoch).made())
    }

    /// Polls a piece of the call: what panics in there is the call.
    #[inline]
    pub(super) fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        piece: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let polled = self.admitted.in_call(|| piece(context));
        if polled.is_pending() {
            self.admitted.poll_timers(&mut self.timers, context);
        }
        polled
    }

    /// Makes the call: what panics in there is the call.
    #[inline]
    pub(super) fn make<T>(&mut self, call: impl FnOnce() -> T) -> T {
        self.admitted.in_call(call)
    }

    /// Whether the end of the call was reported.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.admitted.is_over()
    }

    /// Reports the end of the call, if that says and causes nothing. Where it is false nothing was
    /// reported.
    #[inline]
    pub(super) fn report_silently(&mut self, outcome: Outcome) -> bool {
        self.admitted.report_silently(outcome)
    }

    /// Reports the end of the call. What is returned waits for what that caused.
    pub(super) fn report(mut self, outcome: Outcome) -> Option<Timer> {
        if self.report_silently(outcome) {
            return None;
        }
        self.admitted.report_and_settle(outcome)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

pin_project! {
    /// The body of a response whose call is judged by how the body ends.
    ///
    /// Frames, trailers, the size and the end are those of the inner body.
    #[derive(Debug)]
    pub struct BreakerBody<B, T = ()> {
        #[pin]
        inner: B,
        watched: Option<Watched>,
        // How many bytes are still to come, if that is known.
        left: Option<u64>,
        // Whether any byte has come.
        has_begun: bool,
        trailers: T,
    }
}

impl<B: Body, T: ClassifyTrailers> BreakerBody<B, T> {
    pub(super) fn new(
        inner: B,
        headers: &HeaderMap,
        mut watched: Option<Watched>,
        trailers: T,
    ) -> Self {
        let left = watched.is_some().then(|| length(&inner, headers)).flatten();
        // Nobody may poll a body that says that it has ended.
        if has_ended::<B, T>(&inner, left) {
            end(&mut watched, Outcome::Success);
        }
        Self { inner, watched, left, has_begun: false, trailers }
    }
}

/// The length of a body. One made of a stream does not know its own, but a server stops sending it at
/// the `Content-Length` of the head.
fn length<B: Body>(body: &B, headers: &HeaderMap) -> Option<u64> {
    let size = body.size_hint();
    size.exact().or_else(|| {
        let told = headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
        let is_possible = size.lower() <= told && size.upper().is_none_or(|upper| told <= upper);
        is_possible.then_some(told)
    })
}

/// Whether nothing comes that could change the verdict.
fn has_ended<B: Body, T: ClassifyTrailers>(body: &B, left: Option<u64>) -> bool {
    body.is_end_stream() || (left == Some(0) && !T::MATTER)
}

/// A consumer of frames does not wait for writes: they are made in the background.
fn end(watched: &mut Option<Watched>, outcome: Outcome) {
    if let Some(watched) = watched.take() {
        drop(watched.report(outcome));
    }
}

impl<B: Body, T: ClassifyTrailers> Body for BreakerBody<B, T> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(watched) = this.watched else {
            return this.inner.poll_frame(context);
        };
        let inner = this.inner.as_mut();
        let polled = watched.poll(context, |context| inner.poll_frame(context));
        let frame = match &polled {
            Poll::Pending => return polled,
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(Some(Err(_))) => {
                end(this.watched, Outcome::Failure);
                return polled;
            }
            Poll::Ready(None) => {
                // Cut short: a server breaks the response off. A body that never began may be that
                // of a response to HEAD, which tells the length of what it leaves out.
                let is_cut = *this.has_begun && this.left.is_some_and(|left| left > 0);
                end(this.watched, if is_cut { Outcome::Failure } else { Outcome::Success });
                return polled;
            }
        };
        if let Some(trailers) = frame.trailers_ref() {
            end(this.watched, this.trailers.classify_trailers(trailers));
        } else if let Some(data) = frame.data_ref() {
            let read = u64::try_from(data.remaining()).unwrap_or(u64::MAX);
            *this.has_begun |= read > 0;
            *this.left = this.left.map(|left| left.saturating_sub(read));
        }
        // Many consumers stop here, and never ask for a frame after the last.
        if has_ended::<B, T>(&this.inner, *this.left) {
            end(this.watched, Outcome::Success);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
