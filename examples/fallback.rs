//! A fallback: while the circuit is open, callers get the last price that was read, and the
//! dependency gets no calls. `cargo run --example fallback`

#![expect(clippy::print_stdout, reason = "what it prints is what it shows")]

use std::{error::Error, io};

use fuseboard::{BreakerRegistry, MemoryStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // `DynamoDbStore::from_env("CircuitBreakerState").await` shares circuits with other processes.
    let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    let prices = registry.breaker("price-service")?;

    let mut last_known = None;
    for minute in 1..=8 {
        let price = prices
            .call_or_else(
                || read_price(minute),
                // Only for a call that was rejected: a call that runs and fails returns its error.
                |open| async move {
                    println!("minute {minute}: rejected, state {}", open.circuit().state);
                    last_known.ok_or_else(|| io::Error::other(open))
                },
            )
            .await;
        match price {
            Ok(price) => {
                last_known = Some(price);
                println!("minute {minute}: {price}");
            }
            Err(error) => println!("minute {minute}: {error}"),
        }
    }
    Ok(())
}

/// Your call to the dependency: here, one that works for a minute and then fails.
async fn read_price(minute: u32) -> io::Result<u32> {
    if minute == 1 { Ok(995) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
}
