//! The oracle sees what is told or written wrongly, and nothing where all is well.

use std::time::{Duration, SystemTime};

use fuseboard::{BreakerRegistry, Config, MemoryStore, VirtualClock};

use super::*;

/// What a real registry tells of a circuit that trips, is probed, opens again,
/// is probed and closes.
fn told() -> Vec<CircuitTransition> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let config = Config::builder().failure_threshold(1).success_threshold(1).build().unwrap();
        let clock = VirtualClock::following_tokio(SystemTime::UNIX_EPOCH);
        let registry = BreakerRegistry::builder(MemoryStore::new()).config(config).clock(&clock);
        let registry = registry.disabled(false).spawn().unwrap();
        let mut heard = registry.subscribe();
        let breaker = registry.breaker("circuit").unwrap();
        for is_well in [false, false, true] {
            tokio::time::sleep(Duration::from_secs(31)).await;
            let permit = breaker.admit().await.unwrap();
            let settling = if is_well { permit.success() } else { permit.failure() };
            settling.settled().await;
        }
        let mut told = Vec::new();
        for _ in 0..5 {
            told.push(heard.recv().await.unwrap().unwrap());
        }
        assert!(told.iter().all(|transition| transition.origin == Origin::Local));
        told
    })
}

const KINDS: [Kind; 5] = [Kind::Trip, Kind::Elect, Kind::Reopen, Kind::Elect, Kind::Close];

/// The writes of the same story.
fn writes(told: &[CircuitTransition]) -> Vec<Write> {
    let with_token = |(number, kind): (usize, Kind)| {
        let token = (kind != Kind::Trip).then(|| format!("token-{number}"));
        Write { kind, token, opened_at: told[number].opened_at }
    };
    KINDS.into_iter().enumerate().map(with_token).collect()
}

/// One step of a story: what was written, answered, and told.
#[derive(Clone)]
struct Step {
    write: Write,
    applied: u32,
    delivered: bool,
    answer: Option<Answer>,
    told: Vec<CircuitTransition>,
}

fn well() -> Vec<Step> {
    let told = told();
    let step = |(write, told)| Step {
        write,
        applied: 1,
        delivered: true,
        answer: Some(Answer::Applied),
        told: vec![told],
    };
    writes(&told).into_iter().zip(told).map(step).collect()
}

fn play(ledger: &Ledger, steps: &[Step]) -> Compared {
    for step in steps {
        for _ in 0..step.applied {
            ledger.wrote(1, "circuit", step.write.clone(), step.delivered);
        }
        if let Some(answer) = step.answer {
            ledger.answered(1, "circuit", step.write.clone(), answer);
        }
        step.told.iter().for_each(|told| ledger.told(1, told));
    }
    ledger.settle();
    ledger.compared()
}

fn compare(steps: &[Step]) -> Compared {
    play(&Ledger::default(), steps)
}

/// The story, one step of which is otherwise.
fn but(number: usize, change: impl FnOnce(&mut Step)) -> Compared {
    let mut steps = well();
    change(&mut steps[number]);
    compare(&steps)
}

#[test]
fn nothing_is_wrong_where_all_is_well() {
    let compared = compare(&well());
    assert_eq!((compared.wrong, compared.matched), (0, 5), "{:?}", compared.faults);
    assert_eq!((compared.recognised, compared.lost, compared.late), (0, 0, 0));
}

#[test]
fn nothing_is_kept_of_what_matches() {
    let ledger = Ledger::default();
    for Step { write, told, .. } in well() {
        // As the relay may be the last to be heard.
        ledger.answered(1, "circuit", write.clone(), Answer::Applied);
        ledger.told(1, &told[0]);
        assert_eq!(ledger.inner().pages.len(), 1);
        ledger.wrote(1, "circuit", write, true);
        assert_eq!(ledger.inner().pages.len(), 0);
    }
    ledger.settle();
    assert_eq!(ledger.compared().wrong, 0);
}

