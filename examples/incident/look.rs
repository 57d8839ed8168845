//! How the picture looks: its colours, its marks, and what they mean.

use fuseboard::CircuitState;

use crate::{
    event::Ending,
    svg::{Anchor, Svg, Type},
};

pub(crate) const INK: &str = "#1f2328";
pub(crate) const FAINT: &str = "#59636e";
pub(crate) const GRID: &str = "#e6e9ed";
pub(crate) const OUTAGE: &str = "#fff3f1";
const PROBE: &str = "#0969da";

/// The strip under a lane that shows the state its environment knows.
pub(crate) const STRIP: f64 = 4.0;

/// Small print.
pub(crate) fn small(colour: &'static str) -> Type {
    Type { size: 11.0, bold: false, colour, anchor: Anchor::Start }
}

/// How high a call's stroke is, and its colour.
pub(crate) fn stroke(ending: Ending) -> (f64, &'static str) {
    match ending {
        Ending::Answered => (0.6, "#2da44e"),
        Ending::Failed => (1.0, "#cf222e"),
        Ending::Rejected => (0.3, "#d4a72c"),
        Ending::ProbeFailed | Ending::ProbeAnswered => (1.0, PROBE),
    }
}

/// A state's fill and ink in the circuit's band.
pub(crate) fn colours(state: CircuitState) -> (&'static str, &'static str) {
    match state {
        CircuitState::Closed => ("#dafbe1", "#116329"),
        CircuitState::Open => ("#ffcecb", "#82071e"),
        CircuitState::HalfOpen => (PROBE, "#ffffff"),
    }
}

/// A state's colour in the strip of a lane.
pub(crate) fn solid(state: CircuitState) -> &'static str {
    match state {
        CircuitState::Closed => "#aceebb",
        CircuitState::Open => "#ffaba8",
        CircuitState::HalfOpen => "#80ccff",
    }
}

/// What the marks mean, in two lines.
pub(crate) fn legend(svg: &mut Svg, [left, y]: [f64; 2]) {
    let label = small(FAINT);
    let mut x = left;
    for ending in Ending::ALL {
        if ending.is_probe() {
            probe(svg, [x + 4.0, y - 4.0], ending);
        } else {
            let (share, colour) = stroke(ending);
            let places = [0.0, 4.0, 8.0].map(|step| x + step);
            svg.strokes(places.into_iter(), y, share * 14.0, colour);
        }
        svg.text([x + 16.0, y], label, ending.meaning());
        x += if ending.is_probe() { 136.0 } else { 96.0 };
    }
    let y = y + 22.0;
    let mut x = left;
    for (state, word) in [
        (CircuitState::Closed, "closed"),
        (CircuitState::Open, "open"),
        (CircuitState::HalfOpen, "half-open, as this environment knows the circuit"),
    ] {
        svg.rect([x - 1.0, y - 6.0], [12.0, STRIP], solid(state));
        svg.text([x + 16.0, y], label, word);
        x += 96.0;
    }
}

/// A probe stands out, also from the one beside it.
pub(crate) fn probe(svg: &mut Svg, centre: [f64; 2], ending: Ending) {
    if ending == Ending::ProbeAnswered {
        svg.disc(centre, 4.5, PROBE, ("#ffffff", 1.0));
    } else {
        svg.disc(centre, 4.0, "#ffffff", (PROBE, 2.0));
    }
}
