//! Runs calls.

use std::{future::Future, pin::pin};

use super::{Breaker, admitting::ask};
use crate::{
    error::{CallError, OpenError},
    limit::Limit,
    outcome::Outcome,
    permit::{
        Admitted, Rare, Underway, judged,
        limited::{self, until_limit},
    },
    protocol::machine::CallId,
    runtime::gate::{Decision, RampShare},
};

impl Breaker {
    /// Runs a call if it is admitted, and makes of its output what the caller wants. What
    /// few calls need is boxed, so that every call's future stays small.
    ///
    /// Does what [`Admitted::run`] does, in its own words: one future within another costs
    /// each call more than the gate does. The closures are `Copy`, since a future notes in
    /// its memory of each value that it may have to drop whether it still has it.
    #[inline]
    pub(super) async fn run<T, F, Fut, U>(
        &self,
        call: F,
        judge: impl Fn(&T) -> Outcome + Copy,
        finish: impl Fn(Result<T, OpenError>) -> U + Copy,
    ) -> U
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        let epoch = match self.circuit.check() {
            Decision::Admit { epoch } => epoch,
            Decision::Reject { retry_after_ms } => {
                return finish(Err(self.open_error(retry_after_ms)));
            }
            Decision::AskActor { share } => {
                return finish(Rare::new(self.run_asked(share, call, judge)).await);
            }
        };
        // Before the call is made, so that a panic of `call` itself is a failure.
        let id = CallId { epoch, probe: None };
        let mut underway = Underway::new(Admitted::new(&*self.circuit, id));
        let called = pin!(call());
        let output = underway.poll(called).await;
        let (output, outcome) = judged(output, judge);
        if underway.admitted.report_silently(outcome) {
            return finish(Ok(output));
        }
        // Kept under another name, so that only outputs that wait are kept.
        let kept = output;
        if let Some(settled) = underway.admitted.report_and_wait(outcome) {
            settled.await;
        }
        finish(Ok(kept))
    }

    /// Runs a call that the actor admits.
    async fn run_asked<T, F, Fut>(
        &self,
        share: RampShare,
        call: F,
        judge: impl FnOnce(&T) -> Outcome,
    ) -> Result<T, OpenError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        let asked = ask(&self.circuit, share).await?;
        Ok(Admitted::asked(&*self.circuit, asked).run(call(), judge).await)
    }

    /// Runs a call that is cut at a limit.
    pub(super) fn run_within<T, E, F, Fut>(
        &self,
        limit: Limit,
        call: F,
        classify: impl Fn(&Result<T, E>) -> Outcome + Copy,
    ) -> impl Future<Output = Result<T, CallError<E>>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let call = move || until_limit(&self.circuit.clock, limit, call());
        self.run(call, move |ran| limited::judge(ran, classify), limited::into_call_result)
    }
}

pub(super) fn into_call_result<T, E>(
    ran: Result<Result<T, E>, OpenError>,
) -> Result<T, CallError<E>> {
    match ran {
        Ok(result) => result.map_err(CallError::Inner),
        Err(open) => Err(CallError::Open(open)),
    }
}
