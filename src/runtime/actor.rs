//! The actor of one circuit: the only writer of its state.
//!
//! It feeds the pure machine with what handles and the store tell it, and does
//! what the machine decides, in this order: snapshot, gate, broadcast, store,
//! replies. It waits on its mailbox, its deadline, its one store operation and
//! its cancellation, and on nothing else. It knows the circuit only weakly, so
//! that it never keeps its own mailbox open.

mod brief_wait;
mod commands;
mod environment;
mod farewell;
mod keeping;
mod leaving;
pub(crate) mod message;
mod operation;

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use self::{
    commands::Commands,
    message::{Message, Reply, Settle},
    operation::{InFlight, StoreClient},
};
pub(crate) use self::{environment::Environment, farewell::LastTold};
use crate::{
    clock::Clock,
    error::OpenError,
    panics::caught,
    protocol::counting::Trip,
    protocol::machine::{
        Admission, Arrival, CallEnd, CallId, CommandResult, Effect, Machine, Published,
        StoreResponse,
    },
    protocol::moment::{self, Moment},
    runtime::circuit::{Circuit, Followed, PendingGuard, Turn},
    runtime::log,
    runtime::sync::flume,
    runtime::undelivered::UndeliveredPermit,
};

/// How many messages one turn takes before it publishes.
const BATCH: usize = 64;

/// Takes a circuit out of its registry, if no handle is left and a last look, for which
/// none can be made any more, says that nothing was sent since; keeps what was told of it
/// if it was not closed; says whether it did.
pub(crate) type Forget =
    Box<dyn Fn(&Arc<Circuit>, &dyn Fn() -> bool, Option<LastTold>) -> bool + Send + Sync>;

/// A call that waits for the store.
struct Waiter {
    reply: Reply,
    arrival: Arrival,
    /// When it came, if it waits for no longer than a look may take.
    looks_since: Option<Moment>,
    /// What it started may have to be undone by a write.
    pending: PendingGuard,
}

/// What the machine was shown in a turn, besides messages.
struct Shown {
    trip: Option<Box<Trip>>,
    /// How many freezes of the process it knows of.
    freezes: u64,
}

/// A probe on offer at the gate, since when, and for how long.
struct OfferedProbe {
    pass: CallId,
    since: Moment,
    offer: Duration,
}

/// The actor of one circuit. An idle one is the most of what a circuit takes, so
/// what few circuits have at any time is boxed.
pub(crate) struct Actor {
    circuit: Weak<Circuit>,
    mailbox: flume::Receiver<Message>,
    machine: Machine,
    environment: Arc<Environment>,
    cancelled: CancellationToken,
    forget: Forget,
    waiters: Vec<Waiter>,
    settles: Vec<Settle>,
    replies: Vec<(Reply, Admission)>,
    published: Option<Published>,
    offered_probe: Option<Box<OfferedProbe>>,
    /// Whether a call that does not wait has one of the waiters in its place.
    awaits_offered_probe: bool,
    commands: Commands,
    /// Lets `flush` wait for a right to probe that this process holds.
    right: Option<PendingGuard>,
    /// Whether somebody flushes, so that a right that nobody uses is given back.
    is_resigning: bool,
    /// What an earlier actor told last of this circuit.
    told_before: Option<Box<LastTold>>,
    /// Whether it ran to its end, and was not dropped with its runtime.
    has_ended: bool,
}

enum Event {
    Stored(StoreResponse),
    Message(Message),
    Deadline,
    End,
}

impl Actor {
    pub(crate) fn new(
        circuit: &Arc<Circuit>,
        mailbox: flume::Receiver<Message>,
        machine: Machine,
        environment: Arc<Environment>,
        cancelled: CancellationToken,
        forget: Forget,
    ) -> Self {
        Self {
            circuit: Arc::downgrade(circuit),
            mailbox,
            machine,
            environment,
            cancelled,
            forget,
            waiters: Vec::new(),
            settles: Vec::new(),
            replies: Vec::new(),
            published: None,
            offered_probe: None,
            awaits_offered_probe: false,
            commands: Commands::default(),
            right: None,
            is_resigning: false,
            told_before: None,
            has_ended: false,
        }
    }

