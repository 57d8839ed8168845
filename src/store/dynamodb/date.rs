//! The time on DynamoDB's clock: the `Date` of its answers.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, http::HttpResponse,
        interceptors::BeforeDeserializationInterceptorContextRef,
    },
    error::BoxError,
    primitives::{DateTime, DateTimeFormat},
};

use crate::store::ServerTime;

/// `Date` shows whole seconds, rounded down.
const RESOLUTION: Duration = Duration::from_secs(1);

/// Notes the time of every answer, successes and errors alike. Clones share what
/// they note.
#[derive(Clone, Debug, Default)]
pub(super) struct Dates(Arc<Mutex<Option<Reading>>>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    shown: ServerTime,
    /// The time on the SDK's signing clock when the answer arrived.
    signing: Option<SystemTime>,
}

/// The difference of this process's clock from DynamoDB's, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offset {
    Ahead(Duration),
    Behind(Duration),
}

impl Dates {
    /// Returns the newest reading; `None` before the first.
    pub(super) fn newest(&self) -> Option<ServerTime> {
        self.lock().map(|reading| reading.shown)
    }

    /// Returns the offset of this process's clock when the newest answer arrived.
    pub(super) fn offset(&self) -> Option<Offset> {
        let reading = (*self.lock())?;
        let whole = |offset: Duration| Duration::from_secs(offset.as_secs());
        Some(match reading.signing?.duration_since(reading.shown.at()) {
            Ok(ahead) => Offset::Ahead(whole(ahead)),
            Err(behind) => Offset::Behind(whole(behind.duration())),
        })
    }

    fn note(&self, at: SystemTime, signing: Option<SystemTime>) {
        let mut newest = self.lock();
        let before = newest.map_or(0, |reading| reading.shown.answers());
        let shown = ServerTime::new(at, RESOLUTION, before.wrapping_add(1));
        *newest = Some(Reading { shown, signing });
    }

    fn lock(&self) -> MutexGuard<'_, Option<Reading>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Dates {
    fn name(&self) -> &'static str {
        "fuseboard::Dates"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // An answer without a time is no error: other engines send none.
        if let Some(at) = date_of(context.response()) {
            // `verify` warns of the clock that signs requests, which need not be the
            // registry's.
            self.note(at, components.time_source().map(|clock| clock.now()));
        }
        Ok(())
    }
}

/// Returns the time at which DynamoDB made this answer; `None` for an answer of a
/// proxy, which has no request id, and for one out of a cache, which is old.
fn date_of(answer: &HttpResponse) -> Option<SystemTime> {
    let headers = answer.headers();
    headers.get("x-amzn-requestid")?;
    if headers.get("age").is_some() {
        return None;
    }
    let date = DateTime::from_str(headers.get("date")?, DateTimeFormat::HttpDate).ok()?;
    SystemTime::try_from(date).ok().filter(|at| *at > SystemTime::UNIX_EPOCH)
}
