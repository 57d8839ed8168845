//! Traffic through a circuit, and what came of it.

use std::{io, time::Duration};

use fastrand::Rng;
use fuseboard::Config;

use crate::{
    circuit::{Circuit, Ending},
    weather::Weather,
};

/// Calls that come at random, so many a second on average.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) rate: f64,
    pub(crate) lasting: Duration,
    pub(crate) seed: u64,
    /// Whether all is known once the circuit has opened.
    pub(crate) until_opened: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// How often the circuit went from closed to open.
    pub(crate) openings: u32,
    /// The first opening since the trouble began: the calls that failed until then, and when.
    pub(crate) opened: Option<(u32, Duration)>,
}

impl Traffic {
    /// Runs the traffic; calls `each` with every call, its time and its end.
    pub(crate) fn run(
        self,
        config: &Config,
        weather: Weather,
        mut each: impl FnMut(Duration, Ending),
    ) -> io::Result<Run> {
        let circuit = Circuit::new(config)?;
        let mut random = Rng::with_seed(self.seed);
        let (mut run, mut failed, mut at) = (Run::default(), 0_u32, Duration::ZERO);
        let mut was_open = false;
        loop {
            // Between two calls of a Poisson process.
            let wait = Duration::from_secs_f64(-(1.0 - random.f64()).ln() / self.rate);
            at = at.saturating_add(wait);
            if at >= self.lasting || self.until_opened && run.opened.is_some() {
                return Ok(run);
            }
            circuit.advance(wait);
            let ending = circuit.call(weather.is_good(at, failed, &mut random));
            each(at, ending);
            let has_begun = at >= weather.begins_at();
            if ending == Ending::Failed {
                failed = failed.saturating_add(u32::from(has_begun));
            }
            // Only a failure opens it, and only other calls find that it has closed.
            let is_open = (was_open || ending == Ending::Failed) && circuit.is_open();
            if is_open && !was_open {
                run.openings = run.openings.saturating_add(1);
                if has_begun && run.opened.is_none() {
                    run.opened = Some((failed, at));
                }
            }
            was_open = is_open;
        }
    }
}
