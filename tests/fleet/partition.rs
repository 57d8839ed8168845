//! The item, and the partition of a table that it is in.
//!
//! A partition serves 1,000 write units and 3,000 read units a second, and saves up one
//! second of them. An eventually consistent read costs half a unit, a consistent one a
//! unit; a write costs a unit whether its condition holds or not. What there are no
//! units for is throttled. Eventually consistent reads show what was so up to 50 ms ago.

use std::time::Duration;

use fuseboard::{
    CircuitState,
    store::{Operation, Record, Written},
};

use crate::plan::{Limits, between};

/// By how much eventually consistent reads may lag behind.
const LAG: Duration = Duration::from_millis(50);

/// What was asked of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Eventual,
    Strong,
    /// By the name of the operation.
    Write(&'static str),
}

impl Asked {
    pub(crate) fn is_write(self) -> bool {
        matches!(self, Self::Write(_))
    }

    fn costs(self) -> f64 {
        if self == Self::Eventual { 0.5 } else { 1.0 }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Shown,
    Applied,
    Refused,
    Throttled,
}

/// One request that arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) at: Duration,
    pub(crate) by: usize,
    pub(crate) asked: Asked,
    pub(crate) fate: Fate,
}

/// One state of the item.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) at: Duration,
    /// Who wrote it, and by which operation; nobody if it was deleted.
    pub(crate) by: Option<usize>,
    pub(crate) name: &'static str,
    pub(crate) record: Option<Record>,
    /// How often the circuit had been opened by then.
    pub(crate) episode: u32,
}

impl Step {
    /// A record that is not there is closed.
    pub(crate) fn is_closed(&self) -> bool {
        let state = self.record.as_ref().and_then(|record| record.state.valid());
        state.is_none_or(|state| *state == CircuitState::Closed)
    }
}

/// What a process was shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) episode: u32,
    pub(crate) is_closed: bool,
}

/// The item and its partition.
pub(crate) struct Partition {
    limits: Vec<Limits>,
    writes: f64,
    reads: f64,
    counted_at: Duration,
    rng: fastrand::Rng,
    pub(crate) history: Vec<Step>,
    /// When the circuit was opened last.
    pub(crate) opened_at: Duration,
    pub(crate) requests: Vec<Request>,
}

impl Partition {
    pub(crate) fn new(seed: u64, limits: Vec<Limits>) -> Self {
        let first = limits[0];
        let start = Step { at: Duration::ZERO, by: None, name: "", record: None, episode: 0 };
        Self {
            writes: first.writes,
            reads: first.reads,
            limits,
            counted_at: Duration::ZERO,
            rng: fastrand::Rng::with_seed(seed ^ 0xD1CE),
            history: vec![start],
            opened_at: Duration::ZERO,
            requests: Vec::new(),
        }
    }

    pub(crate) fn newest(&self) -> &Step {
        self.history.last().unwrap()
    }

    /// Takes the units of a request, if they are there.
    pub(crate) fn take(&mut self, at: Duration, by: usize, asked: Asked) -> bool {
        let limits = *self.limits.iter().rev().find(|limits| limits.from <= at).unwrap();
        let passed = at.saturating_sub(self.counted_at).as_secs_f64();
        self.counted_at = at;
        // At least one request is saved up, however few are left for this item.
        let most = |each: f64| if each > 0.0 { each.max(1.0) } else { 0.0 };
        self.writes = (self.writes + passed * limits.writes).min(most(limits.writes));
        self.reads = (self.reads + passed * limits.reads).min(most(limits.reads));
        let left = if asked.is_write() { &mut self.writes } else { &mut self.reads };
        let serves = *left >= asked.costs();
        if serves {
            *left -= asked.costs();
        } else {
            self.requests.push(Request { at, by, asked, fate: Fate::Throttled });
        }
        serves
    }

    pub(crate) fn read(&mut self, at: Duration, by: usize, asked: Asked) -> (Option<Record>, View) {
        self.requests.push(Request { at, by, asked, fate: Fate::Shown });
        let lags = asked == Asked::Eventual && self.rng.f64() < 0.33;
        let lag = if lags { between(&mut self.rng, Duration::ZERO, LAG) } else { Duration::ZERO };
        let of = at.saturating_sub(lag);
        let step = self.history.iter().rev().find(|step| step.at <= of).unwrap();
        let view = View { episode: step.episode, is_closed: step.is_closed() };
        (step.record.clone(), view)
    }

    pub(crate) fn write(
        &mut self,
        at: Duration,
        by: usize,
        operation: &Operation,
    ) -> (Written, View) {
        let asked = Asked::Write(operation.name());
        let before = self.newest().record.clone();
        let record = operation.apply(before.as_ref());
        let fate = if record.is_some() { Fate::Applied } else { Fate::Refused };
        self.requests.push(Request { at, by, asked, fate });
        let written = match record {
            Some(record) => {
                self.step(at, Some(by), operation.name(), Some(record.clone()));
                Written::Applied(record)
            }
            None => Written::Refused(before),
        };
        let newest = self.newest();
        (written, View { episode: newest.episode, is_closed: newest.is_closed() })
    }

    /// Changes the item, past every condition.
    pub(crate) fn step(
        &mut self,
        at: Duration,
        by: Option<usize>,
        name: &'static str,
        record: Option<Record>,
    ) {
        let (was_closed, episode) = (self.newest().is_closed(), self.newest().episode);
        let mut step = Step { at, by, name, record, episode };
        if was_closed && !step.is_closed() {
            step.episode += 1;
            self.opened_at = at;
        }
        self.history.push(step);
    }
}
