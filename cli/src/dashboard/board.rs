//! What the page shows: each circuit as its record tells it, and what was seen of it so far.
//!
//! Pure: who looks at the table tells what it found, and when.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use crate::{
    circuit::{self, Circuit, Next, Status},
    text::shown,
    time,
};

/// How far back the page shows what a circuit was, in milliseconds.
pub(super) const WINDOW: i64 = 10 * 60_000;

/// The most that is kept of one circuit: the states of its strip, and its last transitions.
const MOST_STATES: usize = 240;
const MOST_CHANGES: usize = 8;

/// A name of the page for what a circuit does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Look {
    Open,
    HalfOpen,
    HeldOpen,
    Unreadable,
    HeldClosed,
    Closed,
    /// The table could not be read.
    Unknown,
}

/// A circuit, for the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Shown {
    /// What orders name it by.
    name: String,
    /// Its name without what deceives readers.
    label: String,
    look: Look,
    /// Seconds since the Unix epoch, as in the item.
    since: Option<i64>,
    /// The end of a hold or of a lease, or when a probe of an open circuit is due.
    until: Option<i64>,
    prober: Option<String>,
    why: String,
    /// When ended what `why` tells of: the page says how long ago that is.
    ended: Option<i64>,
    hold: Option<ShownHold>,
}

/// A hold, for the page; and for an order of the page, which says whose hold it was told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShownHold {
    kind: Kind,
    until: Option<i64>,
    by: Option<String>,
    reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Open,
    Closed,
}

/// A transition that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Change {
    /// Milliseconds since the Unix epoch.
    at: i64,
    from: Look,
    to: Look,
    why: String,
}

/// What is known of one circuit.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Track {
    #[serde(flatten)]
    shown: Shown,
    /// Its states within the window, each with when it began.
    past: VecDeque<(i64, Look)>,
    /// The last transitions, the newest first.
    changes: VecDeque<Change>,
    #[serde(skip)]
    opened_at: Option<i64>,
    /// When it was first missing in the table.
    #[serde(skip)]
    missing_since: Option<i64>,
}

/// Every circuit that was in the table within the window.
#[derive(Debug, Default)]
pub(super) struct Board {
    tracks: BTreeMap<String, Track>,
    began: Option<i64>,
    is_lost: bool,
}

/// What a look at the table has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) circuits: BTreeSet<String>,
    pub(super) gone: Vec<String>,
}

impl From<Status> for Look {
    fn from(status: Status) -> Self {
        match status {
            Status::HeldOpen => Self::HeldOpen,
            Status::Open => Self::Open,
            Status::HalfOpen => Self::HalfOpen,
            Status::Unreadable => Self::Unreadable,
            Status::HeldClosed => Self::HeldClosed,
            Status::Closed => Self::Closed,
        }
    }
}

impl Board {
    /// The circuits, by name.
    pub(super) fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.tracks.values()
    }

    /// The circuit of this name.
    pub(super) fn track(&self, name: &str) -> Option<&Track> {
        self.tracks.get(name)
    }

    /// Takes in what the table has at this time.
    pub(super) fn read(&mut self, circuits: &[Circuit], now: SystemTime) -> Changed {
        let at = millis(now);
        let began = *self.began.get_or_insert(at);
        self.is_lost = false;
        let mut changed = Changed::default();
        let mut missing: BTreeSet<_> = self.tracks.keys().cloned().collect();
        for circuit in circuits {
            missing.remove(&circuit.name);
            let is_new = !self.tracks.contains_key(&circuit.name);
            let track = self.tracks.entry(circuit.name.clone());
            let track = track.or_insert_with(|| Track::without_item(&circuit.name, began));
            if is_new && began == at {
                track.begin(circuit, now);
            } else if !track.read(circuit, now) && !is_new {
                continue;
            }
            changed.circuits.insert(circuit.name.clone());
        }
        for name in missing {
            let Some(track) = self.tracks.get_mut(&name) else { continue };
            let since = *track.missing_since.get_or_insert(at);
            if at.saturating_sub(since) > WINDOW {
                self.tracks.remove(&name);
                changed.gone.push(name);
            } else if track.lose_item(at) {
                changed.circuits.insert(name);
            }
        }
        changed
    }

    /// Notes that the table cannot be read; the circuits that have changed, if it could before.
    pub(super) fn lose(&mut self, now: SystemTime) -> Changed {
        let mut changed = Changed::default();
        if std::mem::replace(&mut self.is_lost, true) {
            return changed;
        }
        for (name, track) in &mut self.tracks {
            track.push(millis(now), Look::Unknown);
            changed.circuits.insert(name.clone());
        }
        changed
    }
}

