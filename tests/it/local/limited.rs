//! Calls that are cut at a limit.

use std::{
    cell::Cell,
    future::{Future, pending, ready},
    time::{Duration, SystemTime},
};

use fuseboard::{Breaker, CallError, CircuitState, Limit, Outcome};
use futures::{FutureExt as _, future::join_all};
use tokio::{sync::oneshot, task::JoinSet};

use crate::support::{
    faulty::Fault,
    memory::{World, pass, recover, settle, succeed, timed, trip},
};

type Answer = Result<u32, &'static str>;

const LIMIT: Duration = Duration::from_secs(2);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn hangs() -> impl Future<Output = Answer> {
    pending()
}

/// Answers after so many seconds.
async fn after(seconds: f64) -> Answer {
    pass(seconds).await;
    Ok(42)
}

/// The limit that a call was cut at.
fn cut_at(result: &Result<u32, CallError<&'static str>>) -> Option<Duration> {
    result.as_ref().err()?.timed_out().map(fuseboard::TimedOutError::limit)
}

#[tokio::test(start_paused = true)]
async fn case_181_a_hang_is_cut_at_the_limit_counted_and_told() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    assert_eq!(succeed(&breaker).await, Ok(42));
    for _ in 0..5 {
        assert_eq!(breaker.state(), CircuitState::Closed);
        let (cut, took) = timed(breaker.call_within(LIMIT, hangs)).await;
        assert_eq!(cut_at(&cut), Some(LIMIT));
        assert!(took >= LIMIT && took < LIMIT + millis(10), "{took:?}");
    }
    assert_eq!(world.stored_state(), Some(CircuitState::Open), "written before the last returned");
    let rejected = breaker.call_within(LIMIT, hangs).await;
    assert!(matches!(rejected, Err(CallError::Open(_))));
}

#[tokio::test(start_paused = true)]
async fn case_181_an_answer_within_the_limit_is_judged_as_any() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for takes in [0.0, 1.0, 2.0] {
        let (answer, took) = timed(breaker.call_within(LIMIT, || after(takes))).await;
        assert_eq!(answer, Ok(42), "{takes}");
        assert!(took < LIMIT + millis(10), "{took:?}");
    }
    for _ in 0..4 {
        let failed = breaker.call_within(LIMIT, || ready(Answer::Err("down"))).await;
        assert_eq!(failed, Err(CallError::Inner("down")));
    }
    assert_eq!(cut_at(&breaker.call_within(LIMIT, || after(2.1)).await), Some(LIMIT));
    assert_eq!(breaker.state(), CircuitState::Open, "four failures and a cut in a row");
}

