//! How long an opening lasts: as a call asks, and longer after each failed probe.

use std::time::{Duration, SystemTime};

use fuseboard::{
    Backoff, Cause, CircuitState, ConfigBuilder, Hold, Outcome,
    store::{Field, Record},
};

use crate::support::world::{Call, Process, START, Shared, Way, World, pass, settle};

const ABSURD: u64 = 1_000_000_000_000_000_000;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A call that is told when to come back.
async fn throttle<W>(process: &Process<W>, open_for: Duration) {
    let permit = process.circuit().admit().await.unwrap();
    permit.report(Outcome::OpenFor(open_for)).settled().await;
}

/// One good call of a process that has to learn what the store says.
async fn retry_after<W>(process: &Process<W>) -> Duration {
    process.ok().await.rejection().retry_after()
}

async fn case_121_a_call_opens_for_the_time_that_it_asks_for<S: Shared>() {
    for (asked, lasts) in [(7, 7), (120, 120), (0, 1), (601, 600), (3_153_600_000, 600)] {
        let world = World::<S>::new();
        let (a, b) = (world.process(), world.process());
        throttle(&a, s(asked)).await;
        let record = world.record();
        assert_eq!(a.store.writes(), 1, "{asked}");
        assert_eq!(record.state, Field::Valid(CircuitState::Open));
        assert_eq!(record.failure_count, Field::Valid(1));
        assert_eq!(record.opened_at, Field::Valid(START));
        let until = START + i64::try_from(lasts).unwrap();
        assert_eq!(record.open_until, Field::Valid(until), "{asked}");
        let expires_at = until.max(START + 30) + 3_600;
        assert_eq!(record.expires_at, Field::Valid(expires_at), "{asked}");
        let transition = a.transitions().remove(0);
        assert_eq!(transition.cause, Cause::OpenFor);
        for process in [&a, &b] {
            assert_eq!(retry_after(process).await, s(lasts), "{asked}");
        }
        tokio::time::sleep(s(lasts) - Duration::from_millis(10)).await;
        let cold = world.process();
        for process in [&a, &b, &cold] {
            assert_eq!(retry_after(process).await, Duration::from_millis(10), "{asked}");
        }
        pass(0.01).await;
        assert_eq!(b.ok().await, Call::Ok, "{asked}");
        assert_eq!(world.record().open_until, Field::Absent, "an election removes it");
    }
}

async fn case_121_no_time_is_too_long_or_too_short_to_ask_for<S: Shared>() {
    for (asked, lasts) in [
        (Duration::ZERO, 1),
        (Duration::from_nanos(1), 1),
        (Duration::from_millis(1_001), 2),
        (Duration::MAX, 45),
    ] {
        let world = World::<S>::with(|config| config.open_for_at_most(s(45)));
        let process = world.process();
        throttle(&process, asked).await;
        assert_eq!(retry_after(&process).await, s(lasts), "{asked:?}");
    }
}

async fn case_121_a_late_or_ignored_call_opens_nothing<S: Shared>() {
    let world = World::<S>::new();
    let a = world.process();
    let straggler = a.circuit().admit_owned().await.unwrap();
    a.trip().await;
    straggler.open_for(s(500)).settled().await;
    assert_eq!(retry_after(&a).await, s(30), "the opening keeps its own time");
    assert_eq!(world.record().open_until, Field::Absent);
}

async fn case_122_a_probe_that_is_told_to_wait_reopens_for_that_time<S: Shared>() {
    for asked in [5, 90] {
        let world = World::<S>::new();
        let (a, b) = (world.process(), world.process());
        a.trip().await;
        pass(31.0).await;
        throttle(&b, s(asked)).await;
        let record = world.record();
        assert_eq!((record.state, record.failure_count), (CircuitState::Open.into(), 0.into()));
        let until = START + 31 + i64::try_from(asked).unwrap();
        assert_eq!(record.open_until, Field::Valid(until));
        assert_eq!(b.transitions().last().unwrap().cause, Cause::OpenFor);
        for process in [&b, &world.process()] {
            assert_eq!(retry_after(process).await, s(asked));
        }
        tokio::time::sleep(s(asked)).await;
        assert_eq!(world.process().ok().await, Call::Ok);
    }
}

/// A process of another program waits for its own recovery timeout, and hands the right to
/// probe over in the middle of the opening.
async fn case_122_a_reopening_does_not_end_before_the_opening_before<S: Shared>() {
    let world = World::<S>::new();
    let a = world.process();
    throttle(&a, s(300)).await;
    pass(40.0).await;
    let mut leased = world.record();
    leased.state = CircuitState::HalfOpen.into();
    leased.owner = Field::Valid("older".into());
    leased.lease_until = (START - 20).into();
    world.write(Some(leased));
    let b = world.process();
    throttle(&b, s(5)).await;
    assert_eq!(world.record().open_until, Field::Valid(START + 300), "not 5 s from now");
    let left = s((START + 300 - world.record().opened_at.valid().unwrap()).unsigned_abs());
    assert_eq!(retry_after(&b).await, left);
}

