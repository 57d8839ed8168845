//! Credentials that load beside the operations that need them.
//!
//! The SDK loads credentials inside an attempt. When the attempt's timeout runs out,
//! the loading is dropped, and the next attempt begins it again, so that credentials
//! which take longer than an attempt are never loaded. Here a loading that does not
//! end at once continues in a task of its own, one for all operations; the attempt
//! fails with [`Loading`], and [`request`](super::request) waits for the task outside
//! of any attempt.
//!
//! Keeps the newest credentials, to use them while others are loaded. The cache of the
//! client decides when to load.

use std::{
    error::Error,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::{
    Client,
    config::{
        ConfigBag, FrozenLayer, IdentityCache, Layer, ResolveCachedIdentity, RuntimeComponents,
        SharedIdentityCache,
    },
    error::{BoxError, SdkError},
};
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityCachePartition, IdentityFuture, SharedIdentityResolver,
};
use tokio::{runtime::Handle, sync::watch};
use tokio_util::task::AbortOnDropHandle;

use super::causes::{caught, chain, find};

/// Credentials that expire sooner than this are not used while others are loaded:
/// the request takes time to arrive, and clocks may differ by 2 s.
const EXPIRY_MARGIN: Duration = Duration::from_secs(3);

/// The SDK's words for a client without a provider of credentials.
const NO_PROVIDER: &str = "there was no identity resolver for it";

/// The advice to an operator whose process has no credentials.
pub(super) const ADVICE: &str = "give this process credentials: a role of its task, function, pod or instance, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; if it has a role, see why its credentials endpoint does not answer";

/// The client's cache of credentials, with a loading that survives the operation
/// which began it. Clones share one loading.
#[derive(Clone)]
pub(super) struct Credentials(Arc<Shared>);

struct Shared {
    /// Keeps credentials, and decides when to load again.
    cache: SharedIdentityCache,
    /// The client's own timeouts, by which the cache bounds a loading. Those of a
    /// store operation are far too short for it.
    client_timeouts: FrozenLayer,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The loading in progress. It ends with the last of the store's clones.
    loading: Option<Task>,
    newest: Option<(IdentityCachePartition, Identity)>,
}

struct Task {
    partition: IdentityCachePartition,
    loading: Loading,
    _ends_with_this: AbortOnDropHandle<()>,
}

type Load = Pin<Box<dyn Future<Output = Result<Identity, BoxError>> + Send>>;
type Outcome = Result<Identity, NotLoaded>;

impl Credentials {
    /// Uses the cache of this client. If the client has none, the SDK makes one that
    /// is not accessible, so that the store makes its own.
    pub(super) fn of(client: &Client) -> Self {
        let config = client.config();
        let mut client_timeouts = Layer::new("fuseboard::Credentials");
        client_timeouts.store_or_unset(config.retry_config().cloned());
        client_timeouts.store_or_unset(config.timeout_config().cloned());
        Self(Arc::new(Shared {
            cache: config.identity_cache().unwrap_or_else(|| IdentityCache::lazy().build()),
            client_timeouts: client_timeouts.freeze(),
            state: Mutex::default(),
        }))
    }

    async fn resolve(
        self,
        resolver: SharedIdentityResolver,
        components: RuntimeComponents,
    ) -> Result<Identity, BoxError> {
        let partition = resolver.cache_partition();
        let now = components.time_source().map(|clock| clock.now());
        if let Some(loading) = self.in_progress(partition) {
            return self.newest(partition, now).ok_or_else(|| loading.into());
        }
        let mut load = self.load(resolver, &components);
        // One poll is enough if the cache has them, as it has nearly always.
        let found = poll_fn(|context| Poll::Ready(load.as_mut().poll(context))).await;
        let error: BoxError = match found {
            Poll::Ready(Ok(identity)) => {
                self.lock().newest = Some((partition, identity.clone()));
                return Ok(identity);
            }
            Poll::Ready(Err(error)) => NotLoaded::from(error).into(),
            Poll::Pending => match Handle::try_current() {
                Ok(runtime) => self.spawn_load(&runtime, partition, load).into(),
                // There is no runtime for a task, as on an executor that is not tokio's.
                Err(_) => return load.await.map_err(|error| NotLoaded::from(error).into()),
            },
        };
        self.newest(partition, now).ok_or(error)
    }

    /// Asks the cache. The future must not own `Self`, which owns the task that the
    /// future may become: such a task would not end with the store. The components of
    /// a request name `Self` as the cache, hence the replacement.
    fn load(&self, resolver: SharedIdentityResolver, components: &RuntimeComponents) -> Load {
        let (cache, client_timeouts) = (self.0.cache.clone(), self.0.client_timeouts.clone());
        let components = components.to_builder().with_identity_cache(Some(cache.clone())).build();
        Box::pin(async move {
            let mut bag = ConfigBag::base();
            bag.push_shared_layer(client_timeouts);
            cache.resolve_cached_identity(resolver, &components?, &bag).await
        })
    }

