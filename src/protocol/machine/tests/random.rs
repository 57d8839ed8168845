//! Random operations on one machine, among them all that a shared table, a
//! wrong clock or a caller can do wrong. [`Process`] checks after every step.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{process::*, seeds::play_seeds, *};
use crate::{
    config::{Backoff, OnStoreOutage},
    protocol::machine::{Command, StoreRequest, StoreResponse},
    protocol::record::Malformed,
};

/// The seeds that every test run plays.
const SEEDS: u64 = 256;

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a test makes few of them")]
enum Op {
    Call,
    /// This number of calls in a row that end alike. Enough good ones end a contradiction.
    Row(CallEnd, u32),
    End(usize, CallEnd),
    KeepAlive(usize),
    Refresh,
    Tick,
    AtDeadline,
    GiveUpWaiting,
    CallId(Duration),
    /// An event whose sender read its clocks so much earlier.
    Overtaken(Duration),
    StepWall(i64),
    Command(Command),
    StoreResponse(Reply),
}

#[derive(Clone, Debug)]
enum Reply {
    Read(Option<Record>),
    /// The token of the last election stands on the record.
    ReadOwn(Record),
    Applied,
    Refused(Option<Record>),
    RefusedOwn(Record),
    Failed(StoreErrorKind),
}

fn field<T: Clone + std::fmt::Debug + 'static>(values: Vec<T>) -> impl Strategy<Value = Field<T>> {
    prop_oneof![
        6 => select(values).prop_map(Field::Valid),
        1 => Just(Field::Absent),
        1 => Just(Field::Malformed(Malformed::new("{\"SS\":[\"?\"]}"))),
    ]
}

/// Mostly what this crate or the reference writes, at times anything at all.
fn record() -> impl Strategy<Value = Record> {
    prop_oneof![
        (0_i64..3).prop_map(|n| closed(START_UNIX + n)),
        (-70_i64..40).prop_map(|by| open(START_UNIX + by)),
        (-70_i64..40).prop_map(|by| half_open("another", START_UNIX + by)),
        (-70_i64..40).prop_map(|by| record_held_closed(START_UNIX, START_UNIX + by)),
        // Boxed, like all that is large: unoptimised, the stack of a test is too small for it.
        anything().boxed(),
    ]
}

fn anything() -> impl Strategy<Value = Record> {
    let stamps = || {
        let near = (0..5_i64).map(|n| START_UNIX.saturating_add(n * 20 - 40));
        near.chain([0, -1, i64::MIN, i64::MAX, START_UNIX + 3_600]).collect::<Vec<_>>()
    };
    let states = vec![CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen];
    let owners = ["another", "hold#deploy", "node0-1", "node0-2", ""].map(Arc::from).to_vec();
    let counts = vec![0, 1, 2, 5, u64::MAX];
    (
        field(states),
        field(counts.clone()),
        field(stamps()),
        prop_oneof![1 => Just(Field::Absent), 1 => field(owners)],
        field(stamps()),
        field(stamps()),
        field(counts.clone()),
        field(stamps()),
        (field(counts), field(stamps()), field(stamps()), texts()),
        (prop_oneof![3 => Just(Field::Absent), 1 => texts()], field(stamps()), texts(), texts()),
    )
        .prop_map(
            |(
                state,
                failure_count,
                opened_at,
                owner,
                lease_until,
                expires_at,
                good,
                more,
                (failed_probes, open_until, down_since, cause),
                (hold, hold_until, hold_by, hold_reason),
            )| {
                Record {
                    state,
                    failure_count,
                    opened_at,
                    owner,
                    lease_until,
                    expires_at,
                    success_count: good,
                    released: more,
                    failed_probes,
                    open_until,
                    hold,
                    hold_until,
                    hold_by,
                    hold_reason,
                    down_since,
                    cause,
                }
            },
        )
}

/// A text that something says, or that says nothing.
fn texts() -> impl Strategy<Value = Field<Arc<str>>> {
    field(["closed", "hold", "deploy", "", "of_last(5,20)", "a\u{1b}\n"].map(Arc::from).to_vec())
}

fn kind() -> impl Strategy<Value = StoreErrorKind> {
    select(vec![
        StoreErrorKind::Timeout,
        StoreErrorKind::Unavailable,
        StoreErrorKind::Throttled,
        StoreErrorKind::Misconfigured,
        StoreErrorKind::BadAnswer,
    ])
}

fn report() -> impl Strategy<Value = CallEnd> {
    select(vec![
        CallEnd::Success,
        CallEnd::Failure,
        CallEnd::Failure,
        CallEnd::Ignored,
        CallEnd::Dropped,
        CallEnd::open_for(ms(1)),
        CallEnd::open_for(s(40)),
        CallEnd::open_for(Duration::MAX),
    ])
}

