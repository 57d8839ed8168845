//! Who leaves: callers that gave up, operators that went away, and a process that is shut
//! down or may be frozen.

use super::{Actor, Waiter, message::Reply, message::Settle};
use crate::{panics::caught, protocol::machine::StoreResponse, protocol::moment::Moment};

impl Actor {
    /// Keeps a call until the store has answered. Before the waiters take more memory,
    /// those whose callers gave up make room, so that a store that hangs gathers none.
    pub(super) fn wait(&mut self, waiter: Waiter) {
        if self.waiters.len() == self.waiters.capacity() {
            self.purge(Reply::is_gone);
        }
        self.waiters.push(waiter);
    }

    /// Drops waiters. A write that was begun for one of them may have to be undone: one
    /// guard stands for all of them until nothing is outstanding.
    fn purge(&mut self, is_over: impl Fn(&Reply) -> bool) {
        let is_settled = self.machine.is_settled();
        for waiter in self.waiters.extract_if(.., |waiter| is_over(&waiter.reply)) {
            let Waiter { reply, pending, .. } = waiter;
            caught(|| drop(reply));
            if !is_settled && self.settles.is_empty() {
                self.settles.push(Settle::of_nobody(pending));
            }
        }
    }

    /// Somebody flushes: nothing is kept for who has gone, and a right to probe that
    /// nobody uses is given back.
    pub(super) fn flush(&mut self) {
        self.purge(|reply| reply.is_gone() || matches!(reply, Reply::OfferedProbe));
        self.awaits_offered_probe = false;
        self.is_resigning = true;
    }

    /// Gives back a right to probe that is free, for as long as somebody flushes.
    pub(super) fn resign(&mut self, now: Moment) {
        if self.is_resigning {
            self.machine.resign(now);
        }
    }

    /// Lets `flush` wait for a right that this process holds, until what came of it is
    /// written.
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

    /// An order whose giver has gone is carried no further, unless the store may have
    /// applied it.
    pub(super) fn withdraw_command(&mut self, answer: &StoreResponse) {
        if self.commands.is_abandoned() && self.machine.withdraw_command(answer) {
            self.commands.end_abandoned();
        }
    }
}
