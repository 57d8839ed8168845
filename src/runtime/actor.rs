//! The actor of one circuit: the only writer of its state.
//!
//! It feeds the pure machine with the messages of handles and the responses of the store, and
//! carries out the machine's decisions in this order: snapshot, gate, broadcast, store,
//! replies. It waits on its mailbox, its deadline, its one store operation and its
//! cancellation, and on nothing else. It holds the circuit weakly, or it would keep its own
//! mailbox open and never see that the last handle was dropped.

mod announcing;
mod balloting;
mod brief_wait;
mod commands;
mod environment;
mod keeping;
mod leaving;
mod observers;
mod offered_probe;
mod operation;
mod publishing;

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

pub(crate) use self::{announcing::LastAnnounced, environment::Environment};
use self::{
    commands::Commands, observers::Observers, offered_probe::OfferedProbe, operation::UnderWay,
    publishing::Shown,
};
use crate::{
    clock::Clock,
    panics::caught,
    protocol::counting::Trip,
    protocol::machine::{
        Admission, Arrival, BallotAnswer, CommandResult, Machine, Published, StoreResponse,
    },
    protocol::moment::Moment,
    runtime::circuit::message::{Message, Reply, Settle},
    runtime::circuit::{Circuit, PendingGuard},
    runtime::log,
    runtime::sync::flume,
};

/// The number of messages that one turn takes before it publishes.
const BATCH: usize = 64;

/// Removes a circuit from its registry if no handle is left, and if the second argument,
/// called while no handle can be made, confirms that nothing was sent since. Stores the
/// announcement of a circuit that is not closed. Returns `true` if it removed the circuit.
pub(crate) type Forget =
    Box<dyn Fn(&Arc<Circuit>, &dyn Fn() -> bool, Option<LastAnnounced>) -> bool + Send + Sync>;

/// A caller that waits for the store's answer.
struct Waiter {
    reply: Reply,
    arrival: Arrival,
    /// The moment at which the call came, if it waits for `LONGEST_BRIEF_WAIT` at most.
    briefly_since: Option<Moment>,
    /// Keeps `flush` waiting: if the caller gives up, the election that the call started may
    /// have to be undone by a write.
    pending: PendingGuard,
}

/// The actor of one circuit. Most of the memory of an idle circuit is its actor, so fields
/// that few circuits need at any time are boxed.
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
    /// True while one of the waiters is to become the offered probe.
    awaits_offered_probe: bool,
    commands: Commands,
    observers: Observers,
    /// Keeps `flush` waiting while this process holds the right to probe.
    right: Option<PendingGuard>,
    /// True while a flush runs: an unused right to probe is then given back.
    is_resigning: bool,
    /// The last announcement of an earlier actor of this circuit.
    announced_before: Option<Box<LastAnnounced>>,
    /// True once `run` has returned; false if the task was dropped with its runtime.
    has_ended: bool,
}

