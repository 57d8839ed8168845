//! What a caller gets of a rejection.

use std::error::Error;

use crate::error::OpenError;

/// The boxed error of tower.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Makes of a rejection what the service returns. [`AsError`] and [`WithResponse`] do.
pub trait Respond<T, E> {
    /// The error of the service.
    type Error;

    /// Returns the answer to a call that the circuit rejected.
    ///
    /// # Errors
    ///
    /// The rejection, where it is an error.
    fn reject(&self, open: OpenError) -> Result<T, Self::Error>;

    /// Turns the error of the inner service into that of the service.
    fn inner(error: E) -> Self::Error;
}

/// A rejection is an error: a boxed [`OpenError`].
#[derive(Clone, Copy, Debug, Default)]
pub struct AsError;

impl<T, E: Into<BoxError>> Respond<T, E> for AsError {
    type Error = BoxError;

    fn reject(&self, open: OpenError) -> Result<T, BoxError> {
        Err(open.into())
    }

    fn inner(error: E) -> BoxError {
        error.into()
    }
}

/// A rejection is a response that a closure makes; the type of the error stays.
#[derive(Clone, Copy, Debug)]
pub struct WithResponse<F>(pub(super) F);

impl<T, E, F: Fn(OpenError) -> T> Respond<T, E> for WithResponse<F> {
    type Error = E;

    fn reject(&self, open: OpenError) -> Result<T, E> {
        Ok((self.0)(open))
    }

    fn inner(error: E) -> E {
        error
    }
}
