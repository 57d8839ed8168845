//! Looking for what is misconfigured, with the permissions that there are.

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
    fault::{Cause, said},
    misconfiguration::{Misconfiguration, NotChecked, Verified, VerifyError},
    table::Expiry,
    timeouts::RanOut,
};
use crate::{
    name::CircuitName,
    record::LeaseToken,
    store::{Consistency, Operation, Store, StoreError, StoreErrorKind},
};

/// A clock that is further off is far off.
const FAR_OFF: Duration = Duration::from_secs(30);

const GET: &str = "dynamodb:GetItem";
const UPDATE: &str = "dynamodb:UpdateItem";
const DESCRIBE_TABLE: &str = "dynamodb:DescribeTable";
const DESCRIBE_EXPIRY: &str = "dynamodb:DescribeTimeToLive";

impl DynamoDbStore {
    /// Looks for everything that would keep circuits from being shared, and
    /// says how to mend it: no table, another key, time-to-live that is off or
    /// on another attribute, a permission that is missing, credentials that are
    /// missing or not accepted, limits that are too short for the way to
    /// DynamoDB, and a clock that is more than 30 s off.
    ///
    /// For start-up: a breaker over a store that is misconfigured logs it and
    /// protects this process alone. Writes nothing: the read and the write that
    /// it tries are for a circuit `fuseboard#verify`, and the write is one that
    /// is refused. A policy with `dynamodb:LeadingKeys` has to allow that key.
    ///
    /// `dynamodb:GetItem` and `dynamodb:UpdateItem` are enough. With
    /// `dynamodb:DescribeTimeToLive` time-to-live is looked at as well, and with
    /// `dynamodb:DescribeTable` the table's key is named if it is not the
    /// store's; what was not looked at is told in what is returned.
    ///
    /// Each request is bounded as every operation is, and no other follows a
    /// read that could not reach the store, but up to three with longer limits
    /// (twice, four and eight times as long, a single attempt each, some 6 s in
    /// all by default), which tell a store that is far away from one that does
    /// not answer. Credentials are waited for up to 10 s.
    ///
    /// # Errors
    ///
    /// A [`VerifyError`] with every fault found, each with its mend, or with
    /// the error that kept the store from being reached, or with both.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing.
    pub async fn verify(&self) -> Result<Verified, VerifyError> {
        let dates = Dates::default();
        // With a reader of its own, so that the clock is looked at even where
        // it corrects nobody's.
        let store = self.at_start(&dates);
        let mut findings = Findings::new(store);
        match CircuitName::new("fuseboard#verify") {
            Ok(circuit) => Box::pin(findings.look(&circuit)).await,
            Err(error) => findings.note(Misconfiguration::NotSent { why: error.to_string() }),
        }
        findings.judge_clock(dates.offset());
        findings.into_result()
    }
}

/// What was found so far.
struct Findings {
    /// With longer limits once its own were found to be too short.
    store: DynamoDbStore,
    faults: Vec<Misconfiguration>,
    not_checked: Vec<NotChecked>,
    unreachable: Option<StoreError>,
    /// What DynamoDB said of a signature that it refused for its time.
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

    async fn look(&mut self, circuit: &CircuitName) {
        let read = self.store.read(circuit, Consistency::Strong).await;
        let mut is_key_known = read.is_ok();
        if let Err(error) = read {
            let ran_out = error.source().and_then(|cause| cause.downcast_ref()).copied();
            self.refused::<GetItemError>(GET, error);
            if let Some(ran_out) = ran_out {
                self.look_longer(circuit, ran_out).await;
            }
            if self.unreachable.is_some() || self.sends_nothing() {
                return;
            }
        }
        // No circuit is half-open under this token, so the update is refused.
        let close = Operation::Close { token: LeaseToken::new("verify"), expires_at: 0 };
        match self.store.write(circuit, &close).await {
            Ok(_) => is_key_known = true,
            // A refusal that shows no item is followed by a read.
            Err(error) if cause_of::<SdkError<GetItemError>>(&error).is_some() => {
                is_key_known = true;
                self.refused::<GetItemError>(GET, error);
            }
            Err(error) => self.refused::<UpdateItemError>(UPDATE, error),
        }
        // Whoever answers about an item has found our key to be the table's.
        if !is_key_known {
            self.look_at_key().await;
        }
        self.look_at_expiry().await;
    }

    /// Tells limits that are too short from a store that does not answer.
    async fn look_longer(&mut self, circuit: &CircuitName, ran_out: RanOut) {
        for factor in [2, 4, 8] {
            let store = self.store.slower(factor);
            let read = Box::pin(store.read(circuit, Consistency::Strong)).await;
            let answered = read.map_or_else(|error| is_answer(error.kind()), |_| true);
            if answered {
                self.unreachable = None;
                self.note(Misconfiguration::TimeoutTooShort {
                    ran_out: ran_out.to_string(),
                    operation_timeout: store.inner.timeouts.operation,
                });
                self.store = store;
                return;
            }
        }
    }

