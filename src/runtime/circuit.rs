//! What the actor of a circuit and its handles share.

mod counted;
mod handle;
pub(crate) mod message;
mod showing;
pub(crate) mod undelivered;

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};

use self::counted::Counted;
pub(crate) use self::counted::{CountedVote, Followed, Turn};
pub(crate) use self::handle::Handle;
use crate::{
    clock::Clock,
    config::Config,
    error::OpenError,
    name::CircuitName,
    panics::caught,
    protocol::machine::{CallEnd, CallId},
    protocol::moment::Moment,
    runtime::circuit::message::Message,
    runtime::ending::Ending,
    runtime::gate::{Decision, Gate, RampShare},
    runtime::metrics::Counts,
    runtime::sync::{AtomicU64, AtomicUsize, Notify, OnceLock, flume, oneshot},
    snapshot::Snapshot,
    state::CircuitState,
};

/// How many messages wait for the actor of one circuit before admissions wait for
/// room. No failure needs any.
const MAILBOX_CAPACITY: usize = 1_024;

/// What a caller waits beyond the store's own limit for the actor's answer.
pub(crate) const GRACE: Duration = Duration::from_millis(100);

/// Outcomes on their way to the store, over all circuits of a registry.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    count: AtomicUsize,
    idle: Notify,
    /// Whether their registry has ended.
    pub(crate) ending: Ending,
}

impl Pending {
    /// How many outcomes may still lead to a write.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Waits until there is none.
    pub(crate) async fn idle(&self) {
        loop {
            // Made before the count is read: an end between the two wakes this one too.
            let notified = self.idle.notified();
            if self.count() == 0 {
                return;
            }
            notified.await;
        }
    }

    pub(crate) fn start(self: &Arc<Self>) -> PendingGuard {
        // Before its message is sent: `idle` must not find zero while one is on its way.
        self.count.fetch_add(1, Ordering::AcqRel);
        PendingGuard(Some(Arc::clone(self)))
    }

    /// Guards what was counted by [`PendingGuard::keep`].
    pub(crate) fn resume(self: &Arc<Self>) -> PendingGuard {
        PendingGuard(Some(Arc::clone(self)))
    }
}

/// Counts one outcome as pending for as long as it exists.
#[derive(Debug)]
pub(crate) struct PendingGuard(Option<Arc<Pending>>);

impl PendingGuard {
    /// Goes on counting without a guard, until [`Pending::resume`].
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for PendingGuard {
    fn drop(&mut self) {
        if let Some(pending) = self.0.take()
            && pending.count.fetch_sub(1, Ordering::AcqRel) == 1
        {
            // The waker of who flushes is code of others.
            caught(|| pending.idle.notify_waiters());
        }
    }
}

/// What is still to come of an outcome; boxed, so that the many of which nothing
/// is to come are a null.
pub(crate) type Outstanding = Option<Box<Awaited>>;

/// When an outcome that may lead to a write is settled, and for how long that is
/// worth a wait.
#[derive(Debug)]
pub(crate) struct Awaited {
    pub(crate) settled: Settled,
    pub(crate) limit: Duration,
    pub(crate) clock: Clock,
    /// How often the actor had run before it was told.
    pub(crate) turns: u64,
}

/// When an outcome is settled.
#[derive(Debug)]
pub(crate) enum Settled {
    /// When the actor says so: the verdict of a probe.
    Answered(oneshot::Receiver<()>),
    /// When the actor says so to all who wait for one trip: nothing is pending of it.
    Tripped(Arc<Pending>),
    /// The verdict of a probe that found the mailbox full, where no answer can be
    /// asked for: at the latest when nothing of the registry is pending any more.
    Idle(Arc<Pending>),
}

/// One circuit: what its handles and its actor share. The actor refers to it
/// weakly, so that it never keeps its own mailbox open.
pub(crate) struct Circuit {
    pub(crate) gate: Gate,
    /// Made at the first failure: most circuits of a process that is well have none.
    counted: OnceLock<Box<Counted>>,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) mailbox: flume::Sender<Message>,
    pub(crate) name: CircuitName,
    /// The newest settings. The machine follows them in the actor's next turn, and the counting
    /// at the next failure. Never read by a healthy call.
    config: ArcSwap<Config>,
    pub(crate) clock: Clock,
    pub(crate) pending: Arc<Pending>,
    /// User handles; the registry's own reference does not count.
    pub(crate) handles: AtomicUsize,
    /// Of no size without the feature `metrics`.
    pub(crate) counts: Counts,
    /// How often the actor has run, and how often it had when a caller found that
    /// it does not.
    turns: AtomicU64,
    stalled_since: AtomicU64,
    /// How many freezes of the process the epoch that is admitted in comes after.
    freezes: AtomicU64,
}

