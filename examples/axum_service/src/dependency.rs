//! A dependency that works, dies and recovers when it is told to.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
};

use axum::{Router, http::StatusCode, routing::get};

/// A dependency, shared with its server.
#[derive(Clone, Default)]
pub struct Dependency {
    is_dead: Arc<AtomicBool>,
    calls: Arc<AtomicU32>,
}

impl Dependency {
    /// The server's routes.
    pub fn router(&self) -> Router {
        let own = self.clone();
        let answer = move || async move {
            own.calls.fetch_add(1, SeqCst);
            if own.is_dead.load(SeqCst) {
                (StatusCode::INTERNAL_SERVER_ERROR, "broken")
            } else {
                (StatusCode::OK, "7 in stock")
            }
        };
        Router::new().route("/", get(answer))
    }

    /// From now on each call fails.
    pub fn die(&self) {
        self.is_dead.store(true, SeqCst);
    }

    /// From now on each call works.
    pub fn recover(&self) {
        self.is_dead.store(false, SeqCst);
    }

    /// How many calls reached it.
    pub fn calls(&self) -> u32 {
        self.calls.load(SeqCst)
    }
}
