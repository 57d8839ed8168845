//! A fraction that all processes of a fleet draw alike.
//!
//! FNV-1a over the bytes of the circuit's name, then the mixer of SplitMix64 over that and the
//! stamp. Written out, so that no release of a library changes what processes of two versions
//! agree on.

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Returns a number from 0 up to 1, which follows from the name of a circuit and a stamp.
pub(super) fn fraction(circuit: &str, stamp: i64) -> f64 {
    let name = circuit
        .bytes()
        .fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
    let mixed = mix(name ^ mix(stamp.cast_unsigned()));
    // 32 bits, which a float holds exactly.
    let high = u32::try_from(mixed >> 32).unwrap_or_default();
    f64::from(high) / (f64::from(u32::MAX) + 1.0)
}

/// The output function of SplitMix64: each bit of the input changes half of the output.
const fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixer_is_splitmix64() {
        // The first outputs of the published generator for the seed 0.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn fractions_are_fixed_and_spread_evenly() {
        // What processes of any other version have to find as well.
        assert_eq!(fraction("payment-backend", 1_000_000).to_bits(), 4_589_182_002_539_790_336);
        let mut tenths = [0_u32; 10];
        for number in 0..10_000_u32 {
            let fraction = fraction(&format!("circuit-{number}"), 1_763_668_800);
            let tenth = (0..10_u8).find(|tenth| fraction * 10.0 < f64::from(*tenth) + 1.0);
            tenths[usize::from(tenth.unwrap())] += 1;
        }
        assert!(tenths.iter().all(|tenth| (850..1_150).contains(tenth)), "{tenths:?}");
    }
}
