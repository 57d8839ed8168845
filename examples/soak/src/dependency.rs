//! What the calls under load call: down and back by a schedule of the seed.

use std::time::Duration;

use crate::{
    chance::{Chance, part},
    stopwatch::Stopwatch,
};

/// The dependency failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Down;

/// The dependencies of all circuits under load.
#[derive(Clone, Debug)]
pub(crate) struct Dependencies {
    pub(crate) seed: u64,
    pub(crate) hot: usize,
    pub(crate) stopwatch: Stopwatch,
}

impl Dependencies {
    /// Those called most are down for 2 s in 6 to 10, the others for 3 in 20 to 40.
    pub(crate) fn is_down(&self, circuit: usize) -> bool {
        let stream = u64::try_from(circuit).unwrap_or_default();
        let mut chance = Chance::new(self.seed, part::DEPENDENCY, stream);
        let (period, down) = match circuit < self.hot {
            true => (chance.between(6_000, 10_000), 2_000),
            false => (chance.between(20_000, 40_000), 3_000),
        };
        let period = period.as_millis();
        let offset = chance.between(0, 40_000);
        let at = self.stopwatch.now().saturating_add(offset).as_millis();
        at.checked_rem(period).is_some_and(|at| at < down)
    }

    /// One call of it.
    pub(crate) async fn answer(&self, circuit: usize, takes: Duration) -> Result<(), Down> {
        if takes > Duration::ZERO {
            tokio::time::sleep(takes).await;
        }
        if self.is_down(circuit) { Err(Down) } else { Ok(()) }
    }
}
