//! A subscriber's end of the broadcast of transitions.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use tokio::sync::broadcast;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};

use crate::{runtime::metrics, transition::CircuitTransition};

/// The transitions of every circuit of a registry, from the moment of
/// subscription on. Also a [`Stream`].
///
/// # Lagging
///
/// No circuit waits for a subscriber. A subscriber that falls behind by more than the registry's
/// transition capacity (1,024 by default) loses the oldest transitions. It receives their
/// number in [`Lagged`], and goes on with the oldest that is left.
#[derive(Debug)]
pub struct Transitions {
    stream: BroadcastStream<CircuitTransition>,
}

/// This number of transitions was lost because the subscriber was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} transitions were lost because the subscriber fell behind")]
pub struct Lagged(pub u64);

impl Transitions {
    pub(crate) fn new(receiver: broadcast::Receiver<CircuitTransition>) -> Self {
        Self { stream: BroadcastStream::new(receiver) }
    }

    /// Waits for the next transition. Returns `None` once the last clone of the registry was
    /// dropped (a shutdown is not enough) and all transitions were received.
    ///
    /// # Errors
    ///
    /// [`Lagged`]: transitions were lost; the next call goes on after them.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no transition.
    pub async fn recv(&mut self) -> Option<Result<CircuitTransition, Lagged>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for Transitions {
    type Item = Result<CircuitTransition, Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.stream).poll_next(context));
        Poll::Ready(item.map(|received| {
            received.map_err(|BroadcastStreamRecvError::Lagged(missed)| {
                metrics::lagged(missed);
                Lagged(missed)
            })
        }))
    }
}
