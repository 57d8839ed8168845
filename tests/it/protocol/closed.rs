//! A closed circuit: what a healthy call costs, and what trips it.

use fuseboard::CircuitState;
use std::time::Duration;

use crate::support::{
    dynamodb::{Call, START, World},
    engine::Fate,
};

#[tokio::test(start_paused = true)]
async fn case_12_a_fleet_that_trips_at_once_announces_one_trip() {
    let world = World::new();
    let fleet: Vec<_> = (0..20).map(|number| world.named(&format!("E{number}"))).collect();
    for process in &fleet {
        process.ok().await;
    }
    for process in &fleet {
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Later ones look after two failures, and find the circuit open (case 99).
        while process.fail().await == Call::Failed {}
        assert_eq!(process.state(), CircuitState::Open);
    }
    let heard: Vec<_> = fleet.iter().flat_map(|process| process.heard()).collect();
    assert_eq!(heard.iter().filter(|line| line.ends_with("local")).count(), 1, "{heard:?}");
    assert_eq!(world.attribute("opened_at"), START + 1, "the first one's, rounded up");
    let applied = |request: &&crate::support::engine::Request| {
        request.operation == "UpdateItem" && request.fate == Fate::Applied
    };
    assert_eq!(world.engine.requests().iter().filter(applied).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn case_12_a_fleet_that_trips_in_one_instant_announces_one_trip() {
    let world = World::new();
    let fleet: Vec<_> = (0..20).map(|number| world.named(&format!("E{number}"))).collect();
    for process in &fleet {
        process.ok().await;
    }
    world.engine.clear();
    futures::future::join_all(fleet.iter().map(|process| process.trip())).await;
    let heard: Vec<_> = fleet.iter().flat_map(|process| process.heard()).collect();
    assert_eq!(heard.iter().filter(|line| line.ends_with("local")).count(), 1, "{heard:?}");
    assert_eq!(heard.len(), 20, "each tells its own subscribers, {heard:?}");
    let requests = world.engine.requests();
    assert_eq!(requests.len(), 20, "all were under way at once");
    assert_eq!(requests.iter().filter(|request| request.fate == Fate::Applied).count(), 1);
}
