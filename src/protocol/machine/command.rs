//! The commands of an operator: hold a circuit open, or release it.

use std::time::Duration;

use super::{
    Effect, Machine, StoreResponse,
    held::is_hold_closed_over,
    phase::{Opening, Phase, Standing, Term},
    prober::Turn,
    storage::{TTL_SLACK, seconds_up},
    term::failed_probes,
};
use crate::{
    hold::info::{HoldInfo, HoldKind},
    protocol::answer::{Consistency, StoreErrorKind},
    protocol::moment::Moment,
    protocol::record::{Field, Hints, HoldTerms, Operation, Record},
    state::CircuitState,
    transition::{Cause, Origin},
};

/// The number of attempts at a command while other processes change the record.
const MOST_TRIES: u8 = 5;

/// A command of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Keep the circuit open, or closed.
    Hold(HoldKind, HoldTerms),
    /// Close the circuit.
    Release,
}

/// Which hold of the record a command may end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Any.
    #[default]
    Any,
    /// That of this record, if it is held; no other, and none if there is no record.
    Only(Option<Box<Record>>),
}

/// A [`Command`], and which hold it may end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) command: Command,
    pub(crate) ends: Ends,
}

impl From<Command> for Order {
    fn from(command: Command) -> Self {
        Self { command, ends: Ends::Any }
    }
}

/// The result of an [`Order`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CommandResult {
    /// The record is as commanded, in place of this one. `None` if there was none, or nothing to
    /// write.
    Done(Option<Box<Record>>),
    /// The record has a hold that the order may not end; nothing was written.
    Held(Box<HoldInfo>),
    /// Other processes changed the record before each attempt; nothing was written.
    Contended,
    /// The store failed; the command may have been carried out.
    Failed(StoreErrorKind),
    /// A later command came before this one had begun; nothing was written for it.
    Replaced,
}

/// The command in progress.
#[derive(Clone, Debug)]
pub(super) struct InProgress {
    order: Order,
    /// True if the record was read for this command.
    read: bool,
    tries: u8,
}

impl Machine {
    /// Takes a command; [`Effect::CommandResult`] tells its result. One at a time: the owner
    /// passes the next one in when the last has ended.
    pub(crate) fn command(&mut self, now: Moment, order: impl Into<Order>) {
        self.advance(now);
        let order = order.into();
        self.command = Some(Box::new(InProgress { order, read: false, tries: 0 }));
        self.dispatch();
    }

    /// Goes on with the command in progress: a consistent read, then a write on the condition
    /// that nothing has changed. Returns `true` if it has begun a store operation.
    ///
    /// It does not wait for a back-off: an operator acts when the store or the dependency is
    /// in trouble, and needs the result now.
    pub(super) fn carry_out_command(&mut self) -> bool {
        let Some(in_progress) = &mut self.command else {
            return false;
        };
        if !in_progress.read {
            // An older record would show the operator a state that is over, and the write on
            // its ground would be refused.
            in_progress.read = true;
            self.begin_read(Consistency::Strong);
            return true;
        }
        if in_progress.tries == MOST_TRIES {
            self.end_command(CommandResult::Contended);
            return false;
        }
        in_progress.tries = in_progress.tries.saturating_add(1);
        let Order { command, ends } = in_progress.order.clone();
        // Before each try: a hold that began since the order was given would be lost to it.
        if let Some(held) = self.hold_that_stays(&ends) {
            self.end_command(CommandResult::Held(Box::new(held)));
            return false;
        }
        match self.command_operation(command) {
            Some(operation) => self.begin_write(operation),
            None => {
                // The record is absent or closed already: only this process has to release.
                self.release_here(Origin::WithoutStore);
                self.end_command(CommandResult::Done(None));
                return false;
            }
        }
        true
    }

    /// Withdraws the command in progress, whose operator has gone, before `response` is taken:
    /// no further write is begun for it. Returns `true` if that ends the command, `false` if
    /// the response is one to a write of the command, which then decides.
    pub(crate) fn withdraw_command(&mut self, response: &StoreResponse) -> bool {
        match response {
            StoreResponse::Read(_) | StoreResponse::Failed(_) | StoreResponse::BackedOff(_) => {
                self.command = None;
                true
            }
            StoreResponse::Written(_) => {
                // If it was refused, the command ends as `Contended`, without another attempt.
                if let Some(in_progress) = &mut self.command {
                    in_progress.tries = MOST_TRIES;
                }
                false
            }
        }
    }

    /// Returns `true` if the store operation in flight is made for a command.
    pub(crate) fn is_commanded(&self) -> bool {
        self.command.as_ref().is_some_and(|in_progress| in_progress.read)
    }

