//! Recovery of a whole fleet, with a healthy dependency and little traffic.

use proptest::{prelude::*, test_runner::TestRng};

use super::{process::*, world::*, *};

/// Serves calls until the record is closed; returns requests and time.
fn recover(
    world: &mut World,
    every: Duration,
    mut route: impl FnMut(usize) -> usize,
) -> (u64, u64) {
    let mut millis = 0;
    for requests in 0..2_000 {
        if world.stored().state == CircuitState::Closed.into() {
            return (requests, millis / 1_000);
        }
        let number = route(usize::try_from(requests).unwrap_or(0));
        if let Call::Runs(pass) = world.call(number) {
            world.end(number, pass, CallEnd::Success);
        }
        world.advance(every);
        millis += u64::try_from(every.as_millis()).unwrap_or(0);
    }
    panic!("never closed");
}

#[test]
fn case_46_ten_in_turn_at_little_traffic_close() {
    let mut world = World::new(10, &Config::default());
    world.fail(0, 5);
    let (_, seconds) = recover(&mut world, s(2), |turn| turn % 10);
    // R, K requests, and one lease.
    assert!(seconds <= 30 + 3 * 2 + 30, "{seconds} s");
}

#[test]
fn case_47_one_call_at_a_time_closes_after_enough_successes() {
    let mut world = World::new(1, &Config::default());
    world.fail(0, 5);
    world.advance(s(30));
    let (requests, _) = recover(&mut world, ms(1), |_| 0);
    assert_eq!(requests, 3);
}

#[test]
fn case_48_a_hundred_at_random_close_in_less_than_twice_the_timeout() {
    let mut rng = TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let mut times: Vec<u64> = (0..21)
        .map(|_| {
            let mut world = World::new(100, &Config::default());
            world.fail(0, 5);
            recover(&mut world, s(1), |_| usize::try_from(rng.next_u32() % 100).unwrap_or(0)).1
        })
        .collect();
    times.sort_unstable();
    assert!(times[10] < 60, "median {} s of {times:?}", times[10]);
}