impl Circuit {
    /// Makes a circuit and the receiving end of its mailbox.
    pub(crate) fn new(
        name: CircuitName,
        config: Arc<Config>,
        clock: Clock,
        pending: Arc<Pending>,
        gate: Gate,
    ) -> (Arc<Self>, flume::Receiver<Message>) {
        let (mailbox, inbox) = flume::bounded(MAILBOX_CAPACITY);
        let is_dry_run = config.dry_run();
        let snapshot = ArcSwap::from_pointee(Snapshot::of_unread(name.clone(), is_dry_run));
        if is_dry_run {
            gate.only_try();
        }
        let handles = AtomicUsize::new(0);
        let freezes = AtomicU64::new(clock.freezes(clock.now()));
        let (turns, stalled_since) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
        let circuit = Self {
            gate,
            counted: OnceLock::new(),
            snapshot,
            mailbox,
            name,
            config: ArcSwap::new(config),
            clock,
            pending,
            handles,
            counts: Counts::default(),
            turns,
            stalled_since,
            freezes,
        };
        (Arc::new(circuit), inbox)
    }

    /// Decides about one call without waiting for anyone. Every call begins here.
    ///
    /// Inlined up to the one comparison that nearly all calls need. The rest is a call, so
    /// that what is inlined into each caller's code stays small.
    #[inline]
    pub(crate) fn check(&self) -> Decision {
        let now_ms = self.clock.coarse_wall_ms();
        match self.gate.quiet_epoch(now_ms) {
            Some(epoch) => Decision::Admit { epoch },
            None => self.check_closely(now_ms),
        }
    }

    #[inline(never)]
    fn check_closely(&self, now_ms: u64) -> Decision {
        let decision = self.gate.check(now_ms, || self.claim_refresh());
        if let Decision::Reject { .. } = decision {
            self.counts.reject();
            if self.gate.is_only_tried() {
                return self.try_decision(decision);
            }
        }
        decision
    }

    /// Out of line, so that a rejection need not save registers for it.
    #[cold]
    #[inline(never)]
    fn try_decision(&self, rejection: Decision) -> Decision {
        self.try_rejection().map_or(rejection, |tried| Decision::Admit { epoch: tried.epoch })
    }

    /// Returns what a rejection becomes in a dry run: a call that runs, and whose
    /// outcome counts for nothing. `None` where it stays a rejection.
    pub(crate) fn try_rejection(&self) -> Option<CallId> {
        if !self.is_dry_run() {
            return None;
        }
        self.snapshot.load().tried.count();
        Some(CallId::REPORTED)
    }

    /// Returns the number of calls that would have been rejected; zero where they are.
    pub(crate) fn would_have_rejected(&self) -> u64 {
        self.snapshot.load().tried.counted()
    }

