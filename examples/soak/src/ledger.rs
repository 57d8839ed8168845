//! The oracle for announcements: what registries tell, against what was written.
//!
//! Three who know nothing of each other report: the relays, which see requests
//! and answers on the wire, the stores, which see what the crate asked of them and
//! was answered, and the subscribers. When all is quiet:
//!
//! 1. Each transition that is told as [`Origin::Local`] has one applied write of
//!    that registry, circuit and kind, with the token of the takeover or the time
//!    of the opening that it names, and no other that is told has the same one.
//! 2. Each applied write was asked for, and applied once.
//! 3. Each write that was answered as applied was applied, and is told: as
//!    `Local`, or it was told before, [`Origin::WithoutStore`], when an earlier
//!    attempt to write it had failed.
//! 4. An election or a takeover that was refused because it had been applied by an
//!    earlier attempt, whose answer was lost, is recognised, and told as `Local`.
//!
//! A write of which the registry never had an answer need not be told as its own:
//! these are counted. So are those of a registry whose subscriber lagged in the
//! same phase, which are not judged by 3 and 4. Nobody orders and no registry is
//! killed here, so nothing else is excused.
//!
//! What matches is forgotten at once, and everything whenever all is quiet.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use fuseboard::{Cause, CircuitState, CircuitTransition, Origin};

use crate::write::{Kind, Write};

/// So many faults are kept in words.
const KEPT: usize = 100;

/// What a store said of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Applied,
    Refused,
    /// It failed, or was given up.
    None,
}

/// What was compared, and what came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compared {
    /// Transitions told as `Local` that have their write.
    pub(crate) matched: u64,
    /// Of these, the writes of which the first answer was lost.
    pub(crate) recognised: u64,
    /// Writes that were told before, without the store.
    pub(crate) told_before: u64,
    /// Writes whose answer the relay did not send, or not whole.
    pub(crate) lost: u64,
    /// Writes whose answer came too late.
    pub(crate) late: u64,
    /// Transitions that a subscriber missed, and writes not judged for it.
    pub(crate) missed: u64,
    pub(crate) not_judged: u64,
    pub(crate) wrong: u64,
    /// The first of those that are wrong.
    pub(crate) faults: Vec<String>,
}

/// A write, as far as it is known.
#[derive(Debug)]
struct Entry {
    write: Write,
    applied: u32,
    delivered: bool,
    answers: Vec<Answer>,
    told: bool,
}

/// A transition that was told as `Local`.
#[derive(Debug)]
struct Told {
    kinds: &'static [Kind],
    owner: Option<String>,
    opened_at: Option<i64>,
    opens: bool,
    elects: bool,
}

/// What is open of one circuit in one registry.
#[derive(Debug, Default)]
struct Page {
    writes: Vec<Entry>,
    told: Vec<Told>,
    /// What was told without the store: the new state, and an opening's time.
    alone: Vec<(CircuitState, Option<i64>)>,
}

#[derive(Debug, Default)]
struct Inner {
    pages: HashMap<(usize, String), Page>,
    lagged: BTreeSet<usize>,
    compared: Compared,
}

/// What is told and what is written, side by side.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Inner>);

impl Ledger {
    /// A relay saw that a write was applied, and sends its answer on or not.
    pub(crate) fn wrote(&self, registry: usize, circuit: &str, write: Write, delivered: bool) {
        self.page(registry, circuit, |page| {
            page.entry(write, |entry| {
                entry.applied = entry.applied.saturating_add(1);
                entry.delivered |= delivered;
            });
        });
    }

    /// A store answered a registry.
    pub(crate) fn answered(&self, registry: usize, circuit: &str, write: Write, answer: Answer) {
        let note = |page: &mut Page| page.entry(write, |entry| entry.answers.push(answer));
        self.page(registry, circuit, note);
    }

    /// A subscriber heard of a transition.
    pub(crate) fn told(&self, registry: usize, transition: &CircuitTransition) {
        let opened_at = transition.opened_at;
        let to_state = transition.to_state;
        let note = |page: &mut Page| match transition.origin {
            Origin::Local => page.told.push(Told::new(transition)),
            Origin::WithoutStore => page.alone.push((to_state, opening(to_state, opened_at))),
            Origin::Observed => {}
        };
        if transition.origin != Origin::Observed {
            self.page(registry, transition.circuit_name.as_str(), note);
        }
    }

