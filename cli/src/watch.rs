//! `watch`: what changes, until Ctrl-C.

mod lines;
mod screen;

use std::{future::Future, time::Duration};

use fuseboard::{
    CircuitName,
    store::{Consistency, StoreError, StoreErrorKind},
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::{lines::Lines, screen::Screen};
use crate::{
    circuit::Circuit,
    ending::Ending,
    output::{self, Output},
    table::Table,
};

/// What `watch` shows, and how.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) name: Option<CircuitName>,
    pub(crate) only_open: bool,
    pub(crate) interval: Duration,
    pub(crate) json: bool,
}

/// What one look at the table has found.
#[derive(Debug)]
struct Found {
    circuits: Vec<Circuit>,
    /// What is said if there are none, or the item is no circuit's.
    nothing: Option<String>,
}

/// What was found, or why the table could not be looked at.
type Look = Result<Found, String>;

/// Where it is shown.
enum View {
    Screen(Screen),
    Lines(Lines),
}

/// What ends the watching, or has the screen drawn again.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    resize: Signal,
}

/// Shows circuits until the process is told to end.
pub(crate) async fn watch(table: &Table, watch: &Watch) -> Result<(), Ending> {
    let mut signals = Signals::new()?;
    let mut view = if Output::detect().room.is_some() && !watch.json {
        View::Screen(Screen::open(table, watch)?)
    } else {
        View::Lines(Lines::new(watch))
    };
    let result = follow(table, watch, &mut view, &mut signals).await;
    if let View::Screen(screen) = view {
        screen.close()?;
    }
    result
}

async fn follow(
    table: &Table,
    watch: &Watch,
    view: &mut View,
    signals: &mut Signals,
) -> Result<(), Ending> {
    let key = watch.name.as_ref().map(|name| table.key(name)).transpose()?;
    let mut has_looked = false;
    loop {
        let look = look(table, watch, key.as_ref());
        let look = match signals.during(view, look).await? {
            None => return Ok(()),
            // A fault that waiting does not mend ends a watching that has not begun.
            Some(Err(error)) if !has_looked && error.kind() == StoreErrorKind::Misconfigured => {
                return Err(Ending::Failed(table.explain(&error)));
            }
            Some(look) => look.map_err(|error| table.explain(&error)),
        };
        let is_first = look.is_ok() && !std::mem::replace(&mut has_looked, true);
        if let (true, Some(name), Ok(Found { circuits, nothing: None })) =
            (is_first, &watch.name, &look)
            && circuits.is_empty()
        {
            match signals.during(view, table.unknown(name)).await? {
                None => return Ok(()),
                Some(why) => view.miss(why),
            }
        }
        view.show(look)?;
        // Where nothing changes nothing is written, so that a write does not tell it.
        if !output::is_read() {
            return Err(Ending::Unread);
        }
        if signals.during(view, tokio::time::sleep(watch.interval)).await?.is_none() {
            return Ok(());
        }
    }
}

/// Reads the table once.
async fn look(
    table: &Table,
    watch: &Watch,
    key: Option<&CircuitName>,
) -> Result<Found, StoreError> {
    let (Some(name), Some(key)) = (&watch.name, key) else {
        let listing = table.list(Consistency::Eventual).await?;
        let nothing = listing.nothing(table);
        return Ok(Found { circuits: listing.circuits, nothing });
    };
    let found = table.find(name, key, Consistency::Eventual).await?;
    Ok(match found {
        Some(circuit) if circuit.record.is_foreign() => {
            Found { circuits: Vec::new(), nothing: Some(table.not_a_circuits(name)) }
        }
        found => Found { circuits: found.into_iter().collect(), nothing: None },
    })
}

impl View {
    /// Takes what is said of the one circuit that is asked for, and has no item.
    fn miss(&mut self, why: String) {
        match self {
            Self::Screen(screen) => screen.miss(why),
            Self::Lines(lines) => lines.miss(why),
        }
    }

    fn show(&mut self, look: Look) -> Result<(), Ending> {
        match self {
            Self::Screen(screen) => screen.show(look),
            Self::Lines(lines) => lines.show(look),
        }
    }

    fn redraw(&self) -> Result<(), Ending> {
        match self {
            Self::Screen(screen) => screen.draw(),
            Self::Lines(_) => Ok(()),
        }
    }
}

impl Signals {
    fn new() -> Result<Self, Ending> {
        let listen = |kind| {
            signal(kind).map_err(|error| Ending::failed(format_args!("no signals: {error}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            resize: listen(SignalKind::window_change())?,
        })
    }

    /// Waits for something, while the screen follows its size; `None` if the process is told to
    /// end.
    async fn during<T>(
        &mut self,
        view: &View,
        awaited: impl Future<Output = T>,
    ) -> Result<Option<T>, Ending> {
        let mut awaited = Box::pin(awaited);
        loop {
            tokio::select! {
                done = &mut awaited => return Ok(Some(done)),
                _ = self.interrupt.recv() => return Ok(None),
                _ = self.terminate.recv() => return Ok(None),
                _ = self.resize.recv() => view.redraw()?,
            }
        }
    }
}