    /// Runs until it is cancelled, or until the circuit is closed, clean and
    /// without handles.
    pub(crate) async fn run(&mut self) {
        let mut operation: Option<InFlight> = None;
        loop {
            let deadline = self.deadline();
            let event = tokio::select! {
                biased;
                () = self.cancelled.cancelled() => Event::End,
                answer = operation::finished(&mut operation) => Event::Stored(answer),
                message = self.mailbox.recv_async() => message.map_or(Event::End, Event::Message),
                () = self.clock().sleep(deadline) => Event::Deadline,
            };
            let now = self.clock().now();
            let Some(circuit) = self.circuit.upgrade() else {
                return;
            };
            let freezes = self.notice_freeze(&circuit, now);
            // Failures that ended before a call asked come before it.
            let trip = self.take_trip(&circuit, None);
            match event {
                Event::End => return,
                Event::Stored(answer) => self.stored(now, answer),
                Event::Message(message) => self.take(&circuit, message),
                Event::Deadline => {}
            }
            self.drain(&circuit);
            // A message says of a trip that was found, and is taken by now.
            let trip = self.take_trip(&circuit, trip);
            // Whatever woke it: timers do not run while a process is frozen.
            self.machine.tick(now);
            self.end_brief_wait(now);
            circuit.beat();
            self.take_probe_report(&circuit, now);
            let shown = Shown { trip, freezes };
            let failures = self.publish(&circuit, now, &mut operation, shown);
            if self.is_over(&circuit, failures) {
                return;
            }
            drop(circuit);
            // A mailbox that is never empty keeps this task from ever waiting. So that
            // others of its thread run as well, it yields after some turns.
            tokio::task::consume_budget().await;
        }
    }

    /// Tells the machine that the process was frozen since the last turn, before anything
    /// that came of it; says how many freezes there were by now.
    fn notice_freeze(&mut self, circuit: &Circuit, now: Moment) -> u64 {
        let clock = &self.environment.clock;
        clock.watch_for_freezes(now);
        let freezes = clock.freezes(now);
        if circuit.knows_freezes(freezes) {
            return freezes;
        }
        log::thawed(&circuit.name);
        self.machine.thawed(now);
        freezes
    }

    fn clock(&self) -> &Clock {
        &self.environment.clock
    }

