//! What is noted of a run: what callers and subscribers saw.

use std::time::Duration;

use fuseboard::{Breaker, CircuitState};

use crate::{
    SECOND,
    partition::View,
    world::{State, World},
};

/// What is known of a process.
#[derive(Default)]
pub(crate) struct Life {
    pub(crate) breaker: Option<Breaker>,
    /// What it was shown last, and when; when it was last not answered.
    pub(crate) shown: View,
    pub(crate) shown_since: Duration,
    pub(crate) first_heard_at: Option<Duration>,
    pub(crate) unheard_at: Option<Duration>,
    /// The newest episode in which a call was rejected while the circuit was not closed,
    /// and not for what a read that was under way had shown before.
    rejected_in: u32,
    /// Whether it takes, or may take, the circuit for open.
    pub(crate) ignorant: bool,
    pub(crate) knows_at: Option<Duration>,
    /// When it first admitted a call after it had rejected one.
    pub(crate) readmitted_at: Option<Duration>,
    pub(crate) rejected_at: Option<Duration>,
    pub(crate) calls: Counts,
}

/// How the calls of a process ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Those that would have been good, and those that would have failed.
    pub(crate) good: u32,
    pub(crate) bad: u32,
    /// Those of each that were rejected.
    pub(crate) good_rejected: u32,
    pub(crate) bad_rejected: u32,
}

/// A call that reached the dependency while the circuit was not closed, by a process that
/// knew of it: nothing else than a probe may do that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    pub(crate) by: usize,
    pub(crate) begun: Duration,
    /// How many there were at that moment, of processes that the store hears.
    pub(crate) at_once: u32,
}

/// A call that failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) by: usize,
    pub(crate) begun: Duration,
    pub(crate) ended: Duration,
    pub(crate) is_probe: bool,
}

/// A call that was rejected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rejection {
    pub(crate) at: Duration,
    pub(crate) by: usize,
    /// Whether the call would have been good.
    pub(crate) good: bool,
}

/// A transition that a process told as made by itself.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) at: Duration,
    pub(crate) by: usize,
    pub(crate) to: CircuitState,
    /// Without the store.
    pub(crate) alone: bool,
    /// As the crate names it.
    pub(crate) cause: String,
}

impl Told {
    /// Whether the process opened for itself alone, since others contradicted it.
    pub(crate) fn is_refuted(&self) -> bool {
        self.cause == "Refuted"
    }
}

#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) ended: Duration,
    running: u32,
    /// How many processes have rejected a call.
    rejecting: usize,
    late: u32,
    /// How many calls at a time reached the dead dependency after that were all.
    pub(crate) late_at_once: u32,
    pub(crate) probes: Vec<Probe>,
    pub(crate) failures: Vec<Failure>,
    /// Kept for small fleets only.
    pub(crate) rejections: Vec<Rejection>,
    pub(crate) told: Vec<Told>,
    /// Calls that would have failed, had they run.
    pub(crate) asked_in_vain: usize,
    /// How long the longest admission took.
    pub(crate) longest_wait: Duration,
}

/// For how long a read may be under way.
const LONGEST_READ: Duration = Duration::from_secs(1);

/// From this size on, rejections are counted and not kept.
const MANY: usize = 300;

/// A call that runs. Ends when it is dropped.
pub(crate) struct Running<'a> {
    world: &'a World,
    number: usize,
    begun: Duration,
    is_probe: bool,
    is_late: bool,
    /// Whether it fails for what is broken in the process itself.
    pub(crate) own: bool,
}

impl World {
    /// Whether a call of a process that ends now fails; `own` says whether it does for
    /// what is broken in the process itself.
    fn fails(&self, number: usize, own: bool) -> bool {
        own || self.plan.is_down(self.plan.processes[number].zone, self.at())
    }

