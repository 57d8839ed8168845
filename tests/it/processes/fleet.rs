//! A fleet with a healthy dependency, of which processes are killed at random.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    env,
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use super::{
    process::{Process, soon},
    world::{LEASE, World, announced_what_was_written},
};
use crate::support::engine::now;

const NAMES: [&str; 5] = ["A", "B", "C", "D", "E"];

const KILLS: usize = 2;

/// Repeats a schedule. What the processes make of it is up to their scheduler.
const SEED: &str = "FUSEBOARD_SEED";

/// How far a process has come with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Begun,
    Probing,
    Answered,
}

/// Numbers by SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn millis(&mut self, below: u64) -> Duration {
        Duration::from_millis(self.roll(below))
    }
}

/// What the drivers of all processes share.
struct Fleet {
    world: World,
    kills: RefCell<VecDeque<(Step, Duration)>>,
    /// Since when which process probes, as the dependency sees it.
    probing: RefCell<HashMap<&'static str, tokio::time::Instant>>,
    /// Processes that were killed, for what they announced before.
    dead: RefCell<Vec<Process>>,
}

impl Fleet {
    async fn open(dice: &mut Dice) -> Self {
        let steps = [Step::Begun, Step::Probing, Step::Answered];
        let kill = |_| {
            let step = usize::try_from(dice.roll(3)).unwrap();
            (steps[step], dice.millis(30))
        };
        let kills = (0..KILLS).map(kill).collect();
        let world = World::open().await;
        world.put_due();
        Self {
            world,
            kills: RefCell::new(kills),
            probing: RefCell::default(),
            dead: RefCell::default(),
        }
    }

    fn is_over(&self) -> bool {
        self.kills.borrow().is_empty() && self.world.attribute("state") == "CLOSED"
    }

    async fn start(&self, name: &'static str) -> Process {
        let three = |mut settings: super::words::Settings| {
            settings.success_threshold = 3;
            settings
        };
        self.world.environment_with(name, three).await
    }

    /// Calls until the fleet is over, and comes back to life when killed.
    async fn drive(&self, name: &'static str, mut dice: Dice) -> Process {
        let mut process = self.start(name).await;
        while !self.is_over() {
            let call = process.begin().await;
            let mut survives = !self.kills_at(Step::Begun, &mut process).await;
            if survives && let Ok(state) = process.reaches(call).await {
                survives = self.runs(&mut process, name, call, &state, &mut dice).await;
            }
            if !survives {
                self.probing.borrow_mut().remove(name);
                let reborn = self.start(name).await;
                self.dead.borrow_mut().push(std::mem::replace(&mut process, reborn));
            }
            tokio::time::sleep(dice.millis(100)).await;
        }
        process
    }

    /// A call reached the dependency; says whether its process lives.
    async fn runs(
        &self,
        process: &mut Process,
        name: &'static str,
        call: u64,
        state: &str,
        dice: &mut Dice,
    ) -> bool {
        if state == "HALF_OPEN" {
            self.probes(name);
        }
        if self.kills_at(Step::Probing, process).await {
            return false;
        }
        tokio::time::sleep(dice.millis(200)).await;
        self.probing.borrow_mut().remove(name);
        process.answer(call, Ok("fine")).await;
        if self.kills_at(Step::Answered, process).await {
            return false;
        }
        process.ended(call).await;
        true
    }

    /// No other probes, unless its lease may have run out since.
    fn probes(&self, name: &'static str) {
        let mut probing = self.probing.borrow_mut();
        for (other, since) in probing.iter() {
            assert!(since.elapsed() >= LEASE, "{name} probes, and so does {other}");
        }
        probing.insert(name, now());
    }

    async fn kills_at(&self, step: Step, process: &mut Process) -> bool {
        let due = self.kills.borrow_mut().pop_front_if(|(at, _)| *at == step);
        let Some((_, later)) = due else {
            return false;
        };
        tokio::time::sleep(later).await;
        process.kill();
        true
    }
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "is shown if the test fails")]
async fn case_48_a_fleet_of_which_processes_die_closes_the_circuit_all_the_same() {
    let fresh = || RandomState::new().build_hasher().finish();
    let seed = env::var(SEED).map_or_else(|_| fresh(), |seed| seed.parse().unwrap());
    println!("{SEED}={seed} cargo test --test it processes::fleet");
    let mut dice = Dice(seed);
    let fleet = Fleet::open(&mut dice).await;
    println!("killed: {:?}", fleet.kills.borrow());
    let drivers = NAMES.map(|name| fleet.drive(name, Dice(dice.roll(u64::MAX))));
    let mut processes = soon("all is well", futures::future::join_all(drivers)).await;
    processes.append(&mut fleet.dead.borrow_mut());
    assert_eq!(processes.len(), NAMES.len() + KILLS);
    announced_what_was_written(&processes.iter().collect::<Vec<_>>());
    let closes = processes.iter().flat_map(|process| process.relay.applied());
    assert_eq!(closes.filter(|op| *op == super::relay::Op::Close).count(), 1);
}
