//! A process that is frozen, as far as the crate can tell: by its clocks, and
//! by answers that it reads when it thaws.
//!
//! What stands still with a real process, and not here, are the timers of the
//! runtime, which it shares with the rest of the fleet. One that is due in a
//! freeze wakes its actor, which sees that no time has passed; but a limit on a
//! store operation ends it, as if it had failed just before the freeze.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use fuseboard::{
    Breaker, BreakerRegistry, CircuitName, DynamoDbStore, VirtualClock,
    store::{
        Ballot, Consistency, Operation, Record, ServerTime, Store, StoreError, Votes, Written,
    },
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    plan::{Plan, PlannedProcess, Span, Standstill},
    world::{CIRCUIT, START, World},
};
use crate::support::engine::Event;

/// How often the clock of a process that freezes is moved, if nothing happens.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// The clock of a process, which stands still while that is frozen.
pub(crate) struct Watch {
    hands: VirtualClock,
    /// Since when it goes; it follows tokio's where nothing ever freezes it.
    since: Duration,
    freezes: Vec<Span>,
    standstill: Standstill,
    /// By how much it has moved: monotonic time, and the wall clock.
    moved: Mutex<(Duration, Duration)>,
}

impl Watch {
    /// Starts a clock whose wall time can still be set.
    pub(crate) fn start(process: &PlannedProcess, since: Duration, true_start: SystemTime) -> Self {
        let wall = true_start + since;
        let hands = if process.freezes.is_empty() {
            VirtualClock::following_tokio(wall)
        } else {
            VirtualClock::standing_at(wall)
        };
        let freezes = process.freezes.clone();
        Self { hands, since, freezes, standstill: process.standstill, moved: Mutex::default() }
    }

    pub(crate) fn hands(&self) -> &VirtualClock {
        &self.hands
    }

    /// Whether it has to be moved.
    pub(crate) fn stands(&self) -> bool {
        !self.freezes.is_empty()
    }

    /// Moves it to what it shows at an instant. Whatever the process does is
    /// preceded by this.
    pub(crate) fn turn(&self, at: Duration) {
        if !self.stands() {
            return;
        }
        let (mono, wall) = self.shows(at);
        let mut moved = self.moved.lock().unwrap();
        let both = mono.saturating_sub(moved.0);
        let ends = |freeze: &Span| self.since + moved.1 < freeze.until && freeze.until <= at;
        if self.freezes.iter().any(ends) {
            self.hands.freeze(both);
        } else {
            self.hands.advance(both);
        }
        let step = wall.saturating_sub(moved.1 + both);
        self.hands.step_wall(i64::try_from(step.as_millis()).unwrap());
        *moved = (mono, wall);
    }

    /// How far monotonic time and the wall clock are from the start.
    fn shows(&self, at: Duration) -> (Duration, Duration) {
        let begin = |freeze: &Span| freeze.from.max(self.since);
        let freeze = self.freezes.iter().find(|freeze| freeze.has(at));
        let wall = freeze.map_or(at, begin).saturating_sub(self.since);
        let stood = match self.standstill {
            Standstill::Nothing => Duration::ZERO,
            Standstill::Monotonic => {
                let past = self.freezes.iter().filter(|freeze| freeze.until <= at);
                past.map(|freeze| freeze.until.saturating_sub(begin(freeze))).sum()
            }
        };
        (wall - stood, wall)
    }
}

/// The store, as a process that may be frozen reaches it.
pub(crate) struct Reach {
    pub(crate) store: DynamoDbStore,
    pub(crate) watch: Arc<Watch>,
    pub(crate) start: Instant,
}

impl Reach {
    /// Waits for the thaw, if the process is frozen, and moves its clock.
    async fn thaw(&self) {
        let frozen = |at| self.watch.freezes.iter().find(|freeze| freeze.has(at));
        while let Some(freeze) = frozen(self.start.elapsed()) {
            tokio::time::sleep_until(self.start + freeze.until).await;
        }
        self.watch.turn(self.start.elapsed());
    }
}

impl Store for Reach {
    async fn read(
        &self,
        circuit: &CircuitName,
        consistency: Consistency,
    ) -> Result<Option<Record>, StoreError> {
        let answer = self.store.read(circuit, consistency).await;
        self.thaw().await;
        answer
    }

