//! What a seed says: settings, processes, traffic, and everything that goes
//! wrong, all known before the first call.

use std::{num::NonZeroU64, time::Duration};

use fuseboard::{Config, ConfigBuilder, OnStoreOutage, Settings};

use super::{
    dice::Dice,
    lengths::Lengths,
    weather::{self, Weather},
};

/// From an instant until before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Duration,
    pub(crate) until: Duration,
}

impl Span {
    pub(crate) fn has(self, at: Duration) -> bool {
        self.from <= at && at < self.until
    }
}

/// What an operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Hold,
    Release,
}

/// What a freeze does to the clocks of a process. They stand still in it, and
/// show all of it when the process thaws, but for this:
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standstill {
    /// monotonic time has stood still, as in AWS Lambda.
    Monotonic,
    /// nothing: both clocks ran on, as under SIGSTOP.
    Nothing,
}

/// One process: a label, its lives, and what happens to it.
#[derive(Clone, Debug)]
pub(crate) struct PlannedProcess {
    pub(crate) label: String,
    /// It crashes at the end of each; the next one remembers nothing.
    pub(crate) lives: Vec<Span>,
    /// One after the other.
    pub(crate) freezes: Vec<Span>,
    pub(crate) standstill: Standstill,
    /// Between two calls, on average.
    pub(crate) gap: Duration,
    /// How many calls it runs at a time.
    pub(crate) width: usize,
    /// By how much its wall clock is ahead of the true time, in milliseconds.
    pub(crate) ahead_ms: i64,
    /// When its wall clock is set, and by how much.
    pub(crate) steps: Vec<(Duration, i64)>,
    pub(crate) weather: Vec<(Span, Weather)>,
    /// When it takes other settings, and when its own again.
    pub(crate) other_settings: Option<Span>,
    /// How many leases of the plan its own is.
    pub(crate) leases: u32,
    pub(crate) lengths: Lengths,
    pub(crate) dice: Dice,
}

impl PlannedProcess {
    /// The end of the freeze that it is in.
    pub(crate) fn thaws_at(&self, at: Duration) -> Option<Duration> {
        self.freezes.iter().find(|span| span.has(at)).map(|span| span.until)
    }

    /// Whether it stands still at any time between two.
    pub(crate) fn is_frozen_within(&self, from: Duration, until: Duration) -> bool {
        self.freezes.iter().any(|span| span.from < until && from < span.until)
    }
}

/// Which checks a plan leaves meaningful.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traits {
    /// Requests and answers are late, lost, doubled, refused or stale.
    pub(crate) network: bool,
    pub(crate) freezes: bool,
    pub(crate) crashes: bool,
    /// Wall clocks differ by more than is tolerated, or are set.
    pub(crate) wild_clocks: bool,
    pub(crate) operator: bool,
    /// The item is deleted now and then.
    pub(crate) deletions: bool,
}

/// A whole run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) config: Config,
    pub(crate) traits: Traits,
    /// Whether the store's answers tell the true time.
    pub(crate) tells_time: bool,
    pub(crate) processes: Vec<PlannedProcess>,
    /// When the dependency fails.
    pub(crate) outages: Vec<Span>,
    pub(crate) orders: Vec<(Duration, Order)>,
    pub(crate) deletions: Vec<Duration>,
    /// Until then nothing goes wrong.
    pub(crate) calm: Duration,
    /// From then on nothing goes wrong any more.
    pub(crate) quiet: Duration,
}

