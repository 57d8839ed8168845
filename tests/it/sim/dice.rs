//! Numbers that a seed determines.

use std::time::Duration;

/// `SplitMix64`: small, and the same everywhere and for ever.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice of their own for one part, whatever the others roll.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.next())
    }

    /// A seed for what is called so.
    pub(crate) fn seed_of(seed: u64, name: &str) -> u64 {
        name.bytes().fold(seed, |seed, byte| Self(seed ^ u64::from(byte)).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From `least` to `most`, both included.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    /// Whether something of so many per cent happens.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let last = u64::try_from(from.len() - 1).unwrap();
        from[usize::try_from(self.between(0, last)).unwrap()]
    }

    /// Milliseconds from `least` to `most`, both included.
    pub(crate) fn ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }
}
