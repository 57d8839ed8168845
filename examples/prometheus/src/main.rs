//! `cargo run -p prometheus`, then `curl http://127.0.0.1:9091/metrics`.
//!
//! A payment service that fails for ten of every forty seconds, behind a circuit.
#![expect(clippy::print_stdout, reason = "a program")]

use std::{error::Error, time::Duration};

use fuseboard::{Breaker, BreakerRegistry, Config, MemoryStore};
use tokio::{net::TcpListener, task::JoinSet, time};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let recorder = prometheus::install_recorder()?;
    let config = Config::builder().recovery_timeout(Duration::from_secs(5)).build()?;
    // `DynamoDbStore` shares the circuits with other processes.
    let registry = BreakerRegistry::builder(MemoryStore::new()).config(config).spawn()?;
    let payments = registry.breaker("payments")?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { pay_for_ever(&payments).await });

    let listener = TcpListener::bind("127.0.0.1:9091").await?;
    println!("http://{}/metrics", listener.local_addr()?);
    axum::serve(listener, prometheus::router(registry, recorder)).await?;
    Ok(())
}

async fn pay_for_ever(payments: &Breaker) {
    for tenth in (0..400_u32).cycle() {
        let is_down = tenth < 100;
        let charge = async { if is_down { Err("503") } else { Ok(()) } };
        // Rejections are counted by the circuit.
        let _ = payments.call(|| charge).await;
        time::sleep(Duration::from_millis(100)).await;
    }
}
