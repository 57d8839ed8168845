#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

mod windows;

/// Good calls that end a contradiction of a circuit that one good probe closes.
const ENOUGH: u64 = 8;

fn counting(threshold: u64) -> Counting {
    Counting::new(Rules::in_a_row(threshold), 1)
}

fn fail(counting: &mut Counting, place: u64) -> Option<(u64, bool)> {
    counting.failure(place, Moment::default());
    counting.trip().map(|trip| (trip.count, trip.refuted))
}

fn forget(counting: &mut Counting, place: u64) {
    counting.forget_past(place, Moment::default());
}

#[test]
fn case_04_a_good_call_between_ends_the_streak() {
    let mut counting = counting(3);
    assert_eq!(fail(&mut counting, 0), None);
    assert_eq!(fail(&mut counting, 0), None);
    assert_eq!(fail(&mut counting, 1), None);
    assert_eq!(fail(&mut counting, 1), None);
    assert_eq!(fail(&mut counting, 1), Some((3, false)));
}

#[test]
fn a_trip_stands_unchanged_until_it_is_ended() {
    let mut counting = counting(2);
    let at = Moment::of_seconds(7, 1_000);
    counting.failure(0, Moment::default());
    counting.failure(0, at);
    counting.failure(0, Moment::of_seconds(9, 1_002));
    counting.forget_past(5, Moment::default());
    assert_eq!(
        counting.trip(),
        Some(&Trip {
            epoch: 1,
            cause: Cause::FailureThreshold,
            count: 2,
            at,
            refuted: false,
            open_for: None
        })
    );
    assert!(counting.remembered().any);
    counting.restart();
    assert_eq!(counting.trip(), None);
    assert!(!counting.remembered().any);
    assert_eq!(fail(&mut counting, 0), None, "it begins from none");
}

#[test]
fn case_08_an_epoch_begins_without_failures_and_runs_only_forward() {
    let mut counting = counting(2);
    assert_eq!(fail(&mut counting, 3), None);
    counting.start_epoch(1, 3, false);
    assert!(counting.remembered().any, "it has begun already");
    counting.start_epoch(4, 3, false);
    assert!(!counting.remembered().any);
    counting.start_epoch(2, 0, false);
    assert_eq!(counting.epoch(), 4);
    assert_eq!(fail(&mut counting, 0), None);
    assert_eq!(fail(&mut counting, 0), Some((2, false)));
    counting.start_epoch(5, 0, false);
    assert_eq!(counting.trip(), None, "what ended the epoch was published");
}

#[test]
fn case_99_two_failures_in_a_row_hurt_until_a_good_call_is_known_of() {
    let mut counting = counting(5);
    let _ = fail(&mut counting, 0);
    assert!(!counting.is_failing());
    let _ = fail(&mut counting, 1);
    assert!(!counting.is_failing(), "a good call lies between");
    let _ = fail(&mut counting, 1);
    assert!(counting.is_failing());
    forget(&mut counting, 1);
    assert!(counting.is_failing());
    forget(&mut counting, 2);
    assert!(!counting.is_failing() && !counting.remembered().any);
}

#[test]
fn case_95_so_many_good_calls_in_a_row_end_a_contradiction_and_one_less_does_not() {
    for (good, refuted) in [(0, true), (ENOUGH - 1, true), (ENOUGH, false), (ENOUGH + 9, false)] {
        let mut counting = counting(2);
        counting.start_epoch(2, 0, true);
        assert!(counting.remembered().any, "good calls are counted from its beginning");
        let _ = fail(&mut counting, good);
        assert_eq!(fail(&mut counting, good), Some((2, refuted)), "after {good}");
    }
}

