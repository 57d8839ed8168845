//! The layer: a handle to one circuit, and how calls are judged and rejected.

use std::marker::PhantomData;

use tower_layer::Layer;

use super::{
    reach::{ThroughBody, UntilResponse},
    respond::{AsError, WithResponse},
    service::{BreakerService, MayWait, NeverWaits, Rules},
};
use crate::{
    breaker::{Breaker, Shared},
    classifier::EveryError,
    error::OpenError,
};

/// Puts a circuit around a service. See the [module](super) for what that does.
///
/// `C` judges results, `R` answers rejections, `V` says at which point the verdict is made, and `W`
/// whether admission may wait.
#[derive(Clone, Debug)]
pub struct BreakerLayer<C = EveryError, R = AsError, V = UntilResponse, W = MayWait> {
    breaker: Shared,
    rules: Rules<C, R>,
    modes: PhantomData<fn() -> (V, W)>,
}

impl BreakerLayer {
    /// Returns a layer for a circuit. Every error counts as a failure, and a rejection is an error.
    #[must_use]
    pub fn new(breaker: Breaker) -> Self {
        let rules = Rules { classify: EveryError, respond: AsError };
        Self { breaker: Shared::new(breaker), rules, modes: PhantomData }
    }
}

impl<C, R, V, W> BreakerLayer<C, R, V, W> {
    /// Judges results by a [`Classify`](crate::Classify): a closure, [`ServerErrors`](super::ServerErrors),
    /// a list of rules. Each call clones it: put an expensive one into an `Arc`.
    #[must_use]
    pub fn classified_by<D>(self, classify: D) -> BreakerLayer<D, R, V, W> {
        let rules = Rules { classify, respond: self.rules.respond };
        BreakerLayer { breaker: self.breaker, rules, modes: PhantomData }
    }

    /// Answers a rejection with a response, so that the type of the error stays that of the inner
    /// service. A response of this closure is not counted. Each call clones the closure.
    #[must_use]
    pub fn respond_with<F, T>(self, respond: F) -> BreakerLayer<C, WithResponse<F>, V, W>
    where
        F: Fn(OpenError) -> T,
    {
        let rules = Rules { classify: self.rules.classify, respond: WithResponse(respond) };
        BreakerLayer { breaker: self.breaker, rules, modes: PhantomData }
    }

    /// Makes the verdict at the end of the response's body, for responses of HTTP.
    ///
    /// - A response that the classifier judges a failure, or ignores, is judged at once.
    /// - A body that ends is a success, one that breaks off a failure.
    /// - A body that is dropped before its end is a dropped call: no verdict, unless the circuit
    ///   counts cancelled calls, and a probe gives its right back.
    ///
    /// Only polling the body renews the lease of a probe: a consumer that pauses for longer than
    /// `probe_lease` loses it. The write of a verdict at the end of a body is not awaited; on AWS
    /// Lambda use [`FlushLayer`](super::FlushLayer).
    ///
    /// A consumer that stops at the `Content-Length` without polling once more, as hyper's server
    /// does with HTTP/1, drops a body that does not say that it has ended (`is_end_stream`): no
    /// verdict. Bodies of a known size say so; one made of a stream does not.
    #[must_use]
    pub fn through_body(self) -> BreakerLayer<C, R, ThroughBody, W> {
        BreakerLayer { breaker: self.breaker, rules: self.rules, modes: PhantomData }
    }

    /// Never waits for admission, and needs no `Clone` of the inner service. See
    /// [`Breaker::try_admit`](crate::Breaker::try_admit) for when such a circuit recovers.
    #[must_use]
    pub fn never_waiting(self) -> BreakerLayer<C, R, V, NeverWaits> {
        BreakerLayer { breaker: self.breaker, rules: self.rules, modes: PhantomData }
    }
}

impl<S, C: Clone, R: Clone, V, W> Layer<S> for BreakerLayer<C, R, V, W> {
    type Service = BreakerService<S, C, R, V, W>;

    fn layer(&self, inner: S) -> Self::Service {
        BreakerService::new(inner, self.breaker.clone(), self.rules.clone())
    }
}
