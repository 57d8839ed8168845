//! Good calls by thread, and epochs that begin beside them.

use ::loom::sync::Arc;

use super::*;
use crate::{
    config::{Config, Rule},
    protocol::counting::{Counting, Rules},
    protocol::moment::Moment,
    runtime::slots::Slots,
    runtime::sync::Mutex,
};

/// Counts good calls of one epoch in threads of so many each, none of which waits for
/// another; says how many were counted.
fn counted_by(threads: &[u64]) -> u64 {
    let slots = Arc::new(Slots::new(1));
    let counts: Vec<_> = threads
        .iter()
        .map(|calls| {
            let (slots, calls) = (Arc::clone(&slots), *calls);
            in_thread(move || (0..calls).for_each(|_| slots.count_good(1)))
        })
        .collect();
    counts.into_iter().for_each(|thread| thread.join().unwrap());
    slots.place(1)
}

#[test]
fn a_thread_that_takes_the_line_of_one_that_has_ended_loses_no_good_call() {
    // Any of them may have ended before the next takes a line, and may not.
    explore(None, || assert_eq!(counted_by(&[1, 1]), 2));
    explore(Some(3), || assert_eq!(counted_by(&[2, 2]), 4));
}

#[test]
fn threads_that_share_a_line_lose_no_good_call() {
    // The first two have lines of their own.
    explore(Some(2), || assert_eq!(counted_by(&[1, 1, 1]), 3));
    explore(Some(1), || assert_eq!(counted_by(&[1, 1, 1, 1]), 4));
}

/// What a failing call and a turn of the actor do under the mutex, without a circuit.
struct Tally {
    gate: Gate,
    slots: Slots,
    counting: Mutex<Counting>,
}

/// What `Tally::show` of the circuit does.
fn show(gate: &Gate, counting: &Counting) {
    let watch = if counting.needs_good_calls() { Watch::Count } else { Watch::Nothing };
    gate.show_counting(watch, counting.is_failing());
}

impl Tally {
    fn new(threshold: u32) -> Arc<Self> {
        Self::with(&Config::builder().failure_threshold(threshold).build().unwrap())
    }

    fn of_last(failures: u32, calls: u32) -> Arc<Self> {
        let builder = Config::builder().failure_threshold(u32::MAX);
        Self::with(&builder.also_trip(Rule::of_last(failures, calls)).build().unwrap())
    }

    fn with(config: &Config) -> Arc<Self> {
        let counting = Mutex::new(Counting::new(Rules::new(config), 1));
        Arc::new(Self { gate: Gate::new(), slots: Slots::new(1), counting })
    }

    fn fail(&self, epoch: u64) {
        let mut counting = self.counting.lock().unwrap();
        if epoch < counting.epoch() {
            return;
        }
        let last_place = self.slots.place(counting.epoch());
        counting.start_epoch(epoch, last_place, false);
        counting.failure(self.slots.place(epoch), Moment::default());
        show(&self.gate, &counting);
    }

    fn succeed(&self, epoch: u64) {
        if self.gate.watch() == Watch::Count {
            self.slots.count_good(epoch);
        }
    }

    fn start(&self, epoch: u64) {
        let mut counting = self.counting.lock().unwrap();
        let last_place = self.slots.place(counting.epoch());
        counting.start_epoch(epoch, last_place, false);
        let place = self.slots.place(counting.epoch());
        counting.forget_past(place, Moment::default());
        show(&self.gate, &counting);
    }

    fn has_tripped(&self, epoch: u64) -> bool {
        let counting = self.counting.lock().unwrap();
        counting.trip().is_some_and(|trip| trip.epoch == epoch)
    }
}

#[test]
fn case_13_a_straggler_of_an_older_epoch_breaks_no_streak_of_a_newer_one() {
    explore(Some(3), || {
        let tally = Tally::new(2);
        tally.fail(1);
        let straggler = Arc::clone(&tally);
        let straggler = in_thread(move || straggler.succeed(1));
        tally.start(2);
        tally.fail(2);
        tally.fail(2);
        straggler.join().unwrap();
        assert!(tally.has_tripped(2), "two failures in a row, of one epoch");
    });
}

#[test]
fn a_failure_that_knows_of_an_epoch_before_it_is_counted_counts_in_it() {
    explore(Some(3), || {
        let tally = Tally::new(2);
        tally.fail(1);
        let actor = Arc::clone(&tally);
        let actor = in_thread(move || actor.start(2));
        let other = Arc::clone(&tally);
        let other = in_thread(move || other.fail(2));
        tally.fail(2);
        other.join().unwrap();
        actor.join().unwrap();
        assert!(tally.has_tripped(2));
    });
}

#[test]
fn a_good_call_between_two_failures_of_a_thread_parts_them_beside_others() {
    explore(Some(2), || {
        let tally = Tally::new(2);
        let other = Arc::clone(&tally);
        let other = in_thread(move || other.succeed(1));
        tally.fail(1);
        tally.succeed(1);
        tally.fail(1);
        other.join().unwrap();
        assert!(!tally.has_tripped(1));
        tally.fail(1);
        tally.fail(1);
        assert!(tally.has_tripped(1));
    });
}

#[test]
fn case_102_calls_of_a_thread_are_so_far_apart_as_it_made_them_beside_others() {
    explore(Some(2), || {
        let tally = Tally::of_last(2, 3);
        let other = Arc::clone(&tally);
        let other = in_thread(move || other.succeed(1));
        tally.fail(1);
        tally.succeed(1);
        tally.succeed(1);
        other.join().unwrap();
        tally.fail(1);
        assert!(!tally.has_tripped(1), "two of four or five");
        tally.succeed(1);
        tally.fail(1);
        assert!(tally.has_tripped(1), "two of three");
    });
}

#[test]
fn case_102_failures_that_no_order_of_the_calls_parts_trip() {
    explore(Some(3), || {
        let tally = Tally::of_last(2, 3);
        let threads = [1, 2].map(|_| {
            let tally = Arc::clone(&tally);
            in_thread(move || {
                tally.fail(1);
                tally.succeed(1);
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(tally.has_tripped(1), "one good call lies between them, or none");
    });
}

#[test]
fn case_105_good_calls_beside_each_other_are_all_counted_between_two_failures() {
    explore(Some(2), || {
        let tally = Tally::of_last(2, 4);
        tally.fail(1);
        let other = Arc::clone(&tally);
        let other = in_thread(move || other.succeed(1));
        tally.succeed(1);
        tally.succeed(1);
        other.join().unwrap();
        tally.fail(1);
        assert!(!tally.has_tripped(1), "two of five");
    });
}
