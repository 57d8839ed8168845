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
//! The owner of a machine, which is one task, feeds it with:
//!
//! | method | event | the moment passed in |
//! |---|---|---|
//! | [`Machine::admit`] | a call asks to run, with its [`Machine::arrival`] | when the call asked |
//! | [`Machine::trip`] | a rule has tripped | when its last failure ended |
//! | [`Machine::learn_wish`] | whether this process votes, after [`Machine::trip`] | now |
//! | [`Machine::report`], [`Machine::keep_alive`] | a probe ended, or is alive | when its holder said so |
//! | [`Machine::refresh`] | the cached record nears its maximum age | when a call noticed |
//! | [`Machine::command`] | an operator holds or releases | now |
//! | [`Machine::on_response`] | the store operation has ended | now |
//! | [`Machine::on_ballot`] | the ballot has ended | now |
//! | [`Machine::thawed`] | the process was frozen; comes before all later events | now |
//! | [`Machine::resign`] | the process leaves | now |
//! | [`Machine::reconfigure`] | the circuit has new settings; before other events of its turn | now |
//! | [`Machine::tick`] | time has passed, at the latest [`Machine::deadline`] | now |
//!
//! An earlier moment than the latest counts as the latest: time never runs back here.
//!
//! After it has fed the events of one turn, the owner drains the machine, in this order:
//!
//! 1. [`Machine::take_effects`] and [`Machine::published`]; it publishes the [`Published`],
//!    and only then carries out the [`Effect`]s, in the order in which they were decided.
//!    It repeats this until no effect is left.
//! 2. It tells [`Machine::learn_what_stands`] what the counting holds in the
//!    epoch that it has just published.
//! 3. It answers the calls. A call that was rejected by a new state must not find an older
//!    one published, so this comes last.
//!
//! At most one [`Effect::Vote`] is outstanding; its answer comes back through `on_ballot`. At most
//! one [`Effect::Start`] is outstanding; its response comes back through
//! `on_response`, with the [`Arrival`]s of all calls that were told to wait, oldest first.
//! That method asks them again, and its result holds one [`Admission`] for each.
//!
//! The machine is complete without a store: a store only joins machines. Transitions that
//! it decides while the store fails carry [`Origin::WithoutStore`].

mod admission;
mod cache;
mod command;
mod held;
mod outage;
mod phase;
mod prober;
mod published;
mod ramp;
mod report;
mod reputation;
mod resign;
mod settings;
mod storage;
mod term;
mod voting;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

pub(crate) use self::{
    admission::{Admission, Arrival, CallId, LONGEST_BRIEF_WAIT},
    command::{Command, CommandResult, Ends, Order},
    prober::ProbeId,
    published::{CLOCK_TICK_MS, Detail, Opened, Published},
    ramp::{PublishedRamp, STEPS},
    report::CallEnd,
    storage::{Purpose, StoreRequest, StoreResponse},
    voting::{BallotAnswer, Wish},
};
use self::{
    cache::Cache,
    command::InProgress,
    held::ToldHold,
    phase::{Phase, Standing},
    prober::{Probes, Turn},
    reputation::Reputation,
    settings::Followed,
    storage::{PendingWrite, Request, TTL_SLACK},
    voting::Voting,
};
use crate::{
    config::Config,
    name::CircuitName,
    protocol::counting::Remembered,
    protocol::health::{Access, Health},
    protocol::moment::Moment,
    protocol::record::LeaseToken,
    protocol::votes::Ballot,
    state::CircuitState,
    transition::{Cause, CircuitTransition, Origin},
};

/// The source of everything that must not be predictable. Passed in, so that a test can
/// replay a run from its seed.
pub(crate) trait Entropy: fmt::Debug + Send + Sync {
    /// A fresh fencing token, for one election.
    fn token(&mut self) -> LeaseToken;
    /// A number from 0 to 255, each equally likely, to spread reads, retries and elections.
    fn jitter(&mut self) -> u8;
    /// Clones the source behind the trait object.
    fn boxed(&self) -> Box<dyn Entropy>;
}

impl Clone for Box<dyn Entropy> {
    fn clone(&self) -> Self {
        // `self.boxed()` would clone the box, and so call itself without end.
        self.as_ref().boxed()
    }
}

