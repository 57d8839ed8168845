//! Small fleets in which anything may go wrong, by seed.
//!
//! Dependencies that fail for all or for one zone, processes that are broken, cut off,
//! frozen or may not write, stores that are slow up to the limit of an operation, items
//! that are throttled or deleted, operators, and callers that drop, cancel and leak what
//! they were given. Then all is well, and the fleet has to recover.

use std::time::Duration;

use fuseboard::{Backoff, Config, OnStoreOutage};

use crate::{
    SECOND,
    incident::story,
    judge,
    notes::Probe,
    number,
    partition::{Asked, Fate},
    plan::{Act, Careless, Limits, Outage, Path, Plan, PlannedProcess, Span, Way, between},
    world::{Run, play},
};

/// How many seeds an ordinary test run plays.
const SEEDS: u64 = 150;
/// Until then anything may go wrong.
const QUIET_FROM: Duration = Duration::from_secs(80);
/// The fleet has that long to recover, and is then watched.
const RECOVERS_IN: Duration = Duration::from_secs(110);
const WATCHED: Duration = Duration::from_secs(10);

struct Dice(fastrand::Rng);

impl Dice {
    fn one_in(&mut self, times: u32) -> bool {
        self.0.u32(0..times) == 0
    }

    fn seconds(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_secs(self.0.u64(least..=most))
    }

    fn ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.0.u64(least..=most))
    }

    /// A time within the weather, of so many seconds.
    fn span(&mut self, least: u64, most: u64) -> Span {
        let length = self.seconds(least, most);
        let from = between(&mut self.0, 5 * SECOND, QUIET_FROM - length);
        Span::new(from, from + length)
    }
}

fn config(dice: &mut Dice) -> Config {
    let builder = Config::builder()
        .failure_threshold(dice.0.u32(2..=5))
        .recovery_timeout(dice.seconds(4, 12))
        .success_threshold(dice.0.u32(1..=3))
        .local_cache_max_age(dice.seconds(1, 5));
    let protects = dice.one_in(4);
    let policy = if protects { OnStoreOutage::Protect } else { OnStoreOutage::FailOpen };
    builder.on_store_outage(policy).build().unwrap()
}

/// The longest that a fleet ramps, or opens for what a call asks.
const LONGEST: Duration = Duration::from_secs(15);
/// The longest back-off, with its jitter.
const LONGEST_OPEN: Duration = Duration::from_secs(24);

/// Gives some fleets a back-off, a ramp, or calls that ask for an open time, and in some only to
/// some processes.
fn draw_lengths(dice: &mut Dice, plan: &mut Plan) {
    if dice.one_in(2) {
        return;
    }
    let backoff = dice.0.bool().then(|| {
        let grows = Backoff::exponential([1.0, 2.0, 3.0][dice.0.usize(0..3)]);
        grows.at_most(dice.seconds(12, 20)).forget_after(dice.seconds(0, 60))
    });
    let ramp = dice.0.bool().then(|| dice.seconds(1, LONGEST.as_secs()));
    let asks = if dice.0.bool() { 0.1 + 0.4 * dice.0.f64() } else { 0.0 };
    let is_mixed = dice.one_in(2);
    for process in &mut plan.processes {
        if is_mixed && dice.one_in(2) {
            continue;
        }
        let config = &process.config;
        let count = |number: u64| u32::try_from(number).unwrap();
        let mut builder = Config::builder()
            .failure_threshold(count(config.failure_threshold().get()))
            .success_threshold(count(config.success_threshold().get()))
            .recovery_timeout(config.recovery_timeout())
            .local_cache_max_age(config.local_cache_max_age())
            .on_store_outage(config.on_store_outage())
            .open_for_at_most(LONGEST);
        if let Some(backoff) = backoff {
            builder = builder.open_backoff(backoff);
        }
        if let Some(ramp) = ramp {
            builder = builder.ramp(ramp);
        }
        process.config = builder.build().unwrap();
        process.asks = asks;
    }
}

fn plan(seed: u64) -> Plan {
    let mut dice = Dice(fastrand::Rng::with_seed(seed ^ 0xFEED));
    let processes = dice.0.usize(2..=12);
    let mut plan = Plan::fleet(seed, processes, SECOND);
    (plan.quiet_from, plan.until) = (QUIET_FROM, QUIET_FROM + RECOVERS_IN + WATCHED);
    let config = config(&mut dice);
    let is_careless = dice.one_in(3);
    // A store is slow or throttled: three slow attempts take longer than an operation may.
    let slow = dice.one_in(3).then(|| dice.ms(20, 900));
    for process in &mut plan.processes {
        *process = living(&mut dice, &config, is_careless, slow);
    }
    trouble(&mut dice, &mut plan);
    if slow.is_none() && dice.one_in(3) {
        let hot = dice.span(5, 40);
        // One time in four hardly any units are left, so that most looks are throttled.
        let left = if dice.one_in(4) { 0.2 } else { 1.0 };
        let writes = left * (0.5 + dice.0.f64() * 5.0);
        let reads = left * (3.0 + dice.0.f64() * 20.0);
        plan.limits.push(Limits { from: hot.from, writes, reads });
        plan.limits.push(Limits { from: hot.until, writes: 1_000.0, reads: 3_000.0 });
    }
    if dice.one_in(5) {
        let span = dice.span(5, 30);
        let by = dice.0.usize(0..processes);
        plan.acts.push((span.from, Act::Hold(by, span.until - span.from)));
        let by = dice.0.usize(0..processes);
        plan.acts.push((dice.span(1, 2).from.max(span.from), Act::Release(by)));
    } else if dice.one_in(5) {
        plan.acts.push((dice.span(1, 1).from, Act::Delete));
    }
    // By dice of their own, so that all else of a seed stays as it was.
    draw_lengths(&mut Dice(fastrand::Rng::with_seed(seed ^ 0xBAC0)), &mut plan);
    plan
}

