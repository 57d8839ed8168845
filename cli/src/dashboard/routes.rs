//! The page's addresses.

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State, rejection::JsonRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response, Sse},
    routing::{get, post},
};
use serde_json::json;

use super::{
    changes::{Order, Orders},
    guard::{self, Guard, TOKEN},
    hub::Hub,
};
use crate::time;

const PAGE: &str = include_str!("page/page.html");
const CHANGES: &str = include_str!("page/changes.html");
/// Where the page has what only a page with orders has.
const PLACE: &str = "<!-- changes -->";

/// The most bytes of an order: its texts have at most 1,024 each.
const MOST_BYTES: usize = 16 * 1_024;

/// What answers need.
#[derive(Clone, Debug)]
pub(super) struct Pages {
    pub(super) guard: Guard,
    pub(super) hub: Hub,
    /// `None` where nobody may change a circuit.
    pub(super) orders: Option<Orders>,
}

/// All addresses, behind the guard.
pub(super) fn router(pages: Pages) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/page.css", get(|| file("text/css", include_str!("page/page.css"))))
        .route("/page.js", get(|| file("text/javascript", include_str!("page/page.js"))))
        .route("/view.js", get(|| file("text/javascript", include_str!("page/view.js"))))
        .route("/changes.js", get(|| file("text/javascript", include_str!("page/changes.js"))))
        .route("/icon.svg", get(|| file("image/svg+xml", include_str!("page/icon.svg"))))
        .route("/events", get(events))
        .route("/order", post(order))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(middleware::from_fn_with_state(pages.clone(), guarded))
        .with_state(pages)
}

/// Answers only who may ask, and with the headers of the page.
async fn guarded(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let mut answer = match pages.guard.refuses(method, path, request.headers()) {
        Some(why) => refused(StatusCode::FORBIDDEN, why),
        None => next.run(request).await,
    };
    for (name, value) in guard::HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

async fn page(State(pages): State<Pages>) -> Response {
    let changes = match &pages.orders {
        // A token has no character that HTML knows; `by` is told with the events.
        Some(orders) => CHANGES.replace("{token}", orders.token()),
        None => String::new(),
    };
    file("text/html; charset=utf-8", PAGE.replace(PLACE, &changes)).await
}

async fn file(kind: &'static str, text: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, kind)], text.into()).into_response()
}

async fn events(State(pages): State<Pages>) -> Response {
    match pages.hub.connect(time::now()) {
        Some(events) => Sse::new(events).into_response(),
        None => refused(StatusCode::SERVICE_UNAVAILABLE, "too many pages are open"),
    }
}

async fn order(
    State(pages): State<Pages>,
    headers: HeaderMap,
    order: Result<Json<Order>, JsonRejection>,
) -> Response {
    let Some(orders) = &pages.orders else {
        return refused(StatusCode::FORBIDDEN, "this dashboard shows only: --allow-changes");
    };
    if !guard::is_token(orders.token(), headers.get(HeaderName::from_static(TOKEN))) {
        return refused(StatusCode::FORBIDDEN, "the page is of an earlier run: load it again");
    }
    let order = match order {
        Ok(Json(order)) => order,
        Err(rejection) => return refused(rejection.status(), &said(&rejection)),
    };
    // Whatever came of it is shown.
    let hub = pages.hub.clone();
    match orders.give(order, move || hub.want()).await {
        Some(Ok(done)) => Json(done).into_response(),
        Some(Err(why)) => (StatusCode::CONFLICT, Json(why)).into_response(),
        None => refused(StatusCode::SERVICE_UNAVAILABLE, "the dashboard ends"),
    }
}

/// What is wrong with the text of an order.
fn said(rejection: &JsonRejection) -> String {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return "the order is too long: a reason has at most 1,024 bytes".to_owned();
    }
    rejection.body_text()
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({"error": why}))).into_response()
}
