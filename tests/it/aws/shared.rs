//! One client for the store and for the program's own table.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use fuseboard::{CircuitState, Config, DynamoDbStore, aws::BreakerInterceptor};
use tracing::Level;

use super::client::{ORDERS, PROGRAM, client, hold, is_rejected, look};
use crate::support::{
    dynamodb::{World, seconds},
    engine::{Event, TABLE},
    log::Lines,
    world::Process,
};

/// A program whose store, on [`TABLE`], has the client that the circuit guards.
async fn program(interceptor: &BreakerInterceptor) -> (World, Client, Process<()>) {
    let world = World::new();
    world.engine.create_table(ORDERS, &["id"]);
    let client = client(&world.engine, interceptor.clone(), 1);
    let config = Config::builder().election_spread(Duration::ZERO).build().unwrap();
    let store = DynamoDbStore::new(client.clone(), TABLE);
    let process = world.over(store, config);
    assert!(interceptor.set(process.circuit().clone()).is_ok());
    (world, client, process)
}

/// The requests about the item of the circuit, which are the store's.
fn asked_by_the_store(world: &World, operation: &str) -> usize {
    let requests = world.engine.requests();
    let is_it = |table: &str| table == TABLE;
    requests
        .iter()
        .filter(|request| request.operation == operation)
        .filter(|request| request.body["TableName"].as_str().is_some_and(is_it))
        .count()
}

/// The requests of the program for its own table.
fn asked_by_the_program(world: &World) -> usize {
    world.engine.count_of(PROGRAM, "GetItem") - asked_by_the_store(world, "GetItem")
}

#[tokio::test(start_paused = true)]
async fn case_189_the_stores_own_operations_neither_count_nor_are_rejected() {
    let faults = (Lines::of(Level::WARN), Lines::of(Level::ERROR));
    let interceptor = BreakerInterceptor::unset();
    let (world, client, process) = program(&interceptor).await;
    assert!(look(&client).await.is_ok());

    // Each failure is followed by a good read of the store's.
    world.engine.network(PROGRAM).always_about("order 7", Event::Answer(500, ""));
    for failures in 1..=5 {
        assert_eq!(process.circuit().state(), CircuitState::Closed, "{failures} failures");
        let reads = asked_by_the_store(&world, "GetItem");
        seconds(6).await;
        assert!(!is_rejected(&look(&client).await));
        seconds(0).await;
        assert!(asked_by_the_store(&world, "GetItem") > reads, "the store has read");
    }
    process.registry.flush(Duration::from_secs(5)).await.unwrap();
    assert_eq!(process.circuit().state(), CircuitState::Open);
    assert_eq!(world.attribute("state"), "OPEN", "the trip is written, by the same client");

    // Open: the program is rejected, and the store reads on.
    let (asked, reads) = (asked_by_the_program(&world), asked_by_the_store(&world, "GetItem"));
    for _ in 0..4 {
        assert!(is_rejected(&look(&client).await));
        seconds(6).await;
    }
    assert_eq!(asked_by_the_program(&world), asked, "what is rejected is not sent");
    assert!(asked_by_the_store(&world, "GetItem") > reads);

    // The table is back. Three good probes close the circuit, each elected in the background.
    world.engine.network(PROGRAM).heal();
    seconds(8).await;
    let mut tries = 0;
    while process.circuit().state() != CircuitState::Closed {
        tries += 1;
        assert!(tries < 30, "it recovers");
        let _ = look(&client).await;
        seconds(1).await;
    }
    assert_eq!(asked_by_the_program(&world), asked + 3, "one for each probe");
    assert_eq!(world.attribute("state"), "CLOSED");
    assert!(look(&client).await.is_ok());
    assert_eq!(faults.1.take_texts(), Vec::<String>::new(), "no misconfigured store is told");
    assert_eq!(faults.0.take_texts(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn case_189_an_open_circuit_does_not_keep_its_store_from_the_table() {
    for interceptor in [BreakerInterceptor::unset(), BreakerInterceptor::unset().per_attempt()] {
        let (world, client, process) = program(&interceptor).await;
        hold(process.circuit()).await;
        assert!(is_rejected(&look(&client).await));
        // What a program asks of a store at its start is the store's too.
        let alone = world.engine.store("alone").verify().await;
        let shared = DynamoDbStore::new(client.clone(), TABLE).verify().await;
        assert_eq!(format!("{shared:?}"), format!("{alone:?}"));
        process.circuit().release().await.unwrap();
        assert!(look(&client).await.is_ok());
    }
}
