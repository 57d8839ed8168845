//! One incident of a whole fleet, and its figures.
//!
//! The dependency fails every call for some time, then it is well. All figures are of
//! what the item, the partition and the callers saw.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    time::Duration,
};

use fuseboard::{CircuitState, Config};

use crate::{
    notes::Probe,
    partition::{Asked, Fate, Request},
    plan::{Outage, Plan, Span},
    world::{Run, play},
};

const SECOND: Duration = Duration::from_secs(1);
/// Elections that follow each other sooner are of one due instant.
const APART: Duration = Duration::from_secs(10);
/// How much before and after an election belongs to its due instant.
const DUE: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(1_700));

/// A fleet: how many processes, and how often each is called in 100 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) processes: usize,
    pub(crate) rate: u32,
}

impl Size {
    pub(crate) fn gap(self) -> Duration {
        SECOND / self.rate
    }
}

/// The plan of an incident. The fleet is healthy for 8 to 12 s at first.
pub(crate) fn plan(size: Size, seed: u64, down_for: Duration) -> Plan {
    let mut plan = Plan::fleet(seed, size.processes, size.gap());
    let down = 8 * SECOND + SECOND.mul_f64(4.0 * fastrand::Rng::with_seed(seed).f64());
    let span = Span::new(down, down + down_for);
    plan.outages.push(Outage { span, zone: None });
    plan.settles_after = Some(span.until);
    plan.until = span.until + 100 * SECOND;
    plan
}

/// What a due instant cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Due {
    pub(crate) at: Duration,
    pub(crate) writes: usize,
    pub(crate) reads: usize,
}

/// What one incident cost, and how well the dependency was protected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) processes: usize,
    pub(crate) probes: usize,
    pub(crate) at_once: u32,
    /// Between two probes of the dead dependency, at the least.
    pub(crate) apart: Option<Duration>,
    pub(crate) probes_dead: usize,
    pub(crate) probes_well: usize,
    /// Transitions that were told as made without the store: closings among them.
    pub(crate) told_alone: usize,
    pub(crate) closed_alone: usize,
    /// Failing calls without a breaker, and those that ran and were no probes.
    pub(crate) asked: usize,
    pub(crate) leaked: usize,
    pub(crate) all_reject: Duration,
    /// From the first opening to the last process that let a call through.
    pub(crate) reads: usize,
    pub(crate) applied: usize,
    pub(crate) refused: usize,
    pub(crate) trips: usize,
    pub(crate) trips_refused: usize,
    pub(crate) throttled: usize,
    pub(crate) worst_writes: usize,
    pub(crate) worst_reads: usize,
    pub(crate) worst_throttled: usize,
    pub(crate) due: Vec<Due>,
    /// After the return of the dependency; after the closing.
    pub(crate) closed: Option<Duration>,
    pub(crate) all_know: Option<Duration>,
    pub(crate) down_for: Duration,
}

impl Due {
    /// Of the due instant that cost the most writes.
    fn of(at: Duration, requests: &[Request]) -> Self {
        let span = Span::new(at.saturating_sub(DUE.0), at + DUE.1);
        let first = requests.partition_point(|request| request.at < span.from);
        let these = requests[first..].iter().take_while(|request| span.has(request.at));
        let writes = these.clone().filter(|it| it.asked.is_write()).count();
        Self { at, writes, reads: these.count() - writes }
    }
}