    /// A subscriber of this registry lost transitions.
    pub(crate) fn missed(&self, registry: usize, transitions: u64) {
        let mut inner = self.inner();
        inner.lagged.insert(registry);
        inner.compared.missed = inner.compared.missed.saturating_add(transitions);
    }

    /// All is quiet, and everyone has reported: what is left is judged.
    pub(crate) fn settle(&self) {
        let mut inner = self.inner();
        let pages = std::mem::take(&mut inner.pages);
        let lagged = std::mem::take(&mut inner.lagged);
        for ((registry, circuit), page) in pages {
            let has_lagged = lagged.contains(&registry);
            page.settle(has_lagged, &mut inner.compared, |compared, what| {
                compared.wrong = compared.wrong.saturating_add(1);
                if compared.faults.len() < KEPT {
                    compared.faults.push(format!("{circuit} in registry {registry}: {what}"));
                }
            });
        }
    }

    pub(crate) fn compared(&self) -> Compared {
        self.inner().compared.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes something on a page, which is thrown away when nothing is open on it.
    fn page(&self, registry: usize, circuit: &str, note: impl FnOnce(&mut Page)) {
        let mut inner = self.inner();
        let Inner { pages, compared, .. } = &mut *inner;
        let key = (registry, circuit.to_owned());
        let page = pages.entry(key.clone()).or_default();
        note(page);
        page.compare(compared, |told| !told.is_vague());
        if page.writes.is_empty() && page.told.is_empty() && page.alone.is_empty() {
            pages.remove(&key);
        }
    }
}

fn opening(state: CircuitState, opened_at: Option<i64>) -> Option<i64> {
    opened_at.filter(|_| state == CircuitState::Open)
}

impl Page {
    /// Notes something of a write.
    fn entry(&mut self, write: Write, note: impl FnOnce(&mut Entry)) {
        match self.writes.iter_mut().find(|entry| entry.write == write) {
            Some(entry) => note(entry),
            None => {
                let (applied, delivered, told, answers) = (0, false, false, Vec::new());
                let mut entry = Entry { write, applied, delivered, answers, told };
                note(&mut entry);
                self.writes.push(entry);
            }
        }
    }

    /// Gives each of these transitions its write, and forgets what is complete.
    fn compare(&mut self, compared: &mut Compared, is_ready: impl Fn(&Told) -> bool) {
        let writes = &mut self.writes;
        self.told.retain(|told| {
            if !is_ready(told) {
                return true;
            }
            let may_be = |entry: &&mut Entry| {
                let is_written = entry.applied > 0 || entry.answers.contains(&Answer::Applied);
                is_written && told.is_of(entry)
            };
            // A closing names no token: an earlier one that came late, and was never told, must
            // not take what is told of the one that has to be, whoever reports first.
            let own = writes.iter_mut().filter(may_be).min_by_key(|entry| entry.urgency());
            let Some(own) = own.filter(|entry| entry.applied > 0) else {
                return true;
            };
            own.told = true;
            compared.matched = compared.matched.saturating_add(1);
            false
        });
        // With an answer, nobody will ask for it again, nor tell of it.
        writes.retain(|entry| {
            !(entry.told && entry.applied == 1 && entry.answers.contains(&Answer::Applied))
        });
    }

    fn settle(
        mut self,
        has_lagged: bool,
        compared: &mut Compared,
        mut wrong: impl FnMut(&mut Compared, String),
    ) {
        self.compare(compared, |_| true);
        for told in &self.told {
            let beside = &self.writes;
            wrong(
                compared,
                format!("told as its own without a write: {told:?}, beside {beside:?}"),
            );
        }
        let mut writes = std::mem::take(&mut self.writes);
        // What was told without the store goes first to those that must have been told.
        writes.sort_by_key(Entry::urgency);
        for entry in writes {
            let count = match entry.judge(has_lagged, &mut self.alone) {
                Verdict::Wrong(what) => {
                    wrong(compared, format!("{what}: {entry:?}"));
                    continue;
                }
                Verdict::NotApplied => continue,
                Verdict::Recognised => &mut compared.recognised,
                Verdict::ToldBefore => &mut compared.told_before,
                Verdict::Lost => &mut compared.lost,
                Verdict::Late => &mut compared.late,
                Verdict::NotJudged => &mut compared.not_judged,
            };
            *count = count.saturating_add(1);
        }
    }
}

enum Verdict {
    Wrong(&'static str),
    NotApplied,
    Recognised,
    ToldBefore,
    Lost,
    Late,
    NotJudged,
}

impl Entry {
    /// Less, the more it has to be told: answered as applied, recognised, and neither.
    fn urgency(&self) -> u8 {
        match (self.answers.contains(&Answer::Applied), self.answers.contains(&Answer::Refused)) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        }
    }

