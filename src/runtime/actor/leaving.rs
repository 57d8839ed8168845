//! Callers and operators that gave up, and a process that flushes because it is about to be
//! shut down or frozen.

use super::{Actor, Waiter};
use crate::{
    panics::caught,
    protocol::machine::StoreResponse,
    protocol::moment::Moment,
    runtime::circuit::message::{Reply, Settle},
};

impl Actor {
    /// Keeps a call until the store has answered. Before the list grows, waiters whose callers
    /// gave up are dropped: otherwise they would pile up while a store hangs.
    pub(super) fn wait(&mut self, waiter: Waiter) {
        if self.waiters.len() == self.waiters.capacity() {
            self.purge(Reply::is_abandoned);
        }
        self.waiters.push(waiter);
    }

    /// Drops waiters. An election that was begun for one of them may have to be undone by a
    /// write: the guard of one of them keeps `flush` waiting until nothing is outstanding.
    fn purge(&mut self, is_unwanted: impl Fn(&Reply) -> bool) {
        let is_settled = self.machine.is_settled();
        for waiter in self.waiters.extract_if(.., |waiter| is_unwanted(&waiter.reply)) {
            let Waiter { reply, pending, .. } = waiter;
            caught(|| drop(reply));
            if !is_settled && self.settles.is_empty() {
                self.settles.push(Settle::unclaimed(pending));
            }
        }
    }

    /// Begins a flush: drops waiters without a caller, and has an unused right to probe given
    /// back. A process that is frozen with the right would keep the fleet from probing.
    pub(super) fn flush(&mut self) {
        self.purge(|reply| reply.is_abandoned() || matches!(reply, Reply::OfferedProbe));
        self.awaits_offered_probe = false;
        self.is_resigning = true;
    }

    /// Gives back an unused right to probe, while a flush runs.
    pub(super) fn resign(&mut self, now: Moment) {
        if self.is_resigning {
            self.machine.resign(now);
        }
    }

    /// Keeps `flush` waiting while this process holds the right to probe, and until the
    /// verdict, or the write that gives the right back, has landed.
    pub(super) fn account_for_right(&mut self) {
        let is_settled = self.machine.is_settled();
        self.is_resigning &= !is_settled;
        if self.machine.right_ends_in().is_some() {
            if self.right.is_none() {
                self.right = Some(self.environment.rights.start());
            }
        } else if is_settled {
            self.right = None;
        }
    }

    /// Ends a command whose operator has given up, unless `response` is to one of its writes:
    /// the store may have applied that, so the machine has to take it as the command's.
    pub(super) fn withdraw_command(&mut self, response: &StoreResponse) {
        if self.commands.is_abandoned() && self.machine.withdraw_command(response) {
            self.commands.end_abandoned();
        }
    }
}
