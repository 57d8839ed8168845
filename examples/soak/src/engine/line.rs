//! What the soak and its engine say to each other: one line of JSON each.

use std::{collections::BTreeMap, io, time::Duration};

use serde::{Deserialize, Serialize};

use crate::write::Write;

/// What the engine is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// A phase of the load began then, in time since the Unix epoch.
    Begin { phase: usize, since_epoch: Duration },
    /// The load has ended: no more faults.
    Calm,
    /// Close every connection on which nothing is under way.
    Part,
    /// Say what has passed.
    Count,
}

/// What the engine says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    /// The relays listen.
    Ready { ports: Vec<u16> },
    /// A write was applied. Said before its answer goes on its way, if it does.
    Wrote { registry: usize, circuit: String, write: Write, delivered: bool },
    /// What has passed up to here.
    Counted(Counted),
    /// The last word.
    Stopped { tasks: usize },
}

/// What passed all relays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) requests: BTreeMap<String, u64>,
    pub(crate) faults: BTreeMap<String, u64>,
    /// The most connections that ever stood.
    pub(crate) most_connections: usize,
}

impl Counted {
    pub(crate) fn all_requests(&self) -> u64 {
        self.requests.values().copied().fold(0, u64::saturating_add)
    }
}

/// Writes one line. The other end may be gone: it then reads nothing any more.
pub(super) fn write(mut to: impl io::Write, what: &impl Serialize) {
    if let Ok(mut line) = serde_json::to_vec(what) {
        line.push(b'\n');
        let _ = to.write_all(&line).and_then(|()| to.flush());
    }
}

/// The engine's end.
pub(crate) fn say(word: &Word) {
    write(io::stdout().lock(), word);
}
