use std::{
    collections::BTreeSet,
    sync::{Arc, Barrier},
    thread::{self, scope},
};

use super::*;

fn slots(epoch: u64) -> Arc<Slots> {
    Arc::new(Slots::new(epoch))
}

/// Not scoped: `join` then waits for the thread's destructors.
#[expect(clippy::disallowed_methods, reason = "a thread of the test")]
fn in_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::Builder::new().spawn(run).unwrap()
}

fn count(slots: &Slots, epoch: u64, calls: usize) {
    (0..calls).for_each(|_| slots.count_good(epoch));
}

#[test]
fn case_13_a_good_call_of_an_older_epoch_counts_in_no_newer_one() {
    let slots = slots(3);
    count(&slots, 3, 5);
    count(&slots, 4, 2);
    count(&slots, 3, 1);
    assert_eq!((slots.place(3), slots.place(4)), (0, 2));
}

#[test]
fn epochs_are_compared_around_the_wrap_of_the_bits_that_are_kept() {
    let last = EPOCH_MASK;
    let slots = slots(last);
    count(&slots, last, 1);
    count(&slots, last + 1, 2);
    count(&slots, last, 4);
    assert_eq!((slots.place(last), slots.place(last + 1)), (0, 2));
    // A line that no call has touched for half of all epochs seems newer than the call.
    assert_eq!(counted(tag(1), 1 + (1 << 23)), None);
    assert_eq!(counted(tag(1), 1 << 23), Some(tag(1 << 23) | ONE));
}

#[test]
fn a_count_that_wraps_leaves_the_epoch_alone() {
    assert_eq!(counted(tag(7) | COUNT_MASK << EPOCH_BITS, 7), Some(tag(7)));
}

#[test]
fn case_105_no_good_call_of_many_threads_is_lost() {
    const THREADS: usize = 40;
    let slots = slots(1);
    let start = Barrier::new(THREADS);
    scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                count(&slots, 1, 500);
            });
        }
    });
    assert_eq!(slots.place(1), 40 * 500, "more threads than lines");
}

#[test]
fn threads_that_come_and_go_have_lines_of_their_own() {
    let slots = slots(1);
    let mut had = BTreeSet::new();
    let mut without = 0;
    for _ in 0..200 {
        let slots = Arc::clone(&slots);
        let index = in_thread(move || {
            count(&slots, 1, 3);
            own_index()
        });
        match index.join().unwrap() {
            Some(index) => drop(had.insert(index)),
            None => without += 1,
        }
    }
    // Other tests of this binary may hold all lines for a while.
    assert!(without < 100, "{without} of 200 threads found none");
    assert!(had.len() <= OWN_LINES);
    assert_eq!(slots.place(1), 600);
}

#[test]
fn an_index_has_one_owner_until_it_is_given_back() {
    let indices = Indices(AtomicU64::new(0));
    let taken: BTreeSet<_> = (0..OWN_LINES).map_while(|_| indices.take()).collect();
    assert_eq!(taken.len(), OWN_LINES);
    assert_eq!(indices.take(), None);
    indices.give_back(5);
    assert_eq!(indices.take(), Some(5));
    assert_eq!(indices.take(), None);
}

/// Counts when its thread ends.
struct CountsLast(Cell<Option<Arc<Slots>>>);

impl Drop for CountsLast {
    fn drop(&mut self) {
        if let Some(slots) = self.0.take() {
            slots.count_good(1);
        }
    }
}

thread_local! {
    static COUNTS_LAST: CountsLast = const { CountsLast(Cell::new(None)) };
}

#[test]
fn a_destructor_of_the_thread_counts_before_and_after_the_index_was_given_back() {
    for takes_first in [true, false] {
        let slots = slots(1);
        let at_the_end = Arc::clone(&slots);
        let counts = move || {
            if takes_first {
                at_the_end.count_good(1);
            }
            COUNTS_LAST.with(|last| last.0.set(Some(Arc::clone(&at_the_end))));
            if !takes_first {
                at_the_end.count_good(1);
            }
        };
        in_thread(counts).join().unwrap();
        assert_eq!(slots.place(1), 2, "its index taken first: {takes_first}");
    }
}
