//! Who reports outcomes while they are counted.

use ::loom::sync::{Arc, Mutex, Notify};

use super::*;

/// An answer on its way.
struct Answer {
    is_there: AtomicU64,
    comes: Notify,
}

impl Answer {
    fn new() -> Arc<Self> {
        Arc::new(Self { is_there: AtomicU64::new(0), comes: Notify::new() })
    }

    fn give(&self) {
        self.is_there.store(1, Release);
        self.comes.notify();
    }

    fn wait(&self) {
        // The checker wakes who waits for nothing, too.
        while self.is_there.load(Acquire) == 0 {
            self.comes.wait();
        }
    }
}

/// What is sent.
enum Letter {
    Outcome { report: Report, answer: Option<Arc<Answer>> },
    Wake,
    End,
}

/// A circuit whose callers and actor are threads.
struct World {
    gate: Gate,
    mailbox: Mutex<VecDeque<Letter>>,
    room: usize,
    /// Wakes the actor.
    sent: Notify,
    threshold: u64,
}

/// The epoch of all calls.
const EPOCH: u64 = 1;

impl World {
    fn new(room: usize, threshold: u64) -> Arc<Self> {
        Arc::new(Self {
            gate: published(&digest(EPOCH, CircuitState::Closed)),
            mailbox: Mutex::new(VecDeque::new()),
            room,
            sent: Notify::new(),
            threshold,
        })
    }

    fn push(&self, letter: Letter) -> Result<(), Refused> {
        let mut mailbox = self.mailbox.lock().unwrap();
        if mailbox.len() >= self.room {
            return Err(Refused::Full);
        }
        mailbox.push_back(letter);
        drop(mailbox);
        self.sent.notify();
        Ok(())
    }

    fn pop(&self) -> Option<Letter> {
        self.mailbox.lock().unwrap().pop_front()
    }

    fn is_empty(&self) -> bool {
        self.mailbox.lock().unwrap().is_empty()
    }

    /// Reports these outcomes, one after the other, and waits where one may be the
    /// last failure that the threshold allows.
    fn report(&self, outcomes: &str) {
        let pass = Pass { epoch: EPOCH, probe: None };
        for outcome in outcomes.chars() {
            let report = if outcome == 'F' { Report::Failure } else { Report::Success };
            if !self.gate.is_silent(pass, report)
                && let Some(answer) = self.gate.report(pass, report, self.threshold, self)
            {
                answer.wait();
            }
        }
    }

    /// One turn of the actor.
    fn turn(&self, actor: &mut Counter) {
        if let Some(Letter::Outcome { report, .. }) = self.pop() {
            actor.judge(&self.gate, EPOCH, report);
        }
        actor.take_noted(&self.gate, || self.is_empty());
    }

    /// All turns of the actor.
    fn serve(&self) {
        let mut actor = Counter { threshold: self.threshold, ..Counter::in_epoch(EPOCH) };
        loop {
            match self.pop() {
                Some(Letter::Outcome { report, answer }) => {
                    actor.judge(&self.gate, EPOCH, report);
                    if let Some(answer) = answer {
                        answer.give();
                    }
                }
                Some(Letter::Wake) => {}
                Some(Letter::End) => return,
                None => self.sent.wait(),
            }
        }
    }
}

impl Post for World {
    type Answer = Arc<Answer>;

    fn send(&self, report: Report, asks: bool) -> Result<Option<Self::Answer>, Refused> {
        let answer = asks.then(Answer::new);
        self.push(Letter::Outcome { report, answer: answer.clone() }).map(|()| answer)
    }

    fn leave(&self, note: impl FnOnce() -> Noted) {
        note();
        // A full mailbox wakes the actor.
        let _ = self.push(Letter::Wake);
    }

    fn answer_to_noted(&self) -> Self::Answer {
        unreachable!("who waits has a mailbox with room")
    }
}

