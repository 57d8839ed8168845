//! Frozen between calls, and while the store is asked: the circuit changes
//! its state meanwhile.

use std::time::Duration;

use futures::join;

use super::{
    process::Process,
    relay::{Op, Side},
    words::Ended,
    world::{World, announced_what_was_written, for_long},
};

/// Two processes that do not probe before this is over.
async fn two(world: &World) -> (Process, Process) {
    let start = |name| {
        world.environment_with(name, |mut settings| {
            settings.recovery_timeout = Duration::from_secs(600);
            settings
        })
    };
    join!(start("A"), start("B"))
}

#[tokio::test]
async fn case_73_the_first_call_after_a_freeze_reads_again() {
    let world = World::open().await;
    let (mut a, mut b) = two(&world).await;
    assert_eq!(a.succeeds().await, Ended::Value("fine".to_owned()));
    a.freeze();
    let tripped = for_long(b.fails()).await;
    assert_eq!(tripped, Ended::Error("down".to_owned()));
    // It comes with the thaw, before any timer can help.
    let call = a.begin().await;
    a.thaw();
    assert_eq!(a.reaches(call).await, Err(Ended::Rejected("OPEN".to_owned())));
}

#[tokio::test]
async fn case_73_what_was_read_before_a_freeze_admits_nobody_after_it() {
    let world = World::open().await;
    let (mut a, mut b) = two(&world).await;
    let read = a.relay.hold(Op::Read, Side::Answer);
    let call = a.begin().await;
    read.arrived().await;
    a.freeze();
    let tripped = for_long(b.fails()).await;
    assert_eq!(tripped, Ended::Error("down".to_owned()));
    read.release();
    a.thaw();
    assert_eq!(a.reaches(call).await, Err(Ended::Rejected("OPEN".to_owned())));
    assert!(a.made().is_empty());
}

#[tokio::test]
async fn case_73_what_was_written_before_a_freeze_admits_nobody_after_it() {
    let world = World::open().await;
    world.put_due();
    let (mut a, mut b) = two(&world).await;
    let close = a.relay.hold(Op::Close, Side::Answer);
    let probe = a.probe().await;
    a.answer(probe, Ok("mine")).await;
    close.arrived().await;
    a.freeze();
    let tripped = for_long(b.fails()).await;
    assert_eq!(tripped, Ended::Error("down".to_owned()), "after A has closed the circuit");
    assert_eq!(world.attribute("state"), "OPEN");
    close.release();
    a.thaw();
    assert_eq!(a.ended(probe).await, Ended::Value("mine".to_owned()));
    assert_eq!(a.succeeds().await, Ended::Rejected("OPEN".to_owned()));
    announced_what_was_written(&[&a, &b]);
}
