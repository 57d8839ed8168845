//! Who is measured, and the rounds.

use std::{error::Error, time::Instant};

use crate::{
    column::Column,
    floors,
    measure::{Contended, Lanes, Sample},
    options::Options,
    peer::{Built, Peer},
    shown,
    statistics::{self, ENOUGH, Spread},
    subject::Lane,
    threads::Second,
};

/// How many calm samples of each subject there should be. Ratios are best of rounds
/// in which two were calm.
const CALM: usize = 2 * ENOUGH;

/// Ours is the first.
pub(crate) const OURS: &str = "fuseboard";

/// One subject.
struct Entry {
    name: &'static str,
    column: Column,
    lanes: Lanes,
    calls: u32,
    /// One for each round. None where there were enough.
    samples: Vec<Option<Sample>>,
}

impl Entry {
    fn has_enough(&self) -> bool {
        self.samples.iter().flatten().filter(|sample| sample.calm).count() >= CALM
    }
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
            let apart = Lanes::Together(floors::coarse(), Some(floors::coarse()), Contended::No);
            contest.add(floors::COARSE, Column::Apart, apart)?;
            let (one, other) = floors::shared_ring();
            let shared = Lanes::Together(one, Some(other), Contended::Perhaps);
            contest.add(floors::RING, Column::Shared, shared)?;
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

    fn enter(&mut self, peer: &dyn Peer, few_columns: bool) -> Result<(), Box<dyn Error>> {
        let name = peer.name();
        shown::comes_to_reject(&mut user(peer)?)?;
        self.add(name, Column::Closed, Lanes::Alone(user(peer)?))?;
        if let Some((mut shown, lane)) = peer.layer()?.zip(peer.layer()?) {
            shown::comes_to_reject(&mut shown)?;
            self.add(name, Column::Layer, Lanes::Alone(lane))?;
        }
        if few_columns {
            return Ok(());
        }
        self.add_pair(name, Column::Together, |users| peer.closed(users))?;
        self.add_with_rules(peer)?;
        shown::comes_to_reject(&mut peer.call()?)?;
        self.add(name, Column::Call, Lanes::Alone(peer.call()?))?;
        let beside = [
            (Column::CallSlow, peer.call_slow()?),
            (Column::Pending, peer.pending()?),
            (Column::Failing, peer.failing()?),
        ];
        for (column, lane) in beside {
            if let Some(lane) = lane {
                self.add(name, column, Lanes::Alone(lane))?;
            }
        }
        let mut open = peer.rejected()?;
        shown::comes_to_be_open(&mut open)?;
        self.add(name, Column::Rejected, Lanes::Alone(open))?;
        let Some(mut open) = peer.informed()? else { return Ok(()) };
        shown::comes_to_be_open(&mut open)?;
        self.add(name, Column::Informed, Lanes::Alone(open))
    }

    fn add_with_rules(&mut self, peer: &dyn Peer) -> Result<(), Box<dyn Error>> {
        let name = peer.name();
        if let Some(mut shown) = peer.ruled(1)?.pop() {
            shown::comes_to_reject(&mut shown)?;
        }
        for lane in peer.ruled(1)? {
            self.add(name, Column::Ruled, Lanes::Alone(lane))?;
        }
        self.add_pair(name, Column::RuledTogether, |users| peer.ruled(users))?;
        for lane in peer.watched(1)? {
            self.add(name, Column::Watched, Lanes::Alone(lane))?;
        }
        self.add_pair(name, Column::WatchedTogether, |users| peer.watched(users))
    }

