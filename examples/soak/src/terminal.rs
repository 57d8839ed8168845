//! Where it is written: a terminal that can redraw a line, or anything else.

use std::io::{self, IsTerminal as _, Write as _};

/// The standard output. Nobody is left to be told when nobody reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    redraws: bool,
}

impl Terminal {
    pub(crate) fn new(plain: bool) -> Self {
        Self { redraws: !plain && io::stdout().is_terminal() }
    }

    /// Adds a line.
    pub(crate) fn line(&self, text: &str) {
        let erase = if self.redraws { "\r\x1b[K" } else { "" };
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{erase}{text}").and_then(|()| out.flush());
    }

    /// Shows a line for as long as nothing else is written. `stays` says whether
    /// it is worth a line of its own where lines can only be added.
    pub(crate) fn status(&self, text: &str, stays: bool) {
        let mut out = io::stdout().lock();
        let _ = match (self.redraws, stays) {
            (true, _) => write!(out, "\r\x1b[K{text}"),
            (false, true) => writeln!(out, "{text}"),
            (false, false) => Ok(()),
        };
        let _ = out.flush();
    }
}
