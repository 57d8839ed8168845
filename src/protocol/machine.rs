//! The state machine of one circuit: pure, total, without clock or I/O.
//!
//! ```text
//!                T consecutive failures: trip
//!      ┌────────┐ ─────────────────────────────► ┌──────┐ ◄──┐
//!      │ CLOSED │                                │ OPEN │    │ a probe fails: reopen
//!      └────────┘ ◄──────────┐                   └──┬───┘    │
//!                            │ K good probes: close │ R has passed: elect one prober
//!                            │                  ┌───▼───────┐│
//!                            └───────────────── │ HALF_OPEN │┘ lease ran out: take over
//!                                               └───────────┘
//! ```
//!
//! # Contract
//!
//! The owner of a machine feeds it with [`Machine::admit`], [`Machine::trip`],
//! [`Machine::report`], [`Machine::keep_alive`], [`Machine::refresh`],
//! [`Machine::command`], [`Machine::tick`] and [`Machine::on_response`], each with the moment at which the *sender* saw the event;
//! the machine clamps so that its time never runs back. After each it takes the
//! [`Effect`]s in order, and may ask for the [`Published`] and the deadline. At most
//! one [`Effect::Start`] is outstanding; its answer comes back through `on_response`.
//! Calls that were told to wait are asked again by that call, oldest first.
//!
//! The machine is complete without a store: a store only joins machines. What
//! it decides while the store fails is marked [`Origin::WithoutStore`].

mod admission;
mod cache;
mod command;
mod phase;
mod published;
mod report;
mod reputation;
mod resign;
mod storage;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

pub(crate) use self::{
    admission::{Admission, Arrival, CallId, LONGEST_BRIEF_WAIT},
    command::{Command, CommandResult},
    phase::ProbeId,
    published::{CLOCK_TICK_MS, Published},
    report::CallEnd,
    storage::{Purpose, StoreRequest, StoreResponse},
};
use self::{
    cache::Cache,
    command::InProgress,
    phase::{Phase, Probes, Standing, Turn},
    reputation::Reputation,
    storage::{PendingWrite, Request, TTL_SLACK},
};
use crate::{
    config::Config,
    name::CircuitName,
    protocol::health::{Access, Health},
    protocol::moment::Moment,
    protocol::record::LeaseToken,
    state::CircuitState,
    transition::{Cause, CircuitTransition, Origin},
};

/// Where a machine gets what must not be predictable.
pub(crate) trait Entropy: Send + Sync {
    /// A fresh fencing token, for one election.
    fn token(&mut self) -> LeaseToken;
    /// A number anywhere in 0..=255, to spread retries.
    fn jitter(&mut self) -> u8;
}

/// What the machine asks its owner to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Tell the subscribers.
    Announce(CircuitTransition),
    /// Start the one store operation; answer through [`Machine::on_response`].
    Start(StoreRequest),
    /// The stored record cannot be read; said once per change of the record.
    Defective(&'static str),
    /// An operator's order has come to an end.
    CommandResult(CommandResult),
}

/// The state machine of one circuit, in one process.
pub(crate) struct Machine {
    name: CircuitName,
    config: Arc<Config>,
    entropy: Box<dyn Entropy>,
    /// The latest moment seen; time never runs back.
    now: Moment,
    /// Counts the state changes that this process has seen.
    epoch: u64,
    phase: Phase,
    /// When a call last asked, or a probe ended.
    used_at: Moment,
    /// Whether failures stand in what is counted, as the owner last said.
    failures_stand: bool,
    /// The state that subscribers were last told.
    announced: CircuitState,
    /// What the store last showed, and when.
    cache: Cache,
    reputation: Reputation,
    request: Request,
    /// The write to be made next.
    pending: Option<PendingWrite>,
    /// What an operator ordered.
    command: Option<Box<InProgress>>,
    health: Health,
    /// Whether a waiting call stands to get the next probe.
    claimed: bool,
    probes: Probes,
    /// The epoch that began because the process had been frozen; zero is none.
    thawed_into: u64,
    effects: Vec<Effect>,
}

impl Machine {
    /// A circuit of which nothing is known yet: closed, and stale.
    pub(crate) fn new(name: CircuitName, config: Arc<Config>, entropy: Box<dyn Entropy>) -> Self {
        Self {
            name,
            config,
            entropy,
            now: Moment::default(),
            epoch: 1,
            phase: Phase::Closed { by_offline_probes: false },
            used_at: Moment::default(),
            failures_stand: false,
            announced: CircuitState::Closed,
            cache: Cache::default(),
            reputation: Reputation::default(),
            request: Request::default(),
            pending: None,
            command: None,
            health: Health::default(),
            claimed: false,
            probes: Probes::NONE,
            thawed_into: 0,
            effects: Vec::new(),
        }
    }

    /// Takes the effects, in order of decision.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The current epoch.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether others' probes closed, into this epoch, a circuit that this process had
    /// tripped. Until it has had enough good calls in a row of its own, its rules open
    /// the circuit for itself alone.
    pub(crate) fn is_contradicted(&self) -> bool {
        self.reputation.is_contradicted_in(self.epoch)
    }

    /// The process was frozen. Calls that were admitted before are no evidence: they may
    /// fail because they were cut off. While the circuit is closed a new epoch tells them
    /// from those to come, and a probe's failure is ignored.
    pub(crate) fn thawed(&mut self, now: Moment) {
        self.advance(now);
        match self.phase {
            Phase::Closed { by_offline_probes } => {
                self.enter(Phase::Closed { by_offline_probes });
                self.thawed_into = self.epoch;
            }
            Phase::HalfOpen(_) => self.probes.cut_off(),
            // What was owed from before the freeze is not written.
            Phase::Open(_) if self.pending == Some(PendingWrite::Trip) => self.lapse(),
            Phase::Open(_) => {}
        }
    }

