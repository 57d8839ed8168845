//! Frozen between two steps that belong together.

use std::time::Duration;

use futures::join;

use super::{
    process::Process,
    relay::{Op, Side},
    words::Ended,
    world::{World, announced_what_was_written, for_long},
};

/// A freeze outlasts the time that the store is given, which is the default.
const BRIEF: Duration = Duration::from_secs(1);

/// A freeze is over before the store's time is.
const PATIENT: Duration = Duration::from_secs(20);

/// What the caller of a probe gets that the dependency answered like this.
fn own(result: Result<&str, &str>) -> Ended {
    match result {
        Ok(value) => Ended::Value(value.to_owned()),
        Err(error) => Ended::Error(error.to_owned()),
    }
}

/// B's probe closes the circuit, and A learns of it.
async fn closes(world: &World, a: &mut Process, b: &mut Process, probe: u64) {
    b.answer(probe, Ok("fine")).await;
    assert_eq!(b.ended(probe).await, own(Ok("fine")));
    assert_eq!(world.attribute("state"), "CLOSED");
    a.recovers().await;
    // A may never have heard that it was elected.
    let made = a.made();
    assert!(made.iter().all(|made| *made == "OPEN>HALF_OPEN local"), "{made:?}");
    announced_what_was_written(&[a, b]);
}

/// A world, and two processes that give the store so much time.
async fn two(store_timeout: Duration) -> (World, Process, Process) {
    let world = World::open().await;
    world.put_due();
    let start = |name| {
        world.environment_with(name, |mut settings| {
            settings.store_timeout = store_timeout;
            settings
        })
    };
    let (a, b) = join!(start("A"), start("B"));
    (world, a, b)
}

async fn the_election_is_answered_late(store_timeout: Duration) {
    let (world, mut a, mut b) = two(store_timeout).await;
    let election = a.relay.hold(Op::Elect, Side::Answer);
    let late = a.begin().await;
    election.arrived().await;
    a.freeze();
    election.release();
    let probe = for_long(b.probe()).await;
    a.thaw();
    assert_eq!(a.reaches(late).await, Err(Ended::Rejected("HALF_OPEN".to_owned())));
    assert_eq!(a.succeeds().await, Ended::Rejected("HALF_OPEN".to_owned()));
    assert_eq!(a.relay.applied(), [Op::Elect]);
    closes(&world, &mut a, &mut b, probe).await;
}

/// Whether A still waits for the answer after the freeze, or has given up.
#[tokio::test]
async fn case_51_who_was_elected_before_a_freeze_does_not_probe_after_it() {
    join!(the_election_is_answered_late(PATIENT), the_election_is_answered_late(BRIEF));
}

/// A is frozen when its probe has ended and the write of that is on its way,
/// which arrives when B probes.
async fn the_write_comes_late(store_timeout: Duration, verdict: Result<&str, &str>, write: Op) {
    let (world, mut a, mut b) = two(store_timeout).await;
    let held = a.relay.hold(write, Side::Request);
    let probe = a.probe().await;
    a.answer(probe, verdict).await;
    held.arrived().await;
    a.freeze();
    let second = for_long(b.probe()).await;
    let owner = world.attribute("half_open_owner");
    held.release();
    assert!(a.relay.answers(write).await.iter().all(|status| *status == 400), "refused");
    assert_eq!(world.attribute("half_open_owner"), owner);
    assert_eq!(world.attribute("state"), "HALF_OPEN");
    a.thaw();
    assert_eq!(a.ended(probe).await, own(verdict));
    closes(&world, &mut a, &mut b, second).await;
    assert!(!a.relay.applied().contains(&write));
}

#[tokio::test]
async fn case_49_a_verdict_written_after_a_freeze_is_refused_once_the_lease_is_anothers() {
    join!(
        the_write_comes_late(BRIEF, Ok("fine at last"), Op::Close),
        the_write_comes_late(BRIEF, Err("down still"), Op::Reopen),
        the_write_comes_late(PATIENT, Ok("fine at last"), Op::Close),
        the_write_comes_late(PATIENT, Err("down still"), Op::Reopen),
    );
}
