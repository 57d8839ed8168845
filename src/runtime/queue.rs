//! The queue of a process's store operations: limits how many are under way, and decides which
//! is next.
//!
//! Without it a store that is back would be asked for every circuit at once, and ten thousand
//! requests at a time time out in the SDK, or are throttled, and so fail again. Operations that
//! renew or end a lease come first, since the fleet waits for them; the others come in
//! their order. `store_timeout` begins when an operation has its place: time in the queue
//! is not the store's fault.
//!
//! A place is handed from the operation that ends to the next one in the queue and is never free
//! in between, so that an operation that comes now overtakes none.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::runtime::sync::oneshot;

/// The number of operations that may be under way at a time.
const AT_A_TIME: usize = 64;

/// The order of waiting operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Renewals, verdicts of probes and operators' commands.
    First,
    /// Trips, elections and reads.
    Then,
}

/// A place in the line: urgency, then the order of joining.
type Ticket = (Urgency, u64);

/// A waiting line for a fixed number of places. Pure.
struct Line<T> {
    /// The number of free places. Zero while an operation waits.
    free: usize,
    waiting: BTreeMap<Ticket, T>,
    /// The number of the next to join, so that the oldest of one urgency goes first.
    next: u64,
}

impl<T> Line<T> {
    fn new(places: usize) -> Self {
        Self { free: places, waiting: BTreeMap::new(), next: 0 }
    }

    /// Takes a place, if one is free.
    fn enter(&mut self) -> bool {
        let left = self.free.checked_sub(1);
        self.free = left.unwrap_or(0);
        left.is_some()
    }

    /// Joins the line, behind all waiters of the same urgency.
    fn join(&mut self, urgency: Urgency, waiter: T) -> Ticket {
        let ticket = (urgency, self.next);
        self.next = self.next.saturating_add(1);
        self.waiting.insert(ticket, waiter);
        ticket
    }

    /// Leaves the line without having had a turn.
    fn leave(&mut self, ticket: Ticket) -> Option<T> {
        self.waiting.remove(&ticket)
    }

    /// Releases a place. Returns the next waiter, which gets it; without one the place is free.
    fn release(&mut self) -> Option<T> {
        let next = self.waiting.pop_first().map(|(_, waiter)| waiter);
        if next.is_none() {
            self.free = self.free.saturating_add(1);
        }
        next
    }
}

/// The line of a process's operations before its store.
pub(crate) struct StoreQueue(Mutex<Line<oneshot::Sender<Place>>>);

impl Default for StoreQueue {
    fn default() -> Self {
        Self(Mutex::new(Line::new(AT_A_TIME)))
    }
}

impl StoreQueue {
    /// Takes a place for an operation, if one is free.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Place> {
        self.line().enter().then(|| Place(Some(Arc::clone(self))))
    }

    /// Joins the queue for a place.
    pub(crate) fn join(self: &Arc<Self>, urgency: Urgency) -> Waiting {
        let (sender, turn) = oneshot::channel();
        let ticket = self.line().join(urgency, sender);
        Waiting { queue: Arc::clone(self), ticket, turn }
    }

    /// Locks the line. No user code runs under the lock, so a poisoned line is whole.
    fn line(&self) -> MutexGuard<'_, Line<oneshot::Sender<Place>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right of one operation to be under way. Its drop hands it to the next waiter.
pub(crate) struct Place(Option<Arc<StoreQueue>>);

impl Drop for Place {
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else {
            return;
        };
        loop {
            // The lock ends before the send, which wakes a task: its waker is not our code.
            let next = queue.line().release();
            let Some(next) = next else {
                return;
            };
            // A waiter that has just given up hands the place back: try the next one. Empty the
            // place before it is dropped, or its drop would come here again, and ten thousand
            // waiters that gave up would overflow the stack.
            match next.send(Self(Some(Arc::clone(&queue)))) {
                Ok(()) => return,
                Err(mut handed_back) => handed_back.0 = None,
            }
        }
    }
}

