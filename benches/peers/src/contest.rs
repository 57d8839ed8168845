//! Who is measured, and the rounds.

use std::{error::Error, time::Instant};

use crate::{
    allocations, floors,
    measure::{Lanes, Sample},
    options::Options,
    peer::Peer,
    statistics::{self, ENOUGH, Spread},
    subject::Lane,
    threads::Second,
};

/// How many calls show whether a circuit is closed or open.
const SHOWN: u32 = 1_000;

/// How many calm samples of each subject there should be. Ratios need rounds in
/// which two were calm.
const CALM: usize = 2 * ENOUGH;

/// Ours is the first.
pub(crate) const OURS: &str = "fuseboard";

/// What is measured of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Admit and report a success, one thread.
    Closed,
    /// The same, two threads on one circuit.
    Together,
    /// The asynchronous call, one thread.
    Call,
    /// On an open circuit, one thread.
    Rejected,
    /// No breaker at all.
    Floor,
    /// A floor, two threads that share nothing: what they cost each other on
    /// this machine.
    Apart,
}

/// One subject.
struct Entry {
    name: &'static str,
    column: Column,
    lanes: Lanes,
    calls: u32,
    samples: Vec<Sample>,
    allocations: f64,
}

/// All of them.
pub(crate) struct Contest {
    /// Kept: with the peer goes the registry of its circuits.
    peers: Vec<Box<dyn Peer>>,
    entries: Vec<Entry>,
    second: Option<Second>,
}

impl Contest {
    /// Builds every subject and sees that it works: closed circuits admit, and
    /// reject when they were tripped.
    ///
    /// For a check, of the peers only that is measured which a goal is about.
    pub(crate) fn new(peers: Vec<Box<dyn Peer>>, check: bool) -> Result<Self, Box<dyn Error>> {
        let second = Second::pair();
        let mut contest = Self { peers: Vec::new(), entries: Vec::new(), second };
        for (name, lane) in floors::all() {
            contest.add(name, Column::Floor, Lanes::Alone(lane))?;
        }
        if contest.second.is_some() {
            let apart = Lanes::Together(floors::coarse(), Some(floors::coarse()));
            contest.add(floors::COARSE, Column::Apart, apart)?;
        }
        for peer in &peers {
            let name = peer.name();
            contest
                .enter(peer.as_ref(), check && name != OURS)
                .map_err(|e| format!("{name}: {e}"))?;
        }
        contest.peers = peers;
        Ok(contest)
    }

    fn enter(&mut self, peer: &dyn Peer, one_column: bool) -> Result<(), Box<dyn Error>> {
        let name = peer.name();
        comes_to_reject(&mut user(peer)?)?;
        self.add(name, Column::Closed, Lanes::Alone(user(peer)?))?;
        if one_column {
            return Ok(());
        }
        if self.second.is_some() {
            let mut users = peer.closed(2)?;
            if let Some((one, other)) = users.pop().zip(users.pop()) {
                self.add(name, Column::Together, Lanes::Together(one, Some(other)))?;
            }
        }
        comes_to_reject(&mut peer.call()?)?;
        self.add(name, Column::Call, Lanes::Alone(peer.call()?))?;
        let mut open = peer.rejected()?;
        comes_to_be_open(&mut open)?;
        self.add(name, Column::Rejected, Lanes::Alone(open))
    }

    fn add(
        &mut self,
        name: &'static str,
        column: Column,
        mut lanes: Lanes,
    ) -> Result<(), Box<dyn Error>> {
        let calls = lanes.calibrate(self.second.as_ref())?;
        let counted = lanes.each().next().map_or(0, |lane| {
            allocations::during(|| {
                let _ = lane.run(calls);
            })
        });
        let counted = u32::try_from(counted).map_or(f64::INFINITY, f64::from);
        let allocations = counted / f64::from(calls);
        self.entries.push(Entry { name, column, lanes, calls, samples: Vec::new(), allocations });
        Ok(())
    }

