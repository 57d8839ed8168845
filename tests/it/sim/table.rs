//! What sharing costs and what it gives, by the size of the fleet.
//!
//! The incident: each process is asked twice a second and runs one call at
//! a time, settings are the defaults, calls take 20 ms, requests to DynamoDB 5
//! to 20 ms, and wall clocks differ by up to two seconds. After 20 healthy
//! seconds the dependency fails every call, for 45 to 75 s; then it is well.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use fuseboard::{CircuitState, Config};
use tokio::task::JoinSet;

use super::{
    dice::Dice,
    item::{self, Kind},
    plan::{Plan, Span},
    world::{CIRCUIT, World},
};
use crate::support::engine::{Event, Fate};

const SECOND: Duration = Duration::from_secs(1);
/// Between two calls of a process, on average.
const GAP: Duration = Duration::from_millis(500);
/// How long a call takes.
const CALL: Duration = Duration::from_millis(20);
/// How long the fleet is healthy at first.
const HEALTHY: Duration = Duration::from_secs(20);

/// One call that was not rejected.
struct Ran {
    begun: Duration,
    failed: bool,
    probe: bool,
}

/// What one incident cost, and how well the dependency was protected.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    /// How long the dependency was down, and how long the incident lasted:
    /// until everyone knew that it was over.
    down: Duration,
    lasted: Duration,
    reads: usize,
    applied: usize,
    refused: usize,
    /// Calls that would have reached the dead dependency without a breaker,
    /// those that did, and how many of these were probes.
    asked: usize,
    leaked: usize,
    probes: usize,
    /// From the first failure until only probes are admitted.
    to_protect: Duration,
    /// From the return of the dependency until the circuit is closed, and until
    /// every process admits again.
    to_close: Duration,
    to_recover: Duration,
}

/// What the processes of an incident share.
struct Incident {
    world: World,
    outage: Span,
    asked: Mutex<usize>,
    ran: Mutex<Vec<Ran>>,
}

fn play(seed: u64, processes: usize) -> Figures {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(perform(seed, processes))
}

