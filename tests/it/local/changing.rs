//! Settings that change a thousand times while time passes, the store is slow, a probe runs, permits
//! are held, and circuits of each state are called.

use std::{collections::VecDeque, env, time::Duration};

use fastrand::Rng;
use fuseboard::{
    Breaker, CircuitState, Config, ConfigBuilder, Hold, OnStoreOutage, OwnedPermit, Reason, Rule,
    Settings, Transitions,
};
use tokio::{sync::oneshot, task::JoinSet};

use crate::support::{
    faulty::Fault,
    memory::{Process, World, fail, heard, is_rejected, pass, settle, succeed},
};

const CHANGES: u32 = 1_000;

/// For how long a closing has the circuit "ramping" ramp, in steps of a twentieth.
const RAMP: Duration = Duration::from_secs(600);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Settings for all circuits, of which "streak" has a threshold of its own.
fn settings(default: ConfigBuilder, threshold: u32) -> Settings {
    let default = default.election_spread(Duration::ZERO).failure_threshold(40);
    let settings = Settings::builder().defaults(default);
    let settings = settings.circuit("streak", move |config| config.failure_threshold(threshold));
    let settings = settings.circuit("ramping", |config| config.ramp(RAMP));
    settings.circuit("tried", |config| config.dry_run(true)).build().unwrap()
}

/// Any settings under which an opening lasts for longer than the test.
fn any(dice: &mut Rng, recovery_timeout: Duration) -> ConfigBuilder {
    let outage = if dice.bool() { OnStoreOutage::FailOpen } else { OnStoreOutage::Protect };
    Config::builder()
        .recovery_timeout(recovery_timeout)
        .also_trip(Rule::within(dice.u32(2_000..3_000), secs(dice.u64(1..100))))
        .success_threshold(dice.u32(2..5))
        .store_timeout(Duration::from_millis(dice.u64(500..900)))
        .local_cache_max_age(Duration::from_millis(dice.u64(500..2_000)))
        .refresh_ahead(dice.bool())
        .probe_lease(secs(dice.u64(2..60)))
        .max_clock_skew(secs(dice.u64(1..3)))
        .on_store_outage(outage)
        .await_trip_write(dice.bool())
        .count_cancelled(dice.bool())
}

/// A process with a circuit in each state, and another that would probe one of them.
struct Load {
    world: World,
    dice: Rng,
    one: Process,
    other: Process,
    transitions: [Transitions; 2],
    circuits: Circuits,
    /// Of "calm": the first of them is from before all changes.
    permits: VecDeque<OwnedPermit>,
    /// The failures in a row of "streak".
    streak: u32,
    /// The transitions that calls have caused.
    caused: Vec<CircuitState>,
    /// Of the calls of "ramping", those admitted, and the sum of their shares.
    ramp: (f64, f64),
    tried: u64,
    /// When "open" opened.
    opened_at: std::time::SystemTime,
}

struct Circuits {
    calm: Breaker,
    streak: Breaker,
    open: Breaker,
    /// One call of it is a probe.
    probing: Breaker,
    /// The same, of the other process.
    waiting: Breaker,
    ramping: Breaker,
    held: Breaker,
    disabled: Breaker,
    tried: Breaker,
}

/// Fails until a circuit that may be only tried is open.
async fn opens(breaker: &Breaker) {
    while breaker.state() == CircuitState::Closed {
        let _ = fail(breaker).await;
    }
}