    /// Returns `true` if the circuit is in a dry run.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.gate.is_only_tried()
    }

    /// Returns the name under which metrics show the circuit.
    pub(crate) fn label(&self) -> CircuitName {
        self.snapshot.load().label()
    }

    /// Sends for the one read ahead of this window, if nobody has. Once in each window, so
    /// that it is kept out of line: a rejection need not save registers for it.
    #[cold]
    #[inline(never)]
    fn claim_refresh(&self) {
        self.gate.claim_refresh(|| {
            self.mailbox.try_send(Message::Refresh { at: self.clock.now() }).is_ok()
        });
    }

    /// Whether a call is only asked for because others fail: the circuit was closed when it
    /// was last read, and that is fresh enough for a process that is well.
    pub(crate) fn is_asked_only_for_failing(&self) -> bool {
        let state = || self.gate.state_if_fresh(self.clock.coarse_wall_ms());
        self.gate.is_failing() && matches!(state(), (_, Some(CircuitState::Closed)))
    }

    /// Has the actor read for the calls to come, for one that is admitted at once.
    pub(crate) fn send_for_a_read(&self) {
        if self.is_asked_only_for_failing() {
            return self.claim_refresh();
        }
        // A full mailbox has the actor at work already.
        let _ = self.mailbox.try_send(Message::Refresh { at: self.clock.now() });
    }

    /// How long a call that asked then has waited.
    pub(crate) fn waited_since(&self, asked_at: Moment) -> Duration {
        let now = self.now();
        // To stand still is not to wait: then the limit begins again.
        if now.was_frozen_since(asked_at, self.patience()) {
            Duration::ZERO
        } else {
            now.mono().saturating_sub(asked_at.mono())
        }
    }

    /// How long a caller waits for the actor: the store's limit and some grace.
    pub(crate) fn patience(&self) -> Duration {
        self.config().store_timeout().saturating_add(GRACE)
    }

    /// Returns the newest settings.
    pub(crate) fn config(&self) -> Guard<Arc<Config>> {
        self.config.load()
    }

    /// Gives the circuit new settings, and has its actor follow them. Called under the registry's
    /// lock alone.
    pub(crate) fn reconfigure(&self, config: Arc<Config>) {
        self.config.store(config);
        // A full mailbox has the actor at work: it looks at the settings in each turn.
        let _ = self.mailbox.try_send(Message::Wake);
    }

    /// Returns the length of the lease of the probe that runs: that of the settings under which
    /// this process won the right.
    pub(crate) fn probe_lease(&self) -> Duration {
        // No lease is shorter than a second.
        Duration::from_nanos(self.gate.probe_lease()).max(Duration::from_secs(1))
    }

    /// Shows the length of leases. Called by the actor alone, before it hands a probe out.
    pub(crate) fn show_probe_lease(&self, length: Duration) {
        // No setting is longer than a year.
        self.gate.show_probe_lease(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Notes that the actor has run. Called by the actor alone.
    pub(crate) fn beat(&self) {
        // Relaxed, as all of this: a caller that reads an old number waits once more.
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the actor has run.
    pub(crate) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// Whether a caller has waited in vain, and the actor has not run since: its
    /// runtime is blocked, and no other caller need wait to find that out.
    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled_since.load(Ordering::Relaxed) == self.turns()
    }

    /// Notes that a caller has waited in vain since the actor had run so often.
    pub(crate) fn mark_stalled(&self, turns: u64) {
        // What was found before the actor ran last says nothing of now.
        if turns == self.turns() {
            self.stalled_since.store(turns, Ordering::Relaxed);
        }
    }

    /// The answer when the actor gives none: what is known while it is fresh
    /// (an election that takes too long admits nobody), and fail open after, or
    /// when the actor is gone.
    pub(crate) fn unanswered(&self, share: RampShare) -> Result<CallId, OpenError> {
        // One load of both, so that a report of this call is of the epoch it was judged in.
        let (epoch, fresh) = self.gate.state_if_fresh(self.clock.coarse_wall_ms());
        if self.mailbox.is_disconnected() {
            // Nobody is left who would ever close the circuit: to reject now would be to
            // reject for good.
            self.pending.ending.found_by(&self.name);
        } else if fresh.is_some_and(|state| state != CircuitState::Closed) {
            return Err(self.open_error(Duration::from_millis(self.reject())));
        } else if let Some(retry_after_ms) = self.reject_on_ramp(share) {
            return Err(self.open_error(Duration::from_millis(retry_after_ms)));
        }
        Ok(CallId { epoch, probe: None })
    }

    /// Takes the probe that was won for the first caller that asks. One that was on offer
    /// for too long, through a freeze perhaps, is given back instead.
    pub(crate) fn take_offered_probe(&self) -> Option<CallId> {
        let (probe, until_ms) = self.gate.take_offered_probe()?;
        let id = CallId { epoch: self.gate.epoch(), probe: Some(probe) };
        // By the exact clock: the coarse one lags, and would admit a probe whose lease the
        // actor has given back by then.
        if self.clock.now().wall_ms() < until_ms {
            return Some(id);
        }
        // Dropped, so that the right goes to others now and not when its lease ends.
        let _ = self.report(id, CallEnd::Dropped);
        None
    }

    /// Counts a rejection by what is known. Returns how many milliseconds until a probe may run,
    /// as of the last snapshot.
    pub(crate) fn reject(&self) -> u64 {
        self.counts.reject();
        self.snapshot.load().retry_at_ms().saturating_sub(self.clock.coarse_wall_ms())
    }

    /// Rejects a call that no gate has decided about, if the circuit is on a ramp and the call has
    /// no part in it. Counts the rejection, and returns the milliseconds until the next step.
    pub(crate) fn reject_on_ramp(&self, share: RampShare) -> Option<u64> {
        if share == RampShare::Taken {
            return None;
        }
        let retry_after_ms = self.gate.reject_on_ramp(self.clock.coarse_wall_ms())?;
        self.counts.reject();
        Some(retry_after_ms)
    }

    /// A rejection as of the last snapshot.
    pub(crate) fn open_error(&self, retry_after: Duration) -> OpenError {
        OpenError::new(self.snapshot.load_full(), retry_after)
    }

    /// Tells the actor that the holder of a probe is alive.
    pub(crate) fn keep_alive(&self, id: CallId) {
        // Given up if the mailbox is full: the call tries again a third of the lease later.
        let _ = self.mailbox.try_send(Message::KeepAlive { at: self.clock.now(), call: id });
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }
}

impl fmt::Debug for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circuit")
            .field("name", &self.name)
            .field("state", &self.gate.state())
            .finish_non_exhaustive()
    }
}
