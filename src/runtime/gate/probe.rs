//! What the gate holds of probes: a verdict for the actor, and a probe on offer.
//!
//! # Memory order
//!
//! - `probe_report` is a word by itself: a verdict is taken once, whole. It is released and
//!   acquired, so that the actor that takes it sees what the reporting thread did before.
//! - `offered_probe` is set after `offered_until`, released, and read before it, acquired: a
//!   caller that finds an offer finds its time. The offer itself is taken by exchange: once,
//!   and a later one that is taken in its place comes with the earlier time.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use super::{Gate, STATE_BITS, STATE_MASK};
use crate::protocol::machine::{CallEnd, ProbeId};

impl Gate {
    /// Leaves the verdict of a probe for the actor; says whether there was none before.
    pub(crate) fn note_probe(&self, probe: ProbeId, report: CallEnd) -> bool {
        let verdict = match report {
            CallEnd::Ignored => 0,
            CallEnd::Success => 1,
            CallEnd::Failure => 2,
            CallEnd::Dropped => 3,
        };
        let noted = probe.get() << STATE_BITS | verdict;
        // The greatest number wins, and numbers grow: a straggler does not displace the
        // verdict of the one probe that runs, which would then wait for its lease to end.
        self.probe_report.fetch_max(noted, AcqRel) == 0
    }

    /// Whether a verdict was left.
    pub(crate) fn has_probe_report(&self) -> bool {
        self.probe_report.load(Acquire) != 0
    }

    /// Takes the verdict that was left.
    pub(crate) fn take_probe_report(&self) -> Option<(ProbeId, CallEnd)> {
        // The actor comes here after each batch: a load leaves the line in the callers' caches,
        // where the exchange would take it from them.
        let noted = self.probe_report.load(Acquire);
        if noted == 0 {
            return None;
        }
        let noted = self.probe_report.swap(0, AcqRel);
        let report = match noted & STATE_MASK {
            0 => CallEnd::Ignored,
            1 => CallEnd::Success,
            2 => CallEnd::Failure,
            _ => CallEnd::Dropped,
        };
        ProbeId::from_number(noted >> STATE_BITS).map(|probe| (probe, report))
    }

    /// Offers a probe to the first caller that asks, until then.
    pub(crate) fn offer_probe(&self, probe: ProbeId, until_ms: u64) {
        // The time first: a caller that finds the probe finds no time of an older offer
        // that has ended, and does not give a good probe back.
        self.offered_until.store(until_ms, Release);
        self.offered_probe.store(probe.get(), Release);
    }

    /// Takes the probe on offer, and until when it is. One that was offered meanwhile
    /// may come with the time of the one before, which is over: the time is never a
    /// later one, unless the clock was set back in between.
    pub(crate) fn take_offered_probe(&self) -> Option<(ProbeId, u64)> {
        // A load first, as above: each call that has to ask comes here, mostly in vain.
        if self.offered_probe.load(Acquire) == 0 {
            return None;
        }
        let until_ms = self.offered_until.load(Acquire);
        let taken = self.offered_probe.swap(0, AcqRel);
        ProbeId::from_number(taken).map(|probe| (probe, until_ms))
    }
}
