//! The source of jitter and lease tokens for a registry's circuits.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{protocol::machine::Entropy, protocol::record::LeaseToken};

/// Spreads the back-offs and elections of a registry. Clones draw from one sequence.
#[derive(Clone, Debug, Default)]
pub(super) enum Jitter {
    /// Asks the operating system for each number: processes that are restored from one memory
    /// image would share the state of a generator, and retry at the same instant.
    #[default]
    OperatingSystem,
    /// The state of a `SplitMix64`. It is written out here, since a library may draw other
    /// numbers after an update, and a seed would then replay nothing.
    Seeded(Arc<AtomicU64>),
}

impl Jitter {
    pub(super) fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(AtomicU64::new(seed)))
    }

    fn draw(&self) -> u8 {
        let first = match self {
            Self::OperatingSystem => uuid::Uuid::new_v4().into_bytes().first().copied(),
            Self::Seeded(state) => {
                let before = state.fetch_add(STEP, Ordering::Relaxed);
                mixed(before.wrapping_add(STEP)).to_be_bytes().first().copied()
            }
        };
        first.unwrap_or_default()
    }
}

/// The step of the generator's state for each number.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

fn mixed(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl Entropy for Jitter {
    /// Returns a token that fences writes. From the operating system even with a seed: two
    /// processes with the same token could both hold the lease.
    fn token(&mut self) -> LeaseToken {
        LeaseToken::new(uuid::Uuid::new_v4().simple().to_string())
    }

    fn jitter(&mut self) -> u8 {
        self.draw()
    }

    fn boxed(&self) -> Box<dyn Entropy> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(mut jitter: impl Entropy) -> Vec<u8> {
        (0..64).map(|_| jitter.jitter()).collect()
    }

    #[test]
    fn a_seed_gives_the_same_jitter_again() {
        assert_eq!(drawn(Jitter::seeded(7)), drawn(Jitter::seeded(7)));
        assert_ne!(drawn(Jitter::seeded(7)), drawn(Jitter::seeded(8)));
        // The first bytes of the generator's published outputs for this seed.
        assert_eq!(drawn(Jitter::seeded(1_234_567))[..5], [0x59, 0x2C, 0x88, 0x3F, 0xE3]);
        let both = Jitter::seeded(7);
        assert_ne!(drawn(both.clone()), drawn(both), "circuits do not draw alike");
    }

    #[test]
    fn without_a_seed_no_two_sequences_are_alike() {
        assert_ne!(drawn(Jitter::default()), drawn(Jitter::default()));
        let jitters = drawn(Jitter::default());
        assert!(jitters.iter().any(|jitter| *jitter != jitters[0]), "{jitters:?}");
    }

    #[test]
    fn a_seed_makes_no_lease_token() {
        assert_ne!(Jitter::seeded(7).token(), Jitter::seeded(7).token());
    }
}
