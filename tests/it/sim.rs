//! The simulation: the real machine, actor and DynamoDB code of many
//! processes in one process, on virtual time, over one shared engine.
//!
//! A seed says everything that happens: settings, traffic, when the dependency
//! fails, and what goes wrong (requests and answers that are late, lost,
//! doubled, throttled, failing or stale; processes that crash or freeze; clocks
//! that differ or are set; an operator; a deleted item). Every run is judged by
//! the history of the item, by what each client was shown, and by what callers
//! and subscribers saw.
//!
//! `FUSEBOARD_SIM=thousand` plays a thousand processes under every fault,
//! `FUSEBOARD_SIM_SEEDS=n` plays so many seeds, `FUSEBOARD_SIM_SEED=n` replays
//! one and tells its story. All that a seed does not say is the text of lease
//! tokens, which the crate has from the operating system and which nothing
//! depends on: a run replays exactly, as `replay` holds.

mod bounds;
mod caller;
mod check;
mod dice;
mod freeze;
mod item;
mod lengths;
mod plan;
mod process;
mod recovery;
mod replay;
mod table;
mod tale;
mod weather;
mod world;

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use self::{
    item::{KINDS, Kind},
    plan::Plan,
};

/// The seeds that every test run plays.
const SEEDS: u64 = 200;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Every kind of write that was applied so far.
type Kinds = Mutex<HashSet<Kind>>;

/// What is wrong with a run of a seed; its story is kept if something is.
fn findings(seed: u64, kinds: &Kinds) -> Vec<String> {
    let judge = || {
        let run = world::play(Plan::new(seed));
        kinds.lock().unwrap().extend(item::steps(&run.history).iter().map(|step| step.kind));
        let mut found = check::check(&run);
        if !found.is_empty() {
            let file = format!("{}/sim-{seed}.txt", env!("CARGO_TARGET_TMPDIR"));
            std::fs::write(&file, tale::tell(&run).join("\n")).unwrap();
            found.push(format!("the story of this run is in {file}"));
        }
        found
    };
    catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(|_| vec!["it panicked".to_owned()])
}

/// Plays seeds on two threads, and returns those that found something.
fn play_all(seeds: u64, kinds: &Kinds) -> Vec<(u64, Vec<String>)> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut found = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return found;
            }
            let findings = findings(seed, kinds);
            if !findings.is_empty() {
                found.push((seed, findings));
            }
        }
    };
    let mut found = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut found = work();
        found.extend(other.join().unwrap());
        found
    });
    found.sort_by_key(|(seed, _)| *seed);
    found
}

#[test]
#[expect(clippy::print_stdout, reason = "says how to replay")]
fn case_79_whatever_goes_wrong_a_fleet_keeps_the_protocol_and_recovers() {
    let Some(seed) = number("FUSEBOARD_SIM_SEED") else {
        let seeds = number("FUSEBOARD_SIM_SEEDS").unwrap_or(SEEDS);
        let kinds = Kinds::default();
        let found = play_all(seeds, &kinds);
        for (seed, findings) in &found {
            println!("FUSEBOARD_SIM_SEED={seed} cargo test --test it sim::case_79 -- --nocapture");
            println!("    {}", findings.join("\n    "));
        }
        assert!(found.is_empty(), "{} of {seeds} seeds found something", found.len());
        let kinds = kinds.into_inner().unwrap();
        assert!(seeds < SEEDS || kinds.len() == KINDS, "not everything happened: {kinds:?}");
        return;
    };
    println!("{:#?}", Plan::new(seed));
    let found = findings(seed, &Kinds::default());
    assert!(found.is_empty(), "seed {seed}: {found:#?}");
}

/// Plays a thousand processes if `FUSEBOARD_SIM=thousand`, else a few.
#[test]
fn a_large_fleet_keeps_the_protocol_though_everything_goes_wrong() {
    let whole = std::env::var("FUSEBOARD_SIM").is_ok_and(|what| what == "thousand");
    let mut plan = Plan::thousand(number("FUSEBOARD_SIM_SEED").unwrap_or(0));
    if !whole {
        plan.processes.truncate(10);
    }
    let run = world::play(plan);
    assert!(run.notes.calls.len() > run.plan.processes.len(), "the fleet is asked");
    let found = check::check(&run);
    assert!(found.is_empty(), "seed {}: {found:#?}", run.plan.seed);
}

#[test]
fn seeds_differ() {
    let (one, other) = (world::play(Plan::new(1)), world::play(Plan::new(2)));
    assert_ne!(tale::tell(&one), tale::tell(&other));
}
