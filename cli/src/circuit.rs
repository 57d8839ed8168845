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

/// What ends the state of a circuit, as far as its record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A hold, or a prober's lease, lasts until this second.
    Until(i64),
    /// A probe is due at this second.
    Probe(i64),
    /// A probe has been due since this second: the next call probes, and nobody before.
    Call(i64),
    /// Nothing, or the record does not tell.
    Unknown,
}

/// Why a circuit is as it is; safe for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Why {
    pub(crate) text: String,
    /// When that ended, which is the end of the text.
    pub(crate) ended: Option<i64>,
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

impl Hold {
    /// Returns `true` if its end has come.
    pub(crate) fn is_over(&self, now: SystemTime) -> bool {
        self.until.is_some_and(|until| until <= time::seconds(now))
    }

    /// By whom, and the reason.
    fn told(&self) -> String {
        match &self.by {
            Some(by) => format!("{by}: {}", self.reason),
            None => self.reason.clone(),
        }
    }
}

impl Next {
    /// In a few words, for a column; empty if it is not known.
    pub(crate) fn in_short(self, now: SystemTime) -> String {
        match self {
            Self::Until(at) => time::distance(now, at),
            Self::Probe(at) => format!("probe {}", time::distance(now, at)),
            Self::Call(_) => "next call probes".to_owned(),
            Self::Unknown => String::new(),
        }
    }
}

impl Circuit {
    /// What the circuit does with calls at this time.
    pub(crate) fn status(&self, now: SystemTime) -> Status {
        match (self.record.state.valid(), self.hold().filter(|hold| !hold.is_over(now))) {
            (None, _) => Status::Unreadable,
            (Some(CircuitState::Open), Some(_)) => Status::HeldOpen,
            (Some(CircuitState::Open), None) => Status::Open,
            (Some(CircuitState::HalfOpen), _) => Status::HalfOpen,
            (Some(CircuitState::Closed), Some(_)) => Status::HeldClosed,
            (Some(CircuitState::Closed), None) => Status::Closed,
        }
    }

    /// Returns `true` if this is the item of processes that only try the circuit.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.key.ends_with("#dry-run")
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

