//! A dependency that comes back with a part of its capacity, behind a ramp or without one:
//!
//! ```text
//! cargo test --test it warming -- --nocapture
//! ```

use std::time::Duration;

use fuseboard::{Breaker, CircuitState, Config, MemoryStore};

use crate::support::memory::{World, heard, pass};

/// Calls of the whole fleet in a second, as many as the dependency can take when it is warm.
const CALLS: u32 = 400;
/// It comes back with a tenth of that.
const COLD: u32 = CALLS / 10;
/// It is warm after that many seconds in which it served calls.
const WARMING: u32 = 60;
/// It is down for a minute, in ten.
const DOWN: u32 = 60;
const SECONDS: u32 = 600;
const PROCESSES: u64 = 4;

/// A dependency whose capacity grows with what it serves. More calls in a second than it can take
/// are its end: it starts again, cold.
struct Dependency {
    second: u32,
    /// The calls of this second, and those before that it served.
    calls: u32,
    warm: u32,
    is_overrun: bool,
}

impl Dependency {
    fn call(&mut self, second: u32) -> Result<(), &'static str> {
        if second != self.second {
            self.warm = match (self.is_overrun, self.calls) {
                (true, _) => 0,
                (false, 0) => self.warm,
                (false, _) => (self.warm + 1).min(WARMING),
            };
            (self.second, self.calls, self.is_overrun) = (second, 0, false);
        }
        self.calls += 1;
        self.is_overrun |= self.calls > COLD + (CALLS - COLD) * self.warm / WARMING;
        if second < DOWN || self.is_overrun { Err("overrun") } else { Ok(()) }
    }
}

/// What ten minutes came to: trips, and good calls.
#[expect(clippy::print_stdout, reason = "the figures of a document")]
async fn ten_minutes(ramp: Option<u64>) -> (usize, u32) {
    let world: World = crate::support::world::World::<MemoryStore>::with(|config| {
        let config = config.election_spread(Duration::ZERO);
        ramp.map_or(config.clone(), |seconds| config.ramp(Duration::from_secs(seconds)))
    });
    let processes = world.processes(PROCESSES);
    let breakers: Vec<Breaker> = processes.iter().map(|process| process.breaker()).collect();
    let mut transitions: Vec<_> =
        processes.iter().map(|process| process.registry.subscribe()).collect();
    let mut dependency = Dependency { second: 0, calls: 0, warm: 0, is_overrun: false };
    let (mut trips, mut good) = (0, 0);
    for second in 0..SECONDS {
        for _ in 0..CALLS / u32::try_from(PROCESSES).unwrap() {
            for breaker in &breakers {
                let called = breaker.call(|| std::future::ready(dependency.call(second))).await;
                good += u32::from(called.is_ok());
            }
            pass(0.01).await;
        }
        let told = transitions.iter_mut().flat_map(heard);
        trips += told
            .filter(|told| told.from_state == CircuitState::Closed)
            .filter(|told| told.origin == fuseboard::Origin::Local)
            .count();
    }
    let ramp = ramp.map_or("none".to_owned(), |seconds| format!("{seconds} s"));
    println!("ramp {ramp}: {trips} trips, {good} good calls of {}", CALLS * SECONDS);
    (trips, good)
}

#[tokio::test(start_paused = true)]
async fn case_132_a_ramp_longer_than_the_warming_spares_a_cold_dependency() {
    let recovery = Config::default().recovery_timeout().as_secs();
    let (trips, good) = ten_minutes(None).await;
    assert!(trips > 10 && good < 2_000, "{trips} trips, one each {recovery} s, {good} good calls");
    let (trips, _) = ten_minutes(Some(20)).await;
    assert!(trips > 1, "{trips}: a ramp that is shorter than the warming delays the next trip");
    for seconds in [90, 120] {
        let (trips, good) = ten_minutes(Some(seconds)).await;
        assert_eq!(trips, 1, "that of the outage");
        assert!(good > 150_000, "{good}");
    }
}
