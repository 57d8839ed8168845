//! What a process does: it calls, in turn, in its own way.

use std::{sync::Arc, time::Duration};

use fuseboard::{Breaker, CallError, OpenError, Reason};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    plan::{Careless, Pace, PlannedProcess, Span, Way, between},
    world::{World, listen},
};

/// Lives the life of a process.
pub(crate) async fn live(world: Arc<World>, number: usize) {
    let process = &world.plan.processes[number];
    let seed = world.plan.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut rng = fastrand::Rng::with_seed(seed ^ (number as u64) << 1);
    world.sleep_until(process.from).await;
    let (registry, breaker) = world.spawn(number, &mut rng);
    let mut tasks = JoinSet::new();
    tasks.spawn(listen(Arc::clone(&world), number, registry.subscribe()));
    if !process.frozen.is_empty() {
        tasks.spawn(Arc::clone(&world).tick(number));
    }
    for _ in 0..process.more_callers {
        tasks.spawn(call_in_turn(Arc::clone(&world), number, breaker.clone(), rng.fork()));
    }
    call_in_turn(Arc::clone(&world), number, breaker, rng).await;
}

async fn call_in_turn(world: Arc<World>, number: usize, breaker: Breaker, mut rng: fastrand::Rng) {
    let (world, process) = (&*world, &world.plan.processes[number]);
    loop {
        world.thawed(number).await;
        let asked = world.at();
        if let Some(idle) = process.idle.iter().find(|idle| idle.has(asked)) {
            world.sleep_until(idle.until).await;
        } else {
            let broken = process.broken.iter().find(|(span, _)| span.has(asked));
            let own = broken.is_some_and(|(_, share)| rng.f64() < *share);
            Caller { world, process, number, breaker: &breaker, asked, own }.ask(&mut rng).await;
        }
        pause(world, process, &mut rng).await;
    }
}

/// Waits for the next call.
async fn pause(world: &World, process: &PlannedProcess, rng: &mut fastrand::Rng) {
    let gap = process.gap;
    match process.pace {
        // A timer has whole milliseconds, and rounds up.
        Pace::Spread => {
            let pause = between(rng, gap / 2, gap * 3 / 2);
            sleep(pause.saturating_sub(Duration::from_micros(500))).await;
        }
        Pace::Lockstep => {
            let turns = world.at().as_micros() / gap.as_micros() + 1;
            let next = gap * u32::try_from(turns).unwrap();
            world.sleep_until(next + Duration::from_millis(rng.u64(0..3))).await;
        }
    }
}

/// What becomes of a permit.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Reported,
    /// Reported, with an open time where it failed.
    Asks(Duration),
    Cancelled,
    Dropped,
    Leaked,
}

struct Caller<'a> {
    world: &'a World,
    process: &'a PlannedProcess,
    number: usize,
    breaker: &'a Breaker,
    asked: Duration,
    /// Whether the call fails for what is broken in the process itself.
    own: bool,
}

impl Caller<'_> {
    async fn ask(&self, rng: &mut fastrand::Rng) {
        let is_quiet = self.asked >= self.world.plan.quiet_from;
        let careless = if is_quiet { Careless::default() } else { self.process.careless };
        let drawn = rng.f64();
        let end = if drawn < careless.cancelled {
            End::Cancelled
        } else if drawn < careless.cancelled + careless.dropped {
            End::Dropped
        } else if drawn < careless.cancelled + careless.dropped + careless.leaked {
            End::Leaked
        } else if self.process.asks > 0.0 && rng.f64() < self.process.asks {
            End::Asks(Duration::from_millis(rng.u64(0..20_000)))
        } else {
            End::Reported
        };
        if end == End::Cancelled {
            let limit = between(rng, Duration::ZERO, self.process.call);
            let _ = timeout(limit, self.ask_so(end)).await;
        } else {
            self.ask_so(end).await;
        }
    }

    async fn ask_so(&self, end: End) {
        match self.process.way {
            Way::Call => self.call().await,
            Way::Admit => self.admit(end).await,
            Way::TryAdmit => self.try_admit(end).await,
        }
    }

    /// The call itself; returns whether it failed.
    async fn run(&self) -> bool {
        let mut running = self.world.begin(self.number, self.asked, self.own);
        let begun = self.world.at();
        sleep(self.process.call).await;
        if !self.process.frozen.is_empty() {
            self.world.thawed(self.number).await;
            let cut = |freeze: &Span| begun <= freeze.from && freeze.until <= self.world.at();
            running.own |= self.process.frozen.iter().any(cut);
        }
        running.end()
    }

    /// Notes a rejection, which shows that the process takes the circuit for open: a ramp does not.
    fn rejected(&self, open: &OpenError) {
        if open.reason() != Reason::Ramping {
            self.world.rejected(self.number, self.asked, self.own);
        }
    }

    async fn call(&self) {
        let call = || async { if self.run().await { Err(()) } else { Ok(()) } };
        if let Err(CallError::Open(open)) = self.breaker.call(call).await {
            self.rejected(&open);
        }
    }

    async fn admit(&self, end: End) {
        let permit = match self.breaker.admit().await {
            Ok(permit) => permit,
            Err(open) => return self.rejected(&open),
        };
        let failed = self.run().await;
        match end {
            End::Dropped | End::Cancelled => drop(permit),
            End::Leaked => std::mem::forget(permit),
            End::Asks(time) if failed => permit.open_for(time).settled().await,
            End::Reported if failed => permit.failure().settled().await,
            End::Reported | End::Asks(_) => permit.success().settled().await,
        }
    }

    async fn try_admit(&self, end: End) {
        let permit = match self.breaker.try_admit() {
            Ok(permit) => permit,
            Err(rejection) if rejection.reason() == Reason::Ramping => return,
            Err(_) => return self.world.rejected(self.number, self.asked, self.own),
        };
        let failed = self.run().await;
        match end {
            End::Dropped | End::Cancelled => drop(permit),
            End::Leaked => std::mem::forget(permit),
            // Nobody waits for what comes of it.
            End::Asks(time) if failed => drop(permit.open_for(time)),
            End::Reported if failed => drop(permit.failure()),
            End::Reported | End::Asks(_) => drop(permit.success()),
        }
    }
}
