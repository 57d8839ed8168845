//! The source of jitter and lease tokens for a registry's circuits.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{protocol::machine::Entropy, protocol::record::LeaseToken};

/// Spreads the back-offs and elections of a registry, and makes its lease tokens. Clones draw from
/// one sequence. One pointer: each circuit has a clone.
#[derive(Clone, Debug)]
pub(super) struct Jitter(Arc<Sources>);

#[derive(Debug)]
struct Sources {
    numbers: Numbers,
    /// Comes before each token, so that the item tells who probes.
    instance: Option<Arc<str>>,
}

/// The source of numbers.
#[derive(Clone, Debug, Default)]
pub(super) enum Numbers {
    /// Asks the operating system for each number: processes that are restored from one memory
    /// image would share the state of a generator, and retry at the same instant.
    #[default]
    OperatingSystem,
    /// The state of a `SplitMix64`. It is written out here, since a library may draw other
    /// numbers after an update, and a seed would then replay nothing.
    Seeded(Arc<AtomicU64>),
}

impl Numbers {
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

impl Jitter {
    pub(super) fn new(numbers: Numbers, instance: Option<Arc<str>>) -> Self {
        Self(Arc::new(Sources { numbers, instance }))
    }
}

impl Entropy for Jitter {
    /// Returns a token that fences writes. From the operating system even with a seed: two
    /// processes with the same token could both hold the lease.
    fn token(&mut self) -> LeaseToken {
        let token = uuid::Uuid::new_v4().simple().to_string();
        match &self.0.instance {
            // Every reader compares tokens as a whole, so that the name changes nothing.
            Some(instance) => LeaseToken::new(format!("{instance}/{token}")),
            None => LeaseToken::new(token),
        }
    }

    fn jitter(&mut self) -> u8 {
        self.0.numbers.draw()
    }

    fn boxed(&self) -> Box<dyn Entropy> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeded(seed: u64) -> Jitter {
        Jitter::new(Numbers::seeded(seed), None)
    }

    fn of_system() -> Jitter {
        Jitter::new(Numbers::default(), None)
    }

    fn drawn(mut jitter: impl Entropy) -> Vec<u8> {
        (0..64).map(|_| jitter.jitter()).collect()
    }

    #[test]
    fn a_seed_gives_the_same_jitter_again() {
        assert_eq!(drawn(seeded(7)), drawn(seeded(7)));
        assert_ne!(drawn(seeded(7)), drawn(seeded(8)));
        // The first bytes of the generator's published outputs for this seed.
        assert_eq!(drawn(seeded(1_234_567))[..5], [0x59, 0x2C, 0x88, 0x3F, 0xE3]);
        let both = seeded(7);
        assert_ne!(drawn(both.clone()), drawn(both), "circuits do not draw alike");
    }

    #[test]
    fn without_a_seed_no_two_sequences_are_alike() {
        assert_ne!(drawn(of_system()), drawn(of_system()));
        let jitters = drawn(of_system());
        assert!(jitters.iter().any(|jitter| *jitter != jitters[0]), "{jitters:?}");
    }

    #[test]
    fn a_seed_makes_no_lease_token() {
        assert_ne!(seeded(7).token(), seeded(7).token());
    }

    #[test]
    fn a_token_begins_with_the_instance_if_there_is_one() {
        assert!(!of_system().token().as_str().contains('/'));
        let named = Jitter::new(Numbers::default(), Some("task-42".into())).token();
        let token = named.as_str().strip_prefix("task-42/").unwrap();
        assert!(token.len() == 32 && token.chars().all(|letter| letter.is_ascii_hexdigit()));
    }
}