/// Longest time between two calls of a process in the quiet.
pub(crate) const QUIET_GAP: Duration = Duration::from_secs(2);

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        // Large fleets are rare, since they are slow to simulate.
        Self::with(seed, (seed % 50 == 49).then_some(100), None)
    }

    /// A thousand processes, and everything that may go wrong.
    pub(crate) fn thousand(seed: u64) -> Self {
        let everything = Traits {
            network: true,
            freezes: true,
            crashes: true,
            wild_clocks: true,
            operator: true,
            deletions: true,
        };
        Self::with(seed, Some(1_000), Some(everything))
    }

    fn with(seed: u64, count: Option<u64>, wanted: Option<Traits>) -> Self {
        let mut dice = Dice::new(seed);
        let drawn = traits(&mut dice);
        let mut traits = wanted.unwrap_or(drawn);
        // Dice of their own, so that all else of a seed stays as it is.
        let mut clocks = Dice::new(!seed);
        let tells_time = clocks.chance(75);
        let steady = tells_time && drawn.wild_clocks && wanted.is_none() && clocks.chance(50);
        if steady {
            // Then everyone is corrected before its clock matters.
            (traits.network, traits.freezes) = (false, false);
        }
        let config = settings(&mut dice);
        let recovery = config.recovery_timeout();
        let calm = 2 * config.local_cache_max_age() + dice.ms(3_000, 6_000);
        let trouble = recovery * 4 + dice.ms(25_000, 40_000);
        let quiet = calm + trouble;
        let span = Span { from: calm, until: quiet };
        // Late writes and long calls end before the quiet.
        let inner = Span { from: calm, until: quiet - 2 * weather::LATEST };
        let outages = outages(&mut dice, inner, recovery);
        let mut orders = Vec::new();
        if traits.operator {
            orders = (0..dice.between(1, 3))
                .map(|_| (at(&mut dice, inner), dice.pick(&[Order::Hold, Order::Release])))
                .collect();
            orders.sort_by_key(|(at, _)| *at);
        }
        let mut deletions = Vec::new();
        if traits.deletions {
            deletions = (0..dice.between(1, 2)).map(|_| at(&mut dice, inner)).collect();
            deletions.sort();
        }
        let lone = dice.chance(20);
        let count = count.unwrap_or_else(|| dice.between(2, 10));
        let processes = (0..count)
            .map(|number| {
                let stays = number == 0 || !lone;
                process(&mut dice.split(), &format!("E{number}"), &traits, span, inner, stays)
            })
            .collect();
        let mut plan = Self {
            seed,
            config,
            traits,
            tells_time,
            processes,
            outages,
            orders,
            deletions,
            calm,
            quiet,
        };
        if steady {
            plan.processes.iter_mut().for_each(|process| process.steps.clear());
        }
        if seed % 5 == 3 {
            plan.straggle(&mut dice, inner);
        }
        plan.mix_leases();
        plan.roll_settings(inner);
        plan.draw_lengths();
        plan
    }

    /// Makes it a plan for stragglers: writes land late, unheard, while others
    /// go on, and every process is busy.
    fn straggle(&mut self, dice: &mut Dice, span: Span) {
        self.traits.network = true;
        let second = Duration::from_secs(1);
        self.config = Config::builder()
            .failure_threshold(dice.pick(&[1, 2]))
            .success_threshold(dice.pick(&[1, 2]))
            .recovery_timeout(second)
            .probe_lease(second)
            .local_cache_max_age(second)
            .build()
            .unwrap();
        for process in &mut self.processes {
            process.gap = dice.ms(100, 400);
            process.weather = vec![(span, Weather::straggling())];
        }
    }

    /// The processes start with leases that differ, as while a new length comes to one after the
    /// other: by as much as a process allows for, where other settings halve them as well.
    fn mix_leases(&mut self) {
        if self.seed % 3 != 1 {
            return;
        }
        let mut dice = Dice::new(Dice::seed_of(self.seed, "leases"));
        let leases: &[u32] = if self.rolls_settings() { &[1, 2] } else { &[1, 2, 4] };
        for process in &mut self.processes {
            process.leases = dice.pick(leases);
        }
    }

    fn rolls_settings(&self) -> bool {
        self.seed % 4 == 2
    }

    /// The longest lease that a process starts with.
    pub(crate) fn longest_lease(&self) -> Duration {
        let leases = self.processes.iter().map(|process| process.leases).max();
        self.config.probe_lease() * leases.unwrap_or(1)
    }

    /// Gives each process its lengths: the same to all, or to each its own.
    fn draw_lengths(&mut self) {
        let mut dice = Dice::new(Dice::seed_of(self.seed, "lengths"));
        let recovery = self.config.recovery_timeout();
        let fleet = Lengths::of_fleet(&mut dice, recovery);
        let is_mixed = dice.chance(40);
        for process in &mut self.processes {
            process.lengths =
                if is_mixed { fleet.of_one(&mut dice, recovery) } else { fleet.clone() };
        }
    }

    /// New settings come to one process after the other, and go again in the same way.
    fn roll_settings(&mut self, span: Span) {
        if !self.rolls_settings() {
            return;
        }
        let mut dice = Dice::new(Dice::seed_of(self.seed, "settings"));
        let mut from = at(&mut dice, span);
        let mut until = at(&mut dice, span).max(from);
        for process in &mut self.processes {
            process.other_settings = Some(Span { from, until });
            from += dice.ms(0, 1_000);
            until += dice.ms(0, 1_000);
        }
    }

    /// Settings other than those of the plan: sterner, so that what is checked by those holds, but
    /// for shorter leases.
    pub(crate) fn other_settings(&self, process: &PlannedProcess) -> Settings {
        let config = &self.config;
        let lease = (config.probe_lease() / 2).max(Duration::from_secs(1));
        let other = with_lease(config, lease)
            .failure_threshold(number(config.failure_threshold()) + 1)
            .success_threshold(number(config.success_threshold()) + 1)
            .recovery_timeout(config.recovery_timeout() * 2);
        process.lengths.over(&other.build().unwrap()).into()
    }

    /// Default settings, and nothing else.
    pub(crate) fn empty(seed: u64) -> Self {
        Self {
            seed,
            config: Config::default(),
            traits: Traits::default(),
            tells_time: false,
            processes: Vec::new(),
            outages: Vec::new(),
            orders: Vec::new(),
            deletions: Vec::new(),
            calm: Duration::ZERO,
            quiet: Duration::ZERO,
        }
    }

    /// Whether every clock that stamps are made of is within a second of the true
    /// time. `Date` is a whole second rounded down, so what one answer leaves of
    /// an error is less than that second and the time that the request took,
    /// which is none without faults; and a correction only ever takes away from
    /// an error that is smaller. Nobody stamps or judges a stamp before its first
    /// answer, unless the store is out of its reach, and a clock that was set is
    /// wrong until the next answer: a trip, a renewal or a hand over may come
    /// before that. So nothing is promised of those.
    pub(crate) fn clocks_agree(&self) -> bool {
        let Traits { network, freezes, wild_clocks, .. } = self.traits;
        let set = self.processes.iter().any(|process| !process.steps.is_empty());
        !wild_clocks || self.tells_time && !(network || freezes || set)
    }

    /// The settings of a process.
    pub(crate) fn settings_of(&self, process: &PlannedProcess) -> Config {
        let lease = self.config.probe_lease() * process.leases;
        process.lengths.over(&with_lease(&self.config, lease).build().unwrap())
    }

    /// The process that a client is a life of. The operator is none.
    pub(crate) fn process_of(&self, client: &str) -> Option<&PlannedProcess> {
        let label = client.split('.').next().unwrap_or_default();
        self.processes.iter().find(|process| process.label == label)
    }

    /// The longest recovery timeout of any settings.
    pub(crate) fn longest_recovery(&self) -> Duration {
        let rolls = self.processes.iter().any(|process| process.other_settings.is_some());
        self.config.recovery_timeout() * if rolls { 2 } else { 1 }
    }

    /// The longest that an opening lasts for anybody.
    pub(crate) fn longest_opening(&self) -> Duration {
        let recovery = self.longest_recovery();
        let is_asked = self.processes.iter().any(|process| process.lengths.asks > 0);
        let each = self.processes.iter();
        let each = each.map(|process| process.lengths.longest(recovery, is_asked));
        each.max().unwrap_or(recovery)
    }

    /// Whether a call that begins now may be slow: neither before anything goes wrong, nor after.
    pub(crate) fn may_be_slow(&self, at: Duration) -> bool {
        self.calm <= at && at + 2 * weather::LATEST < self.quiet
    }

    /// Whether the dependency fails a call that begins now.
    pub(crate) fn is_down(&self, at: Duration) -> bool {
        self.outages.iter().any(|outage| outage.has(at))
    }
}

