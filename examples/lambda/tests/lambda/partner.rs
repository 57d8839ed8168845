//! The partner: an HTTP API that works, fails or hangs.

use std::future::pending;

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse};
use tokio::sync::watch;

use crate::stage::serve;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mood {
    Works,
    Fails,
    /// Takes the request and does not answer, whatever its mood becomes.
    Hangs,
}

/// How it is, and how many calls it has got. Clones are the same partner.
#[derive(Clone)]
pub(crate) struct Partner {
    mood: watch::Sender<Mood>,
    calls: watch::Sender<usize>,
}

impl Partner {
    /// Returns the partner, and the endpoint that serves it.
    pub(crate) async fn serve() -> (Self, String) {
        let this = Self { mood: watch::Sender::new(Mood::Works), calls: watch::Sender::new(0) };
        let router = Router::new().fallback(charge).with_state(this.clone());
        (this, format!("http://{}", serve(router).await))
    }

    pub(crate) fn is(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    pub(crate) fn calls(&self) -> usize {
        *self.calls.borrow()
    }

    /// Waits until it has got so many calls.
    pub(crate) async fn gets(&self, calls: usize) {
        let mut counted = self.calls.subscribe();
        counted.wait_for(|count| *count >= calls).await.unwrap();
    }
}

async fn charge(State(partner): State<Partner>) -> impl IntoResponse {
    partner.calls.send_modify(|calls| *calls += 1);
    let mood = *partner.mood.borrow();
    match mood {
        Mood::Works => (StatusCode::OK, r#"{"receipt": "charged"}"#),
        Mood::Fails => (StatusCode::SERVICE_UNAVAILABLE, ""),
        Mood::Hangs => pending().await,
    }
}
