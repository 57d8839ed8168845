//! A function as on AWS Lambda, without its runtime crate: an environment starts once, handles one
//! event after the other, and may be frozen after each response. `cargo run --example function`
//! (`examples/lambda` is one with that crate.)

#![expect(clippy::print_stdout, reason = "what it prints is what it shows")]

use std::{error::Error, time::Duration};

use fuseboard::{Breaker, BreakerRegistry, MemoryStore, Outcome};

/// What a cold start makes and every event uses.
struct Function {
    registry: BreakerRegistry,
    partner: Breaker,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // `DynamoDbStore::from_env("CircuitBreakerState").await` shares circuits with all environments.
    let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    let partner = registry.breaker("partner-api")?;
    let function = Function { registry, partner };
    for event in 1..=7 {
        println!("event {event}: {}", function.handle(event).await);
    }
    Ok(())
}

impl Function {
    async fn handle(&self, event: u32) -> String {
        // By hand, to judge a status. `call` does all of this for a `Result`.
        let permit = match self.partner.admit().await {
            Ok(permit) => permit,
            Err(open) => return format!("rejected, try again in {:?}", open.retry_after()),
        };
        let status = ask_partner(event).await;
        permit.report(if status < 500 { Outcome::Success } else { Outcome::Failure });
        // A frozen environment writes nothing: a trip has to be written before the response.
        if let Err(unwritten) = self.registry.flush(Duration::from_millis(200)).await {
            println!("{unwritten}");
        }
        format!("the partner answered {status}")
    }
}

/// Your call to the dependency, with a timeout well below the function's own.
async fn ask_partner(_event: u32) -> u16 {
    503
}
