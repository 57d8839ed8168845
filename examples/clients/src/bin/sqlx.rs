//! PostgreSQL by sqlx behind a breaker: `cargo run -p clients --bin sqlx`

#![expect(clippy::print_stdout, reason = "what it prints is what it shows")]

use std::{error::Error, time::Duration};

use clients::{Database, NoDatabase};
use fuseboard::{BreakerRegistry, ByError, CallError, CircuitState, Config, MemoryStore, Outcome};
use sqlx::postgres::PgPoolOptions;
use tokio::time::sleep;

#[cfg(test)]
#[path = "../database/sqlstate.rs"]
mod sqlstate;

/// The classes of SQLSTATE that say that the server, and not the statement, is in trouble:
/// connections, resources, an intervention (a `statement_timeout` among them), the system, and
/// internal errors.
const FAULTS: [&str; 5] = ["08", "53", "57", "58", "XX"];

/// The rule: what counts against a database.
fn database_faults(error: &sqlx::Error) -> Outcome {
    use sqlx::Error as E;
    // The program's own mistakes: nothing was sent.
    if matches!(error, E::Configuration(_) | E::PoolClosed) {
        return Outcome::Ignored;
    }
    let code = error.as_database_error().and_then(|answer| answer.code());
    let is_of_the_server =
        code.is_some_and(|code| FAULTS.iter().any(|class| code.starts_with(class)));
    let is_of_the_way =
        matches!(error, E::Io(_) | E::Tls(_) | E::Protocol(_) | E::PoolTimedOut | E::WorkerCrashed);
    // A unique violation, no such row, a syntax error: the database has answered.
    if is_of_the_server || is_of_the_way { Outcome::Failure } else { Outcome::Success }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let database = match Database::start_new() {
        Ok(database) => database,
        Err(NoDatabase(why)) => {
            println!("skipped: {why}");
            return Ok(());
        }
    };
    // A limit for the wait for a connection: the pool tries again until then.
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(500));
    let pool = pool.connect(&database.url()).await?;
    let config = Config::builder().recovery_timeout(Duration::from_secs(1)).build()?;
    // `DynamoDbStore::from_env("CircuitBreakerState").await` shares circuits with other processes.
    let registry = BreakerRegistry::builder(MemoryStore::new()).config(config).spawn()?;
    // Serves queries of every shape.
    let orders = registry.breaker("orders-database")?.classified_by(ByError(database_faults));

    orders.call(|| sqlx::query("CREATE TABLE orders (id int PRIMARY KEY)").execute(&pool)).await?;
    for _ in 0..10 {
        let _ = orders.call(|| sqlx::query("INSERT INTO orders VALUES (7)").execute(&pool)).await;
    }
    println!("9 unique violations are answers; {}", orders.breaker().state());

    let count = || sqlx::query_scalar::<_, i64>("SELECT count(*) FROM orders").fetch_one(&pool);
    println!("well: {}; {}", said(&orders.call(count).await), orders.breaker().state());

    database.stop()?;
    // Five failures, and one that is rejected.
    for _ in 0..6 {
        println!("stopped: {}; {}", said(&orders.call(count).await), orders.breaker().state());
    }
    database.start()?;
    while orders.breaker().state() != CircuitState::Closed {
        let called = orders.call(count).await;
        if let Err(CallError::Open(open)) = called {
            // Comes back when a call may run again.
            sleep(open.retry_after().max(Duration::from_millis(10))).await;
        } else {
            println!("a probe: {}; {}", said(&called), orders.breaker().state());
        }
    }
    pool.close().await;
    Ok(())
}

fn said(called: &Result<i64, CallError<sqlx::Error>>) -> String {
    match called {
        Ok(count) => format!("{count} order"),
        Err(CallError::Inner(error)) => format!("failed ({:?})", database_faults(error)),
        Err(error @ (CallError::Open(_) | CallError::TimedOut(_))) => error.to_string(),
    }
}
