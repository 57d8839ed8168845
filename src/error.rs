//! The errors, one type for each place where a program has to act on them.

use std::{error::Error, fmt, io, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    hold::info::HoldInfo,
    name::{CircuitName, NameError},
    protocol::answer::StoreErrorKind,
    reason::Reason,
    snapshot::Snapshot,
    state::CircuitInfo,
};

/// A setting that is out of range or contradicts another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}{field} {requirement}, got {value}")]
pub struct ConfigError {
    /// What comes before the field: empty, or with a dot at its end.
    path: String,
    field: &'static str,
    value: String,
    requirement: &'static str,
}

impl ConfigError {
    pub(crate) fn new(
        field: &'static str,
        value: impl fmt::Debug,
        requirement: &'static str,
    ) -> Self {
        Self { path: String::new(), field, value: format!("{value:?}"), requirement }
    }

    /// Says that the setting is one of a part of the settings: `default`, or a circuit's.
    pub(crate) fn within(self, part: &str) -> Self {
        Self { path: format!("{part}.{}", self.path), ..self }
    }

    /// Returns the name of the setting.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// Returns the name of the setting after the part of [`Settings`](crate::Settings) that it is
    /// in, as in `circuits.payments*.recovery_timeout`. The name alone, if it is in none.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}{}", self.path, self.field)
    }

    /// Returns the value that was given, as `Debug` shows it.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// Why a registry could not be spawned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// `spawn` was called outside a tokio runtime, which has to run the actors.
    #[error(
        "a registry is spawned inside a tokio runtime: call `spawn` from async code, or enter the runtime first"
    )]
    NoRuntime,
    /// The tokio runtime has no timer.
    #[error(
        "a registry needs a tokio runtime with a timer: build it with `enable_time` or `enable_all`"
    )]
    NoTimer,
    /// An environment variable is malformed, or a setting is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The [settings file](crate::RegistryBuilder::settings_file) is refused.
    #[error("the settings of {path:?} are refused: {reason}")]
    SettingsFile {
        /// The file.
        path: PathBuf,
        /// Why: it cannot be read, or what its parser says.
        reason: String,
    },
}

/// Why a registry could not return a breaker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The name is empty, ends in `#votes` or `#dry-run`, or is too long: the key of its item, with
    /// the registry's prefix and what a dry run or votes add to it, has at most 2,048 bytes.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The circuit exists with other settings; one circuit has one configuration
    /// in a process.
    #[error(
        "circuit {name:?} already runs in this registry with other settings: {}",
        listed(.differences)
    )]
    ConfigMismatch {
        /// The circuit's name.
        name: CircuitName,
        /// All settings that differ, at least one, in the order in which
        /// [`ConfigBuilder`](crate::ConfigBuilder) lists them.
        differences: Vec<SettingDifference>,
    },
    /// The registry was shut down.
    #[error("the registry was shut down")]
    ShutDown,
    /// The tokio runtime that the registry was spawned on has ended, and with it the actors: a
    /// breaker would admit every call.
    #[error(
        "the tokio runtime of this registry has ended: spawn a registry on a runtime that lives as long as the calls"
    )]
    RuntimeEnded,
}

/// A setting that has one value in the running circuit, and another in the request for its
/// breaker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {running}, requested is {requested}")]
pub struct SettingDifference {
    pub(crate) setting: &'static str,
    pub(crate) running: String,
    pub(crate) requested: String,
}

impl SettingDifference {
    /// Returns the name of the setting, as [`ConfigBuilder`](crate::ConfigBuilder) has it.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }

    /// Returns the value that the circuit runs with, as `Debug` shows it.
    #[must_use]
    pub fn running(&self) -> &str {
        &self.running
    }

    /// Returns the value of the request, as `Debug` shows it.
    #[must_use]
    pub fn requested(&self) -> &str {
        &self.requested
    }
}

fn listed(differences: &[SettingDifference]) -> String {
    let listed: Vec<_> = differences.iter().map(ToString::to_string).collect();
    listed.join("; ")
}

/// The circuit rejected a call: the protected function was not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "circuit {:?} is {}{}; retry in {:?}",
    self.circuit().name, self.circuit().state, self.addition(), self.retry_after()
)]
pub struct OpenError {
    /// Shared, so that the error is small: every call's result has room for it.
    snapshot: Arc<Snapshot>,
    /// In nanoseconds, for the same reason: enough for 584 years.
    retry_after: u64,
}

impl OpenError {
    pub(crate) fn new(snapshot: Arc<Snapshot>, retry_after: Duration) -> Self {
        Self { snapshot, retry_after: nanos(retry_after) }
    }

