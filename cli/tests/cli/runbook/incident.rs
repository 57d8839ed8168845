//! A whole incident: the trip, what an operator sees and does, and the recovery.

use fuseboard::{CircuitState, Reason};

use super::{
    CIRCUIT,
    page::Scene,
    process::{Process, SHUTDOWN},
    seen::Log,
    shell::Shell,
};
use crate::world::World;

#[tokio::test]
async fn an_incident_from_the_trip_to_the_recovery() {
    let world = World::new().await;
    let mut page = Scene::new("An incident");
    let anna = Shell::of(&world, "anna");
    let log = Log::begin();
    let process = Process::here(&world, "task-42");

    // The bank is down.
    process.fails(5).await;
    world.age(CIRCUIT, 12);
    page.block(
        anna.ends("fuseboard list --open --exit-code", 4).await
            + &anna.runs("fuseboard show payment-backend").await,
    );

    // Its people work on it, and ask for no calls.
    page.block(
        anna.runs("fuseboard hold payment-backend --for 45m --reason \"bank restarts, INC-77\"")
            .await,
    );
    process.breaker.refresh().await.unwrap();
    let rejected = process.breaker.try_admit().unwrap_err();
    assert!(matches!(rejected.reason(), Reason::Held { .. }), "{rejected:?}");
    world.age(CIRCUIT, 25 * 60);
    page.block(anna.runs("fuseboard list --open").await);

    // They say that it is well, and it is not: the circuit trips again by itself.
    page.block(anna.runs("fuseboard release payment-backend").await);
    process.breaker.refresh().await.unwrap();
    process.fails(5).await;
    page.block(anna.runs("fuseboard list --open").await);

    // It recovers by probes, and nobody does anything.
    process.registry.shutdown(SHUTDOWN).await.unwrap();
    world.age(CIRCUIT, 40);
    let process = Process::here(&world, "task-43");
    process.works(3).await;
    assert_eq!(process.breaker.state(), CircuitState::Closed);
    page.block(anna.runs("fuseboard list --open --exit-code").await);
    page.block(log.take());
    page.matches_the_page();
}
