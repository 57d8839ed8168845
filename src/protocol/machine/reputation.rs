//! Whether the probes of other processes have contradicted the trips of this one.

/// Tells whether other processes have contradicted this one: their probes closed a circuit
/// that it had tripped, so that most likely its own way to the dependency is broken.
///
/// Without this, one broken process (its descriptors exhausted, its credentials wrong) trips
/// the circuit of the whole fleet again after each recovery, and rejects nearly all of the
/// fleet's good calls. With it, the broken process costs the fleet one trip.
///
/// | the trip of this process was applied, then | contradicted |
/// |---|---|
/// | other processes' probes closed the circuit | yes, until enough good calls in a row |
/// | its own probes closed it | no: the dependency had failed, and has recovered |
/// | an operator held or released it, or the record was deleted | no: no probe was made |
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reputation {
    /// True if a trip of this process was applied, and no closing has judged it yet.
    has_tripped: bool,
    /// The epoch in which it was contradicted; zero if it was not, or if good calls have
    /// ended the contradiction.
    contradicted_in: u64,
}

impl Reputation {
    /// Remembers that a trip of this process was applied, so that a closing can judge it.
    pub(super) fn trip(&mut self) {
        self.has_tripped = true;
    }

    /// Takes the trip as judged by this process's own probes, an operator or a deletion. A
    /// later closing by other processes does not contradict it.
    pub(super) fn settle(&mut self) {
        self.has_tripped = false;
    }

    /// Judges the trip by a closing of another process, into this epoch.
    pub(super) fn close_elsewhere(&mut self, by_probes: bool, epoch: u64) {
        // Taken in any case: one trip is judged once. Probes of this process would have
        // settled it before, so that `by_probes` here means probes of other processes.
        if std::mem::take(&mut self.has_tripped) && by_probes {
            self.contradicted_in = epoch;
        }
    }

    /// Ends the contradiction: this process has had enough good calls in a row, or its next
    /// trip was found not to be refuted.
    pub(super) fn restore(&mut self) {
        self.contradicted_in = 0;
    }

    pub(super) fn is_contradicted(&self) -> bool {
        self.contradicted_in != 0
    }

    pub(super) fn is_contradicted_in(&self, epoch: u64) -> bool {
        self.contradicted_in == epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_96_only_others_probes_contradict_and_only_a_trip_that_nobody_has_judged() {
        let mut reputation = Reputation::default();
        reputation.close_elsewhere(true, 2);
        assert!(!reputation.is_contradicted(), "it has not tripped");
        reputation.trip();
        reputation.close_elsewhere(false, 3);
        reputation.close_elsewhere(true, 4);
        assert!(!reputation.is_contradicted(), "an operator has released it");
        reputation.trip();
        reputation.settle();
        reputation.close_elsewhere(true, 5);
        assert!(!reputation.is_contradicted(), "its own probes had closed it");
        reputation.trip();
        reputation.close_elsewhere(true, 6);
        assert!(reputation.is_contradicted_in(6) && !reputation.is_contradicted_in(7));
        reputation.restore();
        assert!(!reputation.is_contradicted());
    }
}