    /// Returns the circuit as this process saw it when it rejected the call. If the circuit
    /// closed at that moment, the state may already be closed.
    #[must_use]
    pub fn circuit(&self) -> &CircuitInfo {
        self.snapshot.circuit()
    }

    /// Returns the circuit by value.
    #[must_use]
    pub fn into_circuit(self) -> CircuitInfo {
        self.snapshot.circuit().clone()
    }

    /// Returns why the circuit rejected the call. A circuit that closed at that moment counts as
    /// tripped.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.snapshot.reason()
    }

    /// Returns the time until this circuit may admit a probe, as far as this process knows. Zero
    /// means that the next call may be a probe. While a probe runs, in any process, it is at
    /// most one `handoff` (1 s by default), since the probe may end well. On a
    /// [`ramp`](crate::ConfigBuilder::ramp) it is the time until a larger share of the calls is
    /// admitted.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        Duration::from_nanos(self.retry_after)
    }

    /// Returns the operator's hold by which the call was rejected, if it was: until when, by whom
    /// and why.
    #[must_use]
    pub fn hold(&self) -> Option<&HoldInfo> {
        self.snapshot.hold()
    }

    /// What the text says beside the state: a closed circuit that rejects would puzzle, and one
    /// that is held open may be well.
    fn addition(&self) -> String {
        match (self.reason(), self.hold()) {
            (Reason::Ramping, _) => " and ramping".to_owned(),
            (Reason::Held { .. }, Some(hold)) => format!(", {hold}"),
            (Reason::Held { .. } | Reason::Tripped | Reason::Probing, _) => String::new(),
        }
    }

    /// Finds the rejection behind an error that others have wrapped: middleware, an error type
    /// of yours, a box, or an `anyhow::Error`.
    ///
    /// Looks at the error, at its [`source`](Error::source), at the source of that, and so on;
    /// and into an [`io::Error`], a `Box` and an `Arc` of an error, which do not name what they
    /// hold as their source.
    ///
    /// Some errors hide what they hold. An error that keeps only the text of another holds no rejection. Some
    /// forward both their text and their `source` to what they hold: `#[error(transparent)]` of
    /// `thiserror`, and an `anyhow::Error` that became a `Box<dyn Error>`. An
    /// `OpenError` that stands directly behind one of these is not found, since it has no source. A
    /// [`CallError`] is found: its source is the rejection.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// # for _ in 0..5 { payments.admit().await?.failure().settled().await; }
    /// use fuseboard::OpenError;
    ///
    /// // A client that knows only of `io::Error`.
    /// async fn charge(payments: &fuseboard::Breaker) -> Result<u32, std::io::Error> {
    ///     payments.call(|| async { Ok::<_, std::io::Error>(42) }).await.map_err(std::io::Error::other)
    /// }
    ///
    /// let error: Box<dyn std::error::Error> = charge(&payments).await.unwrap_err().into();
    /// let open = OpenError::find(&*error).ok_or("another failure")?;
    /// assert_eq!(open.circuit().name.as_str(), "payment-backend");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = held(error).or_else(|| error.source());
        }
        None
    }
}

/// Returns what an error holds without naming it as its source: `source` of these goes on with
/// the source of what they hold.
fn held<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return Some(error.get_ref()?);
    }
    if let Some(CallError::Inner(error)) = error.downcast_ref::<CallError<io::Error>>() {
        return Some(error);
    }
    if let Some(error) = error.downcast_ref::<Arc<io::Error>>() {
        return Some(&**error);
    }
    if let Some(error) = error.downcast_ref::<Box<OpenError>>() {
        return Some(&**error);
    }
    if let Some(error) = error.downcast_ref::<Arc<OpenError>>() {
        return Some(&**error);
    }
    if let Some(error) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return Some(&**error);
    }
    Some(&**error.downcast_ref::<Arc<dyn Error>>()?)
}

/// A call took longer than its [`Limit`](crate::Limit), and was cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call was cut after its limit of {:?}", self.limit())]
pub struct TimedOutError {
    /// In nanoseconds, as in [`OpenError`].
    limit: u64,
}

