//! A rule for dependencies that say when to come back.

use std::time::Duration;

use http::{HeaderMap, Response, StatusCode, header::RETRY_AFTER};

use super::ServerErrors;
use crate::{classifier::Classify, outcome::Outcome};

/// Judges a response of HTTP as [`ServerErrors`] does, but for 429 (Too Many Requests) and 503 (Service
/// Unavailable): with a `Retry-After` they open the circuit for that time, as
/// [`Outcome::OpenFor`], and without one they are failures.
///
/// Only a number of seconds is read. A date, and anything else, is as no `Retry-After`. The time is
/// 1 s at least, and [`open_for_at_most`](crate::ConfigBuilder::open_for_at_most) at most.
///
/// The circuit opens for all that share it. So use it where the limit is one of all their calls
/// together, and not of one of their users.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fuseboard::{BreakerRegistry, MemoryStore};
/// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
/// use fuseboard::tower::{BreakerLayer, RetryAfter};
///
/// let layer = BreakerLayer::new(registry.breaker("payment-backend")?).classified_by(RetryAfter);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RetryAfter;

impl<B, E> Classify<Response<B>, E> for RetryAfter {
    #[inline]
    fn classify(&self, result: &Result<Response<B>, E>) -> Outcome {
        match result {
            Ok(response) if is_busy(response.status()) => judge(response.headers()),
            Ok(_) | Err(_) => ServerErrors.classify(result),
        }
    }
}

fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

#[cold]
fn judge(headers: &HeaderMap) -> Outcome {
    let seconds = headers.get(RETRY_AFTER).and_then(|told| told.to_str().ok()?.trim().parse().ok());
    seconds.map_or(Outcome::Failure, |seconds| Outcome::OpenFor(Duration::from_secs(seconds)))
}