    async fn write(
        &self,
        circuit: &CircuitName,
        operation: &Operation,
    ) -> Result<Written, StoreError> {
        let answer = self.store.write(circuit, operation).await;
        self.thaw().await;
        answer
    }

    async fn vote(
        &self,
        circuit: &CircuitName,
        ballot: &Ballot,
    ) -> Result<Option<Votes>, StoreError> {
        let answer = self.store.vote(circuit, ballot).await;
        self.thaw().await;
        answer
    }

    fn server_time(&self) -> Option<ServerTime> {
        self.store.server_time()
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn frozen(standstill: Standstill, from: u64, until: u64) -> PlannedProcess {
    let mut process = Plan::new(0).processes.remove(0);
    process.freezes = vec![Span { from: seconds(from), until: seconds(until) }];
    process.standstill = standstill;
    process
}

#[test]
fn clocks_stand_still_in_a_freeze_and_show_it_when_it_ends() {
    for (standstill, lost) in [(Standstill::Monotonic, 20), (Standstill::Nothing, 0)] {
        let process = frozen(standstill, 10, 30);
        let watch = Watch::start(&process, seconds(5), SystemTime::UNIX_EPOCH);
        for (at, mono, wall) in [
            (seconds(9), 4, 4),
            (Duration::from_millis(29_999), 5, 5),
            (seconds(30), 25 - lost, 25),
            (seconds(31), 26 - lost, 26),
        ] {
            assert_eq!(watch.shows(at), (seconds(mono), seconds(wall)), "{standstill:?}");
            watch.turn(at);
            let shown = SystemTime::UNIX_EPOCH + seconds(5 + wall);
            assert_eq!(watch.hands().wall(), shown, "{standstill:?}");
        }
        assert_eq!(*watch.moved.lock().unwrap(), (seconds(26 - lost), seconds(26)));
        // One that is started in a freeze.
        let watch = Watch::start(&process, seconds(25), SystemTime::UNIX_EPOCH);
        let mono = seconds(5 - lost.min(5));
        assert_eq!(watch.shows(seconds(30)), (mono, seconds(5)), "{standstill:?}");
    }
}

fn spawned(world: &World, watch: &Arc<Watch>) -> (BreakerRegistry, Breaker) {
    let store =
        Reach { store: world.engine.store("E"), watch: Arc::clone(watch), start: world.start };
    let registry = world.registry_over(store, "E", watch.hands(), world.plan.config.clone());
    let breaker = registry.breaker(CIRCUIT).unwrap();
    (registry, breaker)
}

/// What a process sends for its first call after a freeze, in which the
/// recovery time of an open circuit ran out.
async fn sent_after(standstill: Standstill) -> Vec<String> {
    let world = World::new(Plan::empty(0)).await;
    let open = json!({"state": "OPEN", "failure_count": 5, "opened_at": START,
        "expiration": START + 3_630});
    world.engine.put_item(CIRCUIT, &open);
    let watch = world.watch(&frozen(standstill, 1, 40));
    let (_registry, breaker) = spawned(&world, &watch);
    assert!(breaker.admit().await.is_err());
    world.sleep_until(seconds(39)).await;
    assert!(breaker.admit().await.is_err(), "no time has passed");
    world.sleep_until(seconds(40)).await;
    watch.turn(world.at());
    world.engine.clear();
    breaker.admit().await.unwrap().success().settled().await;
    world.engine.requests().into_iter().map(|request| request.operation).collect()
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_frozen_learns_it_from_clocks_that_disagree() {
    // Whoever is due looks first, whatever its clocks say.
    assert_eq!(sent_after(Standstill::Nothing).await, ["GetItem", "UpdateItem", "UpdateItem"]);
    assert_eq!(sent_after(Standstill::Monotonic).await, ["GetItem", "UpdateItem", "UpdateItem"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_in_a_freeze_is_read_when_it_ends() {
    let world = World::new(Plan::empty(0)).await;
    let ms = Duration::from_millis;
    let mut process = frozen(Standstill::Monotonic, 0, 0);
    process.freezes = vec![Span { from: ms(100), until: ms(600) }];
    let watch = world.watch(&process);
    let (_registry, breaker) = spawned(&world, &watch);
    world.engine.network("E").next(Event::DelayAfter(ms(300)));
    let begun = watch.hands().wall();
    breaker.admit().await.unwrap().success().settled().await;
    assert_eq!((world.at(), watch.hands().wall()), (ms(600), begun + ms(600)));
}
