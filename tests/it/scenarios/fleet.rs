//! A fleet with default settings, spread and all.

use std::time::Duration;

use fuseboard::CircuitState;

use crate::support::{
    calls::{succeed, trip},
    world::{Shared, World, pass, settle},
};

/// The defaults over a store that other processes share.
fn shared<S: Shared>() -> World<S> {
    World::with(|config| config.election_spread(Duration::from_secs(1)))
}

async fn case_98_the_one_that_tripped_is_not_elected_first<S: Shared>() {
    for seed in 0..20 {
        let world = shared::<S>();
        let tripper = world.process_with(|builder| builder.jitter_seed(seed));
        let other = world.process_with(|builder| builder.jitter_seed(seed + 1_000));
        assert_eq!(succeed(&other.breaker()).await, Ok(42));
        pass(0.05 * f64::from(u8::try_from(seed).unwrap())).await;
        trip(&tripper.breaker()).await;
        let (mut first, mut waited) = (None, 0.0);
        while first.is_none() {
            pass(0.005).await;
            waited += 0.005;
            for (who, process) in [("other", &other), ("tripper", &tripper)] {
                let breaker = process.breaker();
                let admitted = breaker.admit().await;
                if admitted.is_ok_and(|permit| permit.is_probe() && first.is_none()) {
                    first = Some(who);
                }
            }
            assert!(waited < 40.0, "nobody was elected, seed {seed}");
        }
        assert_eq!(first, Some("other"), "after {waited} s, seed {seed}");
    }
}

async fn case_160_while_a_probe_runs_every_process_says_when_to_ask_again<S: Shared>() {
    let world = shared::<S>();
    let members = world.processes(3);
    for member in &members {
        assert_eq!(succeed(&member.breaker()).await, Ok(42));
    }
    trip(&members[0].breaker()).await;
    pass(32.5).await;
    let probe = members[1].breaker().admit_owned().await.unwrap();
    for _ in 0..250 {
        pass(0.1).await;
        for member in &members {
            let breaker = member.breaker();
            let Err(open) = breaker.admit().await else { panic!("a probe beside a live lease") };
            if breaker.snapshot().state() == CircuitState::HalfOpen {
                assert!(open.retry_after() <= Duration::from_secs(1), "{open:?}");
            }
            let rejection = breaker.try_admit().map(|_| ()).unwrap_err();
            assert!(rejection.retry_after() <= Duration::from_secs(1), "{rejection:?}");
        }
        probe.keep_alive();
    }
    drop(probe);
    settle().await;
    let Err(open) = members[0].breaker().admit().await else { return };
    assert!(open.retry_after() <= Duration::from_secs(1), "not the lease: {open:?}");
}

over_each_store! {
    case_98_the_one_that_tripped_is_not_elected_first,
    case_160_while_a_probe_runs_every_process_says_when_to_ask_again,
}
