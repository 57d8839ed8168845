//! The second half of a turn: the actor carries out the machine's decisions.
//!
//! Callers are promised that once the failures that trip a circuit have returned, no call
//! is admitted. So the order is: publish, start the new epoch in the counting, answer.

use std::{sync::Arc, time::Duration};

use super::{
    Actor,
    operation::{StoreClient, UnderWay},
};
use crate::{
    error::OpenError,
    name::{CircuitName, NameError},
    panics::caught,
    protocol::counting::Trip,
    protocol::machine::{Admission, Effect, Published},
    protocol::moment::Moment,
    runtime::circuit::message::{Reply, Settle},
    runtime::circuit::undelivered::UndeliveredPermit,
    runtime::circuit::{Circuit, Followed, Turn},
    runtime::log,
};

/// The input of a turn that is not a message. The counting needs it at the end of the turn.
pub(super) struct Shown {
    /// The trip that the machine was shown in this turn.
    pub(super) trip: Option<Box<Trip>>,
    /// The number of freezes of the process that the machine knows of.
    pub(super) freezes: u64,
    /// True if the machine was given new settings in this turn.
    pub(super) has_new_settings: bool,
}

impl Actor {
    /// Ends a turn: publishes, starts the new epoch in the counting, answers. Returns the
    /// number of failures that were counted until the counting followed.
    pub(super) fn publish(
        &mut self,
        circuit: &Arc<Circuit>,
        now: Moment,
        under_way: &mut UnderWay,
        shown: Shown,
    ) -> u64 {
        let Shown { trip, freezes, has_new_settings } = shown;
        circuit.show_probe_lease(self.machine.config().probe_lease());
        let epoch_before = self.published.as_ref().map(|published| published.epoch);
        // Before publishing: good calls of the new epoch take the place of those of the old one.
        let thaw = self.machine.has_thawed().then(|| circuit.good_calls());
        let published = self.publish_decisions(circuit, now, under_way, has_new_settings);
        // Ask once for each epoch. Asked again, a contradiction that enough good calls have
        // ended would begin a second time.
        let is_contradicted =
            epoch_before != Some(self.machine.epoch()) && self.machine.is_contradicted();
        let turn = Turn { published: &published, is_contradicted, thaw, freezes, trip };
        // After publishing: a failure that is counted in between finds the trip still there,
        // and waits for it. Started earlier, the epoch would count that failure as one of a
        // state that is over, and its caller would return while the gate still admits.
        let Followed { settles, remembered, failures } = circuit.follow(&turn);
        self.settles.extend(settles);
        self.machine.learn_what_stands(remembered);
        // Once more after a new epoch: a withdrawal of the one before, as a freeze leaves it, would
        // wait for the next turn, and its caller with it.
        if epoch_before != Some(self.machine.epoch()) && self.take_vote(circuit, now) {
            self.publish_decisions(circuit, now, under_way, false);
        }
        // After the counting: a call that is admitted into the new epoch must find it begun.
        for (reply, admission) in std::mem::take(&mut self.replies) {
            self.answer(circuit, reply, admission);
        }
        self.tell_observers();
        // After the answers, which may have put a probe on offer: `flush` waits for its right.
        self.account_for_right();
        if self.machine.is_settled() {
            std::mem::take(&mut self.settles).into_iter().for_each(Settle::signal);
        }
        failures
    }

    /// Publishes and carries out effects until the machine has no more. An effect can lead to
    /// another decision (the end of a command begins the next one), hence the loop.
    fn publish_decisions(
        &mut self,
        circuit: &Circuit,
        now: Moment,
        under_way: &mut UnderWay,
        mut must_publish: bool,
    ) -> Published {
        loop {
            self.withdraw_offered_probe(circuit, now);
            self.resign(now);
            let effects = self.machine.take_effects();
            let published = self.machine.published();
            // Before the effects: a subscriber that hears of an opening and calls must be
            // rejected.
            // With new settings in any case: a ramp of another length is no other publication.
            if std::mem::take(&mut must_publish) || self.published.as_ref() != Some(&published) {
                circuit.publish(&published, self.machine.detail());
                self.published = Some(published.clone());
            }
            if effects.is_empty() {
                return published;
            }
            for effect in effects {
                self.carry_out(circuit, effect, under_way);
            }
        }
    }

    fn carry_out(&mut self, circuit: &Circuit, effect: Effect, under_way: &mut UnderWay) {
        match effect {
            Effect::Announce(transition) => self.announce(*transition),
            Effect::Start(request) => {
                let is_commanded = self.machine.is_commanded();
                let started = self.store_client(circuit).start(request, is_commanded);
                under_way.start(started);
            }
            Effect::Vote(ballot) => {
                under_way.start_ballot(self.store_client(circuit).start_ballot(ballot));
            }
            Effect::CommandResult(result) => self.end_command(result),
            Effect::Defective(attribute) => log::defective_item(&circuit.name, attribute),
        }
    }

    fn key(&self, circuit: &Circuit) -> Result<CircuitName, NameError> {
        self.environment.prefix.key(&circuit.name, circuit.is_dry_run())
    }

    fn store_client(&self, circuit: &Circuit) -> StoreClient {
        StoreClient {
            environment: Arc::clone(&self.environment),
            key: self.key(circuit).unwrap_or_else(|_| {
                // Never: the registry has refused such a name.
                circuit.name.clone()
            }),
            name: circuit.name.clone(),
            config: Arc::clone(self.machine.config()),
        }
    }

    fn answer(&mut self, circuit: &Arc<Circuit>, reply: Reply, admission: Admission) {
        match (reply, admission) {
            (Reply::Caller(reply, share), Admission::Admitted(call)) => {
                // One that has given up takes no part in a ramp.
                if call.probe.is_none()
                    && !reply.is_closed()
                    && let Some(retry_after_ms) = circuit.reject_on_ramp(share)
                {
                    let open = circuit.open_error(Duration::from_millis(retry_after_ms));
                    caught(|| reply.send(Err(open)));
                    return;
                }
                // If the caller gave up, the permit comes back and is dropped here. That
                // gives a probe's right back, which would be lost with a plain `CallId`.
                caught(|| reply.send(Ok(UndeliveredPermit::new(Arc::clone(circuit), call))));
            }
            (
                Reply::Caller(reply, _),
                Admission::Rejected | Admission::Wait | Admission::WaitBriefly,
            ) => {
                // One that has given up was told before.
                if !reply.is_closed() {
                    circuit.counts.reject();
                }
                let open = self.rejection(circuit);
                caught(|| reply.send(Err(open)));
            }
            (Reply::OfferedProbe, Admission::Admitted(call)) => self.offer_probe(circuit, call),
            (
                Reply::OfferedProbe,
                Admission::Rejected | Admission::Wait | Admission::WaitBriefly,
            ) => {}
        }
    }

    fn rejection(&self, circuit: &Circuit) -> OpenError {
        circuit.open_error(self.machine.retry_after())
    }
}
