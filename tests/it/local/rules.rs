//! CASES.md, second part, at the public surface: the rules of a fleet that shares records.

mod broken;
mod known;
mod looks;
mod rights;
mod variations;

use std::time::Duration;

use fuseboard::CircuitState;

use crate::support::calls::{closes, failures};
use crate::support::memory::{Process, World, pass, succeed, trip};

/// The defaults over a store that other processes share.
fn world() -> World {
    World::with(|config| config.election_spread(Duration::from_secs(1)))
}

/// A world of two: the circuit that the first one tripped was closed by the other.
async fn contradicted() -> (World, Process, Process) {
    let world = world();
    let (first, other) = (world.process(), world.process());
    assert_eq!(succeed(&other.breaker()).await, Ok(42));
    trip(&first.breaker()).await;
    pass(5.0).await;
    closes(&other.breaker(), 40.0).await;
    pass(6.0).await;
    // It hears of the closing, and has no good call of its own.
    for _ in 0..2 {
        let _ = first.breaker().admit().await.map(|permit| permit.ignore());
        pass(1.0).await;
    }
    assert_eq!(first.breaker().snapshot().state(), CircuitState::Closed);
    (world, first, other)
}
