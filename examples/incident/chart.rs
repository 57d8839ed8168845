//! The run as a picture: what the dependency, the circuit and each environment
//! did, one below the other over time.

use std::time::Duration;

use fuseboard::{CircuitState, Origin};

use crate::{
    event::{Announced, Ending},
    look::{FAINT, GRID, INK, OUTAGE, STRIP, colours, legend, probe, small, solid, stroke},
    plan::Plan,
    report::{History, Report},
    svg::{Anchor, Svg, Type},
    view,
};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 104.0;
const RIGHT: f64 = 24.0;
/// The band of the dependency, and that of the circuit.
const DEPENDENCY: f64 = 96.0;
const CIRCUIT: f64 = 144.0;
const BAND: f64 = 20.0;
const LANES: f64 = 180.0;

/// One drawing under way.
struct Chart<'a> {
    svg: Svg,
    plan: &'a Plan,
    history: &'a History,
    lane: f64,
}

/// Draws a run.
pub(crate) fn draw(plan: &Plan, history: &History, report: &Report) -> String {
    let lane = if plan.environments <= 5 { 46.0 } else { 30.0 };
    let mut chart = Chart { svg: Svg::default(), plan, history, lane };
    chart.backdrop();
    chart.heading(report);
    chart.dependency();
    chart.circuit();
    for environment in 0..plan.environments {
        chart.environment(environment);
    }
    let foot = chart.foot();
    legend(&mut chart.svg, [LEFT, foot + 50.0]);
    chart.svg.finish("A dependency dies and comes back behind fuseboard", [WIDTH, foot + 94.0])
}