/// Reports these outcomes, those of each caller one after the other and all callers
/// at once, while the actor takes some turns; says what is counted in the end.
fn counted(world: &Arc<World>, callers: &[&'static str], turns: usize) -> u64 {
    let actor = {
        let world = Arc::clone(world);
        in_thread(move || {
            let mut actor = Counter::in_epoch(EPOCH);
            (0..turns).for_each(|_| world.turn(&mut actor));
            actor
        })
    };
    let [first, others @ ..] = callers else { panic!("somebody calls") };
    let others: Vec<_> = others
        .iter()
        .map(|outcomes| {
            let (world, outcomes) = (Arc::clone(world), *outcomes);
            in_thread(move || world.report(outcomes))
        })
        .collect();
    world.report(first);
    others.into_iter().for_each(|caller| caller.join().unwrap());
    let mut actor = actor.join().unwrap();
    while !world.is_empty() {
        world.turn(&mut actor);
    }
    world.turn(&mut actor);
    assert_eq!(world.gate.unsettled(), actor.streak, "unsettled is what is not made good");
    actor.streak
}

#[test]
fn no_reset_is_lost() {
    for room in [1, 2, 9] {
        explore(Some(2), move || {
            let world = World::new(room, u64::MAX);
            assert_eq!(counted(&world, &["FS", "FS"], 2), 0, "all ended with a success");
        });
    }
}

#[test]
fn no_reset_of_one_caller_is_lost_past_a_full_mailbox() {
    for room in [1, 2] {
        explore(Some(3), move || {
            let world = World::new(room, u64::MAX);
            assert_eq!(counted(&world, &["FFSFS"], 2), 0);
        });
    }
}

#[test]
fn no_failure_is_lost() {
    for room in [1, 2, 9] {
        explore(Some(2), move || {
            let world = World::new(room, u64::MAX);
            assert_eq!(counted(&world, &["FF", "F"], 2), 3);
        });
        explore(Some(2), move || {
            let world = World::new(room, u64::MAX);
            let streak = counted(&world, &["SFF", "F"], 2);
            assert!(streak == 2 || streak == 3, "{streak}");
        });
    }
}

#[test]
fn a_success_that_was_noted_already_is_noted_again() {
    explore(Some(3), || {
        let world = World::new(1, u64::MAX);
        let failed = Arc::new(AtomicU64::new(0));
        world.push(Letter::Wake).unwrap();
        let actor = {
            let world = Arc::clone(&world);
            in_thread(move || {
                let mut actor = Counter::in_epoch(EPOCH);
                world.turn(&mut actor);
                actor
            })
        };
        let other = {
            let (world, failed) = (Arc::clone(&world), Arc::clone(&failed));
            in_thread(move || {
                world.report("F");
                failed.store(1, Release);
            })
        };
        world.report("S");
        let is_after = failed.load(Acquire) == 1;
        world.report("S");
        other.join().unwrap();
        let mut actor = actor.join().unwrap();
        while !world.is_empty() {
            world.turn(&mut actor);
        }
        world.turn(&mut actor);
        assert!(!is_after || actor.streak == 0, "the failure was reported before");
        assert_eq!(world.gate.unsettled(), actor.streak);
    });
}

/// Fails as often as the threshold, by callers who wait, and looks at the gate once
/// all have returned, whatever the actor does after.
fn nobody_is_admitted_after(callers: &'static [&'static str], threshold: u64) {
    explore(Some(2), move || {
        let world = World::new(9, threshold);
        let actor = {
            let world = Arc::clone(&world);
            in_thread(move || world.serve())
        };
        let [first, others @ ..] = callers else { panic!("somebody calls") };
        let others: Vec<_> = others
            .iter()
            .map(|outcomes| {
                let world = Arc::clone(&world);
                in_thread(move || world.report(outcomes))
            })
            .collect();
        world.report(first);
        others.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(world.gate.pass(1_000), None, "after the last failure has returned");
        assert!(matches!(world.gate.glance(1_000), Glance::Reject { .. }));
        world.push(Letter::End).unwrap();
        actor.join().unwrap();
        assert_eq!(world.gate.unsettled(), 0, "all of it was settled");
    });
}

#[test]
fn when_the_failures_that_trip_have_returned_nobody_is_admitted() {
    nobody_is_admitted_after(&["FF"], 2);
    nobody_is_admitted_after(&["F", "F"], 2);
    nobody_is_admitted_after(&["FF", "F"], 3);
    nobody_is_admitted_after(&["FF", "F"], 2);
}
