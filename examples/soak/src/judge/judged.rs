//! Circuits that are judged: their callers, who note what they see, and the one
//! who lets the dependency die.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use fuseboard::{Breaker, CallError, Settling};
use tokio_util::sync::CancellationToken;

use super::{Ending, Entry, Episode, Rejection, Wrong};
use crate::{
    chance::{Chance, part},
    fleet::Fleet,
    plan::Plan,
    stopwatch::Stopwatch,
    weather::Weather,
};

/// For how long no store operation may have failed, so that no back-off is left:
/// the longest that an outage of this length leads to, and some.
const QUIET: Duration = Duration::from_secs(10);

/// What all episodes came to.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) strict: AtomicU64,
    pub(crate) lenient: AtomicU64,
    pub(crate) calls: AtomicU64,
    pub(crate) probes: AtomicU64,
    pub(crate) wrong: Mutex<Vec<String>>,
}

impl Findings {
    fn note(&self, name: &str, episode: &Episode, wrong: &[Wrong]) {
        let judged = if episode.strict { &self.strict } else { &self.lenient };
        judged.fetch_add(1, Ordering::Relaxed);
        let calls = u64::try_from(episode.entries.len()).unwrap_or(u64::MAX);
        self.calls.fetch_add(calls, Ordering::Relaxed);
        let probes = episode.entries.iter().filter(|call| call.probe == Some(true)).count();
        self.probes.fetch_add(u64::try_from(probes).unwrap_or(u64::MAX), Ordering::Relaxed);
        if wrong.is_empty() {
            return;
        }
        let mut all = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        for Wrong { rule, count, registry } in wrong {
            all.push(format!(
                "{name} from {:.3} s: rule {rule}, {count} in registry {registry}; {episode:?}",
                episode.from.as_secs_f64(),
            ));
        }
    }
}

/// One judged circuit, through all the registries that call it.
pub(crate) struct Judged {
    pub(crate) name: String,
    pub(crate) seed: u64,
    pub(crate) number: u64,
    pub(crate) registries: Vec<usize>,
    pub(crate) stopwatch: Stopwatch,
    pub(crate) is_dead: AtomicBool,
    pub(crate) entries: Mutex<Vec<Entry>>,
    pub(crate) rejections: Mutex<Vec<Rejection>>,
}

impl Judged {
    fn note(&self, entry: Entry) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    fn reject(&self, registry: usize, started: Duration) {
        if Plan::protects(registry) {
            let rejection = Rejection { registry, started, returned: self.stopwatch.now() };
            self.rejections.lock().unwrap_or_else(PoisonError::into_inner).push(rejection);
        }
    }

    fn take(&self) -> (Vec<Entry>, Vec<Rejection>) {
        (
            std::mem::take(&mut *self.entries.lock().unwrap_or_else(PoisonError::into_inner)),
            std::mem::take(&mut *self.rejections.lock().unwrap_or_else(PoisonError::into_inner)),
        )
    }

    /// Whether every registry let an ordinary call through since then.
    fn is_closed_since(&self, then: Duration) -> bool {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        self.registries.iter().all(|registry| {
            entries.iter().any(|call| {
                call.registry == *registry && call.started >= then && call.probe == Some(false)
            })
        })
    }

