//! What is known of the table, and the pages that are told.
//!
//! A page that connects is sent all of it, and then what changes. One that does not take in what
//! it is sent loses its connection: it connects again, and is sent all of it.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use axum::response::sse::Event;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::board::{Board, Changed, WINDOW, millis};
use crate::{table::Listing, text::shown};

/// The most pages at once.
pub(super) const MOST_PAGES: usize = 32;

/// How many events a page may be behind: one is sent about every second.
const MOST_BEHIND: usize = 32;

/// After what time a page connects again, in milliseconds.
const RETRY: Duration = Duration::from_secs(1);

/// What a page is sent.
pub(super) type Events = ReceiverStream<Result<Event, Infallible>>;

/// What is shown, and to whom. Clones are handles of the same.
#[derive(Clone, Debug)]
pub(super) struct Hub(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// What does not change while the dashboard runs.
    about: Value,
    state: Mutex<State>,
    /// Somebody wants the table to be read now.
    wanted: Notify,
}

#[derive(Debug, Default)]
struct State {
    board: Board,
    /// When the table was last read, in milliseconds since the Unix epoch.
    read_at: Option<i64>,
    fault: Option<Fault>,
    others: Value,
    /// What is said where no circuit is shown.
    nothing: Option<String>,
    pages: Vec<mpsc::Sender<Result<Event, Infallible>>>,
}

/// Why the table cannot be read, and since when.
#[derive(Debug)]
struct Fault {
    why: String,
    since: i64,
}

impl Hub {
    /// Nothing is known yet.
    pub(super) fn new(table: &str, place: &str, interval: Duration, allow_changes: bool) -> Self {
        let about = json!({
            // Another run may have another page.
            "run": uuid::Uuid::new_v4().to_string(),
            "table": shown(table),
            "place": shown(place),
            "interval": u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
            "window": WINDOW,
            "changes": allow_changes,
        });
        let (state, wanted) = (Mutex::default(), Notify::new());
        Self(Arc::new(Shared { about, state, wanted }))
    }

    /// A page that is sent everything from now on; `None` if there are too many.
    pub(super) fn connect(&self, now: SystemTime) -> Option<Events> {
        let mut state = self.state();
        state.pages.retain(|page| !page.is_closed());
        if state.pages.len() >= MOST_PAGES {
            return None;
        }
        let (page, events) = mpsc::channel(MOST_BEHIND);
        let mut all = state.told(now);
        merge(&mut all, json!({"about": self.0.about}));
        merge(&mut all, json!({"circuits": state.board.tracks().collect::<Vec<_>>()}));
        // Its channel is empty.
        let _ = page.try_send(Ok(event("all", &all).retry(RETRY)));
        state.pages.push(page);
        Some(ReceiverStream::new(events))
    }

    /// Takes in what the table has, or what is said of it if it has no circuit, and tells the
    /// pages.
    pub(super) fn read(&self, listing: &Listing, nothing: Option<String>, now: SystemTime) {
        let mut state = self.state();
        let changed = state.board.read(&listing.circuits, now);
        (state.read_at, state.fault) = (Some(millis(now)), None);
        let dry_runs = listing.dry_runs.iter().filter(|circuit| circuit.is_open(now));
        let dry_runs: Vec<_> = dry_runs.map(|circuit| shown(&circuit.name)).collect();
        state.nothing = nothing;
        state.others = json!({
            "dry_runs": dry_runs,
            "foreign": listing.foreign.saturating_add(listing.unnamed),
            "of_other_prefixes": listing.of_other_prefixes.len(),
        });
        state.tell(changed, now);
    }

    /// Takes in that the table cannot be read, and tells the pages; returns `true` if it could
    /// before.
    pub(super) fn lose(&self, why: &str, now: SystemTime) -> bool {
        let mut state = self.state();
        let changed = state.board.lose(now);
        let since = state.fault.as_ref().map(|fault| fault.since);
        let fault = Fault { why: shown(why), since: since.unwrap_or(millis(now)) };
        state.fault = Some(fault);
        state.tell(changed, now);
        since.is_none()
    }

    /// Tells the pages that the dashboard is there, while the table is slow.
    pub(super) fn beat(&self, now: SystemTime) {
        self.state().tell(Changed::default(), now);
    }

    /// Has the table read at once.
    pub(super) fn want(&self) {
        self.0.wanted.notify_one();
    }

    /// Waits until somebody wants the table to be read at once.
    pub(super) async fn wanted(&self) {
        self.0.wanted.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What every event says.
    fn told(&self, now: SystemTime) -> Value {
        let fault = self.fault.as_ref();
        json!({
            "now": millis(now),
            "read_at": self.read_at,
            "fault": fault.map(|fault| json!({"why": fault.why, "since": fault.since})),
            "others": self.others,
            "nothing": self.nothing.as_deref().map(shown),
        })
    }

    /// Sends what has changed to every page; one that has not taken in enough is let go.
    fn tell(&mut self, changed: Changed, now: SystemTime) {
        if self.pages.is_empty() {
            return;
        }
        let circuits: Vec<_> =
            changed.circuits.iter().filter_map(|name| self.board.track(name)).collect();
        let mut told = self.told(now);
        merge(&mut told, json!({"circuits": circuits, "gone": changed.gone}));
        let event = event("changed", &told);
        self.pages.retain(|page| page.try_send(Ok(event.clone())).is_ok());
    }
}

/// Adds the members of one object to another.
fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

fn event(name: &str, data: &Value) -> Event {
    // JSON has no line end outside of its strings.
    Event::default().event(name).data(data.to_string())
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;

    use super::*;
    use crate::time::now;

    fn hub() -> Hub {
        Hub::new("circuits", "nowhere", Duration::from_secs(1), false)
    }

    #[tokio::test]
    async fn a_page_that_takes_nothing_in_is_let_go_and_others_are_told() {
        let hub = hub();
        let mut slow = hub.connect(now()).unwrap();
        let mut quick = hub.connect(now()).unwrap();
        for _ in 0..MOST_BEHIND {
            hub.beat(now());
            assert!(quick.next().await.is_some());
        }
        assert_eq!(hub.state().pages.len(), 1);
        let mut left = 0;
        while slow.next().await.is_some() {
            left += 1;
        }
        assert_eq!(left, MOST_BEHIND);
        hub.beat(now());
        assert!(quick.next().await.is_some());
    }

    #[tokio::test]
    async fn pages_are_bounded_and_one_that_leaves_makes_room() {
        let hub = hub();
        let mut pages: Vec<_> = (0..MOST_PAGES).map(|_| hub.connect(now()).unwrap()).collect();
        assert!(hub.connect(now()).is_none());
        pages.pop();
        assert!(hub.connect(now()).is_some());
    }
}