#[test]
fn case_95_good_calls_that_a_failure_parts_are_not_in_a_row() {
    let mut counting = counting(9);
    counting.start_epoch(2, 0, true);
    for place in (0..100).step_by(7) {
        let _ = fail(&mut counting, place);
        forget(&mut counting, place + 6);
        assert!(counting.remembered().any);
    }
    forget(&mut counting, 98 + ENOUGH - 1);
    assert!(counting.remembered().any);
    forget(&mut counting, 98 + ENOUGH);
    assert!(!counting.remembered().any, "without a failure as well");
}

#[test]
fn case_95_good_probes_and_calls_of_earlier_epochs_count_and_a_failed_probe_takes_them_off() {
    let mut sound = counting(1);
    sound.start_epoch(2, 0, true);
    sound.start_epoch(3, 3, false);
    sound.probe(0, true);
    sound.start_epoch(4, 0, false);
    assert_eq!(fail(&mut sound, ENOUGH - 5).map(|trip| trip.1), Some(true), "3 + 1 + 3");
    sound.start_epoch(5, ENOUGH - 5, false);
    sound.probe(0, true);
    assert_eq!(fail(&mut sound, ENOUGH - 1).map(|trip| trip.1), Some(false), "1 + 7");
    let mut broken = counting(1);
    broken.start_epoch(2, 0, true);
    broken.probe(ENOUGH - 1, false);
    assert_eq!(fail(&mut broken, ENOUGH).map(|trip| trip.1), Some(true), "one since the probe");
}

#[test]
fn a_failure_that_knows_of_an_epoch_before_the_actor_is_told_does_not_hide_a_contradiction() {
    let mut counting = counting(1);
    counting.start_epoch(2, 0, false);
    assert_eq!(fail(&mut counting, 0), Some((1, false)));
    counting.start_epoch(2, 0, true);
    assert_eq!(counting.trip().map(|trip| trip.refuted), Some(true));
}

#[test]
fn case_198_a_freeze_drops_a_trip_that_nobody_has_seen_and_no_streak() {
    let mut counting = counting(3);
    let _ = fail(&mut counting, 7);
    let _ = fail(&mut counting, 7);
    counting.renumber(2, 7);
    assert_eq!((counting.epoch(), counting.in_a_row()), (2, 2));
    assert_eq!(fail(&mut counting, 0), Some((3, false)));
    counting.renumber(3, 0);
    assert_eq!((counting.trip(), counting.in_a_row()), (None, 0));
    let _ = fail(&mut counting, 0);
    counting.renumber(4, 1);
    assert_eq!(counting.in_a_row(), 0, "a good call came before the freeze");
    counting.renumber(4, 9);
    assert_eq!(counting.epoch(), 4);
}

#[test]
fn a_sum_that_misses_a_thread_of_the_next_epoch_ends_no_contradiction() {
    let mut counting = counting(1);
    counting.start_epoch(2, 0, true);
    counting.forget_past(5, Moment::default());
    counting.renumber(3, 4);
    assert!(counting.remembered().any);
}

#[test]
fn places_that_wrap_are_compared_around_the_wrap() {
    assert_eq!(distance(1, COUNT_MASK), 2);
    let mut counting = counting(2);
    counting.contradiction = Some(Contradiction { base: COUNT_MASK, carried: 0 });
    forget(&mut counting, ENOUGH - 2);
    assert!(counting.remembered().any, "one less than enough");
    forget(&mut counting, ENOUGH - 1);
    assert!(!counting.remembered().any);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Good,
    Bad,
    /// The actor has a turn.
    Forget,
    Probe(bool),
    Epoch {
        contradicted: bool,
    },
    /// The process was frozen between two calls.
    Thaw,
}

/// Every outcome, in order: the reference that counting by places is compared with.
#[derive(Default)]
struct List {
    /// The outcomes of this epoch.
    outcomes: Vec<bool>,
    /// The outcomes since others contradicted this process, good probes included.
    since_contradicted: Option<Vec<bool>>,
}

impl List {
    fn push(&mut self, is_good: bool) {
        self.outcomes.push(is_good);
        self.push_verdict(is_good);
    }