fn living(
    dice: &mut Dice,
    config: &Config,
    careless: bool,
    slow: Option<Duration>,
) -> PlannedProcess {
    let mut path = Path::default();
    if let Some(slow) = slow {
        path.takes = (Duration::from_millis(1), slow);
    }
    let careless = Careless { cancelled: 0.02, dropped: 0.02, leaked: 0.002 }.only_if(careless);
    PlannedProcess {
        from: dice.ms(0, 3_000),
        gap: dice.ms(50, 2_000),
        way: [Way::Call, Way::Call, Way::Admit, Way::TryAdmit][dice.0.usize(0..4)],
        careless,
        more_callers: if dice.one_in(3) { dice.0.usize(1..=3) } else { 0 },
        call: dice.ms(5, 300),
        zone: dice.0.u8(0..2),
        ahead_ms: dice.0.i64(-500..=500),
        path,
        config: config.clone(),
        ..PlannedProcess::default()
    }
}

impl Careless {
    fn only_if(self, careless: bool) -> Self {
        if careless { self } else { Self::default() }
    }
}

/// What goes wrong with the dependency, and with single processes.
fn trouble(dice: &mut Dice, plan: &mut Plan) {
    for _ in 0..dice.0.usize(1..=3) {
        let zone = if dice.one_in(3) { Some(dice.0.u8(0..2)) } else { None };
        plan.outages.push(Outage { span: dice.span(3, 40), zone });
    }
    let count = plan.processes.len();
    let unlucky = |dice: &mut Dice, times: u32| dice.one_in(times).then(|| dice.0.usize(0..count));
    if let Some(it) = unlucky(dice, 3) {
        let share = 0.3 + 0.7 * dice.0.f64();
        let span = dice.span(5, 60);
        plan.processes[it].broken.push((span, share));
    }
    if let Some(it) = unlucky(dice, 3) {
        let span = dice.span(2, 60);
        plan.processes[it].path.cut.push(span);
        plan.processes[it].path.hangs = dice.0.bool();
    }
    if let Some(it) = unlucky(dice, 4) {
        let span = dice.span(5, 60);
        plan.processes[it].path.denied.push(span);
    }
    if let Some(it) = unlucky(dice, 4) {
        let span = dice.span(1, 50);
        plan.processes[it].frozen.push(span);
    }
    // A store out of reach for a whole zone.
    if dice.one_in(6) {
        let span = dice.span(2, 30);
        let zone = dice.0.u8(0..2);
        for process in plan.processes.iter_mut().filter(|process| process.zone == zone) {
            process.path.cut.push(span);
        }
    }
}

/// Everything that breaks a promise in a run.
fn findings(run: &Run) -> Vec<String> {
    let mut found = Vec::new();
    recovers(run, &mut found);
    protects(run, &mut found);
    is_never_alone(run, &mut found);
    trips_by_evidence(run, &mut found);
    rejects_for_a_reason(run, &mut found);
    found
}

/// Once all is well the circuit closes, and nobody is rejected.
fn recovers(run: &Run, found: &mut Vec<String>) {
    let from = QUIET_FROM + RECOVERS_IN;
    if !run.state.partition.newest().is_closed() {
        found.push(format!("the circuit is {:?} in the end", run.state.partition.newest()));
    }
    let late: Vec<_> = run.state.notes.rejections.iter().filter(|it| it.at >= from).collect();
    if let Some(first) = late.first() {
        found.push(format!("{} calls rejected in the end, one by {}", late.len(), first.by));
    }
}

fn is_deleted(run: &Run) -> bool {
    run.plan.acts.iter().any(|(_, act)| *act == Act::Delete)
}

/// Processes that the store hears probe one at a time, and let few failing calls through.
fn protects(run: &Run, found: &mut Vec<String>) {
    let crowd = run.state.notes.probes.iter().find(|probe| probe.at_once > 1);
    if let Some(Probe { begun, at_once, by }) = crowd {
        found.push(format!("{at_once} probes at a time at {begun:?}, one by {by}"));
    }
    // A process that learns of a deleted item counts from the start again.
    if is_deleted(run) {
        return;
    }
    for outage in &run.plan.outages {
        let history = run.state.partition.history.iter();
        let closings = history.filter(|it| it.is_closed() && outage.span.has(it.at)).count();
        for (number, process) in run.plan.processes.iter().enumerate() {
            let probes_alone = acts_alone(run, number);
            if !process.is_in_reach() || process.careless.dropped > 0.0 || probes_alone {
                continue;
            }
            let leaks = run.state.notes.leaks();
            let own = leaks.filter(|it| it.by == number && outage.span.has(it.begun)).count();
            let threshold = usize::try_from(process.config.failure_threshold().get()).unwrap();
            let most = (threshold + process.more_callers) * (1 + closings);
            if own > most {
                found.push(format!("{own} failing calls let through by {number}, not {most}"));
            }
        }
    }
}

