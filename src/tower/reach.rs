//! At which point the verdict on a call is made.

use http::Response;
use http_body::Body;

use super::body::{BreakerBody, Watched};

/// How far into a response the verdict reaches: [`UntilResponse`] or [`ThroughBody`].
pub trait Reach<T>: sealed::Sealed {
    /// The response of the service.
    type Response;

    /// Whether a good response is watched further.
    #[doc(hidden)]
    const GOES_ON: bool;

    /// Returns the response, watched by what is left of the call, if anything is.
    #[doc(hidden)]
    fn response(inner: T, watched: Option<Watched>) -> Self::Response;
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
    fn response(inner: T, _: Option<Watched>) -> T {
        inner
    }
}

/// The verdict is made at the end of the body.
#[derive(Clone, Copy, Debug)]
pub struct ThroughBody;

impl sealed::Sealed for ThroughBody {}

impl<B: Body> Reach<Response<B>> for ThroughBody {
    type Response = Response<BreakerBody<B>>;

    const GOES_ON: bool = true;

    fn response(inner: Response<B>, watched: Option<Watched>) -> Self::Response {
        inner.map(|body| BreakerBody::new(body, watched))
    }
}