impl Load {
    async fn begin(seed: u64, calls: &mut JoinSet<u32>) -> (Self, oneshot::Sender<()>) {
        let world = World::new();
        let first = settings(Config::builder().probe_lease(secs(60)), 5);
        let [one, other] =
            [(); 2].map(|()| world.process_with(|builder| builder.settings(first.clone())));
        let breaker = |name: &str| one.registry.breaker(name).unwrap();
        let circuits = Circuits {
            calm: breaker("calm"),
            streak: breaker("streak"),
            open: breaker("open"),
            probing: breaker("probing"),
            waiting: other.registry.breaker("probing").unwrap(),
            ramping: breaker("ramping"),
            held: breaker("held"),
            disabled: breaker("disabled"),
            tried: breaker("tried"),
        };
        opens(&circuits.probing).await;
        pass(31.0).await;
        let (end, ended) = oneshot::channel::<()>();
        let probing = circuits.probing.clone();
        calls.spawn(async move {
            let probe = || async { ended.await.map(|()| 7).map_err(|_| "dropped") };
            probing.call(probe).await.unwrap()
        });
        pass(0.1).await;
        assert!(is_rejected(&succeed(&circuits.waiting).await), "the other process knows of it");
        assert_eq!(circuits.probing.state(), CircuitState::HalfOpen);
        circuits.held.hold(Hold::open_for(secs(36_000))).await.unwrap();
        circuits.disabled.hold(Hold::closed_for(secs(36_000))).await.unwrap();
        for circuit in [&circuits.open, &circuits.tried, &circuits.ramping] {
            opens(circuit).await;
        }
        circuits.ramping.release().await.unwrap();
        let opened_at = circuits.open.snapshot().retry_at().unwrap() - secs(30);
        for process in [&one, &other] {
            process.store.meets(Fault::Delay(Duration::from_millis(30)));
        }
        let mut transitions = [&one, &other].map(|process| process.registry.subscribe());
        transitions.iter_mut().for_each(|told| drop(heard(told)));
        let tried = circuits.tried.would_have_rejected();
        let (streak, caused, ramp) = (0, Vec::new(), (0.0, 0.0));
        let (dice, permits) = (Rng::with_seed(seed), VecDeque::new());
        let load = Self {
            world,
            dice,
            one,
            other,
            transitions,
            circuits,
            permits,
            streak,
            caused,
            ramp,
            tried,
            opened_at,
        };
        (load, end)
    }

    fn give(&self, settings: &Settings) {
        for process in [&self.one, &self.other] {
            let done = process.registry.reconfigure(settings).unwrap();
            assert_eq!(done.needs_restart, []);
        }
    }

    /// One change, and a call of each circuit.
    async fn change(&mut self) {
        let recovery_timeout = secs(self.dice.u64(1_000..2_000));
        let threshold = self.dice.u32(3..8);
        let default = any(&mut self.dice, recovery_timeout);
        self.give(&settings(default, threshold));
        pass(0.01 * f64::from(self.dice.u32(1..10))).await;
        self.call_calm().await;
        self.call_streak(threshold).await;
        self.call_the_others().await;
        let retry_at = self.circuits.open.snapshot().retry_at();
        assert_eq!(retry_at, Some(self.opened_at + recovery_timeout));
    }

    /// Holds each permit for fifty changes, but for the first two.
    async fn call_calm(&mut self) {
        self.permits.push_back(self.circuits.calm.admit_owned().await.unwrap());
        if self.permits.len() > 50 {
            let permit = self.permits.remove(2).unwrap();
            match self.dice.u32(0..3) {
                0 => drop(permit.success()),
                1 => drop(permit.ignore()),
                _ => {
                    drop(permit.failure());
                    // Ends the streak, which would trip by a threshold of forty.
                    succeed(&self.circuits.calm).await.unwrap();
                }
            }
        }
    }

    /// Counts as a simple counter does: a failure trips by the newest threshold, and nothing else.
    async fn call_streak(&mut self, threshold: u32) {
        let breaker = &self.circuits.streak;
        assert_eq!(breaker.state(), CircuitState::Closed, "{} of {threshold}", self.streak);
        if self.dice.u32(0..8) == 0 {
            succeed(breaker).await.unwrap();
            self.streak = 0;
            return;
        }
        assert!(fail(breaker).await.unwrap_err().inner().is_some());
        self.streak += 1;
        // By some of the settings the caller does not wait for the trip.
        settle().await;
        let is_tripped = self.streak >= threshold;
        let expected = if is_tripped { CircuitState::Open } else { CircuitState::Closed };
        assert_eq!(breaker.state(), expected, "{} of {threshold}", self.streak);
        if is_tripped {
            // A release that overtakes the trip's write leaves nothing to tell.
            pass(0.2).await;
            breaker.release().await.unwrap();
            self.caused.extend([CircuitState::Open, CircuitState::Closed]);
            self.streak = 0;
        }
    }