pub(crate) fn figures(run: &Run) -> Figures {
    let Span { from, until } = run.plan.outages[0].span;
    let (partition, notes) = (&run.state.partition, &run.state.notes);
    let mut figures = Figures { processes: run.plan.processes.len(), ..Figures::default() };
    // Who never got to write its trip, for R, is on its own until it is told better.
    let recovery = run.plan.processes[0].config.recovery_timeout();
    let lapses = notes.told.iter().filter(|told| notes.is_lapse(told, recovery));
    let lapsed: HashSet<usize> = lapses.map(|told| told.by).collect();
    let probes = notes.probes.iter().filter(|probe| !lapsed.contains(&probe.by));
    let (dead, well): (Vec<Probe>, Vec<Probe>) =
        probes.partition(|probe| probe.begun + run.plan.processes[0].call < until);
    figures.probes = dead.len() + well.len();
    (figures.probes_dead, figures.probes_well) = (dead.len(), well.len());
    figures.at_once = notes.probes.iter().map(|probe| probe.at_once).max().unwrap_or_default();
    figures.apart = dead.windows(2).map(|two| two[1].begun - two[0].begun).min();
    let alone = || notes.told.iter().filter(|told| told.alone && !lapsed.contains(&told.by));
    figures.told_alone = alone().count();
    figures.closed_alone = alone().filter(|told| told.to == CircuitState::Closed).count();
    figures.asked = notes.asked_in_vain;
    figures.leaked = notes.leaks().count();
    let last = notes.leaks().map(|leak| leak.begun).max();
    figures.all_reject = last.map_or(Duration::ZERO, |last| last.saturating_sub(from));
    figures.down_for = until - from;
    let closing = partition.history.iter().rev().find(|step| step.is_closed() && step.at > until);
    if let Some(closing) = closing {
        figures.closed = Some(closing.at - until);
        let known = run.state.lives.iter().filter_map(|life| life.knows_at).max();
        let all = run.state.ignorant == 0;
        figures.all_know = known.filter(|_| all).map(|known| known.saturating_sub(closing.at));
    }
    count_requests(&mut figures, &partition.requests, from);
    let elections = partition.history.iter().filter(|it| ["elect", "take over"].contains(&it.name));
    let mut before = None;
    for election in elections {
        if before.is_none_or(|before| election.at >= before + APART) {
            figures.due.push(Due::of(election.at, &partition.requests));
        }
        before = Some(election.at);
    }
    figures
}

fn count_requests(figures: &mut Figures, requests: &[Request], from: Duration) {
    let mut seconds: BTreeMap<u64, (usize, usize, usize)> = BTreeMap::new();
    for request in requests.iter().filter(|request| request.at >= from) {
        let second = seconds.entry(request.at.as_secs()).or_default();
        let kind = if request.asked.is_write() { &mut second.0 } else { &mut second.1 };
        *kind += 1;
        second.2 += usize::from(request.fate == Fate::Throttled);
        match request.fate {
            Fate::Shown => figures.reads += 1,
            Fate::Applied => figures.applied += 1,
            Fate::Refused => figures.refused += 1,
            Fate::Throttled => figures.throttled += 1,
        }
        if request.asked == Asked::Write("trip") {
            figures.trips += 1;
            figures.trips_refused += usize::from(request.fate == Fate::Refused);
        }
    }
    figures.worst_writes = seconds.values().map(|it| it.0).max().unwrap_or_default();
    figures.worst_reads = seconds.values().map(|it| it.1).max().unwrap_or_default();
    figures.worst_throttled = seconds.values().map(|it| it.2).max().unwrap_or_default();
}

impl Figures {
    pub(crate) fn worst_due(&self) -> Due {
        self.due.iter().copied().max_by_key(|due| due.writes).unwrap_or_default()
    }

    fn most_reads_due(&self) -> usize {
        self.due.iter().map(|due| due.reads).max().unwrap_or_default()
    }
}

/// What breaks what is promised of the dependency, whatever the store does: one probe at a
/// time, one for each recovery timeout, and nobody alone.
pub(crate) fn unprotected(figures: &Figures) -> Vec<String> {
    let config = Config::default();
    let recovery = config.recovery_timeout();
    let successes = usize::try_from(config.success_threshold().get()).unwrap();
    let mut found = Vec::new();
    if figures.at_once > 1 {
        found.push(format!("{} probes at a time", figures.at_once));
    }
    if let Some(apart) = figures.apart.filter(|apart| *apart < recovery) {
        found.push(format!("two probes of a dead dependency within {apart:?}"));
    }
    if figures.probes_well > successes + 2 {
        found.push(format!("{} probes of a dependency that was well", figures.probes_well));
    }
    let Figures { told_alone, closed_alone, .. } = figures;
    if *told_alone > 0 {
        found.push(format!("{told_alone} told without the store, {closed_alone} of them closings"));
    }
    found
}

