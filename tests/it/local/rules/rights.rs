//! CASES.md 156 to 160 and 203: rights to probe, won late, kept, hung on to and given back.

use std::{future::pending, time::Duration};

use fuseboard::{Breaker, CallError, CircuitState, Classifier, ConfigBuilder};
use tokio::{task::JoinSet, time::timeout};

use super::failures;
use crate::support::{
    faulty::Fault,
    memory::{Process, World, is_rejected, pass, settle, succeed},
};

/// Processes of which the first has just tripped, and all know.
async fn tripped(
    count: u64,
    settings: impl FnOnce(ConfigBuilder) -> ConfigBuilder,
) -> (World, Vec<Process>) {
    let world = World::with(settings);
    let members = world.processes(count);
    for member in &members {
        assert_eq!(succeed(&member.breaker()).await, Ok(42));
    }
    failures(&members[0].breaker(), 5).await;
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
    (world, members)
}

fn shared(config: ConfigBuilder) -> ConfigBuilder {
    config.election_spread(Duration::from_secs(1))
}

/// How a caller asks.
#[derive(Clone, Copy, Debug)]
enum Caller {
    /// It waits for as long as it takes.
    Patient,
    /// It gives up after 300 ms.
    Hasty,
    /// It never waits.
    TryAdmit,
}

impl Caller {
    /// Makes one call that is well; says whether it probed.
    async fn call(self, breaker: Breaker) -> bool {
        let admitted = match self {
            Self::Patient => breaker.admit_owned().await.ok(),
            Self::Hasty => {
                let admitted = timeout(Duration::from_millis(300), breaker.admit_owned()).await;
                admitted.ok().and_then(Result::ok)
            }
            Self::TryAdmit => {
                let Ok(permit) = breaker.try_admit() else { return false };
                let is_probe = permit.is_probe();
                let _ = permit.success();
                return is_probe;
            }
        };
        let Some(permit) = admitted else { return false };
        let is_probe = permit.is_probe();
        permit.success().settled().await;
        is_probe
    }
}

#[tokio::test(start_paused = true)]
async fn case_156_over_a_slow_store_the_circuit_closes() {
    for caller in [Caller::Patient, Caller::Hasty, Caller::TryAdmit] {
        for slow in [600, 950] {
            for count in 1..=3 {
                slow_recovery(caller, Duration::from_millis(slow), count).await;
            }
        }
    }
}

