//! A page `/metrics` that tells what this process knows of its circuits, at each scrape.

use axum::{Router, routing::get};
use fuseboard::BreakerRegistry;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Bounds of the histogram of store operations, in seconds: from a good read in the same region to
/// the default `store_timeout`.
const STORE_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// Installs the recorder of this process. Call it before a registry is spawned.
///
/// # Errors
///
/// The process has another recorder.
pub fn install_recorder() -> Result<PrometheusHandle, BuildError> {
    let seconds = Matcher::Full("fuseboard_store_seconds".to_owned());
    PrometheusBuilder::new().set_buckets_for_metric(seconds, STORE_SECONDS)?.install_recorder()
}

/// Makes the page.
pub fn router(registry: BreakerRegistry, recorder: PrometheusHandle) -> Router {
    let metrics = move || {
        // At the scrape: a process without calls publishes nothing, and its gauges would keep
        // the state and the age of its last call.
        registry.observe();
        recorder.run_upkeep();
        std::future::ready(recorder.render())
    };
    Router::new().route("/metrics", get(metrics))
}
