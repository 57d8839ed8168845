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
pub(crate) fn spread(samples: &[Option<Sample>]) -> Option<Spread> {
    of(samples.iter().filter_map(calm).collect())
}

/// The median of the ratios of two subjects, each of one of these rounds in which both
/// were calm. Where a busy machine left too few such rounds, the ratio of the medians of
/// what was calm of each, in the same run.
pub(crate) fn ratio(
    of_these: &[Option<Sample>],
    to_those: &[Option<Sample>],
    rounds: &[bool],
) -> Option<f64> {
    let in_rounds = of_these.iter().zip(to_those).zip(rounds).filter(|(_, counts)| **counts);
    let ratios = in_rounds.filter_map(|((this, that), _)| Some(calm(this)? / calm(that)?));
    match of(ratios.collect()) {
        Some(ratios) => Some(ratios.median),
        None => Some(spread(of_these)?.median / spread(to_those)?.median),
    }
}

/// The median of what one costs more than another, in terms of a third: each of one of these
/// rounds in which all three were calm, or as [`ratio`] has it.
pub(crate) fn beyond(
    these: &[Option<Sample>],
    those: &[Option<Sample>],
    unit: &[Option<Sample>],
    rounds: &[bool],
) -> Option<f64> {
    let in_rounds = these.iter().zip(those).zip(unit).zip(rounds).filter(|(_, counts)| **counts);
    let beyond = in_rounds
        .filter_map(|(((this, that), unit), _)| Some((calm(this)? - calm(that)?) / calm(unit)?));
    match of(beyond.collect()) {
        Some(beyond) => Some(beyond.median),
        None => {
            let more = spread(these)?.median - spread(those)?.median;
            Some(more / spread(unit)?.median)
        }
    }
}

pub(crate) fn calm(sample: &Option<Sample>) -> Option<f64> {
    sample.filter(|sample| sample.calm).map(|sample| sample.nanos)
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
