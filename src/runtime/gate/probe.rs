//! What the gate holds of probes: a verdict for the actor, and a probe on offer.
//!
//! # Memory order
//!
//! - `probe_report` is a word by itself: a verdict is taken once, whole. It is released and
//!   acquired, so that the actor that takes it sees what the reporting thread did before.
//!   The seconds of [`CallEnd::OpenFor`] fit into it, up to a year: settings allow no more.
//! - `offered_probe` is set after `offered_until`, released, and read before it, acquired: a
//!   caller that finds an offer finds its time. The offer itself is taken by exchange: once,
//!   and a later one that is taken in its place comes with the earlier time.
//! - `probe_lease` is relaxed: it is shown before the probe is handed out, by a channel or an offer.

use std::{
    num::NonZeroU32,
    sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use super::{Gate, set};
use crate::protocol::machine::{CallEnd, ProbeId};

/// The bits of a verdict that say which it is.
const VERDICT_BITS: u32 = 2;
const VERDICT_MASK: u64 = (1 << VERDICT_BITS) - 1;
/// The bits of the seconds of a [`CallEnd::OpenFor`]; zero for any other verdict. The number of
/// the probe has the 37 bits above them: 4,000 years of one probe a second.
const SECONDS_BITS: u32 = 25;
const SECONDS_MASK: u64 = (1 << SECONDS_BITS) - 1;
const PROBE_SHIFT: u32 = VERDICT_BITS + SECONDS_BITS;

impl Gate {
    /// Shows the length of leases, in nanoseconds. Called by the actor alone.
    pub(crate) fn show_probe_lease(&self, nanos: u64) {
        set(&self.probe_lease, nanos);
    }

    /// Returns the length of leases, in nanoseconds.
    pub(crate) fn probe_lease(&self) -> u64 {
        self.probe_lease.load(Relaxed)
    }

    /// Leaves the verdict of a probe for the actor; says whether there was none before.
    pub(crate) fn note_probe(&self, probe: ProbeId, report: CallEnd) -> bool {
        let (verdict, seconds) = match report {
            CallEnd::Ignored => (0, 0),
            CallEnd::Success => (1, 0),
            CallEnd::Failure => (2, 0),
            CallEnd::OpenFor(seconds) => (2, u64::from(seconds.get()).min(SECONDS_MASK)),
            CallEnd::Dropped => (3, 0),
        };
        let noted = probe.get() << PROBE_SHIFT | seconds << VERDICT_BITS | verdict;
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
        let seconds = u32::try_from(noted >> VERDICT_BITS & SECONDS_MASK).unwrap_or_default();
        let report = match (noted & VERDICT_MASK, NonZeroU32::new(seconds)) {
            (0, _) => CallEnd::Ignored,
            (1, _) => CallEnd::Success,
            (2, Some(seconds)) => CallEnd::OpenFor(seconds),
            (2, None) => CallEnd::Failure,
            _ => CallEnd::Dropped,
        };
        ProbeId::from_number(noted >> PROBE_SHIFT).map(|probe| (probe, report))
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
