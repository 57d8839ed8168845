//! What changes, a line each: for a log, a pipe, or a program that reads JSON.

use std::{collections::BTreeMap, time::SystemTime};

use serde_json::{Value, json};

use super::{Found, Look, Watch};
use crate::{
    circuit::{Circuit, Hold, Next, Status},
    ending::Ending,
    json, output,
    text::shown,
    time,
};

/// For how long nobody has to have had the right to probe until that is worth a line, in seconds.
/// Between two probes of a recovery nobody has it for moments.
const LEFT_AFTER: i64 = 10;

/// What was printed so far.
#[derive(Debug)]
pub(super) struct Lines {
    only_open: bool,
    is_json: bool,
    /// The circuits as they were last seen.
    seen: BTreeMap<String, Seen>,
    /// Whether the last look at the table failed.
    is_lost: bool,
    has_looked: bool,
    /// What is said if the one circuit that is asked for has no item.
    missing: Option<String>,
}

/// What of a circuit is worth a line when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    status: Status,
    opened_at: Option<i64>,
    hold: Option<Hold>,
    /// The process that has the right to probe.
    prober: Option<String>,
    /// Its lease ended, and nobody has taken the right over since.
    is_left: bool,
}

impl Seen {
    fn new(circuit: &Circuit, now: SystemTime) -> Self {
        let status = circuit.status(now);
        let left_at = match circuit.next(now) {
            Next::Call(at) if status == Status::HalfOpen => Some(at.saturating_add(LEFT_AFTER)),
            Next::Call(_) | Next::Until(_) | Next::Probe(_) | Next::Unknown => None,
        };
        Self {
            status,
            opened_at: circuit.record.opened_at.valid().copied(),
            hold: circuit.hold(),
            prober: circuit.probing_process().map(ToOwned::to_owned),
            is_left: left_at.is_some_and(|at| at <= time::seconds(now)),
        }
    }
}

impl Lines {
    pub(super) fn new(watch: &Watch) -> Self {
        Self {
            only_open: watch.only_open,
            is_json: watch.json,
            seen: BTreeMap::new(),
            is_lost: false,
            has_looked: false,
            missing: None,
        }
    }

    pub(super) fn miss(&mut self, why: String) {
        self.missing = Some(why);
    }

    /// Prints what has changed since the last look.
    pub(super) fn show(&mut self, look: Look) -> Result<(), Ending> {
        let now = time::now();
        let at = time::rfc3339(time::seconds(now));
        match look {
            Ok(Found { circuits, nothing }) => {
                if std::mem::take(&mut self.is_lost) {
                    self.told(&at, "the table answers again", None)?;
                }
                if !std::mem::replace(&mut self.has_looked, true)
                    && let Some(why) = self.missing.take().or(nothing)
                {
                    output::note(&format!("{}\n", shown(&why)));
                }
                output::print(&self.changes(&circuits, now))
            }
            // Once for an outage: what lasts is not told each time.
            Err(_) if self.is_lost => Ok(()),
            Err(why) => {
                self.is_lost = true;
                self.told(&at, "no answer, trying again", Some(&why))
            }
        }
    }

    /// Says how the table answers: to programs where they read, and to people beside it.
    fn told(&self, at: &str, what: &str, why: Option<&str>) -> Result<(), Ending> {
        if self.is_json {
            return output::print(&json::line(&json!({"at": at, "note": what, "error": why})));
        }
        let why = why.map(|why| format!(": {}", shown(why))).unwrap_or_default();
        output::note(&format!("{at} {what}{why}\n"));
        Ok(())
    }

    /// The lines of what has changed.
    fn changes(&mut self, circuits: &[Circuit], now: SystemTime) -> String {
        let mut text = String::new();
        let mut left = std::mem::take(&mut self.seen);
        for circuit in circuits {
            let seen = Seen::new(circuit, now);
            let before = left.remove(&circuit.name);
            if before.as_ref() != Some(&seen) {
                text += &self.line(&circuit.name, before.as_ref(), Some((circuit, &seen)), now);
            }
            self.seen.insert(circuit.name.clone(), seen);
        }
        for (name, before) in left {
            text += &self.line(&name, Some(&before), None, now);
        }
        text
    }

    /// The line of one change; none if it concerns no open circuit, and only these are asked for.
    fn line(
        &self,
        name: &str,
        before: Option<&Seen>,
        after: Option<(&Circuit, &Seen)>,
        now: SystemTime,
    ) -> String {
        let is_open = |seen: &Seen| seen.status.is_open();
        if self.only_open
            && !before.is_some_and(is_open)
            && !after.is_some_and(|(_, seen)| is_open(seen))
        {
            return String::new();
        }
        let at = time::rfc3339(time::seconds(now));
        if self.is_json {
            let value: Value = json!({
                "at": at,
                "name": name,
                "before": before.map(|seen| seen.status.word()),
                "after": after.map(|(_, seen)| seen.status.word()),
                "circuit": after.map(|(circuit, _)| json::circuit(circuit, now)),
            });
            return json::line(&value);
        }
        let (word, why) = match after {
            Some((circuit, seen)) => {
                let parts = [circuit.why(now), circuit.next_in_words(now)];
                let told = parts.into_iter().filter(|part| !part.is_empty());
                (seen.status.word(), told.collect::<Vec<_>>().join("; "))
            }
            None => ("no item", "closed".to_owned()),
        };
        let change = match before.map(|seen| seen.status.word()) {
            None => word.to_owned(),
            // Another process probes, or nobody any more.
            Some(before) if before == word && word == Status::HalfOpen.word() => {
                format!("still {word}")
            }
            // An opening or a hold that followed between two looks.
            Some(before) if before == word => format!("{word} again"),
            Some(before) => format!("{before} -> {word}"),
        };
        let why = if why.is_empty() { why } else { format!(" ({why})") };
        format!("{at} {} {change}{why}\n", shown(name))
    }
}
