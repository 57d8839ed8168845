//! Killed, at each step that another has to pick up.

use std::time::Duration;

use futures::join;

use super::{
    process::Process,
    relay::{Op, Side},
    words::Ended,
    world::{LEASE, World, announced_what_was_written, unix_time},
};
use crate::support::engine::now;

/// A killed owner's lease ends within its length and the second that its stamp
/// is rounded up by. The rest is for a machine with other work.
const IN_TIME: Duration = LEASE.saturating_add(Duration::from_secs(1 + 2));

/// A was killed: B probes in its place, after the lease and soon after.
async fn replaces(world: &World, a: &mut Process, b: &mut Process) {
    a.kill();
    let killed = now();
    let lease_until = world.attribute("probe_lease_expiry").as_i64().unwrap();
    let probe = b.probe().await;
    let waited = killed.elapsed();
    assert!(unix_time() >= lease_until, "not while the lease runs");
    assert!(waited <= IN_TIME, "{waited:?}");
    b.answer(probe, Ok("fine")).await;
    assert_eq!(b.ended(probe).await, Ended::Value("fine".to_owned()));
    assert_eq!(world.attribute("state"), "CLOSED");
    assert_eq!(b.relay.applied().first(), Some(&Op::TakeOver));
    announced_what_was_written(&[a, b]);
}

async fn in_mid_probe() {
    let world = World::open().await;
    world.put_due();
    let (mut a, mut b) = world.two().await;
    a.probe().await;
    replaces(&world, &mut a, &mut b).await;
}

async fn between_election_and_probe() {
    let world = World::open().await;
    world.put_due();
    let (mut a, mut b) = world.two().await;
    let election = a.relay.hold(Op::Elect, Side::Answer);
    a.begin().await;
    election.arrived().await;
    replaces(&world, &mut a, &mut b).await;
}

#[tokio::test]
async fn case_48_a_killed_prober_is_replaced_as_soon_as_its_lease_ends() {
    join!(in_mid_probe(), between_election_and_probe());
}

#[tokio::test]
async fn case_33_a_restarted_prober_is_a_stranger_to_its_old_lease() {
    let world = World::open().await;
    world.put_due();
    let mut a = world.process("A").await;
    a.probe().await;
    let owner = world.attribute("half_open_owner");
    a.kill();
    let mut again = world.process("A").await;
    let probe = again.probe().await;
    let take_over = again.relay.passed_for(Op::TakeOver).pop().unwrap();
    assert_eq!(take_over.body["ExpressionAttributeValues"][":seen_half_open_owner"]["S"], owner);
    assert_ne!(world.attribute("half_open_owner"), owner);
    again.answer(probe, Ok("fine")).await;
    again.ended(probe).await;
    assert_eq!(world.attribute("state"), "CLOSED");
}

#[tokio::test]
async fn case_48_a_trip_outlives_who_made_it() {
    let world = World::open().await;
    let (mut a, mut b) = world.two().await;
    let trip = a.relay.hold(Op::Trip, Side::Request);
    let call = a.begin().await;
    a.reaches(call).await.unwrap();
    a.answer(call, Err("down")).await;
    trip.arrived().await;
    a.kill();
    trip.release();
    assert_eq!(a.relay.answers(Op::Trip).await.first(), Some(&200));
    let opened_at = world.attribute("opened_at");
    let probe = b.probe().await;
    assert_eq!(world.attribute("opened_at"), opened_at);
    b.answer(probe, Ok("fine")).await;
    b.ended(probe).await;
    assert_eq!(world.attribute("state"), "CLOSED");
    assert_eq!(b.made(), ["OPEN>HALF_OPEN local", "HALF_OPEN>CLOSED local"]);
}

#[tokio::test]
async fn case_50_a_late_trip_of_the_dead_does_not_open_a_later_epoch() {
    let world = World::open().await;
    let (mut a, mut b) = world.two().await;
    let trip = a.relay.hold(Op::Trip, Side::Request);
    let call = a.begin().await;
    a.reaches(call).await.unwrap();
    a.answer(call, Err("down")).await;
    trip.arrived().await;
    a.kill();
    assert_eq!(b.fails().await, Ended::Error("down".to_owned()));
    b.recovers().await;
    let closed = world.item();
    assert_eq!(closed["state"], "CLOSED");
    trip.release();
    assert!(a.relay.answers(Op::Trip).await.iter().all(|status| *status == 400));
    assert_eq!(world.item(), closed);
    announced_what_was_written(&[&a, &b]);
}
