use std::thread;

use super::*;
use crate::{
    clock::{Clock, VirtualClock},
    config::Config,
    name::CircuitName,
    protocol::machine::{Detail, ProbeId},
    runtime::gate::Gate,
    state::CircuitState,
};

/// A circuit without an actor: the test takes its messages.
struct Counter {
    clock: VirtualClock,
    circuit: Arc<Circuit>,
    inbox: flume::Receiver<Message>,
}

fn published_in(epoch: u64, state: CircuitState) -> Published {
    Published {
        epoch,
        state,
        failure_count: 0,
        opened_at: None,
        from_ms: 0,
        span_ms: u64::MAX,
        refresh_ms: u64::MAX,
        retry_at_ms: u64::MAX,
        as_of_ms: 0,
        is_unread: false,
        is_ramping: false,
        is_held_closed: false,
    }
}

impl Counter {
    /// Whether a call is admitted without a closer look.
    fn passes(&self) -> bool {
        self.circuit.gate.quiet_epoch(self.circuit.clock.coarse_wall_ms()).is_some()
    }

    fn new(threshold: u32) -> Self {
        let name = CircuitName::new("payments").unwrap();
        let config = Config::builder().failure_threshold(threshold).success_threshold(1);
        let clock = VirtualClock::standing_at(std::time::SystemTime::UNIX_EPOCH);
        let (circuit, inbox) = Circuit::new(
            name,
            Arc::new(config.build().unwrap()),
            Clock::from(&clock),
            Arc::default(),
            Gate::new(),
        );
        Self { clock, circuit, inbox }
    }

    fn publish(&self, published: &Published) {
        self.circuit.publish(published, Detail::Closed);
    }

    fn end(&self, epoch: u64, end: CallEnd) -> Outstanding {
        self.circuit.report(CallId { epoch, probe: None }, end)
    }

    fn fail(&self, epoch: u64) -> Outstanding {
        self.end(epoch, CallEnd::Failure)
    }

    fn fill(&self) {
        while self.circuit.mailbox.try_send(Message::Wake).is_ok() {}
    }

    /// Follows a turn that published this and showed the machine the trip, as the actor does.
    fn follow(
        &self,
        published: &Published,
        trip: Option<Box<Trip>>,
        is_contradicted: bool,
    ) -> Followed {
        let (thaw, freezes) = (None, self.circuit.clock.freezes(self.circuit.clock.now()));
        self.circuit.follow(&Turn { published, is_contradicted, thaw, freezes, trip })
    }

    fn counted(&self) -> Option<u64> {
        self.circuit.trip().map(|trip| trip.count)
    }
}

fn is_over(outstanding: &Outstanding) -> bool {
    match &outstanding.as_ref().unwrap().settled {
        Settled::Tripped(callers) => callers.count() == 0,
        Settled::Answered(_) | Settled::Idle(_) => panic!("a trip"),
    }
}

#[test]
fn a_failure_that_decides_nothing_sends_no_message_and_does_not_wait() {
    let counter = Counter::new(3);
    for _ in 0..100 {
        assert!(counter.fail(1).is_none());
        assert!(counter.fail(1).is_none());
        assert!(counter.end(1, CallEnd::Success).is_none());
        assert!(counter.end(1, CallEnd::Dropped).is_none());
    }
    assert!(counter.inbox.is_empty());
    assert_eq!(counter.circuit.pending.count(), 0);
}

#[test]
fn case_198_calls_of_before_a_freeze_count_for_nothing_and_failures_of_before_stand() {
    let counter = Counter::new(3);
    assert!(counter.fail(1).is_none());
    counter.clock.freeze(std::time::Duration::from_secs(5));
    for _ in 0..9 {
        assert!(counter.fail(1).is_none());
    }
    assert_eq!(counter.counted(), None);
    assert!(counter.inbox.try_recv().is_ok(), "the actor begins an epoch");
    let turn = Turn {
        published: &published_in(2, CircuitState::Closed),
        is_contradicted: false,
        thaw: Some(0),
        freezes: 1,
        trip: None,
    };
    let _ = counter.circuit.follow(&turn);
    for _ in 0..9 {
        assert!(counter.fail(1).is_none(), "admitted before");
    }
    assert!(counter.fail(2).is_none());
    assert!(counter.fail(2).is_some());
    assert_eq!(counter.counted(), Some(3), "one of before the freeze, and two after");
}

