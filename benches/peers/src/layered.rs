//! What the layers for tower are measured around: one service that is always ready.

use std::future::{Future, poll_fn};

use tower::{Service, service_fn};

use crate::subject::{Failed, Lane, async_lane, failure, finish, success};

/// A service that calls well, or fails, as it is asked to.
pub(crate) trait Answering<E>:
    Service<bool, Response = u64, Error = E, Future: Send> + Send + 'static
{
}

impl<E, S> Answering<E> for S where
    S: Service<bool, Response = u64, Error = E, Future: Send> + Send + 'static
{
}

/// The service that every layer gets.
pub(crate) fn answering()
-> impl Answering<Failed, Future: Future<Output = Result<u64, Failed>>> + Clone {
    service_fn(|well| async move { if well { success() } else { failure() } })
}

/// Waits until a service is ready, and calls it.
#[inline]
pub(crate) async fn call<E>(service: &mut impl Answering<E>, well: bool) -> Result<u64, E> {
    poll_fn(|context| service.poll_ready(context)).await?;
    service.call(well).await
}

/// A user of a service.
pub(crate) fn user<E: 'static>(service: impl Answering<E>) -> Lane {
    let fail = |service: &mut _| {
        let _ = finish(call(service, false));
    };
    async_lane(service, async |service: &mut _| call(service, true).await.is_ok(), fail)
}
