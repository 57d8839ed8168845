//! What must hold of every run.
//!
//! Each check returns what it found in words. They judge a write by who sent
//! it, by what its sender was shown, and by what its callers saw, not by the
//! condition that it carried.

mod leases;
mod lengths;
mod probes;
mod ramps;
mod told;
mod traffic;
mod writes;

use std::{collections::HashMap, time::Duration};

use super::{
    item::{self, Item, Step},
    plan::Plan,
    world::{Call, Run},
};

/// A run, with its history understood.
pub(crate) struct Story<'a> {
    pub(crate) run: &'a Run,
    pub(crate) plan: &'a Plan,
    pub(crate) steps: Vec<Step>,
    /// What each client called, in order of asking, and was shown.
    calls: HashMap<&'a str, Vec<&'a Call>>,
    shown: HashMap<&'a str, Vec<(Duration, usize)>>,
}

/// What is wrong with a run.
pub(crate) type Findings = Vec<String>;

impl<'a> Story<'a> {
    pub(crate) fn new(run: &'a Run) -> Self {
        let (mut calls, mut shown): (HashMap<_, Vec<_>>, HashMap<_, Vec<_>>) = Default::default();
        for call in &run.notes.calls {
            calls.entry(&*call.client).or_default().push(call);
        }
        for (at, client, version) in &run.history.shown {
            shown.entry(&**client).or_default().push((*at, *version));
        }
        Self { run, plan: &run.plan, steps: item::steps(&run.history), calls, shown }
    }

    /// The items that a client was shown before a step, when, and after how
    /// many writes each stood.
    fn shown(
        &self,
        client: &str,
        before: usize,
    ) -> impl Iterator<Item = (Duration, usize, Option<&Item>)> {
        let shown = self.versions(client).filter(move |(_, version)| *version <= before);
        shown.map(|(at, version)| {
            let write = version.checked_sub(1).map(|last| &self.steps[last]);
            (at, version, write.and_then(|write| write.after.as_ref()))
        })
    }

    /// When a client was shown the item, and after how many writes.
    fn versions(&self, client: &str) -> impl Iterator<Item = (Duration, usize)> {
        self.shown.get(client).into_iter().flatten().copied()
    }

    fn calls(&self, client: &str) -> impl Iterator<Item = &'a Call> {
        self.calls.get(client).into_iter().flatten().copied()
    }

    /// Every client that made calls.
    fn clients(&self) -> Vec<&str> {
        let mut clients: Vec<_> = self.calls.keys().copied().collect();
        clients.sort_unstable();
        clients
    }
}

/// Everything that is wrong with a run.
pub(crate) fn check(run: &Run) -> Findings {
    let story = Story::new(run);
    let mut found = Vec::new();
    writes::check(&story, &mut found);
    leases::check(&story, &mut found);
    told::check(&story, &mut found);
    probes::check(&story, &mut found);
    traffic::check(&story, &mut found);
    lengths::check(&story, &mut found);
    ramps::check(&story, &mut found);
    if run.closed_at.is_none() {
        found.push(format!("recovery is guaranteed: {}", run.left));
    }
    found
}
