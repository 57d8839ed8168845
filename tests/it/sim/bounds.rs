//! What the cases promise in numbers, and how each number is derived.

use std::time::Duration;

use super::plan::{Plan, QUIET_GAP};

const SECOND: Duration = Duration::from_secs(1);

/// How long after the faults have ended the circuit is closed everywhere.
pub(crate) fn time_to_close(plan: &Plan) -> Duration {
    let config = &plan.config;
    // A process may have begun its longest back-off just before, and offer an
    // opening of its own to the item after that; a store operation bounds it.
    let mut most = 30 * SECOND + config.store_timeout();
    if plan.traits.network {
        // Or the back-off of a store that denied it access.
        most += 30 * SECOND;
    }
    // The longest opening, stamped up to a whole second, by a clock that differs.
    most += plan.longest_opening() + SECOND + config.max_clock_skew();
    // A lease that nobody will end, judged by its stamp, or, where that is wrong, by sight.
    most += if plan.clocks_agree() {
        plan.longest_lease() + SECOND + config.max_clock_skew()
    } else {
        4 * plan.longest_lease() + SECOND
    };
    // K probes: each is asked for, runs, and hands over, stamped likewise.
    let probe = 2 * QUIET_GAP + 3 * SECOND + config.handoff() + SECOND + config.max_clock_skew();
    most += probe * u32::try_from(config.success_threshold().get()).unwrap();
    // The others look at last.
    most + config.local_cache_max_age() + 2 * QUIET_GAP
}
