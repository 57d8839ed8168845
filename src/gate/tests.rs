#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use std::{cell::RefCell, collections::VecDeque};

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::machine::ProbeId;

#[cfg(fuseboard_loom)]
mod loom;

fn digest(epoch: u64, state: CircuitState) -> Digest {
    Digest {
        epoch,
        state,
        failure_count: 0,
        opened_at: None,
        from_ms: 1_000,
        span_ms: 5_000,
        refresh_ms: 4_000,
        retry_at_ms: 0,
    }
}

fn published(digest: &Digest) -> Gate {
    let gate = Gate::new();
    gate.publish(digest, || ());
    gate
}

#[test]
fn a_new_gate_asks_and_a_disabled_one_never_does() {
    assert_eq!(Gate::new().glance(0), Glance::Ask);
    assert_eq!(Gate::new().glance(u64::MAX), Glance::Ask);
    for now in [0, 1, 1_700_000_000_000] {
        let admitted = Glance::Admit { epoch: 1, refresh: false };
        assert_eq!(Gate::disabled().glance(now), admitted);
        assert_eq!(Gate::disabled().pass(now), Some(1));
    }
}

#[test]
fn a_closed_gate_admits_from_the_start_of_its_window_to_just_before_its_end() {
    let gate = published(&digest(7, CircuitState::Closed));
    let admit = |refresh| Glance::Admit { epoch: 7, refresh };
    assert_eq!(gate.glance(1_000), admit(false));
    assert_eq!(gate.glance(4_999), admit(false));
    assert_eq!(gate.glance(5_000), admit(true));
    assert_eq!(gate.glance(5_999), admit(true));
    assert_eq!(gate.glance(6_000), Glance::Ask);
    assert_eq!(gate.glance(u64::MAX), Glance::Ask);
}

#[test]
fn a_clock_set_back_shuts_the_window() {
    let gate = published(&digest(7, CircuitState::Closed));
    assert_eq!(gate.glance(999), Glance::Ask);
    assert_eq!(gate.glance(0), Glance::Ask);
}

#[test]
fn an_open_gate_rejects_until_the_retry_or_the_end_of_its_window() {
    for state in [CircuitState::Open, CircuitState::HalfOpen] {
        let gate = published(&Digest { retry_at_ms: 3_000, ..digest(2, state) });
        assert_eq!(gate.glance(1_000), Glance::Reject { retry_after_ms: 2_000 });
        assert_eq!(gate.glance(2_999), Glance::Reject { retry_after_ms: 1 });
        assert_eq!(gate.glance(3_000), Glance::Ask);
        assert_eq!(gate.glance(999), Glance::Ask);
        let gate = published(&Digest { retry_at_ms: 90_000, ..digest(2, state) });
        assert_eq!(gate.glance(5_999), Glance::Reject { retry_after_ms: 84_001 });
        assert_eq!(gate.glance(6_000), Glance::Ask);
    }
}

#[test]
fn a_shut_window_asks_in_every_state() {
    for state in [CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen] {
        let gate = published(&Digest { span_ms: 0, retry_at_ms: u64::MAX, ..digest(2, state) });
        assert_eq!(gate.glance(1_000), Glance::Ask);
        assert_eq!(gate.last_known(), (2, state));
    }
}

#[test]
fn a_refresh_is_claimed_once_in_each_window() {
    let gate = published(&digest(7, CircuitState::Closed));
    assert!(gate.claim_refresh(|| true));
    assert!(!gate.claim_refresh(|| true));
    assert_eq!(gate.glance(5_999), Glance::Admit { epoch: 7, refresh: false });
    gate.publish(&digest(7, CircuitState::Closed), || ());
    assert!(gate.claim_refresh(|| true));
    gate.publish(&Digest { refresh_ms: u64::MAX, ..digest(7, CircuitState::Closed) }, || ());
    assert!(!gate.claim_refresh(|| true));
}

