//! Shows that what is measured is a working breaker: closed circuits admit, and
//! reject when they were tripped.

use crate::{column::Column, subject::Lane};

/// How many calls show whether a circuit is closed or open.
const SHOWN: u32 = 1_000;

/// A closed circuit admits, until it is tripped.
pub(crate) fn comes_to_reject(lane: &mut Lane) -> Result<(), String> {
    expect(lane, SHOWN)?;
    trip(lane, 0)
}

/// A circuit that is to be measured open rejects nothing, until it is tripped.
pub(crate) fn comes_to_be_open(lane: &mut Lane) -> Result<(), String> {
    expect(lane, 0)?;
    trip(lane, SHOWN)
}

/// After all rounds: what was closed can still be tripped, what was open is.
pub(crate) fn still_works(lane: &mut Lane, column: Column) -> Result<(), String> {
    match column {
        Column::Floor | Column::Apart | Column::Shared => Ok(()),
        Column::Rejected | Column::Informed => expect(lane, SHOWN),
        Column::Watched => {
            // With the one that stands four of four calls, if the good ones were not counted:
            // the circuit would open.
            (0..3).for_each(|_| lane.fail());
            expect(lane, SHOWN)?;
            trip(lane, 0)
        }
        Column::Closed
        | Column::Together
        | Column::Ruled
        | Column::RuledTogether
        | Column::WatchedTogether
        | Column::Call
        | Column::CallSlow
        | Column::Pending
        | Column::Failing
        | Column::Layer => trip(lane, 0),
    }
}

fn expect(lane: &mut Lane, good: u32) -> Result<(), String> {
    match lane.run(SHOWN) {
        found if found == good => Ok(()),
        found => Err(format!("{found} of {SHOWN} calls went as they should, not {good}")),
    }
}

/// Lets calls fail until a call goes otherwise than before, and sees that all
/// do from then on. Rates are counted against all the successes before.
fn trip(lane: &mut Lane, good: u32) -> Result<(), String> {
    let mut failures = 16_u32;
    while lane.run(1) != good / SHOWN && failures < 1 << 24 {
        (0..failures).for_each(|_| lane.fail());
        failures *= 2;
    }
    expect(lane, good)
}
