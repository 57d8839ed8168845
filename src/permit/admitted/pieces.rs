//! A call that a hand-written future makes and polls piece by piece.

use std::{future::Future, pin::Pin};

use super::{Admitted, Holder, Stage, settled};
use crate::{breaker::Shared, outcome::Outcome};

/// What a future that is named has to box.
type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Notes that a piece of the call unwinds. The future around it is no `async fn`, whose fields are
/// dropped as it unwinds: where another layer catches the panic, they are dropped later, when
/// nothing tells any more that the call has panicked.
struct NotePanic<'a>(&'a mut Stage);

impl Drop for NotePanic<'_> {
    #[inline]
    fn drop(&mut self) {
        if *self.0 == Stage::InCall {
            *self.0 = Stage::Panicked;
        }
    }
}

impl<C: Holder> Admitted<C> {
    /// Runs a piece of the call: what panics in there is the call, and what panics after it
    /// is other code.
    #[inline]
    pub(crate) fn in_call<T>(&mut self, piece: impl FnOnce() -> T) -> T {
        let noting = NotePanic(&mut self.stage);
        *noting.0 = Stage::InCall;
        let made = piece();
        *noting.0 = Stage::BesideCall;
        made
    }

    /// Lets go of a call that was made. Its future has a holder of its own.
    #[inline]
    pub(crate) fn let_go(mut self) {
        self.stage = Stage::Reported;
    }

    /// A call that was made: what panics from here on is other code, but for its polls.
    #[inline]
    pub(crate) fn made(mut self) -> Self {
        self.stage = Stage::BesideCall;
        self
    }

    /// Whether the end of the call was reported.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.stage == Stage::Reported
    }
}

impl Admitted<Shared> {
    /// Reports how a call ended. The wait for what that caused is returned, if the circuit wants
    /// it: it owns the call.
    #[cold]
    #[inline(never)]
    pub(crate) fn report_and_settle(mut self, outcome: Outcome) -> Option<Boxed> {
        let awaited = self.report_awaited(outcome)?;
        let waited = self.waited();
        Some(Box::pin(async move { settled(&self.circuit, awaited, waited).await }))
    }
}
