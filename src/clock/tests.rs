//! Clocks, their timers, and what the store's clock corrects.

use super::*;
use crate::protocol::moment::millis;

#[test]
fn the_coarse_clock_is_a_wall_clock() {
    let clock = Clock::system();
    let before = clock.now().wall_ms();
    let coarse = clock.coarse_wall_ms();
    assert!(coarse <= before + 60_000 && before <= coarse + 60_000, "{before} {coarse}");
}

#[test]
fn a_clock_is_set_as_little_as_makes_it_agree() {
    let hands = VirtualClock::standing_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
    let clock = Clock::from(&hands);
    let mut answers = 0;
    let mut shared_after = |step_ms: i64, shown: u64| {
        hands.step_wall(step_ms);
        answers += 1;
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(shown);
        let begun = clock.now();
        hands.advance(Duration::from_millis(100));
        clock.learn(begun, clock.now(), ServerTime::new(at, Duration::from_secs(1), answers));
        clock.now().fleet_time().as_millis()
    };
    assert_eq!(shared_after(0, 1_000), 1_000_100, "it may be right as it is");
    assert_eq!(shared_after(900, 1_000), 1_001_100, "the store rounds down");
    assert_eq!(shared_after(60_000, 1_001), 1_002_100, "it runs ahead");
    assert_eq!(shared_after(-600, 1_001), 1_001_600, "as before, and that agrees");
    assert_eq!(shared_after(-3_600_000, 1_001), 1_001_000, "it is far behind");
}

#[tokio::test]
async fn an_answer_that_was_seen_before_teaches_nothing() {
    let hands = VirtualClock::standing_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_060));
    let clock = Clock::from(&hands);
    let shown = |seconds, answers| {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        ServerTime::new(at, Duration::from_secs(1), answers)
    };
    clock.learn(clock.now(), clock.now(), shown(1_000, 1));
    assert_eq!(clock.now().fleet_time(), Duration::from_secs(1_001));
    hands.advance(Duration::from_secs(100));
    clock.learn(clock.now(), clock.now(), shown(1_000, 1));
    assert_eq!(clock.now().fleet_time(), Duration::from_secs(1_101));
    assert_eq!(clock.of_registry(Handle::current()).now().fleet_time(), Duration::from_secs(1_160));
}

#[test]
fn a_runtime_without_timer_is_no_reason_to_panic() {
    let clock = Clock::system();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(clock.within(Duration::ZERO, async { 7 })), Some(7));
    assert!(runtime.block_on(async { timer(Duration::ZERO).is_none() }));
    assert_eq!(futures::executor::block_on(clock.within(Duration::ZERO, async { 7 })), Some(7));
}

#[test]
fn a_thread_without_timer_waits_by_that_of_the_registry() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let clock = Clock::system().of_registry(runtime.handle().clone());
    let never = || clock.within(Duration::from_millis(1), std::future::pending::<()>());
    assert_eq!(futures::executor::block_on(never()), None);
    let bare = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(bare.block_on(never()), None);
    futures::executor::block_on(clock.sleep(Some(Duration::from_millis(1))));
}

#[test]
fn a_runtime_that_was_shut_down_waits_for_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let handle = runtime.handle().clone();
    let clock = Clock::system().of_registry(handle.clone());
    drop(runtime);
    let never = || clock.within(Duration::from_secs(9), std::future::pending::<()>());
    assert_eq!(handle.block_on(never()), None);
    assert_eq!(futures::executor::block_on(never()), None);
}

#[test]
fn a_sleep_on_a_runtime_that_ends_never_ends() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let clock = Clock::system().of_registry(runtime.handle().clone());
    let mut sleep = pin!(clock.sleep(Some(Duration::from_secs(9))));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert_eq!(sleep.as_mut().poll(&mut context), Poll::Pending);
    drop(runtime);
    assert_eq!(sleep.as_mut().poll(&mut context), Poll::Pending);
    assert_eq!(sleep.as_mut().poll(&mut context), Poll::Pending);
    let mut late = pin!(clock.sleep(Some(Duration::ZERO)));
    assert_eq!(late.as_mut().poll(&mut context), Poll::Pending);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_ran_out_while_the_process_stood_still_begins_again() {
    let hands = VirtualClock::following_tokio(SystemTime::UNIX_EPOCH);
    let clock = Clock::from(&hands);
    let limit = Duration::from_secs(3);
    assert_eq!(clock.within_awake(limit, std::future::pending::<()>()).await, None);
    assert_eq!(clock.now().mono(), limit);
    let frozen = async {
        hands.advance(Duration::from_secs(600));
        tokio::time::sleep(Duration::from_secs(5)).await;
        7
    };
    assert_eq!(clock.within_awake(limit, frozen).await, Some(7));
}

#[test]
fn a_virtual_clock_moves_only_when_told() {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
    let hands = VirtualClock::standing_at(start);
    assert_eq!(hands.now(), hands.now());
    hands.advance(Duration::from_secs(30));
    assert_eq!(hands.wall(), start + Duration::from_secs(30));
    hands.step_wall(-3_600_000);
    assert_eq!(hands.now(), (Duration::from_secs(30), Duration::ZERO));
    hands.advance(Duration::MAX);
    assert_eq!(millis(hands.now().0), millis(Duration::from_nanos(u64::MAX)));
}