    /// Whether the current epoch is the one before under a new number: what was counted
    /// in that one stands.
    pub(crate) fn has_thawed(&self) -> bool {
        self.thawed_into == self.epoch
    }

    /// Learns whether failures stand in what is counted, or a contradiction: they are
    /// kept for a while.
    pub(crate) fn learn_whether_failures_stand(&mut self, stand: bool) {
        self.failures_stand = stand;
        if !stand {
            // Enough good calls in a row have ended the contradiction: it is heard again.
            self.reputation.restore();
        }
    }

    /// Time passes: starts what has become due.
    pub(crate) fn tick(&mut self, now: Moment) {
        self.advance(now);
        self.give_back_what_was_kept();
        self.dispatch();
    }

    /// Whether no write is outstanding that could still land soon.
    pub(crate) fn is_settled(&self) -> bool {
        let writing = matches!(self.request.in_flight, Some(StoreRequest::Write { .. }));
        let wanting = self.pending.is_some() && self.health.is_usable(Access::Write, self.now);
        !writing && !wanting
    }

    /// Whether nothing would be lost if this machine were forgotten: what it
    /// takes the circuit to be is in the store, or too old to matter, and nothing
    /// is known that the next actor would have to find out at a caller's cost.
    pub(crate) fn is_forgettable(&self) -> bool {
        let idle =
            self.request.in_flight.is_none() && self.pending.is_none() && self.command.is_none();
        let known = self.is_fresh() || !self.health.is_usable(Access::Write, self.now);
        idle && !known && self.keeps_for() == Duration::ZERO
    }

    /// For how long what this machine knows is kept though nobody calls: a streak
    /// for as long as a trip would last, an opening for as long as its record.
    fn keeps_for(&self) -> Duration {
        let timeout = self.config.recovery_timeout();
        match &self.phase {
            Phase::Closed { .. } if !self.failures_stand => Duration::ZERO,
            Phase::Closed { .. } => timeout.saturating_sub(self.now.since(self.used_at)),
            Phase::Open(_) | Phase::HalfOpen(_) => {
                timeout.saturating_add(TTL_SLACK).saturating_sub(self.now.since(self.used_at))
            }
        }
    }

    /// Moves the machine's time on, never back. The wall clock may be set back,
    /// but an event that was overtaken on its way is no evidence of that.
    fn advance(&mut self, now: Moment) {
        if now.mono() < self.now.mono() {
            return;
        }
        let owes_trip = self.pending == Some(PendingWrite::Trip);
        let stood_still = owes_trip && now.was_frozen_since(self.now, self.longest_pause());
        self.now = now;
        if owes_trip && (stood_still || self.is_due()) {
            self.lapse();
        }
    }

    /// For how long nothing happens at the most, while something is owed to the store.
    fn longest_pause(&self) -> Duration {
        if self.request.in_flight.is_some() {
            self.config.store_timeout()
        } else {
            self.deadline().unwrap_or(Duration::MAX)
        }
    }

    fn is_due(&self) -> bool {
        match &self.phase {
            Phase::Open(opening) => opening.wait(self.now, &self.config) == Duration::ZERO,
            Phase::Closed { .. } | Phase::HalfOpen(_) => false,
        }
    }

    /// The failures that a trip stands for are too old, or of a time before this
    /// process stood still: they are no evidence of how the dependency is now. The
    /// trip is not written any more, and this process probes first.
    fn lapse(&mut self) {
        self.pending = None;
        if let Phase::Open(opening) = &mut self.phase {
            opening.standing = Standing::Lapsed;
        }
        self.announce_opening(Origin::WithoutStore);
    }

    /// A draw for what has just been seen: when this process may be elected.
    fn draw_turn(&mut self) -> Turn {
        if self.reputation.is_contradicted() {
            return Turn::Last;
        }
        let (high, low) = (self.entropy.jitter(), self.entropy.jitter());
        Turn::Drawn(u16::from_be_bytes([high, low]))
    }

    /// Enters a phase: a new epoch, in which older outcomes mean nothing.
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch = self.epoch.saturating_add(1);
    }

    /// Enters a phase, and tells subscribers why. What is told only when its write has
    /// landed, or when the store is out, is entered by [`enter`](Self::enter) instead.
    fn commit(&mut self, phase: Phase, cause: Cause, origin: Origin) {
        self.enter(phase);
        self.announce(cause, origin);
    }

    /// Tells subscribers of an opening, for the reason that it was decided for.
    fn announce_opening(&mut self, origin: Origin) {
        if let Phase::Open(opening) = &self.phase {
            self.announce(opening.cause.clone(), origin);
        }
    }

    /// Tells subscribers that the circuit is in another state, once.
    fn announce(&mut self, cause: Cause, origin: Origin) {
        let to_state = self.phase.state();
        let from_state = std::mem::replace(&mut self.announced, to_state);
        let is_take_over = matches!(cause, Cause::TakeOver { .. });
        if from_state == to_state && !is_take_over {
            return;
        }
        let at = std::time::SystemTime::UNIX_EPOCH
            .checked_add(self.now.wall())
            .unwrap_or(std::time::SystemTime::UNIX_EPOCH);
        self.effects.push(Effect::Announce(CircuitTransition {
            circuit_name: self.name.clone(),
            from_state,
            to_state,
            opened_at: self.phase.opened_at(),
            cause,
            origin,
            at,
        }));
    }
}
