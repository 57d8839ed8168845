//! What many samples say.

use crate::measure::Sample;

/// With fewer calm samples than that, nothing is said.
pub(crate) const ENOUGH: usize = 20;

/// The middle, and where the lowest and the highest tenth begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) p10: f64,
    pub(crate) median: f64,
    pub(crate) p90: f64,
}

/// Of the calm samples of one subject.
pub(crate) fn spread(samples: &[Sample]) -> Option<Spread> {
    of(samples.iter().filter(|sample| sample.calm).map(|sample| sample.nanos).collect())
}

/// Of the ratios of two subjects, each of one round in which both were calm.
pub(crate) fn ratio(of_these: &[Sample], to_those: &[Sample]) -> Option<Spread> {
    let calm = of_these.iter().zip(to_those).filter(|(this, that)| this.calm && that.calm);
    of(calm.map(|(this, that)| this.nanos / that.nanos).collect())
}

fn of(mut numbers: Vec<f64>) -> Option<Spread> {
    if numbers.len() < ENOUGH {
        return None;
    }
    numbers.sort_unstable_by(f64::total_cmp);
    let last = numbers.len().checked_sub(1)?;
    let at = |tenths: usize| numbers.get((last * tenths + 5) / 10).copied();
    Some(Spread { p10: at(1)?, median: at(5)?, p90: at(9)? })
}