    /// A call reaches the dependency.
    pub(crate) fn begin(&self, number: usize, asked: Duration, own: bool) -> Running<'_> {
        let begun = self.at();
        let State { partition, lives, notes, .. } = &mut *self.state();
        let (life, newest) = (&mut lives[number], partition.newest());
        let episode = newest.episode;
        notes.longest_wait = notes.longest_wait.max(begun - asked);
        // What differs from its own last write it confirms by another read first.
        let is_confirmed = begun > life.shown_since + LONGEST_READ;
        let was_shown = life.shown.episode == episode && !life.shown.is_closed;
        let knew = life.rejected_in == episode || (was_shown && is_confirmed);
        let is_probe = knew && !newest.is_closed();
        if is_probe {
            notes.running += u32::from(self.plan.processes[number].is_in_reach());
            notes.probes.push(Probe { by: number, begun, at_once: notes.running });
        } else if life.rejected_at.is_some() {
            life.readmitted_at.get_or_insert(begun);
        }
        let is_late = notes.rejecting == lives.len() && self.fails(number, false);
        if is_late {
            notes.late += 1;
            notes.late_at_once = notes.late_at_once.max(notes.late);
        }
        Running { world: self, number, begun, is_probe, is_late, own }
    }

    /// A call was rejected.
    pub(crate) fn rejected(&self, number: usize, asked: Duration, own: bool) {
        let (at, fails) = (self.at(), self.fails(number, own));
        let state = &mut *self.state();
        let (life, newest) = (&mut state.lives[number], state.partition.newest());
        state.notes.longest_wait = state.notes.longest_wait.max(at - asked);
        if fails {
            life.calls.bad += 1;
            life.calls.bad_rejected += 1;
            state.notes.asked_in_vain += 1;
        } else {
            life.calls.good += 1;
            life.calls.good_rejected += 1;
        }
        state.notes.rejecting += usize::from(life.rejected_at.is_none());
        life.rejected_at = Some(at);
        life.readmitted_at = None;
        if !newest.is_closed() {
            let opened_at = state.partition.opened_at;
            if at > opened_at + LONGEST_READ {
                life.rejected_in = newest.episode;
            }
            if !life.ignorant {
                life.ignorant = true;
                state.ignorant += 1;
            }
        }
        if state.lives.len() < MANY {
            state.notes.rejections.push(Rejection { at, by: number, good: !fails });
        }
    }
}

impl Notes {
    /// Whether a trip was dropped because it could not be written for R: what the process
    /// does from then on, until it is told better, it does alone.
    pub(crate) fn is_lapse(&self, told: &Told, recovery: Duration) -> bool {
        let own = self.failures.iter().rev().filter(|it| it.by == told.by && it.ended <= told.at);
        let since = own.map(|it| told.at - it.ended).next().unwrap_or_default();
        told.alone && told.cause == "FailureThreshold" && since + 2 * SECOND >= recovery
    }

    /// Failing calls that were no probes.
    pub(crate) fn leaks(&self) -> impl Iterator<Item = &Failure> {
        self.failures.iter().filter(|failure| !failure.is_probe)
    }
}

impl Running<'_> {
    /// Ends the call, and tells whether it failed.
    pub(crate) fn end(self) -> bool {
        let fails = self.world.fails(self.number, self.own);
        let State { lives, notes, .. } = &mut *self.world.state();
        let life = &mut lives[self.number];
        if fails {
            life.calls.bad += 1;
            notes.asked_in_vain += 1;
            let Self { number: by, begun, is_probe, .. } = self;
            notes.failures.push(Failure { by, begun, ended: self.world.at(), is_probe });
        } else {
            life.calls.good += 1;
        }
        fails
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.is_probe || self.is_late {
            let notes = &mut self.world.state().notes;
            let in_reach = self.world.plan.processes[self.number].is_in_reach();
            notes.running -= u32::from(self.is_probe && in_reach);
            notes.late -= u32::from(self.is_late);
        }
    }
}
