//! The standard output: a terminal or not, and a reader who may have left.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::ending::Ending;

/// What the standard output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// It can be redrawn, and has this many columns and rows.
    pub(crate) room: Option<Room>,
    pub(crate) has_colours: bool,
}

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

impl Output {
    /// Looks at the standard output, at `TERM` and at `NO_COLOR`.
    pub(crate) fn detect() -> Self {
        let is_capable = io::stdout().is_terminal()
            && env::var_os("TERM").is_none_or(|term| term != "dumb" && !term.is_empty());
        let room = if is_capable { room() } else { None };
        let is_plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { room, has_colours: room.is_some() && !is_plain }
    }

    /// The columns that a line may take; any number if lines are not cut.
    pub(crate) fn columns(self) -> Option<usize> {
        self.room.map(|room| room.columns)
    }
}

/// The size of the terminal now; `None` if it does not tell.
pub(crate) fn room() -> Option<Room> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    let room = Room { columns: size.ws_col.into(), rows: size.ws_row.into() };
    (room.columns > 0 && room.rows > 0).then_some(room)
}

/// Writes a text at once.
pub(crate) fn print(text: &str) -> Result<(), Ending> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Ending::Unread),
        Err(error) => Err(Ending::failed(format_args!("the output cannot be written: {error}"))),
    }
}

/// Returns `false` once nobody can read the standard output any more.
pub(crate) fn is_read() -> bool {
    let out = io::stdout();
    let mut asked = [PollFd::new(&out, PollFlags::empty())];
    // Errors are told whether or not they are asked for.
    let told = poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    told.is_err() || !asked.iter().any(|one| one.revents().contains(PollFlags::ERR))
}

/// Writes a text for people to the standard error. There is nobody else to tell if that fails.
pub(crate) fn note(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
