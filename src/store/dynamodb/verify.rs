//! Checks the configuration of a store, with the permissions that it has.

use std::{error::Error, time::Duration};

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        describe_table::DescribeTableError, describe_time_to_live::DescribeTimeToLiveError,
        get_item::GetItemError, update_item::UpdateItemError,
    },
};

use super::{
    DynamoDbStore,
    causes::{Panicked, chain},
    credentials::NoCredentials,
    date::{Dates, Offset},
    fault::{Cause, service_error},
    misconfiguration::{Misconfiguration, NotChecked, Verified, VerifyError},
    table::Expiry,
    timeouts::RanOut,
};
use crate::{
    name::CircuitName,
    protocol::record::LeaseToken,
    store::{Consistency, Operation, Store, StoreError, StoreErrorKind},
};

/// A larger offset of this process's clock is a fault.
const MOST_CLOCK_OFFSET: Duration = Duration::from_secs(30);

const GET: &str = "dynamodb:GetItem";
const UPDATE: &str = "dynamodb:UpdateItem";
const DESCRIBE_TABLE: &str = "dynamodb:DescribeTable";
const DESCRIBE_EXPIRY: &str = "dynamodb:DescribeTimeToLive";

impl DynamoDbStore {
    /// Checks everything that circuits need in order to be shared: the table, its key
    /// and its time-to-live, permissions, credentials, timeouts that are long enough
    /// for the distance to DynamoDB, and a clock that is at most 30 s off.
    ///
    /// Call it when a program starts: a breaker over a misconfigured store only logs
    /// that, and protects this process alone. Writes nothing: it reads a circuit
    /// `fuseboard#verify`, and tries a write that DynamoDB refuses. A policy with
    /// `dynamodb:LeadingKeys` has to allow that key.
    ///
    /// Needs `dynamodb:GetItem` and `dynamodb:UpdateItem`, as circuits do. Checks
    /// time-to-live only with `dynamodb:DescribeTimeToLive`, and names the table's key
    /// only with `dynamodb:DescribeTable`. [`Verified::not_checked`] lists the checks
    /// that it could not make.
    ///
    /// Each request has the timeouts of an operation. If the first read times out, up
    /// to three more follow with timeouts twice, four and eight times as long, about
    /// 6 s in all by default: a store that answers these is only far away. Waits up to
    /// 10 s for credentials.
    ///
    /// # Errors
    ///
    /// A [`VerifyError`] with
    ///
    /// - [`faults`](VerifyError::faults), each with its correction;
    /// - [`unreachable`](VerifyError::unreachable), if the store could not be reached:
    ///   try again later.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has no effect.
    pub async fn verify(&self) -> Result<Verified, VerifyError> {
        let dates = Dates::default();
        // A reader of its own checks the clock also if `server_time` is off.
        let store = self.at_start(&dates);
        let mut findings = Findings::new(store);
        match CircuitName::new("fuseboard#verify") {
            Ok(circuit) => Box::pin(findings.check_all(&circuit)).await,
            Err(error) => findings.add(Misconfiguration::NotSent { why: error.to_string() }),
        }
        findings.check_clock(dates.offset());
        findings.into_result()
    }
}

/// The findings so far.
struct Findings {
    /// With longer timeouts once its own were found to be too short.
    store: DynamoDbStore,
    faults: Vec<Misconfiguration>,
    not_checked: Vec<NotChecked>,
    unreachable: Option<StoreError>,
    /// DynamoDB's message about a signature that it refused for its time.
    clock_refused: Option<String>,
}

impl Findings {
    fn new(store: DynamoDbStore) -> Self {
        Self {
            store,
            faults: Vec::new(),
            not_checked: Vec::new(),
            unreachable: None,
            clock_refused: None,
        }
    }