    /// Continues a loading in a task, so that it survives the operation that began it.
    #[expect(
        clippy::disallowed_methods,
        reason = "a loading must outlive the operation that began it; it ends with the store"
    )]
    fn spawn_load(
        &self,
        runtime: &Handle,
        partition: IdentityCachePartition,
        load: Load,
    ) -> Loading {
        let mut state = self.lock();
        // Another operation may have begun a loading meanwhile. One is enough.
        if let Some(task) = state.loading.as_ref().filter(|task| task.is_in_progress(partition)) {
            return task.loading.clone();
        }
        let (sender, outcome) = watch::channel(None);
        let loading = Loading(outcome);
        let task = runtime.spawn(async move {
            let outcome: Outcome = match caught(load).await {
                Ok(loaded) => loaded.map_err(NotLoaded::from),
                Err(panicked) => Err(NotLoaded::from(BoxError::from(panicked))),
            };
            sender.send_replace(Some(outcome));
        });
        let _ends_with_this = AbortOnDropHandle::new(task);
        state.loading = Some(Task { partition, loading: loading.clone(), _ends_with_this });
        loading
    }

    fn in_progress(&self, partition: IdentityCachePartition) -> Option<Loading> {
        let mut state = self.lock();
        let ended = state.loading.take_if(|task| !task.is_in_progress(task.partition));
        drop(ended);
        let task = state.loading.as_ref().filter(|task| task.is_in_progress(partition))?;
        Some(task.loading.clone())
    }

    /// Returns the newest credentials, if they are valid for another request.
    fn newest(
        &self,
        partition: IdentityCachePartition,
        now: Option<SystemTime>,
    ) -> Option<Identity> {
        let needed = now?.checked_add(EXPIRY_MARGIN)?;
        let state = self.lock();
        let (its, identity) = state.newest.as_ref()?;
        let is_valid = *its == partition && identity.expiration().is_none_or(|end| needed < end);
        is_valid.then(|| identity.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    /// Returns `true` if this task loads for the partition, and has not ended, neither
    /// by itself nor with its runtime.
    fn is_in_progress(&self, partition: IdentityCachePartition) -> bool {
        self.partition == partition
            && self.loading.0.has_changed().is_ok()
            && self.loading.0.borrow().is_none()
    }
}

impl ResolveCachedIdentity for Credentials {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        components: &'a RuntimeComponents,
        _: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        IdentityFuture::new(self.clone().resolve(resolver, components.clone()))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// The identity that a request has waited for.
#[derive(Debug)]
pub(super) struct Loaded(pub(super) Identity);

impl ResolveCachedIdentity for Loaded {
    fn resolve_cached_identity<'a>(
        &'a self,
        _: SharedIdentityResolver,
        _: &'a RuntimeComponents,
        _: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        IdentityFuture::ready(Ok(self.0.clone()))
    }
}

/// Credentials that are being loaded: the error of a request without them.
#[derive(Clone, thiserror::Error)]
#[error("the credentials are being loaded")]
pub(super) struct Loading(watch::Receiver<Option<Outcome>>);

impl Loading {
    /// Waits for the credentials, for at most `timeout`.
    pub(super) async fn wait(mut self, timeout: Duration) -> Result<Identity, NoCredentials> {
        let loaded = tokio::time::timeout(timeout, self.0.wait_for(Option::is_some)).await;
        match loaded {
            Err(_) => Err(NoCredentials::NotYet(timeout)),
            Ok(Ok(outcome)) => match &*outcome {
                Some(Ok(identity)) => Ok(identity.clone()),
                Some(Err(error)) => Err(NoCredentials::NotLoaded(error.clone())),
                None => Err(NoCredentials::NotYet(timeout)),
            },
            Ok(Err(_)) => Err(NoCredentials::NotYet(timeout)),
        }
    }
}

impl fmt::Debug for Loading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Loading")
    }
}

/// The reason why credentials could not be loaded, with all its causes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotLoaded(Arc<str>);

impl From<BoxError> for NotLoaded {
    fn from(error: BoxError) -> Self {
        Self(chain(error.as_ref()).into())
    }
}

/// The reason why a request has no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoCredentials {
    /// The wait for the loading timed out.
    #[error("they are still being loaded, and {0:?} were waited for")]
    NotYet(Duration),
    /// There are none, or they cannot be loaded.
    #[error("{0}")]
    NotLoaded(NotLoaded),
}

/// The reason why a request could not be signed.
pub(super) enum Unsigned {
    Loading(Loading),
    NotLoaded(NotLoaded),
}

/// Returns the reason if a request failed because it had no credentials.
pub(super) fn unsigned<E: Error + 'static>(error: &SdkError<E>) -> Option<Unsigned> {
    if !matches!(error, SdkError::DispatchFailure(_)) {
        return None;
    }
    if let Some(loading) = find::<Loading>(error) {
        return Some(Unsigned::Loading(loading.clone()));
    }
    if let Some(error) = find::<NotLoaded>(error) {
        return Some(Unsigned::NotLoaded(error.clone()));
    }
    // The SDK's own type for this is private.
    chain(error).contains(NO_PROVIDER).then(|| {
        let why = "the client has no provider of credentials";
        Unsigned::NotLoaded(NotLoaded(why.into()))
    })
}