impl Track {
    /// A circuit that has no item, and so is closed.
    fn without_item(name: &str, since: i64) -> Self {
        Self {
            shown: Shown {
                name: name.to_owned(),
                label: shown(name),
                look: Look::Closed,
                since: None,
                until: None,
                prober: None,
                why: String::new(),
                ended: None,
                hold: None,
            },
            past: VecDeque::from([(since, Look::Closed)]),
            changes: VecDeque::new(),
            opened_at: None,
            missing_since: None,
        }
    }

    /// Takes in the first record of a circuit that was there before anybody looked.
    fn begin(&mut self, circuit: &Circuit, now: SystemTime) {
        self.shown = Shown::new(circuit, now);
        self.opened_at = circuit.record.opened_at.valid().copied();
        self.past = VecDeque::from([(millis(now), self.shown.look)]);
    }

    /// Takes in a record; returns `true` if the page has to show something else.
    fn read(&mut self, circuit: &Circuit, now: SystemTime) -> bool {
        let at = millis(now);
        let new = Shown::new(circuit, now);
        let opened_at = circuit.record.opened_at.valid().copied();
        let is_again = new.look == Look::Open && opened_at != self.opened_at;
        let has_turned = new.look != self.shown.look || is_again;
        if has_turned {
            self.note(Change { at, from: self.shown.look, to: new.look, why: new.why.clone() });
        }
        let has_strip = self.push(at, new.look);
        let is_other = has_turned || has_strip || new != self.shown;
        (self.shown, self.opened_at, self.missing_since) = (new, opened_at, None);
        is_other
    }

    /// Takes in that its item is gone, which closes it; returns `true` if that is new.
    fn lose_item(&mut self, at: i64) -> bool {
        let why = "its item is gone: closed";
        let has_strip = self.push(at, Look::Closed);
        if self.shown.look == Look::Closed && self.shown.why == why {
            return has_strip;
        }
        if self.shown.look != Look::Closed {
            let why = why.to_owned();
            self.note(Change { at, from: self.shown.look, to: Look::Closed, why });
        }
        let name = std::mem::take(&mut self.shown.name);
        self.shown = Self::without_item(&name, at).shown;
        self.shown.why = why.to_owned();
        self.opened_at = None;
        true
    }

    fn note(&mut self, change: Change) {
        self.changes.push_front(change);
        self.changes.truncate(MOST_CHANGES);
    }

    /// Goes on with the strip; returns `true` if its end is of another state now.
    fn push(&mut self, at: i64, look: Look) -> bool {
        let is_other = self.past.back().is_none_or(|(_, last)| *last != look);
        if is_other {
            self.past.push_back((at, look));
        }
        let begins = at.saturating_sub(WINDOW);
        while self.past.get(1).is_some_and(|(next, _)| *next <= begins)
            || self.past.len() > MOST_STATES
        {
            self.past.pop_front();
        }
        is_other
    }
}

impl Shown {
    fn new(circuit: &Circuit, now: SystemTime) -> Self {
        let is_held = matches!(circuit.status(now), Status::HeldOpen | Status::HeldClosed);
        let why = circuit.why_and_end(now);
        let until = match circuit.next(now) {
            Next::Until(at) | Next::Probe(at) | Next::Call(at) => Some(at),
            Next::Unknown => None,
        };
        Self {
            name: circuit.name.clone(),
            label: shown(&circuit.name),
            look: circuit.status(now).into(),
            since: circuit.since(now),
            until,
            ended: why.ended,
            prober: circuit.prober().map(shown),
            why: match circuit.hold().filter(|_| is_held) {
                Some(hold) if hold.by.is_none() && hold.reason.is_empty() => String::new(),
                _ => why.text,
            },
            hold: circuit.hold_at(now).as_ref().map(ShownHold::new),
        }
    }
}

impl ShownHold {
    pub(super) fn new(hold: &circuit::Hold) -> Self {
        Self {
            kind: if hold.is_open { Kind::Open } else { Kind::Closed },
            until: hold.until,
            by: hold.by.as_deref().map(shown),
            reason: shown(&hold.reason),
        }
    }
}

/// A time in milliseconds since the Unix epoch.
pub(super) fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(time::seconds(time))
}

#[cfg(test)]
mod tests;