    fn deadline(&self) -> Option<Duration> {
        let offered_probe = self.offered_probe.as_ref().map(|offered_probe| {
            offered_probe.offer.saturating_sub(self.clock().now().since(offered_probe.since))
        });
        let right = self.right.as_ref().and_then(|_| self.machine.right_ends_in());
        [self.machine.deadline(), offered_probe, right, self.brief_wait_ends_in()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes what else is in the mailbox, up to a batch.
    fn drain(&mut self, circuit: &Circuit) {
        for _ in 0..BATCH {
            match self.mailbox.try_recv() {
                Ok(message) => self.take(circuit, message),
                Err(flume::TryRecvError::Empty | flume::TryRecvError::Disconnected) => return,
            }
        }
    }

    /// Shows the machine a trip that was found, unless it was shown in this turn. It
    /// stays where it is until what came of it is published, so that failures that come
    /// until then wait for it too.
    fn take_trip(&mut self, circuit: &Circuit, shown: Option<Box<Trip>>) -> Option<Box<Trip>> {
        shown.or_else(|| {
            let trip = circuit.trip()?;
            self.machine.trip(trip.at, &trip);
            Some(trip)
        })
    }

    fn take(&mut self, circuit: &Circuit, message: Message) {
        match message {
            Message::Admit { reply, .. } if reply.is_gone() => {}
            // One probe on its way to the gate is enough.
            Message::Admit { reply: Reply::OfferedProbe, .. } if self.awaits_offered_probe => {}
            Message::Admit { at, reply, is_failing } => {
                // Good calls may have ended the streak since the gate said so.
                let arrival = self.machine.arrival(is_failing && circuit.check_is_failing());
                self.judge(at, reply, arrival);
            }
            Message::Outcome { at, pass, report, settle } => {
                self.machine.report(at, pass, report);
                self.settles.extend(settle);
            }
            Message::KeepAlive { at, pass } => self.machine.keep_alive(at, pass),
            Message::Refresh { at } => self.machine.refresh(at),
            Message::Command { at, command, reply } => {
                self.commands.push(command, reply);
                self.give_command(at);
            }
            Message::Flush(_until_here) => self.flush(),
            Message::Wake | Message::Released => {}
        }
    }

    fn judge(&mut self, at: Moment, reply: Reply, arrival: Arrival) {
        let admission = self.machine.admit(at, arrival);
        self.keep_or_answer(at, reply, arrival, admission);
    }

    fn keep_or_answer(&mut self, at: Moment, reply: Reply, arrival: Arrival, admission: Admission) {
        match admission {
            Admission::Wait => {
                self.awaits_offered_probe |= matches!(reply, Reply::OfferedProbe);
                let pending = self.environment.pending.start();
                self.wait(Waiter { reply, arrival, looks_since: None, pending });
            }
            Admission::WaitBriefly => self.wait_briefly(at, reply, arrival),
            decided @ (Admission::Admitted(_) | Admission::Rejected) => {
                self.replies.push((reply, decided));
            }
        }
    }

    fn give_command(&mut self, now: Moment) {
        if let Some(command) = self.commands.begin() {
            self.machine.command(now, command);
        }
    }

    /// An order has ended: its giver is told, and the next one is given.
    fn end_command(&mut self, ordered: CommandResult) {
        self.commands.end(ordered);
        self.give_command(self.clock().now());
    }

    /// The store has answered: every call that still waits is asked again.
    fn stored(&mut self, now: Moment, response: StoreResponse) {
        self.withdraw_command(&response);
        // Before the calls are asked: an operator does not wait for what they start.
        self.give_command(now);
        let (waiting, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiters)
            .into_iter()
            .partition(|waiter| !waiter.reply.is_gone());
        self.settles.extend(gone.into_iter().map(|waiter| Settle::of_nobody(waiter.pending)));
        self.awaits_offered_probe = false;
        let arrivals: Vec<_> = waiting.iter().map(|waiter| waiter.arrival).collect();
        let admissions = self.machine.on_response(now, response, &arrivals);
        for (waiter, admission) in waiting.into_iter().zip(admissions) {
            let Waiter { reply, arrival, looks_since, pending } = waiter;
            // A brief wait that is read twice is no longer than one: it goes on from when
            // the call came.
            self.keep_or_answer(looks_since.unwrap_or(now), reply, arrival, admission);
            // `flush` waits until a right that the call may have got is used or given back.
            self.settles.push(Settle::of_nobody(pending));
        }
    }

    /// A verdict that found the mailbox full comes after those that did not.
    fn take_probe_report(&mut self, circuit: &Circuit, now: Moment) {
        if !self.mailbox.is_empty() {
            return;
        }
        if let Some((probe, report)) = circuit.gate.take_probe_report() {
            self.settles.push(Settle::of_nobody(circuit.pending.resume()));
            let pass = CallId { epoch: circuit.gate.last_known().0, probe: Some(probe) };
            self.machine.report(now, pass, report);
        }
    }

    /// A probe that nobody took is given back, so that others may have it. One that
    /// the machine no longer knows is of a state that is over, and admits nobody.
    fn withdraw_offered_probe(&mut self, circuit: &Circuit, now: Moment) {
        let Self { machine, offered_probe, is_resigning, .. } = self;
        let Some(offered_probe) = offered_probe.take_if(|offered_probe| {
            let is_over = *is_resigning || now.since(offered_probe.since) >= offered_probe.offer;
            is_over || !machine.is_probing(offered_probe.pass)
        }) else {
            return;
        };
        if circuit.gate.take_offered_probe().is_some() {
            self.machine.report(now, offered_probe.pass, CallEnd::Dropped);
        }
    }

    /// Does what the machine decided, until it has nothing more to decide. The order is
    /// part of what callers are promised: publish, then count the new epoch, then answer.
    /// Says how many failures were counted until then.
    fn publish(
        &mut self,
        circuit: &Arc<Circuit>,
        now: Moment,
        operation: &mut Option<InFlight>,
        shown: Shown,
    ) -> u64 {
        let Shown { trip, freezes } = shown;
        let counted = self.published.as_ref().map(|digest| digest.epoch);
        let published = loop {
            self.withdraw_offered_probe(circuit, now);
            self.resign(now);
            let effects = self.machine.take_effects();
            let digest = self.machine.digest();
            if self.published.as_ref() != Some(&digest) {
                circuit.publish(&digest);
                self.published = Some(digest.clone());
            }
            if effects.is_empty() {
                break digest;
            }
            for effect in effects {
                self.carry_out(circuit, effect, operation);
            }
        };
        // Asked once for each epoch.
        let is_contradicted =
            counted != Some(self.machine.epoch()) && self.machine.is_contradicted();
        let is_thaw = self.machine.has_thawed();
        let turn = Turn { published: &published, is_contradicted, is_thaw, freezes, trip };
        let Followed { settles, stands, failures } = circuit.follow(&turn);
        self.settles.extend(settles);
        self.machine.learn_whether_failures_stand(stands);
        for (reply, admission) in std::mem::take(&mut self.replies) {
            self.answer(circuit, reply, admission);
        }
        self.account_for_right();
        if self.machine.is_settled() {
            std::mem::take(&mut self.settles).into_iter().for_each(Settle::signal);
        }
        failures
    }

    fn carry_out(&mut self, circuit: &Circuit, effect: Effect, operation: &mut Option<InFlight>) {
        match effect {
            Effect::Announce(transition) => self.announce(transition),
            Effect::Start(job) => {
                let storage = StoreClient {
                    environment: Arc::clone(&self.environment),
                    name: circuit.name.clone(),
                    config: Arc::clone(&circuit.config),
                };
                *operation = Some(storage.start(job, self.machine.is_commanded()));
            }
            Effect::CommandResult(ordered) => self.end_command(ordered),
            Effect::Defective(attribute) => log::defective_item(&circuit.name, attribute),
        }
    }

    fn answer(&mut self, circuit: &Arc<Circuit>, reply: Reply, admission: Admission) {
        match (reply, admission) {
            (Reply::Caller(reply), Admission::Admitted(pass)) => {
                // A caller that is gone: the grant comes back and is dropped,
                // which gives a probe's right back.
                caught(|| reply.send(Ok(UndeliveredPermit::new(Arc::clone(circuit), pass))));
            }
            (
                Reply::Caller(reply),
                Admission::Rejected | Admission::Wait | Admission::WaitBriefly,
            ) => {
                let open = self.rejection(circuit);
                caught(|| reply.send(Err(open)));
            }
            (Reply::OfferedProbe, Admission::Admitted(pass)) => {
                if let Some(probe) = pass.probe {
                    let since = self.clock().now();
                    let offer = self.machine.probe_offer();
                    let until_ms = since.wall_ms().saturating_add(moment::millis(offer));
                    circuit.gate.offer_probe(probe, until_ms);
                    self.offered_probe = Some(Box::new(OfferedProbe { pass, since, offer }));
                }
            }
            (
                Reply::OfferedProbe,
                Admission::Rejected | Admission::Wait | Admission::WaitBriefly,
            ) => {}
        }
    }

    fn rejection(&self, circuit: &Circuit) -> OpenError {
        circuit.snapshot.load().rejection(self.machine.retry_after())
    }

    /// Whether the circuit can be forgotten: nothing is known of it that a new
    /// actor would not read or count again, and nobody holds it. `failures` were counted
    /// when the machine was last told; one more since is not to be forgotten.
    fn is_over(&self, circuit: &Arc<Circuit>, failures: u64) -> bool {
        circuit.handles.load(Ordering::Acquire) == 0
            && self.mailbox.is_empty()
            && self.machine.is_forgettable()
            && self.leave(circuit, &|| {
                self.mailbox.is_empty()
                    && !circuit.gate.has_probe_report()
                    && circuit.failures() == failures
            })
    }
}

/// Whoever still waits for an answer hears that there is none. A channel keeps
/// what lies in it for as long as there is a sender, and every handle is one.
impl Drop for Actor {
    fn drop(&mut self) {
        self.note_end();
        while let Ok(message) = self.mailbox.try_recv() {
            caught(|| drop(message));
        }
        self.let_go();
        // Gone first: whoever leaves something at the gate after this finds that out.
        drop(std::mem::replace(&mut self.mailbox, flume::bounded(0).1));
        if let Some(circuit) = self.circuit.upgrade() {
            circuit.end_counting();
        }
    }
}
