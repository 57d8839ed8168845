//! Panics of the SDK, as errors.
//!
//! The SDK panics over some values that it is configured with, such as a line
//! break in a key or a region. That must take neither an actor nor a `main`
//! with it, and its text is what tells the cause.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
};

/// A panic of code that is not this crate's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the AWS SDK panicked: {0}")]
pub(super) struct Panicked(String);

/// Runs a future to its end, or to its panic. It is not polled after that, and
/// dropping it may panic once more, which says nothing new.
pub(super) async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = Box::pin(future);
    let polled = poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(payload) => std::task::Poll::Ready(Err(Panicked(text_of(payload.as_ref())))),
        }
    })
    .await;
    if polled.is_err() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
    }
    polled
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "without a text".to_owned()
    }
}
