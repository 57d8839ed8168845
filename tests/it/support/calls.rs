//! Calls by handles of the test's own.

use fuseboard::{Breaker, CallError, CircuitState, Transitions};

use super::world::{heard, pass};

/// A call that succeeds, if it is admitted.
pub(crate) async fn succeed(breaker: &Breaker) -> Result<u32, CallError<&'static str>> {
    breaker.call(|| async { Ok(42) }).await
}

/// A call that fails, if it is admitted.
pub(crate) async fn fail(breaker: &Breaker) -> Result<u32, CallError<&'static str>> {
    breaker.call(|| async { Err("down") }).await
}

/// Fails until the circuit is open.
pub(crate) async fn trip(breaker: &Breaker) {
    for _ in 0..5 {
        assert_eq!(fail(breaker).await, Err(CallError::Inner("down")));
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Open);
}

/// The states that the transitions so far went to.
pub(crate) fn states(transitions: &mut Transitions) -> Vec<CircuitState> {
    heard(transitions).into_iter().map(|transition| transition.to_state).collect()
}

/// Probes until the circuit is closed, from when its recovery is due.
pub(crate) async fn recover(breaker: &Breaker) {
    for _ in 0..3 {
        assert_eq!(succeed(breaker).await, Ok(42));
    }
    assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
}

/// Whether a call was rejected without being run.
pub(crate) fn is_rejected<T>(result: &Result<T, CallError<&'static str>>) -> bool {
    matches!(result, Err(CallError::Open(_)))
}

/// Calls every 100 ms that are well, until this process knows a circuit that was open
/// to be closed.
pub(crate) async fn closes(breaker: &Breaker, within: f64) {
    let (mut waited, mut was_open) = (0.0, false);
    while !was_open || breaker.snapshot().state() != CircuitState::Closed {
        was_open |= breaker.snapshot().state() != CircuitState::Closed;
        let _ = succeed(breaker).await;
        pass(0.1).await;
        waited += 0.1;
        assert!(waited <= within, "not closed within {within} s");
    }
}

/// Fails that often, without expecting that each runs.
pub(crate) async fn failures(breaker: &Breaker, count: usize) {
    for _ in 0..count {
        let _ = fail(breaker).await;
    }
}
