//! What lies behind an error of the SDK: its causes, or a panic.

use std::{
    error::Error,
    future::{Future, poll_fn},
    task::Poll,
};

use crate::panics::{attempt, caught as without_panic};

/// The first of an error's causes that is of this type.
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

/// What an error and all its causes say, the outermost first. Many errors repeat
/// the text of their cause, which is left out then.
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
/// The SDK panics over some values that it is configured with, such as a line
/// break in a key or a region. That must take neither an actor nor a `main`
/// with it, and its text is what tells the cause.
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
