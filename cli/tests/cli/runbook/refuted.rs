//! One process fails where others do not.

use fuseboard::{Cause, CircuitState, Config, Origin};
use metrics_exporter_prometheus::PrometheusBuilder;

use super::{
    CIRCUIT,
    page::Scene,
    process::{Other, Process},
    seen::{Log, series},
    shell::Shell,
};
use crate::world::World;

#[tokio::test]
async fn a_process_that_fails_where_others_do_not_rejects_alone_and_says_so() {
    let world = World::new().await;
    let mut page = Scene::new("One process rejects, and the table says closed");
    let recorder = PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let log = Log::begin();
    let broken = Process::here(&world, "task-7");
    let mut transitions = broken.registry.subscribe();
    broken.fails(5).await;
    // The others find the dependency well.
    world.age(CIRCUIT, 40);
    Other::named(&world, "task-42").runs(Config::default(), 0, 3).await;
    broken.breaker.refresh().await.unwrap();
    broken.fails(5).await;
    broken.is_rejected().await;

    let mut told = Vec::new();
    while told.len() < 3 {
        told.push(transitions.recv().await.unwrap().unwrap());
    }
    let last = &told[2];
    assert_eq!((&last.cause, last.origin), (&Cause::Refuted, Origin::WithoutStore));
    page.block(Shell::of(&world, "anna").runs("fuseboard list").await);
    page.block(log.take());
    broken.registry.observe();
    let metrics = recorder.handle().render();
    page.block(series(
        &metrics,
        &[
            "fuseboard_circuit_state{",
            "fuseboard_transitions_total{",
            "fuseboard_rejections_total{",
        ],
    ));
    assert_eq!(broken.breaker.state(), CircuitState::Open);
    assert_eq!(world.item(CIRCUIT).unwrap()["state"]["S"], "CLOSED");

    // Nothing to release: it is not in the table.
    page.block(Shell::of(&world, "anna").runs("fuseboard release payment-backend").await);
    broken.breaker.refresh().await.unwrap();
    broken.is_rejected().await;
    page.matches_the_page();
}
