//! Frozen in mid-probe, for longer than the lease.

use std::time::Duration;

use futures::join;

use super::{
    process::Process,
    relay::Op,
    words::Ended,
    world::{World, announced_what_was_written, for_long, unix_time},
};

/// A probes, and is frozen.
async fn frozen(world: &World) -> (Process, Process, u64) {
    world.put_due();
    let (mut a, b) = world.two().await;
    let probe = a.probe().await;
    a.freeze();
    (a, b, probe)
}

#[tokio::test]
async fn case_49_a_success_after_the_freeze_reaches_its_caller_and_nothing_else() {
    let world = World::open().await;
    let (mut a, mut b, first) = frozen(&world).await;
    let second = for_long(b.probe()).await;
    let owner = world.attribute("half_open_owner");
    let applied = a.relay.applied();
    a.answer(first, Ok("mine")).await;
    a.thaw();
    assert_eq!(a.ended(first).await, Ended::Value("mine".to_owned()));
    assert_eq!(world.attribute("half_open_owner"), owner);
    assert_eq!(a.relay.applied(), applied);
    b.answer(second, Err("down still")).await;
    assert_eq!(b.ended(second).await, Ended::Error("down still".to_owned()));
    assert_eq!(world.attribute("state"), "OPEN", "by B's verdict");
    assert_eq!(a.made(), ["OPEN>HALF_OPEN local"]);
    announced_what_was_written(&[&a, &b]);
}

#[tokio::test]
async fn case_50_a_failure_after_the_freeze_does_not_open_what_another_closed() {
    let world = World::open().await;
    let (mut a, mut b, first) = frozen(&world).await;
    for_long(b.recovers()).await;
    let closed = world.item();
    assert_eq!(closed["state"], "CLOSED");
    a.answer(first, Err("mine")).await;
    a.thaw();
    assert_eq!(a.ended(first).await, Ended::Error("mine".to_owned()));
    assert_eq!(world.item(), closed);
    a.recovers().await;
    assert_eq!(a.made(), ["OPEN>HALF_OPEN local"]);
    assert_eq!(world.item(), closed);
    announced_what_was_written(&[&a, &b]);
}

#[tokio::test]
async fn case_55_a_probe_that_nobody_took_over_still_counts_after_the_freeze() {
    let world = World::open().await;
    let (mut a, b, probe) = frozen(&world).await;
    for_long(async {}).await;
    a.answer(probe, Ok("mine")).await;
    a.thaw();
    assert_eq!(a.ended(probe).await, Ended::Value("mine".to_owned()));
    assert_eq!(world.attribute("state"), "CLOSED");
    assert_eq!(a.made(), ["OPEN>HALF_OPEN local", "HALF_OPEN>CLOSED local"]);
    announced_what_was_written(&[&a, &b]);
}

#[tokio::test]
async fn case_55_a_probe_longer_than_its_lease_is_alone_for_as_long_as_its_process_runs() {
    let world = World::open().await;
    world.put_due();
    let lease = Duration::from_secs(2);
    let start = |name| {
        world.environment_with(name, |mut settings| {
            settings.probe_lease = lease;
            settings
        })
    };
    let (mut a, mut b) = join!(start("A"), start("B"));
    let probe = a.probe().await;
    let first_end = world.attribute("probe_lease_expiry").as_i64().unwrap();
    while unix_time() <= first_end {
        assert_eq!(b.succeeds().await, Ended::Rejected("HALF_OPEN".to_owned()));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(a.relay.applied().contains(&Op::Renew));
    a.answer(probe, Ok("fine")).await;
    assert_eq!(a.ended(probe).await, Ended::Value("fine".to_owned()));
    assert_eq!(world.attribute("state"), "CLOSED");
    announced_what_was_written(&[&a, &b]);
}

#[tokio::test]
async fn case_56_a_result_from_before_the_freeze_does_not_settle_a_later_lease() {
    let world = World::open().await;
    let (mut a, mut b, first) = frozen(&world).await;
    let second = for_long(b.probe()).await;
    b.answer(second, Err("down still")).await;
    b.ended(second).await;
    assert_eq!(world.attribute("state"), "OPEN");
    a.thaw();
    let third = a.probe().await;
    let owner = world.attribute("half_open_owner");
    a.answer(first, Err("mine")).await;
    assert_eq!(a.ended(first).await, Ended::Error("mine".to_owned()));
    assert_eq!(world.attribute("half_open_owner"), owner, "the third lease stands");
    a.answer(third, Ok("fine")).await;
    assert_eq!(a.ended(third).await, Ended::Value("fine".to_owned()));
    assert_eq!(world.attribute("state"), "CLOSED");
    assert!(!a.relay.applied().contains(&Op::Reopen));
    announced_what_was_written(&[&a, &b]);
}

/// An operator holds the circuit while A is frozen in mid-probe.
async fn held_meanwhile(verdict: Result<&str, &str>) {
    let world = World::open().await;
    let (mut a, mut b, probe) = frozen(&world).await;
    for_long(b.hold(Duration::from_secs(3_600))).await;
    let held = world.item();
    assert_eq!(held["half_open_owner"], "hold#maintenance");
    a.answer(probe, verdict).await;
    a.thaw();
    let own = verdict.map_or_else(
        |error| Ended::Error(error.to_owned()),
        |value| Ended::Value(value.to_owned()),
    );
    assert_eq!(a.ended(probe).await, own);
    assert_eq!(a.succeeds().await, Ended::Rejected("OPEN".to_owned()));
    assert_eq!(world.item(), held);
    assert_eq!(a.made(), ["OPEN>HALF_OPEN local"]);
}

#[tokio::test]
async fn case_26_a_hold_placed_during_the_freeze_stays() {
    join!(held_meanwhile(Ok("mine")), held_meanwhile(Err("mine")));
}
