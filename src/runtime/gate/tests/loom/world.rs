//! A circuit and its actor, in one process over a store in memory: the crate's own
//! from the report of an outcome to the answer. What stands in for its channels is
//! in `sync`, and the tests take the place of the runtime.
#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::{Duration, SystemTime},
};

use ::loom::sync::Notify;
use futures::future::{Either, select};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    breaker::Breaker,
    clock::{Clock, VirtualClock},
    config::Config,
    name::CircuitName,
    protocol::machine::{CallId, Machine, NoEntropy},
    protocol::record::{Operation, Record},
    runtime::actor::{Actor, Environment},
    runtime::circuit::message::{Message, Reply},
    runtime::circuit::undelivered::UndeliveredPermit,
    runtime::circuit::{Circuit, Outstanding, Pending, Settled},
    runtime::reachability::Reachability,
    runtime::sync::{Mutex, flume, oneshot},
    store::{Consistency, MemoryStore, Store, StoreError, StoreErrorKind, Written},
    transition::CircuitTransition,
};

/// A store that nobody may use.
struct Forbidden;

impl Forbidden {
    fn error() -> StoreError {
        StoreError::new(StoreErrorKind::Misconfigured, "forbidden")
    }
}

impl Store for Forbidden {
    async fn read(&self, _: &CircuitName, _: Consistency) -> Result<Option<Record>, StoreError> {
        Err(Self::error())
    }

    async fn write(&self, _: &CircuitName, _: &Operation) -> Result<Written, StoreError> {
        Err(Self::error())
    }
}

/// What is left of a circuit beside its actor.
pub(super) struct World {
    pub(super) circuit: Arc<Circuit>,
    /// Whether the registry knows the circuit.
    registered: Arc<Mutex<bool>>,
    hands: VirtualClock,
    transitions: broadcast::Receiver<CircuitTransition>,
    threshold: u64,
    /// The epoch of all calls.
    epoch: u64,
}