#[tokio::test(start_paused = true)]
async fn case_181_a_call_has_until_its_deadline_and_a_past_one_is_unknown() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    assert_eq!(succeed(&breaker).await, Ok(42));
    let past = Limit::until(SystemTime::UNIX_EPOCH);
    let in_3_s = || Limit::until(world.clock.wall() + Duration::from_secs(3));
    assert_eq!(cut_at(&breaker.call_within(in_3_s(), hangs).await), Some(millis(3_000)));
    let limit = in_3_s().margin(millis(500));
    assert_eq!(cut_at(&breaker.call_within(limit, hangs).await), Some(millis(2_500)));
    let limit = in_3_s().margin(millis(500)).at_most(LIMIT);
    assert_eq!(cut_at(&breaker.call_within(limit, hangs).await), Some(LIMIT));
    for (limit, cut) in [(past.at_most(LIMIT), Some(2_000)), (past.margin(millis(500)), None)] {
        let ended = breaker.call_within(limit, || after(600.0)).await;
        assert_eq!(cut_at(&ended), cut.map(millis), "{limit:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_181_the_wait_for_the_admission_is_not_in_the_limit_but_before_the_deadline() {
    let world = World::new();
    let (one, other) = (world.process(), world.process());
    for process in [&one, &other] {
        process.store.meets(Fault::Delay(millis(500)));
    }
    let breaker = one.breaker();
    let (answer, took) = timed(breaker.call_within(LIMIT, || after(1.9))).await;
    assert_eq!(answer, Ok(42));
    assert!(took >= millis(2_400), "{took:?}");
    let deadline = world.clock.wall() + LIMIT;
    let (cut, took) = timed(other.breaker().call_within(Limit::until(deadline), hangs)).await;
    let had = cut_at(&cut).expect("it was cut");
    assert!(had > millis(1_480) && had <= millis(1_500), "{had:?}");
    assert!(took >= LIMIT && took < LIMIT + millis(20), "{took:?}");
}

/// Runs so many calls that hang, and freezes the process meanwhile.
async fn freeze_amid(world: &World, breaker: &Breaker, calls: usize) {
    let running = join_all((0..calls).map(|_| breaker.call_within(LIMIT, hangs)));
    let freeze = async {
        settle().await;
        world.clock.freeze(Duration::from_secs(60));
    };
    let (ended, ()) = futures::join!(running, freeze);
    assert!(ended.iter().all(|ended| cut_at(ended) == Some(LIMIT)));
}

#[tokio::test(start_paused = true)]
async fn case_181_a_freeze_is_no_evidence() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..4 {
        assert_eq!(succeed(&breaker).await, Ok(42));
        freeze_amid(&world, &breaker, 20).await;
        settle().await;
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
    assert_eq!(world.stored_state(), None);
    for _ in 0..5 {
        let _ = breaker.call_within(LIMIT, hangs).await;
    }
    assert_eq!(breaker.state(), CircuitState::Open, "calls of after the thaw count");
}

#[tokio::test(start_paused = true)]
async fn case_181_a_freeze_is_no_evidence_of_a_probe_either() {
    let world = World::with(|config| config.probe_lease(Duration::from_secs(600)));
    let process = world.process();
    let breaker = process.breaker();
    trip(&breaker).await;
    pass(32.0).await;
    freeze_amid(&world, &breaker, 1).await;
    assert_eq!(world.stored_state(), Some(CircuitState::HalfOpen));
    recover(&breaker).await;
}

#[tokio::test(start_paused = true)]
async fn case_181_a_probe_that_is_cut_reopens() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    trip(&breaker).await;
    pass(31.0).await;
    assert_eq!(cut_at(&breaker.call_within(LIMIT, hangs).await), Some(LIMIT));
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
}

/// A call whose answer is read by another task so long after the limit.
async fn answered_late(
    world: &World,
    breaker: &Breaker,
    stops: impl FnOnce(&World),
    late: Duration,
) -> Result<u32, CallError<&'static str>> {
    let (answer, answered) = oneshot::channel();
    let reads = async {
        pass(1.0).await;
        stops(world);
        tokio::time::sleep(LIMIT - Duration::from_secs(1) + late).await;
        let _ = answer.send(Answer::Ok(42));
    };
    let call = breaker.call_within(LIMIT, || answered.map(|answer| answer.unwrap_or(Err("gone"))));
    futures::join!(call, reads).0
}

#[tokio::test(start_paused = true)]
async fn case_181_an_answer_that_waited_through_a_freeze_is_taken() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let hour = Duration::from_secs(3_600);
    for late in [millis(0), millis(1), millis(90)] {
        let thawed = answered_late(&world, &breaker, |world| world.clock.freeze(hour), late).await;
        assert_eq!(thawed, Ok(42), "{late:?}");
        let unblocked =
            answered_late(&world, &breaker, |world| world.clock.advance(hour), late).await;
        assert_eq!(unblocked, Ok(42), "{late:?}");
    }
    let much_later = millis(200);
    let thawed =
        answered_late(&world, &breaker, |world| world.clock.freeze(hour), much_later).await;
    assert_eq!(cut_at(&thawed), Some(LIMIT), "for a moment, not for ever");
    let on_time = answered_late(&world, &breaker, |_| (), millis(5)).await;
    assert_eq!(cut_at(&on_time), Some(LIMIT), "nothing held it up");
}

