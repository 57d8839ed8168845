//! Shows the run while it runs: redrawn in place, or line by line.

use std::time::Duration;

use fuseboard::CircuitState;

use crate::{
    event::{Announced, Call},
    plan::Plan,
    terminal::{self, Terminal},
    timeline::Timeline,
    view::{self, MARGINS, View},
};

/// Columns of the timeline, on a terminal of 80.
const WIDTH: usize = 60;
/// Columns that make one line, where lines can only be added.
const ROW: usize = 4;
/// Lanes that are shown beside each other on such a line.
const BESIDE: usize = 10;
/// A line is printed this long after its time, when its calls have ended.
const LAG: Duration = Duration::from_millis(150);
/// The width of the widest line that does not depend on the columns.
const LEGEND: usize = 78;
/// Lines of the live picture that are not lanes.
const FRAME: usize = 6;

/// The timeline on the standard output.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: Terminal,
    plan: Plan,
    timeline: Timeline,
    states: Vec<CircuitState>,
    width: usize,
    /// Lines of the picture that stands at the bottom.
    drawn: usize,
    /// Rows printed so far, where lines can only be added.
    rows: usize,
    was_down: bool,
    now: Duration,
}

impl Screen {
    pub(crate) fn new(mut terminal: Terminal, plan: Plan) -> Self {
        // A picture that does not fit cannot be redrawn.
        terminal.room = terminal.room.filter(|room| {
            room.columns > LEGEND && room.rows > plan.environments.saturating_add(FRAME)
        });
        let width =
            terminal.room.map_or(WIDTH, |room| room.columns.saturating_sub(MARGINS).min(WIDTH));
        Self {
            terminal,
            plan,
            timeline: Timeline::fitting(plan.environments, plan.likely_end(), width),
            states: vec![CircuitState::Closed; plan.environments],
            width,
            drawn: 0,
            rows: 0,
            was_down: false,
            now: Duration::ZERO,
        }
    }

    /// Says what is about to happen.
    pub(crate) fn open(&self, circuit: &str, place: &str) {
        let Plan { environments, rate, .. } = self.plan;
        terminal::print(&format!(
            "{circuit}: environments: {environments}, calling {rate} times a second each\n\
             {place}\n\n"
        ));
        if self.terminal.room.is_none() {
            let mut lines = String::new();
            self.each_group(&mut lines, "time", |one| format!("{:<6}", view::name(one)));
            terminal::print(&format!("{}\n\n{lines}", self.view().legend()));
        }
    }

    pub(crate) fn call(&mut self, call: &Call) {
        self.timeline.record(call);
    }

    pub(crate) fn announced(&mut self, announced: &Announced) {
        if let Some(state) = self.states.get_mut(announced.environment) {
            *state = announced.to;
        }
        let line = self.view().transition(announced);
        self.add(&line);
    }

    pub(crate) fn lost(&mut self, transitions: u64) {
        self.add(&format!("{transitions} transitions were not received"));
    }

    /// Time passes.
    pub(crate) fn tick(&mut self, now: Duration) {
        self.now = now;
        let down = self.plan.is_down(now);
        if down != self.was_down {
            self.was_down = down;
            let (at, news) = if down {
                (Plan::LEAD_IN, "the dependency goes down")
            } else {
                (self.plan.returns_at(), "the dependency is back")
            };
            let line = self.view().news(at, news);
            self.add(&line);
        }
        if self.terminal.room.is_some() {
            self.draw(None);
        } else {
            self.print_rows(now);
        }
    }

    /// Shows the whole run once more where it was printed in pieces.
    pub(crate) fn close(&mut self, end: Duration) {
        self.tick(end.saturating_add(LAG));
        if self.terminal.room.is_none() {
            let columns = self.timeline.column(end).saturating_add(1);
            let from = columns.saturating_sub(self.width);
            let picture = self.view().picture(from..columns, &self.states);
            terminal::print(&format!("\n{}\n", picture.join("\n")));
        }
    }

    /// Adds a line, above the picture if there is one.
    fn add(&mut self, line: &str) {
        if self.terminal.room.is_some() {
            self.draw(Some(line));
        } else {
            terminal::print(&format!("{line}\n"));
        }
    }

    /// Draws the picture over the last one, and a line above it.
    fn draw(&mut self, above: Option<&str>) {
        let columns = self.timeline.column(self.now).saturating_add(1);
        let from = columns.saturating_sub(self.width);
        let view = self.view();
        let mut lines = vec![String::new()];
        lines.extend(view.picture(from..columns, &self.states));
        lines.push(format!("{:<8}{}", "", view.legend()));
        let mut text = String::new();
        if self.drawn > 0 {
            text.push_str(&format!("\x1b[{}A\r", self.drawn));
        }
        self.drawn = lines.len();
        for line in above.into_iter().chain(lines.iter().map(String::as_str)) {
            // Clears what was longer before.
            text.push_str(&format!("{line}\x1b[K\n"));
        }
        terminal::print(&text);
    }

    /// Prints the rows whose time is over.
    fn print_rows(&mut self, now: Duration) {
        loop {
            let from = self.rows.saturating_mul(ROW);
            let to = from.saturating_add(ROW);
            if self.timeline.begins(to).saturating_add(LAG) > now {
                return;
            }
            self.rows = self.rows.saturating_add(1);
            let [begin, end] = [from, to].map(|column| self.timeline.begins(column).as_secs());
            let mut lines = String::new();
            let view = self.view();
            self.each_group(&mut lines, &format!("{begin}-{end} s"), |environment| {
                format!("{}  ", view.lane(environment, from..to))
            });
            terminal::print(&lines);
        }
    }

    /// Lines of cells of six letters, one per environment, so many beside each
    /// other.
    fn each_group(&self, lines: &mut String, head: &str, cell: impl Fn(usize) -> String) {
        let environments: Vec<_> = (0..self.plan.environments).collect();
        for (group, members) in environments.chunks(BESIDE).enumerate() {
            let head = if group == 0 { head } else { "" };
            let cells: Vec<_> = members.iter().map(|member| cell(*member)).collect();
            lines.push_str(format!("{head:>8}  {}", cells.join(" ")).trim_end());
            lines.push('\n');
        }
    }

    fn view(&self) -> View<'_> {
        View { paint: self.terminal.paint, plan: &self.plan, timeline: &self.timeline }
    }
}
