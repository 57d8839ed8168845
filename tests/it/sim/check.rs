//! What must hold of every run.
//!
//! Each check returns what it found in words. They judge a write by who sent
//! it, by what its sender was shown, and by what its callers saw, not by the
//! condition that it carried.

mod leases;
mod probes;
mod told;
mod traffic;
mod writes;

use std::time::Duration;

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
}

/// What is wrong with a run.
pub(crate) type Findings = Vec<String>;

impl<'a> Story<'a> {
    pub(crate) fn new(run: &'a Run) -> Self {
        Self { run, plan: &run.plan, steps: item::steps(&run.history) }
    }

    /// The items that a client was shown before a step, when, and after how
    /// many writes each stood.
    fn shown(
        &self,
        client: &str,
        before: usize,
    ) -> impl Iterator<Item = (Duration, usize, Option<&Item>)> {
        let client = client.to_owned();
        let shown = self.run.history.shown.iter();
        shown.filter(move |(_, who, version)| *who == client && *version <= before).map(
            |(at, _, version)| {
                let write = version.checked_sub(1).map(|last| &self.steps[last]);
                (*at, *version, write.and_then(|write| write.after.as_ref()))
            },
        )
    }

    fn calls(&self, client: &str) -> impl Iterator<Item = &Call> {
        let client = client.to_owned();
        self.run.notes.calls.iter().filter(move |call| call.client == client)
    }

    /// Every client that made calls.
    fn clients(&self) -> Vec<&str> {
        let mut clients: Vec<_> = self.run.notes.calls.iter().map(|call| &*call.client).collect();
        clients.sort_unstable();
        clients.dedup();
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
    if run.closed_at.is_none() {
        found.push(format!("recovery is guaranteed: {}", run.left));
    }
    found
}