fn passing() -> impl Strategy<Value = Duration> {
    prop_oneof![
        8 => (0_u64..3_000).prop_map(ms),
        4 => (1_u64..40).prop_map(s),
        1 => select(vec![s(86_400), s(400 * 86_400), Duration::from_nanos(1), Duration::MAX]),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let reply = prop_oneof![
        2 => Just(Reply::Read(None)),
        4 => record().prop_map(|record| Reply::Read(Some(record))),
        2 => record().prop_map(Reply::ReadOwn),
        8 => Just(Reply::Applied),
        1 => Just(Reply::Refused(None)),
        2 => record().prop_map(|record| Reply::Refused(Some(record))),
        1 => record().prop_map(Reply::RefusedOwn),
        3 => kind().prop_map(Reply::Failed),
    ];
    prop_oneof![
        10 => Just(Op::Call),
        2 => (report(), 1_u32..40).prop_map(|(report, times)| Op::Row(report, times)),
        8 => (0_usize..3, report()).prop_map(|(at, report)| Op::End(at, report)),
        6 => (0_usize..3).prop_map(Op::KeepAlive),
        1 => Just(Op::Refresh),
        2 => Just(Op::Tick),
        2 => Just(Op::AtDeadline),
        1 => Just(Op::GiveUpWaiting),
        6 => passing().prop_map(Op::CallId),
        1 => passing().prop_map(Op::Overtaken),
        1 => select(vec![-3_600, -1, 1, 60, 3_600, i64::MIN, i64::MAX]).prop_map(Op::StepWall),
        1 => (hold_kind(), select(vec![START_UNIX, START_UNIX + 60, i64::MIN, i64::MAX]))
            .prop_map(|(kind, until)| Op::Command(hold(kind, until))),
        1 => Just(Op::Command(Command::Release)),
        12 => reply.prop_map(Op::StoreResponse).boxed(),
    ]
}

pub(super) fn hold_kind() -> impl Strategy<Value = HoldKind> {
    select(vec![HoldKind::Open, HoldKind::Closed])
}

pub(super) fn config() -> impl Strategy<Value = Config> {
    let spans = || select(vec![s(1), s(30), s(365 * 86_400), ms(1_500)]);
    (
        select(vec![1, 2, 5, u32::MAX]),
        spans(),
        select(vec![1, 2, 3, u32::MAX]),
        select(vec![Duration::ZERO, ms(1), s(5), s(86_400)]),
        spans(),
        (any::<bool>(), select(vec![0, 1, 2]), select(vec![1, 2, 40])),
        select(vec![Duration::ZERO, s(2), s(3_600)]),
        (any::<bool>(), select(vec![None, Some(1.0), Some(2.0), Some(1_000.0)])),
        select(vec![None, Some(s(1)), Some(ms(20_500)), Some(s(86_400))]),
    )
        .prop_map(
            |(failures, timeout, successes, age, lease, turns, skew, (protect, grows), ramp)| {
                let (at_once, halves, limit) = turns;
                let handoff = if at_once { Duration::ZERO } else { s(1) };
                let builder = Config::builder()
                    .failure_threshold(failures)
                    .recovery_timeout(timeout)
                    .success_threshold(successes)
                    .local_cache_max_age(age)
                    .probe_lease(lease)
                    .handoff(handoff)
                    .election_spread(handoff * halves / 2)
                    .probe_limit(lease.saturating_mul(limit).min(s(365 * 86_400)))
                    .max_clock_skew(skew)
                    .on_store_outage(if protect {
                        OnStoreOutage::Protect
                    } else {
                        OnStoreOutage::FailOpen
                    });
                let builder = ramp.into_iter().fold(builder, ConfigBuilder::ramp);
                let backoff = grows.map(|factor| Backoff::exponential(factor).jitter(1.0));
                build(backoff.into_iter().fold(builder, ConfigBuilder::open_backoff))
            },
        )
}

fn answer(process: &Process, reply: Reply) -> StoreResponse {
    let own = |mut record: Record| {
        if let Some(election) = &process.machine.cache.election {
            record.owner = election.token.as_owner();
        }
        Some(record)
    };
    match reply {
        Reply::Read(record) => StoreResponse::Read(record),
        Reply::ReadOwn(record) => StoreResponse::Read(own(record)),
        Reply::Refused(record) => StoreResponse::Written(Written::Refused(record)),
        Reply::RefusedOwn(record) => StoreResponse::Written(Written::Refused(own(record))),
        Reply::Failed(kind) => StoreResponse::Failed(kind),
        Reply::Applied => match &process.job {
            Some(StoreRequest::Write { operation, .. }) => {
                let known = process.machine.cache.record();
                StoreResponse::Written(match operation.apply(known) {
                    Some(record) => Written::Applied(record),
                    None => Written::Refused(known.cloned()),
                })
            }
            Some(StoreRequest::Read { .. }) | None => {
                StoreResponse::Read(process.machine.cache.record().cloned())
            }
        },
    }
}

fn set_wall(moment: Moment, by: i64) -> Moment {
    moment.moved(0, by.saturating_mul(1_000))
}

fn apply(process: &mut Process, passes: &mut Vec<CallId>, op: Op) {
    match op {
        Op::Call => {
            if let Call::Runs(pass) = process.call() {
                passes.push(pass);
            }
        }
        Op::Row(report, times) => {
            for _ in 0..times {
                if let Call::Runs(pass) = process.call() {
                    process.end(pass, report);
                }
            }
        }
        // Ended late, twice, or in another epoch: all passes are kept.
        Op::End(at, report) => {
            if !passes.is_empty() {
                process.end(passes[passes.len() - 1 - at % passes.len()], report);
            }
        }
        Op::KeepAlive(at) => {
            if !passes.is_empty() {
                process.keep_alive(passes[passes.len() - 1 - at % passes.len()]);
            }
        }
        Op::Refresh => process.refresh(),
        Op::Tick => process.tick(),
        Op::AtDeadline => {
            if let Some(deadline) = process.machine.deadline() {
                process.now = later(process.now, deadline);
                process.tick();
                assert_ne!(process.machine.deadline(), Some(Duration::ZERO), "a spin");
            }
        }
        Op::GiveUpWaiting => process.forget_waiters(),
        Op::CallId(by) => process.now = later(process.now, by),
        Op::Overtaken(by) => {
            let now = process.now;
            let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            process.now = now.moved(-by, -by);
            let call = process.call();
            process.now = now;
            if let Call::Runs(pass) = call {
                passes.push(pass);
            }
        }
        Op::StepWall(by) => process.now = set_wall(process.now, by),
        Op::Command(command) => process.command(command),
        Op::StoreResponse(reply) => {
            let waiting = process.waiters();
            let answer = answer(process, reply);
            process.answer(answer);
            for call in waiting {
                if let Some(Call::Runs(pass)) = process.decision(call) {
                    passes.push(pass);
                }
            }
        }
    }
    let published = process.machine.published();
    assert_eq!(published.epoch, process.machine.epoch());
    assert_eq!(published.state, process.state());
}

#[test]
fn no_sequence_of_events_breaks_a_machine() {
    let inputs = (config(), 0_u8..8, vec(op(), 1..120));
    play_seeds("machine::tests::random::no_", SEEDS, &inputs, |(config, step, ops)| {
        let mut process = Process::new(0, config);
        // Draws that differ: without a step each turn is the first one.
        process.machine.entropy =
            Box::new(Counted { process: 0, tokens: 0, draw: 0, step: step * 36 });
        let mut passes = Vec::new();
        for op in ops {
            apply(&mut process, &mut passes, op);
        }
    });
}

#[test]
fn consecutive_failures_are_counted_as_by_a_simple_counter() {
    let inputs = (1_u32..6, vec(report(), 0..60));
    play_seeds("machine::tests::random::consecutive_", SEEDS, &inputs, |(threshold, reports)| {
        let config = Config::builder().failure_threshold(threshold).local_cache_max_age(s(3_600));
        let mut process = Process::new(0, build(config));
        let call = process.call();
        process.answer(StoreResponse::Read(None));
        let Some(Call::Runs(pass)) = process.decision(call) else {
            panic!("closed");
        };
        let mut counter = 0;
        for report in reports {
            process.end(pass, report);
            match report {
                CallEnd::Success => counter = 0,
                CallEnd::Failure => counter += 1,
                CallEnd::Ignored | CallEnd::Dropped => {}
                CallEnd::OpenFor(_) => counter = threshold,
            }
            assert_eq!(process.state() == CircuitState::Open, counter >= threshold);
            if counter >= threshold {
                break;
            }
            assert_eq!(process.streak(), u64::from(counter));
        }
    });
}

/// Case 84.
#[test]
fn case_84_failures_and_successes_in_turn_never_trip() {
    let mut process = Process::new(0, build(Config::builder().failure_threshold(2)));
    let call = process.call();
    process.answer(StoreResponse::Read(None));
    let Some(Call::Runs(pass)) = process.decision(call) else {
        panic!("closed");
    };
    for _ in 0..10_000 {
        process.end(pass, CallEnd::Failure);
        process.end(pass, CallEnd::Success);
    }
    assert_eq!(process.state(), CircuitState::Closed);
}
