//! How calm the machine was, judged by the floors alone: by what no breaker is part of.
//!
//! Time is the machine's as much as the code's. A neighbour takes the processor away (the
//! system counts that), a neighbour outside of a virtual machine takes it from all of
//! it (that is counted too, as stolen), or shares a core or a cache, which shows only in
//! what the same loop takes from one round to the next.

use std::{fmt, fs};

use crate::{
    measure::Sample,
    statistics::{self, ENOUGH, calm},
};

/// Of the samples, at least this share was not disturbed.
const UNDISTURBED: f64 = 0.9;
/// Of the processors' time, at most this share was stolen by other machines.
const STOLEN: f64 = 0.02;
/// What the loop of a floor took in a slow round (p90), of a fast one (p10): the middle of all
/// floors.
const UNSTEADY: f64 = 1.25;

/// What is known of the machine during the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calm {
    undisturbed: Option<f64>,
    stolen: Option<f64>,
    unsteady: Option<f64>,
}

impl Calm {
    /// By the samples of the floors, and by what was stolen since `begun`.
    pub(crate) fn during(begun: Stolen, floors: &[&[Option<Sample>]]) -> Self {
        let taken: Vec<_> = floors.iter().flat_map(|floor| floor.iter().flatten()).collect();
        let undisturbed = taken.iter().filter(|sample| sample.calm).count();
        let mut unsteady: Vec<_> = floors
            .iter()
            .filter_map(|floor| statistics::spread(floor))
            .map(|spread| spread.p90 / spread.p10)
            .collect();
        unsteady.sort_unstable_by(f64::total_cmp);
        Self {
            undisturbed: share(undisturbed, taken.len()),
            stolen: Stolen::now().since(begun),
            unsteady: unsteady.get(unsteady.len() / 2).copied(),
        }
    }

    /// Whether its times say something of the code. What a system does not tell is not held
    /// against it, but for the floors, which are always there.
    pub(crate) fn is_calm(&self) -> bool {
        self.undisturbed.is_some_and(|share| share >= UNDISTURBED)
            && self.stolen.is_none_or(|share| share <= STOLEN)
            && self.unsteady.is_some_and(|ratio| ratio <= UNSTEADY)
    }
}

impl fmt::Display for Calm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calm = if self.is_calm() { "calm" } else { "not calm" };
        write!(
            f,
            "The machine was {calm}: {} of the floors' samples undisturbed (at least {}), {} of its \
             time stolen (at most {}), a floor in a slow round {} of a fast one (at most {UNSTEADY}).",
            percent(self.undisturbed),
            percent(Some(UNDISTURBED)),
            percent(self.stolen),
            percent(Some(STOLEN)),
            self.unsteady.map_or_else(|| "?".to_owned(), |ratio| format!("{ratio:.2}")),
        )
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "?".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

fn share(some: usize, all: usize) -> Option<f64> {
    let (some, all) = (u32::try_from(some).ok()?, u32::try_from(all).ok()?);
    (all > 0).then(|| f64::from(some) / f64::from(all))
}

/// The calmest rounds: the quarter in which the floors took least, or as many as it needs to
/// say something. A round in which most floors were disturbed is none of them.
pub(crate) fn calmest(rounds: usize, floors: &[&[Option<Sample>]]) -> Vec<bool> {
    let least: Vec<_> = floors.iter().map(|floor| statistics::spread(floor)).collect();
    let slowness = |round: usize| {
        let of_floors: Vec<_> = floors
            .iter()
            .zip(&least)
            .filter_map(|(floor, least)| Some(calm(floor.get(round)?)? / least.as_ref()?.p10))
            .collect();
        let known = u32::try_from(of_floors.len()).ok()?;
        let enough = of_floors.len() * 2 > floors.len();
        enough.then(|| of_floors.iter().sum::<f64>() / f64::from(known))
    };
    let slowness: Vec<_> = (0..rounds).map(slowness).collect();
    let mut sorted: Vec<_> = slowness.iter().copied().flatten().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let wanted = (sorted.len() / 4).max(2 * ENOUGH).min(sorted.len());
    let most = wanted.checked_sub(1).and_then(|last| sorted.get(last).copied());
    slowness
        .into_iter()
        .map(|round| round.zip(most).is_some_and(|(round, most)| round <= most))
        .collect()
}

/// What the hypervisor gave to others, in ticks of all processors; nothing where the system
/// does not tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stolen(Option<(u64, u64)>);

impl Stolen {
    /// Until now.
    pub(crate) fn now() -> Self {
        let of_all = |text: &str| {
            // user, nice, system, idle, iowait, irq, softirq, steal
            let line = text.lines().next()?.strip_prefix("cpu ")?;
            let ticks: Vec<u64> = line
                .split_whitespace()
                .take(8)
                .map(|word| word.parse().ok())
                .collect::<Option<_>>()?;
            Some((*ticks.get(7)?, ticks.iter().sum()))
        };
        Self(fs::read_to_string("/proc/stat").ok().as_deref().and_then(of_all))
    }

    /// As a share of all time since then.
    fn since(self, then: Self) -> Option<f64> {
        let ((stolen, all), (stolen_then, all_then)) = (self.0?, then.0?);
        let stolen = usize::try_from(stolen.checked_sub(stolen_then)?).ok()?;
        share(stolen, usize::try_from(all.checked_sub(all_then)?).ok()?)
    }
}
