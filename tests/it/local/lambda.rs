//! Functions that are called rarely, and frozen between their invocations.

use std::time::Duration;

use fuseboard::{CallError, CircuitState, Config};

use crate::support::memory::{Process, World, fail, is_rejected, pass, succeed};

/// Processes of one function, with its settings.
fn processes(world: &World, number: usize) -> Vec<Process> {
    let config = Config::for_lambda().build().unwrap();
    (0..number).map(|_| world.process_with(|builder| builder.config(config.clone()))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_function_that_is_called_rarely_trips_tells_the_others_and_recovers() {
    let world = World::new();
    let processes = processes(&world, 5);
    let breakers: Vec<_> = processes.iter().map(Process::breaker).collect();
    // Each has failed twice, 20 s apart: one alone would trip at its fifth failure.
    let mut failed = 0;
    'outage: for _ in 0..5 {
        for breaker in &breakers {
            failed += 1;
            let _ = fail(breaker).await;
            if breaker.state() == CircuitState::Open {
                break 'outage;
            }
        }
        pass(20.0).await;
    }
    assert_eq!((failed, world.stored_state()), (10, Some(CircuitState::Open)));
    pass(20.0).await;
    for breaker in &breakers {
        assert!(is_rejected(&succeed(breaker).await), "each reads before it calls");
    }
    pass(20.0).await;
    assert_eq!(succeed(&breakers[1]).await, Ok(42));
    pass(20.0).await;
    assert_eq!(succeed(&breakers[2]).await, Ok(42));
    assert_eq!(world.stored_state(), Some(CircuitState::Closed));
}

#[tokio::test(start_paused = true)]
async fn it_reads_only_where_a_call_waits_and_counts_calls_that_its_own_limit_cuts() {
    let world = World::new();
    let processes = processes(&world, 1);
    let [process] = processes.as_slice() else { panic!("one") };
    let breaker = process.breaker();
    assert_eq!(succeed(&breaker).await, Ok(42));
    pass(4.5).await;
    assert_eq!(succeed(&breaker).await, Ok(42));
    pass(0.1).await;
    assert_eq!(process.store.reads(), 1, "none in the background");
    // As at SIGTERM: a call that is dropped says nothing.
    for _ in 0..5 {
        let hangs = breaker.call(std::future::pending::<Result<(), &str>>);
        assert!(tokio::time::timeout(Duration::from_secs(1), hangs).await.is_err());
    }
    pass(0.1).await;
    assert_eq!(breaker.state(), CircuitState::Closed);
    for _ in 0..5 {
        let limit = Duration::from_secs(1);
        let hangs = breaker.call_within(limit, std::future::pending::<Result<(), &str>>);
        assert!(matches!(hangs.await, Err(CallError::TimedOut(_))));
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}
