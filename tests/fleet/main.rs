//! Whole fleets of the crate, each process a registry of its own with its actor and
//! machine, on one thread and on tokio's paused clock. They meet in one item of a
//! partition that has the limits of DynamoDB.
//!
//! Everything is judged by what the item, the partition and the callers saw; of what the
//! crate says of itself only the transitions that it tells its subscribers are used.
//!
//! - `FUSEBOARD_FLEET=8000x10,4000x2` plays other sizes (processes, and calls of each in a
//!   second) in the tests that have a size.
//! - `FUSEBOARD_FLEET=broken` plays half an hour of broken processes among 200.
//! - `FUSEBOARD_FLEET=table` prints the table of `docs/fleet-size.md`, and `votes` those of
//!   `docs/votes.md`.
//! - `FUSEBOARD_FLEET_SEED=n` plays one seed; `FUSEBOARD_FLEET_SEEDS=n` so many of the
//!   weather. All that a seed does not say is the text of lease tokens.
//! - `FUSEBOARD_FLEET_STORY=1` tells what happened in each second.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::mem_forget,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::print_stdout,
    reason = "a test that meets what it does not expect has failed, and says what it did"
)]

mod apart;
mod broken;
mod calls;
mod incident;
mod lambda;
mod large;
mod notes;
mod partition;
mod plan;
mod store;
mod table;
mod throttled;
mod weather;
mod world;

use std::time::Duration;

use incident::Size;

const SECOND: Duration = Duration::from_secs(1);

/// Fails if something was found, and says how to play it again.
fn judge(case: u16, replay: &str, found: &[String]) {
    if !found.is_empty() {
        println!("{replay}\n    case {case}: {}", found.join("\n    "));
    }
    assert!(found.is_empty(), "case {case}: {}; {replay}", found.join("; "));
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

fn seed_or(default: u64) -> u64 {
    number("FUSEBOARD_FLEET_SEED").unwrap_or(default)
}

/// The sizes that `FUSEBOARD_FLEET` names, or these.
fn sizes_or(default: &[(usize, u32)]) -> Vec<Size> {
    let default =
        || default.iter().map(|(processes, rate)| Size { processes: *processes, rate: *rate });
    let Some(text) = std::env::var("FUSEBOARD_FLEET").ok().filter(|text| text.contains('x')) else {
        return default().collect();
    };
    let size = |text: &str| {
        let (processes, rate) = text.split_once('x')?;
        Some(Size { processes: processes.parse().ok()?, rate: rate.parse().ok()? })
    };
    let sizes: Option<Vec<_>> = text.split(',').map(size).collect();
    sizes.unwrap_or_else(|| panic!("FUSEBOARD_FLEET={text} names no sizes, as 2000x10 does"))
}
