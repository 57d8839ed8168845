//! Calls that are cut at a limit.

use std::{
    borrow::Borrow,
    future::Future,
    pin::{Pin, pin},
    time::Duration,
};

use crate::{
    clock::Clock,
    error::{CallError, OpenError, TimedOutError},
    limit::Limit,
    outcome::Outcome,
    runtime::circuit::GRACE,
};

/// A call that was cut.
pub(crate) struct Cut {
    limit: Duration,
    outcome: Outcome,
}

/// Runs a call until its limit, which counts from the first poll.
///
/// A timer that runs out while the process is frozen, or while its runtime is blocked, fires
/// when the answer may already be in the socket, unread. So the call goes on for a moment
/// then, in which the tasks that read it can run.
pub(crate) async fn until_limit<F: Future>(
    clock: impl Borrow<Clock>,
    limit: Limit,
    call: F,
) -> Result<F::Output, Cut> {
    let clock = clock.borrow();
    let begun_at = clock.now();
    let Some(limit) = limit.of_call_at(begun_at.wall()) else {
        return Ok(call.await);
    };
    clock.watch_for_freezes(begun_at);
    let freezes = clock.freezes(begun_at);
    let was_frozen = || clock.freezes(clock.now()) != freezes;
    let mut call = pin!(call);
    if let Some(output) = within(clock, limit, call.as_mut()).await {
        return Ok(output);
    }
    let is_late = clock.now().was_frozen_since(begun_at, limit) || was_frozen();
    if is_late && let Some(output) = within(clock, GRACE, call).await {
        return Ok(output);
    }
    // The dependency had the whole limit while a runtime was blocked, and a call that had no
    // time shows nothing. In a freeze the connection may have been lost.
    let is_evidence = !limit.is_zero() && !was_frozen();
    let outcome = if is_evidence { Outcome::Failure } else { Outcome::Ignored };
    Err(Cut { limit, outcome })
}

/// Waits for a call. For as long as it takes, if the timer's runtime is shutting down: a call
/// that no timer can limit is not to be cut at once.
async fn within<F: Future>(clock: &Clock, limit: Duration, call: Pin<&mut F>) -> Option<F::Output> {
    tokio::select! {
        // The call first: the answer counts that is there when the limit is reached.
        biased;
        output = call => Some(output),
        () = clock.sleep(Some(limit)) => None,
    }
}

/// Judges what has become of a call with a limit.
pub(crate) fn judge<R>(ran: &Result<R, Cut>, classify: impl Fn(&R) -> Outcome) -> Outcome {
    match ran {
        Ok(result) => classify(result),
        Err(cut) => cut.outcome,
    }
}

/// The result of a call with a limit, for its caller.
pub(crate) fn into_call_result<T, E>(
    ran: Result<Result<Result<T, E>, Cut>, OpenError>,
) -> Result<T, CallError<E>> {
    match ran {
        Ok(Ok(result)) => result.map_err(CallError::Inner),
        Ok(Err(cut)) => Err(CallError::TimedOut(TimedOutError::new(cut.limit))),
        Err(open) => Err(CallError::Open(open)),
    }
}
