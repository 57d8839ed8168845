//! A breaker among the interceptors of a client.

use std::sync::{Arc, OnceLock};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{
                BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
                FinalizerInterceptorContextRef,
            },
        },
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;

use super::{
    admitted::{Admitted, Place, Scope},
    faults::of_context,
};
use crate::{breaker::Breaker, error::OpenError};

/// Guards every operation of a client of the AWS SDK for Rust by a breaker: add it to the
/// client's configuration, or to one operation (`customize().interceptor(…)`). It judges by the
/// rule of [`SdkFaults`](super::SdkFaults).
///
/// **For services.** The SDK's hooks are synchronous, so that an operation is admitted by
/// [`Breaker::try_admit_owned`]: it is admitted or rejected without waiting for a read of the
/// circuit, and the operation that trips the circuit returns before the trip is written. Where operations are rare, or where a process is frozen
/// between them, as in AWS Lambda, a circuit does not recover in this way. Use
/// [`Breaker::classified_by`] there.
///
/// A rejected operation is not sent. Its error is a `ConstructionFailure`, or a `DispatchFailure`
/// with [`per_attempt`](Self::per_attempt), and [`OpenError::find`] finds the rejection in it. A
/// rejection is no outcome, nor is the rejection of another circuit. An operation whose future is
/// dropped says nothing about the service, as for [`Breaker::call`].
///
/// The lease of a probe is renewed at each attempt, and not in between: an attempt that outlasts
/// `probe_lease` loses it. The attempt timeout of a client should be shorter.
///
/// Operations of a [`DynamoDbStore`](crate::DynamoDbStore) are left alone: they are neither
/// rejected nor counted. A store may thus share the client whose operations its circuit guards;
/// [`unset`](Self::unset) says how. A request that is signed in advance (`presigned`) is
/// rejected like any other, and counts for nothing.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use fuseboard::{BreakerRegistry, MemoryStore};
/// # let registry = BreakerRegistry::builder(MemoryStore::new()).spawn()?;
/// # #[cfg(feature = "dynamodb")] {
/// use aws_sdk_dynamodb::{Client, Config, config::BehaviorVersion, types::AttributeValue};
/// use fuseboard::{OpenError, aws::BreakerInterceptor};
///
/// let orders = registry.breaker("orders-table")?;
/// let config = Config::builder()
///     .behavior_version(BehaviorVersion::latest())
///     .interceptor(BreakerInterceptor::new(orders))
///     .build();
/// let client = Client::from_conf(config);
///
/// async fn look(client: &Client) {
///     let id = AttributeValue::S("order 7".to_owned());
///     match client.get_item().table_name("orders").key("id", id).send().await {
///         Ok(found) => println!("{:?}", found.item),
///         Err(error) => match OpenError::find(&error) {
///             Some(open) => println!("retry in {:?}", open.retry_after()),
///             None => println!("{error}"),
///         },
///     }
/// }
/// # let _ = look(&client);
/// # }
/// # Ok(()) }
/// ```
///
/// Clones are the same interceptor: one that is added to a client and to an operation counts the
/// operation once.
#[derive(Clone, Debug)]
pub struct BreakerInterceptor {
    place: Place,
    scope: Scope,
}

impl BreakerInterceptor {
    /// Makes an interceptor that asks this breaker before each operation, and reports how the
    /// operation ended, after all its attempts.
    #[must_use]
    pub fn new(breaker: Breaker) -> Self {
        Self { place: Arc::new(OnceLock::from(breaker)), scope: Scope::Operation }
    }

    /// Makes an interceptor that lets all operations pass until [`set`](Self::set) gives it a
    /// breaker: for a client that the breaker's own store uses as well, and that is there before
    /// the registry.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # #[cfg(feature = "dynamodb")] {
    /// use aws_sdk_dynamodb::{Client, Config, config::BehaviorVersion};
    /// use fuseboard::{BreakerRegistry, DynamoDbStore, aws::BreakerInterceptor};
    ///
    /// let interceptor = BreakerInterceptor::unset();
    /// let config = Config::builder()
    ///     .behavior_version(BehaviorVersion::latest())
    ///     .interceptor(interceptor.clone())
    ///     .build();
    /// let client = Client::from_conf(config);
    /// let store = DynamoDbStore::new(client.clone(), "CircuitBreakerState");
    /// let registry = BreakerRegistry::builder(store).spawn()?;
    /// assert!(interceptor.set(registry.breaker("orders-table")?).is_ok());
    /// # }
    /// # Ok(()) }
    /// ```
    ///
    /// The store then keeps a handle of the circuit, which is not forgotten before the registry
    /// ends.
    #[must_use]
    pub fn unset() -> Self {
        Self { place: Arc::default(), scope: Scope::Operation }
    }

    /// Gives a breaker to the interceptor and to all its clones.
    ///
    /// # Errors
    ///
    /// The breaker comes back if the interceptor has one.
    pub fn set(&self, breaker: Breaker) -> Result<(), Breaker> {
        self.place.set(breaker)
    }

    /// Asks before each attempt of an operation, and reports how each ended: a circuit trips in
    /// the midst of the SDK's retries, and the attempt after that is rejected, which ends them.
    #[must_use]
    pub fn per_attempt(self) -> Self {
        Self { place: self.place, scope: Scope::Attempt }
    }

    fn admit(&self, operation: &mut ConfigBag) -> Result<(), BoxError> {
        let Some(breaker) = self.place.get() else {
            return Ok(());
        };
        if is_of_a_store(operation) {
            return Ok(());
        }
        let is_admitted = |admitted: &mut Admitted| admitted.get(&self.place).is_some();
        if Admitted::of(operation).is_some_and(is_admitted) {
            return Ok(());
        }
        let permit = breaker.try_admit_owned().map_err(OpenError::from)?;
        Admitted::keep(operation, &self.place, self.scope, permit);
        Ok(())
    }

    fn report(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        operation: &mut ConfigBag,
    ) {
        let admitted = Admitted::of(operation);
        let permit = admitted.and_then(|admitted| admitted.take(&self.place, self.scope));
        if let Some(permit) = permit {
            permit.report(of_context(context, components));
        }
    }
}

impl Intercept for BreakerInterceptor {
    fn name(&self) -> &'static str {
        "fuseboard::BreakerInterceptor"
    }

    /// Not `read_before_execution`: a client's interceptors have that hook before the operation's
    /// own configuration is there, in which a store marks what it asks for itself.
    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        operation: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        match self.scope {
            Scope::Operation => self.admit(operation),
            Scope::Attempt => Ok(()),
        }
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        operation: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        match self.scope {
            Scope::Attempt => self.admit(operation),
            Scope::Operation => {
                if let Some(permit) = Admitted::of(operation).and_then(|all| all.get(&self.place)) {
                    permit.keep_alive();
                }
                Ok(())
            }
        }
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        operation: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.scope == Scope::Attempt {
            self.report(context, components, operation);
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        operation: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.report(context, components, operation);
        Ok(())
    }
}

/// Returns `true` for an operation that a store asks for, which has to reach the table while the
/// circuit is open.
#[cfg(feature = "dynamodb")]
fn is_of_a_store(operation: &ConfigBag) -> bool {
    operation.load::<crate::store::OwnOperation>().is_some()
}

#[cfg(not(feature = "dynamodb"))]
fn is_of_a_store(_: &ConfigBag) -> bool {
    false
}
