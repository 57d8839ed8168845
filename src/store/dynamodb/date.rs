//! What DynamoDB's clock showed: the `Date` of its answers.

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

/// Reads the time of every answer, whether it is a success or an error. Clones
/// share their readings.
///
/// It is off the hot path and held for a copy, hence a lock rather than words
/// that have to agree.
#[derive(Clone, Debug, Default)]
pub(super) struct Dates(Arc<Mutex<Option<Reading>>>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    shown: ServerTime,
    /// What the clock that requests are signed by showed when it came in.
    signing: Option<SystemTime>,
}

/// How far this process's clock is from DynamoDB's, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offset {
    Ahead(Duration),
    Behind(Duration),
}

impl Dates {
    /// The newest reading; `None` as long as there is none.
    pub(super) fn newest(&self) -> Option<ServerTime> {
        self.lock().map(|reading| reading.shown)
    }

    /// How far the clock of the newest answer's receiver was off.
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
        // An answer that tells no time is as good as any other.
        if let Some(at) = date_of(context.response()) {
            // Not a clock of ours: the one that the SDK signs by.
            self.note(at, components.time_source().map(|clock| clock.now()));
        }
        Ok(())
    }
}

/// When DynamoDB made this answer. A proxy's own answer, which has no request
/// id, and one that lay in a cache must set nobody's clock.
fn date_of(answer: &HttpResponse) -> Option<SystemTime> {
    let headers = answer.headers();
    headers.get("x-amzn-requestid")?;
    if headers.get("age").is_some() {
        return None;
    }
    let date = DateTime::from_str(headers.get("date")?, DateTimeFormat::HttpDate).ok()?;
    SystemTime::try_from(date).ok().filter(|at| *at > SystemTime::UNIX_EPOCH)
}
