//! The spread of back-offs: another one in each run of the tests, and the same one
//! again where a run that failed is to be replayed.

use std::sync::LazyLock;

/// Names the seed of a run that is to be replayed; a test that fails shows it.
const SEED: &str = "FUSEBOARD_JITTER";

static RUN: LazyLock<u64> = LazyLock::new(|| match std::env::var(SEED) {
    Ok(seed) => seed.parse().unwrap_or_else(|_| panic!("{SEED} is a number, not {seed}")),
    Err(_) => fastrand::u64(..),
});

/// The seed of so many-th environment of a test.
#[expect(clippy::print_stdout, reason = "a test that fails shows it")]
pub(crate) fn seed(environment: u64) -> u64 {
    println!("{SEED}={} spreads the back-offs like this again", *RUN);
    RUN.wrapping_add(environment)
}