    /// The hold that the circuit is under at this time.
    pub(crate) fn hold_at(&self, now: SystemTime) -> Option<Hold> {
        let is_held = matches!(self.status(now), Status::HeldOpen | Status::HeldClosed);
        self.hold().filter(|_| is_held)
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

    /// The end of a hold, of a prober's lease, or of the time that a call asked for, if the
    /// record tells it.
    pub(crate) fn until(&self, now: SystemTime) -> Option<i64> {
        match self.status(now) {
            Status::HeldOpen | Status::HeldClosed => self.hold()?.until,
            Status::Open => self.record.open_until.valid().copied(),
            Status::HalfOpen => self.record.lease_until.valid().copied(),
            Status::Closed | Status::Unreadable => None,
        }
    }

    /// What ends the state of the circuit.
    pub(crate) fn next(&self, now: SystemTime) -> Next {
        let is_ahead = |at: i64| at > time::seconds(now);
        match (self.status(now), self.record.next_probe_at()) {
            (Status::HeldOpen | Status::HeldClosed, _) => {
                self.until(now).map_or(Next::Unknown, Next::Until)
            }
            (Status::HalfOpen, Some(at)) if is_ahead(at) => Next::Until(at),
            (Status::Open, Some(at)) if is_ahead(at) => Next::Probe(at),
            (Status::HalfOpen | Status::Open, Some(at)) => Next::Call(at),
            (
                Status::HalfOpen | Status::Open | Status::Closed | Status::Unreadable,
                None | Some(_),
            ) => Next::Unknown,
        }
    }

    /// What ends the state of the circuit, in words for a line; empty if that says nothing.
    pub(crate) fn next_in_words(&self, now: SystemTime) -> String {
        match (self.next(now), self.status(now)) {
            (Next::Probe(at), _) => format!("a probe is due {}", time::distance(now, at)),
            (Next::Call(_), Status::Open) => "a probe is due: the next call probes".to_owned(),
            (Next::Call(_), _) => "the next call probes".to_owned(),
            (Next::Until(at), Status::HeldOpen | Status::HeldClosed) => {
                format!("ends {}", time::distance(now, at))
            }
            (Next::Until(_) | Next::Unknown, _) => String::new(),
        }
    }

    /// The owner of the right to probe, as the item tells it; its lease may have ended.
    pub(crate) fn prober(&self) -> Option<&str> {
        let is_half_open = self.record.state == Field::Valid(CircuitState::HalfOpen);
        self.record.owner.valid().filter(|_| is_half_open).map(|owner| &**owner)
    }

    /// The prober by the name of its process: what comes before the token, if it has one.
    pub(crate) fn probing_process(&self) -> Option<&str> {
        self.prober().map(|owner| owner.rsplit_once('/').map_or(owner, |(process, _)| process))
    }

    /// Why the circuit is as it is, in a few words; safe for a terminal.
    pub(crate) fn why(&self, now: SystemTime) -> String {
        let Why { text, ended } = self.why_and_end(now);
        match ended {
            Some(at) => format!("{text} {}", time::distance(now, at)),
            None => text,
        }
    }

    /// Why the circuit is as it is, in a few words that are the same until something changes.
    pub(crate) fn why_and_end(&self, now: SystemTime) -> Why {
        let (why, ended) = self.whys(now);
        let text = match self.record.defect() {
            Some(attribute) if attribute != "state" => {
                let defect = format!("its item has no usable {attribute}");
                shown(&[defect, why].join("; ")).trim_end_matches("; ").to_owned()
            }
            _ => shown(&why),
        };
        Why { text, ended }
    }

    fn whys(&self, now: SystemTime) -> (String, Option<i64>) {
        match (self.status(now), self.hold()) {
            (Status::HeldOpen | Status::HeldClosed, Some(hold)) => (hold.told(), None),
            // It says OPEN until somebody has probed.
            (Status::Open, Some(hold)) => {
                let told = format!("{}; the hold ended", hold.told());
                (told.trim_start_matches("; ").to_owned(), hold.until)
            }
            (Status::Open, None) => (self.cause(), None),
            (Status::HalfOpen, _) => match (self.probing_process(), self.next(now)) {
                (Some(process), Next::Call(at)) => {
                    (format!("the lease of {process} ended"), Some(at))
                }
                (Some(process), _) => (format!("{process} probes"), None),
                (None, _) => (String::new(), None),
            },
            (Status::Unreadable, _) => ("its item has no usable state".to_owned(), None),
            (Status::HeldClosed | Status::HeldOpen | Status::Closed, _) => (String::new(), None),
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
            // A reopening forgets how many they were.
            Some("failure_threshold") => {
                Some(format!("{} in a row", failures.as_deref().unwrap_or("failures")))
            }
            Some("open_for") => Some("a call was told to stay away".to_owned()),
            Some("hold") => Some("after a hold".to_owned()),
            Some(other) => Some(other.to_owned()),
        };
        // Only those with a back-off count them; but a reopening is later than the outage.
        let has_reopened = self.record.opened_at.valid() > self.record.down_since.valid()
            && self.record.down_since.valid().is_some();
        let probes = count(&self.record.failed_probes, "failed probe")
            .or_else(|| has_reopened.then(|| "then failed probes".to_owned()));
        cause.into_iter().chain(probes).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use fuseboard::store::{Attribute, Value};

    use super::*;

    /// A circuit with these attributes: whole numbers, or texts.
    fn circuit(attributes: &[(Attribute, &str)]) -> Circuit {
        let mut record = Record::empty();
        for (attribute, value) in attributes {
            let value = value.parse().map_or_else(|_| Value::Text((*value).into()), Value::Number);
            record.set(*attribute, Field::Valid(value));
        }
        Circuit { name: "payments".to_owned(), key: "payments".to_owned(), record }
    }

    fn at(time: &str) -> SystemTime {
        time::moment(time).unwrap()
    }

    #[test]
    fn a_hold_counts_until_its_end() {
        use Attribute::{Hold, HoldBy, HoldReason, HoldUntil, OpenedAt, Owner, State};
        let end = time::seconds(at("2030-01-31T14:00:00Z")).to_string();
        let open = circuit(&[
            (State, "OPEN"),
            (OpenedAt, &end.replace("400", "370")),
            (Owner, "hold#the provider moves"),
            (HoldUntil, &end),
            (HoldBy, "anna"),
            (HoldReason, "the provider moves"),
        ]);
        let closed = circuit(&[
            (State, "CLOSED"),
            (Hold, "closed"),
            (HoldUntil, &end),
            (HoldReason, "load\u{1b}[2J"),
        ]);
        let (before, after) = (at("2030-01-31T13:59:59Z"), at("2030-01-31T14:00:00Z"));
        assert_eq!((open.status(before), open.status(after)), (Status::HeldOpen, Status::Open));
        assert_eq!(open.why(before), "anna: the provider moves");
        assert_eq!(open.next_in_words(before), "ends in 1 s");
        assert_eq!((open.until(before), open.until(after)), (end.parse().ok(), None));
        let later = at("2030-01-31T14:02:00Z");
        assert_eq!(open.why(later), "anna: the provider moves; the hold ended 2 min ago");
        assert_eq!(open.next(later), Next::Call(end.parse().unwrap()));
        assert_eq!(open.next_in_words(later), "a probe is due: the next call probes");
        assert_eq!(
            (closed.status(before), closed.status(after)),
            (Status::HeldClosed, Status::Closed)
        );
        assert_eq!(closed.why(before), "load\\u{1b}[2J");
        assert_eq!(closed.why(after), "");
        // A version that does not know of ends has written it.
        let old = circuit(&[(State, "OPEN"), (OpenedAt, &end), (Owner, "hold#move")]);
        assert_eq!((old.status(after), old.until(after)), (Status::HeldOpen, None));
        assert_eq!((old.why(after).as_str(), old.since(after)), ("move", None));
    }

    #[test]
    fn what_opened_a_circuit_is_told_in_words() {
        use Attribute::{Cause, DownSince, FailedProbes, FailureCount, OpenedAt, State};
        let now = at("2030-01-31T14:00:00Z");
        let open = [(State, "OPEN"), (OpenedAt, "3"), (DownSince, "3")];
        for (more, told) in [
            (&[(FailureCount, "5")][..], "5 failures"),
            (&[(FailureCount, "1")], "1 failure"),
            (&[(FailureCount, "5"), (Cause, "failure_threshold")], "5 failures in a row"),
            (&[(FailureCount, "0"), (Cause, "failure_threshold")], "failures in a row"),
            (
                &[(Cause, "rate(0.5,60s,20)"), (FailedProbes, "2")],
                "rate(0.5,60s,20), 2 failed probes",
            ),
            (&[(Cause, "open_for")], "a call was told to stay away"),
            (&[(Cause, "\u{9b}x")], "\\u{9b}x"),
            (
                &[(OpenedAt, "9"), (FailureCount, "0"), (Cause, "failure_threshold")],
                "failures in a row, then failed probes",
            ),
            (&[(OpenedAt, "9"), (FailedProbes, "2"), (Cause, "x")], "x, 2 failed probes"),
            (&[(FailureCount, "x")], "its item has no usable failure_count"),
            (&[], ""),
        ] {
            let circuit = circuit(&[&open, more].concat());
            assert_eq!(circuit.why(now), told);
            assert_eq!(circuit.since(now), Some(3));
        }
    }

    #[test]
    fn an_opening_tells_when_a_probe_is_due() {
        use Attribute::{ExpiresAt, OpenUntil, OpenedAt, State};
        let opened = at("2030-01-31T14:00:00Z");
        let stamp = |seconds: i64| (time::seconds(opened) + seconds).to_string();
        let open = |more: &[(Attribute, &str)]| {
            circuit(&[&[(State, "OPEN"), (OpenedAt, stamp(0).as_str())], more].concat())
        };
        let plain = open(&[(ExpiresAt, &stamp(3_630))]);
        let now = at("2030-01-31T14:00:18Z");
        assert_eq!(plain.next(now).in_short(now), "probe in 12 s");
        assert_eq!(plain.next_in_words(now), "a probe is due in 12 s");
        let due = at("2030-01-31T14:00:30Z");
        assert_eq!(plain.next(due).in_short(due), "next call probes");
        assert_eq!(plain.next_in_words(due), "a probe is due: the next call probes");
        let asked = open(&[(ExpiresAt, &stamp(3_630)), (OpenUntil, &stamp(120))]);
        assert_eq!(asked.next(due).in_short(due), "probe in 1 min");
        for other in ["0", "1763668800000"] {
            let foreign = open(&[(ExpiresAt, other)]);
            assert_eq!(
                (foreign.next(now), foreign.next_in_words(now)),
                (Next::Unknown, String::new())
            );
        }
    }

    #[test]
    fn a_prober_is_told_by_the_name_of_its_process() {
        use Attribute::{LeaseUntil, Owner, State};
        let now = at("2030-01-31T14:00:00Z");
        let end = time::seconds(now) + 31;
        for (owner, process) in [("task-42/8d0f", "task-42"), ("17#0b5e", "17#0b5e")] {
            let lease = end.to_string();
            let circuit = circuit(&[(State, "HALF_OPEN"), (Owner, owner), (LeaseUntil, &lease)]);
            assert_eq!((circuit.status(now), circuit.until(now)), (Status::HalfOpen, Some(end)));
            assert_eq!(circuit.why(now), format!("{process} probes"));
            assert_eq!(circuit.next(now).in_short(now), "in 31 s");
            // Nobody probes any more.
            let later = at("2030-01-31T14:00:34Z");
            assert_eq!(circuit.why(later), format!("the lease of {process} ended 3 s ago"));
            assert_eq!(circuit.next(later).in_short(later), "next call probes");
            assert_eq!(circuit.next_in_words(later), "the next call probes");
        }
        assert_eq!(circuit(&[(State, "AJAR")]).status(now), Status::Unreadable);
    }
}
