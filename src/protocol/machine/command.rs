//! What an operator orders: to hold a circuit open, or to release it.

use std::{sync::Arc, time::Duration};

use super::{
    Effect, Machine, StoreResponse,
    phase::{Opening, Phase, Standing, Turn},
    storage::{TTL_SLACK, seconds_up},
};
use crate::{
    protocol::answer::{Consistency, StoreErrorKind},
    protocol::moment::Moment,
    protocol::record::{Field, Operation},
    state::CircuitState,
    transition::{Cause, Origin},
};

/// How often an order is tried while others change the record meanwhile.
const MOST_TRIES: u8 = 5;

/// An operator's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Keep the circuit open until then, in seconds since the Unix epoch.
    Hold { owner: Arc<str>, until: i64 },
    /// Close the circuit.
    Release,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandResult {
    /// The record is as ordered.
    Done,
    /// Others changed the record each time; nothing was written.
    Contended,
    /// The store failed; the order may have been carried out.
    Failed(StoreErrorKind),
    /// A later order came before this one had begun; nothing was written for it.
    Replaced,
}

/// The order under way.
#[derive(Clone, Debug)]
pub(super) struct InProgress {
    command: Command,
    /// Whether the record was read for this order.
    read: bool,
    tries: u8,
}

impl Machine {
    /// Takes an operator's order; [`Effect::CommandResult`] tells what became of it.
    /// One at a time: the next is given when the last has ended.
    pub(crate) fn command(&mut self, now: Moment, command: Command) {
        self.advance(now);
        self.command = Some(Box::new(InProgress { command, read: false, tries: 0 }));
        self.dispatch();
    }

    /// Goes on with the order under way: a consistent read, then a write on the
    /// condition that nothing has changed. True if there is one. An operator
    /// does not wait for a back-off.
    pub(super) fn carry_out_command(&mut self) -> bool {
        let Some(under_way) = &mut self.command else {
            return false;
        };
        if !under_way.read {
            under_way.read = true;
            self.begin_read(Consistency::Strong);
            return true;
        }
        if under_way.tries == MOST_TRIES {
            self.end_command(CommandResult::Contended);
            return false;
        }
        under_way.tries = under_way.tries.saturating_add(1);
        let command = under_way.command.clone();
        match self.command_operation(command) {
            Some(operation) => self.begin_write(operation),
            None => {
                // Nothing in the store to release.
                self.release_here(Origin::WithoutStore);
                self.end_command(CommandResult::Done);
                return false;
            }
        }
        true
    }

    /// The giver of the order under way has gone, and this answer is about to be taken: no
    /// write is begun for it any more. True if that ends the order, false if the answer is
    /// one to a write of the order, which decides.
    pub(crate) fn withdraw_command(&mut self, answer: &StoreResponse) -> bool {
        match answer {
            StoreResponse::Read(_) | StoreResponse::Failed(_) | StoreResponse::BackedOff(_) => {
                self.command = None;
                true
            }
            StoreResponse::Written(_) => {
                if let Some(under_way) = &mut self.command {
                    under_way.tries = MOST_TRIES;
                }
                false
            }
        }
    }

    /// Whether the store operation in flight is an operator's.
    pub(crate) fn is_commanded(&self) -> bool {
        self.command.as_ref().is_some_and(|under_way| under_way.read)
    }

    /// The order under way has come to an end.
    pub(super) fn end_command(&mut self, ordered: CommandResult) {
        if self.command.take().is_some() {
            self.effects.push(Effect::CommandResult(ordered));
        }
    }

    /// The store has failed: an operation of the order's own ends it; one that
    /// was under way before the order came does not.
    pub(super) fn fail_command(&mut self, kind: StoreErrorKind) {
        if self.is_commanded() {
            self.end_command(CommandResult::Failed(kind));
        }
    }

    pub(super) fn hold_here(&mut self, opened_at: i64) {
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
        };
        self.commit(Phase::Open(Box::new(opening)), Cause::Hold, Origin::Local);
        self.end_command(CommandResult::Done);
    }

    pub(super) fn release_here(&mut self, origin: Origin) {
        self.pending = None;
        self.reputation.settle();
        if !matches!(self.phase, Phase::Closed { .. }) {
            self.enter(Phase::CLOSED);
        }
        self.announce(Cause::Release, origin);
    }

    fn command_operation(&self, command: Command) -> Option<Operation> {
        let expires_at = self.expires_at();
        let seen = self.cache.record().cloned();
        match command {
            Command::Hold { owner, until } => Some(Operation::Hold {
                seen,
                owner,
                opened_at: until.saturating_sub(seconds_up(self.config.recovery_timeout())),
                expires_at: expires_at.max(until.saturating_add(seconds_up(TTL_SLACK))),
            }),
            Command::Release => {
                let seen =
                    seen.filter(|record| record.state != Field::Valid(CircuitState::Closed))?;
                let released_at = self.now.unix_ceil(Duration::ZERO);
                Some(Operation::Release { seen, released_at, expires_at })
            }
        }
    }
}