    async fn check_all(&mut self, circuit: &CircuitName) {
        let read = self.store.read(circuit, Consistency::Strong).await;
        let mut is_key_known = read.is_ok();
        if let Err(error) = read {
            let ran_out = error.source().and_then(|cause| cause.downcast_ref()).copied();
            self.add_error::<GetItemError>(GET, error);
            if let Some(ran_out) = ran_out {
                self.retry_slower(circuit, ran_out).await;
            }
            if self.unreachable.is_some() || self.cannot_send() {
                return;
            }
        }
        // DynamoDB refuses this write, as no circuit is half-open under this token.
        let close = Operation::Close { token: LeaseToken::new("verify"), expires_at: 0 };
        match self.store.write(circuit, &close).await {
            Ok(_) => is_key_known = true,
            // The error of the read that follows a refusal without an item.
            Err(error) if cause_of::<SdkError<GetItemError>>(&error).is_some() => {
                is_key_known = true;
                self.add_error::<GetItemError>(GET, error);
            }
            Err(error) => self.add_error::<UpdateItemError>(UPDATE, error),
        }
        // DynamoDB decides conditions only on the items of a table with our key.
        if !is_key_known {
            self.check_key().await;
        }
        self.check_expiry().await;
    }

    /// Tells timeouts that are too short from a store that does not answer.
    async fn retry_slower(&mut self, circuit: &CircuitName, ran_out: RanOut) {
        for factor in [2, 4, 8] {
            let store = self.store.slower(factor);
            let read = Box::pin(store.read(circuit, Consistency::Strong)).await;
            let answered = read.map_or_else(|error| is_answer(error.kind()), |_| true);
            if answered {
                self.unreachable = None;
                self.add(Misconfiguration::TimeoutTooShort {
                    ran_out: ran_out.to_string(),
                    operation_timeout: store.inner.timeouts.operation,
                });
                self.store = store;
                return;
            }
        }
    }

    /// Returns `true` if a fault was found that no other request would survive.
    fn cannot_send(&self) -> bool {
        let is_such = |known: &_| {
            matches!(
                known,
                Misconfiguration::NoCredentials { .. } | Misconfiguration::NotSent { .. }
            )
        };
        self.faults.iter().any(is_such)
    }

    async fn check_key(&mut self) {
        match self.store.describe(&self.store.call("describe", None)).await {
            Ok(table) => {
                if let Some(fault) = self.store.key_mismatch(&table) {
                    // The mismatch says the same, and names the key.
                    let is_refused =
                        |known: &_| matches!(known, Misconfiguration::KeyRefused { .. });
                    self.faults.retain(|known| !is_refused(known));
                    self.add(fault);
                }
            }
            Err(error) => {
                let not_checked = |why| NotChecked::Key { why };
                self.add_unchecked::<DescribeTableError>(DESCRIBE_TABLE, error, not_checked);
            }
        }
    }

    async fn check_expiry(&mut self) {
        let attribute = self.store.expiry_attribute();
        match self.store.expiry(&self.store.call("describe", None)).await {
            Ok(Expiry::On) => {}
            Ok(Expiry::Off) => {
                self.add(Misconfiguration::ExpiryOff { attribute: attribute.to_owned() });
            }
            Ok(Expiry::Elsewhere(fault)) => self.add(fault),
            Err(error) => {
                let not_checked = |why| NotChecked::Expiry { why };
                self.add_unchecked::<DescribeTimeToLiveError>(DESCRIBE_EXPIRY, error, not_checked);
            }
        }
    }

    fn check_clock(&mut self, offset: Option<Offset>) {
        let refused = self.clock_refused.take();
        match (offset, refused) {
            (Some(Offset::Ahead(by)), _) if by > MOST_CLOCK_OFFSET => {
                self.add(Misconfiguration::ClockAhead { by });
            }
            (Some(Offset::Behind(by)), _) if by > MOST_CLOCK_OFFSET => {
                self.add(Misconfiguration::ClockBehind { by });
            }
            (_, Some(message)) => self.add(Misconfiguration::ClockRefused { message }),
            (Some(_), None) => {}
            (None, None) => self.not_checked.push(NotChecked::Clock),
        }
    }