impl TimedOutError {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit: nanos(limit) }
    }

    /// Returns for how long the call was allowed to run: its limit, or the time from its start to
    /// its deadline. Limits of more than 584 years are returned as 584 years.
    #[must_use]
    pub fn limit(&self) -> Duration {
        Duration::from_nanos(self.limit)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Why a protected call has no value.
///
/// Its [`source`](Error::source) is the [`OpenError`] or the [`TimedOutError`]. An error of the
/// protected function is shown as it is, and its source is the source of that error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError<E> {
    /// The circuit rejected the call; the protected function was not run.
    #[error("circuit {:?} rejected the call", .0.circuit().name)]
    Open(#[from] OpenError),
    /// The protected function ran longer than its limit. Only calls with a limit
    /// ([`Breaker::call_within`](crate::Breaker::call_within)) have this error.
    #[error("the call timed out")]
    TimedOut(#[from] TimedOutError),
    /// The protected function ran and failed with its own error.
    #[error(transparent)]
    Inner(E),
}

impl<E> CallError<E> {
    /// Turns the error of the protected function into another, to fit it into
    /// the caller's own.
    ///
    /// ```
    /// # use fuseboard::CallError;
    /// let failed: CallError<u16> = CallError::Inner(503);
    /// let mapped = failed.map_inner(|status| std::io::Error::other(format!("status {status}")));
    /// assert_eq!(mapped.to_string(), "status 503");
    /// ```
    #[must_use]
    pub fn map_inner<F>(self, map: impl FnOnce(E) -> F) -> CallError<F> {
        match self {
            Self::Open(open) => CallError::Open(open),
            Self::TimedOut(timed_out) => CallError::TimedOut(timed_out),
            Self::Inner(error) => CallError::Inner(map(error)),
        }
    }

    /// Turns a rejection, or a timeout, into an error of the protected function's own type, for
    /// functions whose errors are boxed, erased (`anyhow`), or an enum that has a
    /// place for both.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use fuseboard::{BreakerRegistry, CallError, MemoryStore};
    /// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
    /// # let payments = registry.breaker("payment-backend")?;
    /// async fn charge(order: &str) -> Result<u32, Box<dyn std::error::Error>> {
    ///     Ok(order.parse()?)
    /// }
    /// let charged = payments.call(|| charge("7")).await.map_err(CallError::into_error)?;
    /// assert_eq!(charged, 7);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn into_error(self) -> E
    where
        E: From<OpenError> + From<TimedOutError>,
    {
        match self {
            Self::Open(open) => open.into(),
            Self::TimedOut(timed_out) => timed_out.into(),
            Self::Inner(error) => error,
        }
    }

    /// Returns the error of the protected function, if it ran to its end.
    #[must_use]
    pub fn inner(&self) -> Option<&E> {
        match self {
            Self::Inner(error) => Some(error),
            Self::Open(_) | Self::TimedOut(_) => None,
        }
    }

    /// Returns the rejection, if the protected function was not run.
    #[must_use]
    pub fn open(&self) -> Option<&OpenError> {
        match self {
            Self::Open(error) => Some(error),
            Self::TimedOut(_) | Self::Inner(_) => None,
        }
    }

    /// Returns the timeout, if the protected function was cut at its limit.
    #[must_use]
    pub fn timed_out(&self) -> Option<&TimedOutError> {
        match self {
            Self::TimedOut(error) => Some(error),
            Self::Open(_) | Self::Inner(_) => None,
        }
    }
}

/// Why an operator's command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// The hold would end before it begins, or its reason is too long.
    #[error(transparent)]
    Invalid(#[from] ConfigError),
    /// Other processes changed the shared item at each of five tries; nothing was
    /// written.
    #[error("others kept changing the circuit; nothing was written, try again")]
    Contended,
    /// The item carries a hold that the command was not to end
    /// ([`hold_seen`](crate::Breaker::hold_seen), [`release_seen`](crate::Breaker::release_seen));
    /// nothing was written.
    #[error("the circuit is {0}; nothing was written")]
    Held(Box<HoldInfo>),
    /// The store failed; the command may have been carried out.
    #[error("the store failed ({0:?}); the command may have been carried out")]
    Store(StoreErrorKind),
    /// A later command for this circuit came before this one had begun; nothing was written for
    /// this one.
    #[error(
        "a later command for the circuit replaced this one before it began; nothing was written"
    )]
    Replaced,
    /// The registry was shut down, dropped or disabled; nothing was written.
    #[error("the circuit's registry is shut down, dropped or disabled; nothing was written")]
    Gone,
    /// There was no answer in time, or the registry ended in the meantime; the command may still
    /// be carried out.
    #[error("no answer to the command, which may still be carried out")]
    NoAnswer,
}

/// The budget of a flush or shutdown was spent before all outcomes were settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pending} outcomes were still unsettled after {budget:?}")]
pub struct FlushError {
    pub(crate) pending: usize,
    pub(crate) budget: Duration,
}

impl FlushError {
    /// Returns the number of outcomes that were not yet settled.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Returns the budget that was spent.
    #[must_use]
    pub fn budget(&self) -> Duration {
        self.budget
    }
}
