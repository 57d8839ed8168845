//! Layers for tower: a circuit around any `tower::Service`, and [`FlushLayer`], which writes what is
//! outstanding after each request. With the feature `tower`.
//!
//! [`BreakerLayer`] puts a [`Breaker`](crate::Breaker) around a service: an axum `Router`, a
//! `reqwest::Client`, a channel of tonic, a client of hyper. The layer holds the handle that you
//! give it and makes no circuit of its own, so that there is one circuit however often it is
//! applied.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! use std::{convert::Infallible, future::{Ready, ready}, task::{Context, Poll}};
//!
//! use fuseboard::{BreakerRegistry, MemoryStore, tower::{BreakerLayer, ServerErrors}};
//! use http::{Request, Response, StatusCode};
//! use tower_layer::Layer as _;
//! use tower_service::Service;
//!
//! # #[derive(Clone)]
//! # struct Client;
//! # impl Service<Request<()>> for Client {
//! #     type Response = Response<String>;
//! #     type Error = Infallible;
//! #     type Future = Ready<Result<Response<String>, Infallible>>;
//! #     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
//! #         Poll::Ready(Ok(()))
//! #     }
//! #     fn call(&mut self, _: Request<()>) -> Self::Future {
//! #         let mut response = Response::new("down".to_owned());
//! #         *response.status_mut() = StatusCode::BAD_GATEWAY;
//! #         ready(Ok(response))
//! #     }
//! # }
//! let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
//! let layer = BreakerLayer::new(registry.breaker("payment-backend")?)
//!     .classified_by(ServerErrors)
//!     .respond_with(|open| {
//!         let mut response = Response::new(open.to_string());
//!         *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
//!         response
//!     });
//! // `Router::layer(layer)`, `ServiceBuilder::layer(layer)`, or by hand:
//! let mut service = layer.layer(Client);
//!
//! for _ in 0..5 {
//!     std::future::poll_fn(|context| service.poll_ready(context)).await?;
//!     assert_eq!(service.call(Request::new(())).await?.status(), 502);
//! }
//! std::future::poll_fn(|context| service.poll_ready(context)).await?;
//! assert_eq!(service.call(Request::new(())).await?.status(), 503);
//! # Ok(()) }
//! ```
//!
//! # What a rejection is
//!
//! A rejection comes from `call`, never from `poll_ready`, since an error there tells the caller to
//! throw the service away. The inner service is not called then, and need not be ready.
//!
//! - Without [`respond_with`](BreakerLayer::respond_with) it is an error: the boxed error of tower
//!   holds the [`OpenError`](crate::OpenError), and `downcast_ref` finds it.
//! - With it, it is a response, and the type of the error stays that of the inner service: axum
//!   needs no `HandleErrorLayer`.
//!
//! # Where the call is made
//!
//! A circuit that is closed and fresh admits in `call`, and the inner service is called there:
//! nothing is boxed or allocated. Where the admission has to wait, as the first call does and a
//! probe, the ready inner service moves into the future, and a clone takes its place: hence
//! `Clone`. [`never_waiting`](BreakerLayer::never_waiting) needs no `Clone`: it admits as
//! [`Breaker::try_admit`](crate::Breaker::try_admit) does, always in `call`.
//!
//! While the circuit is closed, `poll_ready` waits for the inner service, and an error of its
//! readiness is judged by the classifier as the call that cannot be made. If the circuit opens
//! meanwhile, the wait goes on until the inner service wakes its caller: put a limit around a
//! service that may never be ready.
//!
//! # Order of layers
//!
//! Put a timeout inside the breaker, so that a slow dependency is a failure, and a retry outside, so
//! that each attempt is counted and a rejection ends the attempts. `ServiceBuilder` names the
//! outermost layer first: retry, breaker, timeout. A timeout outside the breaker drops the call,
//! which is no failure unless the circuit counts cancelled calls.
//!
//! # Bodies
//!
//! A response is judged when its head is there. [`through_body`](BreakerLayer::through_body) waits
//! for the end of its body: a body that breaks off is a failure.
//! [`through_trailers`](BreakerLayer::through_trailers) judges what comes after it too: with
//! [`GrpcStatus`], a call of gRPC that ends with `UNAVAILABLE`.

mod body;
mod flush;
mod future;
mod http_date;
mod layer;
mod reach;
mod respond;
mod retry_after;
mod server_errors;
mod service;
mod trailers;

pub use self::{
    body::BreakerBody,
    flush::{Flush, FlushFuture, FlushLayer},
    future::BreakerFuture,
    layer::BreakerLayer,
    reach::{Reach, ThroughBody, UntilResponse},
    respond::{AsError, BoxError, Respond, WithResponse},
    retry_after::RetryAfter,
    server_errors::ServerErrors,
    service::{BreakerService, MayWait, NeverWaits},
    trailers::{ClassifyTrailers, GrpcStatus},
};