    fn push_verdict(&mut self, is_good: bool) {
        if let Some(since) = &mut self.since_contradicted {
            since.push(is_good);
            let enough = usize::try_from(ENOUGH).unwrap();
            if since.len() >= enough && since[since.len() - enough..].iter().all(|good| *good) {
                self.since_contradicted = None;
            }
        }
    }

    fn streak(&self) -> u64 {
        let failures = self.outcomes.iter().rev().take_while(|is_good| !**is_good);
        u64::try_from(failures.count()).unwrap()
    }
}

/// The counting, which gets good calls as its circuit gives them: by places, while watched.
struct Watched {
    counting: Counting,
    place: u64,
}

impl Watched {
    fn start(&mut self, contradicted: bool) {
        self.counting.start_epoch(self.counting.epoch() + 1, self.place, contradicted);
        self.place = 0;
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => Just(Step::Good),
        6 => Just(Step::Bad),
        2 => Just(Step::Forget),
        1 => any::<bool>().prop_map(Step::Probe),
        1 => select(vec![false, true, true]).prop_map(|contradicted| Step::Epoch { contradicted }),
        2 => Just(Step::Thaw),
    ];
    vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn counting_by_places_decides_as_a_list_of_every_outcome_does(
        threshold in 1_u64..5,
        steps in steps(),
    ) {
        let mut list = List::default();
        let mut watched = Watched { counting: counting(threshold), place: 0 };
        for step in steps {
            match step {
                Step::Good => {
                    list.push(true);
                    watched.place += u64::from(watched.counting.remembered().any);
                }
                Step::Bad => {
                    // A failure is judged by what came before it.
                    let refuted = list.since_contradicted.is_some();
                    list.push(false);
                    let trip = fail(&mut watched.counting, watched.place);
                    let expected = list.streak() >= threshold;
                    prop_assert_eq!(trip, expected.then(|| (list.streak(), refuted)));
                    prop_assert_eq!(watched.counting.is_failing(), list.streak() >= 2);
                    if expected {
                        list.outcomes.clear();
                        watched.start(false);
                    }
                }
                Step::Forget => {
                    forget(&mut watched.counting, watched.place);
                    let stands = list.streak() > 0 || list.since_contradicted.is_some();
                    prop_assert_eq!(watched.counting.remembered().any, stands);
                    prop_assert_eq!(watched.counting.in_a_row(), list.streak());
                }
                Step::Probe(is_good) => {
                    list.push_verdict(is_good);
                    watched.counting.probe(watched.place, is_good);
                }
                Step::Epoch { contradicted } => {
                    // A contradiction that good calls ended is noticed at the next failure only.
                    forget(&mut watched.counting, watched.place);
                    list.outcomes.clear();
                    if contradicted && list.since_contradicted.is_none() {
                        list.since_contradicted = Some(Vec::new());
                    }
                    watched.start(contradicted);
                }
                Step::Thaw => {
                    let epoch = watched.counting.epoch() + 1;
                    watched.counting.renumber(epoch, watched.place);
                    watched.place = 0;
                }
            }
        }
    }

    #[test]
    fn case_102_of_last_is_a_ring_of_as_many_outcomes_that_are_all_failures(
        threshold in 1_u64..6,
        outcomes in vec(select(vec![true, false, false, false]), 0..80),
    ) {
        let mut ring = vec![true; usize::try_from(threshold).unwrap()];
        let mut watched = Watched { counting: counting(threshold), place: 0 };
        for is_good in outcomes {
            ring.rotate_left(1);
            *ring.last_mut().unwrap() = is_good;
            if is_good {
                watched.place += u64::from(watched.counting.remembered().any);
                continue;
            }
            let is_tripped = fail(&mut watched.counting, watched.place).is_some();
            prop_assert_eq!(is_tripped, !ring.contains(&true));
            if is_tripped {
                break;
            }
        }
    }
}
