//! Writes what is outstanding after a request, before an environment may be frozen.
//!
//! Generic in its request, so that it fits `lambda_runtime` without knowing it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{registry::BreakerRegistry, runtime::log};

/// The default `store_timeout`: a write that the store answers at all is answered within it.
const DEFAULT_BUDGET: Duration = Duration::from_secs(1);

/// For the way back to the runtime, also with a small share of a processor: with 128 MB it gets
/// about 1.4 ms of every 20 ms.
const DEFAULT_MARGIN: Duration = Duration::from_millis(50);

/// Flushes the registry after each request, before an AWS Lambda environment may be frozen.
///
/// A frozen environment writes nothing. [`Breaker::call`](crate::Breaker::call) awaits its writes
/// by itself; the layer has those written that nobody awaited: of permits that were reported by
/// hand, of probes that were dropped, and of every call where
/// [`await_trip_write`](crate::ConfigBuilder::await_trip_write) is off.
///
/// The inner service's future runs to its end first and is dropped, whatever its result. Then
/// the layer calls [`BreakerRegistry::flush`], for at most the [budget](Self::budget), and not
/// beyond the [deadline](Self::deadline) of the request. The result of the request stays as it
/// is: a budget that is spent is logged at `warn`, and the writes go on when the process does. If
/// nothing is outstanding this costs two atomic loads and a clone of the registry, and allocates
/// nothing.
///
/// On `lambda_runtime::Runtime` the layer runs after the response was sent and before the next
/// invocation is asked for, so that nobody waits for the write. Around a handler it runs before the
/// response is sent. Where several invocations share a process (`AWS_LAMBDA_MAX_CONCURRENCY`)
/// nothing is frozen, and a flush waits for the probes of the others: turn it off there, with a
/// budget of zero.
///
/// A request whose future is dropped is not flushed. The next one is, and
/// [`BreakerRegistry::shutdown`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::{Duration, SystemTime};
/// use fuseboard::{BreakerRegistry, MemoryStore, tower::FlushLayer};
///
/// // With lambda_runtime: `LambdaInvocation`, and `|it| it.context.deadline()`.
/// struct Invocation {
///     deadline: SystemTime,
/// }
///
/// let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
/// let flush = FlushLayer::new(registry.clone())
///     .budget(Duration::from_millis(500))
///     .deadline(|invocation: &Invocation| invocation.deadline);
/// // `Runtime::new(handler).layer(flush).run().await`
/// # let _ = flush;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct FlushLayer<D = ()> {
    registry: BreakerRegistry,
    limits: Limits,
    deadline_of: D,
}

/// The times that a flush keeps to.
#[derive(Clone, Copy, Debug)]
struct Limits {
    budget: Duration,
    margin: Duration,
}

impl FlushLayer {
    /// Returns a layer that flushes this registry, for at most 1 s after each request.
    #[must_use]
    pub fn new(registry: BreakerRegistry) -> Self {
        let limits = Limits { budget: DEFAULT_BUDGET, margin: DEFAULT_MARGIN };
        Self { registry, limits, deadline_of: () }
    }

    /// Sets the function that returns the deadline of a request, by the wall clock: as a
    /// [`SystemTime`], or as an `Option` of one. Default: no request has a deadline.
    ///
    /// A deadline that is past when the request arrives is taken for unknown, and the budget alone
    /// holds: local emulators of AWS Lambda send one in 1970.
    #[must_use]
    pub fn deadline<R, T: Into<Option<SystemTime>>>(
        self,
        deadline_of: impl Fn(&R) -> T + Clone,
    ) -> FlushLayer<impl Fn(&R) -> Option<SystemTime> + Clone> {
        let Self { registry, limits, .. } = self;
        FlushLayer { registry, limits, deadline_of: move |request: &R| deadline_of(request).into() }
    }
}

impl<D> FlushLayer<D> {
    /// Sets for how long a flush may take at most. Default: 1 s, as long as a store operation may
    /// take by default. Zero turns the layer off.
    #[must_use]
    pub fn budget(mut self, budget: Duration) -> Self {
        self.limits.budget = budget;
        self
    }

    /// Sets how long before the [deadline](Self::deadline) a flush ends at the latest. Default:
    /// 50 ms.
    #[must_use]
    pub fn margin(mut self, margin: Duration) -> Self {
        self.limits.margin = margin;
        self
    }
}