/// The same token, and no jitter.
#[cfg(test)]
#[derive(Clone, Debug)]
pub(crate) struct NoEntropy;

#[cfg(test)]
impl Entropy for NoEntropy {
    fn token(&mut self) -> LeaseToken {
        LeaseToken::new("token")
    }

    fn jitter(&mut self) -> u8 {
        0
    }

    fn boxed(&self) -> Box<dyn Entropy> {
        Box::new(Self)
    }
}

/// What the machine asks its owner to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Tell the subscribers. Boxed: it is rare, and larger than all others.
    Announce(Box<CircuitTransition>),
    /// Start the store operation; its response comes back through [`Machine::on_response`].
    Start(StoreRequest),
    /// Start to cast or withdraw the vote of this process, beside the store operation; the answer
    /// comes back through [`Machine::on_ballot`].
    Vote(Arc<Ballot>),
    /// Log that this attribute makes the stored record unreadable; once per change of the
    /// record.
    Defective(&'static str),
    /// Tell the operator the result of the [`Command`].
    CommandResult(CommandResult),
}

/// The state machine of one circuit, in one process. A value: a clone goes on as the
/// original would, which lets a test try everything that may happen next.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    name: CircuitName,
    /// The settings in force.
    config: Arc<Config>,
    followed: Option<Box<Followed>>,
    entropy: Box<dyn Entropy>,
    /// The latest moment seen; time never runs back.
    now: Moment,
    /// Counts the state changes that this process has seen.
    epoch: u64,
    phase: Phase,
    /// When a call last asked, or a probe ended.
    used_at: Moment,
    /// True if failures stand in the counting, as the owner last said.
    failures_stand: bool,
    /// The state that subscribers were last told.
    announced: CircuitState,
    /// The hold that they were last told of.
    told_hold: Option<Box<ToldHold>>,
    /// The record that the store last showed, and when.
    cache: Cache,
    reputation: Reputation,
    request: Request,
    /// The write to be made next. One place, so that a later decision replaces an earlier
    /// one that it contradicts.
    pending: Option<PendingWrite>,
    /// The operator's command in progress.
    command: Option<Box<InProgress>>,
    health: Health,
    voting: Option<Box<Voting>>,
    /// True if a waiting call is to get the next probe; the other calls are rejected.
    probe_claimed: bool,
    probes: Probes,
    /// Whether the epoch is the one before under a new number: the process was frozen.
    has_thawed: bool,
    /// Whether subscribers were told, in this epoch or before a freeze in it, that the circuit
    /// would open if it were not held closed.
    has_told_would_open: bool,
    effects: Vec<Effect>,
}