fn traits(dice: &mut Dice) -> Traits {
    Traits {
        network: dice.chance(70),
        freezes: dice.chance(25),
        crashes: dice.chance(25),
        wild_clocks: dice.chance(20),
        operator: dice.chance(12),
        deletions: dice.chance(12),
    }
}

fn settings(dice: &mut Dice) -> Config {
    let recovery = Duration::from_secs(dice.pick(&[1, 1, 1, 1, 2, 2, 2, 3, 5, 5, 10, 30]));
    let lease = if dice.chance(60) { recovery } else { recovery / 3 };
    let policy = dice.pick(&[OnStoreOutage::FailOpen, OnStoreOutage::Protect]);
    Config::builder()
        .failure_threshold(dice.pick(&[1, 2, 3, 5, 5]))
        .success_threshold(dice.pick(&[1, 1, 2, 3, 5]))
        .recovery_timeout(recovery)
        .probe_lease(lease.max(Duration::from_secs(1)))
        .local_cache_max_age(Duration::from_secs(dice.pick(&[1, 2, 5, 5])))
        .on_store_outage(policy)
        .build()
        .unwrap()
}

fn number(number: NonZeroU64) -> u32 {
    number.get().try_into().unwrap()
}

/// The settings of a plan with another lease.
fn with_lease(config: &Config, lease: Duration) -> ConfigBuilder {
    Config::builder()
        .failure_threshold(number(config.failure_threshold()))
        .success_threshold(number(config.success_threshold()))
        .recovery_timeout(config.recovery_timeout())
        .probe_lease(lease)
        .local_cache_max_age(config.local_cache_max_age())
        .on_store_outage(config.on_store_outage())
}

