//! How the outcome of a call gets to the actor.
//!
//! The protocol is here and the way to the actor is the caller's ([`Post`]), so
//! that what runs is what the checker of interleavings drives.

use super::{Gate, Noted};
use crate::machine::{Pass, Report};

/// The way from one call to the actor: a mailbox of bounded room.
pub(crate) trait Post {
    /// What a caller may wait for: its outcome, and all before it, were settled.
    type Answer;

    /// Sends an outcome; `asks` for an answer, or not.
    fn send(&self, report: Report, asks: bool) -> Result<Option<Self::Answer>, Refused>;

    /// Runs what leaves an outcome at the gate, keeps account of it, and wakes
    /// the actor.
    fn leave(&self, note: impl FnOnce() -> Noted);

    /// The answer for what was left at the gate.
    fn answer_to_noted(&self) -> Self::Answer;
}

/// Why the mailbox did not take an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is full.
    Full,
    /// Nobody is left to count.
    Gone,
}

impl Gate {
    /// Reports an outcome that is not silent. The answer is for outcomes that may
    /// lead to a write: those of probes, and a failure that may be the last that
    /// the threshold allows.
    pub(crate) fn report<P: Post>(
        &self,
        pass: Pass,
        report: Report,
        threshold: u64,
        post: &P,
    ) -> Option<P::Answer> {
        let decisive = match (pass.probe, report) {
            (Some(_), _) => true,
            (None, Report::Failure) => self.mark_failure() >= threshold,
            (None, Report::Success) => false,
            (None, Report::Ignored | Report::NoVerdict) => return None,
        };
        let answer = self.deliver(pass, report, decisive, post);
        // Another failure, marked after this one, may have been counted before it: then
        // this one is the last that the threshold allows, and did not know. A trip that
        // has been settled meanwhile is seen by whoever reads that it was.
        if pass.probe.is_none()
            && report == Report::Failure
            && !decisive
            && self.unsettled() >= threshold
        {
            return self.deliver(pass, Report::NoVerdict, true, post);
        }
        answer
    }

    /// Sends an outcome, or leaves it at the gate behind those that found no room.
    fn deliver<P: Post>(
        &self,
        pass: Pass,
        report: Report,
        decisive: bool,
        post: &P,
    ) -> Option<P::Answer> {
        let noted = || decisive.then(|| post.answer_to_noted());
        if pass.probe.is_none() && self.note_overflow(pass.epoch, report, false) != Noted::Not {
            return noted();
        }
        match post.send(report, decisive) {
            Ok(answer) => answer,
            Err(Refused::Gone) => None,
            Err(Refused::Full) => {
                post.leave(|| match pass.probe {
                    Some(probe) => self.note_probe(probe, report),
                    None => self.note_overflow(pass.epoch, report, true),
                });
                noted()
            }
        }
    }
}