/// Doubles from 30 s, without the jitter.
fn doubling(config: ConfigBuilder) -> ConfigBuilder {
    config.open_backoff(Backoff::exponential(2.0).jitter(0.0))
}

async fn case_124_each_failed_probe_lengthens_the_wait_of_all<S: Shared>() {
    let world = World::<S>::with(doubling);
    let (a, b) = (world.process(), world.process());
    a.trip().await;
    assert_eq!(world.record().failed_probes, Field::Valid(0));
    let mut now = START;
    for (failed, lasts) in [(1, 30), (2, 60), (3, 120), (4, 240), (5, 300), (6, 300)] {
        tokio::time::sleep(s(lasts) - Duration::from_millis(10)).await;
        let cold = world.process();
        for process in [&a, &b, &cold] {
            assert!(process.ok().await.is_rejected(), "{lasts} s are not over");
        }
        pass(0.01).await;
        now += i64::try_from(lasts).unwrap();
        assert_eq!(b.fail().await, Call::Failed, "a probe after {lasts} s");
        let record = world.record();
        assert_eq!(record.failed_probes, Field::Valid(failed));
        assert_eq!(record.opened_at, Field::Valid(now));
        assert_eq!(record.open_until, Field::Absent);
    }
}

async fn case_124_all_processes_lengthen_by_the_same_jitter<S: Shared>() {
    let world = World::<S>::with(|config| config.open_backoff(Backoff::exponential(2.0)));
    let (a, b) = (world.process(), world.process());
    a.trip().await;
    let first = retry_after(&a).await;
    assert!(first > s(30) && first < s(36), "{first:?}");
    assert_eq!(retry_after(&b).await, first);
    tokio::time::sleep(first).await;
    assert_eq!(b.fail().await, Call::Failed);
    let second = retry_after(&b).await;
    assert!(second > s(60) && second < s(72) && second != 2 * first, "{second:?}");
    let cold = retry_after(&world.process()).await;
    // The stamp of the opening is rounded up to a whole second, and others go by it.
    assert!(cold >= second && cold <= second + s(1), "{cold:?} after {second:?}");
}

async fn case_125_a_circuit_that_flaps_waits_longer_each_time<S: Shared>() {
    let world = World::<S>::with(|config| doubling(config).success_threshold(1));
    let a = world.process();
    for (failed, lasts, closed_for) in [(0, 30, 599.0), (1, 60, 1.0), (2, 120, 601.0), (0, 30, 0.0)]
    {
        a.trip().await;
        assert_eq!(world.record().failed_probes, Field::Valid(failed));
        assert_eq!(retry_after(&a).await, s(lasts));
        tokio::time::sleep(s(lasts)).await;
        assert_eq!(a.ok().await, Call::Ok);
        assert_eq!(world.stored_state(), Some(CircuitState::Closed));
        assert_eq!(world.record().failed_probes, Field::Valid(failed), "a closing keeps it");
        pass(closed_for).await;
    }
}

async fn case_125_a_cold_process_goes_on_where_the_fleet_was<S: Shared>() {
    let world = World::<S>::with(|config| doubling(config).success_threshold(1));
    let a = world.process();
    a.trip().await;
    pass(30.0).await;
    assert_eq!(a.ok().await, Call::Ok);
    let cold = world.process();
    cold.trip().await;
    assert_eq!(world.record().failed_probes, Field::Valid(1));
    assert_eq!(retry_after(&cold).await, s(60));
}

/// As a Python function that was elected leaves the item when its probe fails.
/// `interop::hints` compares this with the real one.
pub(crate) fn reopened_by_the_reference(at: i64) -> Record {
    let mut record = Record::empty();
    (record.state, record.failure_count) = (CircuitState::Open.into(), 0.into());
    (record.opened_at, record.expires_at) = (at.into(), (at + 3_630).into());
    record
}

async fn case_126_without_the_attribute_the_back_off_begins_anew<S: Shared>() {
    let world = World::<S>::with(doubling);
    let a = world.process();
    a.trip().await;
    for lasts in [30, 60] {
        tokio::time::sleep(s(lasts)).await;
        assert_eq!(a.fail().await, Call::Failed);
    }
    assert_eq!(world.record().failed_probes, Field::Valid(2));
    pass(10.0).await;
    world.write(Some(reopened_by_the_reference(START + 90 + 10)));
    let b = world.process();
    assert_eq!(retry_after(&b).await, s(30));
    pass(30.0).await;
    assert_eq!(b.fail().await, Call::Failed);
    assert_eq!(world.record().failed_probes, Field::Valid(1));
    assert_eq!(retry_after(&b).await, s(60));
}

async fn case_126_an_operator_ends_the_back_off<S: Shared>() {
    for hold in [true, false] {
        let world = World::<S>::with(doubling);
        let a = world.process();
        a.trip().await;
        pass(30.0).await;
        throttle(&a, s(50)).await;
        assert_eq!(world.record().failed_probes, Field::Valid(1));
        // What hints say never keeps an operator from acting.
        let mut record = world.record();
        record.failed_probes = Field::Valid(7);
        world.write(Some(record));
        if hold {
            let until = SystemTime::UNIX_EPOCH + s(START.unsigned_abs() + 100);
            a.circuit().hold(Hold::open(until).reason("deploy")).await.unwrap();
        } else {
            a.circuit().release().await.unwrap();
        }
        let record = world.record();
        assert_eq!((record.failed_probes, record.open_until), (Field::Absent, Field::Absent));
    }
}

