//! What the processes share: the item, the network, and time.
//!
//! Abstracted: durations. Time leaps: whatever may have become due can be due,
//! in the order in which it was stamped. A lease is as long as the recovery
//! timeout, a hand over is shorter, and a hold is as long as either. Clocks differ
//! by no more than is tolerated, and nobody takes a lease for past that is not: that
//! a process waits for one that is longer than its own, the random worlds of the
//! machine hold. Stamps are distinct instants, or with `coarse`
//! whole seconds that several writes may share: a lease that was handed over ends a
//! second later, and one that was given back a second before it was.
//!
//! Here also stand the checks of single writes, each said in its own words and
//! by what no condition can see, not by the conditions of the crate.

use crate::{
    item::{FULL, HOLD, Item, Seen, Stamp, State, Write},
    process::Verdict,
    weak::Weak,
};

/// The bounds and settings of one check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) processes: usize,
    /// How many writes are sent, those of operators included.
    pub(crate) writes: u8,
    /// How many operations go unanswered, or are sent twice.
    pub(crate) faults: u8,
    /// How many calls fall open or are probed without the store while it is out.
    pub(crate) alone: u8,
    pub(crate) crashes: u8,
    pub(crate) deletions: u8,
    pub(crate) orders: u8,
    /// How many operations are throttled.
    pub(crate) throttles: u8,
    /// How many processes freeze while they owe a trip.
    pub(crate) freezes: u8,
    /// How many trips that are owed grow old before anything else does.
    pub(crate) ages: u8,
    /// How many reads are stale that are not a process's first.
    pub(crate) stale: u8,
    /// T and K.
    pub(crate) failures: u8,
    pub(crate) successes: u8,
    pub(crate) coarse: bool,
    /// Answers of the store may linger on their way.
    pub(crate) slow: bool,
    /// Whose trip others contradict is refuted.
    pub(crate) refutes: bool,
    /// Operators hold the circuit closed as well.
    pub(crate) closed_holds: bool,
    /// The item is deleted by a person, while messages are on their way.
    pub(crate) abrupt: bool,
    /// One is contradicted at first, and all know that the circuit is closed.
    pub(crate) contradicted: bool,
    /// The circuit is half-open at first: the first of the writes elected one.
    pub(crate) elected: bool,
    /// Processes keep their places, so that one can be told from another.
    pub(crate) apart: bool,
    pub(crate) weak: Weak,
}

/// What must never happen, seen at the moment at which it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Breach {
    NotTheHolder,
    NewerState,
    AnotherEpoch,
    Unproven,
    Spent,
    Unfounded,
    /// A trip was sent for failures that were older than a recovery time, or than a
    /// freeze.
    Old,
    /// A refuted process wrote a trip.
    Heard,
    /// A process was contradicted by what was no closing of others.
    Unjust,
    /// A trip ended a hold closed that was not over.
    Held,
    /// What was decided took effect without the store, which had answered.
    Alone,
}

/// A write on its way, which may arrive late, twice, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Wire {
    pub(crate) number: Stamp,
    pub(crate) write: Write,
    pub(crate) landed: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Shared {
    pub(crate) item: Seen,
    /// What a read may still show that is not consistent.
    pub(crate) older: Seen,
    pub(crate) clock: Stamp,
    /// Leases stamped until then have run out.
    pub(crate) lapsed: Stamp,
    /// Writes sent so far.
    pub(crate) writes: u8,
    pub(crate) faults: u8,
    pub(crate) alone: u8,
    pub(crate) crashes: u8,
    pub(crate) deletions: u8,
    pub(crate) orders: u8,
    pub(crate) throttles: u8,
    pub(crate) freezes: u8,
    pub(crate) ages: u8,
    pub(crate) stale: u8,
    pub(crate) network: Vec<Wire>,
    /// The good probes in a row that lease holders have seen since the last
    /// election from open.
    pub(crate) good: u8,
    /// Whether the token that leads has seen a failed probe.
    pub(crate) failed: bool,
    pub(crate) breach: Option<Breach>,
}

impl Shared {
    /// A stamp for what happens now.
    pub(crate) fn tick(&mut self, rules: &Rules) -> Stamp {
        if !rules.coarse {
            self.clock += 1;
        }
        self.clock
    }

    pub(crate) fn send(&mut self, write: Write) -> Stamp {
        self.writes += 1;
        self.network.push(Wire { number: self.writes, write, landed: 0 });
        self.writes
    }

    pub(crate) fn breach(&mut self, breach: Breach) {
        self.breach = self.breach.or(Some(breach));
    }

    /// The leases that were stamped until then run out; time is later than that.
    pub(crate) fn lapse(&mut self, until: Stamp, rules: &Rules) {
        self.lapsed = self.lapsed.max(until);
        if rules.coarse {
            self.clock = self.clock.max(until) + 1;
        }
    }