/// Whether a process ever had a reason to open, probe and close alone: others contradicted
/// it, or its trip was throttled for so long that it was dropped.
fn acts_alone(run: &Run, number: usize) -> bool {
    let recovery = run.plan.processes[number].config.recovery_timeout();
    let mut told = run.state.notes.told.iter().filter(|told| told.by == number);
    told.any(|told| told.is_refuted() || run.state.notes.is_lapse(told, recovery))
}

/// Nothing is told as without the store by processes that the store hears.
fn is_never_alone(run: &Run, found: &mut Vec<String>) {
    if is_deleted(run) {
        return;
    }
    let told = run.state.notes.told.iter().filter(|told| told.alone && !acts_alone(run, told.by));
    let alone = told.filter(|told| run.plan.processes[told.by].is_in_reach()).collect::<Vec<_>>();
    if let Some(first) = alone.first() {
        found.push(format!("{} told without the store, the first {first:?}", alone.len()));
    }
}

/// A trip is written for failures of less than R ago, with no freeze in between.
fn trips_by_evidence(run: &Run, found: &mut Vec<String>) {
    let requests = run.state.partition.requests.iter();
    for trip in requests.filter(|it| it.asked == Asked::Write("trip") && it.fate == Fate::Applied) {
        let process = &run.plan.processes[trip.by];
        let own = run.state.notes.failures.iter().filter(|it| it.by == trip.by);
        let last = own.map(|it| it.ended).filter(|at| *at <= trip.at).max().unwrap_or_default();
        // An operation may take a second, and a look comes first.
        let most = process.config.recovery_timeout() + 3 * SECOND;
        if trip.at - last > most {
            found.push(format!("{} tripped at {:?} for {last:?}", trip.by, trip.at));
        }
        if process.frozen.iter().any(|freeze| last <= freeze.from && freeze.until <= trip.at) {
            found.push(format!("{} tripped at {:?} for before a freeze", trip.by, trip.at));
        }
    }
}

/// A process whose own calls have been good for long rejects only for what the item says.
fn rejects_for_a_reason(run: &Run, found: &mut Vec<String>) {
    // A circuit whose item vanished while it was open stays open until one has probed.
    if is_deleted(run) {
        return;
    }
    let history = &run.state.partition.history;
    for rejection in &run.state.notes.rejections {
        let process = &run.plan.processes[rejection.by];
        if !process.is_in_reach() {
            continue;
        }
        // Its cache, the back-offs of throttled reads, a call that starts the read, and the
        // next one that goes by it.
        let throttled = if run.plan.limits.len() > 1 { 30 * SECOND } else { 3 * SECOND };
        let lag = process.config.local_cache_max_age() + throttled + 2 * process.gap;
        let from = rejection.at.saturating_sub(lag);
        let mut steps = history.iter().rev().skip_while(|it| it.at > rejection.at);
        let was_open = loop {
            let Some(step) = steps.next() else { break false };
            if !step.is_closed() {
                break true;
            }
            if step.at < from {
                break false;
            }
        };
        let is_longer = process.config.open_backoff().is_some() || process.asks > 0.0;
        let longest = if is_longer { LONGEST_OPEN } else { process.config.recovery_timeout() };
        let since = rejection.at.saturating_sub(lag + 2 * longest);
        let mut own = run.state.notes.failures.iter().rev();
        let failed = own.any(|it| it.by == rejection.by && it.ended >= since);
        if !was_open && !failed {
            found.push(format!("{} rejected at {:?} for nothing", rejection.by, rejection.at));
            return;
        }
    }
}

#[test]
fn case_79_whatever_the_weather_a_fleet_protects_and_recovers() {
    let seeds = match number("FUSEBOARD_FLEET_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FUSEBOARD_FLEET_SEEDS").unwrap_or(SEEDS),
    };
    let all = seeds.end - seeds.start;
    let (mut openings, mut failed) = (0, Vec::new());
    for seed in seeds {
        let run = play(plan(seed));
        openings += run.state.partition.newest().episode;
        story(&run);
        let found = findings(&run);
        if !found.is_empty() {
            let test = "cargo test --test fleet weather -- --nocapture";
            println!("FUSEBOARD_FLEET_SEED={seed} {test}\n    {}", found.join("\n    "));
            failed.push(seed);
        }
    }
    judge(79, "", &failed.iter().map(|seed| format!("seed {seed}")).collect::<Vec<_>>());
    assert!(u64::from(openings) >= all / 2, "circuits opened {openings} times");
}