async fn perform(seed: u64, processes: usize) -> Figures {
    let mut dice = Dice::new(seed);
    let until = HEALTHY + 45 * SECOND + dice.ms(0, 30_000);
    let outage = Span { from: HEALTHY, until };
    let world = World::new(Plan::empty(seed)).await;
    let ran = Mutex::default();
    let incident = Arc::new(Incident { world, outage, asked: Mutex::default(), ran });
    let mut tasks = JoinSet::new();
    for number in 0..processes {
        tasks.spawn(live(Arc::clone(&incident), format!("E{number}"), dice.split()));
    }
    incident.world.sleep_until(until).await;
    let well = |state| state == CircuitState::Closed;
    while !incident.world.states().into_iter().all(|(_, state)| well(state)) {
        assert!(incident.world.at() < until + 300 * SECOND, "recovery is guaranteed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let over = incident.world.at();
    tasks.shutdown().await;
    incident.figures(over)
}

/// One process, from somewhere in the first seconds on.
async fn live(incident: Arc<Incident>, label: String, mut dice: Dice) {
    tokio::time::sleep(dice.ms(0, 5_000)).await;
    let world = &incident.world;
    let ahead = i64::try_from(dice.between(0, 2_000)).unwrap() - 1_000;
    let mut network = dice.split();
    let travel = move |_: &str| Event::DelayBefore(network.ms(5, 20));
    world.engine.network(&label).weather(travel);
    let registry = world.registry(&label, &world.clock(ahead));
    let breaker = registry.breaker(CIRCUIT).unwrap();
    world.living().push((label, breaker.clone()));
    let gap = u64::try_from(GAP.as_millis()).unwrap();
    loop {
        tokio::time::sleep(dice.ms(gap / 2, gap * 3 / 2)).await;
        let failed = incident.outage.has(world.at());
        *incident.asked.lock().unwrap() += usize::from(failed);
        let Ok(permit) = breaker.admit().await else { continue };
        let begun = world.at();
        let failed = incident.outage.has(begun);
        incident.ran.lock().unwrap().push(Ran { begun, failed, probe: permit.is_probe() });
        tokio::time::sleep(CALL).await;
        let settling = if failed { permit.failure() } else { permit.success() };
        settling.settled().await;
    }
}

impl Incident {
    fn figures(&self, over: Duration) -> Figures {
        let Span { from, until } = self.outage;
        let ran = self.ran.lock().unwrap();
        let leaked: Vec<_> = ran.iter().filter(|call| call.failed).collect();
        let first = leaked.iter().map(|call| call.begun + CALL).min().unwrap();
        let open = leaked.iter().filter(|call| !call.probe).map(|call| call.begun).max().unwrap();
        let steps = item::steps(&self.world.engine.history());
        let closed = steps.iter().rev().find(|step| step.kind == Kind::Close).unwrap();
        let requests = self.world.engine.requests();
        let sent: Vec<_> = requests.iter().filter(|it| it.at >= self.world.start + from).collect();
        let count = |operation: &str, applied: bool| {
            let counted = sent.iter().filter(|it| it.operation == operation);
            counted.filter(|it| (it.fate == Fate::Applied) == applied).count()
        };
        Figures {
            down: until - from,
            lasted: over - from,
            reads: count("GetItem", true),
            applied: count("UpdateItem", true),
            refused: count("UpdateItem", false),
            asked: *self.asked.lock().unwrap(),
            leaked: leaked.len(),
            probes: leaked.iter().filter(|call| call.probe).count(),
            to_protect: open.saturating_sub(first),
            to_close: closed.at.saturating_sub(until),
            to_recover: over.saturating_sub(until),
        }
    }
}

/// What the cases promise of one incident, whatever the seed.
fn check(processes: usize, figures: &Figures) {
    let config = Config::default();
    let (age, recovery) = (config.local_cache_max_age(), config.recovery_timeout());
    let threshold = usize::try_from(config.failure_threshold().get()).unwrap();
    let successes = usize::try_from(config.success_threshold().get()).unwrap();
    // Case 65: the probes are one per R, or two seconds less by clocks that
    // differ, and every process lets T calls through.
    let apart = (recovery - 2 * SECOND).as_millis();
    let probes = 1 + usize::try_from(figures.down.as_millis() / apart).unwrap();
    assert!(figures.probes <= probes, "{figures:?}");
    assert!(figures.leaked <= processes * threshold + probes, "{figures:?}");
    // T calls of the first to trip, its write, and the age of all other caches.
    let calls = (GAP * 3 / 2 + CALL) * u32::try_from(threshold).unwrap();
    assert!(figures.to_protect <= calls + age + SECOND, "{figures:?}");
    // Cases 5, 12, 41, 42: one write to open; two for each failed probe; two for
    // each of the K good ones: the right to probe, and its hand over or close.
    let writes = 1 + 2 * figures.probes + 2 * successes;
    assert!(figures.applied <= writes, "{figures:?}");
    // Case 35: one refused write each for a change of the item.
    assert!(figures.refused <= processes * writes, "{figures:?}");
    // Case 80, and 16: one read in 0.8 C, and one after that for what is new.
    let reads = 2 + figures.lasted.as_millis() / (age * 4 / 5).as_millis();
    assert!(figures.reads <= processes * usize::try_from(reads).unwrap(), "{figures:?}");
    // The last opening is at most R old; K probes then take a hand over each,
    // stamped in whole seconds, of clocks that differ, and a call to come.
    let each = config.handoff() + SECOND + config.max_clock_skew() + 2 * GAP;
    let close = recovery + 3 * SECOND + each * u32::try_from(successes).unwrap();
    assert!(figures.to_close <= close, "{figures:?}");
    assert!(figures.to_recover <= close + age + 2 * GAP, "{figures:?}");
}

fn median<T: Ord + Copy>(figures: &[Figures], of: impl Fn(&Figures) -> T) -> T {
    let mut all: Vec<_> = figures.iter().map(of).collect();
    all.sort_unstable();
    all[all.len() / 2]
}

/// The medians of some incidents, as a line of a table.
fn line(processes: usize, figures: &[Figures]) -> String {
    let seconds =
        |of: fn(&Figures) -> Duration| format!("{:.1} s", median(figures, of).as_secs_f64());
    let number = |of: fn(&Figures) -> usize| median(figures, of);
    format!(
        "| {processes} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        figures.len(),
        number(|it| it.reads),
        number(|it| it.applied),
        number(|it| it.refused),
        number(|it| it.asked),
        number(|it| it.leaked),
        seconds(|it| it.to_protect),
        seconds(|it| it.to_close),
        seconds(|it| it.to_recover),
    )
}

/// Prints a table, up to a thousand processes, if `FUSEBOARD_SIM=table`.
#[test]
#[expect(clippy::print_stdout, reason = "prints a table")]
fn an_incident_costs_and_leaks_no_more_than_promised() {
    let whole = std::env::var("FUSEBOARD_SIM").is_ok_and(|what| what == "table");
    let sizes: &[(usize, u64)] = if whole {
        &[(1, 21), (10, 21), (100, 5), (1_000, 3)]
    } else {
        &[(1, 3), (10, 3), (100, 1)]
    };
    if whole {
        println!(
            "| processes | incidents | reads | writes applied | writes refused | failing calls without a breaker | failing calls with it | until all reject | until closed, once it is well | until all know |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
    }
    for (processes, incidents) in sizes {
        let mut figures = Vec::new();
        for seed in 0..*incidents {
            let one = play(seed, *processes);
            check(*processes, &one);
            figures.push(one);
        }
        if whole {
            println!("{}", line(*processes, &figures));
        }
    }
}