async fn case_127_absurd_hints_cost_a_bounded_wait<S: Shared>() {
    let until = |until: i64| (Field::Valid(until), Field::Absent);
    let failed = |failed: u64| (Field::Absent, Field::Valid(failed));
    for (hints, lasts) in [
        (until(START + 10_000_000_000), 600),
        (until(i64::MAX), 600),
        (until(START), 30),
        (until(START - 50), 30),
        (until(i64::MIN), 30),
        (until(START + 20), 20),
        (failed(ABSURD), 300),
        (failed(i64::MAX.unsigned_abs()), 300),
    ] {
        let world = World::<S>::with(doubling);
        world.process().trip().await;
        let mut absurd = world.record();
        (absurd.open_until, absurd.failed_probes) = hints;
        world.write(Some(absurd.clone()));
        let process = world.process();
        assert_eq!(retry_after(&process).await, s(lasts), "{absurd:?}");
        tokio::time::sleep(s(lasts)).await;
        assert_eq!(process.ok().await, Call::Ok, "{absurd:?}");
        let record = world.record();
        assert_eq!(record.defect(), None, "the election mends it: {record:?}");
    }
}

/// A real older version is played in `interop::mixed`.
async fn case_128_who_has_no_back_off_waits_its_own_time_and_keeps_the_count<S: Shared>() {
    let world = World::<S>::with(doubling);
    let a = world.process();
    a.trip().await;
    pass(30.0).await;
    assert_eq!(a.fail().await, Call::Failed);
    assert_eq!(world.record().failed_probes, Field::Valid(1));
    let plain = fuseboard::Config::builder().election_spread(Duration::ZERO).build().unwrap();
    let older = world.process_with(|builder| builder.config(plain));
    pass(30.0).await;
    assert!(a.ok().await.is_rejected(), "60 s are not over");
    assert_eq!(older.fail().await, Call::Failed, "it probes after 30 s");
    let record = world.record();
    assert_eq!(record.failed_probes, Field::Valid(1), "it does not name the count");
    settle().await;
    pass(5.0).await;
    assert!(a.ok().await.is_rejected());
    pass(25.0).await;
    for _ in 0..3 {
        assert_eq!(older.ok().await, Call::Ok);
    }
    assert_eq!(world.stored_state(), Some(CircuitState::Closed));
    assert_eq!(world.record().failed_probes, Field::Valid(1));
}

/// By the record alone, which knows no settings.
async fn the_record_tells_when_a_process_probes_next<S: Shared>() {
    let world = World::<S>::with(doubling);
    let a = world.process();
    // A stamp is rounded up, and its expiry down.
    let told_of = async |what: &str| {
        let now = world.clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let told = s(world.record().next_probe_at().unwrap().unsigned_abs());
        let known = now + retry_after(&a).await;
        assert!(told.abs_diff(known) <= s(1), "{what}: told {told:?}, and it is {known:?}");
    };
    a.trip().await;
    told_of("a trip").await;
    for seconds in [30, 60, 120] {
        pass(seconds.into()).await;
        assert_eq!(a.fail().await, Call::Failed);
        told_of("a failed probe").await;
    }
    for asked in [500, 7] {
        pass(500.0).await;
        throttle(&a, s(asked)).await;
        told_of("a call that was told to wait").await;
    }
    a.circuit().hold(Hold::open_for(s(7_200))).await.unwrap();
    told_of("a hold").await;
    pass(7_200.0).await;
    let probe = a.circuit().admit().await.unwrap();
    let lease = world.record().lease_until;
    assert!(probe.is_probe() && lease.valid().is_some());
    assert_eq!(world.record().next_probe_at(), lease.valid().copied());
    a.circuit().release().await.unwrap();
    assert_eq!(world.record().next_probe_at(), None);
}

over_each_store! {
    case_121_a_call_opens_for_the_time_that_it_asks_for,
    case_121_no_time_is_too_long_or_too_short_to_ask_for,
    case_121_a_late_or_ignored_call_opens_nothing,
    case_122_a_probe_that_is_told_to_wait_reopens_for_that_time,
    case_122_a_reopening_does_not_end_before_the_opening_before,
    case_124_each_failed_probe_lengthens_the_wait_of_all,
    case_124_all_processes_lengthen_by_the_same_jitter,
    case_125_a_circuit_that_flaps_waits_longer_each_time,
    case_125_a_cold_process_goes_on_where_the_fleet_was,
    case_126_without_the_attribute_the_back_off_begins_anew,
    case_126_an_operator_ends_the_back_off,
    case_127_absurd_hints_cost_a_bounded_wait,
    case_128_who_has_no_back_off_waits_its_own_time_and_keeps_the_count,
    the_record_tells_when_a_process_probes_next,
}