impl Chart<'_> {
    fn x(&self, at: Duration) -> f64 {
        let share = at.as_secs_f64() / self.history.end.as_secs_f64().max(1.0);
        LEFT + share.min(1.0) * (WIDTH - LEFT - RIGHT)
    }

    /// Where a lane begins.
    fn top(&self, environment: usize) -> f64 {
        LANES + f64::from(u32::try_from(environment).unwrap_or_default()) * self.lane
    }

    /// Where the lanes end.
    fn foot(&self) -> f64 {
        self.top(self.plan.environments)
    }

    /// The outage, and the seconds.
    fn backdrop(&mut self) {
        let foot = self.foot() + 6.0;
        let [from, to] = [Plan::LEAD_IN, self.plan.returns_at()].map(|at| self.x(at));
        self.svg.rect([from, DEPENDENCY], [to - from, foot - DEPENDENCY], OUTAGE);
        let seconds = self.history.end.as_secs();
        let stride = if seconds > 24 { 5 } else { 1 };
        for second in (0..=seconds).filter(|second| second.is_multiple_of(stride)) {
            let x = self.x(Duration::from_secs(second));
            self.svg.line([x, DEPENDENCY], [x, foot], GRID);
            let label = Type { anchor: Anchor::Middle, ..small(FAINT) };
            self.svg.text([x, foot + 15.0], label, &format!("{second} s"));
        }
    }

    fn heading(&mut self, report: &Report) {
        let title = Type { size: 17.0, bold: true, ..small(INK) };
        self.svg.text([24.0, 34.0], title, "A dependency dies and comes back");
        let seconds = |time: Option<Duration>| {
            time.map_or("never".to_owned(), |time| format!("{:.2} s", time.as_secs_f64()))
        };
        let calls = format!(
            "{} environments make {} calls a second each. Of {} calls during the outage, {} \
             reached the dependency.",
            self.plan.environments, self.plan.rate, report.offered, report.reached,
        );
        let times = format!(
            "From the first failure to protection everywhere: {}. From the dependency's return to \
             closed: {}. DynamoDB: {} reads, {} writes.",
            seconds(report.protected_after),
            seconds(report.closed_after),
            report.store.reads,
            report.store.applied.saturating_add(report.store.refused),
        );
        self.svg.text([24.0, 56.0], Type { size: 12.0, ..small(FAINT) }, &calls);
        self.svg.text([24.0, 73.0], Type { size: 12.0, ..small(FAINT) }, &times);
    }

    fn dependency(&mut self) {
        self.label(DEPENDENCY, "dependency");
        let times = [Duration::ZERO, Plan::LEAD_IN, self.plan.returns_at(), self.history.end];
        let spans = times.iter().zip(times.iter().skip(1));
        for ((from, to), down) in spans.zip([false, true, false]) {
            let (fill, ink, word) =
                if down { ("#cf222e", "#ffffff", "down") } else { ("#dafbe1", "#116329", "up") };
            self.segment(DEPENDENCY, (*from, *to), (fill, ink), word);
        }
    }

    /// The circuit as the item has it: the transitions that were written.
    fn circuit(&mut self) {
        self.label(CIRCUIT, "circuit");
        let written = self.states(|announced| announced.origin != Origin::Observed);
        for (from, to, state) in written {
            self.segment(CIRCUIT, (from, to), colours(state), state.as_str());
        }
        let history = self.history;
        let made = history.announced.iter().filter(|one| one.origin != Origin::Observed);
        let mut free_from = LEFT;
        for announced in made {
            let Some(what) = caption(announced) else { continue };
            let x = self.x(announced.at);
            // Roughly; nobody measures type here.
            let width = 6.0 * f64::from(u32::try_from(what.len()).unwrap_or_default());
            if x - width / 2.0 < free_from {
                continue;
            }
            free_from = x + width / 2.0 + 4.0;
            self.svg.line([x, CIRCUIT - 5.0], [x, CIRCUIT], FAINT);
            let centred = Type { anchor: Anchor::Middle, ..small(INK) };
            self.svg.text([x, CIRCUIT - 9.0], centred, &what);
        }
    }

    fn environment(&mut self, environment: usize) {
        let top = self.top(environment);
        let foot = top + self.lane - 12.0;
        self.label(top + (self.lane - 12.0 - BAND) / 2.0, &view::name(environment));
        let known = self.states(|announced| announced.environment == environment);
        for (from, to, state) in known {
            let [from, to] = [from, to].map(|at| self.x(at));
            let fill = solid(state);
            self.svg.rect([from, foot + 1.0], [to - from, STRIP], fill);
        }
        let history = self.history;
        for ending in [Ending::Answered, Ending::Rejected, Ending::Failed] {
            let mine = history
                .calls
                .iter()
                .filter(|call| call.environment == environment && call.ending == ending);
            let places: Vec<_> = mine.map(|call| self.x(call.offered_at)).collect();
            let (share, colour) = stroke(ending);
            self.svg.strokes(places.into_iter(), foot, share * (self.lane - 16.0), colour);
        }
        let probes = history
            .calls
            .iter()
            .filter(|call| call.environment == environment && call.ending.is_probe());
        for one in probes {
            let centre = [self.x(one.offered_at), foot - (self.lane - 16.0) * 0.6];
            probe(&mut self.svg, centre, one.ending);
        }
    }

    /// The states between the transitions chosen, from start to end.
    fn states(
        &self,
        chosen: impl Fn(&Announced) -> bool,
    ) -> Vec<(Duration, Duration, CircuitState)> {
        let mut states = Vec::new();
        let mut since = Duration::ZERO;
        let mut state = CircuitState::Closed;
        let mut announced: Vec<_> =
            self.history.announced.iter().filter(|one| chosen(one)).collect();
        announced.sort_by_key(|one| one.at);
        for one in announced {
            states.push((since, one.at, state));
            (since, state) = (one.at, one.to);
        }
        states.push((since, self.history.end.max(since), state));
        states
    }

    /// A stretch of a band, with a word if there is room for it.
    fn segment(
        &mut self,
        top: f64,
        (from, to): (Duration, Duration),
        (fill, ink): (&str, &'static str),
        word: &str,
    ) {
        let [from, to] = [from, to].map(|at| self.x(at));
        self.svg.rect([from, top], [to - from, BAND], fill);
        let room = 8.0 * f64::from(u32::try_from(word.len()).unwrap_or_default());
        if to - from > room {
            let how = Type { bold: true, anchor: Anchor::Middle, ..small(ink) };
            self.svg.text([f64::midpoint(from, to), top + 14.0], how, word);
        }
    }

    fn label(&mut self, top: f64, text: &str) {
        let how = Type { size: 12.0, anchor: Anchor::End, ..small(INK) };
        self.svg.text([LEFT - 10.0, top + 14.5], how, text);
    }
}

/// What is written above a transition. Elections show as probes.
fn caption(announced: &Announced) -> Option<String> {
    let what = match (announced.from, announced.to) {
        (CircuitState::Closed, CircuitState::Open) => "trips",
        (CircuitState::HalfOpen, CircuitState::Open) => "probe fails",
        (CircuitState::HalfOpen, CircuitState::Closed) => "closes",
        (CircuitState::Closed | CircuitState::Open | CircuitState::HalfOpen, _) => return None,
    };
    Some(format!("{what}, {:.2} s", announced.at.as_secs_f64()))
}