async fn slow_recovery(caller: Caller, slow: Duration, count: u64) {
    let what = format!("{caller:?}, {slow:?}, {count} processes");
    let (world, members) = tripped(count, shared).await;
    for member in &members {
        member.store.meets(Fault::Delay(slow));
    }
    let before: usize = members.iter().map(|member| member.store.writes()).sum();
    // R, its spread and the wait of who tripped; K probes; one lease.
    let bound = 30.0 + 2.0 + 3.0 * (2.0 * slow.as_secs_f64() + 1.0) + 30.0;
    let (mut calls, mut waited) = (JoinSet::new(), 0.0);
    while world.stored_state() != Some(CircuitState::Closed) {
        for member in &members {
            calls.spawn(caller.call(member.breaker()));
        }
        pass(0.1).await;
        waited += 0.1;
        assert!(waited <= bound, "{what}: not closed after {waited} s");
    }
    for _ in 0..70 {
        for member in &members {
            calls.spawn(caller.call(member.breaker()));
        }
        pass(0.1).await;
    }
    let mut probes = 0;
    while let Some(call) = calls.join_next().await {
        probes += usize::from(call.unwrap());
    }
    let writes = members.iter().map(|member| member.store.writes()).sum::<usize>() - before;
    // Of those that are due within one operation of each other all but one are refused.
    let refused = usize::try_from(count).unwrap() - 1;
    assert!(writes <= 2 * probes + refused, "{what}: {writes} writes for {probes} probes");
    for member in &members {
        assert_eq!(member.breaker().snapshot().state(), CircuitState::Closed, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_157_ignored_and_dropped_probes_write_twice_a_second_at_most() {
    for (count, drops) in [(1, false), (3, false), (1, true), (3, true)] {
        let (world, members) = tripped(count, shared).await;
        pass(32.0).await;
        let before: usize = members.iter().map(|member| member.store.writes()).sum();
        let mut probes = 0;
        for call in 0..1_000 {
            for member in &members {
                let breaker = member.breaker();
                if let Ok(permit) = breaker.admit().await {
                    probes += 1;
                    if drops && call % 2 == 0 {
                        drop(permit);
                    } else {
                        permit.ignore().settled().await;
                    }
                }
            }
            pass(0.01).await;
        }
        let writes = members.iter().map(|member| member.store.writes()).sum::<usize>() - before;
        assert!(probes > 0 && writes <= 21, "{writes} writes, {probes} probes of {count}, {drops}");
        assert_eq!(world.stored_state(), Some(CircuitState::HalfOpen));
    }
}

#[tokio::test(start_paused = true)]
async fn case_157_an_ignored_probe_is_the_next_calls_for_one_handoff_and_then_anyones() {
    let (_world, members) = tripped(2, shared).await;
    pass(32.0).await;
    let (holder, other) = (members[0].breaker(), members[1].breaker());
    holder.admit().await.unwrap().ignore().settled().await;
    let writes = members[0].store.writes();
    assert!(is_rejected(&succeed(&other).await), "the right is not its own");
    pass(0.9).await;
    holder.admit().await.unwrap().ignore().settled().await;
    assert_eq!(members[0].store.writes(), writes, "it was kept here");
    pass(1.1).await;
    assert_eq!(members[0].store.log().last(), Some(&"give back"));
    let mut waited = 0.0;
    while is_rejected(&succeed(&other).await) {
        pass(0.1).await;
        waited += 0.1;
        assert!(waited < 4.0, "given back for nobody");
    }
}

/// Not found is an answer.
fn judge() -> Classifier<u32, &'static str> {
    let is_answer = |result: &Result<u32, &str>| matches!(result, Err("not found"));
    Classifier::builder().success_if(is_answer).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn case_158_an_error_judged_a_success_is_a_good_probe_and_ends_a_streak() {
    let (world, members) = tripped(1, shared).await;
    let breaker = members[0].breaker();
    let judged = breaker.classified_by(judge());
    pass(33.0).await;
    for probe in 1..=3 {
        assert_eq!(
            judged.call(|| async { Err("not found") }).await,
            Err(CallError::Inner("not found"))
        );
        let expected = if probe == 3 { CircuitState::Closed } else { CircuitState::HalfOpen };
        assert_eq!(world.stored_state(), Some(expected), "probe {probe}");
    }
    for _ in 0..3 {
        for _ in 0..4 {
            assert!(!is_rejected(&judged.call(|| async { Err("down") }).await));
        }
        assert!(!is_rejected(&judged.call(|| async { Err("not found") }).await));
    }
    assert_eq!(world.stored_state(), Some(CircuitState::Closed), "each streak was ended");
    failures(&breaker, 5).await;
    assert_eq!(world.stored_state(), Some(CircuitState::Open));
}

#[tokio::test(start_paused = true)]
async fn case_159_a_probe_that_hangs_gives_way_to_its_own_process_as_well() {
    for limit in [None, Some(40)] {
        let (world, members) = tripped(1, |config| {
            let config = shared(config);
            match limit {
                Some(limit) => config.probe_limit(Duration::from_secs(limit)),
                None => config,
            }
        })
        .await;
        let breaker = members[0].breaker();
        pass(33.0).await;
        let hangs = breaker.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _ = hangs.call(pending::<Result<u32, &str>>).await;
        });
        settle().await;
        let mut held = 0;
        while is_rejected(&succeed(&breaker).await) {
            pass(1.0).await;
            held += 1;
            assert!(held < 400, "rejected for ever");
        }
        let limit = limit.unwrap_or(120);
        assert!((limit..=limit + 35).contains(&held), "held for {held} s of {limit}");
        for _ in 0..2 {
            assert_eq!(succeed(&breaker).await, Ok(42));
        }
        let record = world.record();
        tasks.shutdown().await;
        settle().await;
        assert_eq!(world.record(), record, "its late end changes nothing");
        assert_eq!(breaker.snapshot().state(), CircuitState::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn case_160_workers_that_sleep_as_they_are_told_are_back_soon() {
    for long in [0.05, 5.0] {
        let (world, members) = tripped(3, shared).await;
        let mut workers = JoinSet::new();
        for worker in 0..15 {
            let breaker = members[worker % 3].breaker();
            let clock = world.clock.clone();
            workers.spawn(async move {
                let mut last = clock.wall();
                let mut told = Vec::new();
                for _ in 0..10_000 {
                    match breaker.admit().await {
                        Ok(permit) => {
                            let is_probe = permit.is_probe();
                            pass(long).await;
                            permit.success().settled().await;
                            if !is_probe {
                                last = clock.wall();
                                return (last, told);
                            }
                        }
                        Err(open) => {
                            told.push(open.retry_after());
                            tokio::time::sleep(open.retry_after()).await;
                        }
                    }
                }
                (last, told)
            });
        }
        let mut waited = 0;
        while world.stored_state() != Some(CircuitState::Closed) {
            pass(0.01).await;
            waited += 1;
            assert!(waited < 10_000, "never closed");
        }
        let closed = world.clock.wall();
        while let Some(worker) = workers.join_next().await {
            let (back, told) = worker.unwrap();
            let late = back.duration_since(closed).unwrap_or_default().as_secs_f64() - long;
            assert!(late <= 2.0, "back after {late} s, told {told:?}");
            assert!(told.len() < 200, "{} rejections", told.len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn case_203_a_probe_on_offer_is_never_taken_past_its_lease() {
    for lease in [3, 30] {
        for slow in [0, 500, 950] {
            let mut taken = 0;
            for tenths in 1..=lease * 13 {
                let (world, members) =
                    tripped(1, |config| shared(config).probe_lease(Duration::from_secs(lease)))
                        .await;
                let breaker = members[0].breaker();
                pass(32.3).await;
                members[0].store.meets(Fault::Delay(Duration::from_millis(slow)));
                assert!(breaker.try_admit().is_err(), "won in the background");
                tokio::time::sleep(Duration::from_millis(100 * tenths)).await;
                let Ok(permit) = breaker.try_admit() else { continue };
                assert!(permit.is_probe());
                taken += 1;
                let until = world.record().lease_until.valid().copied().unwrap();
                let until = Duration::from_secs(until.unsigned_abs());
                let now = world.clock.wall().duration_since(std::time::UNIX_EPOCH).unwrap();
                assert!(now < until, "{lease} s, {slow} ms, after {tenths} tenths");
            }
            assert!(taken > 0, "{lease} s, {slow} ms: none was on offer");
        }
    }
}
