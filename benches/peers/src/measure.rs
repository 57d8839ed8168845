//! Takes samples.

use std::time::Duration;

use crate::{
    subject::Lane,
    threads::Second,
    timed::{Timed, timed},
};

/// How long a sample lasts: much longer than a clock takes to read, and so
/// short that most are over before the system takes the processor away.
const SAMPLE: Duration = Duration::from_millis(1);

/// The same for two threads that never wait for each other: a busy machine seldom lets
/// two run at the same time, and not for long.
const SHORT: Duration = Duration::from_micros(250);

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
    Together(Lane, Option<Lane>, Contended),
}

/// Whether two threads may have to wait for each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Contended {
    No,
    Perhaps,
}

impl Lanes {
    /// One sample. With two threads it is the mean of all calls of both: what a
    /// call costs its caller.
    ///
    /// # Errors
    ///
    /// A call did not go as it should, so that something else was measured.
    pub(crate) fn sample(&mut self, calls: u32, second: Option<&Second>) -> Result<Sample, String> {
        let (timed, together) = match self {
            Self::Alone(lane) => (vec![timed(lane.as_mut(), calls, None)], true),
            Self::Together(first, lent, _) => {
                let both = second
                    .zip(lent.take())
                    .and_then(|(second, other)| second.together(first, other, calls))
                    .ok_or("the second thread is gone")?;
                *lent = Some(both.second);
                let together = together(&both.here, &both.there);
                (vec![both.here, both.there], together)
            }
        };
        if let Some(Timed { calls, good, .. }) = timed.iter().find(|one| one.good != one.calls) {
            return Err(format!("only {good} of {calls} calls went as they should"));
        }
        let made: f64 = timed.iter().map(|timed| f64::from(timed.calls)).sum();
        let elapsed: Duration = timed.iter().map(|timed| timed.elapsed).sum();
        Ok(Sample {
            nanos: elapsed.as_secs_f64() * 1e9 / made,
            calm: together && !timed.iter().any(|timed| timed.disturbed),
        })
    }

    /// How many calls make a sample. Warms up meanwhile.
    pub(crate) fn calibrate(&mut self, second: Option<&Second>) -> Result<u32, String> {
        let mut calls = 256_u32;
        loop {
            let nanos = self.quick_look(calls, second)?;
            let whole = self.length().as_secs_f64() * 1e9;
            if nanos * f64::from(calls) * 4.0 >= whole {
                return Ok(calls_within(whole / nanos));
            }
            calls = calls.saturating_mul(2);
        }
    }

    fn length(&self) -> Duration {
        match self {
            Self::Alone(_) | Self::Together(.., Contended::Perhaps) => SAMPLE,
            Self::Together(.., Contended::No) => SHORT,
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
            Self::Together(first, second, _) => (first, second.as_mut()),
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