/// The actor of the circuit.
pub(super) struct Turns(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Turns {
    /// Lets the actor run until it waits.
    pub(super) fn run(&mut self) {
        assert!(self.run_on(), "the circuit is in use");
    }

    /// Lets the actor run until it waits; says whether it does, and has not ended.
    pub(super) fn run_on(&mut self) -> bool {
        self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Runs the actor whenever it is woken, until all is over.
    pub(super) fn serve(self, end: oneshot::Receiver<()>) -> Self {
        match block_on(select(self.0, end)) {
            Either::Left(_) => panic!("the circuit is in use"),
            Either::Right((_, waits)) => Self(waits),
        }
    }
}

impl World {
    /// One that nobody has called yet, which is forgotten unless somebody holds it.
    pub(super) fn uncalled(threshold: u32) -> (Arc<Self>, Turns) {
        let (world, actor) = Self::over(MemoryStore::new(), 9, threshold);
        (Arc::new(world), actor)
    }

    /// A handle, as the registry makes it, if the circuit is not forgotten.
    pub(super) fn handle(&self) -> Option<Breaker> {
        let registered = self.registered.lock().unwrap();
        registered.then(|| Breaker::new(Arc::clone(&self.circuit)))
    }

    /// The actor gets a turn.
    pub(super) fn poke(&self) {
        self.circuit.mailbox.try_send(Message::Wake).unwrap();
    }

    /// A closed circuit whose mailbox has so much room, and that trips after so many
    /// failures.
    pub(super) fn new(room: usize, threshold: u32) -> (Arc<Self>, Turns) {
        let (world, mut actor) = Self::over(MemoryStore::new(), room, threshold);
        let _ = world.ask(&mut actor);
        assert_eq!(world.passes(), Some(1), "it was read");
        (Arc::new(world), actor)
    }

    /// One that has recovered from an opening of which its store was never told: the
    /// next one is all its own.
    pub(super) fn without_store(room: usize, threshold: u32) -> (Arc<Self>, Turns) {
        let (mut world, mut actor) = Self::over(Forbidden, room, threshold);
        let _ = world.ask(&mut actor);
        for _ in 0..threshold {
            world.send("F");
            actor.run();
        }
        world.hands.advance(Duration::from_secs(31));
        let probe = world.ask(&mut actor).unwrap();
        drop(world.circuit.report(probe, CallEnd::Success));
        actor.run();
        let (epoch, state) = world.circuit.gate.epoch_and_state();
        assert_eq!(
            (world.passes(), state),
            (Some(epoch), CircuitState::Closed),
            "it has recovered"
        );
        world.transitions = world.transitions.resubscribe();
        (Arc::new(Self { epoch, ..world }), actor)
    }

    fn over(store: impl Store, room: usize, threshold: u32) -> (Self, Turns) {
        let name = CircuitName::new("payments").unwrap();
        let config = Config::builder().failure_threshold(threshold).success_threshold(1);
        let config = Arc::new(config.build().unwrap());
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let hands = VirtualClock::standing_at(start);
        let clock = Clock::from(&hands);
        let pending = Arc::<Pending>::default();
        let (sender, transitions) = broadcast::channel(8);
        let environment = Arc::new(Environment {
            prefix: crate::runtime::key_prefix::KeyPrefix::default(),
            instance: None,
            observed: crate::runtime::metrics::Observed::default(),
            store: Arc::new(store),
            reachability: Reachability::new(Box::new(NoEntropy)),
            clock: clock.clone(),
            pending: Arc::clone(&pending),
            rights: Arc::default(),
            queue: Arc::default(),
            transitions: sender,
        });
        let (mut circuit, _) =
            Circuit::new(name.clone(), Arc::clone(&config), clock, pending, Gate::new());
        let (mailbox, inbox) = flume::bounded(room);
        Arc::get_mut(&mut circuit).unwrap().mailbox = mailbox;
        let machine = Machine::new(name, config, Box::new(NoEntropy));
        let cancelled = CancellationToken::new();
        let registered = Arc::new(Mutex::new(true));
        let registry = Arc::clone(&registered);
        let forget = Box::new(move |circuit: &Arc<Circuit>, is_clean: &dyn Fn() -> bool, _| {
            forget(&registry, circuit, is_clean)
        });
        let mut actor = Actor::new(&circuit, inbox, machine, environment, cancelled, forget);
        let run = async move { actor.run().await };
        let threshold = u64::from(threshold);
        let world = Self { circuit, registered, hands, transitions, threshold, epoch: 1 };
        (world, Turns(Box::pin(run)))
    }

    /// The process is frozen, and goes on.
    pub(super) fn freeze(&self) {
        self.hands.freeze(Duration::from_secs(1));
    }

    /// Ends calls of the newest epoch with a failure each.
    pub(super) fn fail_now(&self, times: u64) {
        let epoch = self.circuit.gate.epoch();
        for _ in 0..times {
            drop(self.circuit.report(CallId { epoch, probe: None }, CallEnd::Failure));
        }
    }

    /// Asks the actor to admit a call.
    fn ask(&self, actor: &mut Turns) -> Option<CallId> {
        let (reply, answer) = oneshot::channel();
        let (at, reply) = (self.circuit.now(), Reply::Caller(reply, RampShare::NotTaken));
        let asks = Message::Admit { at, reply, is_failing: false };
        self.circuit.mailbox.try_send(asks).unwrap();
        actor.run();
        block_on(answer).unwrap().ok().map(UndeliveredPermit::into_id)
    }

    pub(super) fn passes(&self) -> Option<u64> {
        self.circuit.gate.quiet_epoch(self.circuit.clock.coarse_wall_ms())
    }

    fn end(&self, outcome: char) -> Outstanding {
        let (probe, report) = match outcome {
            'F' => (None, CallEnd::Failure),
            'S' => (None, CallEnd::Success),
            // The verdict of a probe, late: the circuit is closed.
            _ => (Some(ProbeId::FIRST), CallEnd::Failure),
        };
        self.circuit.report(CallId { epoch: self.epoch, probe }, report)
    }

    /// Reports these outcomes, one after the other, and waits where the crate says so.
    pub(super) fn report(&self, outcomes: &str) {
        outcomes.chars().for_each(|outcome| wait(self.end(outcome)));
    }

    /// Reports without waiting for anything.
    pub(super) fn send(&self, outcomes: &str) {
        outcomes.chars().for_each(|outcome| drop(self.end(outcome)));
    }

    /// Reports in one of these ways, all callers at once.
    pub(super) fn report_all(self: &Arc<Self>, callers: &[&'static str], report: fn(&Self, &str)) {
        let [first, others @ ..] = callers else { panic!("somebody calls") };
        let others: Vec<_> = others
            .iter()
            .map(|outcomes| {
                let (world, outcomes) = (Arc::clone(self), *outcomes);
                in_thread(move || report(&world, outcomes))
            })
            .collect();
        report(self, first);
        others.into_iter().for_each(|caller| caller.join().unwrap());
    }

    /// Fills the mailbox with what changes nothing.
    pub(super) fn fill(&self) {
        while self.circuit.mailbox.try_send(Message::Wake).is_ok() {}
    }

    /// How many failures in a row are counted: as many as it takes fewer to trip.
    pub(super) fn streak(&self, actor: &mut Turns) -> u64 {
        assert_eq!(self.circuit.pending.count(), 0, "nothing is outstanding");
        for missing in 1..=self.threshold {
            self.send("F");
            actor.run();
            if self.circuit.gate.state() == CircuitState::Open {
                self.assert_tripped_once();
                return self.threshold - missing;
            }
        }
        panic!("{} failures do not trip", self.threshold);
    }

    /// All is over: one trip, and nothing is left that somebody may wait for.
    pub(super) fn assert_tripped_once(&self) {
        assert_eq!(self.transitions.len(), 1);
        assert_eq!(self.circuit.gate.epoch_and_state(), (self.epoch + 1, CircuitState::Open));
        assert_eq!(self.circuit.gate.watch(), Watch::Nothing, "a new epoch has no failures");
        assert_eq!(self.circuit.pending.count(), 0, "nothing is outstanding");
    }
}

/// What a registry does under the lock under which it makes handles.
fn forget(registered: &Mutex<bool>, circuit: &Circuit, is_clean: &dyn Fn() -> bool) -> bool {
    let mut registered = registered.lock().unwrap();
    let is_over = circuit.handles.load(Acquire) == 0 && is_clean();
    *registered = !is_over;
    is_over
}

/// Waits as a call does whose store never runs out of time.
fn wait(outstanding: Outstanding) {
    match outstanding.map(|awaited| awaited.settled) {
        Some(Settled::Answered(settled)) => drop(block_on(settled)),
        Some(Settled::Tripped(callers)) => block_on(callers.idle()),
        Some(Settled::Idle(pending)) => block_on(pending.idle()),
        None => {}
    }
}

/// Polls a future whenever it is woken.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let woken = Arc::new(Woken(Notify::new()));
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        woken.0.wait();
    }
}

struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}