impl Machine {
    /// Makes a circuit that has not been read yet: closed, so that a call is never rejected
    /// without evidence, and stale, so that the first call reads.
    pub(crate) fn new(name: CircuitName, config: Arc<Config>, entropy: Box<dyn Entropy>) -> Self {
        Self {
            name,
            config,
            followed: None,
            entropy,
            now: Moment::default(),
            epoch: 1,
            phase: Phase::CLOSED,
            used_at: Moment::default(),
            failures_stand: false,
            announced: CircuitState::Closed,
            told_hold: None,
            cache: Cache::default(),
            reputation: Reputation::default(),
            request: Request::default(),
            pending: None,
            command: None,
            health: Health::default(),
            voting: None,
            probe_claimed: false,
            probes: Probes::NONE,
            has_thawed: false,
            has_told_would_open: false,
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

    /// Returns `true` if the probes of other processes closed, into this epoch, a circuit
    /// that this process had tripped. Until this process has had enough good calls in a row,
    /// its rules open the circuit for this process only.
    pub(crate) fn is_contradicted(&self) -> bool {
        self.reputation.is_contradicted_in(self.epoch)
    }

    /// Discards what calls of before a freeze of the process may report: they may fail
    /// because the freeze cut their connections, and say nothing about the dependency.
    pub(crate) fn thawed(&mut self, now: Moment) {
        self.advance(now);
        self.thaw_votes();
        match self.phase {
            Phase::Closed { .. } => {
                // A new epoch tells the outcomes of calls that were admitted before from
                // later ones; otherwise a thaw with T calls running would trip the fleet.
                let has_told_would_open = self.has_told_would_open;
                self.enter(self.phase.clone());
                self.has_thawed = true;
                self.has_told_would_open = has_told_would_open;
            }
            // The probe keeps its right, and may still succeed: only its failure is ignored.
            Phase::HalfOpen(_) => self.probes.cut_off(),
            // The failures are from before the freeze, and the fleet has moved on since.
            Phase::Open(_) if self.pending == Some(PendingWrite::Trip) => {
                self.lapse(true);
            }
            Phase::Open(_) => {}
        }
    }

    /// Returns `true` if a freeze, and not a change of state, began the current epoch: the
    /// counts of the epoch before it stand.
    pub(crate) fn has_thawed(&self) -> bool {
        self.has_thawed
    }

    /// Takes from the owner what stands in the counting. While anything does, the machine is not
    /// forgotten.
    pub(crate) fn learn_what_stands(&mut self, remembered: Remembered) {
        self.failures_stand = remembered.any;
        // A failing call that the gate admitted has sent no message.
        if let Some(failed_at) = remembered.newest_failure
            && failed_at.mono() > self.used_at.mono()
        {
            self.used_at = failed_at;
        }
        if !remembered.contradiction {
            // The counting watches a contradicted circuit until it has seen enough good
            // calls in a row. From here on the trips of this process are written again.
            self.reputation.restore();
        }
    }

    /// Lets time pass, and starts what has become due.
    pub(crate) fn tick(&mut self, now: Moment) {
        self.advance(now);
        self.give_back_kept_right();
        self.dispatch();
        self.dispatch_votes();
    }

    /// Returns `true` if no write is outstanding that could still be applied soon. `flush`
    /// waits for this, and must not wait for a store that is backed off.
    pub(crate) fn is_settled(&self) -> bool {
        let writing = matches!(self.request.in_flight.as_deref(), Some(StoreRequest::Write { .. }));
        let will_write = self.pending.is_some() && self.health.is_usable(Access::Write, self.now);
        !writing && !will_write && !self.is_voting()
    }

    /// Returns `true` if forgetting this machine would lose nothing: the state of the
    /// circuit is in the store, or too old to matter.
    pub(crate) fn is_forgettable(&self) -> bool {
        let idle = self.request.in_flight.is_none()
            && self.pending.is_none()
            && self.command.is_none()
            && !self.has_to_vote();
        // A fresh record saves the next call a read, and a back-off saves it a timeout: the
        // next actor would find out both again, at a caller's cost.
        let known = self.is_fresh() || !self.health.is_usable(Access::Write, self.now);
        idle && !known && self.keeps_for() == Duration::ZERO
    }

    /// Returns how much longer this machine is kept without calls: while failures stand,
    /// as long as a trip would last, or they count; while held closed, until the end of the hold;
    /// while not closed, as long as the store keeps the record.
    fn keeps_for(&self) -> Duration {
        let timeout = self.config.recovery_timeout();
        match &self.phase {
            // If the hold were forgotten, the next actor would tell it again, and no actor its end.
            Phase::Closed { .. } if !self.failures_stand => self.held_closed_for(),
            Phase::Closed { .. } => {
                let window = self.config.longest_window();
                let counts_for = timeout.max(window).saturating_sub(self.now.since(self.used_at));
                counts_for.max(self.held_closed_for())
            }
            Phase::Open(opening) => {
                let longest = opening.term.length.max(timeout);
                longest.saturating_add(TTL_SLACK).saturating_sub(self.now.since(self.used_at))
            }
            Phase::HalfOpen(_) => {
                timeout.saturating_add(TTL_SLACK).saturating_sub(self.now.since(self.used_at))
            }
        }
    }

    /// Moves the machine's time forward, never back. Lapses a pending trip that has become
    /// too old to be written.
    fn advance(&mut self, now: Moment) {
        // Events carry their sender's moment and may overtake each other. An older moment
        // is no evidence that the wall clock was set back, and must not undo a later one.
        if now.mono() < self.now.mono() {
            return;
        }
        let is_trip_pending = self.pending == Some(PendingWrite::Trip);
        // Only a trip lapses. All other pending writes are fenced by their token: the store
        // refuses them once another process has moved on.
        let was_frozen = is_trip_pending && now.was_frozen_since(self.now, self.longest_pause());
        self.now = now;
        self.keep_ramp();
        self.tell_end_of_hold();
        if is_trip_pending && (was_frozen || self.is_too_old_to_trip()) {
            self.lapse(was_frozen);
        }
    }

    /// Returns the longest time that may pass without an event while a write is pending. A
    /// longer silence shows that the process was frozen.
    fn longest_pause(&self) -> Duration {
        if self.request.in_flight.is_some() {
            self.config.store_timeout()
        } else {
            self.deadline().unwrap_or(Duration::MAX)
        }
    }

    fn is_too_old_to_trip(&self) -> bool {
        match &self.phase {
            Phase::Open(opening) => opening.wait_to_lapse(self.now, &self.config) == Duration::ZERO,
            Phase::Closed { .. } | Phase::HalfOpen(_) => false,
        }
    }

    /// Drops a pending trip whose failures are older than the recovery timeout, or from
    /// before a freeze. They are no evidence of how the dependency is now: written late, the
    /// trip would reject the calls of a fleet whose dependency may long be well. This process
    /// keeps the circuit open for itself, for what is left of its time. After a freeze that is
    /// nothing, and its next call is a probe, unless a call has asked for the time.
    fn lapse(&mut self, was_frozen: bool) {
        self.pending = None;
        if let Phase::Open(opening) = &mut self.phase {
            let is_over = was_frozen && opening.term.until.is_none();
            opening.standing = Standing::Lapsed { is_over };
        }
        // Subscribers waited for the trip's write, which will not come.
        self.announce_opening(Origin::WithoutStore);
    }

    /// Draws when this process may elect itself for the stamp or lease that it has just seen.
    /// One draw for each: drawing again at each call would always find the earliest turn.
    fn draw_turn(&mut self) -> Turn {
        if self.reputation.is_contradicted() {
            // Its own way to the dependency is most likely broken. As the prober it would
            // reopen the circuit of a healthy dependency for the fleet.
            return Turn::Last;
        }
        let (high, low) = (self.entropy.jitter(), self.entropy.jitter());
        Turn::Drawn(u16::from_be_bytes([high, low]))
    }

    /// Enters a phase, and begins a new epoch: outcomes of calls of older epochs are not
    /// counted in it, so that a late failure cannot trip a circuit that has closed since.
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch = self.epoch.saturating_add(1);
        self.has_thawed = false;
        self.has_told_would_open = false;
        self.forget_look();
        self.follow_settings();
    }

    /// Enters a phase, and tells subscribers why. A phase that they hear of only when its
    /// write was applied, or the store is out, is entered by [`enter`](Self::enter) instead.
    fn commit(&mut self, phase: Phase, cause: Cause, origin: Origin) {
        self.enter(phase);
        self.announce(cause, origin);
    }

    /// Tells subscribers of the current opening, with the cause that it was decided for.
    fn announce_opening(&mut self, origin: Origin) {
        if let Phase::Open(opening) = &self.phase {
            self.announce(opening.cause.clone(), origin);
        }
    }

    /// Tells subscribers of a change of state. Says nothing if they were told of this state
    /// last, unless the prober has changed, or the operator's hold.
    fn announce(&mut self, cause: Cause, origin: Origin) {
        let to_state = self.phase.state();
        // A take-over is announced though the state is the same: the prober has changed. So is
        // that a circuit would open, which has no state of its own, and a hold that begins or ends.
        let from_state = std::mem::replace(&mut self.announced, to_state);
        let hold = self.hold_shown();
        let is_told = matches!(cause, Cause::TakeOver { .. } | Cause::WouldOpen);
        if from_state == to_state && !is_told && !self.is_news_of_hold(hold.as_ref()) {
            return;
        }
        let ended_hold = self.note_told_hold(hold.as_ref(), &cause);
        let outage = self.phase.outage();
        let at = std::time::SystemTime::UNIX_EPOCH
            .checked_add(self.now.wall())
            .unwrap_or(std::time::SystemTime::UNIX_EPOCH);
        self.effects.push(Effect::Announce(Box::new(CircuitTransition {
            circuit_name: self.name.clone(),
            from_state,
            to_state,
            opened_at: self.phase.opened_at(),
            cause,
            origin,
            at,
            down_since: outage.map(|outage| outage.since),
            outage_cause: outage.map(|outage| outage.cause.clone()),
            hold,
            ended_hold,
            dry_run: self.config.dry_run(),
        })));
    }
}
