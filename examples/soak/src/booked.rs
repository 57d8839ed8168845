//! A store that keeps books on what it is asked, over another one.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fuseboard::{
    CircuitName,
    store::{Consistency, Operation, Record, ServerTime, Store, StoreError, Written},
};

use crate::{
    ledger::{Answer, Ledger},
    stopwatch::Stopwatch,
    write::Write,
};

/// How often an operation was applied (or answered), refused, and failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) done: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
}

/// What a registry asked of its store.
#[derive(Debug)]
pub(crate) struct Books {
    stopwatch: Stopwatch,
    counts: Mutex<BTreeMap<&'static str, Counts>>,
    /// When an operation failed last, in milliseconds; 0 is never.
    trouble: AtomicU64,
}

#[derive(Clone, Copy)]
enum End {
    Done,
    Refused,
    Failed,
}

impl Books {
    pub(crate) fn new(stopwatch: Stopwatch) -> Self {
        Self { stopwatch, counts: Mutex::default(), trouble: AtomicU64::new(0) }
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether nothing has failed since then.
    pub(crate) fn quiet_since(&self, then: Duration) -> bool {
        let last = self.trouble.load(Ordering::Relaxed);
        last == 0 || Duration::from_millis(last) < then
    }

    /// Something happened after which the store cannot be called healthy.
    pub(crate) fn note_trouble(&self) {
        let now = u64::try_from(self.stopwatch.now().as_millis()).unwrap_or(u64::MAX);
        self.trouble.fetch_max(now.max(1), Ordering::Relaxed);
    }

    fn note(&self, operation: &'static str, end: End) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = counts.entry(operation).or_default();
        let count = match end {
            End::Done => &mut counts.done,
            End::Refused => &mut counts.refused,
            End::Failed => &mut counts.failed,
        };
        *count = count.saturating_add(1);
    }
}

/// One operation; it has failed unless it is said to have ended otherwise, so
/// that one dropped for taking too long counts as failed.
struct Entry<'a> {
    books: &'a Books,
    operation: &'static str,
    end: End,
}

impl<'a> Entry<'a> {
    fn new(books: &'a Books, operation: &'static str) -> Self {
        Self { books, operation, end: End::Failed }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if let End::Failed = self.end {
            self.books.note_trouble();
        }
        self.books.note(self.operation, self.end);
    }
}

/// A write that is compared with what is told of it. Unless it is said to have
/// been answered otherwise it was not answered.
struct Asked<'a> {
    ledger: &'a Ledger,
    registry: usize,
    circuit: &'a CircuitName,
    write: Option<Write>,
    answer: Answer,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(write) = self.write.take() {
            self.ledger.answered(self.registry, self.circuit.as_str(), write, self.answer);
        }
    }
}

/// Passes everything on.
#[derive(Debug)]
pub(crate) struct Booked<S> {
    pub(crate) store: S,
    pub(crate) registry: usize,
    pub(crate) books: Arc<Books>,
    pub(crate) ledger: Arc<Ledger>,
}

impl<S: Store> Store for Booked<S> {
    async fn read(
        &self,
        circuit: &CircuitName,
        consistency: Consistency,
    ) -> Result<Option<Record>, StoreError> {
        let mut entry = Entry::new(&self.books, "read");
        let answer = self.store.read(circuit, consistency).await;
        if answer.is_ok() {
            entry.end = End::Done;
        }
        answer
    }

    async fn write(
        &self,
        circuit: &CircuitName,
        operation: &Operation,
    ) -> Result<Written, StoreError> {
        let mut entry = Entry::new(&self.books, operation.name());
        let (ledger, registry) = (&*self.ledger, self.registry);
        let write = Write::asked(operation);
        let mut asked = Asked { ledger, registry, circuit, write, answer: Answer::None };
        let answer = self.store.write(circuit, operation).await;
        (entry.end, asked.answer) = match &answer {
            Ok(Written::Applied(_)) => (End::Done, Answer::Applied),
            Ok(Written::Refused(_)) => (End::Refused, Answer::Refused),
            Err(_) => (End::Failed, Answer::None),
        };
        answer
    }

    fn server_time(&self) -> Option<ServerTime> {
        self.store.server_time()
    }
}