    /// So much time has passed since an opening that it may be probed.
    pub(crate) fn recover(&mut self, opened: Stamp, rules: &Rules) {
        self.lapsed = self.lapsed.max(opened);
        if rules.coarse {
            self.clock = self.clock.max(opened + 1);
        }
    }

    /// When a lease ends that is handed over at this time.
    pub(crate) fn handed_over(&self, at: Stamp, rules: &Rules) -> Stamp {
        at + u8::from(rules.coarse)
    }

    /// When a lease ends that is given back at this time: nobody waits for it.
    pub(crate) fn given_back(&self, at: Stamp, rules: &Rules) -> Stamp {
        at - u8::from(rules.coarse)
    }

    /// The recovery time of an opening passes, and with it every older lease.
    pub(crate) fn recovery_is_due(&mut self, seen: Seen, rules: &Rules) {
        let Some(item) = seen else { return };
        let until = if item.owner == Some(HOLD) { self.clock } else { item.opened.unwrap_or(0) };
        self.recover(until, rules);
    }

    /// Whether the lease that a record shows can be judged to be past.
    pub(crate) fn lease_is_past(&mut self, seen: Seen, rules: &Rules) -> bool {
        let Some(lease) = seen.and_then(|item| item.lease) else { return true };
        if lease > FULL {
            return lease - FULL <= self.lapsed;
        }
        if rules.coarse {
            self.clock = self.clock.max(lease + 1);
        }
        true
    }

    /// How often the election of this token was applied.
    pub(crate) fn landed(&self, token: u8) -> u8 {
        let wire = self.network.iter().find(|wire| wire.number == token);
        // A write that has left the network was applied, if the item shows it.
        wire.map_or(1, |wire| wire.landed)
    }

    /// A probe under this token has ended.
    pub(crate) fn probed(&mut self, token: u8, verdict: Verdict, rules: &Rules) {
        if !self.item.is_some_and(|item| item.is_led_by(token)) {
            return;
        }
        match verdict {
            Verdict::Good => self.good = rules.successes.min(self.good + 1),
            Verdict::Bad => {
                self.good = 0;
                self.failed = true;
            }
            Verdict::None => {}
        }
    }

    /// A write reaches the store; returns the item after it if it was applied.
    pub(crate) fn arrive(&mut self, wire: &mut Wire, rules: &Rules) -> Option<Item> {
        let before = self.item;
        let after = wire.write.on(before, wire.number, rules.weak)?;
        wire.landed += 1;
        if wire.write.opens_an_epoch() && wire.landed > 1 {
            self.breach(Breach::Unfounded);
        }
        if let Some(breach) = self.judge(before, &wire.write, rules) {
            self.breach(breach);
        }
        let elects = matches!(wire.write, Write::Elect { .. } | Write::ElectAbsent { .. });
        if elects || after.state != State::HalfOpen {
            self.good = 0;
        }
        if before.is_none_or(|item| item.owner != after.owner) {
            self.failed = false;
        }
        self.older = before;
        self.item = Some(after);
        Some(after)
    }

    /// Judges a write that was applied by what it was decided upon.
    fn judge(&self, before: Seen, write: &Write, rules: &Rules) -> Option<Breach> {
        let epoch = Item::epoch_of(before);
        let led_by = |token| before.is_some_and(|item| item.is_led_by(token));
        let half_open = before.is_some_and(|item| item.state == State::HalfOpen);
        match *write {
            Write::Trip { .. } if Item::is_held_closed(before, self.lapsed) => Some(Breach::Held),
            Write::Trip { seen, counted, .. } => (epoch != Item::epoch_of(seen)
                || counted.is_some_and(|counted| counted != epoch))
            .then_some(Breach::AnotherEpoch),
            Write::Elect { seen, .. } => (epoch != seen.epoch).then_some(Breach::NewerState),
            Write::ElectAbsent { .. } => before.is_some().then_some(Breach::NewerState),
            Write::TakeOver { seen, .. } => {
                let same = epoch == seen.epoch && before.is_some_and(|it| it.lease == seen.lease);
                (!same).then_some(Breach::NewerState)
            }
            Write::Renew { token, .. }
            | Write::HandOver { token, .. }
            | Write::GiveBack { token, .. } => (!led_by(token)).then_some(Breach::NewerState),
            Write::Close { token, .. } | Write::Reopen { token, .. } if !led_by(token) => {
                Some(if half_open { Breach::NotTheHolder } else { Breach::NewerState })
            }
            Write::Close { .. } if self.failed => Some(Breach::Spent),
            Write::Close { .. } => (self.good < rules.successes).then_some(Breach::Unproven),
            Write::Reopen { .. } => None,
            Write::Hold { seen, .. } | Write::HoldClosed { seen, .. } => {
                (before != seen).then_some(Breach::NewerState)
            }
            Write::Release { seen, .. } => (before != Some(seen)).then_some(Breach::NewerState),
        }
    }
}
