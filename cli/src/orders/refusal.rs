//! Why an order is not carried out.

use std::time::SystemTime;

use fuseboard::{CircuitName, HoldInfo, HoldKind};

use crate::{circuit::Hold, ending::Ending, text::shown, time};

/// Why an order was not carried out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The circuit is under a hold that the order was not to end. Nothing was written.
    Held(Box<Hold>),
    /// The circuit has no item, and the order was not to make one. Nothing was written.
    NoItem(String),
    /// Anything else.
    Ending(Ending),
}

impl From<Ending> for Refusal {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::NotFound(text) => Self::NoItem(text),
            Ending::Unread | Ending::Failed(_) | Ending::Usage(_) | Ending::SomeOpen => {
                Self::Ending(ending)
            }
        }
    }
}

impl Refusal {
    /// The hold that the library has found.
    pub(super) fn by(found: &HoldInfo) -> Self {
        Self::Held(Box::new(Hold {
            is_open: found.kind == HoldKind::Open,
            until: Some(time::seconds(found.until)),
            by: found.by.clone(),
            reason: found.reason.to_string(),
        }))
    }
}

/// Who holds a circuit, which way, until when and why; safe for a terminal.
pub(crate) fn holds(name: &CircuitName, hold: &Hold, now: SystemTime) -> String {
    let by = hold.by.as_deref().unwrap_or("somebody");
    let way = if hold.is_open { "open" } else { "closed" };
    let until = until(hold, now);
    let why = if hold.reason.is_empty() { "" } else { ": " };
    shown(&format!("{by} holds {name} {way} until {until}{why}{}", hold.reason))
}

/// When a hold ends.
pub(crate) fn until(hold: &Hold, now: SystemTime) -> String {
    hold.until.map_or_else(
        || "it is released, or a process has probed it".to_owned(),
        |until| format!("{} ({})", time::rfc3339(until), time::distance(now, until)),
    )
}
