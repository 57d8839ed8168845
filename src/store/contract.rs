//! Checks that a [`Store`] applies operations as [`Operation::apply`] defines.
//!
//! A store that applies two elections lets two probes run, and one that shows an old
//! record makes a circuit act on it. [`verify`] runs every operation on every kind of
//! record, compares the results, and then races operations of which one may win. Run
//! it in the tests of your own store.

mod cases;
mod votes;

use std::{
    fmt::Debug,
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use super::{Consistency, Operation, Record, Store, StoreError, Written};
use crate::name::{CircuitName, NameError};

/// A store did not do what an operation means.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The prefix is too long for a circuit name that begins with it.
    #[error("the prefix makes no circuit name")]
    Prefix(#[from] NameError),
    /// The store failed.
    #[error("the store failed on circuit {circuit}")]
    Store {
        /// The circuit that was worked on.
        circuit: CircuitName,
        /// The error of the store.
        #[source]
        error: StoreError,
    },
    /// The store gave another answer than the contract demands.
    #[error("{circuit}, {what}: expected {expected}, found {found}")]
    Answer {
        /// The circuit that was worked on.
        circuit: CircuitName,
        /// The read, operation or race, in words.
        what: String,
        /// The answer that the contract demands.
        expected: String,
        /// The answer of the store.
        found: String,
    },
}

/// Checks a store: every operation on every kind of record that operations
/// lead to, and races with one winner.
///
/// If the store keeps votes ([`Store::vote`]), these are checked as well: what ballots change, that
/// none is lost among others, and that record and votes leave each other alone.
///
/// Runs about 2,000 operations on more than a hundred circuits, whose names begin with
/// `prefix`. They must not exist before, and are not deleted.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), fuseboard::store::contract::Violation> {
/// use fuseboard::{MemoryStore, store::contract};
///
/// contract::verify(&MemoryStore::new(), "contract").await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// The first [`Violation`]:
///
/// - [`Prefix`](Violation::Prefix): use a shorter one.
/// - [`Store`](Violation::Store): the store failed, so that nothing is shown about
///   the contract; run it again when the store works.
/// - [`Answer`](Violation::Answer): the store breaks the contract, or the circuits
///   existed before.
///
/// # Cancel safety
///
/// A dropped future leaves the circuits that it has made.
pub async fn verify<S: Store>(store: &S, prefix: &str) -> Result<(), Violation> {
    let mut suite = Suite { store, prefix, made: 0 };
    for start in cases::starts() {
        Box::pin(suite.every_operation_on(&start)).await?;
    }
    for race in cases::races() {
        Box::pin(suite.race(&race)).await?;
    }
    Box::pin(suite.votes()).await
}

struct Suite<'a, S> {
    store: &'a S,
    prefix: &'a str,
    made: u32,
}

impl<S: Store> Suite<'_, S> {
    /// A refused operation changes nothing, so that one circuit serves until an
    /// operation is applied to it.
    async fn every_operation_on(&mut self, start: &cases::Start) -> Result<(), Violation> {
        let (mut circuit, current) = self.lead_to(&start.steps).await?;
        for operation in cases::operations() {
            let wanted = match operation.apply(current.as_ref()) {
                Some(record) => Written::Applied(record),
                None => Written::Refused(current.clone()),
            };
            let what = format!("{operation:?} on a record that is {}", start.name);
            self.write(&circuit, &operation, &what, &wanted).await?;
            if let Written::Applied(record) = wanted {
                self.read(&circuit, &what, Some(&record)).await?;
                (circuit, _) = self.lead_to(&start.steps).await?;
            }
        }
        self.read(&circuit, "a read after refused operations", current.as_ref()).await
    }

    async fn race(&mut self, race: &cases::Race) -> Result<(), Violation> {
        let (circuit, _) = self.lead_to(&race.steps).await?;
        let runs = race.contenders.iter().map(|operation| self.store.write(&circuit, operation));
        let mut winner = None;
        let mut shown = Vec::new();
        for answer in join(runs).await {
            match answer.map_err(|error| Violation::Store { circuit: circuit.clone(), error })? {
                Written::Applied(record) => {
                    if let Some(first) = winner.replace(record) {
                        let found = format!("{first:?} and {winner:?}");
                        return Err(violation(&circuit, race.name, &"one winner", &found));
                    }
                }
                Written::Refused(record) => shown.push(record),
            }
        }
        if winner.is_none() {
            return Err(violation(&circuit, race.name, &"one winner", &"none"));
        }
        for record in shown {
            if record != winner {
                return Err(violation(&circuit, race.name, &winner, &record));
            }
        }
        self.read(&circuit, race.name, winner.as_ref()).await
    }

    /// Brings a fresh circuit to a record by operations, each of which applies.
    async fn lead_to(
        &mut self,
        steps: &[Operation],
    ) -> Result<(CircuitName, Option<Record>), Violation> {
        let circuit = CircuitName::new(format!("{}{}", self.prefix, self.made))?;
        self.made = self.made.saturating_add(1);
        self.read(&circuit, "a read before anything was written", None).await?;
        let mut current = None;
        for operation in steps {
            let Some(record) = operation.apply(current.as_ref()) else {
                return Err(violation(&circuit, "a step of this suite", &"to apply", operation));
            };
            let what = format!("{operation:?} on {current:?}");
            self.write(&circuit, operation, &what, &Written::Applied(record.clone())).await?;
            current = Some(record);
        }
        Ok((circuit, current))
    }

    async fn write(
        &self,
        circuit: &CircuitName,
        operation: &Operation,
        what: &str,
        wanted: &Written,
    ) -> Result<(), Violation> {
        match self.store.write(circuit, operation).await {
            Ok(found) if found == *wanted => Ok(()),
            Ok(found) => Err(violation(circuit, what, wanted, &found)),
            Err(error) => Err(Violation::Store { circuit: circuit.clone(), error }),
        }
    }

    async fn read(
        &self,
        circuit: &CircuitName,
        what: &str,
        wanted: Option<&Record>,
    ) -> Result<(), Violation> {
        match self.store.read(circuit, Consistency::Strong).await {
            Ok(found) if found.as_ref() == wanted => Ok(()),
            Ok(found) => Err(violation(circuit, what, &wanted, &found)),
            Err(error) => Err(Violation::Store { circuit: circuit.clone(), error }),
        }
    }
}

fn violation(
    circuit: &CircuitName,
    what: &str,
    expected: &dyn Debug,
    found: &dyn Debug,
) -> Violation {
    Violation::Answer {
        circuit: circuit.clone(),
        what: what.to_owned(),
        expected: format!("{expected:?}"),
        found: format!("{found:?}"),
    }
}

/// Runs futures side by side in one task until all are done.
async fn join<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<Pin<Box<F>>> = futures.map(Box::pin).collect();
    let mut done = Vec::new();
    poll_fn(|context| {
        running.retain_mut(|future| match future.as_mut().poll(context) {
            Poll::Ready(output) => {
                done.push(output);
                false
            }
            Poll::Pending => true,
        });
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done
}