#[test]
fn what_is_told_as_local_without_a_write_is_wrong() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        let compared = but(number, |step| (step.applied, step.answer) = (0, None));
        assert_eq!((compared.wrong, compared.matched), (1, 4), "{kind:?}");
    }
}

#[test]
fn what_is_told_twice_is_wrong() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        let compared = but(number, |step| step.told.push(step.told[0].clone()));
        assert_eq!((compared.wrong, compared.matched), (1, 5), "{kind:?}");
        // Of a write that is still open, too.
        let compared = but(number, |step| {
            step.answer = Some(Answer::Refused);
            step.told.push(step.told[0].clone());
        });
        assert_eq!((compared.wrong, compared.matched), (1, 5), "{kind:?}");
    }
}

#[test]
fn the_write_of_another_registry_circuit_or_opening_is_no_excuse() {
    let told = told();
    for (registry, circuit, ahead) in [(2, "circuit", 0), (1, "other", 0), (1, "circuit", 1)] {
        let ledger = Ledger::default();
        let mut write = writes(&told)[0].clone();
        write.opened_at = write.opened_at.map(|at| at.saturating_add(ahead));
        ledger.wrote(registry, circuit, write.clone(), true);
        ledger.answered(registry, circuit, write, Answer::Applied);
        ledger.told(1, &told[0]);
        ledger.settle();
        assert_eq!(ledger.compared().wrong, 2, "told without a write, and not told");
    }
}

#[test]
fn a_takeover_is_told_of_its_own_token() {
    let takeover = |owner: &str| {
        let mut told = told()[1].clone();
        told.cause = Cause::TakeOver { previous_owner: None, owner: owner.into() };
        let token = Some("ours".to_owned());
        let write = Write { kind: Kind::TakeOver, token, opened_at: None };
        let (answer, told) = (Some(Answer::Applied), vec![told]);
        compare(&[Step { write, applied: 1, delivered: true, answer, told }]).wrong
    };
    assert_eq!(takeover("ours"), 0);
    assert_eq!(takeover("theirs"), 2, "told without a write, and not told");
}

#[test]
fn a_write_that_is_applied_and_not_told_is_wrong() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        let compared = but(number, |step| step.told.clear());
        assert_eq!((compared.wrong, compared.matched), (1, 4), "{kind:?}");
        let observed = but(number, |step| step.told[0].origin = Origin::Observed);
        assert_eq!(observed.wrong, 1, "{kind:?}");
    }
}

#[test]
fn a_write_that_was_told_without_the_store_before_is_not_told_again() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        let compared = but(number, |step| step.told[0].origin = Origin::WithoutStore);
        assert_eq!((compared.wrong, compared.told_before), (0, 1), "{kind:?}");
    }
    // One excuses one.
    let mut steps = well();
    steps[1].told[0].origin = Origin::WithoutStore;
    steps[3].told.clear();
    assert_eq!(compare(&steps).wrong, 1);
}

/// Of two closings the first was applied late, when nobody asked any more, and is not told.
#[test]
fn what_is_told_of_a_closing_is_not_taken_by_an_earlier_one_that_came_late() {
    let closing = well().pop().unwrap();
    let mut late = closing.write.clone();
    late.token = Some("late".to_owned());
    let told = &closing.told[0];
    for is_reported_last in [false, true] {
        let ledger = Ledger::default();
        ledger.wrote(1, "circuit", late.clone(), false);
        ledger.answered(1, "circuit", late.clone(), Answer::None);
        ledger.answered(1, "circuit", closing.write.clone(), Answer::Applied);
        if is_reported_last {
            ledger.told(1, told);
            ledger.wrote(1, "circuit", closing.write.clone(), true);
        } else {
            ledger.wrote(1, "circuit", closing.write.clone(), true);
            ledger.told(1, told);
        }
        ledger.settle();
        let compared = ledger.compared();
        assert_eq!((compared.wrong, compared.matched, compared.lost), (0, 1, 1), "{compared:?}");
    }
}

