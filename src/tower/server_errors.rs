//! A ready-made rule for HTTP.

use http::Response;

use crate::{classifier::Classify, outcome::Outcome};

/// Judges a response of HTTP by its status: 500 to 599 is a failure, as is every error, and any
/// other status a success.
///
/// A 4xx is an answer, and proves that the dependency is alive. That includes 429: if yours should
/// count, use [`RetryAfter`](super::RetryAfter).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServerErrors;

impl<B, E> Classify<Response<B>, E> for ServerErrors {
    #[inline]
    fn classify(&self, result: &Result<Response<B>, E>) -> Outcome {
        match result {
            Ok(response) if !response.status().is_server_error() => Outcome::Success,
            Ok(_) | Err(_) => Outcome::Failure,
        }
    }
}