/// What breaks what is promised of the item: what a due instant costs, and how long it
/// takes until all is well.
pub(crate) fn expensive(figures: &Figures, gap: Duration) -> Vec<String> {
    let config = Config::default();
    let recovery = config.recovery_timeout();
    let successes = usize::try_from(config.success_threshold().get()).unwrap();
    let mut found = Vec::new();
    let (processes, needed) = (figures.processes, 2 * successes + 3);
    let due = figures.worst_due();
    if due.writes > processes / 10 + needed {
        found.push(format!("{} writes at the due instant {:?}", due.writes, due.at));
    }
    // One look each, and what is read anyway in these two seconds.
    let most = figures.most_reads_due();
    if most > processes * 13 / 10 + needed {
        found.push(format!("{most} reads at a due instant"));
    }
    if figures.closed.is_none_or(|closed| closed > recovery + 10 * SECOND) {
        found.push(format!("closed {:?} after the dependency was well", figures.closed));
    }
    // A process learns it by a call: who is called rarely, half a gap later.
    let known = Duration::from_millis(3_500) + gap / 2;
    if figures.all_know.is_none_or(|all_know| all_know > known) {
        found.push(format!("known to all {:?} after the closing", figures.all_know));
    }
    found
}

/// Prints what a run was like if `FUSEBOARD_FLEET_STORY` is set.
pub(crate) fn story(run: &Run) {
    if std::env::var("FUSEBOARD_FLEET_STORY").is_ok() {
        println!("{}", told(run));
    }
}

/// What every second of a run was like.
fn told(run: &Run) -> String {
    #[derive(Default)]
    struct Second {
        asked: BTreeMap<String, usize>,
        probes: usize,
        leaks: usize,
        alone: usize,
    }
    let mut seconds: BTreeMap<u64, Second> = BTreeMap::new();
    for request in &run.state.partition.requests {
        let name = match (request.asked, request.fate) {
            (_, Fate::Throttled) => format!("{:?} THROTTLED", request.asked),
            (Asked::Write(name), fate) => format!("{name} {fate:?}"),
            (asked, _) => format!("{asked:?}"),
        };
        let second = seconds.entry(request.at.as_secs()).or_default();
        *second.asked.entry(name).or_default() += 1;
    }
    for probe in &run.state.notes.probes {
        seconds.entry(probe.begun.as_secs()).or_default().probes += 1;
    }
    for leak in run.state.notes.leaks() {
        seconds.entry(leak.begun.as_secs()).or_default().leaks += 1;
    }
    for told in run.state.notes.told.iter().filter(|told| told.alone) {
        seconds.entry(told.at.as_secs()).or_default().alone += 1;
    }
    let mut text = String::new();
    for (at, second) in seconds {
        let Second { asked, probes, leaks, alone } = second;
        let _ = writeln!(text, "{at:>4} s probes {probes} leaks {leaks} alone {alone}: {asked:?}");
    }
    let known = |number: &usize| run.state.lives[*number].knows_at;
    if let Some(last) = (0..run.state.lives.len()).max_by_key(known) {
        let _ = writeln!(text, "the last to know is {last}, at {:?}", known(&last));
        let own = run.state.partition.requests.iter().filter(|it| it.by == last);
        for request in own {
            let _ = writeln!(text, "    {request:?}");
        }
    }
    for probe in run.state.notes.probes.iter().take(40) {
        let _ = writeln!(text, "{probe:?}");
    }
    for told in run.state.notes.told.iter().filter(|told| told.alone).take(40) {
        let _ = writeln!(text, "{told:?}");
    }
    for step in run.state.partition.history.iter().take(40) {
        let _ = writeln!(text, "{:?} {} by {:?}", step.at, step.name, step.by);
    }
    text
}

/// Plays one incident.
pub(crate) fn incident(size: Size, seed: u64, down_for: Duration) -> (Run, Figures) {
    let run = play(plan(size, seed, down_for));
    let figures = figures(&run);
    (run, figures)
}
