//! A circuit does not close: probes fail, nobody calls, a prober is gone, a hold, a clock.

use fuseboard::{Backoff, CircuitState, Config};

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
async fn a_circuit_that_does_not_close_tells_why() {
    let mut page = Scene::new("It does not close");
    let world = World::new().await;
    page.block(failing_probes(&world).await);
    page.block(with_backoff(&World::new().await).await);
    page.block(without_traffic(&World::new().await).await);
    let world = World::new().await;
    let [killed, log] = killed_prober(&world).await;
    page.block(killed);
    page.block(log);
    let world = World::new().await;
    page.block(forgotten_hold(&world).await);
    page.block(wrong_clock(&world).await);
    page.matches_the_page();
}

/// The number of failed probes is not in the item: the times tell it.
async fn failing_probes(world: &World) -> String {
    Other::named(world, "task-3").trips(Config::default()).await;
    for _ in 0..4 {
        world.age(CIRCUIT, 35);
        Other::named(world, "task-42").runs(Config::default(), 1, 0).await;
    }
    world.age(CIRCUIT, 12);
    Shell::of(world, "anna").runs("fuseboard show payment-backend").await
}

/// Each probe fails, and each time the next one waits longer.
async fn with_backoff(world: &World) -> String {
    let backoff = Backoff::exponential(2.0);
    let config = Config::builder().open_backoff(backoff).build().unwrap();
    Other::named(world, "task-3").trips(config.clone()).await;
    // The opening before each probe is over.
    for seconds in [40, 80, 160] {
        world.age(CIRCUIT, seconds);
        Other::named(world, "task-42").runs(config.clone(), 1, 0).await;
    }
    world.age(CIRCUIT, 75);
    Shell::of(world, "anna").runs("fuseboard show payment-backend").await
}

/// R is long over, and no call has come.
async fn without_traffic(world: &World) -> String {
    Other::named(world, "task-3").trips(Config::default()).await;
    world.age(CIRCUIT, 40 * 60);
    let printed = Shell::of(world, "anna").runs("fuseboard show payment-backend").await;
    Other::named(world, "task-42").runs(Config::default(), 0, 3).await;
    assert_eq!(world.item(CIRCUIT).unwrap()["state"]["S"], "CLOSED");
    printed
}

/// The prober is killed, and the next call after its lease takes over.
async fn killed_prober(world: &World) -> [String; 2] {
    let anna = Shell::of(world, "anna");
    Other::named(world, "task-3").trips(Config::default()).await;
    world.age(CIRCUIT, 95);
    Prober::start(world, CIRCUIT).await.killed().await;
    let killed = anna.runs("fuseboard show payment-backend").await;
    {
        let process = Process::here(world, "task-42");
        process.is_rejected().await;
    }
    world.age(CIRCUIT, 34);
    let late = anna.runs("fuseboard list").await;
    let log = Log::begin();
    let process = Process::here(world, "task-42");
    process.works(3).await;
    assert_eq!(process.breaker.state(), CircuitState::Closed);
    [killed + &late, log.take()]
}

async fn forgotten_hold(world: &World) -> String {
    let anna = Shell::of(world, "anna");
    Other::named(world, "task-3").trips(Config::default()).await;
    anna.runs("fuseboard hold payment-backend --for 6h --reason \"bank is down, INC-77\"").await;
    world.age(CIRCUIT, 5 * 3_600);
    anna.runs("fuseboard list --open").await
}

async fn wrong_clock(world: &World) -> String {
    world.way.set_ahead(-95);
    Shell::of(world, "anna").ends("fuseboard verify", 1).await
}
