//! What lies at the gate of probes: a verdict for the actor, and a probe on offer.
//!
//! # Memory order
//!
//! - `probe_report` is a word by itself: what is noted is taken once, whole. It is
//!   released and acquired, so that what its caller did before it noted is seen by
//!   the actor that takes it.
//! - `offered_probe` is set after `offered_until`, released, and read before it, acquired:
//!   whoever finds an offer finds its time. The offer itself is taken by exchange:
//!   once, and a later one that is taken in its place comes with the earlier time.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use super::{Gate, STATE_BITS, STATE_MASK};
use crate::protocol::machine::{CallEnd, ProbeId};

impl Gate {
    /// Leaves the verdict of a probe where the actor finds it; says whether none lay
    /// there. Numbers grow, so a straggler does not displace the verdict of the one
    /// probe that runs.
    pub(crate) fn note_probe(&self, probe: ProbeId, report: CallEnd) -> bool {
        let verdict = match report {
            CallEnd::Ignored => 0,
            CallEnd::Success => 1,
            CallEnd::Failure => 2,
            CallEnd::Dropped => 3,
        };
        let noted = probe.get() << STATE_BITS | verdict;
        self.probe_report.fetch_max(noted, AcqRel) == 0
    }

    /// Whether a verdict was left.
    pub(crate) fn has_probe_report(&self) -> bool {
        self.probe_report.load(Acquire) != 0
    }

    /// Takes the verdict that was left.
    pub(crate) fn take_probe_report(&self) -> Option<(ProbeId, CallEnd)> {
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

    /// Offers a probe to whoever asks first, until then.
    pub(crate) fn offer_probe(&self, probe: ProbeId, until_ms: u64) {
        self.offered_until.store(until_ms, Release);
        self.offered_probe.store(probe.get(), Release);
    }

    /// Takes the probe on offer, and until when it is. One that was offered meanwhile
    /// may come with the time of the one before, which is over: the time is never a
    /// later one, unless the clock was set back in between.
    pub(crate) fn take_offered_probe(&self) -> Option<(ProbeId, u64)> {
        if self.offered_probe.load(Acquire) == 0 {
            return None;
        }
        let until_ms = self.offered_until.load(Acquire);
        let taken = self.offered_probe.swap(0, AcqRel);
        ProbeId::from_number(taken).map(|probe| (probe, until_ms))
    }
}
