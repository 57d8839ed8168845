//! What is sampled: a loop around one call, and for asynchronous calls a loop
//! around one `.await`, inside of one future.

use std::{
    future::{Future, poll_fn},
    hint::{black_box, spin_loop},
    mem::replace,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Failures in a row that open a circuit, where that can be set.
pub(crate) const THRESHOLD: u8 = 5;

/// Longer than any run: an open circuit stays open, a fresh one fresh.
pub(crate) const LONG: Duration = Duration::from_secs(86_400);

/// The error of a call that fails, or was rejected where a peer wants one type
/// for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    Inner,
    Rejected,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Failed {}

/// The trivial success that every call is made of.
#[inline]
pub(crate) fn success() -> Result<u64, Failed> {
    Ok(black_box(7))
}

/// The same as a future, of an `async fn`, as a user's call is.
///
/// `std::future::Ready` keeps its result in memory, and to take it out may be to
/// load words that lie across those just stored, for which the processor waits
/// as long as for many a breaker. Where a crate runs that cheaper all the same,
/// it gets that.
#[inline]
pub(crate) async fn ready_success() -> Result<u64, Failed> {
    success()
}

/// The same after it has pended once.
pub(crate) async fn pending_success() -> Result<u64, Failed> {
    let mut has_pended = false;
    poll_fn(|_| if replace(&mut has_pended, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    success()
}

/// The failure that trips.
pub(crate) fn failure() -> Result<u64, Failed> {
    Err(Failed::Inner)
}

/// Uses a whole duration, number by number: one that is stored in two parts and
/// read back as one would stall the processor.
#[inline]
pub(crate) fn is_some_time(duration: Duration) -> bool {
    black_box(duration.as_secs()) != 0 || black_box(duration.subsec_nanos()) != 0
}

/// One user of one circuit.
pub(crate) trait Subject: Send {
    /// Makes so many calls; returns how many went as they should.
    fn run(&mut self, calls: u32) -> u32;

    /// Makes one call that fails.
    fn fail(&mut self);
}

/// A subject that can be handed to a thread.
pub(crate) type Lane = Box<dyn Subject>;

/// A lane that calls by one closure and fails by another.
///
/// The loop is compiled for each call on its own, as a user's would be. What a
/// call is made on is hidden from the compiler every time, so that nothing of
/// it is kept in registers from one call to the next, and what comes of it is
/// used, so that nothing of it is left out. Both cost the same for all: see
/// the loop itself among the floors.
pub(crate) fn lane<S, C, F>(on: S, call: C, fail: F) -> Lane
where
    S: Send + 'static,
    C: FnMut(&mut S) -> bool + Send + 'static,
    F: FnMut(&mut S) + Send + 'static,
{
    Box::new(Driven { on, call, fail })
}

struct Driven<S, C, F> {
    on: S,
    call: C,
    fail: F,
}

impl<S, C, F> Subject for Driven<S, C, F>
where
    S: Send,
    C: FnMut(&mut S) -> bool + Send,
    F: FnMut(&mut S) + Send,
{
    #[inline(never)]
    fn run(&mut self, calls: u32) -> u32 {
        let mut good = 0;
        for _ in 0..calls {
            good += u32::from(black_box((self.call)(black_box(&mut self.on))));
        }
        good
    }

    fn fail(&mut self) {
        (self.fail)(&mut self.on);
    }
}

/// A lane that calls by an asynchronous closure.
///
/// The loop is one future, which is polled once for all its calls if none of
/// them waits: each call is awaited where it is made, as in any `async fn`, and
/// pays for no poll of its own from outside. What is hidden, and used, is the
/// same as for [`lane`]; see "a ready future" among the floors.
pub(crate) fn async_lane<S, C, F>(on: S, call: C, fail: F) -> Lane
where
    S: Send + 'static,
    C: AsyncFnMut(&mut S) -> bool + Send + 'static,
    F: FnMut(&mut S) + Send + 'static,
{
    Box::new(Awaited { on, call, fail })
}

struct Awaited<S, C, F> {
    on: S,
    call: C,
    fail: F,
}

impl<S, C, F> Subject for Awaited<S, C, F>
where
    S: Send,
    C: AsyncFnMut(&mut S) -> bool + Send,
    F: FnMut(&mut S) + Send,
{
    #[inline(never)]
    fn run(&mut self, calls: u32) -> u32 {
        finish(async {
            let mut good = 0;
            for _ in 0..calls {
                good += u32::from(black_box((self.call)(black_box(&mut self.on)).await));
            }
            good
        })
    }

    fn fail(&mut self) {
        (self.fail)(&mut self.on);
    }
}

/// Runs a future to its end on this thread, by asking again.
///
/// The cheapest there is, and the same for all: no waker to clone, no thread to
/// park, no runtime to enter. A loop of calls that are ready costs one poll.
/// Only tower-resilience-circuitbreaker, whose lock is asynchronous, is ever
/// asked twice, and only with two threads; asking again is then cheaper than
/// being woken.
#[inline]
pub(crate) fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        spin_loop();
    }
}