/// An operation that waits for a place. Its drop leaves the queue.
pub(crate) struct Waiting {
    queue: Arc<StoreQueue>,
    ticket: Ticket,
    turn: oneshot::Receiver<Place>,
}

impl Waiting {
    /// Waits for a place.
    pub(crate) async fn turn(&mut self) -> Place {
        match (&mut self.turn).await {
            Ok(place) => place,
            // Not reached: only `leave` drops the sender. It holds no place, so none is lost.
            Err(_) => Place(None),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Named, so that it is dropped after the lock: the drop of a sender wakes a task. If a
        // place was sent already, the drop of `turn` hands it on.
        let _sender = self.queue.line().leave(self.ticket);
    }
}

impl fmt::Debug for StoreQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line();
        f.debug_struct("StoreQueue")
            .field("free", &line.free)
            .field("waiting", &line.waiting.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn case_208_the_urgent_come_first_and_the_oldest_of_each() {
        let mut line = Line::new(2);
        assert!(line.enter() && line.enter() && !line.enter());
        let joined = [
            (Urgency::Then, 'a'),
            (Urgency::First, 'b'),
            (Urgency::Then, 'c'),
            (Urgency::First, 'd'),
            (Urgency::Then, 'e'),
        ];
        let tickets = joined.map(|(urgency, waiter)| line.join(urgency, waiter));
        assert_eq!(line.leave(tickets[2]), Some('c'));
        assert_eq!(line.leave(tickets[2]), None);
        let mut turns = Vec::new();
        while let Some(waiter) = line.release() {
            assert!(!line.enter(), "an operation that comes now does not overtake");
            turns.push(waiter);
        }
        assert_eq!(turns, ['b', 'd', 'a', 'e']);
        assert!(line.enter() && !line.enter(), "the last place came free");
    }

    #[test]
    fn case_208_a_place_is_never_lost_nor_doubled() {
        let mut rng = fastrand::Rng::with_seed(7);
        let queue = Arc::new(StoreQueue::default());
        let mut places = Vec::new();
        let mut waiting: Vec<Waiting> = Vec::new();
        for _ in 0..20_000 {
            match rng.u8(0..5) {
                0 | 1 => match queue.enter() {
                    Some(place) => {
                        assert!(waiting.is_empty(), "no operation overtakes");
                        places.push(place);
                    }
                    None => {
                        let urgency = if rng.bool() { Urgency::First } else { Urgency::Then };
                        waiting.push(queue.join(urgency));
                    }
                },
                2 if !waiting.is_empty() => {
                    // This may be one that was sent a place already.
                    drop(waiting.swap_remove(rng.usize(0..waiting.len())));
                }
                3 if !places.is_empty() => drop(places.swap_remove(rng.usize(0..places.len()))),
                _ => {}
            }
            let mut still = Vec::new();
            for mut waiter in waiting.drain(..) {
                match waiter.turn().now_or_never() {
                    Some(place) => places.push(place),
                    None => still.push(waiter),
                }
            }
            waiting = still;
            assert!(places.len() <= AT_A_TIME);
            assert_eq!(waiting.len(), queue.line().waiting.len());
            assert_eq!(places.len() + queue.line().free, AT_A_TIME);
        }
        drop((places, waiting));
        assert_eq!(queue.line().free, AT_A_TIME);
    }

    #[test]
    fn case_208_ten_thousand_who_have_gone_are_passed_over() {
        let queue = Arc::new(StoreQueue::default());
        let places: Vec<_> = (0..AT_A_TIME).map(|_| queue.enter().unwrap()).collect();
        let mut turns = Vec::new();
        for _ in 0..10_000 {
            // A waiter that gives up just as it is sent a place.
            let (sender, turn) = oneshot::channel();
            queue.line().join(Urgency::Then, sender);
            turns.push(turn);
        }
        drop(turns);
        let mut last = queue.join(Urgency::Then);
        drop(places);
        assert!(last.turn().now_or_never().is_some());
    }
}
