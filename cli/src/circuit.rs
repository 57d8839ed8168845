//! A circuit as its record in the table tells it.

use std::{sync::Arc, time::SystemTime};

use fuseboard::{
    CircuitState,
    store::{Field, Record},
};

use crate::{text::shown, time};

/// The beginning of an owner that is no prober, but an operator's reason.
const HOLD: &str = "hold#";

/// A circuit that has an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Circuit {
    /// Its name, without the prefix.
    pub(crate) name: String,
    /// Its key in the table.
    pub(crate) key: String,
    pub(crate) record: Record,
}

/// What a circuit does with calls, by its record at some time. The first is the most urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    HeldOpen,
    Open,
    HalfOpen,
    /// Its record has no state that can be read: processes keep it closed.
    Unreadable,
    HeldClosed,
    Closed,
}

/// An operator's hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) is_open: bool,
    /// Its end, if the record tells it.
    pub(crate) until: Option<i64>,
    pub(crate) by: Option<Arc<str>>,
    pub(crate) reason: String,
}

impl Status {
    /// The word for people.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::HeldOpen => "held open",
            Self::Open => "OPEN",
            Self::HalfOpen => "HALF_OPEN",
            Self::Unreadable => "unreadable",
            Self::HeldClosed => "held closed",
            Self::Closed => "CLOSED",
        }
    }

    /// Returns `true` if calls are rejected.
    pub(crate) const fn is_open(self) -> bool {
        matches!(self, Self::HeldOpen | Self::Open | Self::HalfOpen)
    }
}

impl Circuit {
    /// What the circuit does with calls at this time.
    pub(crate) fn status(&self, now: SystemTime) -> Status {
        let is_over = |hold: &Hold| hold.until.is_some_and(|until| until <= time::seconds(now));
        match (self.record.state.valid(), self.hold().filter(|hold| !is_over(hold))) {
            (None, _) => Status::Unreadable,
            (Some(CircuitState::Open), Some(_)) => Status::HeldOpen,
            (Some(CircuitState::Open), None) => Status::Open,
            (Some(CircuitState::HalfOpen), _) => Status::HalfOpen,
            (Some(CircuitState::Closed), Some(_)) => Status::HeldClosed,
            (Some(CircuitState::Closed), None) => Status::Closed,
        }
    }

    /// Returns `true` if the circuit rejects calls at this time.
    pub(crate) fn is_open(&self, now: SystemTime) -> bool {
        self.status(now).is_open()
    }

    /// The hold that the record carries, over or not.
    pub(crate) fn hold(&self) -> Option<Hold> {
        let record = &self.record;
        let by = record.hold_by.valid().cloned();
        if record.is_held() {
            // Older versions, whose hold has no end, write the reason there alone.
            let owner = record.owner.valid().map(|owner| &**owner).unwrap_or_default();
            let reason = owner.strip_prefix(HOLD).unwrap_or_default().to_owned();
            return Some(Hold { is_open: true, until: record.held_open_until(), by, reason });
        }
        let until = Some(record.held_closed_until()?);
        let reason = record.hold_reason.valid().map(ToString::to_string).unwrap_or_default();
        Some(Hold { is_open: false, until, by, reason })
    }

    /// Since when the circuit is not well; `None` if it is, or if the record does not tell.
    pub(crate) fn since(&self, now: SystemTime) -> Option<i64> {
        let record = &self.record;
        let is_down = record.state.valid().is_some_and(|state| *state != CircuitState::Closed);
        // The opening of a hold lies ahead.
        let opened_at = record.opened_at.valid().filter(|_| !record.is_held());
        let since = record.down_since.valid().or(opened_at).copied().filter(|_| is_down);
        // Stamps are rounded up, and clocks differ.
        since.map(|since| since.min(time::seconds(now)))
    }

    /// Until when the circuit stays as it is, as far as the record tells.
    pub(crate) fn until(&self, now: SystemTime) -> Option<i64> {
        match self.status(now) {
            Status::HeldOpen | Status::HeldClosed => self.hold()?.until,
            Status::Open => self.record.open_until.valid().copied(),
            Status::HalfOpen => self.record.lease_until.valid().copied(),
            Status::Closed | Status::Unreadable => None,
        }
    }

    /// Who has the right to probe, as the item tells it.
    pub(crate) fn prober(&self) -> Option<&str> {
        let is_half_open = self.record.state == Field::Valid(CircuitState::HalfOpen);
        self.record.owner.valid().filter(|_| is_half_open).map(|owner| &**owner)
    }

    /// Why the circuit is as it is, in a few words; safe for a terminal.
    pub(crate) fn why(&self, now: SystemTime) -> String {
        let why = match (self.status(now), self.hold()) {
            (Status::HeldOpen | Status::HeldClosed, Some(hold)) => match hold.by {
                Some(by) => format!("{by}: {}", hold.reason),
                None => hold.reason,
            },
            (Status::HalfOpen, _) => self.prober().map(probing).unwrap_or_default(),
            (Status::Open, _) => self.cause(),
            (Status::Unreadable, _) => "its item has no usable state".to_owned(),
            (Status::HeldClosed | Status::HeldOpen | Status::Closed, _) => String::new(),
        };
        match self.record.defect() {
            Some(attribute) if attribute != "state" => {
                shown(&format!("its item has no usable {attribute}; {why}"))
            }
            _ => shown(&why),
        }
    }

    /// What the record tells of what opened the circuit.
    fn cause(&self) -> String {
        let count = |field: &Field<u64>, what: &str| match field.valid() {
            None | Some(0) => None,
            Some(1) => Some(format!("1 {what}")),
            Some(number) => Some(format!("{number} {what}s")),
        };
        let failures = count(&self.record.failure_count, "failure");
        let cause = match self.record.cause.valid().map(|cause| &**cause) {
            None => failures,
            Some("failure_threshold") => failures.map(|failures| format!("{failures} in a row")),
            Some("open_for") => Some("a call was told to stay away".to_owned()),
            Some("hold") => Some("after a hold".to_owned()),
            Some(other) => Some(other.to_owned()),
        };
        let probes = count(&self.record.failed_probes, "failed probe");
        cause.into_iter().chain(probes).collect::<Vec<_>>().join(", ")
    }
}

/// A prober by the name of its process: what comes before the token, if the process has one.
fn probing(owner: &str) -> String {
    match owner.rsplit_once('/') {
        Some((process, _)) => format!("{process} probes"),
        None => format!("{owner} probes"),
    }
}