impl<D> fmt::Debug for FlushLayer<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlushLayer").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<S, D: Clone> Layer<S> for FlushLayer<D> {
    type Service = Flush<S, D>;

    fn layer(&self, inner: S) -> Self::Service {
        Flush { inner, layer: self.clone() }
    }
}

/// A service whose requests are followed by a flush. Made by [`FlushLayer`].
#[derive(Clone)]
pub struct Flush<S, D = ()> {
    inner: S,
    layer: FlushLayer<D>,
}

impl<S, D> fmt::Debug for Flush<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flush").field("limits", &self.layer.limits).finish_non_exhaustive()
    }
}

/// Tells the deadline of a request.
///
/// Implemented by the layer's default and by functions; users name it nowhere.
pub trait DeadlineOf<R> {
    /// Returns the deadline of this request, if it has one.
    fn deadline_of(&self, request: &R) -> Option<SystemTime>;
}

impl<R> DeadlineOf<R> for () {
    fn deadline_of(&self, _request: &R) -> Option<SystemTime> {
        None
    }
}

impl<R, F: Fn(&R) -> Option<SystemTime>> DeadlineOf<R> for F {
    fn deadline_of(&self, request: &R) -> Option<SystemTime> {
        self(request)
    }
}

impl<R, S: Service<R>, D: DeadlineOf<R>> Service<R> for Flush<S, D> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = FlushFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let FlushLayer { registry, limits, deadline_of } = &self.layer;
        let deadline = deadline_of.deadline_of(&request);
        let deadline = deadline.filter(|deadline| *deadline > registry.wall());
        let after = After { registry: registry.clone(), limits: *limits, deadline };
        FlushFuture { step: Step::Serving { request: self.inner.call(request) }, after }
    }
}

pin_project! {
    /// A request, and the flush after it.
    ///
    /// Boxes the flush, if anything is outstanding, and nothing otherwise.
    pub struct FlushFuture<F: Future> {
        #[pin]
        step: Step<F, F::Output>,
        after: After,
    }
}

pin_project! {
    #[project = CurrentStep]
    enum Step<F, T> {
        Serving { #[pin] request: F },
        Flushing { flush: Flushing, output: Option<T> },
        Over,
    }
}

type Flushing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a request needs for the flush after it.
struct After {
    registry: BreakerRegistry,
    limits: Limits,
    /// As the request told it, if it was still to come then.
    deadline: Option<SystemTime>,
}

impl After {
    /// Begins the flush, if there is anything to write and any time for it.
    fn flush(&self) -> Option<Flushing> {
        if self.limits.budget.is_zero() || self.registry.outstanding() == 0 {
            return None;
        }
        let (registry, left) = (self.registry.clone(), self.left());
        Some(Box::pin(async move {
            if let Err(unwritten) = registry.flush(left).await {
                log::unflushed(&unwritten);
            }
        }))
    }

    /// Returns the time that is left for a flush.
    fn left(&self) -> Duration {
        let Limits { budget, margin } = self.limits;
        let Some(deadline) = self.deadline else {
            return budget;
        };
        let until = deadline.duration_since(self.registry.wall()).unwrap_or(Duration::ZERO);
        budget.min(until.saturating_sub(margin))
    }
}

impl<F: Future> fmt::Debug for FlushFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlushFuture").field("limits", &self.after.limits).finish_non_exhaustive()
    }
}

impl<F: Future> Future for FlushFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let CurrentStep::Serving { request } = this.step.as_mut().project() {
            let output = ready!(request.poll(context));
            // Drops the request first: what it still holds may report, or give back, as it is dropped.
            this.step.set(Step::Over);
            match this.after.flush() {
                Some(flush) => this.step.set(Step::Flushing { flush, output: Some(output) }),
                None => return Poll::Ready(output),
            }
        }
        match this.step.as_mut().project() {
            CurrentStep::Flushing { flush, output } => {
                ready!(flush.as_mut().poll(context));
                let output = output.take();
                this.step.set(Step::Over);
                output.map_or(Poll::Pending, Poll::Ready)
            }
            CurrentStep::Serving { .. } | CurrentStep::Over => Poll::Pending,
        }
    }
}