#[tokio::test(start_paused = true)]
async fn case_181_a_hang_counts_though_the_runtime_was_blocked_meanwhile() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..5 {
        assert_eq!(breaker.state(), CircuitState::Closed);
        let blocks = || async {
            world.clock.advance(Duration::from_secs(9));
            pending::<Answer>().await
        };
        assert_eq!(cut_at(&breaker.call_within(LIMIT, blocks).await), Some(LIMIT));
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn case_181_no_time_shows_nothing_and_no_limit_is_too_long() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..10 {
        let cut = breaker.call_within(Duration::ZERO, hangs).await;
        assert_eq!(cut_at(&cut), Some(Duration::ZERO));
        let deadline = world.clock.wall() + millis(300);
        let cut = breaker.call_within(Limit::until(deadline).margin(LIMIT), hangs).await;
        assert_eq!(cut_at(&cut), Some(Duration::ZERO));
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(breaker.call_within(Duration::ZERO, || ready(Answer::Ok(42))).await, Ok(42));
    for _ in 0..5 {
        let cut = breaker.call_within(Duration::from_nanos(1), hangs).await;
        assert_eq!(cut_at(&cut), Some(Duration::from_nanos(1)));
    }
    assert_eq!(breaker.state(), CircuitState::Open);
    pass(31.0).await;
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
    for limit in [Limit::from(Duration::MAX), Limit::until(far), Limit::until(far).margin(LIMIT)] {
        assert_eq!(breaker.call_within(limit, || after(10.0)).await, Ok(42));
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_call_with_a_limit_that_is_dropped_from_outside_is_none_and_one_that_panics_failed() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    for _ in 0..10 {
        let given_up = tokio::time::timeout(millis(10), breaker.call_within(LIMIT, hangs)).await;
        assert!(given_up.is_err());
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    for _ in 0..5 {
        let breaker = breaker.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let panics = || async { panic!("as the test says") };
            breaker.call_within::<u32, &str, _, _>(LIMIT, panics).await
        });
        assert!(tasks.join_next().await.is_some_and(|ended| ended.is_err()));
    }
    settle().await;
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_limit_holds_for_a_call_that_is_classified_too() {
    let world = World::new();
    let process = world.process();
    let asked = Cell::new(0);
    let ignores = |_: &Answer| {
        asked.set(asked.get() + 1);
        Outcome::Ignored
    };
    let breaker = process.breaker().classified_by(ignores);
    for _ in 0..5 {
        let ignored = breaker.call_within(LIMIT, || ready(Answer::Err("down"))).await;
        assert_eq!(ignored, Err(CallError::Inner("down")));
        assert_eq!(cut_at(&breaker.call_within(LIMIT, hangs).await), Some(LIMIT));
    }
    assert_eq!(asked.get(), 5, "a cut is not for the classifier");
    assert_eq!(breaker.breaker().state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_permit_cuts_a_call_and_classifies_it_too() {
    let world = World::new();
    let process = world.process();
    let breaker = process.breaker();
    let asked = Cell::new(0);
    let ignores = |_: &Answer| {
        asked.set(asked.get() + 1);
        Outcome::Ignored
    };
    for _ in 0..5 {
        assert_eq!(breaker.state(), CircuitState::Closed);
        let permit = breaker.admit_owned().await.unwrap();
        let ran = permit.run_classified_within(LIMIT, ready(Answer::Err("down")), ignores).await;
        assert_eq!(ran, Err(CallError::Inner("down")));
        let permit = breaker.admit().await.unwrap();
        let ran = permit.run_classified_within(LIMIT, hangs(), ignores).await;
        assert_eq!(cut_at(&ran), Some(LIMIT));
    }
    assert_eq!(asked.get(), 5, "a cut is not for the classifier");
    assert_eq!(breaker.state(), CircuitState::Open);
}
