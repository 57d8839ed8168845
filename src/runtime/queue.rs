//! How many store operations of a process are under way at a time, and which comes next.
//!
//! A store that is back would otherwise be asked for every circuit at once, and what each
//! connection, table and SDK does with ten thousand requests at a time is worse than a
//! queue. What keeps a lease or ends one comes first, since others wait for it; all else
//! comes in its order. Waiting here is no fault of the store's: its limit begins when the
//! operation does.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::runtime::sync::oneshot;

/// How many operations are under way at a time.
const AT_A_TIME: usize = 64;

/// Who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Renewals, verdicts of probes and operators' orders.
    First,
    /// Trips, elections and reads.
    Then,
}

/// Where somebody stands in a line.
type Ticket = (Urgency, u64);

/// A line before a counter with so many places: pure.
struct Line<T> {
    /// How many places are free. While somebody waits there are none.
    free: usize,
    waiting: BTreeMap<Ticket, T>,
    /// Numbers who joins, so that the oldest of one urgency goes first.
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

    /// Waits behind those of the same urgency.
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

    /// A place is given up: it goes to who is next, or is free.
    fn give_up(&mut self) -> Option<T> {
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

    /// Waits for a place.
    pub(crate) fn join(self: &Arc<Self>, urgency: Urgency) -> Waiting {
        let (sender, turn) = oneshot::channel();
        let ticket = self.line().join(urgency, sender);
        Waiting { queue: Arc::clone(self), ticket, turn }
    }

    /// No code of users runs under the lock, and each change leaves the line whole.
    fn line(&self) -> MutexGuard<'_, Line<oneshot::Sender<Place>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right of one operation to be under way. Dropped, it goes to who is next.
pub(crate) struct Place(Option<Arc<StoreQueue>>);

impl Drop for Place {
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else {
            return;
        };
        loop {
            let next = queue.line().give_up();
            let Some(next) = next else {
                return;
            };
            // One who has just gone hands it back; what is dropped below is empty, so that
            // many of them in a row are no recursion.
            match next.send(Self(Some(Arc::clone(&queue)))) {
                Ok(()) => return,
                Err(mut handed_back) => handed_back.0 = None,
            }
        }
    }
}

/// Somebody who waits. Dropped, it stands in nobody's way.
pub(crate) struct Waiting {
    queue: Arc<StoreQueue>,
    ticket: Ticket,
    turn: oneshot::Receiver<Place>,
}

impl Waiting {
    /// Waits for the turn.
    pub(crate) async fn turn(&mut self) -> Place {
        match (&mut self.turn).await {
            Ok(place) => place,
            // Not reached: the sender is dropped by `leave` alone. It holds no place.
            Err(_) => Place(None),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Dropped after the lock is.
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
        while let Some(waiter) = line.give_up() {
            assert!(!line.enter(), "who comes now does not overtake");
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
                        assert!(waiting.is_empty(), "nobody overtakes");
                        places.push(place);
                    }
                    None => {
                        let urgency = if rng.bool() { Urgency::First } else { Urgency::Then };
                        waiting.push(queue.join(urgency));
                    }
                },
                2 if !waiting.is_empty() => {
                    // Also one whose turn has come.
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
            // As of one that goes as its turn comes.
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
