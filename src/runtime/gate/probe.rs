//! What lies at the gate of probes: a verdict for the actor, and a probe on offer.
//!
//! # Memory order
//!
//! - `probe_report` is a word by itself: what is noted is taken once, whole. It is
//!   released and acquired, so that what its caller did before it noted is seen by
//!   the actor that takes it.
//! - `spare` is set after `spare_until`, released, and read before it, acquired:
//!   whoever finds an offer finds its time. The offer itself is taken by exchange:
//!   once, and a later one that is taken in its place comes with the earlier time.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use super::{Gate, STATE_BITS, STATE_MASK};
use crate::protocol::machine::{ProbeId, Report};

impl Gate {
    /// Leaves the verdict of a probe where the actor finds it; says whether none lay
    /// there. Numbers grow, so a straggler does not displace the verdict of the one
    /// probe that runs.
    pub(crate) fn note_probe(&self, probe: ProbeId, report: Report) -> bool {
        let verdict = match report {
            Report::Ignored => 0,
            Report::Success => 1,
            Report::Failure => 2,
            Report::NoVerdict => 3,
        };
        let noted = probe.get() << STATE_BITS | verdict;
        self.probe_report.fetch_max(noted, AcqRel) == 0
    }

    /// Whether a verdict was left.
    pub(crate) fn has_probe_report(&self) -> bool {
        self.probe_report.load(Acquire) != 0
    }

    /// Takes the verdict that was left.
    pub(crate) fn take_probe_report(&self) -> Option<(ProbeId, Report)> {
        let noted = self.probe_report.load(Acquire);
        if noted == 0 {
            return None;
        }
        let noted = self.probe_report.swap(0, AcqRel);
        let report = match noted & STATE_MASK {
            0 => Report::Ignored,
            1 => Report::Success,
            2 => Report::Failure,
            _ => Report::NoVerdict,
        };
        ProbeId::from_number(noted >> STATE_BITS).map(|probe| (probe, report))
    }

    /// Offers a probe to whoever asks first, until then.
    pub(crate) fn offer_spare(&self, probe: ProbeId, until_ms: u64) {
        self.spare_until.store(until_ms, Release);
        self.spare.store(probe.get(), Release);
    }

    /// Takes the probe on offer, and until when it is. One that was offered meanwhile
    /// may come with the time of the one before, which is over: the time is never a
    /// later one, unless the clock was set back in between.
    pub(crate) fn take_spare(&self) -> Option<(ProbeId, u64)> {
        if self.spare.load(Acquire) == 0 {
            return None;
        }
        let until_ms = self.spare_until.load(Acquire);
        let taken = self.spare.swap(0, AcqRel);
        ProbeId::from_number(taken).map(|probe| (probe, until_ms))
    }
}
