//! What the standard output is: a terminal that can redraw, or anything else.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use crate::paint::Paint;

/// The room that a terminal offers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// The standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    pub(crate) paint: Paint,
    /// `None` where lines can only be added.
    pub(crate) room: Option<Room>,
}

impl Terminal {
    /// Looks at the standard output and at `TERM` and `NO_COLOR`.
    pub(crate) fn detect() -> Self {
        let capable =
            io::stdout().is_terminal() && env::var("TERM").is_ok_and(|term| term != "dumb");
        if !capable {
            return Self { paint: Paint::Plain, room: None };
        }
        let colourless = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let paint = if colourless { Paint::Plain } else { Paint::Colours };
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
        let room = size
            .filter(|size| size.ws_col > 0)
            .map(|size| Room { columns: size.ws_col.into(), rows: size.ws_row.into() });
        Self { paint, room }
    }
}

/// Writes a text at once. Nobody is left to be told when nobody reads it.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
