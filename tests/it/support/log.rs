//! How much the crate logs.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};

/// The lines of one level that the crate logs on this thread, from now on.
pub(crate) struct Lines {
    count: Arc<AtomicUsize>,
    _guard: DefaultGuard,
    /// While there is only one subscriber, a line that another thread comes
    /// upon first is switched off for all.
    _second: Dispatch,
}

impl Lines {
    pub(crate) fn of(level: Level) -> Self {
        let count = Arc::<AtomicUsize>::default();
        let second = Dispatch::new(Counter { level, count: Arc::default() });
        let counter = Counter { level, count: Arc::clone(&count) };
        let guard = tracing::subscriber::set_default(counter);
        Self { count, _guard: guard, _second: second }
    }

    /// How many there were since the last time.
    pub(crate) fn take(&self) -> usize {
        self.count.swap(0, Ordering::Relaxed)
    }
}

struct Counter {
    level: Level,
    count: Arc<AtomicUsize>,
}

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == self.level && metadata.target().starts_with("fuseboard")
    }

    fn event(&self, _: &Event<'_>) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
