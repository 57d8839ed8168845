//! The two words at the gate that are about probes: the probe that the actor offers there to a
//! call that does not wait, and the verdict of a probe that found the mailbox full.

use std::time::Duration;

use super::Actor;
use crate::{
    protocol::machine::{CallEnd, CallId},
    protocol::moment::{self, Moment},
    runtime::circuit::Circuit,
    runtime::circuit::message::Settle,
    runtime::metrics,
};

/// The probe that is on offer at the gate.
pub(super) struct OfferedProbe {
    probe: CallId,
    since: Moment,
    /// The offer ends this long after `since`.
    offer: Duration,
}

impl Actor {
    /// Offers a probe at the gate, to the first call that comes.
    pub(super) fn offer_probe(&mut self, circuit: &Circuit, call: CallId) {
        let Some(probe) = call.probe else {
            return;
        };
        let since = self.clock().now();
        let offer = self.machine.probe_offer();
        // The gate has an end of its own: while the process is frozen this actor cannot
        // withdraw the offer, and a call after the thaw must not run under a dead lease.
        let until_ms = since.wall_ms().saturating_add(moment::millis(offer));
        circuit.gate.offer_probe(probe, until_ms);
        self.offered_probe = Some(Box::new(OfferedProbe { probe: call, since, offer }));
    }

    /// Returns the time until the offer ends, if there is one.
    pub(super) fn offer_ends_in(&self) -> Option<Duration> {
        let offered = self.offered_probe.as_ref()?;
        Some(offered.offer.saturating_sub(self.clock().now().since(offered.since)))
    }

    /// Gives an offered probe back if no call took it in time, or while a flush runs, so that
    /// other processes may probe. A probe that the machine no longer knows belongs to a
    /// state that is over: it is taken off the gate too, or a call would run with it.
    pub(super) fn withdraw_offered_probe(&mut self, circuit: &Circuit, now: Moment) {
        let Self { machine, offered_probe, is_resigning, .. } = self;
        let Some(offered) = offered_probe.take_if(|offered| {
            let has_ended = *is_resigning || now.since(offered.since) >= offered.offer;
            has_ended || !machine.is_probing(offered.probe)
        }) else {
            return;
        };
        // If the gate is empty a call took the probe before us, and reports on it itself.
        if circuit.gate.take_offered_probe().is_some() {
            self.machine.report(now, offered.probe, CallEnd::Dropped);
        }
    }

    /// Takes the verdict of a probe from the gate. Handles leave it there only when the
    /// mailbox is full, so it is newer than every message: taken before they are, it would
    /// overtake the outcome of an earlier probe.
    pub(super) fn take_probe_report(&mut self, circuit: &Circuit, now: Moment) {
        if !self.mailbox.is_empty() {
            return;
        }
        if let Some((probe, end)) = circuit.gate.take_probe_report() {
            // The word at the gate counts as one pending outcome. `resume` takes that count
            // over, so that `flush` goes on waiting until the verdict is written.
            self.settles.push(Settle::unclaimed(circuit.pending.resume()));
            let call = CallId { epoch: circuit.gate.epoch(), probe: Some(probe) };
            self.count_probe(circuit, call, end);
            self.machine.report(now, call, end);
        }
    }

    /// Counts the end of the current probe, for the metrics.
    pub(super) fn count_probe(&self, circuit: &Circuit, call: CallId, end: CallEnd) {
        if self.machine.is_probing(call) {
            metrics::probe(&circuit.label(), end);
        }
    }
}