fn at(dice: &mut Dice, within: Span) -> Duration {
    let ms = |at: Duration| u64::try_from(at.as_millis()).unwrap();
    dice.ms(ms(within.from), ms(within.until))
}

fn outages(dice: &mut Dice, within: Span, recovery: Duration) -> Vec<Span> {
    let mut outages = Vec::new();
    let mut from = within.from + dice.ms(0, 3_000);
    while from < within.until {
        // Short ones beside short recovery times: more happens in a run.
        let short = recovery < Duration::from_secs(3);
        let length = recovery.mul_f64(0.2) + dice.ms(500, if short { 3_000 } else { 8_000 });
        outages.push(Span { from, until: (from + length).min(within.until) });
        from += length + recovery + dice.ms(1_000, if short { 5_000 } else { 15_000 });
    }
    if dice.chance(60) {
        // So that the whole recovery lies in the quiet.
        let from = (within.until - dice.ms(1_000, 6_000)).max(within.from);
        outages.push(Span { from, until: within.until });
    }
    outages
}

/// Some spans of trouble, one after the other.
fn spans(dice: &mut Dice, within: Span, count: u64, longest_ms: u64) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for _ in 0..count {
        let from = at(dice, within);
        spans.push(Span { from, until: (from + dice.ms(200, longest_ms)).min(within.until) });
    }
    spans.sort_by_key(|span| span.from);
    spans
}

/// Spans in order, those that overlap as one.
fn merged(spans: Vec<Span>) -> Vec<Span> {
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.from <= last.until => last.until = last.until.max(span.until),
            _ => merged.push(span),
        }
    }
    merged
}

fn process(
    dice: &mut Dice,
    label: &str,
    traits: &Traits,
    span: Span,
    inner: Span,
    stays: bool,
) -> PlannedProcess {
    let mut steps = Vec::new();
    let mut ahead_ms = i64::try_from(dice.between(0, 2_000)).unwrap() - 1_000;
    if traits.wild_clocks && dice.chance(50) {
        ahead_ms = dice.pick(&[-300_000, -30_000, -5_000, 5_000, 30_000, 300_000]);
        steps = (0..dice.between(0, 2))
            .map(|_| (at(dice, inner), dice.pick(&[-3_600_000, -10_000, 10_000, 3_600_000])))
            .collect();
        steps.sort_by_key(|(at, _)| *at);
    }
    let freezes = dice.between(1, 2);
    let freezes = if traits.freezes && dice.chance(50) {
        merged(spans(dice, inner, freezes, 20_000))
    } else {
        Vec::new()
    };
    let weather = dice.between(1, 4);
    let weather = if traits.network && dice.chance(80) {
        let spans = spans(dice, inner, weather, 12_000);
        spans.into_iter().map(|span| (span, Weather::new(dice))).collect()
    } else {
        Vec::new()
    };
    let gap = dice.pick(&[(100, 500), (100, 500), (500, 2_000), (2_000, 10_000)]);
    PlannedProcess {
        label: label.to_owned(),
        lives: lives(dice, traits, span, inner, stays),
        freezes,
        gap: dice.ms(gap.0, gap.1),
        width: usize::try_from(dice.pick(&[1, 1, 2, 4])).unwrap(),
        ahead_ms,
        steps,
        weather,
        other_settings: None,
        leases: 1,
        lengths: Lengths::default(),
        dice: dice.split(),
        // Rolled last, so that all else of a seed stays as it was.
        standstill: dice.pick(&[Standstill::Monotonic, Standstill::Nothing]),
    }
}

fn lives(dice: &mut Dice, traits: &Traits, span: Span, inner: Span, stays: bool) -> Vec<Span> {
    let mut lives = Vec::new();
    let mut from = if dice.chance(25) { at(dice, inner) } else { Duration::ZERO };
    let crashes = if traits.crashes { dice.between(0, 3) } else { 0 };
    for _ in 0..crashes {
        let until = at(dice, inner).max(from);
        lives.push(Span { from, until });
        from = until + dice.ms(0, 5_000);
    }
    let until = if stays { Duration::MAX } else { at(dice, inner).max(span.from) };
    if from < until {
        lives.push(Span { from, until });
    }
    lives
}
