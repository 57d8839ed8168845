//! The lines of the timeline: an axis, the dependency, a lane per environment.

use std::{ops::Range, time::Duration};

use fuseboard::{CircuitState, Origin};

use crate::{
    event::{self, Announced, Ending},
    paint::{Ink, Paint},
    plan::Plan,
    timeline::Timeline,
};

/// The width of what stands left and right of the columns.
pub(crate) const MARGINS: usize = 21;

/// Columns that a mark on the axis takes.
const ROOM: usize = 4;

/// How a timeline is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) paint: Paint,
    pub(crate) plan: &'a Plan,
    pub(crate) timeline: &'a Timeline,
}

impl View<'_> {
    /// The whole picture between two columns, with the state that each
    /// environment has the circuit in.
    pub(crate) fn picture(&self, columns: Range<usize>, states: &[CircuitState]) -> Vec<String> {
        let mut lines = vec![self.axis(columns.clone()), self.dependency(columns.clone())];
        for (environment, state) in (0..self.timeline.environments()).zip(states) {
            let lane = self.lane(environment, columns.clone());
            let state = self.paint.text(*state, state.as_str());
            lines.push(format!("{:<8}{lane} {state}", name(environment)));
        }
        lines
    }

    /// The letters of one lane.
    pub(crate) fn lane(&self, environment: usize, columns: Range<usize>) -> String {
        self.paint.letters(self.timeline.cells(environment, columns).map(|cell| match cell {
            Some(ending) => (Some(ending.into()), ending.glyph()),
            None => (None, ' '),
        }))
    }

    /// What the letters mean.
    pub(crate) fn legend(&self) -> String {
        let entry = |ending: Ending| {
            let glyph = self.paint.text(ending, &ending.glyph().to_string());
            format!("{glyph} {}", ending.meaning())
        };
        Ending::ALL.map(entry).join("   ")
    }

    /// One transition, on a line of its own. What this environment made itself
    /// stands out; what it only saw does not.
    pub(crate) fn transition(&self, announced: &Announced) -> String {
        let Announced { environment, at, from, to, cause, origin } = announced;
        let head = format!("{:>6.2} s  {:<7}", at.as_secs_f64(), name(*environment));
        let origin_name = event::origin(*origin);
        match origin {
            Origin::Local | Origin::WithoutStore => {
                let from = self.paint.text(*from, &format!("{from:>9}"));
                let to = self.paint.text(*to, &format!("{to:<9}"));
                let origin = self.paint.text(Ink::BOLD, origin_name);
                format!("{head} {from} -> {to}  {origin}: {cause}")
            }
            Origin::Observed => {
                let line = format!("{head} {from:>9} -> {to:<9}  {origin_name}");
                self.paint.text(Ink::DIM, &line)
            }
        }
    }

    /// Something that happens to all, on a line of its own.
    pub(crate) fn news(&self, at: Duration, text: &str) -> String {
        self.paint.text(Ink::BOLD, &format!("{:>6.2} s  {text}", at.as_secs_f64()))
    }

    /// Seconds, written where their columns begin, as many as have room.
    fn axis(&self, columns: Range<usize>) -> String {
        let room = |seconds: &u64| self.timeline.column(Duration::from_secs(*seconds)) >= ROOM;
        let stride = [1, 2, 5, 10].into_iter().find(room).unwrap_or(20);
        let mut line = String::new();
        for column in columns.clone() {
            let at = self.timeline.begins(column);
            if at.subsec_nanos() == 0 && at.as_secs().is_multiple_of(stride) {
                let place = column.saturating_sub(columns.start);
                line = format!("{line:<place$}{}s", at.as_secs());
            }
        }
        self.paint.text(Ink::DIM, &format!("{:<8}{line}", ""))
    }

    /// When the dependency was up and down.
    fn dependency(&self, columns: Range<usize>) -> String {
        let half = self.timeline.step().checked_div(2).unwrap_or_default();
        let lane = self.paint.letters(columns.map(|column| {
            let middle = self.timeline.begins(column).saturating_add(half);
            if self.plan.is_down(middle) { (Some(Ink::BAD), '!') } else { (Some(Ink::GOOD), '=') }
        }));
        format!("{:<8}{lane} {}", "backend", self.paint.text(Ink::DIM, "= up ! down"))
    }
}

/// The name of an environment, counted from one.
pub(crate) fn name(environment: usize) -> String {
    format!("env-{}", environment.saturating_add(1))
}
