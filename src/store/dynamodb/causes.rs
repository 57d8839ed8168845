//! The causes of an error of the SDK, and panics of the SDK as errors.

use std::{
    error::Error,
    future::{Future, poll_fn},
    task::Poll,
};

use crate::panics::{attempt, caught as without_panic};

/// Returns the first of an error's causes that is of this type.
pub(super) fn find<'a, C: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a C> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// Returns the texts of an error and all its causes, the outermost first. A cause
/// whose text the error repeats, as many do, is left out.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let says = error.to_string();
        if !text.contains(&says) {
            text = format!("{text}: {says}");
        }
        cause = error.source();
    }
    text
}

/// A panic of code that is not this crate's.
///
/// The SDK panics over some values of its configuration, such as a line break in a
/// key or a region. Neither an actor nor a `main` may end by that, and only the text
/// of the panic names the cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the AWS SDK panicked: {0}")]
pub(super) struct Panicked(String);

/// Runs a future to its end, or to its panic. A future that panicked is not polled
/// again; if its drop panics too, that is ignored.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_tells_each_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Says(&'static str, #[source] Option<Box<Says>>);
        let inner = Says("refused", None);
        let middle = Says("tcp: refused", Some(Box::new(inner)));
        let outer = Says("no connection", Some(Box::new(middle)));
        assert_eq!(chain(&outer), "no connection: tcp: refused");
    }
}