#[test]
fn a_refresh_that_could_not_be_sent_for_is_due_as_the_newest_window_says() {
    let gate = published(&digest(7, CircuitState::Closed));
    assert!(!gate.claim_refresh(|| false));
    assert_eq!(gate.glance(5_000), Glance::Admit { epoch: 7, refresh: true });
    let later = Digest { refresh_ms: 4_500, ..digest(7, CircuitState::Closed) };
    assert!(!gate.claim_refresh(|| {
        gate.publish(&later, || ());
        false
    }));
    assert_eq!(gate.glance(5_000), Glance::Admit { epoch: 7, refresh: false });
    assert_eq!(gate.glance(5_500), Glance::Admit { epoch: 7, refresh: true });
}

#[test]
fn failures_are_unsettled_until_they_are_settled() {
    let gate = Gate::new();
    assert_eq!(gate.unsettled(), 0);
    assert_eq!([gate.mark_failure(), gate.mark_failure(), gate.mark_failure()], [1, 2, 3]);
    gate.settle(2);
    assert_eq!(gate.unsettled(), 1);
    assert_eq!(gate.mark_failure(), 2);
    gate.settle(2);
    assert_eq!(gate.unsettled(), 0);
}

#[test]
fn a_probe_on_offer_is_taken_once() {
    let gate = Gate::new();
    assert_eq!(gate.take_spare(), None);
    gate.offer_spare(ProbeId::FIRST, 7);
    assert_eq!(gate.take_spare(), Some((ProbeId::FIRST, 7)));
    assert_eq!(gate.take_spare(), None);
}

#[test]
fn the_verdict_of_a_probe_is_taken_once_and_as_it_was_left() {
    let gate = Gate::new();
    assert_eq!(gate.take_probe_report(), None);
    for (number, report) in [(1, Report::Success), (2, Report::Failure), (3, Report::NoVerdict)] {
        let probe = ProbeId::from_number(number).unwrap();
        gate.note_probe(probe, report);
        assert_eq!(gate.take_probe_report(), Some((probe, report)));
        assert_eq!(gate.take_probe_report(), None);
    }
}

#[test]
fn the_verdict_of_an_older_probe_does_not_cover_that_of_a_newer_one() {
    let gate = Gate::new();
    let [older, newer] = [4, 5].map(|number| ProbeId::from_number(number).unwrap());
    gate.note_probe(newer, Report::Failure);
    gate.note_probe(older, Report::Success);
    assert_eq!(gate.take_probe_report(), Some((newer, Report::Failure)));
}

/// An actor, as far as counting goes.
struct Counter {
    epoch: u64,
    streak: u64,
}

impl Counter {
    fn in_epoch(epoch: u64) -> Self {
        Self { epoch, streak: 0 }
    }

    fn judge(&mut self, gate: &Gate, epoch: u64, report: Report) {
        match report {
            Report::Failure if epoch == self.epoch => {
                self.streak += 1;
                assert!(gate.unsettled() >= self.streak, "marked before it was sent");
            }
            Report::Failure => gate.settle(1),
            Report::Success if epoch == self.epoch => gate.settle(std::mem::take(&mut self.streak)),
            Report::Success | Report::Ignored | Report::NoVerdict => {}
        }
    }

    /// Takes what was noted, if nothing was sent before it.
    fn take_noted(&mut self, gate: &Gate, is_empty: impl Fn() -> bool) {
        if let Some(noted) = gate.take_overflow(is_empty) {
            let epoch = if noted.is_of(self.epoch) { self.epoch } else { 0 };
            if noted.reset {
                self.judge(gate, epoch, Report::Success);
            }
            for _ in 0..noted.failures {
                self.judge(gate, epoch, Report::Failure);
            }
        }
    }
}

/// A circuit on one thread, with a mailbox of two places.
struct Counting {
    gate: Gate,
    mailbox: RefCell<VecDeque<(u64, Report)>>,
    actor: Counter,
    /// What was reported, in order.
    reported: Vec<(u64, Report)>,
}

impl Counting {
    fn report(&mut self, epoch: u64, report: Report) {
        self.reported.push((epoch, report));
        let pass = Pass { epoch, probe: None };
        if !self.gate.is_silent(pass, report) {
            let answer = self.gate.report(pass, report, u64::MAX, &Place(&self.mailbox, epoch));
            assert_eq!(answer, None, "no failure may be the last");
        }
    }