    /// Ends the command in progress.
    pub(super) fn end_command(&mut self, result: CommandResult) {
        if self.command.take().is_some() {
            self.effects.push(Effect::CommandResult(result));
        }
    }

    /// Ends the command if the operation that failed was made for it. One that was in flight
    /// before the command came says nothing about it.
    pub(super) fn fail_command(&mut self, kind: StoreErrorKind) {
        if self.is_commanded() {
            self.end_command(CommandResult::Failed(kind));
        }
    }

    /// Ends the command, which was applied over this record.
    pub(super) fn end_command_over(&mut self, replaced: Option<&Record>) {
        self.end_command(CommandResult::Done(replaced.cloned().map(Box::new)));
    }

    /// Returns the hold of the cached record that an order may not end.
    fn hold_that_stays(&self, ends: &Ends) -> Option<HoldInfo> {
        let Ends::Only(seen) = ends else { return None };
        let record = self.cache.record()?;
        let is_seen = seen.as_ref().is_some_and(|seen| seen.has_hold_of(record));
        self.hold_of(record).filter(|_| !is_seen)
    }

    /// Enters an opening that an operator holds.
    pub(super) fn hold_here(&mut self, opened_at: i64, until: i64) {
        // A hold replaces all that this process was about to write: a pending closing would
        // otherwise be sent against it.
        self.pending = None;
        self.reputation.settle();
        let opening = Opening {
            cause: Cause::Hold,
            opened_at: Some(opened_at),
            failure_count: 0,
            first_seen: self.now,
            last_seen_not_open_at: None,
            standing: Standing::Stored,
            turn: Turn::Last,
            held: true,
            held_until: Some(until),
            term: Term { length: self.config.recovery_timeout(), failed_probes: 0, until: None },
            outage: self.outage_shown(self.cache.record()),
        };
        self.commit(Phase::Open(Box::new(opening)), Cause::Hold, Origin::Local);
    }

    /// Closes the circuit because an operator holds it closed. A closed one as well: failures of
    /// before the hold do not count in it.
    pub(super) fn hold_closed_here(&mut self) {
        self.pending = None;
        self.reputation.settle();
        self.commit(Phase::CLOSED, Cause::Hold, Origin::Local);
    }

    /// Closes the circuit because an operator released it.
    pub(super) fn release_here(&mut self, origin: Origin) {
        // Written after the release, a pending trip would undo it.
        self.pending = None;
        self.reputation.settle();
        if !matches!(self.phase, Phase::Closed { .. }) {
            self.enter(Phase::CLOSED);
            // The operator says that the dependency is well, not that it has its full capacity.
            self.start_ramp(Duration::ZERO);
        } else if origin == Origin::Local && self.cache.was_held_closed {
            // As in every process that reads of it: failures of before do not count.
            self.enter(Phase::CLOSED);
        }
        self.announce(Cause::Release, origin);
    }

    fn command_operation(&self, command: Command) -> Option<Operation> {
        let expires_at = self.expires_at();
        let seen = self.cache.record().cloned();
        match command {
            Command::Hold(HoldKind::Open, terms) => Some(Operation::Hold {
                seen,
                // Stamped so that the recovery timeout ends with the hold: processes that know
                // nothing of holds then probe no sooner either.
                opened_at: terms.until.saturating_sub(seconds_up(self.config.recovery_timeout())),
                expires_at: expires_at.max(terms.until.saturating_add(seconds_up(TTL_SLACK))),
                hints: self.outage_of_hold().hints(Hints::NONE),
                terms,
            }),
            Command::Hold(HoldKind::Closed, terms) => Some(Operation::HoldClosed {
                seen,
                held_at: self.now.unix_ceil(Duration::ZERO),
                expires_at: expires_at.max(terms.until.saturating_add(seconds_up(TTL_SLACK))),
                terms,
            }),
            Command::Release => {
                let is_closed = |record: &Record| {
                    // A hold whose end cannot be read is ended; of one that is over nothing is left.
                    record.state == Field::Valid(CircuitState::Closed)
                        && (record.hold == Field::Absent || is_hold_closed_over(record, self.now))
                };
                // A trip after a closing goes on with its back-off.
                let seen = seen.filter(|record| !is_closed(record) || failed_probes(record) > 0)?;
                // Of a circuit that is closed it ends the back-off only: with another expiry it
                // would be another closing, which drops failures and begins the ramp again.
                let kept = seen.expires_at.valid().copied().filter(|_| is_closed(&seen));
                let expires_at = kept.unwrap_or(expires_at);
                let released_at = self.now.unix_ceil(Duration::ZERO);
                Some(Operation::Release { seen, released_at, expires_at })
            }
        }
    }
}
