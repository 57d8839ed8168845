//! The process's clock, and what may be done to it.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime},
};

use fuseboard::{Clock, VirtualClock};

use crate::{answer::Failure, args::ClockKind};

/// A clock that stands until it is moved, or that time moves; the wall clock
/// runs ahead by a skew. The SDK keeps the true time.
#[derive(Debug)]
pub(crate) struct Hands {
    clock: VirtualClock,
    kind: ClockKind,
    skew_ms: AtomicI64,
}

impl Hands {
    pub(crate) fn new(kind: ClockKind, now: f64, skew: f64) -> Result<Self, Failure> {
        let clock = match kind {
            ClockKind::Real => VirtualClock::following_tokio(SystemTime::now()),
            ClockKind::Fake => {
                let start = SystemTime::UNIX_EPOCH.checked_add(span(now)?);
                VirtualClock::standing_at(start.ok_or_else(|| out_of_range(now))?)
            }
        };
        let hands = Self { clock, kind, skew_ms: AtomicI64::new(0) };
        hands.skew(skew)?;
        Ok(hands)
    }

    pub(crate) fn clock(&self) -> Clock {
        Clock::from(&self.clock)
    }

    pub(crate) fn is_real(&self) -> bool {
        self.kind == ClockKind::Real
    }

    /// What the wall clock shows.
    pub(crate) fn now(&self) -> f64 {
        let since = self.clock.wall().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or_default().as_secs_f64()
    }

    /// Lets time pass; less than none sets the wall clock back.
    pub(crate) fn advance(&self, seconds: f64) -> Result<(), Failure> {
        if seconds < 0.0 {
            self.clock.step_wall(millis(seconds)?);
        } else {
            self.clock.advance(span(seconds)?);
        }
        Ok(())
    }

    /// Lets time pass, on whichever clock.
    pub(crate) async fn sleep(&self, seconds: f64) -> Result<(), Failure> {
        if self.is_real() {
            tokio::time::sleep(span(seconds)?).await;
            Ok(())
        } else {
            self.advance(seconds)
        }
    }

    /// Brings a clock that stands to a time, before its skew.
    pub(crate) fn set(&self, now: f64) -> Result<(), Failure> {
        if self.is_real() {
            return Err(Failure::of("BadRequest", "set_time needs --clock fake"));
        }
        let skew = Duration::from_millis(self.skew_ms.load(Ordering::SeqCst).unsigned_abs());
        let ahead = self.skew_ms.load(Ordering::SeqCst) >= 0;
        let skew = if ahead { skew.as_secs_f64() } else { -skew.as_secs_f64() };
        self.advance(now - (self.now() - skew))
    }

    /// Has the wall clock run ahead by so much.
    pub(crate) fn skew(&self, seconds: f64) -> Result<(), Failure> {
        let skew_ms = millis(seconds)?;
        let before = self.skew_ms.swap(skew_ms, Ordering::SeqCst);
        self.clock.step_wall(skew_ms.saturating_sub(before));
        Ok(())
    }
}

/// A number of seconds that is none.
pub(crate) fn span(seconds: f64) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(seconds).map_err(|_| out_of_range(seconds))
}

fn millis(seconds: f64) -> Result<i64, Failure> {
    let size = Duration::from_secs_f64((span(seconds.abs())?.as_secs_f64() * 1e3).round() / 1e3);
    let size = i64::try_from(size.as_millis()).map_err(|_| out_of_range(seconds))?;
    Ok(if seconds < 0.0 { size.saturating_neg() } else { size })
}

fn out_of_range(seconds: f64) -> Failure {
    Failure::of("BadRequest", format!("{seconds} is not a number of seconds to work with"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_clock_is_where_it_was_put_ahead_by_its_skew() {
        let hands = Hands::new(ClockKind::Fake, 1_000_000.0, 0.0).unwrap();
        hands.advance(30.5).unwrap();
        hands.skew(60.0).unwrap();
        assert_eq!(hands.now(), 1_000_090.5);
        hands.set(1_000_000.0).unwrap();
        assert_eq!(hands.now(), 1_000_060.0);
        hands.skew(-2.25).unwrap();
        hands.set(1_000_100.0).unwrap();
        assert_eq!(hands.now(), 1_000_097.75);
        assert!(hands.advance(f64::NAN).is_err());
    }
}
