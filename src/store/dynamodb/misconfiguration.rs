//! The results of [`verify`](super::DynamoDbStore::verify).

use std::{fmt, time::Duration};

use crate::store::StoreError;

/// A fault of the configuration that keeps circuits from being shared, or from being
/// shared well, until an operator corrects it.
///
/// `Display` says what is wrong, with names and values, and how to correct it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misconfiguration {
    /// There is no such table.
    #[error(
        "there is no table {table:?} in region {region:?} of this account: create the table, or correct its name, account and region"
    )]
    NoTable {
        /// The name that the store is set to.
        table: String,
        /// The region that the client is set to; empty if to none.
        region: String,
    },
    /// The table has another key than the store is set to.
    #[error(
        "the table has {found}, and the store is set to {configured}: set key_attr and sort_key_attr to the table's key, or use a table with the store's, of type S"
    )]
    OtherKey {
        /// The table's key, in words.
        found: String,
        /// The store's key, in words.
        configured: String,
    },
    /// DynamoDB refused the key, and this process may not describe the table.
    #[error(
        "the table does not have {configured}, which the store is set to: set key_attr and sort_key_attr to the table's key, or use a table with the store's, of type S (DynamoDB says: {message}; it shows the table's key to who has dynamodb:DescribeTable)"
    )]
    KeyRefused {
        /// The store's key, in words.
        configured: String,
        /// DynamoDB's message.
        message: String,
    },
    /// Items are never deleted: time-to-live is off.
    #[error(
        "time-to-live is off, so that items of circuits that are no longer used stay for ever: enable it on {attribute:?}"
    )]
    ExpiryOff {
        /// The store's time-to-live attribute.
        attribute: String,
    },
    /// Time-to-live is on another attribute than the one that the store writes.
    #[error(
        "time-to-live is on {found:?}, and expiry_attr is {configured:?}: set expiry_attr to {found:?}, or enable time-to-live on {configured:?}"
    )]
    OtherExpiry {
        /// The table's time-to-live attribute.
        found: String,
        /// The store's time-to-live attribute.
        configured: String,
    },
    /// This process lacks a permission that every circuit needs.
    #[error(
        "{permission} is denied: allow it on the table in the policy of this process's role (DynamoDB says: {message})"
    )]
    Denied {
        /// `dynamodb:GetItem` for reading, `dynamodb:UpdateItem` for writing.
        permission: &'static str,
        /// DynamoDB's message, which says whose permission is missing.
        message: String,
    },
    /// This process's credentials are not valid.
    #[error(
        "the credentials are not accepted ({code}: {message}): renew or correct the credentials of this process"
    )]
    Credentials {
        /// DynamoDB's code.
        code: String,
        /// DynamoDB's message.
        message: String,
    },
    /// This process has no credentials, or none after 10 s.
    #[error("this process has no credentials ({why}): {}", super::credentials::ADVICE)]
    NoCredentials {
        /// Why they could not be loaded, with all its causes.
        why: String,
    },
    /// DynamoDB answers, but later than the timeouts of this store allow: it is far
    /// away, or the network is slow.
    #[error(
        "DynamoDB answers, but not in time ({ran_out}): set operation_timeout to {operation_timeout:?} in the store's builder, and store_timeout in the configuration of circuits to no less"
    )]
    TimeoutTooShort {
        /// The timeout that ran out, with its length.
        ran_out: String,
        /// An `operation_timeout` with which DynamoDB answered in time.
        operation_timeout: Duration,
    },
    /// No request could be sent.
    #[error(
        "the request could not be sent, or the endpoint does not speak HTTP ({why}): check region, endpoint and proxy, and credentials for characters that do not belong there"
    )]
    NotSent {
        /// The reason, with all its causes; the text of the panic if the SDK
        /// panicked.
        why: String,
    },
    /// This process's clock is more than 30 s ahead of DynamoDB's.
    ///
    /// The SDK signs by DynamoDB's time after the first answer, which costs an attempt,
    /// unless the client is set to `disable_clock_skew_correction`.
    #[error(
        "the clock of this process is {} s ahead of DynamoDB's: set it, by NTP; registries correct their stamps by the difference, but DynamoDB refuses signatures beyond five minutes", by.as_secs()
    )]
    ClockAhead {
        /// By how much, to the second.
        by: Duration,
    },
    /// This process's clock is more than 30 s behind DynamoDB's; as for
    /// [`ClockAhead`](Self::ClockAhead).
    #[error(
        "the clock of this process is {} s behind DynamoDB's: set it, by NTP; registries correct their stamps by the difference, but DynamoDB refuses signatures beyond five minutes", by.as_secs()
    )]
    ClockBehind {
        /// By how much, to the second.
        by: Duration,
    },
    /// DynamoDB refused a signature for its time, in an answer without a `Date`.
    #[error(
        "the clock of this process is too far from DynamoDB's for its signatures: set it, by NTP (DynamoDB says: {message})"
    )]
    ClockRefused {
        /// DynamoDB's message.
        message: String,
    },
    /// DynamoDB refused a request for another reason.
    #[error("DynamoDB refuses with {code}: correct what it names ({message})")]
    Refused {
        /// DynamoDB's code.
        code: String,
        /// DynamoDB's message.
        message: String,
    },
}