    /// Lets the dependency die and come back until it is told to stop.
    pub(crate) async fn conduct(
        self: Arc<Self>,
        fleet: Arc<Fleet>,
        weather: Arc<Weather>,
        findings: Arc<Findings>,
        stop: CancellationToken,
    ) {
        let mut chance = Chance::new(self.seed, part::CONDUCTOR, self.number);
        while !stop.is_cancelled() {
            let alive_from = self.stopwatch.now();
            tokio::time::sleep(chance.between(500, 2_000)).await;
            while !self.is_closed_since(alive_from) {
                if stop.is_cancelled() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            self.take();
            self.is_dead.store(true, Ordering::SeqCst);
            let from = self.stopwatch.now();
            tokio::time::sleep(chance.between(1_500, 8_000)).await;
            let until = self.stopwatch.now();
            self.is_dead.store(false, Ordering::SeqCst);
            // Calls that began before have ended by then.
            tokio::time::sleep(Plan::STORE_LIMIT.saturating_add(Duration::from_millis(300))).await;
            let quiet = from.saturating_sub(QUIET);
            let books = |registry: &usize| fleet.0.get(*registry).map(|one| &one.books);
            let (entries, rejections) = self.take();
            let episode = Episode {
                from,
                until,
                entries,
                rejections,
                registries: self.registries.clone(),
                strict: self.registries.iter().filter_map(books).all(|one| one.quiet_since(quiet)),
                outages: self.registries.iter().map(|one| weather.outages(*one)).collect(),
            };
            findings.note(&self.name, &episode, &episode.judge());
        }
    }

    /// Calls the circuit through one registry until it is told to stop.
    pub(crate) async fn call(
        self: Arc<Self>,
        registry: usize,
        caller: u64,
        breaker: Breaker,
        stop: CancellationToken,
    ) {
        let mut chance = Chance::new(self.seed, part::CALLER, self.number.rotate_left(32) ^ caller);
        while !stop.is_cancelled() {
            tokio::time::sleep(chance.between(8, 40)).await;
            let takes = match chance.below(100) {
                0..70 => Duration::ZERO,
                _ => chance.between(1, 15),
            };
            match chance.below(100) {
                0..25 => self.run_call(registry, &breaker, takes).await,
                25..70 => self.admit(registry, &breaker, takes, chance.below(20) == 0).await,
                _ => self.try_admit(registry, &breaker).await,
            }
        }
    }

    /// One call of the dependency. It decides when it ends, so that none that
    /// began before its death answers long after.
    async fn answer(&self, takes: Duration) -> Ending {
        if takes > Duration::ZERO {
            tokio::time::sleep(takes).await;
        }
        if self.is_dead.load(Ordering::SeqCst) { Ending::Failed } else { Ending::Answered }
    }

    async fn run_call(&self, registry: usize, breaker: &Breaker, takes: Duration) {
        let started = self.stopwatch.now();
        let mut seen = None;
        let called = breaker.call(|| async {
            let admitted = self.stopwatch.now();
            let ending = self.answer(takes).await;
            seen = Some((admitted, self.stopwatch.now(), ending));
            if ending == Ending::Answered { Ok(()) } else { Err(()) }
        });
        let result = called.await;
        if matches!(result, Err(CallError::Open(_))) {
            return self.reject(registry, started);
        }
        if let Some((admitted, ended, ending)) = seen {
            let returned = self.stopwatch.now();
            self.note(Entry { registry, probe: None, started, admitted, ended, returned, ending });
        }
    }

    async fn admit(&self, registry: usize, breaker: &Breaker, takes: Duration, drops: bool) {
        let started = self.stopwatch.now();
        let Ok(permit) = breaker.admit().await else {
            return self.reject(registry, started);
        };
        let admitted = self.stopwatch.now();
        let probe = Some(permit.is_probe());
        let answer = self.answer(takes).await;
        let ended = self.stopwatch.now();
        let ending = if drops { Ending::NoVerdict } else { answer };
        match ending {
            Ending::Answered => permit.success().settled().await,
            Ending::Failed => permit.failure().settled().await,
            Ending::NoVerdict => drop(permit),
        }
        let returned = self.stopwatch.now();
        self.note(Entry { registry, probe, started, admitted, ended, returned, ending });
    }

    async fn try_admit(&self, registry: usize, breaker: &Breaker) {
        let started = self.stopwatch.now();
        let (entry, settling): (_, Settling) = {
            let Ok(permit) = breaker.try_admit() else {
                return self.reject(registry, started);
            };
            let admitted = self.stopwatch.now();
            let probe = Some(permit.is_probe());
            let is_dead = self.is_dead.load(Ordering::SeqCst);
            let ended = self.stopwatch.now();
            let (ending, settling) = match is_dead {
                true => (Ending::Failed, permit.failure()),
                false => (Ending::Answered, permit.success()),
            };
            let returned = ended;
            let entry = Entry { registry, probe, started, admitted, ended, returned, ending };
            (entry, settling)
        };
        settling.settled().await;
        self.note(Entry { returned: self.stopwatch.now(), ..entry });
    }
}
