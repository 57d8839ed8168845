//! What comes after a body, and a ready-made rule for gRPC.

use http::{HeaderMap, Response};

use crate::{classifier::Classify, outcome::Outcome};

/// Judges the trailers of a response: [`GrpcStatus`], or a closure that takes a [`HeaderMap`].
///
/// For [`BreakerLayer::through_trailers`](super::BreakerLayer::through_trailers).
pub trait ClassifyTrailers {
    /// Whether trailers change the verdict on a body that has come whole.
    #[doc(hidden)]
    const MATTER: bool = true;

    /// Says what the trailers mean for the circuit.
    fn classify_trailers(&self, trailers: &HeaderMap) -> Outcome;
}

/// Nothing in trailers is a failure.
impl ClassifyTrailers for () {
    const MATTER: bool = false;

    fn classify_trailers(&self, _trailers: &HeaderMap) -> Outcome {
        Outcome::Success
    }
}

impl<F: Fn(&HeaderMap) -> Outcome> ClassifyTrailers for F {
    fn classify_trailers(&self, trailers: &HeaderMap) -> Outcome {
        self(trailers)
    }
}

/// Judges a response of gRPC by its `grpc-status`, in the head and in the trailers.
///
/// - A failure: 14 `UNAVAILABLE`, 4 `DEADLINE_EXCEEDED` and 8 `RESOURCE_EXHAUSTED`, as well as each
///   error, and a head without `grpc-status` whose status of HTTP is 500 to 599 or 429: a proxy has
///   sent it.
/// - A success: every other code. `NOT_FOUND` is an answer, and so are 2 `UNKNOWN` and 13 `INTERNAL`:
///   servers make the one of any error of their own code, and the other of what they cannot encode.
///   If yours should count, write a closure.
///
/// A service that answers with one message, or many, has its code in the trailers. Give the rule to
/// both methods of the layer:
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fuseboard::{BreakerRegistry, MemoryStore};
/// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
/// # let prices = registry.breaker("price-service")?;
/// use fuseboard::tower::{BreakerLayer, GrpcStatus};
///
/// let layer = BreakerLayer::new(prices).classified_by(GrpcStatus).through_trailers(GrpcStatus);
/// # let _ = layer;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct GrpcStatus;

impl<B, E> Classify<Response<B>, E> for GrpcStatus {
    fn classify(&self, result: &Result<Response<B>, E>) -> Outcome {
        let Ok(response) = result else { return Outcome::Failure };
        if let Some(outcome) = by_code(response.headers()) {
            return outcome;
        }
        let status = response.status();
        if status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS {
            Outcome::Failure
        } else {
            Outcome::Success
        }
    }
}

impl ClassifyTrailers for GrpcStatus {
    fn classify_trailers(&self, trailers: &HeaderMap) -> Outcome {
        by_code(trailers).unwrap_or(Outcome::Success)
    }
}

/// What a `grpc-status` says, if there is one.
fn by_code(headers: &HeaderMap) -> Option<Outcome> {
    let code = headers.get("grpc-status")?.as_bytes();
    Some(if matches!(code, b"4" | b"8" | b"14") { Outcome::Failure } else { Outcome::Success })
}
