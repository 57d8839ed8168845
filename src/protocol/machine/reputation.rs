//! What other processes have shown of this process's trips.

/// Whether others have contradicted this process: their probes closed a circuit that it
/// had tripped, so that most likely its own way to the dependency is broken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reputation {
    /// Whether a trip of this process was applied, and nobody has judged it yet.
    has_tripped: bool,
    /// The epoch in which it was contradicted. Zero is none, or one that good calls have
    /// ended.
    contradicted_in: u64,
}

impl Reputation {
    /// A trip of this process was applied: it is heard.
    pub(super) fn trip(&mut self) {
        self.has_tripped = true;
    }

    /// This process's own probes, an operator, or a deletion has judged the trip: others'
    /// probes can contradict it no more.
    pub(super) fn settle(&mut self) {
        self.has_tripped = false;
    }

    /// The circuit was closed elsewhere, into this epoch. Own probes would have settled
    /// the trip before.
    pub(super) fn close_elsewhere(&mut self, by_probes: bool, epoch: u64) {
        if std::mem::take(&mut self.has_tripped) && by_probes {
            self.contradicted_in = epoch;
        }
    }

    /// Enough good calls in a row of its own have ended the contradiction, or its trip was
    /// not refuted.
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