    fn judge(&self, has_lagged: bool, alone: &mut Vec<(CircuitState, Option<i64>)>) -> Verdict {
        let was_applied = self.answers.contains(&Answer::Applied);
        let was_refused = self.answers.contains(&Answer::Refused);
        let elects = matches!(self.write.kind, Kind::Elect | Kind::TakeOver);
        match (self.applied, self.told) {
            (0, _) if was_applied => Verdict::Wrong("answered as applied, and never written"),
            (0, _) => Verdict::NotApplied,
            (2.., _) => Verdict::Wrong("applied more than once"),
            (1, _) if self.answers.is_empty() => Verdict::Wrong("written, and never asked for"),
            (1, true) => Verdict::Recognised,
            (1, false) => {
                let (state, opened_at) = self.write.leads_to();
                let before = alone.iter().position(|told| *told == (state, opened_at));
                if let Some(before) = before {
                    alone.swap_remove(before);
                    return Verdict::ToldBefore;
                }
                match (was_applied, elects && was_refused) {
                    (false, false) if self.delivered => Verdict::Late,
                    (false, false) => Verdict::Lost,
                    _ if has_lagged => Verdict::NotJudged,
                    (true, _) => Verdict::Wrong("written, and never told"),
                    (false, true) => Verdict::Wrong("won, and not recognised"),
                }
            }
        }
    }
}

impl Write {
    /// The state, and the time of an opening, that a transition of it tells.
    fn leads_to(&self) -> (CircuitState, Option<i64>) {
        match self.kind {
            Kind::Trip | Kind::Reopen => (CircuitState::Open, self.opened_at),
            Kind::Elect | Kind::TakeOver => (CircuitState::HalfOpen, None),
            Kind::Close => (CircuitState::Closed, None),
        }
    }
}

impl Told {
    fn new(transition: &CircuitTransition) -> Self {
        let mut owner = None;
        let kinds: &[Kind] = match &transition.cause {
            Cause::FailureThreshold | Cause::Rule(_) => &[Kind::Trip],
            Cause::OpenFor => &[Kind::Trip, Kind::Reopen],
            Cause::RecoveryTimeout => &[Kind::Elect],
            Cause::TakeOver { owner: new, .. } => {
                owner = Some(new.as_ref().to_owned());
                &[Kind::TakeOver]
            }
            Cause::ProbesSucceeded => &[Kind::Close],
            // A circuit whose item was gone is probed, and opened, without a lease.
            Cause::ProbeFailed => &[Kind::Reopen, Kind::Trip],
            Cause::Hold
            | Cause::Release
            | Cause::RecordGone
            | Cause::StoreUnreadable
            | Cause::Elsewhere
            | _ => &[],
        };
        Self {
            kinds,
            owner,
            opened_at: transition.opened_at,
            opens: transition.to_state == CircuitState::Open,
            elects: matches!(transition.cause, Cause::RecoveryTimeout),
        }
    }

    /// Returns `true` for an election of a circuit that had failed open, and does not know since
    /// when it was open. It may be of any election, and so waits until all others have theirs.
    fn is_vague(&self) -> bool {
        self.elects && self.opened_at.is_none()
    }

    fn is_of(&self, entry: &Entry) -> bool {
        let write = &entry.write;
        let same_time = match (self.opens, self.elects) {
            (true, _) => write.opened_at == self.opened_at,
            (false, true) => self.is_vague() || write.opened_at == self.opened_at,
            (false, false) => true,
        };
        let same_token = self.owner.is_none() || write.token == self.owner;
        !entry.told && self.kinds.contains(&write.kind) && same_time && same_token
    }
}
