//! Circuits in columns, in the room that a terminal has.

use std::time::SystemTime;

use crate::{
    circuit::{Circuit, Status},
    text::{cut, fitted, shown, width},
    time,
};

const HEADS: [&str; 5] = ["CIRCUIT", "STATE", "SINCE", "UNTIL", "WHY"];

/// The spaces between columns.
const GAP: usize = 2;

/// The least that is worth showing of a name, and of why.
const LEAST_NAME: usize = 12;
const LEAST_WHY: usize = 10;

/// The columns of a state where little room is left.
const LEAST_STATE: usize = 9;

/// A circuit as one row of texts.
#[derive(Debug)]
struct Row {
    status: Status,
    cells: [String; 5],
}

/// The circuits as lines, the head first: in these columns, or in any number of them.
pub(crate) fn lines<'a>(
    circuits: impl Iterator<Item = &'a Circuit>,
    now: SystemTime,
    columns: Option<usize>,
    has_colours: bool,
) -> Vec<String> {
    let rows: Vec<_> = circuits.map(|circuit| Row::new(circuit, now)).collect();
    let widths = widths(&rows, columns);
    let head = joined(&HEADS.map(str::to_owned), &widths, None);
    let body =
        rows.iter().map(|row| joined(&row.cells, &widths, has_colours.then(|| colour(row.status))));
    std::iter::once(head).chain(body).collect()
}

impl Row {
    fn new(circuit: &Circuit, now: SystemTime) -> Self {
        let distance = |second| time::distance(now, second);
        let cells = [
            shown(&circuit.name),
            circuit.status(now).word().to_owned(),
            circuit.since(now).map(distance).unwrap_or_default(),
            circuit.next(now).in_short(now),
            circuit.why(now),
        ];
        Self { status: circuit.status(now), cells }
    }
}

/// The widths of the columns that are shown. What comes last goes first where there is no room.
fn widths(rows: &[Row], columns: Option<usize>) -> Vec<usize> {
    let widest = |place: usize, head: &str| {
        let cells = rows.iter().filter_map(|row| row.cells.get(place));
        cells.map(|cell| width(cell)).chain([width(head)]).max().unwrap_or_default()
    };
    let natural: Vec<_> =
        HEADS.iter().enumerate().map(|(place, head)| widest(place, head)).collect();
    let Some(columns) = columns else { return natural };
    let [name, state, since, until, why] = natural.as_slice() else { return natural };
    let (least_name, least_why) = ((*name).min(LEAST_NAME), (*why).min(LEAST_WHY));
    let middles = [&[*state, *since, *until][..], &[*state, *since], &[*state]];
    for (place, middle) in middles.iter().enumerate() {
        let fixed = middle
            .iter()
            .fold(0_usize, |sum, width| sum.saturating_add(*width).saturating_add(GAP));
        let room = columns.saturating_sub(fixed);
        if place == 0 && room >= least_name.saturating_add(GAP).saturating_add(least_why) {
            let spare = room.saturating_sub(GAP).saturating_sub(least_why);
            let name = (*name).min(spare);
            let why = (*why).min(room.saturating_sub(GAP).saturating_sub(name));
            return [&[name][..], middle, &[why]].concat();
        }
        if room >= least_name {
            return [&[(*name).min(room)][..], middle].concat();
        }
    }
    let state = (*state).min(LEAST_STATE);
    match columns.saturating_sub(state).saturating_sub(GAP) {
        0..4 => vec![(*name).min(columns)],
        room => vec![(*name).min(room), state],
    }
}

/// A line of cells; the second in a colour.
fn joined(cells: &[String], widths: &[usize], colour: Option<&str>) -> String {
    let mut line = String::new();
    let last = widths.len().saturating_sub(1);
    for (place, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let text = if place == last { cut(cell, *width) } else { fitted(cell, *width) };
        match colour.filter(|_| place == 1) {
            Some(colour) => line.push_str(&format!("\x1b[{colour}m{text}\x1b[0m")),
            None => line.push_str(&text),
        }
        if place < last {
            line.extend(std::iter::repeat_n(' ', GAP));
        }
    }
    let end = line.trim_end_matches(' ').len();
    line.truncate(end);
    line
}

const fn colour(status: Status) -> &'static str {
    match status {
        Status::HeldOpen | Status::HeldClosed => "35",
        Status::Open => "31",
        Status::HalfOpen | Status::Unreadable => "33",
        Status::Closed => "32",
    }
}