    /// Adds the error of a request that every circuit needs.
    fn add_error<E>(&mut self, permission: &'static str, error: StoreError)
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if let Some(why) = cause_of::<NoCredentials>(&error) {
            self.add(Misconfiguration::NoCredentials { why: why.to_string() });
            return;
        }
        if error.kind() != StoreErrorKind::Misconfigured {
            self.unreachable.get_or_insert(error);
            return;
        }
        let Some((code, message)) = service_error::<E>(&error) else {
            let panicked = cause_of::<Panicked>(&error).map(ToString::to_string);
            let why = panicked.or_else(|| {
                let sent: &SdkError<E> = cause_of(&error)?;
                sent.source().map(chain)
            });
            self.add(Misconfiguration::NotSent { why: why.unwrap_or_else(|| error.to_string()) });
            return;
        };
        let fault = match Cause::of(&code, &message) {
            Cause::NoTable => self.no_table(),
            Cause::Denied => Misconfiguration::Denied { permission, message },
            Cause::Key => {
                Misconfiguration::KeyRefused { configured: self.store.key_description(), message }
            }
            Cause::Credentials => Misconfiguration::Credentials { code, message },
            Cause::Clock => {
                self.clock_refused.get_or_insert(message);
                return;
            }
            Cause::Other => Misconfiguration::Refused { code, message },
        };
        self.add(fault);
    }

    /// Adds the error of a request that no circuit needs, as a check that was not made.
    fn add_unchecked<E>(
        &mut self,
        permission: &'static str,
        error: StoreError,
        not_checked: impl FnOnce(String) -> NotChecked,
    ) where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let Some((code, message)) = service_error::<E>(&error) else {
            self.not_checked.push(not_checked(error.to_string()));
            return;
        };
        let is_reported = match Cause::of(&code, &message) {
            // Another account's table, or an engine without this operation, answers so
            // too: it is a fault only if reads and writes show it.
            Cause::NoTable => self.faults.contains(&self.no_table()),
            Cause::Credentials => self.faults.contains(&Misconfiguration::Credentials {
                code: code.clone(),
                message: message.clone(),
            }),
            Cause::Clock => self.clock_refused.is_some(),
            Cause::Denied => {
                let why = format!("{permission} is denied ({code}: {message})");
                self.not_checked.push(not_checked(why));
                return;
            }
            Cause::Key | Cause::Other => false,
        };
        if !is_reported {
            self.not_checked.push(not_checked(format!("{permission}: {code}: {message}")));
        }
    }

    fn no_table(&self) -> Misconfiguration {
        let region = self.store.client().config().region();
        Misconfiguration::NoTable {
            table: self.store.inner.table.clone(),
            region: region.map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// Adds a fault, unless another request has shown it.
    fn add(&mut self, fault: Misconfiguration) {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    fn into_result(self) -> Result<Verified, VerifyError> {
        if self.faults.is_empty() && self.unreachable.is_none() {
            return Ok(Verified::new(self.not_checked));
        }
        let table = &self.store.inner.table;
        Err(VerifyError::new(table, self.faults, self.not_checked, self.unreachable))
    }
}

/// Returns the source of an error, if it is of this type.
fn cause_of<C: Error + 'static>(error: &StoreError) -> Option<&C> {
    error.source()?.downcast_ref()
}

/// Returns `true` if an error shows that DynamoDB has answered.
const fn is_answer(kind: StoreErrorKind) -> bool {
    match kind {
        StoreErrorKind::Throttled | StoreErrorKind::Misconfigured | StoreErrorKind::BadAnswer => {
            true
        }
        StoreErrorKind::Timeout | StoreErrorKind::Unavailable => false,
    }
}
