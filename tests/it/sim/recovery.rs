//! How fast a fleet closes a circuit whose dependency is well again, when its
//! traffic is thin and spread over many processes.

use std::time::Duration;

use fuseboard::{Breaker, BreakerRegistry, Config};
use serde_json::json;

use super::{
    dice::Dice,
    plan::Plan,
    world::{CIRCUIT, START, World},
};

/// The processes of a fleet, over an item that has just opened.
async fn opened(seed: u64, processes: usize) -> (World, Vec<(BreakerRegistry, Breaker)>) {
    let world = World::new(Plan::empty(seed)).await;
    let open = json!({"state": "OPEN", "failure_count": 5, "opened_at": START,
        "expiration": START + 3_630});
    world.engine.put_item(CIRCUIT, &open);
    let fleet = (0..processes).map(|number| {
        let registry = world.registry(&format!("E{number}"), &world.clock(0));
        let breaker = registry.breaker(CIRCUIT).unwrap();
        (registry, breaker)
    });
    let fleet = fleet.collect();
    (world, fleet)
}

/// Sends one request after the other to whom `route` says, all of which
/// succeed, and returns when the circuit was closed.
fn time_to_close(
    seed: u64,
    processes: usize,
    gap: Duration,
    mut route: impl FnMut(&mut Dice, usize) -> usize,
) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut dice = Dice::new(seed);
        let (world, fleet) = opened(seed, processes).await;
        tokio::time::sleep(dice.ms(0, u64::try_from(gap.as_millis()).unwrap())).await;
        for request in 0.. {
            let (_, breaker) = &fleet[route(&mut dice, request)];
            let _ = breaker.call(|| async { Ok::<_, &str>(()) }).await;
            if world.engine.get_item(CIRCUIT).is_some_and(|item| item["state"] == "CLOSED") {
                break;
            }
            assert!(request < 1_000, "recovery is guaranteed");
            tokio::time::sleep(gap).await;
        }
        world.at()
    })
}

#[test]
fn case_46_ten_environments_by_turns_close_within_k_requests_and_a_lease() {
    let config = Config::default();
    let gap = Duration::from_secs(2);
    let successes = u32::try_from(config.success_threshold().get()).unwrap();
    let most = config.recovery_timeout() + gap * (successes + 1) + config.probe_lease();
    for seed in 0..10 {
        let took = time_to_close(seed, 10, gap, |_, request| request % 10);
        assert!(took <= most, "seed {seed}: {took:?}");
    }
}

#[test]
fn case_48_a_hundred_environments_at_random_close_in_less_than_twice_the_recovery_time() {
    let config = Config::default();
    let gap = Duration::from_secs(1);
    let mut took: Vec<_> = (0..21)
        .map(|seed| {
            time_to_close(seed, 100, gap, |dice, _| usize::try_from(dice.between(0, 99)).unwrap())
        })
        .collect();
    took.sort_unstable();
    assert!(took[10] < 2 * config.recovery_timeout(), "{took:?}");
}
