//! How much the crate logs, and what.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};

/// The lines of one level that the crate logs on this thread, from now on.
pub(crate) struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    _guard: DefaultGuard,
    /// While there is only one subscriber, a line that another thread comes
    /// upon first is switched off for all.
    _second: Dispatch,
}

impl Lines {
    pub(crate) fn of(level: Level) -> Self {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let second = Dispatch::new(Reader { level, lines: Arc::default() });
        let reader = Reader { level, lines: Arc::clone(&lines) };
        let guard = tracing::subscriber::set_default(reader);
        Self { lines, _guard: guard, _second: second }
    }

    /// How many there were since the last time.
    pub(crate) fn take(&self) -> usize {
        self.take_texts().len()
    }

    /// What they said since the last time, with their fields.
    pub(crate) fn take_texts(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

struct Reader {
    level: Level,
    lines: Arc<Mutex<Vec<String>>>,
}

/// One line, with its fields.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

impl Subscriber for Reader {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == self.level && metadata.target().starts_with("fuseboard")
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.lines.lock().unwrap().push(text.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
