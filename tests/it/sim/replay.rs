//! One printed line replays a seed: two runs of it are one history.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use serde_json::Value;

use super::{
    plan::Plan,
    world::{self, Run},
};
use crate::support::engine::Fate;

/// Everything that was sent, applied, shown, told and called, in order, one a
/// line. Lease tokens, which nothing depends on, are numbered as they appear.
fn history(run: &Run) -> Vec<String> {
    let mut lines = Vec::new();
    for request in &run.requests {
        let at = request.at.duration_since(run.start);
        let body = sorted(&request.body);
        let (client, operation, fate) = (&request.client, &request.operation, &request.fate);
        lines.push(format!("{at:?} {client} sends {operation} {body}: {fate:?}"));
    }
    for write in &run.history.writes {
        let (at, client, body) = (write.at, &write.client, sorted(&write.body));
        let [before, after] = [&write.before, &write.after].map(|item| item.as_ref().map(sorted));
        lines.push(format!("{at:?} {client} writes {body}: {before:?} {after:?}"));
    }
    lines.extend(run.history.shown.iter().map(|shown| format!("{shown:?}")));
    lines.extend(run.notes.told.iter().map(|told| format!("{told:?}")));
    lines.extend(run.notes.calls.iter().map(|call| format!("{call:?}")));
    lines.push(format!("closed at {:?}", run.closed_at));
    let mut tokens = HashMap::new();
    lines.iter().map(|line| numbered(line, &mut tokens)).collect()
}

/// A value as text, its attributes in the order of their names: the SDK's is
/// another each time.
fn sorted(value: &Value) -> String {
    let Some(of) = value.as_object() else {
        return value.to_string();
    };
    let of: BTreeMap<_, _> = of.iter().collect();
    let of: Vec<_> = of.into_iter().map(|(name, it)| format!("{name}: {}", sorted(it))).collect();
    format!("{{{}}}", of.join(", "))
}

/// A line with a number for every lease token: 32 hexadecimal digits.
fn numbered(line: &str, tokens: &mut HashMap<String, usize>) -> String {
    let mut out = String::new();
    for piece in line.split_inclusive(|it: char| !it.is_ascii_alphanumeric()) {
        let word = piece.trim_end_matches(|it: char| !it.is_ascii_alphanumeric());
        if word.len() == 32 && word.chars().all(|it| it.is_ascii_hexdigit()) {
            let fresh = tokens.len();
            let number = tokens.entry(word.to_owned()).or_insert(fresh);
            write!(out, "token-{number}").unwrap();
            out.push_str(piece.strip_prefix(word).unwrap());
        } else {
            out.push_str(piece);
        }
    }
    out
}

/// How many requests a run lost, or that were answered with an error.
fn failed(run: &Run) -> usize {
    let met = |fate: &Fate| match fate {
        Fate::Applied => false,
        Fate::Lost => true,
        Fate::Refused { code, .. } => code != "ConditionalCheckFailedException",
    };
    run.requests.iter().filter(|request| met(&request.fate)).count()
}

#[test]
fn a_seed_replays_exactly_though_store_operations_fail() {
    let small = (0..60).map(Plan::new).filter(|plan| plan.processes.len() < 10);
    let (faulty, others): (Vec<_>, Vec<_>) = small.partition(|plan| plan.traits.network);
    let (frozen, faulty): (Vec<_>, Vec<_>) =
        faulty.into_iter().partition(|plan| plan.traits.freezes);
    let plans = frozen.into_iter().take(2).chain(faulty.into_iter().take(2));
    let mut failures = 0;
    for plan in plans.chain(others.into_iter().take(1)) {
        let (once, again) = (world::play(plan.clone()), world::play(plan));
        failures += failed(&once);
        let (first, second) = (history(&once), history(&again));
        let other = first.iter().zip(&second).find(|(first, second)| first != second);
        assert_eq!(other, None, "seed {}", once.plan.seed);
        assert_eq!(first.len(), second.len(), "seed {}", once.plan.seed);
    }
    assert!(failures > 20, "operations fail: {failures}");
}
