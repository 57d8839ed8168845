//! A ramp in a fleet of many processes that are called once each, as on AWS Lambda.

use std::time::Duration;

use crate::support::memory::{World, pass};

const PROCESSES: u64 = 2_000;

/// Has each of as many new processes called once, in the second step of a ramp; says how many run.
async fn admitted_by_a_fleet(seed: u64) -> u64 {
    let world: World = crate::support::world::World::with(|config| {
        config.ramp(Duration::from_secs(20)).success_threshold(1)
    });
    let closer = world.process();
    closer.trip().await;
    pass(30.0).await;
    assert!(!closer.ok().await.is_rejected());
    pass(1.5).await;
    let mut admitted = 0;
    for number in 0..PROCESSES {
        let process = world.process_with(|builder| builder.jitter_seed(seed + number));
        admitted += u64::from(!process.ok().await.is_rejected());
    }
    admitted
}

#[tokio::test(start_paused = true)]
async fn case_129_processes_that_are_called_once_admit_their_share_together() {
    for seed in [0, 10_000, 20_000, 1 << 40, u64::MAX / 2] {
        let admitted = admitted_by_a_fleet(seed).await;
        // 2 of 20. Five standard deviations of so many draws are 67.
        assert!((133..=267).contains(&admitted), "{admitted} of {PROCESSES}, by seed {seed}");
    }
}
