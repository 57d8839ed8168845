//! A circuit is open: what tells it, and what an operator does.

use fuseboard::{CircuitState, Config, HoldKind, Reason};

use super::{
    CIRCUIT,
    child::Prober,
    page::Scene,
    process::{Other, Process},
    seen::Log,
    shell::Shell,
};
use crate::world::World;

#[tokio::test]
async fn an_open_circuit_is_seen_held_disabled_and_released() {
    let world = World::new().await;
    let mut page = Scene::new("A circuit is open");
    let anna = Shell::of(&world, "anna");
    // One that has recovered, and one that another process probes.
    for circuit in ["quotes", "search"] {
        Other::named(&world, "task-3").of(circuit).trips(Config::default()).await;
        world.age(circuit, 95);
    }
    Other::named(&world, "task-3").of("quotes").runs(Config::default(), 0, 3).await;
    let _prober = Prober::start(&world, "search").await;

    let log = Log::begin();
    let process = Process::here(&world, "task-42");
    process.fails(5).await;
    process.is_rejected().await;
    world.age(CIRCUIT, 12);
    page.block(anna.runs("fuseboard list").await);
    page.block(anna.runs("fuseboard show payment-backend").await);
    page.block(log.take());

    page.block(
        anna.runs(
            "fuseboard hold payment-backend --for 2h --reason \"maintenance of the bank, CHG-1234\"",
        )
        .await,
    );
    process.breaker.refresh().await.unwrap();
    let rejected = process.breaker.try_admit().unwrap_err();
    assert!(matches!(rejected.reason(), Reason::Held { .. }), "{rejected:?}");
    page.block(log.take());
    page.block(anna.runs("fuseboard release payment-backend").await);
    process.breaker.refresh().await.unwrap();
    process.works(1).await;

    process.fails(5).await;
    page.block(
        anna.runs("fuseboard disable payment-backend --for 1h --reason \"rule is too strict\"")
            .await,
    );
    process.breaker.refresh().await.unwrap();
    assert_eq!(process.breaker.snapshot().hold().unwrap().kind, HoldKind::Closed);
    log.take();
    process.fails(9).await;
    assert_eq!(process.breaker.state(), CircuitState::Closed);
    page.block(log.take());
    page.matches_the_page();
}