    /// Samples every subject once a round; longer than asked for if the machine
    /// is so busy that there are too few calm samples of any.
    pub(crate) fn play(&mut self, options: &Options) -> Result<(), Box<dyn Error>> {
        let begun = Instant::now();
        let mut chance = fastrand::Rng::with_seed(options.seed);
        while self.rounds() < options.rounds || !self.has_enough() {
            let mut order: Vec<_> = self.entries.iter_mut().collect();
            chance.shuffle(&mut order);
            for entry in order {
                let sample = entry
                    .lanes
                    .sample(entry.calls, self.second.as_ref())
                    .map_err(|error| format!("{}: {error}", entry.name))?;
                entry.samples.push(sample);
            }
            if begun.elapsed() > options.limit {
                break;
            }
        }
        Ok(())
    }

    /// Sees that what was measured was a working breaker to the end: what was
    /// closed can still be tripped, what was open is.
    pub(crate) fn check_health(&mut self) -> Result<(), Box<dyn Error>> {
        for entry in &mut self.entries {
            for lane in entry.lanes.each() {
                match entry.column {
                    Column::Floor | Column::Apart => Ok(()),
                    Column::Rejected => expect(lane, SHOWN),
                    Column::Closed | Column::Together | Column::Call => trip(lane, 0),
                }
                .map_err(|error| {
                    format!("{} ({:?}), afterwards: {error}", entry.name, entry.column)
                })?;
            }
        }
        Ok(())
    }

    /// The crates, ours first.
    pub(crate) fn peers(&self) -> impl Iterator<Item = &'static str> {
        self.peers.iter().map(|peer| peer.name())
    }

    fn has_enough(&self) -> bool {
        let calm = |entry: &Entry| entry.samples.iter().filter(|sample| sample.calm).count();
        self.entries.iter().all(|entry| calm(entry) >= CALM)
    }

    /// The names of the floors.
    pub(crate) fn floors(&self) -> impl Iterator<Item = &'static str> {
        self.entries.iter().filter(|e| e.column == Column::Floor).map(|entry| entry.name)
    }

    /// How many rounds were played.
    pub(crate) fn rounds(&self) -> usize {
        self.entries.iter().map(|entry| entry.samples.len()).min().unwrap_or(0)
    }

    fn entry(&self, name: &str, column: Column) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name && entry.column == column)
    }

    /// Whether this is measured: two threads are not where there is one
    /// processor.
    pub(crate) fn measures(&self, name: &str, column: Column) -> bool {
        self.entry(name, column).is_some()
    }

    /// Nanoseconds for each call.
    pub(crate) fn nanos(&self, name: &str, column: Column) -> Option<Spread> {
        statistics::spread(&self.entry(name, column)?.samples)
    }

    /// What one costs in terms of another, round by round.
    pub(crate) fn ratio(&self, this: (&str, Column), that: (&str, Column)) -> Option<Spread> {
        let (this, that) = (self.entry(this.0, this.1)?, self.entry(that.0, that.1)?);
        statistics::ratio(&this.samples, &that.samples)
    }

    /// Allocations for each call.
    pub(crate) fn allocations(&self, name: &str, column: Column) -> Option<f64> {
        self.entry(name, column).map(|entry| entry.allocations)
    }
}

/// The only user of a closed circuit.
fn user(peer: &dyn Peer) -> Result<Lane, Box<dyn Error>> {
    Ok(peer.closed(1)?.pop().ok_or("no user")?)
}

fn expect(lane: &mut Lane, good: u32) -> Result<(), String> {
    match lane.run(SHOWN) {
        found if found == good => Ok(()),
        found => Err(format!("{found} of {SHOWN} calls went as they should, not {good}")),
    }
}

/// Lets calls fail until a call goes otherwise than before, and sees that all
/// do from then on. Rates are counted against all the successes before.
fn trip(lane: &mut Lane, good: u32) -> Result<(), String> {
    let mut failures = 16_u32;
    while lane.run(1) != good / SHOWN && failures < 1 << 24 {
        (0..failures).for_each(|_| lane.fail());
        failures *= 2;
    }
    expect(lane, good)
}

/// A closed circuit admits, until it is tripped.
fn comes_to_reject(lane: &mut Lane) -> Result<(), String> {
    expect(lane, SHOWN)?;
    trip(lane, 0)
}

/// A circuit that is to be measured open rejects nothing, until it is tripped.
fn comes_to_be_open(lane: &mut Lane) -> Result<(), String> {
    expect(lane, 0)?;
    trip(lane, SHOWN)
}