/// A check that [`verify`](super::DynamoDbStore::verify) could not make. That is no
/// fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotChecked {
    /// The table's key.
    #[error("the key of the table was not checked: {why}")]
    Key {
        /// The reason.
        why: String,
    },
    /// The table's time-to-live.
    #[error("time-to-live was not checked: {why}")]
    Expiry {
        /// The reason.
        why: String,
    },
    /// This process's clock: no answer had a `Date`.
    #[error("the clock of this process was not checked: no answer told the time")]
    Clock,
}

/// The result of [`verify`](super::DynamoDbStore::verify) without a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    not_checked: Vec<NotChecked>,
}

impl Verified {
    pub(super) fn new(not_checked: Vec<NotChecked>) -> Self {
        Self { not_checked }
    }

    /// Returns the checks that could not be made, most often because this process has
    /// only the two permissions that circuits need.
    #[must_use]
    pub fn not_checked(&self) -> &[NotChecked] {
        &self.not_checked
    }
}

/// All faults of a store that [`verify`](super::DynamoDbStore::verify) found.
///
/// `Display` names each fault and its correction. So does `Debug`, which a `main`
/// prints that returns this error.
#[derive(thiserror::Error)]
pub struct VerifyError {
    table: String,
    faults: Vec<Misconfiguration>,
    not_checked: Vec<NotChecked>,
    #[source]
    unreachable: Option<StoreError>,
}

impl VerifyError {
    pub(super) fn new(
        table: &str,
        faults: Vec<Misconfiguration>,
        not_checked: Vec<NotChecked>,
        unreachable: Option<StoreError>,
    ) -> Self {
        Self { table: table.to_owned(), faults, not_checked, unreachable }
    }

    /// Returns the faults that an operator has to correct; none if the store could
    /// not be reached, and nothing else was found.
    #[must_use]
    pub fn faults(&self) -> &[Misconfiguration] {
        &self.faults
    }

    /// Returns the checks that could not be made. There may be faults there as well.
    #[must_use]
    pub fn not_checked(&self) -> &[NotChecked] {
        &self.not_checked
    }

    /// Returns the error of a store that could not be reached; `None` if it could.
    /// Try again later: nothing but the [`faults`](Self::faults) is known to be
    /// wrong. It is the source of this error as well.
    #[must_use]
    pub fn unreachable(&self) -> Option<&StoreError> {
        self.unreachable.as_ref()
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store cannot be used as it is, in table {:?}", self.table)?;
        let mut before = ": ";
        for fault in &self.faults {
            write!(f, "{before}{fault}")?;
            before = "; ";
        }
        if let Some(error) = &self.unreachable {
            write!(f, "{before}it could not be reached: {error}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyError({self})")
    }
}
