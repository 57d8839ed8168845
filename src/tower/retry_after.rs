//! A rule for dependencies that say when to come back.

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, Response, StatusCode,
    header::{AGE, DATE, RETRY_AFTER},
};

use super::{ServerErrors, http_date::HttpDate};
use crate::{classifier::Classify, clock::Clock, outcome::Outcome};

/// Judges a response of HTTP as [`ServerErrors`] does, but for 429 (Too Many Requests) and 503 (Service
/// Unavailable): with a `Retry-After` they open the circuit for that time, as
/// [`Outcome::OpenFor`], and without one they are failures.
///
/// A number of seconds is read, and a date in each of the three forms of HTTP: as the time from the
/// `Date` of the response until then, so that the clock of this process does not matter. If the
/// response has no `Date`, or comes from a cache (it has an `Age`), the clock of this process is
/// used. A value that is neither a number nor a date counts as no `Retry-After`. The time is at least
/// 1 s, also for a date that has passed, and at most
/// [`open_for_at_most`](crate::ConfigBuilder::open_for_at_most).
///
/// The circuit opens for all that share it. So use it where the limit is for all their calls
/// together, and not for each of their users.
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

impl RetryAfter {
    /// Returns how long the `Retry-After` of these headers asks to wait, read as described
    /// [above](Self), without bounds; `None` if there is none that can be read.
    ///
    /// For rules of your own, where a client's error no longer has the headers.
    ///
    /// ```
    /// use std::time::Duration;
    /// use fuseboard::tower::RetryAfter;
    /// use http::{HeaderMap, HeaderValue, header};
    ///
    /// let mut headers = HeaderMap::new();
    /// assert_eq!(RetryAfter::in_headers(&headers), None);
    ///
    /// headers.insert(header::DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
    /// let then = HeaderValue::from_static("Sun, 06 Nov 1994 08:50:00 GMT");
    /// headers.insert(header::RETRY_AFTER, then);
    /// assert_eq!(RetryAfter::in_headers(&headers), Some(Duration::from_secs(23)));
    /// ```
    #[must_use]
    pub fn in_headers(headers: &HeaderMap) -> Option<Duration> {
        let told = text(headers, &RETRY_AFTER)?;
        let seconds = match told.parse() {
            Ok(seconds) => seconds,
            Err(_) => seconds_until(told, headers)?,
        };
        Some(Duration::from_secs(seconds))
    }
}

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
    RetryAfter::in_headers(headers).map_or(Outcome::Failure, Outcome::OpenFor)
}

/// Returns the number of seconds until a date: 0 if it has passed.
fn seconds_until(date: &str, headers: &HeaderMap) -> Option<u64> {
    let here = HttpDate::of_unix(Clock::system().now().wall().as_secs());
    // A response from a cache was made at its `Date`, which may be long ago.
    let is_of_cache = headers.contains_key(AGE);
    let sent = text(headers, &DATE).filter(|_| !is_of_cache);
    let sent_at = sent.and_then(|sent| HttpDate::read(sent, here)).unwrap_or(here);
    Some(HttpDate::read(date, sent_at)?.seconds_since(sent_at))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

#[cfg(test)]
mod tests;
