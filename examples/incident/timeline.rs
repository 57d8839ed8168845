//! Calls sorted into columns of time, one lane per environment.

use std::{ops::Range, time::Duration};

use crate::event::{Call, Ending};

/// Columns are as long as this, or as a multiple of it.
const SHORTEST: Duration = Duration::from_millis(250);

/// What mattered most in each column of each lane.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    step: Duration,
    lanes: Vec<Vec<Option<Ending>>>,
}

impl Timeline {
    /// An empty timeline whose columns show a whole run in a certain width.
    pub(crate) fn fitting(environments: usize, run: Duration, width: usize) -> Self {
        let mut step = SHORTEST;
        while column(run, step) >= width.max(1) {
            step = step.saturating_add(SHORTEST);
        }
        Self { step, lanes: vec![Vec::new(); environments] }
    }

    pub(crate) fn environments(&self) -> usize {
        self.lanes.len()
    }

    /// How long a column is.
    pub(crate) fn step(&self) -> Duration {
        self.step
    }

    /// The column of a time.
    pub(crate) fn column(&self, at: Duration) -> usize {
        column(at, self.step)
    }

    /// The time at which a column begins.
    pub(crate) fn begins(&self, column: usize) -> Duration {
        self.step.saturating_mul(u32::try_from(column).unwrap_or(u32::MAX))
    }

    pub(crate) fn record(&mut self, call: &Call) {
        let column = self.column(call.offered_at);
        let Some(lane) = self.lanes.get_mut(call.environment) else { return };
        if lane.len() <= column {
            lane.resize(column.saturating_add(1), None);
        }
        if let Some(cell) = lane.get_mut(column) {
            *cell = (*cell).max(Some(call.ending));
        }
    }

    /// One lane between two columns; `None` where nothing was called.
    pub(crate) fn cells(
        &self,
        environment: usize,
        columns: Range<usize>,
    ) -> impl Iterator<Item = Option<Ending>> {
        let lane = self.lanes.get(environment);
        columns.map(move |column| *lane?.get(column)?)
    }
}

fn column(at: Duration, step: Duration) -> usize {
    let column = at.as_millis().checked_div(step.as_millis()).unwrap_or_default();
    usize::try_from(column).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_shows_what_matters_most() {
        let mut timeline = Timeline::fitting(2, Duration::from_secs(12), 60);
        let mut call = |ms, ending| {
            let at = Duration::from_millis(ms);
            timeline.record(&Call { environment: 1, offered_at: at, ended_at: at, ending });
        };
        call(760, Ending::ProbeAnswered);
        call(10, Ending::Failed);
        call(249, Ending::Rejected);
        call(770, Ending::Answered);
        let lane: Vec<_> = timeline.cells(1, 0..5).collect();
        assert_eq!(lane, [Some(Ending::Failed), None, None, Some(Ending::ProbeAnswered), None]);
        assert!(timeline.cells(0, 0..5).all(|cell| cell.is_none()));
    }

    #[test]
    fn a_long_run_gets_longer_columns() {
        let step = |secs| Timeline::fitting(1, Duration::from_secs(secs), 60).step();
        assert_eq!(step(12), Duration::from_millis(250));
        assert_eq!(step(66), Duration::from_millis(1_250));
    }
}