    async fn call_the_others(&mut self) {
        let circuits = &self.circuits;
        let until = circuits.ramping.snapshot().ramping_until().unwrap();
        let rejection = |breaker: &Breaker| breaker.try_admit().unwrap_err().reason();
        for breaker in [&circuits.open, &circuits.probing, &circuits.waiting, &circuits.held] {
            assert!(is_rejected(&succeed(breaker).await), "{breaker:?}");
        }
        assert_eq!(rejection(&circuits.open), Reason::Tripped);
        assert_eq!(rejection(&circuits.probing), Reason::Probing);
        assert_eq!(rejection(&circuits.waiting), Reason::Probing);
        assert!(matches!(rejection(&circuits.held), Reason::Held { .. }));
        succeed(&circuits.disabled).await.unwrap();
        succeed(&circuits.tried).await.unwrap();
        self.tried += 1;
        assert_eq!(circuits.tried.would_have_rejected(), self.tried);
        let left = until.duration_since(self.world.clock.wall()).unwrap();
        // All calls are admitted from the last of the twenty steps on.
        let since = (RAMP * 19 / 20).saturating_sub(left);
        let step = (since.as_secs_f64() / RAMP.as_secs_f64() * 20.0).floor() + 1.0;
        self.ramp.1 += step / 20.0;
        match circuits.ramping.try_admit() {
            Ok(permit) => {
                drop(permit.success());
                self.ramp.0 += 1.0;
            }
            Err(refused) => assert_eq!(refused.reason(), Reason::Ramping),
        }
    }
}

/// A seed that failed is played again by `FUSEBOARD_SEED=n cargo test --test it case_139_a_thousand`.
#[tokio::test(start_paused = true)]
async fn case_139_a_thousand_changes_leave_permits_probes_streaks_and_each_state_as_they_are() {
    let asked = env::var("FUSEBOARD_SEED").ok().map(|seed| seed.parse().unwrap());
    for seed in asked.map_or_else(|| 0..3, |seed: u64| seed..seed + 1) {
        let mut calls = JoinSet::new();
        let played = tokio::time::timeout(secs(10_000), play(seed, &mut calls));
        let (trips, seconds) = played.await.unwrap_or_else(|_| panic!("FUSEBOARD_SEED={seed}"));
        assert!(trips > 50 && seconds > 60, "FUSEBOARD_SEED={seed}: {trips} in {seconds} s");
    }
}

async fn play(seed: u64, calls: &mut JoinSet<u32>) -> (usize, u64) {
    let (mut load, end) = Load::begin(seed, calls).await;
    let began = load.world.clock.wall();
    let mut told = [Vec::new(), Vec::new()];
    for _ in 0..CHANGES {
        load.change().await;
        for (told, transitions) in told.iter_mut().zip(&mut load.transitions) {
            told.extend(heard(transitions));
        }
    }
    let seconds = load.world.clock.wall().duration_since(began).unwrap().as_secs();
    let states: Vec<_> = told[0].iter().map(|told| told.to_state).collect();
    assert_eq!(states, load.caused, "FUSEBOARD_SEED={seed}");
    assert!(told[0].iter().all(|told| told.circuit_name.as_str() == "streak"), "{seed}");
    assert!(told[1].is_empty(), "FUSEBOARD_SEED={seed}: {:?}", told[1]);
    let (admitted, share) = load.ramp;
    assert!((admitted - share).abs() <= 2.0, "FUSEBOARD_SEED={seed}: {admitted} of {share}");

    // The permits and the probe from before all changes count, by the newest settings.
    let newest = Config::builder().success_threshold(1).election_spread(Duration::ZERO);
    load.give(
        &Settings::builder()
            .defaults(newest.failure_threshold(2))
            .circuit("tried", |config| config.dry_run(true))
            .build()
            .unwrap(),
    );
    succeed(&load.circuits.calm).await.unwrap();
    for state in [CircuitState::Closed, CircuitState::Open] {
        load.permits.pop_front().unwrap().failure().settled().await;
        assert_eq!(load.circuits.calm.state(), state, "FUSEBOARD_SEED={seed}");
    }
    end.send(()).unwrap();
    assert_eq!(calls.join_next().await.unwrap().unwrap(), 7);
    assert_eq!(load.circuits.probing.state(), CircuitState::Closed, "FUSEBOARD_SEED={seed}");
    (load.caused.len() / 2, seconds)
}
