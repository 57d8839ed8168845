//! Chance that can be replayed: every choice is a function of the seed.

use std::time::Duration;

/// A stream of numbers (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The stream of one part of the run. Streams of one seed differ.
    pub(crate) fn new(seed: u64, part: u64, number: u64) -> Self {
        let mut mixed = Self(seed);
        mixed.0 = mixed.next() ^ part;
        mixed.0 = mixed.next() ^ number;
        mixed
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; zero if there is none.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }

    /// An index of a list of this length.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        let end = u64::try_from(length).unwrap_or(u64::MAX);
        usize::try_from(self.below(end)).unwrap_or(0)
    }

    /// A duration in whole milliseconds.
    pub(crate) fn between(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        let span = most_ms.saturating_sub(least_ms).saturating_add(1);
        Duration::from_millis(least_ms.saturating_add(self.below(span)))
    }
}

/// The parts of a run that draw from the seed.
pub(crate) mod part {
    pub(crate) const WEATHER: u64 = 1;
    pub(crate) const FATE: u64 = 2;
    pub(crate) const DEPENDENCY: u64 = 3;
    pub(crate) const DRIVER: u64 = 4;
    pub(crate) const CONDUCTOR: u64 = 5;
    pub(crate) const CALLER: u64 = 6;
    pub(crate) const CHECKER: u64 = 7;
}
