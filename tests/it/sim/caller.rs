//! One call of a process, which stands still where the process does.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use fuseboard::{Breaker, Outcome, Permit, Reason};

use super::{
    dice::Dice,
    freeze::Watch,
    plan::PlannedProcess,
    world::{Call, World},
};

pub(crate) struct Caller {
    pub(crate) world: Arc<World>,
    pub(crate) process: PlannedProcess,
    pub(crate) label: String,
    pub(crate) watch: Arc<Watch>,
    pub(crate) breaker: Breaker,
    pub(crate) dice: Dice,
}

/// An admitted call: its number in the notes, its length, and how it ends.
#[derive(Clone, Copy)]
struct Running {
    number: usize,
    begun: Duration,
    ends: Duration,
    good: bool,
    asks: Option<Duration>,
    /// Whether the lease is renewed while it runs, if it is a probe.
    renews: bool,
}

impl Running {
    fn outcome(self) -> Outcome {
        match self.asks {
            _ if self.good => Outcome::Success,
            Some(time) => Outcome::OpenFor(time),
            None => Outcome::Failure,
        }
    }
}

impl Caller {
    pub(crate) async fn call(mut self) {
        let asked = self.world.at();
        let number = self.note(asked);
        self.watch.turn(asked);
        let breaker = self.breaker.clone();
        let permit = match breaker.admit().await {
            Ok(permit) => permit,
            Err(open) => {
                let is_ramp = open.reason() == Reason::Ramping;
                self.note_of(number, |call, at| call.rejected = Some((at, is_ramp)));
                return;
            }
        };
        self.thaw().await;
        let begun = self.world.at();
        let good = !self.world.plan.is_down(begun);
        let probe = permit.is_probe();
        self.note_of(number, |call, _| {
            (call.begun, call.probe, call.good) = (Some(begun), probe, good);
        });
        let lasts =
            if self.dice.chance(15) { self.dice.ms(500, 3_000) } else { self.dice.ms(5, 150) };
        let slow_after = self.process.lengths.slow_after;
        let lasts = match slow_after {
            // Nothing goes wrong now: no call is slow.
            Some(_) if !self.world.plan.may_be_slow(begun) => lasts.min(Duration::from_millis(150)),
            Some(_) | None => lasts,
        };
        let long = most_of_a_lease(&self.world, &self.process, &mut self.dice);
        let of_its_lease = long.filter(|_| probe && slow_after.is_none());
        let (lasts, renews) = (of_its_lease.unwrap_or(lasts), of_its_lease.is_none());
        let asks = if good { None } else { self.process.lengths.ask(&mut self.dice) };
        let running = Running { number, begun, ends: begun + lasts, good, asks, renews };
        match slow_after {
            Some(slow_after) => self.run(permit, running, begun + slow_after).await,
            None => self.report_by_hand(permit, running).await,
        }
    }

    async fn report_by_hand(&self, permit: Permit<'_>, running: Running) {
        let third = self.world.plan.config.probe_lease() / 3;
        while running.renews && self.world.at() + third < running.ends {
            tokio::time::sleep(third).await;
            self.thaw().await;
            permit.keep_alive();
        }
        self.world.sleep_until(running.ends).await;
        self.thaw().await;
        self.note_end(running);
        permit.report(running.outcome()).settled().await;
    }

    /// Has the breaker run it, which takes it for a failure once it is slow.
    async fn run(&self, permit: Permit<'_>, running: Running, slow_at: Duration) {
        let call = async {
            if slow_at < running.ends {
                self.world.sleep_until(slow_at).await;
                // The time of a freeze is not slowness.
                let until = slow_at + Duration::from_millis(1);
                if !self.process.is_frozen_within(running.begun, until) {
                    self.note_of(running.number, |call, at| {
                        (call.ended, call.good, call.slow) = (Some(at), false, true);
                    });
                }
            }
            self.world.sleep_until(running.ends).await;
            self.note_end(running);
            Ok::<_, ()>(())
        };
        let call = permit.run_classified(call, |_: &Result<(), ()>| running.outcome());
        self.awake(call).await.unwrap();
    }

    fn note(&self, asked: Duration) -> usize {
        let mut notes = self.world.notes();
        notes.calls.push(Call { client: self.label.clone(), asked, ..Call::default() });
        notes.calls.len() - 1
    }

    fn note_of(&self, number: usize, change: impl FnOnce(&mut Call, Duration)) {
        change(&mut self.world.notes().calls[number], self.world.at());
    }

    /// Notes the end of a call, which says nothing of one that was slow.
    fn note_end(&self, running: Running) {
        self.note_of(running.number, |call, at| {
            if !call.slow {
                (call.ended, call.asked_for) = (Some(at), running.asks);
            }
        });
    }

    /// Polls a future as a process that freezes does: not while it stands still.
    async fn awake<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            self.thaw().await;
            let polled = poll_fn(|context| {
                if self.process.thaws_at(self.world.at()).is_some() {
                    return Poll::Ready(None);
                }
                self.watch.turn(self.world.at());
                future.as_mut().poll(context).map(Some)
            });
            if let Some(output) = polled.await {
                return output;
            }
        }
    }

    /// A frozen process goes on when it thaws, and its clock before it.
    async fn thaw(&self) {
        while let Some(thaw) = self.process.thaws_at(self.world.at()) {
            self.world.sleep_until(thaw).await;
        }
        self.watch.turn(self.world.at());
    }
}

/// How long a probe lasts whose lease outlasts those of others: most of it, so that they see it
/// unchanged for longer than their own. `None` where that does not end before the quiet.
fn most_of_a_lease(world: &World, process: &PlannedProcess, dice: &mut Dice) -> Option<Duration> {
    if process.leases == 1 {
        return None;
    }
    let percent = u32::try_from(dice.between(50, 90)).unwrap();
    let lasts = world.plan.settings_of(process).probe_lease() * percent / 100;
    (world.at() + lasts < world.plan.quiet).then_some(lasts)
}