enum Event {
    /// Boxed: the largest by far.
    Response(Box<StoreResponse>),
    Ballot(BallotAnswer),
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
            observers: Observers::default(),
            right: None,
            is_resigning: false,
            announced_before: None,
            has_ended: false,
        }
    }

    /// Runs until the actor is cancelled, or until the circuit is closed, clean and without
    /// handles.
    pub(crate) async fn run(&mut self) {
        let mut under_way = UnderWay::default();
        loop {
            let deadline = self.deadline();
            // Biased: a busy mailbox must delay neither the end nor a response of the store.
            let event = tokio::select! {
                biased;
                () = self.cancelled.cancelled() => Event::End,
                () = under_way.finished() => under_way.take().unwrap_or(Event::Deadline),
                message = self.mailbox.recv_async() => message.map_or(Event::End, Event::Message),
                () = self.clock().sleep(deadline) => Event::Deadline,
            };
            let now = self.clock().now();
            let Some(circuit) = self.circuit.upgrade() else {
                return;
            };
            if self.turn(&circuit, now, event, &mut under_way) {
                return;
            }
            drop(circuit);
            // A mailbox that is never empty keeps this task from ever waiting. So that other
            // tasks of its thread run as well, it yields after some turns.
            tokio::task::consume_budget().await;
        }
    }

    /// One turn: input, decisions, output. Returns `true` if it was the last. Each step has
    /// its place because of a failure that another order has.
    fn turn(
        &mut self,
        circuit: &Arc<Circuit>,
        now: Moment,
        event: Event,
        under_way: &mut UnderWay,
    ) -> bool {
        // Before all other input: a response or an outcome from before the freeze must be
        // judged by a machine that knows of it.
        let freezes = self.notice_freeze(circuit, now);
        // Before the trip: how long it opens the circuit is a matter of the newest settings.
        let has_new_settings = self.take_settings(circuit, now);
        // Before the messages: a call that asks after T failures have ended must not be
        // admitted by a machine that has not seen their trip.
        let trip = self.take_trip(circuit, None);
        // Likewise: the answer to a vote trips only if no good call has come since.
        let _ = self.take_vote(circuit, now);
        match event {
            Event::End => return true,
            Event::Response(response) => self.on_response(now, *response),
            Event::Ballot(answer) => self.machine.on_ballot(now, answer),
            Event::Message(message) => self.on_message(circuit, message),
            Event::Deadline => {}
        }
        self.drain(circuit);
        // Again: the failure that tripped wakes us by a message, which is taken by now. The
        // trip may have been counted after the first look.
        let trip = self.take_trip(circuit, trip);
        let _ = self.take_vote(circuit, now);
        // At every turn, not only at a deadline: timers do not run while a process is frozen.
        self.machine.tick(now);
        // After the response, if there is one: a read that came just in time is used.
        self.end_brief_wait(now);
        // Before the answers: `is_stalled` compares this count, and a caller that has just had
        // an answer must not find the actor stalled.
        circuit.beat();
        // After the mailbox was emptied: the verdict at the gate is newer than all messages.
        self.take_probe_report(circuit, now);
        let shown = Shown { trip, freezes, has_new_settings };
        let failures = self.publish(circuit, now, under_way, shown);
        // Last: a circuit is forgotten only if this turn has left nothing to write.
        self.is_forgotten(circuit, failures)
    }

    /// Tells the machine that the process was frozen since the last turn. Returns the number
    /// of freezes until now.
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

    /// Shows the machine new settings. Returns `true` if there are any.
    fn take_settings(&mut self, circuit: &Circuit, now: Moment) -> bool {
        let config = circuit.config();
        let is_new = !Arc::ptr_eq(&config, self.machine.wanted_config());
        if is_new {
            self.machine.reconfigure(now, Arc::clone(&config));
        }
        is_new
    }

    /// Shows the machine a trip that was counted, unless `shown` says that this turn has done
    /// so. The trip stays in the counting until its result is published: failures that end in
    /// the meantime find it there, and wait for it too.
    fn take_trip(&mut self, circuit: &Circuit, shown: Option<Box<Trip>>) -> Option<Box<Trip>> {
        shown.or_else(|| {
            let trip = circuit.trip()?;
            self.machine.trip(trip.at, &trip);
            Some(trip)
        })
    }

    fn clock(&self) -> &Clock {
        &self.environment.clock
    }

    /// Returns the time until the next turn that is due without any input.
    fn deadline(&self) -> Option<Duration> {
        let right = self.right.as_ref().and_then(|_| self.machine.right_ends_in());
        [self.machine.deadline(), self.offer_ends_in(), right, self.brief_wait_ends_in()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes the other messages that are in the mailbox, up to a batch: one publication for
    /// all of them, but no flood of messages can put it off for ever.
    fn drain(&mut self, circuit: &Circuit) {
        for _ in 0..BATCH {
            match self.mailbox.try_recv() {
                Ok(message) => self.on_message(circuit, message),
                Err(flume::TryRecvError::Empty | flume::TryRecvError::Disconnected) => return,
            }
        }
    }

    fn on_message(&mut self, circuit: &Circuit, message: Message) {
        match message {
            // A caller that gave up must not win an election that no call then uses.
            Message::Admit { reply, .. } if reply.is_abandoned() => {}
            // The gate has room for one offered probe, and one is on its way already.
            Message::Admit { reply: Reply::OfferedProbe, .. } if self.awaits_offered_probe => {}
            Message::Admit { at, reply, is_failing } => {
                circuit.note_asked();
                // Good calls may have ended the streak since the handle read the gate.
                let arrival = self.machine.arrival(is_failing && circuit.check_is_failing());
                self.admit(at, reply, arrival);
            }
            Message::Outcome { at, call, end, settle } => {
                self.count_probe(circuit, call, end);
                self.machine.report(at, call, end);
                self.settles.extend(settle);
            }
            Message::KeepAlive { at, call } => self.machine.keep_alive(at, call),
            Message::Refresh { at } => self.machine.refresh(at),
            Message::Command { at, order, reply } => {
                self.commands.push(*order, reply);
                self.begin_command(at);
            }
            Message::Look { at, reply } => self.look(at, reply),
            Message::Flush(_until_here) => self.flush(),
            // They only start a turn, which looks at the counting, the gate and the handles.
            Message::Wake | Message::Released => {}
        }
    }

    fn admit(&mut self, at: Moment, reply: Reply, arrival: Arrival) {
        let admission = self.machine.admit(at, arrival);
        self.keep_or_answer(at, reply, arrival, admission);
    }

    fn keep_or_answer(&mut self, at: Moment, reply: Reply, arrival: Arrival, admission: Admission) {
        match admission {
            Admission::Wait => {
                self.awaits_offered_probe |= matches!(reply, Reply::OfferedProbe);
                let pending = self.environment.pending.start();
                self.wait(Waiter { reply, arrival, briefly_since: None, pending });
            }
            Admission::WaitBriefly => self.wait_briefly(at, reply, arrival),
            // Answered by `publish`: a caller that ran on now would find the old gate.
            decided @ (Admission::Admitted(_) | Admission::Rejected) => {
                self.replies.push((reply, decided));
            }
        }
    }

    fn begin_command(&mut self, now: Moment) {
        if let Some(order) = self.commands.begin() {
            self.machine.command(now, order);
        }
    }

    /// Tells an operator the result of the command in progress, and begins the next one.
    fn end_command(&mut self, result: CommandResult) {
        self.commands.end(result);
        self.begin_command(self.clock().now());
    }

    /// Takes a response of the store, and asks the machine again for every waiting call.
    fn on_response(&mut self, now: Moment, response: StoreResponse) {
        // Before the machine takes the response: it would begin the next write of a command
        // that its operator has given up.
        self.withdraw_command(&response);
        // Before the calls are asked: a read that one of them begins would put the command off
        // by one response.
        self.begin_command(now);
        // Calls whose callers gave up are not asked: they would win an election that no call
        // then uses.
        let (waiting, abandoned): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiters)
            .into_iter()
            .partition(|waiter| !waiter.reply.is_abandoned());
        self.settles.extend(abandoned.into_iter().map(|waiter| Settle::unclaimed(waiter.pending)));
        self.awaits_offered_probe = false;
        let fault = observers::fault(&response);
        let arrivals: Vec<_> = waiting.iter().map(|waiter| waiter.arrival).collect();
        let admissions = self.machine.on_response(now, response, &arrivals);
        for (waiter, admission) in waiting.into_iter().zip(admissions) {
            let Waiter { reply, arrival, briefly_since, pending } = waiter;
            // A brief wait counts from when the call came: were it counted from now, two reads
            // in a row would take twice the limit.
            self.keep_or_answer(briefly_since.unwrap_or(now), reply, arrival, admission);
            // Keeps `flush` waiting until a right to probe that the call may have won is used
            // or given back.
            self.settles.push(Settle::unclaimed(pending));
        }
        // Last: a read for observers must not come before one that a call begins.
        self.show_observers(now, fault);
    }

    /// Forgets the circuit if no handle is left and a new actor would read or count all that
    /// this one knows. Returns `true` if it did. `failures` were counted when this turn
    /// ended: if there are more by now, the circuit is kept.
    fn is_forgotten(&self, circuit: &Arc<Circuit>, failures: u64) -> bool {
        circuit.handles.load(Ordering::Acquire) == 0
            && self.mailbox.is_empty()
            && self.machine.is_forgettable()
            // Looked at again under the registry's lock. A handle that was made and dropped
            // since the first look may have sent a message or counted a failure.
            && self.leave(circuit, &|| {
                self.mailbox.is_empty()
                    && !circuit.gate.has_probe_report()
                    && circuit.failures() == failures
            })
    }
}

/// Ends the channels of all that wait for an answer. A mailbox keeps its messages for as long
/// as there is a sender, and every handle is one: a caller whose message stayed in it would
/// wait for ever.
impl Drop for Actor {
    fn drop(&mut self) {
        self.note_end();
        while let Ok(message) = self.mailbox.try_recv() {
            caught(|| drop(message));
        }
        self.release_waiters();
        // The mailbox goes before the counting ends: a handle that counts a failure, or notes a
        // verdict at the gate, after `end_counting` then finds the mailbox disconnected.
        drop(std::mem::replace(&mut self.mailbox, flume::bounded(0).1));
        if let Some(circuit) = self.circuit.upgrade() {
            circuit.end_counting();
        }
    }
}