/// One election is told without the time of its opening, and comes first.
#[test]
fn what_is_told_without_a_time_does_not_take_the_election_of_another() {
    let steps = well();
    let (first, mut other) = (&steps[1], steps[3].clone());
    other.told[0].opened_at = None;
    assert_ne!(first.write.opened_at, other.write.opened_at);
    let ledger = Ledger::default();
    for write in [&first.write, &other.write] {
        ledger.wrote(1, "circuit", write.clone(), true);
        ledger.answered(1, "circuit", write.clone(), Answer::Applied);
    }
    ledger.told(1, &other.told[0]);
    ledger.told(1, &first.told[0]);
    ledger.settle();
    let compared = ledger.compared();
    assert_eq!((compared.wrong, compared.matched), (0, 2), "{compared:?}");
}

#[test]
fn what_was_told_without_the_store_excuses_first_who_must_have_been_told() {
    let closing = well().pop().unwrap();
    let mut late = closing.write.clone();
    late.token = Some("late".to_owned());
    let mut alone = closing.told[0].clone();
    alone.origin = Origin::WithoutStore;
    let ledger = Ledger::default();
    ledger.wrote(1, "circuit", late.clone(), true);
    ledger.answered(1, "circuit", late, Answer::None);
    ledger.told(1, &alone);
    ledger.answered(1, "circuit", closing.write.clone(), Answer::Applied);
    ledger.wrote(1, "circuit", closing.write, true);
    ledger.settle();
    let compared = ledger.compared();
    assert_eq!((compared.wrong, compared.told_before, compared.late), (0, 1, 1), "{compared:?}");
}

#[test]
fn a_write_that_nobody_asked_for_or_that_is_applied_twice_is_wrong() {
    assert_eq!(but(0, |step| step.answer = None).wrong, 1);
    assert_eq!(but(0, |step| step.applied = 2).wrong, 1);
}

#[test]
fn a_write_that_is_only_said_to_be_applied_is_wrong() {
    let compared = but(2, |step| {
        step.applied = 0;
        step.told.clear();
    });
    assert_eq!(compared.wrong, 1);
}

#[test]
fn a_write_without_an_answer_need_not_be_told_and_is_counted() {
    let lost = |delivered| {
        but(0, |step| {
            step.told.clear();
            (step.delivered, step.answer) = (delivered, Some(Answer::None));
        })
    };
    assert_eq!((lost(false).wrong, lost(false).lost), (0, 1));
    assert_eq!((lost(true).wrong, lost(true).late), (0, 1));
    let recognised = but(1, |step| step.answer = Some(Answer::Refused));
    assert_eq!((recognised.wrong, recognised.matched, recognised.recognised), (0, 5, 1));
}

#[test]
fn an_election_that_was_won_by_an_earlier_attempt_is_recognised() {
    let refused = |number| {
        but(number, |step: &mut Step| {
            step.told.clear();
            (step.delivered, step.answer) = (false, Some(Answer::Refused));
        })
    };
    assert_eq!(refused(1).wrong, 1);
    // An opening carries nothing that is only ours.
    assert_eq!((refused(0).wrong, refused(0).lost), (0, 1));
}

#[test]
fn a_refused_write_is_nothing() {
    let refused = but(4, |step| {
        (step.applied, step.answer) = (0, Some(Answer::Refused));
        step.told.clear();
    });
    assert_eq!((refused.wrong, refused.matched), (0, 4));
}

#[test]
fn what_a_subscriber_missed_is_counted_and_not_judged() {
    let ledger = Ledger::default();
    ledger.missed(1, 3);
    let mut steps = well();
    steps[0].told.clear();
    let compared = play(&ledger, &steps);
    assert_eq!((compared.wrong, compared.not_judged, compared.missed), (0, 1, 3));
    // Only that phase, and never what is told without a write.
    assert_eq!(play(&ledger, &steps).wrong, 1);
    ledger.missed(1, 3);
    steps[1].applied = 0;
    steps[1].answer = None;
    assert_eq!(play(&ledger, &steps).wrong, 2);
}
