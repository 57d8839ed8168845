//! The machine, proved by a table, by named cases, and by random operations.
//!
//! [`process`] drives one machine as its actor does and checks invariants after
//! every step; [`world`] lets several share one record, on a virtual clock, and
//! [`watch`] judges what becomes of it.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

mod cases_closed;
mod cases_half_open;
mod cases_open;
mod cases_store;
mod exhaustive;
mod faults;
mod fleet;
mod fleet_faults;
mod fleet_rights;
mod fleet_rules;
mod holds;
mod lengths;
mod looks;
mod process;
mod promises;
mod ramps;
mod random;
mod random_ops;
mod random_world;
mod refuted;
mod seeds;
mod settings;
mod standstill;
mod table;
mod votes;
mod watch;
mod world;

use std::{sync::Arc, time::Duration};

use super::{Admission, CallEnd, CallId, Command, Entropy, Machine};
use crate::{
    config::{Config, ConfigBuilder},
    hold::HoldKind,
    name::CircuitName,
    protocol::moment::Moment,
    protocol::record::{Field, HoldTerms, LeaseToken, Operation, Record},
    state::CircuitState,
    store::{Consistency, StoreErrorKind, Written},
    transition::{Cause, CircuitTransition, Origin},
};

/// Whole seconds.
fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Milliseconds.
fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Where every clock starts; a whole second, so that stamps are exact.
const START: Moment = Moment::of_seconds(500, 1_000_000);
const START_UNIX: i64 = 1_000_000;

/// The moment `by` after another, on both clocks.
fn later(moment: Moment, by: Duration) -> Moment {
    moment.later(by)
}

/// Defaults but for the two thresholds.
fn quick(threshold: u32, successes: u32) -> Config {
    build(Config::builder().failure_threshold(threshold).success_threshold(successes))
}

fn build(builder: ConfigBuilder) -> Config {
    builder.build().expect("settings within their ranges")
}

/// Counted tokens, and no jitter.
#[derive(Clone, Debug)]
struct Counted {
    process: usize,
    tokens: u64,
    draw: u8,
    /// What each draw moves it by; zero draws the same each time.
    step: u8,
}

impl Entropy for Counted {
    fn token(&mut self) -> LeaseToken {
        self.tokens += 1;
        LeaseToken::new(format!("node{}-{}", self.process, self.tokens))
    }

    fn jitter(&mut self) -> u8 {
        self.draw = self.draw.wrapping_add(self.step);
        self.draw
    }

    fn boxed(&self) -> Box<dyn Entropy> {
        Box::new(self.clone())
    }
}

fn machine(process: usize, config: Config) -> Machine {
    let name = CircuitName::new("payments").expect("a good name");
    // Without spread, so that cases hold to the millisecond; `fleet_rules` sets one.
    Machine::new(
        name,
        Arc::new(config.for_store(false)),
        Box::new(Counted { process, tokens: 0, draw: 0, step: 0 }),
    )
}

/// An operator's hold until this second.
fn hold(kind: HoldKind, until: i64) -> Command {
    Command::Hold(kind, HoldTerms { until, by: None, reason: "deploy".into() })
}

/// A closed record, as a recovery leaves it.
fn closed(expires_at: i64) -> Record {
    Record {
        state: CircuitState::Closed.into(),
        failure_count: 0.into(),
        expires_at: expires_at.into(),
        ..Record::empty()
    }
}

/// The record after it was held closed at this second until another.
fn record_held_closed(held_at: i64, until: i64) -> Record {
    let terms = HoldTerms { until, by: None, reason: "deploy".into() };
    let hold = Operation::HoldClosed { seen: None, terms, held_at, expires_at: until + 3_600 };
    hold.apply(None).expect("there is none")
}

/// An open record, as a trip leaves it.
fn open(opened_at: i64) -> Record {
    Record {
        state: CircuitState::Open.into(),
        failure_count: 5.into(),
        opened_at: opened_at.into(),
        expires_at: (opened_at.saturating_add(3_630)).into(),
        ..Record::empty()
    }
}

/// A half-open record, as an election leaves it.
fn half_open(owner: &str, lease_until: i64) -> Record {
    Record {
        state: CircuitState::HalfOpen.into(),
        failure_count: 0.into(),
        opened_at: (START_UNIX - 100).into(),
        owner: LeaseToken::new(owner).as_owner(),
        lease_until: lease_until.into(),
        expires_at: lease_until.saturating_add(3_600).into(),
        success_count: 0.into(),
        ..Record::empty()
    }
}
