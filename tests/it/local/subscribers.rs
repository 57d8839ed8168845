//! Subscribers: told of everything, waited for by nobody.

use std::{
    sync::mpsc,
    time::{Duration, SystemTime},
};

use fuseboard::{BreakerRegistry, CircuitState, Lagged, MemoryStore, VirtualClock};
use futures::StreamExt as _;
use tokio::task::JoinSet;

use crate::support::memory::{World, heard, is_rejected, pass, settle, states, succeed, trip};

/// Trips circuits of as many names.
async fn trip_many(registry: &BreakerRegistry, names: usize) {
    for number in 0..names {
        trip(&registry.breaker(format!("tenant-{number}")).unwrap()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn case_75_a_subscriber_that_panics_harms_only_itself() {
    let world = World::new();
    let process = world.process();
    let (mut panics, mut listens) = (process.registry.subscribe(), process.registry.subscribe());
    let mut task = JoinSet::new();
    task.spawn(async move {
        let transition = panics.recv().await;
        panic!("as the test says, at {transition:?}");
    });
    let breaker = process.breaker();
    trip(&breaker).await;
    assert!(task.join_next().await.unwrap().unwrap_err().is_panic());
    assert!(is_rejected(&succeed(&breaker).await));
    pass(31.0).await;
    assert_eq!(succeed(&breaker).await, Ok(42));
    assert_eq!(states(&mut listens), [CircuitState::Open, CircuitState::HalfOpen]);
}

#[test]
fn case_76_a_subscriber_that_blocks_its_thread_delays_nobody() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let clock = VirtualClock::standing_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    runtime.block_on(async {
        let builder = BreakerRegistry::builder(MemoryStore::new()).clock(&clock).disabled(false);
        let registry = builder.spawn().unwrap();
        let mut hook = registry.subscribe();
        let (release, released) = mpsc::channel::<()>();
        let (blocks, blocked) = tokio::sync::oneshot::channel();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let _ = hook.recv().await;
            let _ = blocks.send(());
            let _ = released.recv();
        });
        let breaker = registry.breaker("payment-backend").unwrap();
        trip(&breaker).await;
        blocked.await.unwrap();
        // Its lease is 30 s long, and the hook blocks for longer.
        clock.advance(Duration::from_secs(31));
        for _ in 0..3 {
            assert_eq!(succeed(&breaker).await, Ok(42));
        }
        assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
        drop(release);
        task.join_all().await;
    });
}

#[tokio::test(start_paused = true)]
async fn case_87_a_subscriber_that_never_reads_learns_how_much_it_missed() {
    let world = World::new();
    let process = world.process_with(|builder| builder.transition_capacity(4));
    let (mut slow, mut quick) = (process.registry.subscribe(), process.registry.subscribe());
    for _ in 0..5 {
        trip_many(&process.registry, 2).await;
        assert_eq!(heard(&mut quick).len(), 2, "the others miss nothing");
        pass(31.0).await;
        for number in 0..2 {
            let breaker = process.registry.breaker(format!("tenant-{number}")).unwrap();
            crate::support::memory::recover(&breaker).await;
        }
        assert_eq!(heard(&mut quick).len(), 4);
    }
    assert_eq!(slow.recv().await, Some(Err(Lagged(26))));
    assert_eq!(heard(&mut slow).len(), 4, "and goes on with what is left");
    assert_eq!(
        Lagged(26).to_string(),
        "26 transitions were lost because the subscriber fell behind"
    );
}

#[tokio::test(start_paused = true)]
async fn case_88_a_subscriber_may_call_the_breaker_it_hears_of() {
    let world = World::new();
    let process = world.process();
    let mut transitions = process.registry.subscribe();
    let breaker = process.breaker();
    let mut task = JoinSet::new();
    let calls = breaker.clone();
    task.spawn(async move {
        let tripped = transitions.recv().await.unwrap().unwrap();
        assert_eq!(tripped.to_state, CircuitState::Open);
        is_rejected(&succeed(&calls).await)
    });
    trip(&breaker).await;
    assert_eq!(task.join_all().await, [true]);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_a_stream_of_what_comes_later_and_ends_with_the_registry() {
    let world = World::new();
    let process = world.process();
    trip_many(&process.registry, 1).await;
    let later = process.registry.subscribe();
    let breaker = process.breaker();
    trip(&breaker).await;
    pass(31.0).await;
    let _ = succeed(&breaker).await;
    drop(process);
    settle().await;
    let received: Vec<_> = later.map(|received| received.unwrap()).collect().await;
    assert_eq!(received.len(), 2);
    assert!(received.iter().all(|transition| transition.circuit_name == *breaker.name()));
}

#[tokio::test(start_paused = true)]
async fn every_environment_hears_once_and_one_of_them_made_it() {
    let world = World::new();
    let processes: Vec<_> = (0..5).map(|_| world.process()).collect();
    let mut subscribers: Vec<_> =
        processes.iter().map(|process| process.registry.subscribe()).collect();
    for process in &processes {
        let _ = succeed(&process.breaker()).await;
    }
    trip(&processes[2].breaker()).await;
    pass(6.0).await;
    for process in &processes {
        assert!(is_rejected(&succeed(&process.breaker()).await));
    }
    let mut local = 0;
    for subscriber in &mut subscribers {
        let heard = heard(subscriber);
        assert_eq!(heard.len(), 1);
        local += usize::from(heard[0].origin == fuseboard::Origin::Local);
    }
    assert_eq!(local, 1);
}
