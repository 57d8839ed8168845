//! How a path is timed where one closure for each call would time the harness.

use std::{
    hint::black_box,
    sync::{
        Barrier, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use criterion::Bencher;

/// Times an expression that awaits, in a loop within one future.
macro_rules! in_one_future {
    ($bencher:expr, $call:expr) => {
        $bencher.iter_custom(|calls| {
            futures::executor::block_on(async {
                let started = std::time::Instant::now();
                for _ in 0..calls {
                    let _ = std::hint::black_box($call);
                }
                started.elapsed()
            })
        })
    };
}
pub(crate) use in_one_future;

/// How many calls a sample has at most whose time between is not timed: criterion
/// would ask for as many as fill its time with what is.
const MOST_IN_TURN: u64 = 64;

/// Times calls one by one, with something between them that is not timed. Adds two
/// readings of the clock to each.
pub(crate) fn in_turn<T>(
    bencher: &mut Bencher<'_>,
    mut call: impl FnMut() -> T,
    mut between: impl FnMut(),
) {
    bencher.iter_custom(|calls| {
        let made = calls.clamp(1, MOST_IN_TURN);
        let mut all = Duration::ZERO;
        for _ in 0..made {
            let started = Instant::now();
            black_box(call());
            all = all.saturating_add(started.elapsed());
            between();
        }
        let mean = Duration::div_duration_f64(all, Duration::from_nanos(made));
        Duration::from_nanos(calls).mul_f64(mean)
    });
}

/// Times two threads that begin together: the slower one's time, each having made
/// all the calls.
pub(crate) fn two_threads(bencher: &mut Bencher<'_>, run: impl Fn(u64) + Sync) {
    bencher.iter_custom(|calls| {
        let (begin, slowest) = (Barrier::new(2), Mutex::new(Duration::ZERO));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    begin.wait();
                    let started = Instant::now();
                    run(calls);
                    let took = started.elapsed();
                    let mut slowest = slowest.lock().unwrap_or_else(PoisonError::into_inner);
                    *slowest = took.max(*slowest);
                });
            }
        });
        slowest.into_inner().unwrap_or_else(PoisonError::into_inner)
    });
}

/// Times calls on this thread while another does something else, over and over.
pub(crate) fn beside(bencher: &mut Bencher<'_>, other: impl Fn() + Sync, run: impl Fn(u64)) {
    bencher.iter_custom(|calls| {
        let (begin, is_over) = (Barrier::new(2), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                begin.wait();
                while !is_over.load(Ordering::Relaxed) {
                    other();
                }
            });
            begin.wait();
            let started = Instant::now();
            run(calls);
            let took = started.elapsed();
            is_over.store(true, Ordering::Relaxed);
            took
        })
    });
}
