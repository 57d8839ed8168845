//! At which point the verdict on a call is made.

use http::Response;
use http_body::Body;

use super::{
    body::{BreakerBody, Watched},
    trailers::ClassifyTrailers,
};

/// How far into a response the verdict reaches: [`UntilResponse`] or [`ThroughBody`].
pub trait Reach<T>: sealed::Sealed {
    /// The response of the service.
    type Response;

    /// Whether a good response is watched further.
    #[doc(hidden)]
    const GOES_ON: bool;

    /// Returns the response, watched by what is left of the call, if anything is.
    #[doc(hidden)]
    fn response(&self, inner: T, watched: Option<Watched>) -> Self::Response;
}

mod sealed {
    pub trait Sealed {}
}

/// The verdict is made when the response is there.
#[derive(Clone, Copy, Debug)]
pub struct UntilResponse;

impl sealed::Sealed for UntilResponse {}

impl<T> Reach<T> for UntilResponse {
    type Response = T;

    const GOES_ON: bool = false;

    #[inline]
    fn response(&self, inner: T, _: Option<Watched>) -> T {
        inner
    }
}

/// The verdict is made at the end of the body, by its trailers if `T` says so.
#[derive(Clone, Copy, Debug)]
pub struct ThroughBody<T = ()>(pub(super) T);

impl<T> sealed::Sealed for ThroughBody<T> {}

impl<B: Body, T: ClassifyTrailers + Clone> Reach<Response<B>> for ThroughBody<T> {
    type Response = Response<BreakerBody<B, T>>;

    const GOES_ON: bool = true;

    fn response(&self, inner: Response<B>, watched: Option<Watched>) -> Self::Response {
        let (head, body) = inner.into_parts();
        let body = BreakerBody::new(body, &head.headers, watched, self.0.clone());
        Response::from_parts(head, body)
    }
}
