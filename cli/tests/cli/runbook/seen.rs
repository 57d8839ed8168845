//! What a process of this thread logs and counts.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// The lines that processes of this thread log, from `info` on.
pub(super) struct Log {
    lines: Lines,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(super) fn begin() -> Self {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_target(false)
            .with_max_level(tracing::Level::INFO)
            .with_writer(lines.clone())
            .finish();
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// What was logged since the last look.
    pub(super) fn take(&self) -> String {
        let mut lines = self.lines.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(std::mem::take(&mut lines)).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The lines of a page of metrics that begin so, in the order of these beginnings.
pub(super) fn series(metrics: &str, beginnings: &[&str]) -> String {
    let of = |beginning: &&str| {
        let beginning = (*beginning).to_owned();
        let mut lines: Vec<_> =
            metrics.lines().filter(|line| line.starts_with(&beginning)).collect();
        assert!(!lines.is_empty(), "{beginning}: {metrics}");
        lines.sort_unstable();
        lines.join("\n") + "\n"
    };
    beginnings.iter().map(of).collect()
}
