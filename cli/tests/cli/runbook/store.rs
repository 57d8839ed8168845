//! The table cannot be read: what the command says, and what processes do.

use fuseboard::{CircuitState, Config};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;

use super::{
    CIRCUIT,
    page::Scene,
    process::Process,
    seen::{Log, series},
    shell::Shell,
};
use crate::world::{World, store_at};

/// Where nobody listens.
const NOWHERE: &str = "http://127.0.0.1:1";

/// What a process is given.
const PROCESS: &[&str] = &["GetItem", "UpdateItem"];

#[tokio::test]
async fn a_table_that_cannot_be_read_is_told_by_the_command_and_by_processes() {
    let world = World::new().await;
    let mut page = Scene::new("The table cannot be read");
    let anna = Shell::of(&world, "anna");
    let lost = Shell::of(&world, "anna").with_endpoint(NOWHERE);
    page.block(lost.ends("fuseboard list", 1).await);
    // Connections are taken, and nobody reads from them.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = (format!("http://{}", silent.local_addr().unwrap()), silent);
    let unanswered = Shell::of(&world, "anna").with_endpoint(&silent.0);
    page.block(unanswered.ends("fuseboard list --timeout 500ms", 1).await);
    let signed_out = Shell::of(&world, "anna").without_credentials();
    page.block(signed_out.ends("fuseboard list", 1).await);
    world.way.set_throttled(true);
    page.block(anna.ends("fuseboard list", 1).await);
    world.way.set_throttled(false);
    world.way.allow_only(PROCESS);
    page.block(anna.ends("fuseboard list", 1).await);
    world.way.allow_all();
    let misspelt = Shell::of(&world, "anna").with_table("circuit");
    page.block(misspelt.ends("fuseboard list", 1).await);
    page.block(misspelt.ends("fuseboard verify", 1).await);
    let [log, metrics] = process_alone().await;
    page.block(log);
    page.block(metrics);
    page.block(process_denied(&World::new().await).await);
    page.matches_the_page();
}

/// A process that cannot reach the table protects itself.
async fn process_alone() -> [String; 2] {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let log = Log::begin();
    let process = Process::start(store_at(NOWHERE), "task-42", CIRCUIT, Config::default());
    process.fails(5).await;
    process.is_rejected().await;
    assert_eq!(process.breaker.state(), CircuitState::Open);
    process.registry.observe();
    let metrics = recorder.handle().render();
    let shown = series(
        &metrics,
        &[
            "fuseboard_transitions_total{",
            "fuseboard_store_faults_total{",
            "fuseboard_store_misconfigured",
            "fuseboard_failing_open{",
        ],
    );
    [first_of_each_level(&log.take()), shown]
}

/// The first warning, and the transition: how often a process tries is a matter of time.
fn first_of_each_level(log: &str) -> String {
    let first = |level| log.lines().find(|line| line.contains(level)).unwrap();
    format!("{}\n{}\n", first(" WARN "), first(" INFO "))
}

/// One whose role lacks a permission says so once.
async fn process_denied(world: &World) -> String {
    world.way.deny("GetItem");
    let log = Log::begin();
    let process = Process::here(world, "task-42");
    process.works(2).await;
    log.take()
}
