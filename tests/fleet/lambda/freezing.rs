//! The time of an environment: its clock moves while it runs a call, and stands still in between.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Mutex,
    task::Poll,
    time::{Duration, SystemTime},
};

use fuseboard::{Clock, VirtualClock};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// How far the clock of an environment that runs may be behind when a timer of its actor ends.
const TICK: Duration = Duration::from_millis(100);

/// The clock of an environment, and whether it runs a call. While it does not, the clock stands:
/// timers of its actor that end meanwhile find nothing due.
pub(super) struct Running {
    hands: VirtualClock,
    started: Instant,
    state: Mutex<State>,
    begins: Notify,
}

#[derive(Default)]
struct State {
    is_running: bool,
    /// What the clock shows, since the start.
    shown: Duration,
}

impl Running {
    /// Starts an environment that is idle at first.
    #[expect(clippy::disallowed_methods, reason = "paused time")]
    pub(super) fn new(wall: SystemTime) -> Self {
        let (hands, started) = (VirtualClock::standing_at(wall), Instant::now());
        Self { hands, started, state: Mutex::default(), begins: Notify::new() }
    }

    pub(super) fn clock(&self) -> Clock {
        Clock::from(&self.hands)
    }

    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// For how long it has stood still.
    pub(super) fn idle(&self) -> Duration {
        self.age().saturating_sub(self.state.lock().unwrap().shown)
    }

    pub(super) fn is_running(&self) -> bool {
        self.state.lock().unwrap().is_running
    }

    /// It was given a call. Returns `true` if it finds that it was frozen, which it does if its
    /// last beat is too old.
    fn thaw(&self, noticed_from: Duration) -> bool {
        let idle = self.idle();
        let is_noticed = idle > noticed_from;
        if is_noticed {
            self.hands.freeze(idle);
        } else {
            self.hands.advance(idle);
        }
        let state = &mut *self.state.lock().unwrap();
        state.shown += idle;
        state.is_running = true;
        self.begins.notify_waiters();
        is_noticed
    }

    /// Moves the clock to the present, unless it stands.
    fn turn(&self) {
        let age = self.age();
        let state = &mut *self.state.lock().unwrap();
        if state.is_running {
            self.hands.advance(age.saturating_sub(state.shown));
            state.shown = age;
        }
    }

    fn freeze(&self) {
        self.turn();
        self.state.lock().unwrap().is_running = false;
    }

    /// Waits until it runs.
    pub(super) async fn runs(&self) {
        while !self.is_running() {
            self.begins.notified().await;
        }
        self.turn();
    }

    /// Runs a call between a thaw and a freeze. Returns what came of it, and whether a freeze
    /// before it was noticed.
    pub(super) async fn run<T>(
        &self,
        noticed_from: Duration,
        call: impl Future<Output = T>,
    ) -> (T, bool) {
        let was_frozen = self.thaw(noticed_from);
        let mut call = pin!(call);
        let mut tick = pin!(sleep(TICK));
        let called = poll_fn(|context| {
            self.turn();
            while tick.as_mut().poll(context).is_ready() {
                #[expect(clippy::disallowed_methods, reason = "paused time")]
                let next = Instant::now() + TICK;
                tick.as_mut().reset(next);
            }
            match call.as_mut().poll(context) {
                Poll::Ready(called) => Poll::Ready(called),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        self.freeze();
        (called, was_frozen)
    }
}