    /// Adds two users of one circuit, if there are two processors and the crate has them.
    fn add_pair(
        &mut self,
        name: &'static str,
        column: Column,
        users: impl FnOnce(usize) -> Built<Vec<Lane>>,
    ) -> Result<(), Box<dyn Error>> {
        if self.second.is_none() {
            return Ok(());
        }
        let mut users = users(2)?;
        if let Some((one, other)) = users.pop().zip(users.pop()) {
            let contended = if name == OURS { Contended::No } else { Contended::Perhaps };
            self.add(name, column, Lanes::Together(one, Some(other), contended))?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        name: &'static str,
        column: Column,
        mut lanes: Lanes,
    ) -> Result<(), Box<dyn Error>> {
        let calls = lanes.calibrate(self.second.as_ref())?;
        self.entries.push(Entry { name, column, lanes, calls, samples: Vec::new() });
        Ok(())
    }

    /// Samples every subject once a round. Goes on for longer than asked for if the
    /// machine is so busy that there are too few calm samples of some: with those.
    pub(crate) fn play(&mut self, options: &Options) -> Result<(), Box<dyn Error>> {
        let begun = Instant::now();
        let mut chance = fastrand::Rng::with_seed(options.seed);
        loop {
            let as_asked = self.rounds() < options.rounds;
            if !as_asked && self.entries.iter().all(Entry::has_enough) {
                return Ok(());
            }
            let mut order: Vec<_> = self.entries.iter_mut().collect();
            chance.shuffle(&mut order);
            for entry in order {
                let wanted = as_asked || !entry.has_enough();
                let sample = wanted.then(|| entry.lanes.sample(entry.calls, self.second.as_ref()));
                let sample = sample.transpose().map_err(|e| format!("{}: {e}", entry.name))?;
                entry.samples.push(sample);
            }
            if begun.elapsed() > options.limit {
                return Ok(());
            }
        }
    }

    /// Sees that what was measured was a working breaker to the end: what was
    /// closed can still be tripped, what was open is.
    pub(crate) fn check_health(&mut self) -> Result<(), Box<dyn Error>> {
        for entry in &mut self.entries {
            for lane in entry.lanes.each() {
                shown::still_works(lane, entry.column).map_err(|error| {
                    format!("{} ({:?}), afterwards: {error}", entry.name, entry.column)
                })?;
            }
        }
        Ok(())
    }

    /// The first user of every subject.
    pub(crate) fn lanes(&mut self) -> impl Iterator<Item = (&'static str, Column, &mut Lane)> {
        self.entries
            .iter_mut()
            .filter_map(|entry| Some((entry.name, entry.column, entry.lanes.each().next()?)))
    }

    /// The crates, ours first.
    pub(crate) fn peers(&self) -> impl Iterator<Item = &'static str> {
        self.peers.iter().map(|peer| peer.name())
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

    /// What one costs in terms of another, by all rounds.
    pub(crate) fn ratio(&self, this: (&str, Column), that: (&str, Column)) -> Option<f64> {
        self.ratio_in(&vec![true; self.rounds()], this, that)
    }

    /// The same by some of the rounds: see `calm.rs`.
    pub(crate) fn ratio_in(
        &self,
        rounds: &[bool],
        this: (&str, Column),
        that: (&str, Column),
    ) -> Option<f64> {
        let (this, that) = (self.entry(this.0, this.1)?, self.entry(that.0, that.1)?);
        statistics::ratio(&this.samples, &that.samples, rounds)
    }

    /// What one costs more than another, in terms of a third, by some of the rounds.
    pub(crate) fn beyond_in(
        &self,
        rounds: &[bool],
        this: (&str, Column),
        that: (&str, Column),
        unit: (&str, Column),
    ) -> Option<f64> {
        let samples = |of: (&str, Column)| Some(self.entry(of.0, of.1)?.samples.as_slice());
        statistics::beyond(samples(this)?, samples(that)?, samples(unit)?, rounds)
    }

    /// The samples of each floor on one thread: what the machine did, whatever the crates do.
    pub(crate) fn samples_of_floors(&self) -> Vec<&[Option<Sample>]> {
        let floors = self.entries.iter().filter(|entry| entry.column == Column::Floor);
        floors.map(|entry| entry.samples.as_slice()).collect()
    }
}

/// The only user of a closed circuit.
fn user(peer: &dyn Peer) -> Result<Lane, Box<dyn Error>> {
    Ok(peer.closed(1)?.pop().ok_or("no user")?)
}