    /// The actor takes one message, or what was noted.
    fn take(&mut self) {
        let next = self.mailbox.borrow_mut().pop_front();
        match next {
            Some((epoch, report)) => self.actor.judge(&self.gate, epoch, report),
            None => self.actor.take_noted(&self.gate, || self.mailbox.borrow().is_empty()),
        }
    }

    /// Consecutive failures of the current epoch, counted one by one.
    fn expected(&self) -> u64 {
        let of_epoch = self.reported.iter().filter(|(epoch, _)| *epoch == self.actor.epoch);
        of_epoch.fold(0, |streak, (_, report)| match report {
            Report::Failure => streak + 1,
            Report::Success => 0,
            Report::Ignored | Report::NoVerdict => streak,
        })
    }
}

/// A place in that mailbox, for an outcome of this epoch.
struct Place<'a>(&'a RefCell<VecDeque<(u64, Report)>>, u64);

impl Post for Place<'_> {
    type Answer = ();

    fn send(&self, report: Report, asks: bool) -> Result<Option<()>, Refused> {
        let mut mailbox = self.0.borrow_mut();
        if mailbox.len() == 2 {
            return Err(Refused::Full);
        }
        mailbox.push_back((self.1, report));
        Ok(asks.then_some(()))
    }

    fn leave(&self, note: impl FnOnce() -> Noted) {
        note();
    }

    fn answer_to_noted(&self) {}
}

/// What a first look and a closer one say of the same call.
fn looks(gate: &Gate, now: u64) -> (Option<u64>, Option<u64>) {
    let quiet = match gate.glance(now) {
        Glance::Admit { epoch, refresh: false } => Some(epoch),
        Glance::Admit { .. } | Glance::Reject { .. } | Glance::Ask => None,
    };
    (gate.pass(now), quiet)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_first_look_passes_whom_a_closer_one_admits_and_asks_nothing_of(
        state in select(vec![CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen]),
        from_ms in select(vec![0, 1_000, u64::MAX - 10]),
        span_ms in select(vec![0, 1, 5_000, u64::MAX]),
        refresh_ms in select(vec![0, 4_000, 6_000, u64::MAX]),
        retry_at_ms in select(vec![0, 3_000, 90_000]),
        nows in vec(select(vec![0, 999, 1_000, 1_001, 4_999, 5_000, 5_999, 6_000, u64::MAX]), 1..4),
    ) {
        let epoch = 7;
        let next = Digest { epoch, state, from_ms, span_ms, refresh_ms, retry_at_ms,
            ..digest(epoch, state) };
        let gate = published(&digest(6, CircuitState::Closed));
        gate.publish(&next, || ());
        for now in nows {
            let (first, closer) = looks(&gate, now);
            prop_assert_eq!(first, closer, "at {}", now);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Report { late: u64, report: Report },
    Take,
    NewEpoch,
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn counting_past_a_full_mailbox_is_counting_one_by_one(
        steps in vec(prop_oneof![
            20 => (
                select(vec![0, 0, 0, 0, 1, 2]),
                select(vec![Report::Success, Report::Failure, Report::Failure, Report::NoVerdict]),
            ).prop_map(|(late, report)| Step::Report { late, report }),
            6 => Just(Step::Take),
            1 => Just(Step::NewEpoch),
        ], 1..80),
    ) {
        let mut counting = Counting {
            gate: Gate::new(),
            mailbox: RefCell::default(),
            actor: Counter::in_epoch(10),
            reported: Vec::new(),
        };
        for step in steps {
            match step {
                Step::Report { late, report } => counting.report(counting.actor.epoch - late, report),
                Step::Take => counting.take(),
                Step::NewEpoch => {
                    counting.actor.epoch += 1;
                    counting.gate.settle(std::mem::take(&mut counting.actor.streak));
                }
            }
        }
        while !counting.mailbox.borrow().is_empty() {
            counting.take();
        }
        counting.take();
        let streak = counting.actor.streak;
        prop_assert_eq!(streak, counting.expected());
        prop_assert_eq!(counting.gate.unsettled(), streak, "unsettled is what is not made good");
    }
}
