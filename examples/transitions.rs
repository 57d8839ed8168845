//! Observing transitions: a subscriber hears of every change of every circuit, and whether this
//! process made it. `cargo run --example transitions`

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a listener is a task")]

use std::{error::Error, io, time::Duration};

use fuseboard::{BreakerRegistry, CallError, CircuitState, Config, MemoryStore, Origin};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::builder()
        .failure_threshold(3)
        .recovery_timeout(Duration::from_secs(1))
        .success_threshold(2)
        .build()?;
    // `DynamoDbStore::from_env("CircuitBreakerState").await` shares circuits with other processes.
    let registry = BreakerRegistry::builder(MemoryStore::new()).config(config).spawn()?;
    let mut transitions = registry.subscribe();
    let listener = tokio::spawn(async move {
        while let Some(heard) = transitions.recv().await {
            match heard {
                // Counting those of `Origin::Local` counts each transition once in a fleet.
                Ok(change) => println!(
                    "{}: {} -> {}, {:?}, made here: {}",
                    change.circuit_name,
                    change.from_state,
                    change.to_state,
                    change.cause,
                    change.origin == Origin::Local,
                ),
                Err(lagged) => println!("{lagged}"),
            }
        }
    });

    let payments = registry.breaker("payment-backend")?;
    for _ in 0..3 {
        // Its error is the dependency's own.
        let _ = payments.call(|| pay(false)).await;
    }
    // Until the circuit is closed again; a rejection says when to come back.
    while payments.state() != CircuitState::Closed {
        match payments.call(|| pay(true)).await {
            Err(CallError::Open(open)) => tokio::time::sleep(open.retry_after()).await,
            answered => answered?,
        }
    }
    // The subscription ends with the last handle of the registry.
    drop(registry);
    listener.await?;
    Ok(())
}

/// Your call to the dependency, which is down at first.
async fn pay(is_up: bool) -> io::Result<()> {
    if is_up { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
}
