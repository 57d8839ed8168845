//! Every row that this crate writes is one that the reference can go on from.

use fuseboard::Hold;
use serde_json::Value;

use crate::support::{
    dynamodb::{Call, World, seconds},
    engine::Engine,
};

/// What the reference could not recover from in an item, in DynamoDB's own form.
pub(crate) fn fault(item: &Value) -> Option<&'static str> {
    let text = |name: &str| item[name]["S"].as_str();
    let is_whole =
        |name: &str| item[name]["N"].as_str().is_some_and(|number| number.parse::<i64>().is_ok());
    let owner = text("half_open_owner");
    let no_hold = item.get("half_open_owner").is_some()
        && !owner.is_some_and(|owner| owner.starts_with("hold#"));
    if !is_whole("expiration") {
        return Some("an expiration that is no whole number");
    }
    if !is_whole("failure_count") {
        return Some("a failure_count that is no whole number");
    }
    match text("state") {
        Some("CLOSED") if item.get("opened_at").is_some() => Some("CLOSED with an opened_at"),
        Some("CLOSED") if item.get("half_open_owner").is_some() => Some("CLOSED with an owner"),
        Some("CLOSED") => None,
        Some("OPEN") if !is_whole("opened_at") => Some("OPEN without a whole opened_at"),
        Some("OPEN") if no_hold => Some("OPEN with a half_open_owner that is no hold"),
        Some("OPEN") => None,
        Some("HALF_OPEN") if !is_whole("probe_lease_expiry") => Some("HALF_OPEN without a lease"),
        Some("HALF_OPEN") if owner.is_none_or(str::is_empty) => Some("HALF_OPEN without an owner"),
        Some("HALF_OPEN") => None,
        _ => Some("a state that is none of the three"),
    }
}

/// Checks every row that was written, and returns what the writes set it to.
fn check(engine: &Engine) -> Vec<String> {
    let mut states = Vec::new();
    for write in engine.history().writes {
        // No write of ours deletes a row.
        let item = write.after.unwrap();
        assert_eq!(fault(&item), None, "{} wrote {item}", write.client);
        states.push(item["state"]["S"].as_str().unwrap().to_owned());
    }
    states
}

#[tokio::test(start_paused = true)]
async fn every_row_of_a_whole_incident_is_one_that_the_reference_can_go_on_from() {
    let world = World::new();
    let (a, b) = (world.named("A"), world.named("B"));
    world.engine.record();
    // Trip, elect, hand over, and a renewal for a probe that takes long.
    a.trip().await;
    seconds(30).await;
    assert_eq!(a.ok().await, Call::Ok);
    let long = async {
        seconds(50).await;
        Ok(())
    };
    assert_eq!(a.call(long).await, Call::Ok);
    // A probe without verdict gives back; the next is elsewhere, and fails.
    seconds(1).await;
    a.circuit().admit().await.unwrap().ignore().settled().await;
    seconds(1).await;
    assert_eq!(b.fail().await, Call::Failed);
    // A prober that is never heard of again is taken over.
    seconds(30).await;
    let _lost = a.circuit().admit().await.unwrap();
    seconds(40).await;
    for _ in 0..3 {
        assert_eq!(b.ok().await, Call::Ok);
    }
    // An operator.
    let until = world.clock.wall() + std::time::Duration::from_secs(60);
    b.circuit().hold(Hold::open(until).reason("maintenance")).await.unwrap();
    b.circuit().release().await.unwrap();

    let states = check(&world.engine);
    for (state, least) in [("OPEN", 3), ("HALF_OPEN", 8), ("CLOSED", 2)] {
        let count = states.iter().filter(|found| *found == state).count();
        assert!(count >= least, "{count} rows are {state}: {states:?}");
    }
}