#[test]
fn case_90_a_full_mailbox_loses_no_failure_and_memory_stays_bounded() {
    let counter = Counter::new(2_000);
    counter.fill();
    for _ in 1..2_000 {
        assert!(counter.fail(1).is_none());
    }
    assert_eq!(counter.counted(), None);
    let last = counter.fail(1);
    assert!(!is_over(&last));
    assert_eq!(counter.counted(), Some(2_000));
    for _ in 0..10_000 {
        assert!(counter.fail(1).is_some(), "each waits for the trip");
    }
    assert_eq!(counter.circuit.pending.count(), 1, "one trip, however many failures");
    let followed =
        counter.follow(&published_in(2, CircuitState::Open), counter.circuit.trip(), false);
    assert_eq!(followed.settles.len(), 1);
    assert!(!followed.remembered.any);
    followed.settles.into_iter().for_each(drop);
    assert!(is_over(&last));
    assert_eq!(counter.circuit.pending.count(), 0);
}

#[test]
fn case_13_what_ended_an_epoch_is_not_waited_for_and_does_not_count_in_the_next() {
    let counter = Counter::new(2);
    drop(counter.fail(1));
    let _ = counter.follow(&published_in(2, CircuitState::Closed), None, false);
    assert!(counter.fail(1).is_none());
    assert!(counter.fail(1).is_none());
    assert!(counter.fail(2).is_none());
    assert!(counter.fail(2).is_some());
    assert_eq!(counter.circuit.trip().map(|trip| trip.epoch), Some(2));
}

#[test]
fn a_failure_between_publication_and_new_epoch_waits_for_the_trip() {
    let counter = Counter::new(1);
    drop(counter.fail(1));
    let trip = counter.circuit.trip();
    counter.publish(&published_in(2, CircuitState::Open));
    assert!(counter.fail(1).is_some());
    let followed = counter.follow(&published_in(2, CircuitState::Open), trip, false);
    assert_eq!(followed.settles.len(), 1);
    assert!(counter.fail(1).is_none());
}

#[test]
fn a_trip_of_a_new_epoch_that_the_actor_has_yet_to_count_is_kept() {
    let counter = Counter::new(1);
    drop(counter.fail(1));
    let trip = counter.circuit.trip();
    counter.publish(&published_in(2, CircuitState::Closed));
    let newer = counter.fail(2);
    let followed = counter.follow(&published_in(2, CircuitState::Closed), trip, true);
    assert_eq!(followed.settles.len(), 1, "that of the epoch that is over");
    assert!(!is_over(&newer));
    let trip = counter.circuit.trip().unwrap();
    assert_eq!((trip.epoch, trip.refuted), (2, true), "and others contradict this process");
}

#[test]
fn a_trip_that_the_machine_refuses_in_its_own_epoch_is_over() {
    let counter = Counter::new(2);
    drop(counter.fail(1));
    let last = counter.fail(1);
    let closed = published_in(1, CircuitState::Closed);
    let followed = counter.follow(&closed, None, false);
    assert_eq!(followed.settles.len(), 0, "it was not shown yet");
    let followed = counter.follow(&closed, counter.circuit.trip(), false);
    drop(followed.settles);
    assert!(is_over(&last));
    assert!(counter.fail(1).is_none(), "from none on");
}

