//! A wait that few calls have.

use std::{
    future::Future,
    mem::ManuallyDrop,
    pin::Pin,
    task::{Context, Poll},
};

/// A future in a box, which a function out of line drops. The code that drops the future of a call
/// then stays so small that the compiler inlines it into the caller, who knows that a call that is
/// over has nothing to drop.
pub(crate) struct Rare<F: Future + ?Sized>(ManuallyDrop<Option<Pin<Box<F>>>>);

impl<F: Future> Rare<F> {
    pub(crate) fn new(future: F) -> Self {
        Self::from(Box::pin(future))
    }
}

impl<F: Future + ?Sized> From<Pin<Box<F>>> for Rare<F> {
    fn from(future: Pin<Box<F>>) -> Self {
        Self(ManuallyDrop::new(Some(future)))
    }
}

impl<F: Future + ?Sized> Future for Rare<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // There is one until the drop.
        self.0.as_mut().map_or(Poll::Pending, |future| future.as_mut().poll(context))
    }
}

impl<F: Future + ?Sized> Drop for Rare<F> {
    #[inline]
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

#[cold]
#[inline(never)]
fn end<F: ?Sized>(future: &mut Option<Pin<Box<F>>>) {
    drop(future.take());
}
