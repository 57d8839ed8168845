//! Credentials that load beside the operations that need them.
//!
//! The SDK loads credentials inside an attempt: when the attempt's limit runs
//! out, the loading is dropped, and the next attempt begins it again, so that
//! credentials which take longer than an attempt are never there. Here a
//! loading that does not end at once goes on in a task of its own, one for all
//! who wait; the attempt fails with [`Loading`], and [`request`](super::request)
//! waits for the task outside of any attempt.
//!
//! Keeps no credentials but the newest, and those only to go on with them while
//! they are renewed: the cache of the client decides when to renew.

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

/// Credentials that end sooner than this are not relied upon while others are
/// loaded: the request takes time to arrive, and clocks differ (2 s are
/// tolerated, as everywhere).
const MARGIN: Duration = Duration::from_secs(3);

/// What the SDK says of a client that has no provider of credentials at all.
const NO_PROVIDER: &str = "there was no identity resolver for it";

/// How to mend the lack of credentials.
pub(super) const MEND: &str = "give this process credentials: a role of its task, function, pod or instance, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; if it has a role, see why its credentials endpoint does not answer";

/// The client's cache of credentials, with loading made to survive whoever
/// began it. Clones share one loading.
#[derive(Clone)]
pub(super) struct Credentials(Arc<Shared>);

struct Shared {
    /// Keeps what was loaded, and says when to load again.
    cache: SharedIdentityCache,
    /// The client's own limits, by which the cache bounds a loading. The limits
    /// of a store operation are far too short for it.
    limits: FrozenLayer,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The loading under way. It ends with the last of the store's clones.
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
    /// Over the cache of this client. Where the client brings none, the SDK
    /// would make one that cannot be asked for, so the store has one of its own.
    pub(super) fn of(client: &Client) -> Self {
        let config = client.config();
        let mut limits = Layer::new("fuseboard::Credentials");
        limits.store_or_unset(config.retry_config().cloned());
        limits.store_or_unset(config.timeout_config().cloned());
        Self(Arc::new(Shared {
            cache: config.identity_cache().unwrap_or_else(|| IdentityCache::lazy().build()),
            limits: limits.freeze(),
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
        if let Some(loading) = self.under_way(partition) {
            return self.newest(partition, now).ok_or_else(|| loading.into());
        }
        let mut load = self.load(resolver, &components);
        // Nearly always the cache has them, and there is nothing to load.
        let found = poll_fn(|context| Poll::Ready(load.as_mut().poll(context))).await;
        let error: BoxError = match found {
            Poll::Ready(Ok(identity)) => {
                self.lock().newest = Some((partition, identity.clone()));
                return Ok(identity);
            }
            Poll::Ready(Err(error)) => NotLoaded::from(error).into(),
            Poll::Pending => match Handle::try_current() {
                Ok(runtime) => self.go_on(&runtime, partition, load).into(),
                // Nowhere to go on, as on an executor that is not tokio's.
                Err(_) => return load.await.map_err(|error| NotLoaded::from(error).into()),
            },
        };
        self.newest(partition, now).ok_or(error)
    }

    /// Asks the cache, on behalf of nobody in particular. The loading must not
    /// hold what holds the task that it may become, or that would not end with
    /// the store; the components of a request name this very cache.
    fn load(&self, resolver: SharedIdentityResolver, components: &RuntimeComponents) -> Load {
        let (cache, limits) = (self.0.cache.clone(), self.0.limits.clone());
        let components = components.to_builder().with_identity_cache(Some(cache.clone())).build();
        Box::pin(async move {
            let mut bag = ConfigBag::base();
            bag.push_shared_layer(limits);
            cache.resolve_cached_identity(resolver, &components?, &bag).await
        })
    }

    /// Lets a loading go on whatever becomes of the operation that began it.
    #[expect(
        clippy::disallowed_methods,
        reason = "no operation outlives its limit, and a loading must; it ends with the store"
    )]
    fn go_on(&self, runtime: &Handle, partition: IdentityCachePartition, load: Load) -> Loading {
        let mut state = self.lock();
        // Another may have begun meanwhile; it speaks for all.
        if let Some(task) = state.loading.as_ref().filter(|task| task.is_under_way(partition)) {
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

    fn under_way(&self, partition: IdentityCachePartition) -> Option<Loading> {
        let mut state = self.lock();
        let ended = state.loading.take_if(|task| !task.is_under_way(task.partition));
        drop(ended);
        let task = state.loading.as_ref().filter(|task| task.is_under_way(partition))?;
        Some(task.loading.clone())
    }

    /// The newest credentials, if they are good for one more request.
    fn newest(
        &self,
        partition: IdentityCachePartition,
        now: Option<SystemTime>,
    ) -> Option<Identity> {
        let needed = now?.checked_add(MARGIN)?;
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
    /// Whether this loads what is asked for, and has not ended: by itself, or
    /// with the runtime that it ran on.
    fn is_under_way(&self, partition: IdentityCachePartition) -> bool {
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

/// One identity, for the request that has waited for it.
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

/// Credentials that are being loaded: how a request without them ends.
#[derive(Clone)]
pub(super) struct Loading(watch::Receiver<Option<Outcome>>);

impl Loading {
    /// Waits for the credentials, but no longer than this.
    pub(super) async fn wait(mut self, patience: Duration) -> Result<Identity, NoCredentials> {
        let loaded = tokio::time::timeout(patience, self.0.wait_for(Option::is_some)).await;
        match loaded {
            Err(_) => Err(NoCredentials::NotYet(patience)),
            Ok(Ok(outcome)) => match &*outcome {
                Some(Ok(identity)) => Ok(identity.clone()),
                Some(Err(error)) => Err(NoCredentials::NotLoaded(error.clone())),
                None => Err(NoCredentials::NotYet(patience)),
            },
            Ok(Err(_)) => Err(NoCredentials::NotYet(patience)),
        }
    }
}

impl fmt::Debug for Loading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Loading")
    }
}

impl fmt::Display for Loading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the credentials are being loaded")
    }
}

impl Error for Loading {}

/// Why credentials could not be loaded, all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotLoaded(Arc<str>);

impl From<BoxError> for NotLoaded {
    fn from(error: BoxError) -> Self {
        Self(chain(error.as_ref()).into())
    }
}

/// Why a request has no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoCredentials {
    /// They are being loaded for longer than is waited for.
    #[error("they are still being loaded, and {0:?} were waited for")]
    NotYet(Duration),
    /// There are none, or they cannot be loaded.
    #[error("{0}")]
    NotLoaded(NotLoaded),
}

/// What kept a request from being signed.
pub(super) enum Unsigned {
    Loading(Loading),
    NotLoaded(NotLoaded),
}

/// Whether a request failed for want of credentials.
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
