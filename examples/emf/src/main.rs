//! `cargo run -p emf` prints what a Lambda function writes to its log: metrics in the Embedded Metric
//! Format, of which CloudWatch makes time series.

use std::{error::Error, io, io::Write, time::Duration};

use fuseboard::{Breaker, BreakerRegistry, Config, MemoryStore};
use metrics_cloudwatch_embedded::{Builder, Collector};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // Once, at cold start. Before the registry, which describes its metrics.
    let recorder = Builder::new()
        .cloudwatch_namespace("Payments")
        .with_dimension("function", "charge")
        .init()?;
    // `DynamoDbStore` shares the circuits with other environments.
    let builder = BreakerRegistry::builder(MemoryStore::new());
    let registry = builder.config(Config::for_lambda().build()?).spawn()?;
    let payments = registry.breaker("payments")?;

    for invocation in 0..8 {
        invoke(&registry, &payments, recorder, invocation, io::stdout()).await?;
    }
    Ok(())
}

/// One invocation of a function whose dependency is down.
async fn invoke(
    registry: &BreakerRegistry,
    payments: &Breaker,
    recorder: &Collector,
    invocation: u32,
    log: impl Write,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let _ = payments.call(|| async { Err::<(), _>("503") }).await;
    // Before the response: a frozen environment writes nothing. The gauges are set here, since
    // nobody scrapes a function.
    registry.flush(Duration::from_millis(200)).await?;
    registry.observe();
    recorder.set_property("invocation", invocation).flush(log)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum of a metric over all lines.
    fn sum(log: &[u8], metric: &str) -> f64 {
        let lines = std::str::from_utf8(log).unwrap().lines();
        let documents = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let values = documents.filter_map(|document| {
            assert!(document.get("_aws").is_some(), "{document}");
            document.get(metric).cloned()
        });
        values.filter_map(|value| value.as_f64()).sum()
    }

    #[tokio::test]
    async fn the_lines_of_an_outage_are_documents_that_tell_of_it() {
        let recorder = Builder::new().cloudwatch_namespace("Payments").init().unwrap();
        let builder = BreakerRegistry::builder(MemoryStore::new()).disabled(false);
        let builder = builder.config(Config::for_lambda().build().unwrap());
        let registry = builder.spawn().unwrap();
        let payments = registry.breaker("payments").unwrap();
        let mut log = Vec::new();
        for invocation in 0..8 {
            invoke(&registry, &payments, recorder, invocation, &mut log).await.unwrap();
        }
        assert_eq!(sum(&log, "fuseboard_failures_total"), 5.0);
        assert_eq!(sum(&log, "fuseboard_rejections_total"), 3.0);
        assert_eq!(sum(&log, "fuseboard_transitions_total"), 1.0);
        // What the alarms of `examples/infra` ask for: a dimension `why`, and a line for each value.
        let lines = std::str::from_utf8(&log).unwrap().lines();
        let down = lines.filter(|line| line.contains("\"fuseboard_circuit_down\":1"));
        let (by_failing, others): (Vec<_>, Vec<_>) =
            down.partition(|line| line.contains("\"why\":\"failing\""));
        assert_eq!((by_failing.len(), others.len()), (4, 0), "from the fifth invocation on");
    }
}
