//! The layer: a handle to one circuit, and how calls are judged and rejected.

use std::marker::PhantomData;

use tower_layer::Layer;

use super::{
    reach::{ThroughBody, UntilResponse},
    respond::{AsError, WithResponse},
    service::{BreakerService, MayWait, NeverWaits, Ways},
    trailers::ClassifyTrailers,
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
    ways: Ways<C, R, V>,
    mode: PhantomData<fn() -> W>,
}

impl BreakerLayer {
    /// Returns a layer for a circuit. Every error counts as a failure, and a rejection is an error.
    #[must_use]
    pub fn new(breaker: Breaker) -> Self {
        let ways = Ways { classify: EveryError, respond: AsError, reach: UntilResponse };
        Self { breaker: Shared::new(breaker), ways, mode: PhantomData }
    }
}

impl<C, R, V, W> BreakerLayer<C, R, V, W> {
    /// Judges results by a [`Classify`](crate::Classify): a closure, [`ServerErrors`](super::ServerErrors),
    /// a list of ways. Each call clones it: put an expensive one into an `Arc`.
    #[must_use]
    pub fn classified_by<D>(self, classify: D) -> BreakerLayer<D, R, V, W> {
        let ways = Ways { classify, respond: self.ways.respond, reach: self.ways.reach };
        BreakerLayer { breaker: self.breaker, ways, mode: PhantomData }
    }

    /// Answers a rejection with a response, so that the type of the error stays that of the inner
    /// service. A response of this closure is not counted. Each call clones the closure.
    #[must_use]
    pub fn respond_with<F, T>(self, respond: F) -> BreakerLayer<C, WithResponse<F>, V, W>
    where
        F: Fn(OpenError) -> T,
    {
        let ways = Ways {
            classify: self.ways.classify,
            respond: WithResponse(respond),
            reach: self.ways.reach,
        };
        BreakerLayer { breaker: self.breaker, ways, mode: PhantomData }
    }

    /// Makes the verdict at the end of the response's body, for responses of HTTP.
    ///
    /// - A response that the classifier judges a failure, or ignores, is judged at once.
    /// - A body that ends is a success, one that breaks off a failure.
    /// - A body that is dropped before its end is a dropped call: no verdict, unless the circuit
    ///   counts cancelled calls, and a probe gives its right back.
    ///
    /// A body has ended when it says so, or when as many bytes have come as it, or the head's
    /// `Content-Length`, has told: hyper's server does not ask for more with HTTP/1. Trailers change
    /// nothing; see [`through_trailers`](Self::through_trailers).
    ///
    /// Only polling the body renews the lease of a probe: a consumer that pauses for longer than
    /// `probe_lease` loses it. The write of a verdict at the end of a body is not awaited; on AWS
    /// Lambda use [`FlushLayer`](super::FlushLayer).
    #[must_use]
    pub fn through_body(self) -> BreakerLayer<C, R, ThroughBody, W> {
        self.through_trailers(())
    }

    /// Makes the verdict at the end of the response's body, as [`through_body`](Self::through_body)
    /// does, by its trailers: [`GrpcStatus`](super::GrpcStatus), or a closure that takes a
    /// `HeaderMap`.
    ///
    /// A body that ends without trailers is a success. One that is dropped before its trailers have
    /// come is a dropped call, whatever its `Content-Length`. Each call clones the rule.
    #[must_use]
    pub fn through_trailers<T: ClassifyTrailers>(
        self,
        trailers: T,
    ) -> BreakerLayer<C, R, ThroughBody<T>, W> {
        let Ways { classify, respond, .. } = self.ways;
        let ways = Ways { classify, respond, reach: ThroughBody(trailers) };
        BreakerLayer { breaker: self.breaker, ways, mode: PhantomData }
    }

    /// Never waits for admission, and needs no `Clone` of the inner service. See
    /// [`Breaker::try_admit`](crate::Breaker::try_admit) for when such a circuit recovers.
    #[must_use]
    pub fn never_waiting(self) -> BreakerLayer<C, R, V, NeverWaits> {
        BreakerLayer { breaker: self.breaker, ways: self.ways, mode: PhantomData }
    }
}

impl<S, C: Clone, R: Clone, V: Clone, W> Layer<S> for BreakerLayer<C, R, V, W> {
    type Service = BreakerService<S, C, R, V, W>;

    fn layer(&self, inner: S) -> Self::Service {
        BreakerService::new(inner, self.breaker.clone(), self.ways.clone())
    }
}
