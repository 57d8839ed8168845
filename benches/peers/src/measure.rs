//! Takes samples.

use std::time::{Duration, Instant};

use crate::{
    subject::{Lane, Subject},
    threads::{Gate, Second, preemptions},
};

/// How long a sample lasts: much longer than a clock takes to read, and so
/// short that most are over before the system takes the processor away.
const SAMPLE: Duration = Duration::from_millis(1);

/// What a thread did.
pub(crate) struct Timed {
    begun: Instant,
    pub(crate) elapsed: Duration,
    /// How many calls went as they should.
    pub(crate) good: u32,
    /// The thread was taken off its processor meanwhile.
    pub(crate) disturbed: bool,
}

/// Runs a lane on this thread, after the gate if there is one.
pub(crate) fn timed(lane: &mut dyn Subject, calls: u32, gate: Option<&Gate>) -> Timed {
    if let Some(gate) = gate {
        gate.pass();
    }
    let before = preemptions();
    let begun = Instant::now();
    let good = lane.run(calls);
    let elapsed = begun.elapsed();
    Timed { begun, elapsed, good, disturbed: preemptions() != before }
}

/// Whether both threads began at the same time, to within a twentieth of what
/// they took: else one of them had the circuit to itself for a while.
fn together(one: &Timed, other: &Timed) -> bool {
    let (first, last) = (one.begun.min(other.begun), one.begun.max(other.begun));
    (last - first) * 20 <= one.elapsed.max(other.elapsed)
}

/// Nanoseconds for each call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) nanos: f64,
    /// The system did not interfere.
    pub(crate) calm: bool,
}

/// What can be sampled: one lane, or two at the same time.
pub(crate) enum Lanes {
    Alone(Lane),
    Together(Lane, Option<Lane>),
}

impl Lanes {
    /// One sample. With two threads it is the mean of what both took: what a
    /// call costs its caller.
    ///
    /// # Errors
    ///
    /// A call did not go as it should, so that something else was measured.
    pub(crate) fn sample(&mut self, calls: u32, second: Option<&Second>) -> Result<Sample, String> {
        let (timed, together) = match self {
            Self::Alone(lane) => (vec![timed(lane.as_mut(), calls, None)], true),
            Self::Together(first, lent) => {
                let both = second
                    .zip(lent.take())
                    .and_then(|(second, other)| second.together(first, other, calls))
                    .ok_or("the second thread is gone")?;
                *lent = Some(both.second);
                let together = together(&both.here, &both.there);
                (vec![both.here, both.there], together)
            }
        };
        if let Some(bad) = timed.iter().find(|timed| timed.good != calls) {
            return Err(format!("only {} of {calls} calls went as they should", bad.good));
        }
        let threads = u32::try_from(timed.len()).map_or(1.0, f64::from);
        let elapsed: Duration = timed.iter().map(|timed| timed.elapsed).sum();
        Ok(Sample {
            nanos: elapsed.as_secs_f64() * 1e9 / f64::from(calls) / threads,
            calm: together && !timed.iter().any(|timed| timed.disturbed),
        })
    }

    /// How many calls make a sample. Warms up meanwhile.
    pub(crate) fn calibrate(&mut self, second: Option<&Second>) -> Result<u32, String> {
        let mut calls = 256_u32;
        loop {
            let nanos = self.quick_look(calls, second)?;
            let whole = SAMPLE.as_secs_f64() * 1e9;
            if nanos * f64::from(calls) * 4.0 >= whole {
                return Ok(calls_within(whole / nanos));
            }
            calls = calls.saturating_mul(2);
        }
    }

    /// The shortest of three calm samples, or of all that were tried for them.
    /// Two threads that were not calm may have run one after the other, which
    /// is no measure of what they take together.
    fn quick_look(&mut self, calls: u32, second: Option<&Second>) -> Result<f64, String> {
        let (mut calm, mut any) = (Vec::new(), f64::INFINITY);
        for _ in 0..16 {
            let sample = self.sample(calls, second)?;
            any = any.min(sample.nanos);
            if sample.calm {
                calm.push(sample.nanos);
            }
            if calm.len() == 3 {
                break;
            }
        }
        Ok(calm.into_iter().min_by(f64::total_cmp).unwrap_or(any))
    }

    /// Every lane, for what is done to them outside of samples.
    pub(crate) fn each(&mut self) -> impl Iterator<Item = &mut Lane> {
        let (first, second) = match self {
            Self::Alone(lane) => (lane, None),
            Self::Together(first, second) => (first, second.as_mut()),
        };
        std::iter::once(first).chain(second)
    }
}

/// A count as near to this as need be: to within one part in sixteen.
fn calls_within(wanted: f64) -> u32 {
    let mut calls = 16_u32;
    while f64::from(calls) < wanted && calls < u32::MAX / 2 {
        calls += calls / 16;
    }
    calls
}
