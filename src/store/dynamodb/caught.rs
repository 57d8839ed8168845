//! Panics of the SDK, as errors.
//!
//! The SDK panics over some values that it is configured with, such as a line
//! break in a key or a region. That must take neither an actor nor a `main`
//! with it, and its text is what tells the cause.

use std::{
    future::{Future, poll_fn},
    task::Poll,
};

use crate::panics::{attempt, caught as without_panic};

/// A panic of code that is not this crate's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the AWS SDK panicked: {0}")]
pub(super) struct Panicked(String);

/// Runs a future to its end, or to its panic. It is not polled after that, and
/// dropping it may panic once more, which says nothing new.
pub(super) async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = Box::pin(future);
    let polled = poll_fn(|context| match attempt(|| future.as_mut().poll(context)) {
        Ok(polled) => polled.map(Ok),
        Err(text) => Poll::Ready(Err(Panicked(text))),
    })
    .await;
    if polled.is_err() {
        without_panic(|| drop(future));
    }
    polled
}