#[test]
fn good_calls_are_watched_from_the_first_failure_until_a_turn_finds_them() {
    let counter = Counter::new(3);
    assert_eq!(counter.circuit.gate.watch(), Watch::Nothing);
    drop(counter.fail(1));
    assert_eq!(counter.circuit.gate.watch(), Watch::Count);
    let closed = published_in(1, CircuitState::Closed);
    assert!(counter.follow(&closed, None, false).remembered.any);
    drop(counter.end(1, CallEnd::Success));
    assert_eq!(counter.circuit.gate.watch(), Watch::Count);
    assert!(!counter.follow(&closed, None, false).remembered.any);
    assert_eq!(counter.circuit.gate.watch(), Watch::Nothing);
}

#[test]
fn case_99_what_hurts_is_looked_at_again_before_anything_is_read_for_it() {
    let counter = Counter::new(5);
    counter.publish(&published_in(1, CircuitState::Closed));
    assert!(counter.passes());
    drop((counter.fail(1), counter.fail(1)));
    assert!(!counter.passes() && counter.circuit.is_asked_only_for_failing());
    assert!(counter.circuit.check_is_failing());
    drop(counter.end(1, CallEnd::Success));
    assert!(counter.circuit.is_asked_only_for_failing(), "the gate shows the last failure");
    assert!(!counter.circuit.check_is_failing());
    assert!(!counter.circuit.is_asked_only_for_failing());
    let _ = counter.follow(&published_in(1, CircuitState::Closed), None, false);
    assert!(counter.passes());
}

#[test]
fn case_95_good_probes_count_towards_the_end_of_a_contradiction() {
    for (probes, refuted) in [(1, true), (2, false)] {
        let counter = Counter::new(1);
        let _ = counter.follow(&published_in(2, CircuitState::Closed), None, true);
        for _ in 0..probes {
            let probe = CallId { epoch: 2, probe: Some(ProbeId::FIRST) };
            drop(counter.circuit.report(probe, CallEnd::Success));
        }
        for _ in 0..6 {
            drop(counter.end(2, CallEnd::Success));
        }
        drop(counter.fail(2));
        assert_eq!(counter.circuit.trip().map(|trip| trip.refuted), Some(refuted));
    }
}

#[test]
fn no_caller_waits_once_the_actor_has_gone() {
    let counter = Counter::new(1);
    let waits = counter.fail(1);
    let Counter { circuit, inbox, .. } = counter;
    drop(inbox);
    circuit.end_counting();
    assert!(is_over(&waits));
    assert_eq!(circuit.pending.count(), 0);
    assert_eq!(circuit.gate.watch(), Watch::Nothing);
    let call = CallId { epoch: 1, probe: None };
    for _ in 0..10 {
        assert!(circuit.report(call, CallEnd::Failure).is_none());
    }
    assert_eq!(circuit.pending.count(), 0);
}

#[test]
fn case_85_no_failure_of_many_threads_is_lost_or_counted_twice() {
    let counter = Counter::new(4_000);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..500).for_each(|_| drop(counter.fail(1))));
        }
    });
    assert_eq!(counter.counted(), Some(4_000));
    assert!(counter.inbox.try_recv().is_ok());
    assert!(counter.inbox.is_empty(), "woken once");
}

#[test]
fn case_133_failing_calls_of_a_circuit_that_is_held_closed_do_not_ask_the_actor() {
    let counter = Counter::new(9);
    let closed = |is_held_closed| Published {
        span_ms: 5_000,
        is_held_closed,
        ..published_in(1, CircuitState::Closed)
    };
    let asks = |at_ms| {
        let decision = counter.circuit.gate.check(at_ms, || ());
        matches!(decision, crate::runtime::gate::Decision::AskActor { .. })
    };
    let publish = |is_held_closed| {
        counter.publish(&closed(is_held_closed));
        let _ = counter.follow(&closed(is_held_closed), None, false);
    };
    publish(true);
    assert!(counter.fail(1).is_none() && counter.fail(1).is_none());
    // The counts are made by the first failure, and learn of the hold with the next turn.
    publish(true);
    assert!(counter.fail(1).is_none());
    assert!(counter.passes() && !asks(300) && !asks(4_999));
    assert!(asks(5_000), "what is known is too old");
    publish(false);
    assert!(!counter.passes() && !asks(200) && asks(300), "others may trip it now");
}
