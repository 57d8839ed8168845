//! How old what is known may be, and who reads it anew.

use tokio::task::JoinSet;

use crate::support::{
    calls::succeed,
    faulty::Fault,
    world::{Call, Shared, Way as _, World, pass, settle, timed},
};
use std::time::Duration;

async fn case_2_without_refresh_ahead_a_read_is_due_at_exactly_the_age<S: Shared>() {
    let world = World::<S>::with(|config| config.refresh_ahead(false));
    let process = world.process();
    let breaker = process.breaker();
    let _ = succeed(&breaker).await;
    pass(4.999).await;
    let _ = succeed(&breaker).await;
    assert_eq!(process.store.reads(), 1);
    pass(0.001).await;
    let _ = succeed(&breaker).await;
    assert_eq!(process.store.reads(), 2);
}

async fn case_2_with_refresh_ahead_nobody_waits<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let breaker = process.breaker();
    let _ = succeed(&breaker).await;
    process.store.reads_meet(Fault::Delay(Duration::from_millis(300)));
    for _ in 0..200 {
        pass(0.25).await;
        let (result, waited) = timed(succeed(&breaker)).await;
        assert_eq!(result, Ok(42));
        assert_eq!(waited, Duration::ZERO);
    }
    // 50 s: a read in each 4 s of age, begun by the next call of 0.25 s steps.
    let reads = process.store.reads();
    assert!((10..=13).contains(&reads), "{reads} reads");
}

async fn case_2_a_refresh_is_one_read_however_many_calls_ask_for_it<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let breaker = process.breaker();
    let _ = succeed(&breaker).await;
    for window in 1..=5 {
        pass(4.1).await;
        let mut tasks = JoinSet::new();
        for _ in 0..64 {
            let breaker = breaker.clone();
            tasks.spawn(async move { succeed(&breaker).await });
        }
        tasks.join_all().await;
        settle().await;
        assert_eq!(process.store.reads(), window + 1);
    }
}

async fn case_2_without_traffic_nothing_is_read<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let breaker = process.breaker();
    let _ = succeed(&breaker).await;
    pass(3_600.0).await;
    assert_eq!(process.store.reads(), 1);
}

async fn case_3_an_age_of_zero_reads_on_every_call<S: Shared>() {
    let world = World::<S>::with(|config| config.local_cache_max_age(Duration::ZERO));
    let process = world.process();
    let breaker = process.breaker();
    for calls in 1..=20 {
        assert_eq!(succeed(&breaker).await, Ok(42));
        assert_eq!(process.store.reads(), calls);
    }
}

async fn case_40_many_calls_with_a_stale_cache_share_one_read<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let breaker = process.breaker();
    process.store.reads_meet(Fault::Delay(Duration::from_millis(50)));
    for windows in 1..=3 {
        let mut tasks = JoinSet::new();
        for _ in 0..64 {
            let breaker = breaker.clone();
            tasks.spawn(async move { succeed(&breaker).await });
        }
        for result in tasks.join_all().await {
            assert_eq!(result, Ok(42));
        }
        assert_eq!(process.store.reads(), windows);
        pass(6.0).await;
    }
}

async fn case_72_a_wall_clock_set_back_does_not_keep_old_knowledge_fresh<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let breaker = process.breaker();
    let _ = succeed(&breaker).await;
    world.clock.step_wall(-3_600_000);
    pass(5.0).await;
    let _ = succeed(&breaker).await;
    assert!(process.store.reads() >= 2);
    let reads = process.store.reads();
    pass(1.0).await;
    let _ = succeed(&breaker).await;
    assert_eq!(process.store.reads(), reads, "and the next is fresh by the new time");
}

async fn case_73_the_first_call_after_a_freeze_reads<S: Shared>() {
    let world = World::<S>::new();
    let process = world.process();
    let breaker = process.breaker();
    let _ = succeed(&breaker).await;
    // The process stood still: no timer ran, the wall clock went on.
    world.clock.step_wall(600_000);
    let _ = succeed(&breaker).await;
    assert_eq!(process.store.reads(), 2);
}

async fn case_2_traffic_after_most_of_the_age_reads_ahead_without_waiting<S: Shared>() {
    let world = World::<S>::new();
    let a = world.process();
    a.ok().await;
    a.store.reads_meet(Fault::Delay(Duration::from_millis(200)));
    pass(4.050).await;
    for _ in 0..10 {
        assert_eq!(
            timed(a.ok()).await,
            (Call::Ok, Duration::ZERO),
            "nobody waits for a read ahead"
        );
    }
    pass(0.3).await;
    assert_eq!(a.store.reads(), 2, "one read ahead, however many calls");
    pass(3.000).await;
    assert_eq!(a.ok().await, Call::Ok);
    assert_eq!(a.store.reads(), 2, "the age counts from the read ahead");
    pass(60.0).await;
    assert_eq!(a.store.reads(), 2, "without traffic nothing is read");
}

over_each_store! {
    case_2_without_refresh_ahead_a_read_is_due_at_exactly_the_age,
    case_2_with_refresh_ahead_nobody_waits,
    case_2_a_refresh_is_one_read_however_many_calls_ask_for_it,
    case_2_without_traffic_nothing_is_read,
    case_3_an_age_of_zero_reads_on_every_call,
    case_40_many_calls_with_a_stale_cache_share_one_read,
    case_72_a_wall_clock_set_back_does_not_keep_old_knowledge_fresh,
    case_73_the_first_call_after_a_freeze_reads,
    case_2_traffic_after_most_of_the_age_reads_ahead_without_waiting,
}
