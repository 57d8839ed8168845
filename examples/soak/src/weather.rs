//! When the way to the store is rough, and what then becomes of a request.
//!
//! Both are functions of the seed: the spells of the whole run, and the fate of
//! the n-th request of a registry in a spell. What the n-th request *is* depends
//! on how the tasks were run.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    chance::{Chance, part},
    plan::Plan,
    stopwatch::Stopwatch,
};

/// How it is between a registry and the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sky {
    Calm,
    /// A good part of the requests meets a fault.
    Rough,
    /// None is answered.
    Out(Outage),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    Reset,
    Hang,
    Throttle,
    Errors,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Pass,
    Delay(Duration),
    /// Applied, but long after its sender gave up.
    Late(Duration),
    /// The connection is reset before the request is applied.
    LoseRequest,
    /// The connection is reset after it.
    LoseAnswer,
    /// The connection is closed in mid-answer.
    HalfAnswer,
    /// Nothing for so long, and then the connection is closed.
    Hang(Duration),
    Throttle,
    Error,
}

#[derive(Clone, Copy, Debug)]
struct Spell {
    from: Duration,
    until: Duration,
    sky: Sky,
    /// `None` is all of them.
    registry: Option<usize>,
}

/// The weather of a run.
#[derive(Debug)]
pub(crate) struct Weather {
    seed: u64,
    /// Of each phase, from its beginning.
    phases: Vec<Vec<Spell>>,
    stopwatch: Stopwatch,
    now: Mutex<Option<Phase>>,
}

/// The phase that is under way, or was last.
#[derive(Clone, Copy, Debug)]
struct Phase {
    number: usize,
    began: Duration,
    ended: Duration,
}

/// Calm, then a storm, then calm for long enough that back-offs end and whole
/// episodes of a circuit are seen under a healthy store.
const CYCLE: Duration = Duration::from_secs(36);
const CALM: Duration = Duration::from_secs(12);

impl Weather {
    pub(crate) fn new(plan: &Plan, stopwatch: Stopwatch) -> Self {
        let phases = (0..plan.phases()).map(|phase| {
            let number = u64::try_from(phase).unwrap_or_default();
            let mut chance = Chance::new(plan.seed, part::WEATHER, number);
            let mut spells = Vec::new();
            let mut cycle = Duration::ZERO;
            while cycle < plan.phase() {
                storm(cycle.saturating_add(CALM), plan.registries, &mut chance, &mut spells);
                cycle = cycle.saturating_add(CYCLE);
            }
            spells
        });
        Self { seed: plan.seed, phases: phases.collect(), stopwatch, now: Mutex::default() }
    }

    /// A phase began then. It is calm before the first.
    pub(crate) fn begin(&self, number: usize, began: Duration) {
        *self.now() = Some(Phase { number, began, ended: Duration::MAX });
    }

    /// Calm from now on, until the next phase.
    pub(crate) fn clear(&self) {
        let ended = self.stopwatch.now();
        if let Some(phase) = &mut *self.now() {
            phase.ended = ended;
        }
    }

    fn now(&self) -> MutexGuard<'_, Option<Phase>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The spells of the phase and when it began and ended.
    fn spells(&self) -> Option<(Phase, &[Spell])> {
        let phase = (*self.now())?;
        Some((phase, self.phases.get(phase.number)?))
    }

    /// The outages of a registry in this phase, as from and until.
    pub(crate) fn outages(&self, registry: usize) -> Vec<(Duration, Duration)> {
        let Some((phase, spells)) = self.spells() else {
            return Vec::new();
        };
        let out = |spell: &&Spell| {
            matches!(spell.sky, Sky::Out(_)) && spell.registry.is_none_or(|one| one == registry)
        };
        let at = |spell: &Spell| {
            let [from, until] =
                [spell.from, spell.until].map(|at| phase.began.saturating_add(at).min(phase.ended));
            (from, until)
        };
        spells.iter().filter(out).map(at).collect()
    }

    fn sky(&self, registry: usize) -> Sky {
        let now = self.stopwatch.now();
        let Some((phase, spells)) = self.spells().filter(|(phase, _)| now < phase.ended) else {
            return Sky::Calm;
        };
        let now = now.saturating_sub(phase.began);
        let here = |spell: &&Spell| {
            (spell.from..spell.until).contains(&now)
                && spell.registry.is_none_or(|one| one == registry)
        };
        spells.iter().find(here).map_or(Sky::Calm, |spell| spell.sky)
    }

    /// The fate of a registry's n-th request, if it comes now.
    pub(crate) fn fate(&self, registry: usize, n: u64) -> Fate {
        let stream = u64::try_from(registry).unwrap_or_default().rotate_left(48) ^ n;
        let mut chance = Chance::new(self.seed, part::FATE, stream);
        match self.sky(registry) {
            Sky::Calm => Fate::Pass,
            Sky::Out(Outage::Reset) => Fate::LoseRequest,
            Sky::Out(Outage::Hang) => Fate::Hang(Duration::from_millis(1_500)),
            Sky::Out(Outage::Throttle) => Fate::Throttle,
            Sky::Out(Outage::Errors) => Fate::Error,
            Sky::Rough => match chance.below(100) {
                0..70 => Fate::Pass,
                70..79 => Fate::Delay(chance.between(5, 150)),
                79..83 => Fate::Late(chance.between(450, 1_200)),
                83..87 => Fate::LoseRequest,
                87..91 => Fate::LoseAnswer,
                91..93 => Fate::HalfAnswer,
                93..95 => Fate::Hang(chance.between(300, 1_500)),
                95..98 => Fate::Throttle,
                _ => Fate::Error,
            },
        }
    }
}

/// Ten seconds: rough for all, out for all, rough again, out for one.
fn storm(at: Duration, registries: usize, chance: &mut Chance, spells: &mut Vec<Spell>) {
    let outages = [Outage::Reset, Outage::Hang, Outage::Throttle, Outage::Errors];
    let one = chance.index(registries);
    let mut outage = || match outages.get(chance.index(outages.len())) {
        Some(outage) => Sky::Out(*outage),
        None => Sky::Rough,
    };
    let lengths = [
        (3_000, Sky::Rough, None),
        (3_500, outage(), None),
        (1_500, Sky::Rough, None),
        (2_000, outage(), Some(one)),
    ];
    let mut from = at;
    for (length, sky, registry) in lengths {
        let until = from.saturating_add(Duration::from_millis(length));
        spells.push(Spell { from, until, sky, registry });
        from = until;
    }
}
