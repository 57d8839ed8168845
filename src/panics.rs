//! Catches panics of code that is not this crate's and runs on a circuit's task: a subscriber of
//! `tracing`, a recorder of metrics, a store, the waker of a caller.
//!
//! Such a panic must cost that one event, and not the circuit. With `panic = "abort"` the process
//! ends at the first. The panic is not logged here: the panic hook has reported it.

use std::{
    any::Any,
    future::Future,
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

/// Runs foreign code. Returns `None` if it panicked.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Option<T> {
    attempt(run).ok()
}

/// Runs foreign code. Returns the text of its panic if it panicked.
pub(crate) fn attempt<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let text = text_of(payload.as_ref());
        discard(payload);
        text
    })
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

/// Drops the payload of a panic. It is a foreign value too, and its drop may panic: the payload of
/// that second panic is leaked, or there would be no end.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        let _ = ManuallyDrop::new(second);
    }
}

/// Drops foreign values one by one, so that a panic of one does not leak the others.
pub(crate) fn drop_each<T>(values: impl IntoIterator<Item = T>) {
    for value in values {
        caught(|| drop(value));
    }
}

/// A foreign future. Its output is `None` if a poll panics; a panic in its drop is caught too.
pub(crate) struct Caught<'a, T>(Option<Pin<Box<dyn Future<Output = T> + Send + 'a>>>);

impl<'a, T> Caught<'a, T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'a) -> Self {
        Self(Some(Box::pin(future)))
    }

    fn end(&mut self) {
        let future = self.0.take();
        caught(|| drop(future));
    }
}

impl<T> Future for Caught<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.0 else {
            return Poll::Pending;
        };
        let polled = caught(|| future.as_mut().poll(context));
        match polled {
            Some(Poll::Pending) => return Poll::Pending,
            Some(Poll::Ready(_)) | None => self.end(),
        }
        Poll::Ready(polled.and_then(|polled| match polled {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }))
    }
}

impl<T> Drop for Caught<'_, T> {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::atomic::{AtomicUsize, Ordering},
        task::Waker,
    };

    use super::*;

    struct PanicsWhenDropped<'a>(&'a AtomicUsize);

    impl Drop for PanicsWhenDropped<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("as the test says");
        }
    }

    fn poll<T>(future: Pin<&mut Caught<'_, T>>) -> Poll<Option<T>> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn case_163_a_panic_with_a_value_that_panics_is_caught_too() {
        static DROPS: AtomicUsize = AtomicUsize::new(0);
        assert_eq!(caught(|| 7), Some(7));
        let panics = || std::panic::panic_any(PanicsWhenDropped(&DROPS));
        assert_eq!(caught::<()>(panics), None);
        assert_eq!(DROPS.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn case_163_values_that_panic_are_all_dropped() {
        let drops = AtomicUsize::new(0);
        drop_each([PanicsWhenDropped(&drops), PanicsWhenDropped(&drops)]);
        assert_eq!(drops.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn case_163_a_future_may_panic_when_it_is_polled_and_when_it_is_dropped() {
        let drops = AtomicUsize::new(0);
        for ends in ["ready", "pending", "panic"] {
            let guard = PanicsWhenDropped(&drops);
            let mut guard = Some(guard);
            let mut future = pin!(Caught::new(std::future::poll_fn(move |_| match ends {
                "ready" => Poll::Ready(guard.is_some()),
                "pending" => Poll::Pending,
                _ => panic!("as the test says, {:?}", guard.take().map(|_| ())),
            })));
            let output = poll(future.as_mut());
            let expected = match ends {
                "ready" => Poll::Ready(Some(true)),
                "pending" => Poll::Pending,
                _ => Poll::Ready(None),
            };
            assert_eq!(output, expected);
        }
        assert_eq!(drops.load(Ordering::Relaxed), 3);
    }
}
