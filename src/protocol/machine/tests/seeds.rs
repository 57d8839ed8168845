//! Random inputs that can be had again: each is of one seed, which a failure names.
//!
//! `FUSEBOARD_WORLDS=n` plays so many seeds, `FUSEBOARD_WORLD=n` replays one.

use std::ops::Range;

use proptest::{
    strategy::Strategy,
    test_runner::{Config as RunnerConfig, RngSeed, TestRunner},
};

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Plays what each seed makes of the inputs; says whether all of `count` were played.
pub(super) fn play_seeds<S: Strategy>(
    test: &str,
    count: u64,
    inputs: &S,
    play: impl Fn(S::Value),
) -> bool {
    let Range { start, end } = match number("FUSEBOARD_WORLD") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FUSEBOARD_WORLDS").unwrap_or(count),
    };
    for seed in start..end {
        let mut runner = TestRunner::new(RunnerConfig {
            cases: 1,
            failure_persistence: None,
            max_shrink_iters: 4_096,
            rng_seed: RngSeed::Fixed(seed),
            ..RunnerConfig::default()
        });
        let played = runner.run(inputs, |input| {
            play(input);
            Ok(())
        });
        if let Err(error) = played {
            panic!("FUSEBOARD_WORLD={seed} cargo test --lib {test}\n{error}");
        }
    }
    end - start >= count
}