    /// Whether what was found keeps any other request from being sent as well.
    fn sends_nothing(&self) -> bool {
        let is_such = |known: &_| {
            matches!(
                known,
                Misconfiguration::NoCredentials { .. } | Misconfiguration::NotSent { .. }
            )
        };
        self.faults.iter().any(is_such)
    }

    async fn look_at_key(&mut self) {
        match self.store.describe(&self.store.call("describe", None)).await {
            Ok(table) => {
                if let Some(fault) = self.store.other_key(&table) {
                    // It says the same, and which key it is.
                    let is_refused =
                        |known: &_| matches!(known, Misconfiguration::KeyRefused { .. });
                    self.faults.retain(|known| !is_refused(known));
                    self.note(fault);
                }
            }
            Err(error) => {
                let not_checked = |why| NotChecked::Key { why };
                self.undescribed::<DescribeTableError>(DESCRIBE_TABLE, error, not_checked);
            }
        }
    }

    async fn look_at_expiry(&mut self) {
        let attribute = self.store.expiry_attribute();
        match self.store.expiry(&self.store.call("describe", None)).await {
            Ok(Expiry::On) => {}
            Ok(Expiry::Off) => {
                self.note(Misconfiguration::ExpiryOff { attribute: attribute.to_owned() });
            }
            Ok(Expiry::Elsewhere(fault)) => self.note(fault),
            Err(error) => {
                let not_checked = |why| NotChecked::Expiry { why };
                self.undescribed::<DescribeTimeToLiveError>(DESCRIBE_EXPIRY, error, not_checked);
            }
        }
    }

    fn judge_clock(&mut self, offset: Option<Offset>) {
        let refused = self.clock_refused.take();
        match (offset, refused) {
            (Some(Offset::Ahead(by)), _) if by > FAR_OFF => {
                self.note(Misconfiguration::ClockAhead { by });
            }
            (Some(Offset::Behind(by)), _) if by > FAR_OFF => {
                self.note(Misconfiguration::ClockBehind { by });
            }
            (_, Some(message)) => self.note(Misconfiguration::ClockRefused { message }),
            (Some(_), None) => {}
            (None, None) => self.not_checked.push(NotChecked::Clock),
        }
    }

    /// Sorts the error of a request that every circuit needs.
    fn refused<E>(&mut self, permission: &'static str, error: StoreError)
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if let Some(why) = cause_of::<NoCredentials>(&error) {
            self.note(Misconfiguration::NoCredentials { why: why.to_string() });
            return;
        }
        if error.kind() != StoreErrorKind::Misconfigured {
            self.unreachable.get_or_insert(error);
            return;
        }
        let Some((code, message)) = said::<E>(&error) else {
            let panicked = cause_of::<Panicked>(&error).map(ToString::to_string);
            let why = panicked.or_else(|| {
                let sent: &SdkError<E> = cause_of(&error)?;
                sent.source().map(chain)
            });
            self.note(Misconfiguration::NotSent { why: why.unwrap_or_else(|| error.to_string()) });
            return;
        };
        let fault = match Cause::of(&code, &message) {
            Cause::NoTable => self.no_table(),
            Cause::Denied => Misconfiguration::Denied { permission, message },
            Cause::Key => {
                Misconfiguration::KeyRefused { configured: self.store.key_in_words(), message }
            }
            Cause::Credentials => Misconfiguration::Credentials { code, message },
            Cause::Clock => {
                self.clock_refused.get_or_insert(message);
                return;
            }
            Cause::Other => Misconfiguration::Refused { code, message },
        };
        self.note(fault);
    }

    /// Sorts the error of a request that helps to look, and no circuit needs.
    fn undescribed<E>(
        &mut self,
        permission: &'static str,
        error: StoreError,
        not_checked: impl FnOnce(String) -> NotChecked,
    ) where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let Some((code, message)) = said::<E>(&error) else {
            self.not_checked.push(not_checked(error.to_string()));
            return;
        };
        let is_told = match Cause::of(&code, &message) {
            // Another account's table, or an engine without this operation, says
            // so too: it is a fault only if reads and writes say it.
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
        if !is_told {
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

    /// Adds a fault, unless another request has shown it already.
    fn note(&mut self, fault: Misconfiguration) {
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

/// The cause that an error of the store was made of.
fn cause_of<C: Error + 'static>(error: &StoreError) -> Option<&C> {
    error.source()?.downcast_ref()
}

/// Whether an error shows that DynamoDB has answered.
const fn is_answer(kind: StoreErrorKind) -> bool {
    match kind {
        StoreErrorKind::Throttled | StoreErrorKind::Misconfigured | StoreErrorKind::BadAnswer => {
            true
        }
        StoreErrorKind::Timeout | StoreErrorKind::Unavailable => false,
    }
}
